"""Fit the two neural terms: variable projection in the integral form, then, if wanted, through
the solver.

The terms are flexible enough to explain any law of the form f(x_i) + sum_j A_ij g(x_i, x_j), so
they propose where to look for an equation and bound how well any equation can do. Under noise
they are not determined by the data: `sample_terms` gives standard errors, and the choice between
equations belongs to the likelihood of the samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.message_passing import IN_STRENGTH
from jaxllc.errors import InputError
from jaxllc.neural.neural_rows import RowMaker, Rows
from jaxllc.neural.neural_terms import NeuralVectorField
from jaxllc.neural.through_solver import fit_through_solver
from jaxllc.neural.variable_projection import Hidden, Moments, fit_hidden_layers, moments, project
from jaxllc.running.waiting import computed

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.smoothing.grid_data import GridData

BUDGET = 30_000  # edges times grid times in a batch
CALIBRATION_POINTS = 2000
SMALL_ENOUGH = 1e-10  # residual over variance at which clean data are explained


class TermSamples(NamedTuple):
    """Points where the data lie and what the fitted term gives there.

    input_names: (q,) such as x_i, x_j, omega_i; points: (n, q), in the units of the data;
    values, error: {variable: (n,)}, rate of change and its standard error.
    """

    input_names: tuple[str, ...]
    points: np.ndarray
    values: dict[str, np.ndarray]
    error: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class NeuralFit:
    """Fitted neural terms.

    field: NeuralVectorField. residual: {variable: mean square of what is left of the samples,
    over their variance}.
    floor: the same, expected from noise alone. history: loss after each step. chi_square: per
    sample, of the trajectories after the solver stage, or None. Times in seconds.
    """

    field: Any
    residual: dict[str, float]
    floor: dict[str, float]
    history: list[float]
    chi_square: float | None
    compile_seconds: float
    run_seconds: float
    message: str
    _points: tuple[np.ndarray, np.ndarray] = field(repr=False)
    _covariance: tuple[np.ndarray, ...] = field(repr=False)
    _error_scale: np.ndarray = field(repr=False)

    def sample_terms(self, num_points: int = 500, seed: int = 0) -> tuple[TermSamples, TermSamples]:
        """Self term and interaction term at num_points points drawn from the data."""
        generator = np.random.default_rng(seed)
        with jax.enable_x64(True):
            mean, std = (np.asarray(v[...]) for v in (self.field.input_mean, self.field.input_std))
            names = (*self.field.variables, *self.field.feature_names)
            samples = []
            for number, sides in enumerate(("i", "ij")):
                inputs = self._points[number]
                inputs = inputs[generator.permutation(len(inputs))[:num_points]]
                values, error = _evaluate_term(self.field, number, inputs, self._covariance)
                error = error * self._error_scale[number][None, :]
                samples.append(
                    TermSamples(
                        tuple(f"{name}_{side}" for side in sides for name in names),
                        inputs * np.tile(std, len(sides)) + np.tile(mean, len(sides)),
                        dict(zip(self.field.variables, values.T, strict=True)),
                        dict(zip(self.field.variables, error.T, strict=True)),
                    )
                )
        return samples[0], samples[1]


class _Settings(NamedTuple):
    width: int
    ridge: float
    target: float
    deadline: float | None


class _Member(NamedTuple):
    history: list[float]
    message: str
    gram: np.ndarray
    residual: np.ndarray


def fit_neural_terms(
    data: GridData,
    network: Network,
    *,
    features: Sequence[str] | None = None,
    width: int = 24,
    hidden_steps: int = 60,
    ridge: float = 1e-12,
    solver_steps: int = 0,
    replicate_steps: int = 30,
    seed: int = 0,
    time_budget: float | None = None,
    budget: int = BUDGET,
    progress: Callable[[str, int, float], None] | None = None,
) -> NeuralFit:
    """Fit a neural self term and a neural interaction term to the samples of all runs.

    data: samples and smoothed states of all runs.
    features: node features that both terms read, all of the data's by default; "k" is the in-
    strength. width: hidden units of each term. hidden_steps: Levenberg-Marquardt steps on the
    hidden layers. solver_steps: steps of the finish through the differentiable solver, over all
    parameters and initial states. replicate_steps: steps of a second fit to other nodes, whose
    disagreement with the first calibrates the standard errors; 0 leaves it out. time_budget:
    seconds after which no step is begun. progress(stage, step, loss) is called after every step.
    Raises InputError for an unknown feature and when no node has all its senders observed.
    """
    started = time.perf_counter()
    names = tuple(data.features) if features is None else tuple(features)
    constants = _feature_columns(data, network, names)
    states = np.concatenate([s.T.reshape(-1, s.shape[0]) for s in data.states])
    stacked = np.concatenate([constants] * data.num_runs)
    mean = np.concatenate([states.mean(axis=0), stacked.mean(axis=0)])
    std = np.concatenate([states.std(axis=0), stacked.std(axis=0)])
    std = np.where(std > 1e-12 * (1.0 + np.abs(mean)), std, 1.0)
    num_variables = data.num_variables
    target_scale = std[:num_variables]
    maker = RowMaker(data, network, constants, mean, std, target_scale, budget, seed)
    if maker.num_series == 0:
        raise InputError(
            "No node is observed together with all its senders; observe more nodes, or drop the "
            "unobserved ones from the network."
        )
    floor = (data.noise / target_scale) ** 2
    settings = _Settings(
        width, ridge, float(np.sum(np.log(np.maximum(floor, SMALL_ENOUGH)))),
        None if time_budget is None else started + time_budget,
    )  # fmt: skip

    with jax.enable_x64(True):
        first = jax.tree.map(jnp.asarray, maker.batch(0))
        make = partial(NeuralVectorField, data.variables, names, mean, std, width)
        neural = make(jax.random.key(seed))
        compile_started = time.perf_counter()
        computed(moments, _hidden_of(neural), first)
        compile_seconds = time.perf_counter() - compile_started
        member = _fit_member(neural, maker, first, hidden_steps, settings, progress)
        points = (
            np.asarray(first.inputs).reshape(-1, first.inputs.shape[-1]),
            np.asarray(first.pair_inputs)[np.asarray(first.graph.edges) != 0].reshape(
                -1, first.pair_inputs.shape[-1]
            ),
        )
        replicate, worse = None, member
        if replicate_steps > 0:
            replicate = make(jax.random.key(seed + 1))
            other = jax.tree.map(jnp.asarray, maker.batch(min(1, maker.num_batches - 1)))
            second = _fit_member(replicate, maker, other, replicate_steps, settings, None)
            worse = second
            if np.prod(second.residual) < np.prod(member.residual):
                neural, replicate, member, worse = replicate, neural, second, member
        history, message = list(member.history), member.message
        gram, residual = member.gram, member.residual
        covariance = _readout_covariance(gram, ridge, residual, target_scale)
        error_scale = np.ones((2, num_variables))
        if replicate is not None:
            # a fit that explains more of the samples has its share of the disagreement
            share = member.residual / (member.residual + worse.residual + 1e-300)
            error_scale = _error_scale(neural, replicate, points, covariance, share, seed)
        chi_square = None
        if solver_steps > 0:
            finish = fit_through_solver(
                neural, data, network, gram, steps=solver_steps,
                deadline=None if time_budget is None else started + time_budget,
                progress=progress,
            )  # fmt: skip
            neural, chi_square = finish.field, finish.chi_square
            history += finish.history
            compile_seconds += finish.compile_seconds
    variables = data.variables
    return NeuralFit(
        field=neural,
        residual=dict(zip(variables, residual.tolist(), strict=True)),
        floor=dict(zip(variables, floor.tolist(), strict=True)),
        history=history,
        chi_square=chi_square,
        compile_seconds=compile_seconds,
        run_seconds=time.perf_counter() - started - compile_seconds,
        message=message,
        _points=points,
        _covariance=covariance,
        _error_scale=error_scale,
    )


def _feature_columns(data: GridData, network: Network, names: Sequence[str]) -> np.ndarray:
    """Features of the nodes, (node, feature)."""
    columns = []
    for name in names:
        if name == IN_STRENGTH:
            columns.append(network.in_strength)
        elif name in data.features:
            columns.append(data.features[name])
        else:
            known = ", ".join([*data.features, IN_STRENGTH])
            raise InputError(f"The runs have no node feature {name!r}; they have: {known}.")
    return np.stack(columns, axis=1) if columns else np.empty((network.num_nodes, 0))


def _hidden_of(neural: Any) -> Hidden:
    parts = (neural.self_part, neural.interaction_part)
    return tuple(np.asarray(p[...], float) for q in parts for p in (q.kernel, q.bias))  # type: ignore[return-value]


def _fit_member(
    neural: Any,
    maker: RowMaker,
    first: Rows,
    steps: int,
    settings: _Settings,
    progress: Callable[[str, int, float], None] | None,
) -> _Member:
    """Fit the hidden layers to one batch and the readouts to all batches of the maker; sets
    `neural`.
    """
    hidden, history, message = fit_hidden_layers(
        _hidden_of(neural), first, steps=steps, ridge=settings.ridge, target=settings.target,
        deadline=settings.deadline,
        after_step=None if progress is None else partial(progress, "hidden layers"),
    )  # fmt: skip
    parts = [
        jax.tree.map(np.asarray, computed(moments, hidden, b))
        for b in map(maker.batch, range(maker.num_batches))
    ]
    sums = Moments(*(sum(values) for values in zip(*parts, strict=True)))
    projection = project(sums, hidden, settings.ridge)
    num_variables = projection.readout.shape[1]
    target_scale = np.asarray(neural.input_std[...])[:num_variables]
    _set_parameters(neural, hidden, projection.readout * target_scale[None, :])
    size = len(projection.readout)
    return _Member(history, message, sums.gram[:size, :size], projection.residual)


def _evaluate_term(
    neural: Any, number: int, inputs: np.ndarray, covariance: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Values and standard errors (n, d) of the self term (0) or the interaction term (1)."""
    part = (neural.self_part, neural.interaction_part)[number]
    columns = np.asarray(part.basis(jnp.asarray(inputs)))
    first = number * neural.self_part.readout[...].shape[0]
    block = slice(first, first + columns.shape[1])
    variance = [np.sum((columns @ c[block, block]) * columns, axis=1) for c in covariance]
    return columns @ np.asarray(part.readout[...]), np.sqrt(np.maximum(np.stack(variance, 1), 0.0))


