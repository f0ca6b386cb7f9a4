"""Whether a fitted law may be returned as found, and what is returned instead.

A law must do two things on the very samples that it was fitted to: stay finite when it is run from its own
initial states, and leave less than dx/dt = 0 does, a constant for each node and run.  One that does not is no
finding, however good its criterion is among others that are no better.  Instead stands the law with the best
forecasts among those that do both, down to dx/dt = 0 itself, and the result says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import TrajectoryFit
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.pareto import FrontMember, choice, explained, pareto_front
from jaxllc.running.time_limit import clock, current_limit

# A state this many times the largest sample has run away.
_RUN_AWAY = 1e6
# How much more than dx/dt = 0 a law may leave: fits end a little off their minimum.
_MARGIN = 1.05
# Gap between grid intervals, as a share of the noise or of the spread, up to which the states of a fit are
# one trajectory: a chaotic law run anew would leave it though it is right.
_GAP_OF_NOISE, _GAP_OF_SPREAD = 0.1, 1e-3
# Laws that are offered one after the other.
_MOST_TRIES = 4
# Laws that are looked at for one that stands: the best by the criterion, and all of few constants.
_MOST_LAWS, _FEW_CONSTANTS = 40, 3


def fault(judge: Judge, fit: TrajectoryFit) -> str:
    """What is wrong with a fitted law on its own samples, as a clause; empty where nothing is."""
    problem = judge.problem
    if not fit.finite:
        return "it diverges on its own samples"
    states = fit.states.reshape(problem.samples.shape)
    begun, limit = clock(), current_limit()
    with np.errstate(all="ignore"):
        moved = problem.simulated(fit.law, states[..., 0], problem.substeps)
        if limit is not None:
            limit.simulation = max(limit.simulation, clock() - begun)
        if (runs := _run_away(judge, moved)) and _time_for(4):
            # Steps that are too long for the law run away, too.
            moved = problem.simulated(fit.law, states[..., 0], 4 * problem.substeps)
            runs = _run_away(judge, moved)
        if runs:
            return f"it diverges on its own samples, in {_of_runs(runs, problem.num_runs)}"
        left = fit.squared_residual
        if not _is_one_trajectory(judge, fit):
            left = (((problem.samples - moved) * problem.mask) ** 2).sum(axis=(1, 2, 3))
    still = _constant_residual(judge)
    noise = np.maximum(problem.noise, judge.floor)
    beaten = (left > _MARGIN * still) & (left > 1.5 * problem.counts * noise**2)
    if not beaten.any():
        return ""
    names = [name for name, worse in zip(problem.variables, beaten, strict=True) if worse]
    return f"it leaves more of {' and '.join(names)} unexplained than no change at all (dx/dt = 0)"


def _time_for(simulations: int) -> bool:
    """Whether there is time for so many more simulations."""
    limit = current_limit()
    return limit is None or not limit.over(simulations * limit.simulation)


def _run_away(judge: Judge, moved: np.ndarray) -> list[int]:
    """Numbers of the runs in which a simulation left all bounds."""
    largest = _RUN_AWAY * max(float(np.abs(judge.problem.samples).max()), 1e-300)
    good = np.isfinite(moved) & (np.abs(moved) < largest)
    return [int(r) for r in np.flatnonzero(~good.all(axis=(0, 1, 3)))]


def _of_runs(runs: list[int], count: int) -> str:
    return "its only run" if count == 1 else f"{len(runs)} of {count} runs"


def _is_one_trajectory(judge: Judge, fit: TrajectoryFit) -> bool:
    """Whether the states of a fit follow the law from grid time to grid time."""
    problem = judge.problem
    gaps = problem.defects(fit.law, fit.states)
    gaps = gaps.reshape(*gaps.shape[:2], len(problem.variables), -1)
    size = np.sqrt((gaps**2).mean(axis=(0, 1, 3)))
    allowed = np.maximum(_GAP_OF_NOISE * problem.noise, _GAP_OF_SPREAD * _spread(judge))
    return bool(np.all(size <= allowed))


def _spread(judge: Judge) -> np.ndarray:
    """Standard deviation of the samples of each variable."""
    problem = judge.problem
    seen = [s[m > 0] for s, m in zip(problem.samples, problem.mask, strict=True)]
    return np.array([float(np.std(s)) if len(s) else 0.0 for s in seen])


def _constant_residual(judge: Judge) -> np.ndarray:
    """Squared residual of a constant for each node and run, (variable,)."""
    problem = judge.problem
    count = np.maximum(problem.mask.sum(axis=3, keepdims=True), 1.0)
    mean = (problem.samples * problem.mask).sum(axis=3, keepdims=True) / count
    return (((problem.samples - mean) * problem.mask) ** 2).sum(axis=(1, 2, 3))


# -- what stands instead -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Laws that stand on their own samples: the one to report, its front, and a judge that knows no other."""

    judge: Judge
    best: Judged
    members: list[FrontMember]


