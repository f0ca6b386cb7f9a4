"""Which of the laws that the regression of steps proposes: by the likelihood of the filter.

The criterion is -2 log L with a price for each constant and, since they are chosen out of many, for each term
(Chen and Chen 2008, gamma 1/2), as in the search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.dynamics.terms import Term
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.nodewise.robust_search import RobustLaw
from jaxllc.transitions.batched_law import BatchedLaw
from jaxllc.transitions.filter_fit import FilterFit, FilterFitter, FilterProblem
from jaxllc.transitions.step_search import StepLaws

# Laws of each variable that are compared, how far behind the best they may be by the search, and
# those of fewer terms.
_COMPARED, _BEHIND, _FAR_BEHIND = 4, 25.0, 2000.0
# Rounds of a fit that compares; standard errors below which a term is tried without.
_ROUNDS, _WEAK = 5, 5.0
# Change of a state over a substep, relative to itself, and substeps at most.
_TURN, _MOST_SUBSTEPS = 0.3, 16


@dataclass(frozen=True, eq=False)
class Compared:
    """A fitted law and its criterion."""

    fit: FilterFit
    criterion: float

    @property
    def law(self) -> CandidateLaw:
        return self.fit.law


class LawChoice:
    """Compares laws on one problem; `seen` holds all that were fitted, by their families.

    families: number of families that a term is chosen among. usable: what a law must hold, if anything.
    """

    def __init__(
        self,
        problem: FilterProblem,
        measurement: np.ndarray,
        process: np.ndarray,
        families: int,
        late: Callable[[], bool] = lambda: False,
        usable: Callable[[CandidateLaw], bool] = lambda _: True,
    ) -> None:
        self.problem, self.fitter = problem, FilterFitter(problem)
        self.measurement, self.process = measurement, process
        self.families, self.late, self.usable = families, late, usable
        self.seen: dict[tuple, Compared] = {}

    def compared(self, law: CandidateLaw, against: float = math.inf) -> Compared:
        """A law with its criterion; given up where further steps do not promise to meet another criterion."""
        known = self.seen.get(law.key())
        if known is not None:
            return known
        given = (self.measurement, self.process)
        fit = self.fitter.fit(law, *given, rounds=1)
        if self.criterion(fit) - 2.0 * fit.promise < against and not fit.converged:
            fit = self.fitter.fit(fit.law, fit.measurement, fit.process, rounds=_ROUNDS)
        found = Compared(fit, self.criterion(fit))
        self.seen[law.key()] = found
        return found

    def criterion(self, fit: FilterFit) -> float:
        """What is least for the best law."""
        if not fit.finite or not self.usable(fit.law):
            return math.inf
        terms = sum(not t.family.known for equation in fit.law.terms for t in equation)
        price = fit.law.num_constants * np.log(self.problem.num_samples)
        return float(fit.cost + price + terms * np.log(max(self.families, 1)))

    def best(self, options: Sequence[StepLaws], first: CandidateLaw) -> Compared:
        """The best law: of each variable's proposals in turn, then without what it has no need of.

        first: the law of the best proposals.
        """
        best = self.compared(first)
        # The noises of the best law are near those of the others.
        self.measurement, self.process = best.fit.measurement, best.fit.process
        for variable, found in enumerate(options):
            for law in _near(found):
                if self.late():
                    return best
                best = self._better(
                    best, with_equation(best.law, variable, law.terms, law.coefficients)
                )
        return self.shortened(best)

    def _better(self, best: Compared, law: CandidateLaw) -> Compared:
        other = self.compared(law, best.criterion)
        return other if other.criterion < best.criterion else best

    def shortened(self, best: Compared) -> Compared:
        """The law without terms that do not pay for their constants."""
        while not self.late():
            before = best
            for variable, place in self._weak(best):
                terms, coefficients = (
                    list(best.law.terms[variable]),
                    list(best.law.coefficients[variable]),
                )
                del terms[place], coefficients[place]
                best = self._better(best, best.law.replaced(variable, terms, coefficients))
                if best is not before:
                    break
            if best is before:
                break
        return best

    def _weak(self, best: Compared) -> list[tuple[int, int]]:
        """Terms whose coefficients are small beside their errors, the weakest first."""
        errors = np.sqrt(np.diag(best.fit.covariance))
        found, position = [], 0
        for variable, terms in enumerate(best.law.terms):
            for place, term in enumerate(terms):
                if not term.family.known:
                    size = abs(best.law.coefficients[variable][place])
                    ratio = size / errors[position] if errors[position] > 0 else 0.0
                    if ratio < _WEAK:
                        found.append((ratio, variable, place))
                position += term.num_constants
        return [(variable, place) for _, variable, place in sorted(found)]


def _near(found: StepLaws) -> list[RobustLaw]:
    """The best laws of a search, and the best one of each smaller size: errors of the samples in the columns
    of a search look like small terms."""
    limit = found.best.criterion + _BEHIND
    near = [law for law in found.laws[:_COMPARED] if law.criterion < limit]
    best: dict[int, RobustLaw] = {}
    for law in found.laws:
        if len(law.terms) < len(found.best.terms) and law.criterion < limit + _FAR_BEHIND:
            best.setdefault(len(law.terms), law)
    known = {law.key for law in near}
    return [*near, *(law for law in best.values() if law.key not in known)]


def with_equation(
    law: CandidateLaw,
    variable: int,
    terms: Sequence[Term],
    coefficients: Sequence[float] | np.ndarray,
) -> CandidateLaw:
    """The law with other terms of one variable, those that are held beside them."""
    held = [t for t in law.terms[variable] if t.family.held and t.family.known and not t.inner]
    values = [*(1.0 for _ in held), *np.asarray(coefficients, dtype=float).tolist()]
    return law.replaced(variable, [*held, *terms], values)


def substeps_for(law: CandidateLaw, problem: FilterProblem) -> int:
    """Runge-Kutta steps between two samples, for a law to be exact enough between them."""
    if problem.is_map:
        return 1
    batched = BatchedLaw(law, problem.network, problem.variables, problem.features)
    pieces = len(problem.data.runs)
    constants = np.repeat(law.values()[:, None], pieces, axis=1)
    with np.errstate(all="ignore"):
        jacobian = batched.at(problem.data.samples[..., 0], constants).own_jacobian()
        rates = np.abs(jacobian).sum(axis=1).max(axis=0)
    rates = rates[np.isfinite(rates)]
    if not rates.size:
        return 1
    turn = float(np.quantile(rates, 0.99)) * float(problem.data.steps.max())
    return int(np.clip(np.ceil(turn / _TURN), 1, _MOST_SUBSTEPS))
