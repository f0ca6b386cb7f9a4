"""Constants and initial states of a law through the differentiable solver, by Levenberg-Marquardt.

    min over constants c and initial states X:  sum (y - x(t; X, c))^2 / sigma^2

The trajectories are those of adaptive steps of diffrax, and their derivatives are carried forward with them.
The initial states of a run act on that run alone: they are eliminated by a Schur complement, as in the fit on
the grid (`trajectory_fit`), whose constants this meets where the steps of the grid are fine enough.
Source: forward sensitivities and single shooting (Bock 1983); Marquardt (1963).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxllc.data.message_passing import Graph, graph_of
from jaxllc.dynamics.candidate_field import CandidateField, candidate_field
from jaxllc.dynamics.integrate import solve
from jaxllc.fit.levenberg import Damping, State, accepted
from jaxllc.fit.trajectory_fit import TrajectoryFit
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


class _Normal(NamedTuple):
    """Normal equations of constants (c) and initial states (s) of one run."""

    merit: Any
    constants: Any
    mixed: Any
    initial: Any
    gradient: Any
    gradient_initial: Any


class _Point(NamedTuple):
    vector: np.ndarray
    initial: tuple[np.ndarray, ...]
    normals: tuple[_Normal, ...]

    @property
    def merit(self) -> float:
        return float(sum(n.merit for n in self.normals))


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

    def at(vector: np.ndarray, initial: tuple[np.ndarray, ...]) -> _Point:
        normals = tuple(
            _Normal(
                *map(
                    np.asarray,
                    computed(program, *_cast((field_with(field, vector), graph, x, *run), dtype)),
                )
            )
            for x, run in zip(initial, runs, strict=True)
        )
        return _Point(vector, initial, normals)

    with jax.enable_x64(dtype == np.float64):
        program = _normal_program(free, dtype.name)
        point = at(law.vector(), starts)
        if not np.isfinite(point.merit):
            return fit
        state, converged = State(point, _DAMPING.start), False
        low, high = law.limits()
        for _ in range(steps):
            if time_is_over(0.0):
                break

            def proposed(damping: float, here: _Point = state.point) -> _Point | None:
                change, moves = _step(here, damping)
                vector = np.clip(here.vector + change, low, high)
                initial = tuple(
                    x + m.reshape(x.shape) if m.size else x
                    for x, m in zip(here.initial, moves, strict=True)
                )
                there = at(vector, initial)
                return there if there.merit < here.merit else None

            before = state.point.merit
            found = accepted(state, proposed, _DAMPING)
            if found is None:
                converged = True
                break
            state = found
            left = before / max(float(problem.counts.sum()), 1.0)
            if before - state.point.merit < tolerance * min(left, 1.0):
                converged = True
                break
        return _finished(problem, fit, field, graph, state.point, converged, dtype)


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
        times = np.concatenate([[0.0], np.cumsum(problem.steps[r])])[where]
        more = longest - len(where)
        after = times[-1] + (times[-1] - times[0]) * _PADDING * np.arange(1, more + 1)
        samples, weights = (
            np.pad(values[:, :, r, where], ((0, 0), (0, 0), (0, more))).transpose(2, 1, 0)
            for values in (problem.samples, problem.weight)
        )
        runs.append(_Runs(np.concatenate([times, after]), samples, weights))
    return runs


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
        return _Normal(
            jnp.where(jnp.isfinite(merit), merit, jnp.inf),
            by_vector.T @ by_vector,
            by_start.T @ by_vector,
            by_start.T @ by_start,
            -(by_vector.T @ rest),
            -(by_start.T @ rest),
        )

    return normal


def _step(point: _Point, damping: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Change of the constants, and of the initial states of each run."""
    reduced, gradient, solved = _reduced(point, damping)
    scale = np.sqrt(np.maximum(np.diag(reduced), 1e-300))
    scaled = reduced / scale[:, None] / scale[None]
    scaled = scaled + damping * np.eye(len(scaled))
    change = np.linalg.lstsq(scaled, gradient / scale, rcond=1e-13)[0] / scale
    return change, [s[:, -1] - s[:, :-1] @ change for s in solved]


def _reduced(
    point: _Point, damping: float
) -> tuple[
    Float[np.ndarray, "constant constant"], Float[np.ndarray, " constant"], list[np.ndarray]
]:
    """Normal matrix and gradient of the constants, initial states eliminated, and these blocks solved."""
    matrix = sum(n.constants.astype(float) for n in point.normals)
    gradient = sum(n.gradient.astype(float) for n in point.normals)
    solved = []
    for n in point.normals:
        size = len(n.initial)
        right = np.concatenate([n.mixed, n.gradient_initial[:, None]], axis=1).astype(float)
        if size:
            diagonal = np.diag(n.initial).astype(float)
            block = n.initial + np.diag(damping * diagonal + 1e-13 * diagonal.mean() + 1e-300)
            right = np.linalg.solve(block, right)
            matrix = matrix - n.mixed.T @ right[:, :-1]
            gradient = gradient - n.mixed.T @ right[:, -1]
        solved.append(right)
    return np.asarray(matrix), np.asarray(gradient), solved


def _finished(
    problem: TrajectoryProblem,
    fit: TrajectoryFit,
    field: CandidateField,
    graph: Graph,
    point: _Point,
    converged: bool,
    dtype: np.dtype,
) -> TrajectoryFit:
    law = fit.law.with_vector(point.vector)
    states = np.empty(problem.samples.shape)
    follow = _follow_program(dtype.name)
    for r, (initial, steps) in enumerate(zip(point.initial, problem.steps, strict=True)):
        length = 1 + int(np.count_nonzero(steps))
        times = np.concatenate([[0.0], np.cumsum(steps)])
        times[length:] += times[length - 1] * _PADDING * np.arange(1, len(times) - length + 1)
        arguments = _cast((field_with(field, point.vector), graph, initial, times), dtype)
        found = np.array(computed(follow, *arguments)).transpose(2, 1, 0)
        found[..., length:] = found[..., length - 1 : length]
        states[:, :, r] = found
    flat = states.reshape(fit.states.shape)
    covariance = fit.covariance
    if covariance is not None and covariance.size:
        reduced = _reduced(point, 0.0)[0]
        freedom = problem.counts.sum() - problem.dimension * problem.num_runs - law.num_constants
        scale = np.sqrt(np.maximum(np.diag(reduced), 1e-300))
        inverse = np.linalg.pinv(reduced / scale[:, None] / scale[None], rcond=1e-13)
        found = point.merit / max(float(freedom), 1.0) * inverse / scale[:, None] / scale[None]
        # A constant on its bound is taken as given there.
        covariance = np.where(np.isnan(covariance), np.nan, found)
    return replace(
        fit,
        law=law,
        states=flat,
        squared_residual=problem.squared_residual(flat),
        covariance=covariance,
        converged=converged,
    )


@lru_cache(maxsize=4)
def _follow_program(precision: str) -> Any:
    return jax.jit(
        lambda field, graph, initial, times: _followed(field, graph, initial, times, precision)
    )