def _error_scale(
    neural: Any,
    replicate: Any,
    points: Sequence[np.ndarray],
    covariance: Sequence[np.ndarray],
    share: np.ndarray,
    seed: int,
) -> np.ndarray:
    """By how much the disagreement of two fits exceeds the standard errors, (2, d); never below
    one.
    """
    generator = np.random.default_rng(seed)
    scales = []
    for number in range(2):
        inputs = points[number]
        inputs = inputs[generator.permutation(len(inputs))[:CALIBRATION_POINTS]]
        if len(inputs) == 0:
            scales.append(np.ones(len(covariance)))
            continue
        values, error = _evaluate_term(neural, number, inputs, covariance)
        others, _ = _evaluate_term(replicate, number, inputs, covariance)
        difference = share * np.mean((values - others) ** 2, axis=0)
        scales.append(np.sqrt(difference / (np.mean(error**2, axis=0) + 1e-300)))
    return np.maximum(np.stack(scales), 1.0)


def _readout_covariance(
    gram: np.ndarray, ridge: float, residual: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Per variable, covariance (P, P) of the readouts in the units of the data."""
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.inv(gram / np.outer(size, size) + ridge * np.eye(len(gram)))
    inverse = inverse / np.outer(size, size)
    return tuple(inverse * r * s**2 for r, s in zip(residual, scale, strict=True))


def _set_parameters(neural: Any, hidden: Hidden, readout: np.ndarray) -> None:
    split = neural.self_part.readout[...].shape[0]
    for part, kernel, bias, weights in (
        (neural.self_part, hidden[0], hidden[1], readout[:split]),
        (neural.interaction_part, hidden[2], hidden[3], readout[split:]),
    ):
        part.kernel[...] = jnp.asarray(kernel)
        part.bias[...] = jnp.asarray(bias)
        part.readout[...] = jnp.asarray(weights)
