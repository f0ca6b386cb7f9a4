"""Variable projection: the hidden layers of both terms by Levenberg-Marquardt, the readouts by
ridge regression.

For given hidden layers the readouts c solve a linear least-squares problem in the basis columns
M. With S the columns differentiated by the hidden parameters, the residual moves by -(I - M M^+)
S c (Kaufman 1975), so one Gram matrix of [M, S] holds the loss, its gradient and the Gauss-Newton
matrix, for all variables at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from jaxllc.data.message_passing import sum_into_receivers
from jaxllc.fit.levenberg import Damping, State, accepted
from jaxllc.neural.neural_rows import Rows
from jaxllc.running.waiting import computed

SMALLEST_RESIDUAL = 1e-13  # of the variance; float64 has nothing to say below it
DAMPING = Damping(1e-2, eased_by=4.0, raised_by=6.0, smallest=1e-9, largest=1e8)
SMALL_GAIN, PATIENCE = (
    2e-3,
    6,
)  # steps in a row that lower the log residual by less than this end the fit

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

    readout: np.ndarray
    residual: np.ndarray
    loss: float
    gradient: np.ndarray
    curvature: np.ndarray


def _columns_and_slopes(kernel: Any, bias: Any, inputs: Any) -> tuple[Any, Any]:
    """Basis (..., width + q + 1) and the slopes of its tanh columns by kernel and bias (..., (q +
    1) width).
    """
    before = inputs @ kernel
    hidden = jnp.tanh(before + bias.reshape((1,) * (before.ndim - 1) + (-1,)))
    with_one = jnp.concatenate([inputs, jnp.ones_like(inputs[..., :1])], axis=-1)
    slopes = with_one[..., :, None] * (1.0 - hidden**2)[..., None, :]
    columns = jnp.concatenate([hidden, with_one], axis=-1)
    return columns, slopes.reshape((*slopes.shape[:-2], -1))


@jax.jit
def moments(hidden: Hidden, rows: Rows) -> Moments:
    """Gram matrix of basis columns and their slopes over the rows of a batch, and products with
    the targets.
    """
    columns, slopes = _columns_and_slopes(hidden[0], hidden[1], rows.inputs)
    pair_columns, pair_slopes = _columns_and_slopes(hidden[2], hidden[3], rows.pair_inputs)
    both = jnp.concatenate([pair_columns, pair_slopes], axis=-1)
    both = sum_into_receivers(both, rows.graph)
    pair_columns, pair_slopes = jnp.split(both, [pair_columns.shape[-1]], axis=-1)
    design = jnp.concatenate([columns, pair_columns, slopes, pair_slopes], axis=-1)
    design = jnp.einsum("skl,slp->skp", rows.weighting, design)
    flat = design.reshape((-1, design.shape[-1]))
    targets = rows.targets.reshape((-1, rows.targets.shape[-1]))
    squares = jnp.sum(targets**2, axis=0) + rows.remainder
    return Moments(flat.T @ flat, flat.T @ targets, squares, rows.num_samples)


def project(sums: Moments, hidden: Hidden, ridge: float) -> Projection:
    """Solve for the readouts and form gradient and Gauss-Newton matrix by the hidden layers.

    The loss is the sum over variables of log((|y - M c|^2 + ridge |D c|^2) / n), D the norms of
    the columns of M.
    """
    sums = Moments(*(np.asarray(v) for v in sums))
    widths = [hidden[1].shape[0], hidden[3].shape[0]]
    sizes = [
        h.shape[0] + k.shape[0] + 1 for h, k in ((hidden[1], hidden[0]), (hidden[3], hidden[2]))
    ]
    p = sum(sizes)
    gram, products = sums.gram[:p, :p], sums.products[:p]
    norms = np.sqrt(np.diag(gram))
    norms = np.where(norms > 0, norms, 1.0)
    factor = cho_factor(gram / np.outer(norms, norms) + ridge * np.eye(p))
    readout = cho_solve(factor, products / norms[:, None]) / norms[:, None]
    left = (
        sums.squares - 2.0 * np.sum(readout * products, 0) + np.sum(readout * (gram @ readout), 0)
    )
    left = np.maximum(left, 0.0)
    penalty = ridge * np.sum((norms[:, None] * readout) ** 2, axis=0)
    total = left + penalty + SMALLEST_RESIDUAL * sums.squares
    # the readout that each hidden parameter acts through
    through = np.concatenate(
        [
            np.tile(readout[: widths[0]], (hidden[0].shape[0] + 1, 1)),
            np.tile(readout[sizes[0] : sizes[0] + widths[1]], (hidden[2].shape[0] + 1, 1)),
        ]
    )
    cross, slopes = sums.gram[:p, p:] / norms[:, None], sums.gram[p:, p:]
    projected = slopes - cross.T @ cho_solve(factor, cross)
    # <S, r>, and the pull of the ridge, which scales with the norms of the tanh columns
    against = sums.products[p:] - sums.gram[p:, :p] @ readout
    tanh_rows = np.concatenate(
        [
            np.tile(np.arange(widths[0]), hidden[0].shape[0] + 1),
            np.tile(sizes[0] + np.arange(widths[1]), hidden[2].shape[0] + 1),
        ]
    )
    own = sums.gram[tanh_rows, p + np.arange(len(tanh_rows))]
    gradient = np.sum(
        (-2.0 * through * against + 2.0 * ridge * own[:, None] * through**2) / total, axis=1
    )
    weighted = through / np.sqrt(total)[None, :]
    curvature = 2.0 * projected * (weighted @ weighted.T)
    loss = float(np.sum(np.log(total / sums.count)))
    return Projection(readout, left / sums.count, loss, gradient, curvature)


def fit_hidden_layers(
    hidden: Hidden,
    rows: Rows,
    *,
    steps: int,
    ridge: float,
    target: float = -np.inf,
    deadline: float | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> tuple[Hidden, list[float], str]:
    """Levenberg-Marquardt from `hidden`: the best layers, the loss after each step, and why it
    stopped.

    target: loss at which the noise of the samples is reached. deadline: time.perf_counter() at
    which to stop.
    """
    start = _Layers(hidden, project(computed(moments, hidden, rows), hidden, ridge))
    state, small = State(start, DAMPING.start), 0
    history: list[float] = []
    for step in range(steps):
        hidden, current = state.point
        if current.loss < target:
            return hidden, history, "Stopped at the noise of the samples."
        if deadline is not None and time.perf_counter() > deadline:
            return hidden, history, "Stopped by the time budget."
        after = accepted(state, _proposer(state.point, rows, ridge), DAMPING)
        if after is None:
            return hidden, history, "No step lowers the loss any further."
        state, loss = after, after.point.projection.loss
        small = small + 1 if current.loss - loss < SMALL_GAIN else 0
        history.append(loss)
        if after_step is not None:
            after_step(step + 1, loss)
        if small >= PATIENCE:
            return state.point.hidden, history, "The loss has settled."
    return state.point.hidden, history, "All steps were taken."


class _Layers(NamedTuple):
    """Hidden layers and what was projected out at them."""

    hidden: Hidden
    projection: Projection


def _proposer(point: _Layers, rows: Rows, ridge: float) -> Callable[[float], _Layers | None]:
    """The layers that a step from a point leads to at a damping, None where they lose more."""
    hidden, current = point
    diagonal = np.diag(current.curvature)
    scale = np.sqrt(np.maximum(diagonal, 1e-10 * diagonal.max() + 1e-300))
    normal = current.curvature / np.outer(scale, scale)

    def propose(damping: float) -> _Layers | None:
        damped = normal + damping * np.eye(len(scale))
        trial = _moved(hidden, np.linalg.solve(damped, -current.gradient / scale) / scale)
        there = project(computed(moments, trial, rows), trial, ridge)
        return _Layers(trial, there) if there.loss < current.loss else None

    return propose


def _moved(hidden: Hidden, move: np.ndarray) -> Hidden:
    """Hidden layers after a step; per term the vector holds the kernel by rows, then the bias."""
    moved, position = [], 0
    for value in hidden:
        part = move[position : position + value.size].reshape(value.shape)
        moved.append(np.asarray(value) + part)
        position += value.size
    return tuple(moved)  # type: ignore[return-value]
