"""Constants and initial states of a law through the differentiable solver, by Levenberg-Marquardt.

    min over constants c and initial states X:  sum (y - x(t; X, c))^2 / sigma^2

The trajectories are those of adaptive steps of diffrax, and their derivatives are carried forward with them.
The initial states of a run act on that run alone: they are eliminated by a Schur complement, as in the fit on
the grid (`trajectory_fit`), whose constants this meets where the steps of the grid are fine enough.
Source: forward sensitivities and single shooting (Bock 1983); Marquardt (1963).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.message_passing import Graph, graph_of
from jaxllc.dynamics.candidate_field import CandidateField, candidate_field
from jaxllc.dynamics.integrate import solve
from jaxllc.fit.bounded_step import room
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.levenberg import Damping, State, accepted
from jaxllc.fit.normal_equations import Normal
from jaxllc.fit.trajectory_fit import TrajectoryFit, covariance_of
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.running.time_limit import time_is_over
from jaxllc.running.waiting import computed

# Numbers in the state of a run above which the initial states of the fit on the grid are kept.
LARGEST = 400
MAX_STEPS = 4096
# Steps of the times that a shorter run is padded by, relative to its length.
_PADDING = 1e-4
_DAMPING = Damping(1e-6, eased_by=10.0, raised_by=10.0, smallest=1e-12, least_raised=1e-4, tries=8)
# Tolerances of the steps, for float64 and for float32.
_TOLERANCES = {"float64": (1e-9, 1e-11), "float32": (1e-5, 1e-7)}


class _Runs(NamedTuple):
    """The samples of one run: times (T,), values and weights (T, N, d)."""

    times: np.ndarray
    samples: np.ndarray
    weights: np.ndarray


class _Point(NamedTuple):
    """normal: equations there, a block for the initial states of each run."""

    law: CandidateLaw
    initial: tuple[np.ndarray, ...]
    normal: Normal


def finish_through_solver(
    problem: TrajectoryProblem,
    fit: TrajectoryFit,
    steps: int = 12,
    tolerance: float = 1e-3,
    dtype: Any = np.float64,
) -> TrajectoryFit:
    """A fit with its constants, initial states and covariance finished through the solver.

    fit: on the grid, with its covariance. tolerance: gain of chi-squared, in units of what a sample leaves,
    at which the steps end. dtype: float64, or float32 for devices without it. The fit comes back as it is
    where its trajectories cannot be followed.
    """
    law, dtype = fit.law, np.dtype(dtype)
    field = candidate_field(problem.variables, tuple(problem.features), law.terms, law.vector())
    graph = graph_of(problem.network, problem.features)
    runs = _runs_of(problem)
    grid = fit.states.reshape(problem.samples.shape)
    starts = tuple(grid[:, :, r, 0].T for r in range(problem.num_runs))
    free = problem.dimension <= LARGEST

    def at(law: CandidateLaw, initial: tuple[np.ndarray, ...]) -> _Point:
        there = field_with(field, law.vector())
        parts = [
            computed(program, *_cast((there, graph, x, *run), dtype))
            for x, run in zip(initial, runs, strict=True)
        ]
        return _Point(law, initial, _summed(parts, free))

    def stepped(here: _Point, damping: float) -> _Point | None:
        try:
            change, moves, _ = here.normal.step(damping, room(here.law))
        except np.linalg.LinAlgError:
            return None
        initial = here.initial
        if free:
            initial = tuple(x + m.reshape(x.shape) for x, m in zip(initial, moves, strict=True))
        there = at(here.law.with_vector(here.law.vector() + change), initial)
        return there if there.normal.merit < here.normal.merit else None

    with jax.enable_x64(dtype == np.float64):
        program = _normal_program(free, dtype.name)
        point = at(law, starts)
        if not np.isfinite(point.normal.merit):
            return fit
        state, converged = State(point, _DAMPING.start), False
        for _ in range(steps):
            if time_is_over(0.0):
                break
            before = state.point.normal.merit
            found = accepted(state, partial(stepped, state.point), _DAMPING)
            if found is None:
                converged = True
                break
            state = found
            left = before / max(float(problem.counts.sum()), 1.0)
            if before - state.point.normal.merit < tolerance * min(left, 1.0):
                converged = True
                break
        return _finished(problem, fit, field, graph, state.point, converged, dtype)


def _summed(parts: Sequence[Normal], free: bool) -> Normal:
    """The normal equations of all runs; without blocks where initial states are not free."""
    host = [Normal(*jax.tree.map(lambda x: np.asarray(x, dtype=float), part)) for part in parts]
    count = len(host[0].gradient)
    blocks, mixed, slopes = (np.zeros(shape) for shape in ((0, 0, 0), (0, 0, count), (0, 0)))
    if free:
        blocks = np.stack([n.blocks for n in host])
        mixed = np.stack([n.mixed for n in host])
        slopes = np.stack([n.gradient_initial for n in host])
    constants = np.sum([n.constants for n in host], axis=0)
    gradient = np.sum([n.gradient for n in host], axis=0)
    return Normal(blocks, mixed, constants, slopes, gradient, float(sum(n.merit for n in host)))


def field_with(field: CandidateField, vector: Any) -> CandidateField:
    """The field with other constants."""
    return jax.tree.unflatten(jax.tree.structure(field), [vector])


def _cast(tree: Any, dtype: np.dtype) -> Any:
    def one(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        return leaf.astype(dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf

    return jax.tree.map(one, tree)


def _runs_of(problem: TrajectoryProblem) -> list[_Runs]:
    """The samples of all runs, of one length: times after the end of a shorter one count for nothing."""
    longest, runs = max(len(where) for where in problem.sample_index), []
    for r, where in enumerate(problem.sample_index):
        times = _grid_times(problem, r)[where]
        more = longest - len(where)
        after = times[-1] + (times[-1] - times[0]) * _PADDING * np.arange(1, more + 1)
        samples, weights = (
            np.pad(values[:, :, r, where], ((0, 0), (0, 0), (0, more))).transpose(2, 1, 0)
            for values in (problem.samples, problem.weight)
        )
        runs.append(_Runs(np.concatenate([times, after]), samples, weights))
    return runs


def _grid_times(problem: TrajectoryProblem, run: int) -> np.ndarray:
    """Times of the grid of a run from its start; the last one again where a longer run has more."""
    return np.concatenate([[0.0], np.cumsum(problem.steps[run])])


def _followed(field: Any, graph: Graph, initial: Any, times: Any, precision: str) -> jax.Array:
    import diffrax

    rtol, atol = _TOLERANCES[precision]
    found = solve(
        field, graph, initial, times, rtol=rtol, atol=atol, max_steps=MAX_STEPS,
        adjoint=diffrax.ForwardMode(),
    )  # fmt: skip
    return found.states


@lru_cache(maxsize=8)
def _normal_program(free: bool, precision: str) -> Any:
    """Compiled: residuals and their derivatives by constants and, if `free`, initial states, as products."""

    @jax.jit
    def normal(field, graph, initial, times, samples, weights):
        shape = initial.shape

        def residual(vector, start):
            states = _followed(
                field_with(field, vector), graph, start.reshape(shape), times, precision
            )
            return ((samples - states) * weights).ravel()

        start, vector = initial.ravel(), field.vector
        rest = residual(vector, start)
        by_vector = jax.jacfwd(residual, 0)(vector, start)
        if free:
            by_start = jax.jacfwd(residual, 1)(vector, start)
        else:
            by_start = jnp.zeros((len(rest), 0), rest.dtype)
        merit = rest @ rest
        return Normal(
            by_start.T @ by_start,
            by_start.T @ by_vector,
            by_vector.T @ by_vector,
            -(by_start.T @ rest),
            -(by_vector.T @ rest),
            jnp.where(jnp.isfinite(merit), merit, jnp.inf),
        )

    return normal


def _finished(
    problem: TrajectoryProblem,
    fit: TrajectoryFit,
    field: CandidateField,
    graph: Graph,
    point: _Point,
    converged: bool,
    dtype: np.dtype,
) -> TrajectoryFit:
    found_field = field_with(field, point.law.vector())
    states = np.empty(problem.samples.shape)
    follow = _follow_program(dtype.name)
    for r, initial in enumerate(point.initial):
        length = 1 + int(np.count_nonzero(problem.steps[r]))
        times = _grid_times(problem, r)
        times[length:] += times[length - 1] * _PADDING * np.arange(1, len(times) - length + 1)
        arguments = _cast((found_field, graph, initial, times), dtype)
        found = np.array(computed(follow, *arguments)).transpose(2, 1, 0)
        found[..., length:] = found[..., length - 1 : length]
        states[:, :, r] = found
    flat = states.reshape(fit.states.shape)
    return replace(
        fit,
        law=point.law,
        states=flat,
        squared_residual=problem.squared_residual(flat),
        covariance=covariance_of(problem, point.law, point.normal),
        converged=converged,
    )


@lru_cache(maxsize=4)
def _follow_program(precision: str) -> Any:
    return jax.jit(
        lambda field, graph, initial, times: _followed(field, graph, initial, times, precision)
    )