def standing_laws(judge: Judge, refused: Judged, std: np.ndarray) -> Iterator[Standing]:
    """What may be reported instead of a refused law, one after the other; the last is dx/dt = 0."""
    # What is demanded of a law is no reason to report one that does not stand.
    judge = replace(judge, seen=dict(judge.seen), accepts=None)
    first, *others = _plain_laws(judge, refused.law)
    nothing = judge.fitted(first)
    for law in others:
        if _time_for(2):
            judge.fitted(law)
    finite = [j for j in judge.seen.values() if j.fit.finite and j is not refused]
    finite.sort(key=lambda j: judge.merit(j.fit))
    looked_at = finite[:_MOST_LAWS]
    looked_at += [j for j in finite[_MOST_LAWS:] if j.law.num_constants <= _FEW_CONSTANTS]
    sound = [j for j in looked_at if j is nothing or (_time_for(2) and not fault(judge, j.fit))]
    for _ in range(min(_MOST_TRIES, len(sound) - 1)):
        if not _time_for(2):
            break
        judge = replace(judge, seen={j.law.key(): j for j in sound})
        best = min(sound, key=lambda j: j.criterion)
        if judge.late:
            # Forecasts are dear.
            members = [_member(judge, j) for j in (nothing, *[best] * (best is not nothing))]
        else:
            members = pareto_front(judge, best, std)
            best = best if explained(judge, best) else choice(judge, best, members)
        yield Standing(judge, best, members)
        sound = [j for j in sound if j is not best or j is nothing]
    judge = replace(judge, seen={nothing.law.key(): nothing})
    yield Standing(judge, nothing, [_member(judge, nothing)])


def _member(judge: Judge, judged: Judged) -> FrontMember:
    """A law on a front without a forecast."""
    share = judge.merit(judged.fit) / judge.num_samples
    constants = judged.law.num_constants
    return FrontMember(judged, constants, share, judged.criterion, float("nan"))


def _plain_laws(judge: Judge, law: CandidateLaw) -> list[CandidateLaw]:
    """dx/dt = 0, the known terms alone, and these with a few linear terms."""
    terms = [t for equation in law.terms for t in equation]
    known = law.without(frozenset(k for k, t in enumerate(terms) if not t.family.known))
    nothing = tuple(() for _ in law.terms)
    laws = [replace(law, terms=nothing, coefficients=nothing), known]
    for kinds in ((_offset,), (_own,), (_offset, _own), (_own, _neighbour), (_gap,)):
        laws.append(_with_terms(judge, known, kinds))
    return laws


def _with_terms(judge: Judge, law: CandidateLaw, kinds) -> CandidateLaw:
    for equation, name in enumerate(judge.problem.variables):
        more = [kind(name) for kind in kinds]
        standing = {t.family for t in law.terms[equation]}
        more = [t for t in more if t.family not in standing]
        terms = (*law.terms[equation], *more)
        law = law.replaced(equation, terms, (*law.coefficients[equation], *[0.0] * len(more)))
    return law


def _offset(name: str) -> Term:
    return Term(TermFamily(SELF, sympy.Integer(1)))


def _own(name: str) -> Term:
    return Term(TermFamily(SELF, sympy.Symbol(f"{name}_i")))


def _neighbour(name: str) -> Term:
    return Term(TermFamily(INTERACTION, sympy.Symbol(f"{name}_j")))


def _gap(name: str) -> Term:
    return Term(TermFamily(INTERACTION, sympy.Symbol(f"{name}_j") - sympy.Symbol(f"{name}_i")))
