"""The law found and the true law in one judge: both refitted, their criteria, and what the data can tell.

Both are fitted to the same samples, from the true states and with the same weights (the noise that was
added), until further steps gain less than a hundredth of a unit of the criterion, which is that of the judge
of `discover`. The steps of the flow are fine enough for both laws. All samples count, also first ones that
`discover` leaves out, and constants are free of the ranges that its search keeps them in.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from noise_cases import LAWS, Case
from standard_errors import largest_standardised_error, terms_of_constants, truth_in_form_of

import jaxllc
from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import TrajectoryFit, fit_trajectories, information
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judge
from jaxllc.knowledge.known_terms import known_families
from jaxllc.search.laws.search_problem import FLOOR
from jaxllc.smoothing.grid_data import on_grids
from jaxllc.smoothing.smooth import refine_times

BEATEN_BY = 0.5  # units of the criterion
READABLE = 3.0  # standard errors of a constant that it must be away from nought
_SETTLED, _MOST_ROUNDS = 0.01, 30
_LONG, _REFINED = 20, 4  # samples of a run from which the grid is that of the samples


@dataclass(frozen=True)
class Readability:
    """Cramer-Rao standard errors of the true constants: which stands fewest of them away from nought."""

    weakest: str
    standard_errors: float

    @property
    def readable(self) -> bool:
        return self.standard_errors > READABLE

    def __str__(self) -> str:
        verdict = "readable" if self.readable else "not readable"
        return f"{verdict}, weakest constant {self.weakest}: {self.standard_errors:.1f} standard errors"


def compared(case: Case, law: Any) -> dict[str, Any]:
    """Columns of a row: form, constants, both criteria and their difference, errors, readability."""
    truth = true_candidate(case)
    found = found_candidate(law)
    judge = judge_of(case, (truth, found))
    best = optimum(judge, truth), optimum(judge, found)
    true_criterion, criterion = (
        judge.criterion(judge.merit(fit), fit.law.num_constants) for fit in best
    )
    exact = same_form(case, law)
    weakest = readability(case, judge.problem, truth)
    return {
        "exact": exact,
        "constants_found": found.num_constants,
        "constants_true": truth.num_constants,
        "criterion_found": criterion,
        "criterion_true": true_criterion,
        "difference": criterion - true_criterion,
        "beaten": criterion - true_criterion > BEATEN_BY,
        "reported_criterion": reported_criterion(judge, law, found.num_constants),
        "largest_standardised_error": (
            largest_standardised_error(law, case.known, case.clean, case.network)
            if exact
            else np.nan
        ),
        "readable": weakest.readable,
        "weakest_constant": weakest.weakest,
        "weakest_in_standard_errors": weakest.standard_errors,
        "readability": str(weakest),
    }


# --- the two laws -------------------------------------------------------------------------------


def true_candidate(case: Case) -> CandidateLaw:
    """The true law, its parameters the constants to be fitted, as `known=` reads it."""
    known = case.known
    families = known_families(dict(LAWS[case.law].terms), known.variables, (), {})
    values = known.parameters
    return CandidateLaw(
        tuple(tuple(Term(f, tuple(values[n] for n in f.names)) for f in part) for part in families),
        tuple(
            tuple(1.0 if f.coefficient is None else values[f.coefficient] for f in part)
            for part in families
        ),
    )


def found_candidate(law: Any) -> CandidateLaw:
    """A found law with the constants that it reports, each free."""
    equations, coefficients = [], []
    for variable in law.equations:
        constants = [c for c in law.constants if c.variable == variable]
        terms, numbers = [], []
        for side, expression, first, number in terms_of_constants(constants):
            inner = tuple(c.value for c in constants[first + 1 : first + number])
            family = TermFamily(side, expression, (False,) * len(inner))
            terms.append(Term(family, inner))
            numbers.append(constants[first].value)
        equations.append(tuple(terms))
        coefficients.append(tuple(numbers))
    return CandidateLaw(tuple(equations), tuple(coefficients))


def same_form(case: Case, law: Any) -> bool:
    """Whether a law is the true one up to its constants: by normal forms, or by what it can compute.

    By values: with some constants it is the true law wherever the data go, and it has no more of them.
    """
    with suppress(InputError):  # too large for a normal form
        if jaxllc.metrics.skeleton_equal(law, case.known):
            return True
    if len(law.constants) > len(case.known.parameters):
        return False
    values = truth_in_form_of(law, case.known, case.clean, case.network)
    return all(constants is not None for constants in values.values())


# --- the judge ----------------------------------------------------------------------------------


def judge_of(case: Case, laws: tuple[CandidateLaw, ...]) -> Judge:
    """A judge whose states start at the true ones and whose steps are fine enough for all laws."""
    refine = 1 if case.clean[0].num_times > _LONG else _REFINED
    grid = refine_times(case.clean[0].times, refine)
    states = [case.drawn.states(r, grid) for r in range(len(case.runs))]
    data = on_grids(case.runs, [grid] * len(states), states, case.noise)
    problem = TrajectoryProblem.of(data, case.network, case.noise).with_substeps_for(*laws)
    return Judge(problem, FLOOR * np.std(np.concatenate(states), axis=(0, 1)))


def optimum(judge: Judge, law: CandidateLaw) -> TrajectoryFit:
    """A law fitted from the true states, and from its own trajectory, until nothing is gained; the better."""
    problem = judge.problem
    true_states = problem.smoothed.reshape(problem.samples.shape)
    with np.errstate(all="ignore"):
        own = problem.simulated(law, true_states[..., 0], problem.substeps)
    starts = [problem.smoothed]
    if np.isfinite(own).all():
        starts.append(own.reshape(problem.smoothed.shape))
    fits = [_settled(judge, law, states) for states in starts]
    return min(fits, key=judge.merit)


def _settled(judge: Judge, law: CandidateLaw, states: np.ndarray) -> TrajectoryFit:
    fit = fit_trajectories(judge.problem, law, states, 20, 1e-6)
    for _ in range(_MOST_ROUNDS):
        if not fit.finite:
            break
        further = fit_trajectories(judge.problem, fit.law, fit.states, 20, 1e-6)
        gain = judge.criterion(judge.merit(fit), 0) - judge.criterion(judge.merit(further), 0)
        if not gain > 0:
            break
        fit = further
        if gain < _SETTLED:
            break
    return fit


def reported_criterion(judge: Judge, law: Any, num_constants: int) -> float:
    """The criterion by the residuals that a law itself reports, to be compared with that of its refit.

    nan where it reports none, or was not fitted to all samples.
    """
    used = sum(int(run.observed.sum()) for run in law.data)
    if not law.noise or used != judge.num_samples:
        return np.nan
    rms = np.array([law.noise[v] for v in law.equations])
    merit = float((judge.problem.counts * (rms / judge.problem.noise) ** 2).sum())
    return judge.criterion(merit, num_constants)


# --- what the data can tell ---------------------------------------------------------------------


def readability(case: Case, problem: TrajectoryProblem, truth: CandidateLaw) -> Readability:
    """How far the true constants are from nought, in their Cramer-Rao standard errors, at the truth."""
    names = [n for part in truth.terms for t in part for n in t.family.constants]
    distance = np.abs(truth.values()) / cramer_rao(problem, truth)
    least = int(np.argmin(distance))
    return Readability(names[least], float(distance[least]))


def cramer_rao(problem: TrajectoryProblem, truth: CandidateLaw) -> np.ndarray:
    """Smallest standard errors of a law's constants at its states, initial states unknown, (constant,)."""
    matrix = information(problem, truth, problem.smoothed)
    scale = np.sqrt(np.diag(matrix))
    if not (np.isfinite(matrix).all() and np.all(scale > 0)):
        return np.full(len(matrix), np.inf)
    unit = matrix / scale[:, None] / scale[None]
    if np.linalg.cond(unit) > 1e14:
        return np.full(len(matrix), np.inf)
    return np.sqrt(np.diag(np.linalg.inv(unit))) / scale
