"""Whether the samples object to nice numbers: the law is fitted anew with its constants set.

The test of `law.snapping` stands on the covariance of the fit, the curvature at one point.  Where a law is
not linear in its constants over a standard error, the samples themselves may say otherwise: here they are
asked, by the criterion that chose the law and by the same limit on chi-squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxllc.fit.bounded_step import on_bound
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.condensing import FULL, OWN, close, linearise, propagate
from jaxllc.fit.trajectory_fit import TrajectoryFit
from jaxllc.judge.judge import Judge
from jaxllc.knowledge.forcing_terms import written_constants
from jaxllc.law.record import Constant, Snapping
from jaxllc.law.snapping import snapping_of
from jaxllc.smoothing.gauge import undetermined_constants

_STEPS = 4
# States above which initial states act on their own node only, as in the last fit.
_LARGEST_FULL = 400
# What the solver and the end of a fit may add to chi-squared, beside what the test allows.
_SLACK = 0.2


def checked_numbers(
    judge: Judge,
    fit: TrajectoryFit,
    constants: Sequence[Constant],
    covariance: np.ndarray | None,
) -> Snapping | None:
    """The numbers that the samples do not object to, with the other constants fitted anew.

    constants: those that a law shows, without the ones of a forcing; covariance: of all.

    Fewer of them are tried where the samples object to all; none are set where a constant is not determined,
    since the data object to no value of such a one. None where nothing can be asked.
    """
    if covariance is None or not len(constants):
        return None
    variables = judge.problem.variables
    own = np.flatnonzero(written_constants(fit.law.terms))
    covariance = covariance[np.ix_(own, own)]
    none = Snapping(np.array([c.value for c in constants]), covariance, {}, {}, 0.0, 0.0)
    if not _all_determined(fit, constants):
        return none
    most: int | None = None
    while most is None or most > 0:
        found = snapping_of(constants, covariance, variables, most)
        if not found.count:
            return none
        if (agreed := _refitted(judge, fit, _among_all(found, own, fit.law))) is not None:
            return _among_own(agreed, own)
        most = found.count // 2
    return none


def _among_all(found: Snapping, own: np.ndarray, law: CandidateLaw) -> Snapping:
    """What is said of some constants, with their places among all of a law."""
    values = law.values()
    values[own] = found.values
    return replace(
        found,
        values=values,
        exact={int(own[k]): number for k, number in found.exact.items()},
        tied={int(own[k]): (int(own[head]), sign) for k, (head, sign) in found.tied.items()},
    )


def _among_own(found: Snapping, own: np.ndarray) -> Snapping:
    """The same with places among these constants alone."""
    place = {int(k): p for p, k in enumerate(own)}
    return replace(
        found,
        values=found.values[own],
        exact={place[k]: number for k, number in found.exact.items()},
        tied={place[k]: (place[head], sign) for k, (head, sign) in found.tied.items()},
    )


def _all_determined(fit: TrajectoryFit, constants: Sequence[Constant]) -> bool:
    values = np.array([c.value for c in constants])
    errors = np.array([c.standard_error for c in constants])
    free = ~on_bound(fit.law)[written_constants(fit.law.terms)]
    return bool(
        np.all(np.isfinite(errors[free])) and not undetermined_constants(values, errors).any()
    )


def _refitted(judge: Judge, fit: TrajectoryFit, found: Snapping) -> Snapping | None:
    """The numbers with what they really cost and the rest fitted, where the law is as good, else None."""
    merit, law = _constrained_fit(judge, fit, found)
    count = fit.law.num_constants
    before = judge.merit(fit) / judge.num_samples + judge.floor_ratio
    after = merit / judge.num_samples + judge.floor_ratio
    rise = judge.num_samples * (after / before - 1)
    worse = judge.criterion(merit, count - found.count) > judge.criterion(judge.merit(fit), count)
    if not np.isfinite(merit) or worse or rise > found.limit * (1 + _SLACK) + _SLACK:
        return None
    # What is kept as a logarithm is a number again.
    return replace(found, values=_imposed(law.values(), found), chi_squared=max(rise, 0.0))


def _constrained_fit(
    judge: Judge, fit: TrajectoryFit, found: Snapping
) -> tuple[float, CandidateLaw]:
    """Chi-squared and law after a few Gauss-Newton steps of the free constants and of initial states."""
    problem = judge.problem
    mode = FULL if problem.dimension <= _LARGEST_FULL else OWN
    law, states = _with_values(fit.law, found.values, found), fit.states
    best = np.inf, law
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            defects = problem.defects(law, states)
            line = linearise(problem, law, states, mode, defects=defects)
            if not np.isfinite(line.normal.merit) or not np.all(np.isfinite(line.normal.constants)):
                break
            solved, normal, gradient = line.normal.reduced()
            moves = _free_moves(law, found)
            change = moves @ _solved(moves.T @ normal @ moves, moves.T @ gradient)
            initial = solved[:, :, -1] - solved[:, :, :-1] @ change
            states = states + propagate(problem, line, change, initial)
            law = _with_values(law, law.with_vector(law.vector() + change).values(), found)
            closed = close(problem, line, states, problem.defects(law, states))
            merit = float((problem.squared_residual(closed) / problem.noise**2).sum())
            if not merit < best[0] * (1 - 1e-6):
                break
            best = merit, law
    return best


def _free_moves(law: CandidateLaw, found: Snapping) -> np.ndarray:
    """How `law.vector()` changes with the constants that are free, (constant, free constant)."""
    count, slopes = law.num_constants, law.slopes()
    fixed = set(found.exact) | set(found.tied) | set(np.flatnonzero(on_bound(law)).tolist())
    heads = [k for k in range(count) if k not in fixed]
    moves = np.zeros((count, len(heads)))
    for column, head in enumerate(heads):
        moves[head, column] = 1.0
        for member, (other, sign) in found.tied.items():
            if other == head:
                moves[member, column] = sign * slopes[head] / slopes[member]
    return moves


def _solved(matrix: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    if not len(gradient):
        return gradient
    # Constants of very different sizes stand side by side.
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix / scale[:, None] / scale[None]
    return np.linalg.lstsq(scaled, gradient / scale, rcond=1e-13)[0] / scale


def _imposed(values: np.ndarray, found: Snapping) -> np.ndarray:
    """All constants with those that are set at their numbers and tied ones equal."""
    values = np.array(values, dtype=float)
    for k, number in found.exact.items():
        values[k] = float(number)
    for k, (head, sign) in found.tied.items():
        values[k] = sign * values[head]
    return values


def _with_values(law: CandidateLaw, values: np.ndarray, found: Snapping) -> CandidateLaw:
    """The law with these constants, as `_imposed`."""
    values = _imposed(values, found)
    positive = [
        p
        for terms in law.terms
        for t in terms
        for p in (*(() if t.family.held else (False,)), *t.family.positive)
    ]
    with np.errstate(all="ignore"):
        vector = np.where(positive, np.log(np.where(positive, values, 1.0)), values)
    return law.with_vector(vector)
