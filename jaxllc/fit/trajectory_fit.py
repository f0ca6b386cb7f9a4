"""Trajectory fit: constants and all initial states of a law from the raw samples, by Levenberg-Marquardt.

    min over constants c and states X:  sum (y - X)^2 / sigma^2   such that   X_{k+1} = flow_k(X_k; c)

The states on the whole time grid are variables of their own (lifted Newton method, Albersmeyer and Diehl
2010), started from the smoothed states, so that all steps of the flow and all derivatives are evaluated side
by side, and a bistable or chaotic system does not run away.  Condensing leaves initial states and constants;
the initial states are eliminated by a Schur complement.  Linearised steps need only be right to first order:
at convergence the flow itself, not its linearisation, is what meets the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxllc.dynamics.terms import Term
from jaxllc.fit.bounded_step import on_bound, room
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.condensing import FULL, KNOWN, OWN, Linearisation, close, linearise, propagate
from jaxllc.fit.levenberg import Damping, State, accepted
from jaxllc.fit.normal_equations import Normal
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.running.time_limit import check_time, time_is_over

# States above which initial states act on their own node only: while choosing, and for the final fit.
_LARGEST_FULL = 400
_LARGEST_FULL_EXACT = 400
# A step that fails is damped at once as much as matters.
_DAMPING = Damping(1e-6, eased_by=10.0, raised_by=30.0, smallest=1e-9, least_raised=1e-4, tries=5)
# Candidates of a score test that are linearised together; numbers in their columns at one time, and at all.
_SMALLEST_CHUNK = 120
_CHUNK_SIZE = 400_000
_LARGEST_CHUNK = 10_000_000


@dataclass(frozen=True)
class TrajectoryFit:
    """A law fitted to the samples.

    states: (variable, node, run * grid time); squared_residual: (equation,) in units of the data squared;
    covariance: of `law.vector()`; converged: whether the last step changed the fit less than the tolerance.
    line: the linearisation around an exact fit, else None.
    """

    law: CandidateLaw
    states: np.ndarray
    squared_residual: np.ndarray
    covariance: np.ndarray | None
    converged: bool
    iterations: int
    line: Linearisation | None = None

    @property
    def finite(self) -> bool:
        return bool(np.all(np.isfinite(self.squared_residual)))


def mode_of(problem: TrajectoryProblem, exact: bool = False) -> str:
    """How the initial states are condensed: see `condensing`."""
    if problem.initial_known and not exact:
        return KNOWN
    return FULL if problem.dimension <= (_LARGEST_FULL_EXACT if exact else _LARGEST_FULL) else OWN


def screen(
    problem: TrajectoryProblem, law: CandidateLaw, states: np.ndarray | None = None
) -> float:
    """Squared weighted residual that one Gauss-Newton step predicts for a law."""
    check_time()
    states = problem.smoothed if states is None else states
    with np.errstate(all="ignore"):
        line = linearise(problem, law, states, mode_of(problem))
        if not np.isfinite(line.normal.merit) or not np.all(np.isfinite(line.normal.constants)):
            return np.inf
        try:
            return line.normal.step(1e-6, room(law))[2]
        except np.linalg.LinAlgError:
            return np.inf


def fit_trajectories(
    problem: TrajectoryProblem,
    law: CandidateLaw,
    states: np.ndarray | None = None,
    iterations: int = 8,
    tolerance: float = 1e-3,
    exact: bool = False,
) -> TrajectoryFit:
    """Fit the constants and initial states of a law; `exact` adds the covariance of its constants.

    tolerance: relative change of chi-squared at which the fit of a law has converged that leaves more than
        the noise; one that explains the samples is fitted to a tenth of a unit of the criterion. Where the
        time of a search is over no further iteration is begun.
    """
    states = problem.smoothed if states is None else states
    mode = mode_of(problem, exact)
    samples = float(problem.counts.sum())
    converged, iteration = False, 0
    with np.errstate(all="ignore"):
        defects = problem.defects(law, states)
        state = State(_Point(law, states, defects, np.inf), _DAMPING.start)
        line = None
        for iteration in range(1, iterations + 1):
            check_time()
            if iteration > 1 and time_is_over(0.0):
                break
            line = linearise(problem, law, states, mode, defects=defects)
            if not np.isfinite(line.normal.merit) or not np.all(np.isfinite(line.normal.constants)):
                infinite = np.full(len(problem.noise), np.inf)
                return TrajectoryFit(law, states, infinite, None, False, iteration)
            after = accepted(state, partial(_better_point, problem, state.point, line), _DAMPING)
            if after is None:
                converged = _stationary(
                    line, law, _negligible(line.normal.merit, samples, tolerance)
                )
                break
            state = after
            law, states, defects, merit = state.point
            if line.normal.merit - merit < _negligible(merit, samples, tolerance):
                converged = True
                break
        assert line is not None
        closed = close(problem, line, states, defects)
        around = linearise(problem, law, closed, mode) if exact else None
        covariance = None if around is None else covariance_of(problem, law, around.normal)
    residual = problem.squared_residual(closed)
    residual = np.where(np.isfinite(residual), residual, np.inf)
    return TrajectoryFit(law, closed, residual, covariance, converged, iteration, around)


def _negligible(merit: float, samples: float, tolerance: float) -> float:
    """Gain of a step that does not matter.

    Where a law explains the samples, a tenth of a unit of the criterion n ln(chi2 / n), in which laws are
    compared; elsewhere a share of chi-squared.
    """
    if merit < 2 * samples:
        return 0.1 * max(merit / samples, 1e-3)
    return tolerance * merit


def _stationary(line: Linearisation, law, negligible: float) -> bool:
    """Whether no step promises more than a negligible gain."""
    try:
        predicted = line.normal.step(1e-6, room(law))[2]
    except np.linalg.LinAlgError:
        return False
    return line.normal.merit - predicted < negligible


class _Point(NamedTuple):
    """A law, states beside it, how far these miss its flow, and the squared weighted residual once closed."""

    law: CandidateLaw
    states: np.ndarray
    defects: np.ndarray
    merit: float


def _better_point(
    problem: TrajectoryProblem, point: _Point, line: Linearisation, damping: float
) -> _Point | None:
    """Where a damped step leads; None where it does not lower the merit."""
    try:
        change, initial, _ = line.normal.step(damping, room(point.law))
    except np.linalg.LinAlgError:
        return None
    law = point.law.with_vector(point.law.vector() + change)
    states = point.states + propagate(problem, line, change, initial)
    defects = problem.defects(law, states)
    largest = 1e6 * np.abs(problem.samples).max()
    if np.all(np.isfinite(defects)) and np.abs(defects).max() < largest:
        rest = problem.weighted_residual(close(problem, line, states, defects))
        merit = float((rest**2).sum())
        if merit <= line.normal.merit * (1 + 1e-9) + 1e-12:
            return _Point(law, states, defects, merit)
    return None


def covariance_of(problem: TrajectoryProblem, law: CandidateLaw, normal: Normal) -> np.ndarray:
    """Covariance of the constants from the reduced normal matrix, the noise from the residual.

    A constant on its bound is taken as given there, and has no variance (nan).
    """
    reduced = normal.reduced()[1]
    initial_states = len(problem.variables) * len(problem.free) * problem.num_runs
    freedom = max(problem.counts.sum() - initial_states - law.num_constants, 1.0)
    if not np.all(np.isfinite(reduced)):
        return np.full(reduced.shape, np.inf)
    bound = on_bound(law)
    if bound.any():
        free, whole = np.flatnonzero(~bound), np.full(reduced.shape, np.nan)
        whole[np.ix_(free, free)] = _inverted(reduced[np.ix_(free, free)], normal.merit / freedom)
        return whole
    return _inverted(reduced, normal.merit / freedom)


def _inverted(reduced: np.ndarray, variance: float) -> np.ndarray:
    scale = np.sqrt(np.maximum(np.diag(reduced), 1e-300))
    inverse = np.linalg.pinv(reduced / scale[:, None] / scale[None], rcond=1e-13)
    return variance * inverse / scale[:, None] / scale[None]


def information(problem: TrajectoryProblem, law: CandidateLaw, states: np.ndarray) -> np.ndarray:
    """Fisher information of `law.vector()`, initial states eliminated, (constant, constant)."""
    check_time()
    with np.errstate(all="ignore"):
        return linearise(problem, law, states, mode_of(problem)).normal.reduced()[1]


def score_test(
    problem: TrajectoryProblem,
    law: CandidateLaw,
    states: np.ndarray,
    candidates: Sequence[Term],
    chunk: int | None = None,
) -> list[tuple[float, float, int, Term]]:
    """Gain in chi-squared, coefficient, equation and term of each candidate added to a law, best first.

    Source: Rao's score test, initial states and the law's own constants projected out.
    """
    extra = [(o, t) for o in range(len(problem.variables)) for t in candidates]
    own = law.num_constants
    if chunk is None:
        # The law's own part is done anew for each chunk, but large arrays leave the processor's cache.
        rows = problem.num_runs * problem.dimension
        chunk = max(_SMALLEST_CHUNK, int(min(_CHUNK_SIZE / rows, _LARGEST_CHUNK / states[0].size)))
    results = []
    for start in range(0, len(extra), chunk):
        check_time()
        part = extra[start : start + chunk]
        with np.errstate(all="ignore"):
            line = linearise(problem, law, states, mode_of(problem), part)
            _, reduced, gradient = line.normal.reduced()
        rest, slope, scale = _projected(reduced, gradient, own)
        for (o, term), d, g, s in zip(part, rest, slope, scale, strict=True):
            if d > 1e-7:
                results.append((float(g * g / d), float(g / d / s), o, term))
    return sorted(results, key=lambda r: -r[0])


def _projected(reduced: np.ndarray, gradient: np.ndarray, own: int):
    """Curvature and slope of the constants after the first `own`, which are projected out; and the scale."""
    diagonal = np.diag(reduced)
    usable = (
        np.isfinite(diagonal) & np.isfinite(gradient) & (diagonal > 1e-200) & (diagonal < 1e200)
    )
    scale = np.sqrt(np.where(usable, diagonal, 1.0))
    known = usable[:, None] & usable[None]
    reduced = np.where(known, np.nan_to_num(reduced), 0.0) / scale[:, None] / scale[None]
    gradient = np.where(usable, gradient, 0.0) / scale
    right = np.concatenate([reduced[:own, own:], gradient[:own, None]], axis=1)
    solved = np.linalg.lstsq(reduced[:own, :own], right, rcond=1e-12)[0]
    rest = np.diag(reduced)[own:] - (reduced[:own, own:] * solved[:, :-1]).sum(axis=0)
    return rest, gradient[own:] - reduced[own:, :own] @ solved[:, -1], scale[own:]
