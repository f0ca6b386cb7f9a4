"""Finish neural terms through the differentiable solver: the chi-square of whole trajectories.

    min over parameters and initial states of   sum (x(t) - samples)^2 / noise^2 / n

No smoothed state enters the loss, so the bias of the integral form goes. L-BFGS runs in coordinates in which
the Gram matrix of the integral form is the identity, because the readouts of a tanh basis nearly cancel each
other. The parameters are those of the net as it was fitted, in its structure, so what it is afterwards is a
net again. There are hundreds of them, and one loss: its gradient comes backwards through checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from scipy.optimize import minimize

from jaxllc.data.message_passing import IN_STRENGTH, Graph, graph_of
from jaxllc.dynamics.integrate import solve
from jaxllc.neural.net_fits import Net, NetFits, write_net
from jaxllc.neural.variable_projection import Hidden
from jaxllc.running.waiting import computed

if TYPE_CHECKING:
    from jaxllc.smoothing.grid_data import GridData

TOLERANCES = (1e-6, 1e-8)
MAX_STEPS = 1024
HIDDEN_STEP = 1e-3  # size of a unit of the hidden parameters against one of the whitened readouts
SMALLEST_NOISE = 1e-5  # of the standard deviation; the solver's own error is about that
RIDGE = 1e-8  # of the whitening
DIVERGED = 1e8


class SolverFit(NamedTuple):
    """The finished net; chi_square per sample; history of it, from before the first step; seconds of
    compilation."""

    net: Net
    chi_square: float
    history: list[float]
    compile_seconds: float


class Observations(NamedTuple):
    """Runs of the same times. times (T,); samples, seen (R, T, N, d); noise (d,); features {name:
    (R, N)}.
    """

    times: Any
    samples: Any
    seen: Any
    noise: Any
    features: dict[str, Any]


class _Parameters(NamedTuple):
    """Layers of a net, its readouts (P, d), and the initial states (R, N, d) of each group of runs."""

    hidden: Hidden
    readout: Any
    initial: tuple[Any, ...]


def observations(
    data: GridData, feature_names: Sequence[str], noise: np.ndarray
) -> list[tuple[list[int], Observations]]:
    """Group the runs by their times, each group with the numbers of its runs."""
    groups: dict[bytes, list[int]] = {}
    for number, times in enumerate(data.times):
        groups.setdefault(times.tobytes(), []).append(number)
    result = []
    for members in groups.values():
        samples = np.stack([data.samples[m].T for m in members])
        seen = np.stack([data.observed[m].T for m in members])
        named = [n for n in feature_names if n != IN_STRENGTH]
        features = {n: np.stack([data.features[n]] * len(members)) for n in named}
        times = data.times[members[0]]
        result.append((members, Observations(times, samples, seen, noise, features)))
    return result


def chi_square_sum(
    field: Any, initial: jax.Array, graph: Graph, data: Observations, adjoint: Any = None
) -> jax.Array:
    """Sum of squared, noise-scaled residuals of trajectories from initial (R, N, d); differentiable.

    adjoint: of diffrax, by default backwards through checkpoints.
    """

    def one_run(state0: jax.Array, features: dict[str, jax.Array]) -> jax.Array:
        nodes = {**graph.nodes, **features}
        found = solve(
            field, graph._replace(nodes=nodes), state0, data.times,
            rtol=TOLERANCES[0], atol=TOLERANCES[1], max_steps=MAX_STEPS, adjoint=adjoint,
        )  # fmt: skip
        return found.states

    states = jax.vmap(one_run)(initial, data.features)
    scaled = (states - data.samples) / data.noise[None, None, None, :]
    # a run that diverged counts as a constant, so that the line search turns back
    scaled = jnp.where(jnp.isfinite(scaled), scaled, jnp.sqrt(DIVERGED))
    return jnp.sum(jnp.where(data.seen, scaled**2, 0.0))


@partial(jax.jit, static_argnums=0)
def _value_and_gradient(
    structure: Any, state: Any, mixings: Any, layers: Any, initial: Any, graph: Graph, data: Any
) -> Any:
    """The loss of a group of runs, and its gradient by (hidden, readout) and initial states."""

    def loss(layers: Any, initial: Any) -> jax.Array:
        # Variables of this trace, which may be written.
        field = nnx.merge(structure, jax.tree.map(lambda leaf: leaf, state))
        write_net(field, mixings, *layers)
        return chi_square_sum(field, initial, graph, data)

    return jax.value_and_grad(loss, argnums=(0, 1))(layers, initial)


def finished_net(
    fits: NetFits,
    net: Net,
    *,
    steps: int,
    progress: Callable[[str, int, float], None] | None = None,
) -> SolverFit:
    """L-BFGS on all parameters of a net and the initial states of every run; call it with x64 enabled.

    fits: that it comes from; no step begins after their deadline. A net that explains no more of the samples
    than it did comes back as it was.
    """
    data, template = fits.data, fits.empty_field(0, net.structure)
    structure, state = nnx.split(template)
    spread = fits.std[: data.num_variables]
    groups = observations(
        data, template.feature_names, np.maximum(data.noise, SMALLEST_NOISE * spread)
    )
    graph = graph_of(fits.network)
    starts = tuple(np.stack([data.states[m][..., 0].T for m in members]) for members, _ in groups)
    count = sum(int(group.seen.sum()) for _, group in groups)
    base, seconds = _Parameters(net.hidden, net.readout, starts), [0.0]
    placed = _Coordinates(base, net.gram, spread, [len(group.times) for _, group in groups])
    best: tuple[float, _Parameters | None] = np.inf, None
    history: list[float] = []

    def evaluate(vector: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        here = placed.at(vector)
        total, slopes, initial_slopes = 0.0, [], []
        for (_, group), initial in zip(groups, here.initial, strict=True):
            began = time.perf_counter()
            value, (by_layers, by_start) = computed(
                _value_and_gradient,
                structure,
                state,
                net.mixings,
                here[:2],
                initial,
                graph,
                group,
            )
            seconds[0] = seconds[0] or time.perf_counter() - began
            total += float(value)
            slopes.append(by_layers)
            initial_slopes.append(np.nan_to_num(np.asarray(by_start)))
        hidden, readout = jax.tree.map(lambda *x: np.nan_to_num(sum(map(np.asarray, x))), *slopes)
        gradient = placed.pulled(_Parameters(hidden, readout, tuple(initial_slopes)))
        if not history:
            history.append(total / count)
        if total / count < best[0]:
            best = total / count, here
        return total / count, gradient / count

    def after_step(intermediate_result: Any) -> None:
        history.append(float(intermediate_result.fun))
        if progress is not None:
            progress("trajectories", len(history) - 1, history[-1])
        if fits.deadline is not None and time.perf_counter() > fits.deadline:
            raise StopIteration

    minimize(
        evaluate, np.zeros(placed.size), jac=True, method="L-BFGS-B", callback=after_step,
        options={"maxiter": steps, "maxcor": 30},
    )  # fmt: skip
    chi_square, found = best
    if found is not None and chi_square < history[0]:
        net = fits.changed(net, found.hidden, found.readout, history)
    return SolverFit(net, chi_square, history, seconds[0])


class _Coordinates:
    """Vectors in which the loss is about as steep in all directions, and the parameters they stand for."""

    def __init__(
        self, base: _Parameters, gram: np.ndarray, spread: np.ndarray, lengths: Sequence[int]
    ):
        self.base, self.spread, self.whitening = base, spread, _whitening(gram)
        self.steps = [spread / np.sqrt(0.3 * length) for length in lengths]
        leaves = [base.readout, *base.hidden, *base.initial]
        self.cuts = np.cumsum([leaf.size for leaf in leaves])
        self.size = int(self.cuts[-1])

    def at(self, vector: np.ndarray) -> _Parameters:
        """The parameters of a vector; zero stands for those at the start."""
        readout, *others = np.split(vector, self.cuts[:-1])
        change = self.whitening @ readout.reshape(self.base.readout.shape) * self.spread
        hidden: Any = tuple(
            layer + HIDDEN_STEP * piece.reshape(layer.shape)
            for layer, piece in zip(self.base.hidden, others, strict=False)
        )
        initial = tuple(
            start + piece.reshape(start.shape) * step
            for start, piece, step in zip(self.base.initial, others[4:], self.steps, strict=True)
        )
        return _Parameters(hidden, self.base.readout + change, initial)

    def pulled(self, slopes: _Parameters) -> np.ndarray:
        """The gradient by the vector out of that by the parameters."""
        readout = self.whitening.T @ (slopes.readout * self.spread)
        hidden = [HIDDEN_STEP * slope for slope in slopes.hidden]
        initial = [slope * step for slope, step in zip(slopes.initial, self.steps, strict=True)]
        return np.concatenate([part.ravel() for part in (readout, *hidden, *initial)])


def _whitening(gram: np.ndarray) -> np.ndarray:
    """Matrix W with W^T gram W close to the identity; directions that the data leave open are held short."""
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0, size, 1.0)
    eigenvalues, vectors = np.linalg.eigh(gram / np.outer(size, size))
    return vectors / np.sqrt(np.maximum(eigenvalues, 0.0) + RIDGE)[None, :] / size[:, None]
