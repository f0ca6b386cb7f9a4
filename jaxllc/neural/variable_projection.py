"""Variable projection: the hidden layers of both terms by Levenberg-Marquardt, the readouts by
ridge regression.

For given hidden layers the readouts c solve a linear least-squares problem in the basis columns
M. With S the columns differentiated by the hidden parameters, the residual moves by -(I - M M^+)
S c (Kaufman 1975), so one Gram matrix of [M, S] holds the loss, its gradient and the Gauss-Newton
matrix, for all variables at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from jaxllc.data.message_passing import sum_into_receivers
from jaxllc.fit.levenberg import Damping, State, accepted
from jaxllc.neural.neural_rows import Rows
from jaxllc.neural.structures import times_factors
from jaxllc.running.waiting import computed

SMALLEST_RESIDUAL = 1e-13  # of the variance; float64 has nothing to say below it
DAMPING = Damping(1e-2, eased_by=4.0, raised_by=6.0, smallest=1e-9, largest=1e8)
SMALL_GAIN, PATIENCE = (
    2e-3,
    6,
)  # steps in a row that lower the log residual by less than this end the fit
AT_NOISE = "Stopped at the noise of the samples."
NO_STEP = "No step lowers the loss any further."
SETTLED = "The loss has settled."
ALL_STEPS = "All steps were taken."

Hidden = tuple[Any, Any, Any, Any]  # kernel and bias of the self term, then of the interaction term


class Moments(NamedTuple):
    """Sums over rows: gram (A, A) of [M, S], products (A, d) with the targets, squares (d,) of
    the targets, count.
    """

    gram: Any
    products: Any
    squares: Any
    count: Any


class Projection(NamedTuple):
    """Best readouts (P, d), mean square left (d,), loss (with the ridge), and its gradient by the
    hidden vector.
    """

    readout: Any
    residual: Any
    loss: Any
    gradient: Any
    curvature: Any


class Algebra(NamedTuple):
    """What a projection and a step are computed by: NumPy and LAPACK, or operations that can be traced.

    arrays: numpy or jax.numpy; inverse: from a positive definite matrix to a function of right sides;
    solve: x with matrix @ x = right.
    """

    arrays: Any
    inverse: Callable[[Any], Callable[[Any], Any]]
    solve: Callable[[Any, Any], Any]


ON_HOST = Algebra(np, lambda matrix: partial(cho_solve, cho_factor(matrix)), np.linalg.solve)


def _columns_and_slopes(kernel: Any, bias: Any, inputs: Any, factors: Any) -> tuple[Any, Any]:
    """Basis (..., m (width + q + 1)) and the slopes of its tanh columns by kernel and bias (..., m (q + 1)
    width), both by each of the factors (..., m).
    """
    before = inputs @ kernel
    hidden = jnp.tanh(before + bias.reshape((1,) * (before.ndim - 1) + (-1,)))
    with_one = jnp.concatenate([inputs, jnp.ones_like(inputs[..., :1])], axis=-1)
    slopes = with_one[..., :, None] * (1.0 - hidden**2)[..., None, :]
    columns = jnp.concatenate([hidden, with_one], axis=-1)
    slopes = slopes.reshape((*slopes.shape[:-2], -1))
    return times_factors(columns, factors), times_factors(slopes, factors)


def design(hidden: Hidden, rows: Rows) -> tuple[Any, Any]:
    """Basis columns and their slopes [M, S] over the rows of a batch, (row, A), and the targets (row, d)."""
    columns, slopes = _columns_and_slopes(hidden[0], hidden[1], rows.inputs, rows.factors)
    pair_columns, pair_slopes = _columns_and_slopes(
        hidden[2], hidden[3], rows.pair_inputs, rows.pair_factors
    )
    both = jnp.concatenate([pair_columns, pair_slopes], axis=-1)
    both = sum_into_receivers(both, rows.graph)
    pair_columns, pair_slopes = jnp.split(both, [pair_columns.shape[-1]], axis=-1)
    found = jnp.concatenate([columns, pair_columns, slopes, pair_slopes], axis=-1)
    found = jnp.einsum("skl,slp->skp", rows.weighting, found)
    targets = rows.targets.reshape((-1, rows.targets.shape[-1]))
    return found.reshape((-1, found.shape[-1])), targets


@jax.jit
def moments(hidden: Hidden, rows: Rows) -> Moments:
    """Gram matrix of basis columns and their slopes over the rows of a batch, and products with
    the targets.
    """
    return moments_of(*design(hidden, rows), rows)


def moments_of(columns: Any, targets: Any, rows: Rows) -> Moments:
    """The sums over rows of a design; see `moments`."""
    squares = jnp.sum(targets**2, axis=0) + rows.remainder
    return Moments(columns.T @ columns, columns.T @ targets, squares, rows.num_samples)


def moments_over(hidden: Hidden, batches: Sequence[Rows]) -> Moments:
    """Moments over the rows of several batches of one shape, on the host."""
    parts = [Moments(*map(np.asarray, computed(moments, hidden, rows))) for rows in batches]
    return Moments(*(sum(values) for values in zip(*parts, strict=True)))


class _Places(NamedTuple):
    """Where things stand: number of columns of the basis, the column whose slope each slope is, and the
    hidden parameter it is taken by."""

    columns: int
    of_slopes: np.ndarray
    parameters: np.ndarray


def _places(hidden: Hidden, copies: tuple[int, int]) -> _Places:
    first, parameter, of_slopes, parameters = 0, 0, [], []
    for kernel, times in zip(hidden[::2], copies, strict=True):
        inputs, width = kernel.shape
        size = width + inputs + 1
        own = np.tile(np.arange(width), inputs + 1)
        of_slopes += [first + copy * size + own for copy in range(times)]
        parameters += [parameter + np.arange(len(own))] * times
        first, parameter = first + times * size, parameter + len(own)
    return _Places(first, np.concatenate(of_slopes), np.concatenate(parameters))


def project(
    sums: Moments,
    hidden: Hidden,
    ridge: float,
    copies: tuple[int, int] = (1, 1),
    least: float | np.ndarray = SMALLEST_RESIDUAL,
) -> Projection:
    """Solve for the readouts and form gradient and Gauss-Newton matrix by the hidden layers.

    The loss is the sum over variables of log((|y - M c|^2 + ridge |D c|^2) / n), D the norms of
    the columns of M. copies: of the columns of either term, as `Rows` has them. least: residual over the
    variance, (d,) or one for all, that is added: a variable near it leaves the hidden layers to others.
    """
    found = projected(
        Moments(*(np.asarray(v) for v in sums)), hidden, ridge, ON_HOST, least, copies=copies
    )
    return found._replace(loss=float(found.loss))


def projected(
    sums: Moments,
    hidden: Hidden,
    ridge: Any,
    algebra: Algebra,
    least: float | np.ndarray = SMALLEST_RESIDUAL,
    left_by: Callable[[Any], tuple[Any, Any]] | None = None,
    copies: tuple[int, int] = (1, 1),
) -> Projection:
    """As `project`, by some algebra; on the host alone where there are copies.

    left_by: from readouts to the squares
    that they leave, (d,), and the products (A, d) of all columns with what is left: where differences of
    sums would lose it, as in float32.
    """
    xp = algebra.arrays
    places = _places(hidden, copies)
    p = places.columns
    gram, products = sums.gram[:p, :p], sums.products[:p]
    norms = xp.sqrt(xp.diag(gram))
    norms = xp.where(norms > 0, norms, 1.0)
    inverse = algebra.inverse(gram / xp.outer(norms, norms) + ridge * xp.eye(p, dtype=gram.dtype))
    readout = inverse(products / norms[:, None]) / norms[:, None]
    if left_by is None:
        squares = xp.sum(readout * (gram @ readout), 0)
        left = sums.squares - 2.0 * xp.sum(readout * products, 0) + squares
        left = xp.maximum(left, 0.0)
        against = sums.products[p:] - sums.gram[p:, :p] @ readout
    else:
        pull = left_by(readout)[1][:p] / norms[:, None] - ridge * norms[:, None] * readout
        readout = readout + inverse(pull) / norms[:, None]
        left, against = left_by(readout)
        against = against[p:]
    penalty = ridge * xp.sum((norms[:, None] * readout) ** 2, axis=0)
    total = left + penalty + least * sums.squares
    through = readout[places.of_slopes]  # what each slope acts through
    cross, slopes = sums.gram[:p, p:] / norms[:, None], sums.gram[p:, p:]
    left_of_slopes = slopes - cross.T @ inverse(cross)
    # Against the slopes stands <S, r>, and the pull of the ridge, which scales with the norms of the columns.
    own = sums.gram[places.of_slopes, p + np.arange(len(places.of_slopes))]
    by_slope = xp.sum(
        (-2.0 * through * against + 2.0 * ridge * own[:, None] * through**2) / total[None, :],
        axis=1,
    )
    weighted = through / xp.sqrt(total)[None, :]
    by_slopes = 2.0 * left_of_slopes * (weighted @ weighted.T)
    gradient, curvature = _by_parameters(by_slope, by_slopes, places.parameters)
    loss = xp.sum(xp.log(total / sums.count))
    return Projection(readout, left / sums.count, loss, gradient, curvature)


def _by_parameters(
    gradient: np.ndarray, curvature: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the slopes that are taken by the same hidden parameter."""
    size = int(parameters.max()) + 1
    if size == len(parameters):
        return gradient, curvature
    summed = np.zeros((size, len(parameters)))
    np.add.at(summed, parameters, curvature)
    both = np.zeros((size, size))
    np.add.at(both.T, parameters, summed.T)
    return np.bincount(parameters, gradient, size), both


