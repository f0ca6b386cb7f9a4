"""Finish neural terms through the differentiable solver: the chi-square of whole trajectories.

    min over parameters and initial states of   sum (x(t) - samples)^2 / noise^2 / n

No smoothed state enters the loss, so the bias of the integral form goes. L-BFGS runs in
coordinates in which the Gram matrix of the integral form is the identity, because the readouts of
a tanh basis nearly cancel each other.
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
from jaxllc.running.waiting import computed

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.neural.neural_terms import NeuralVectorField
    from jaxllc.smoothing.grid_data import GridData

TOLERANCES = (1e-6, 1e-8)
MAX_STEPS = 1024
HIDDEN_STEP = 1e-3  # size of a unit of the hidden parameters against one of the whitened readouts
SMALLEST_NOISE = 1e-5  # of the standard deviation; the solver's own error is about that
RIDGE = 1e-8  # of the whitening
DIVERGED = 1e8


class SolverFit(NamedTuple):
    """field with fitted parameters; chi_square per sample; history of it; seconds of compilation."""

    field: Any
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


def chi_square_sum(field: Any, initial: jax.Array, graph: Graph, data: Observations) -> jax.Array:
    """Sum of squared, noise-scaled residuals of trajectories from initial (R, N, d);
    differentiable.
    """

    def one_run(state0: jax.Array, features: dict[str, jax.Array]) -> jax.Array:
        nodes = {**graph.nodes, **features}
        found = solve(
            field, graph._replace(nodes=nodes), state0, data.times,
            rtol=TOLERANCES[0], atol=TOLERANCES[1], max_steps=MAX_STEPS,
        )  # fmt: skip
        return found.states

    states = jax.vmap(one_run)(initial, data.features)
    scaled = (states - data.samples) / data.noise[None, None, None, :]
    # a run that diverged counts as a constant, so that the line search turns back
    scaled = jnp.where(jnp.isfinite(scaled), scaled, jnp.sqrt(DIVERGED))
    return jnp.sum(jnp.where(data.seen, scaled**2, 0.0))


@partial(jax.jit, static_argnums=0)
def _value_and_gradient(
    structure: Any, parameters: Any, rest: Any, initial: Any, graph: Graph, data: Any
) -> Any:
    def loss(parameters: Any, initial: Any) -> jax.Array:
        return chi_square_sum(nnx.merge(structure, parameters, rest), initial, graph, data)

    return jax.value_and_grad(loss, argnums=(0, 1))(parameters, initial)


def fit_through_solver(
    neural: NeuralVectorField,
    data: GridData,
    network: Network,
    gram: np.ndarray,
    *,
    steps: int,
    deadline: float | None = None,
    progress: Callable[[str, int, float], None] | None = None,
) -> SolverFit:
    """L-BFGS on all parameters and the initial states of every run; call it with x64 enabled.

    gram: (P, P) Gram matrix of the integrated basis columns. deadline: time.perf_counter() to
    stop at.
    """
    structure, parameters, rest = nnx.split(neural, nnx.Param, ...)  # type: ignore[misc]
    num_variables = len(neural.variables)
    scale = np.asarray(neural.input_std[...])[:num_variables]
    noise = np.maximum(data.noise, SMALLEST_NOISE * scale)
    graph = graph_of(network)
    groups = observations(data, neural.feature_names, noise)
    starts = [np.stack([data.states[m][..., 0].T for m in members]) for members, _ in groups]
    count = sum(int(group.seen.sum()) for _, group in groups)
    whitening = _whitening(gram)
    readout_keys = ("self_part", "interaction_part")
    split = np.asarray(neural.self_part.readout[...]).shape[0]
    base = {
        part: {name: np.asarray(getattr(getattr(neural, part), name)[...]) for name in _NAMES}
        for part in readout_keys
    }
    hidden_sizes = [base[p][n].size for p in readout_keys for n in _NAMES[:2]]
    lengths = [len(whitening) * num_variables, *hidden_sizes, *(s.size for s in starts)]
    cuts = np.cumsum(lengths)[:-1]
    initial_step = [
        scale[None, None, None] / np.sqrt(0.3 * len(group.times)) for _, group in groups
    ]
    calls = {"compile": 0.0}
    best: dict[str, Any] = {"loss": np.inf}

    def place(vector: np.ndarray) -> tuple[Any, list[np.ndarray]]:
        pieces = np.split(vector, cuts)
        change = whitening @ pieces[0].reshape(-1, num_variables) * scale[None, :]
        values: dict[str, dict[str, np.ndarray]] = {}
        for p, part in enumerate(readout_keys):
            values[part] = {
                "readout": base[part]["readout"] + (change[:split] if p == 0 else change[split:])
            }
            for n, name in enumerate(_NAMES[:2]):
                step = HIDDEN_STEP * pieces[1 + 2 * p + n].reshape(base[part][name].shape)
                values[part][name] = base[part][name] + step
        initial = [
            start + piece.reshape(start.shape) * step[0]
            for start, piece, step in zip(starts, pieces[5:], initial_step, strict=True)
        ]
        return values, initial

    def evaluate(vector: np.ndarray) -> tuple[float, np.ndarray]:
        values, initial = place(vector)
        _assign(parameters, values)
        total = 0.0
        slope: dict[str, dict[str, Any]] = {p: dict.fromkeys(_NAMES, 0.0) for p in readout_keys}
        starts_slope = []
        for (_, group), state0, step in zip(groups, initial, initial_step, strict=True):
            began = time.perf_counter()
            value, (by_parameters, by_start) = computed(
                _value_and_gradient, structure, parameters, rest, state0, graph, group
            )
            value = float(value)
            if calls["compile"] == 0.0:
                calls["compile"] = time.perf_counter() - began
            total += value
            for part in readout_keys:
                for name in _NAMES:
                    found = np.nan_to_num(np.asarray(by_parameters[part][name][...]))
                    slope[part][name] = slope[part][name] + found
            starts_slope.append((np.nan_to_num(np.asarray(by_start)) * step[0]).ravel())
        by_readout = np.concatenate([slope[p]["readout"] for p in readout_keys])
        gradient = np.concatenate(
            [
                (whitening.T @ (by_readout * scale[None, :])).ravel(),
                *((HIDDEN_STEP * slope[p][n]).ravel() for p in readout_keys for n in _NAMES[:2]),
                *starts_slope,
            ]
        )
        total, gradient = total / count, gradient / count
        if total < best["loss"]:
            best.update(loss=total, vector=vector.copy())
        return total, gradient

    history: list[float] = []

    def after_step(intermediate_result: Any) -> None:
        history.append(float(intermediate_result.fun))
        if progress is not None:
            progress("trajectories", len(history), history[-1])
        if deadline is not None and time.perf_counter() > deadline:
            raise StopIteration

    start = np.zeros(sum(lengths))
    minimize(
        evaluate, start, jac=True, method="L-BFGS-B", callback=after_step,
        options={"maxiter": steps, "maxcor": 30},
    )  # fmt: skip
    values, _ = place(best.get("vector", start))
    _assign(parameters, values)
    return SolverFit(
        nnx.merge(structure, parameters, rest), best["loss"], history, calls["compile"]
    )


_NAMES = ("kernel", "bias", "readout")


def _assign(parameters: Any, values: dict[str, dict[str, np.ndarray]]) -> None:
    for part, arrays in values.items():
        for name, array in arrays.items():
            parameters[part][name][...] = jnp.asarray(array)


def _whitening(gram: np.ndarray) -> np.ndarray:
    """Matrix W with W^T gram W close to the identity; directions that the data leave open are
    held short.
    """
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0, size, 1.0)
    eigenvalues, vectors = np.linalg.eigh(gram / np.outer(size, size))
    return vectors / np.sqrt(np.maximum(eigenvalues, 0.0) + RIDGE)[None, :] / size[:, None]
