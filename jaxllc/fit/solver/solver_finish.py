"""Constants and initial states of a law through the differentiable solver, by Levenberg-Marquardt.

    min over constants c and initial states X:  sum (y - x(t; X, c))^2 / sigma^2

The trajectories are those of adaptive steps of diffrax, and their derivatives are carried forward with them.
The initial states of a run act on that run alone: they are eliminated by a Schur complement, as in the fit on
the grid (`trajectory_fit`), whose constants this meets where the steps of the grid are fine enough.
Source: forward sensitivities and single shooting (Bock 1983); Marquardt (1963).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxllc.fit.bounded_step import room
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.levenberg import Damping, State, judged
from jaxllc.fit.solver.solver_program import Evaluated, SolverProgram
from jaxllc.fit.trajectory_fit import TrajectoryFit, covariance_of
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.running.time_limit import time_is_over

_DAMPING = Damping(1e-6, eased_by=10.0, raised_by=10.0, smallest=1e-12, least_raised=1e-4, tries=8)
# By how much the constants of another start are moved, relative to their size; inner ones in logarithms.
_SPREAD = 0.3


class _Point(NamedTuple):
    """A law, initial states (run, node, variable), and what the solver says of them."""

    law: CandidateLaw
    initial: np.ndarray
    found: Evaluated

    @property
    def merit(self) -> float:
        return self.found.normal.merit


@dataclass
class _Start:
    """A fit from one start. tried: steps that were no better, since the last one that was."""

    state: State[_Point]
    tried: int = 0
    taken: int = 0
    converged: bool = False

    def proposed(self) -> tuple[CandidateLaw, np.ndarray] | None:
        """Where the next step leads; None where the normal equations have no solution."""
        here = self.state.point
        try:
            change, moves, _ = here.found.normal.step(self.state.damping, room(here.law))
        except np.linalg.LinAlgError:
            return None
        initial = here.initial
        if len(moves):
            initial = initial + moves.reshape(initial.shape)
        return here.law.with_vector(here.law.vector() + change), initial

    def judge(self, there: _Point | None, negligible: float) -> None:
        """Take the step if it is better; the fit has converged where it gains next to nothing."""
        before = self.state.point.merit
        better = there is not None and there.merit < before
        self.state = judged(self.state, there, better, _DAMPING)
        if better:
            self.tried, self.taken = 0, self.taken + 1
            self.converged = before - self.state.point.merit < negligible
        else:
            self.tried += 1
            self.converged = self.tried >= _DAMPING.tries


def finish_through_solver(
    problem: TrajectoryProblem,
    fit: TrajectoryFit,
    steps: int = 12,
    tolerance: float = 1e-3,
    dtype: Any = np.float64,
    *,
    shared: bool = False,
    restarts: int = 0,
    seed: int = 0,
    devices: Sequence[Any] | None = None,
) -> TrajectoryFit:
    """A fit with its constants, initial states and covariance finished through the solver.

    fit: on the grid, with its covariance. tolerance: gain of chi-squared, in units of what a sample leaves,
    at which the steps end. dtype: float64, or float32 for devices without it. shared: by the program of all
    laws, which is compiled once. restarts: other starts of the constants, in one program, where the steps do
    not converge; the best is kept. devices: that share starts and runs, by default all local ones.
    The fit comes back as it is where its trajectories cannot be followed.
    """
    dtype = np.dtype(dtype)
    with jax.enable_x64(dtype == np.float64):
        program = SolverProgram(problem, fit.law, dtype, shared, devices)
        grid = fit.states.reshape(problem.samples.shape)
        initial = grid[..., 0].transpose(2, 1, 0)
        best = _fitted(problem, program, [fit.law], initial, steps, tolerance)
        if restarts and not (best is not None and best.converged):
            others = [fit.law.with_vector(vector) for vector in _elsewhere(fit.law, restarts, seed)]
            other = _fitted(problem, program, others, initial, steps, tolerance)
            if best is None or (
                other is not None and other.state.point.merit < best.state.point.merit
            ):
                best = other
    if best is None:
        return fit
    return _finished(problem, fit, best.state.point, best.converged, program.free)


def _elsewhere(law: CandidateLaw, count: int, seed: int) -> np.ndarray:
    """Constants near those of a law, (start, constant)."""
    vector = law.vector()
    _, linear = law.owners()
    moves = _SPREAD * np.random.default_rng([seed, 30]).standard_normal((count, len(vector)))
    return vector + moves * np.where(linear, np.abs(vector), 1.0)


def _fitted(
    problem: TrajectoryProblem,
    program: SolverProgram,
    laws: Sequence[CandidateLaw],
    initial: np.ndarray,
    steps: int,
    tolerance: float,
) -> _Start | None:
    """The best fit from some starts, each step of all of them at once; None where none can be followed."""

    def points(places: Sequence[tuple[CandidateLaw, np.ndarray]]) -> list[_Point]:
        vectors = np.stack([law.vector() for law, _ in places])
        found = program.at(vectors, np.stack([states for _, states in places]))
        return [_Point(*place, one) for place, one in zip(places, found, strict=True)]

    starts = [
        _Start(State(point, _DAMPING.start))
        for point in points([(law.within_bounds(), initial) for law in laws])
        if np.isfinite(point.merit)
    ]
    samples = max(float(problem.counts.sum()), 1.0)
    while not time_is_over(0.0):
        moving = [s for s in starts if not s.converged and s.taken < steps]
        if not moving:
            break
        # Those that stand still are evaluated where they are: another number would be another program.
        places = [s.proposed() if s in moving else None for s in starts]
        stay = [(s.state.point.law, s.state.point.initial) for s in starts]
        found = points([there or here for there, here in zip(places, stay, strict=True)])
        for start, place, point in zip(starts, places, found, strict=True):
            if start in moving:
                left = start.state.point.merit / samples
                start.judge(point if place is not None else None, tolerance * min(left, 1.0))
    return min(starts, key=lambda s: s.state.point.merit, default=None)


def _finished(
    problem: TrajectoryProblem, fit: TrajectoryFit, point: _Point, converged: bool, free: bool
) -> TrajectoryFit:
    states = point.found.states.transpose(3, 2, 0, 1).copy()
    for r, steps in enumerate(problem.steps):
        length = 1 + int(np.count_nonzero(steps))
        states[:, :, r, length:] = states[:, :, r, length - 1 : length]
    flat = states.reshape(fit.states.shape)
    # Where initial states were held, the equations here know nothing of their part in the errors.
    covariance = covariance_of(problem, point.law, point.found.normal) if free else fit.covariance
    return replace(
        fit,
        law=point.law,
        states=flat,
        squared_residual=problem.squared_residual(flat),
        covariance=covariance,
        converged=converged,
    )