def damped_step(current: Projection, algebra: Algebra = ON_HOST) -> Callable[[Any], Any]:
    """From a damping to the move of the hidden vector that it leads to, of Levenberg-Marquardt."""
    xp = algebra.arrays
    diagonal = xp.diag(current.curvature)
    scale = xp.sqrt(xp.maximum(diagonal, 1e-10 * diagonal.max() + xp.finfo(diagonal.dtype).tiny))
    normal = current.curvature / xp.outer(scale, scale)
    identity = xp.eye(len(scale), dtype=scale.dtype)

    def move(damping: Any) -> Any:
        return algebra.solve(normal + damping * identity, -current.gradient / scale) / scale

    return move


def fit_hidden_layers(
    hidden: Hidden,
    batches: Sequence[Rows],
    *,
    steps: int,
    ridge: float,
    target: float = -np.inf,
    least: float | np.ndarray = SMALLEST_RESIDUAL,
    deadline: float | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> tuple[Hidden, list[float], str]:
    """Levenberg-Marquardt from `hidden` on the rows of some batches: the best layers, the loss after each
    step, and why it stopped.

    target: loss at which the noise of the samples is reached. least: as in `project`. deadline:
    time.perf_counter() at which to stop.
    """
    start = _Layers(hidden, _projection(hidden, batches, ridge, least))
    state, small = State(start, DAMPING.start), 0
    history: list[float] = []
    for step in range(steps):
        hidden, current = state.point
        if current.loss < target:
            return hidden, history, AT_NOISE
        if deadline is not None and time.perf_counter() > deadline:
            return hidden, history, "Stopped by the time budget."
        after = accepted(state, _proposer(state.point, batches, ridge, least), DAMPING)
        if after is None:
            return hidden, history, NO_STEP
        state, loss = after, after.point.projection.loss
        small = small + 1 if current.loss - loss < SMALL_GAIN else 0
        history.append(loss)
        if after_step is not None:
            after_step(step + 1, loss)
        if small >= PATIENCE:
            return state.point.hidden, history, SETTLED
    return state.point.hidden, history, ALL_STEPS


class _Layers(NamedTuple):
    """Hidden layers and what was projected out at them."""

    hidden: Hidden
    projection: Projection


def _proposer(
    point: _Layers, batches: Sequence[Rows], ridge: float, least: float | np.ndarray
) -> Callable[[float], _Layers | None]:
    """The layers that a step from a point leads to at a damping, None where they lose more."""
    hidden, current = point
    move = damped_step(current)

    def propose(damping: float) -> _Layers | None:
        trial = moved(hidden, move(damping))
        there = _projection(trial, batches, ridge, least)
        return _Layers(trial, there) if there.loss < current.loss else None

    return propose


def _projection(
    hidden: Hidden, batches: Sequence[Rows], ridge: float, least: float | np.ndarray
) -> Projection:
    return project(moments_over(hidden, batches), hidden, ridge, batches[0].copies, least)


def moved(hidden: Hidden, move: Any) -> Hidden:
    """Hidden layers after a step; per term the vector holds the kernel by rows, then the bias."""
    found: list[Any] = []
    position = 0
    for value in hidden:
        part = move[position : position + value.size].reshape(value.shape)
        found.append(value + part)
        position += value.size
    return found[0], found[1], found[2], found[3]
