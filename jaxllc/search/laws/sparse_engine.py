"""The search for whole equations: sets of terms of the library, with coefficients, for each variable.

What it proposes need not be right: the judge fits it to the trajectories and decides. Engines that look for
expressions of one term have a contract of their own, in `term_search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.running.time_limit import check_time
from jaxllc.search.forms.constants import refine_inner_constants
from jaxllc.search.laws.reduced_columns import Reduced, reduce_forms
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_sets import (
    Proposal,
    best_start,
    criterion_of_sets,
    propose,
    single_gains,
)

# Noise, relative to the standard deviation, beyond which products of columns are exact enough.
_ROUGH = 3e-3
# Sets of each size out of the terms without inner constants.
_PLAIN_PER_SIZE = 3


@dataclass
class SparseEngine:
    """Sparse and parametric enumeration over the library of candidate terms.

    per_size: skeletons of each number of terms whose inner constants are refined for two steps.
    kept_per_size: how many of these are refined to the end.
    by_score: skeletons that are refined for their score, whatever their size (under noise).
    """

    max_terms: int = 8
    per_size: int = 10
    kept_per_size: int = 3
    by_score: int = 12
    name: str = "sparse"
    _reduced: dict[tuple, Reduced] = field(default_factory=dict)

    def propose(self, problem: SearchProblem, variable: int) -> list[ProposedEquation]:
        found: dict[frozenset, ProposedEquation] = {}
        # Several windows only help against noise.
        forms = problem.forms[:1] if problem.is_clean(variable) else problem.forms
        for index in range(len(forms)):
            if found and problem.late:
                break
            reduced = self._reduction(problem, variable, index)
            floor = problem.mean_square_floor(variable)
            proposals = self._proposed(problem, reduced, variable, floor)
            for equation in self._refined(problem, index, variable, reduced, proposals, floor):
                found.setdefault(equation.skeleton(), equation)
        return sorted(found.values(), key=lambda e: e.score)

    def plain(self, problem: SearchProblem, variable: int) -> list[ProposedEquation]:
        """The best few sets of each small size out of the terms without inner constants.

        Under noise, and where samples are coarse, richer terms stand before them at every size, since each
        bends to what the smoothing got wrong; the trajectories may think otherwise.
        """
        reduced = self._reduction(problem, variable)
        plain = [p for p, t in enumerate(reduced.terms) if not t.inner or t.family.known]
        if len(plain) in (0, len(reduced.terms)):
            return []
        part, floor = reduced.of_terms(plain), problem.mean_square_floor(variable)
        sizes: dict[int, list[Proposal]] = {}
        for proposal in sorted(
            self._proposed(problem, part, variable, floor), key=lambda p: p.residual
        ):
            sizes.setdefault(len(proposal.positions), []).append(proposal)
        found = []
        for proposal in [p for options in sizes.values() for p in options[:_PLAIN_PER_SIZE]]:
            terms, coefficients, residual = refine_inner_constants(
                problem.caches[0], [part.terms[p] for p in proposal.positions], variable
            )
            found.append(proposed(problem, variable, terms, coefficients, residual, proposal.score))
        return found

    def _reduction(self, problem: SearchProblem, variable: int, index: int = 0) -> Reduced:
        """Reduced columns of one form, shared by the variables that were observed at the same samples and of
        which the same is known.
        """
        shown, size = problem.forms[0].shown_as(variable), len(problem.library)
        known = problem.prior.of_variable(variable)
        if (size, index, shown, known) not in self._reduced:
            check_time()
            # Several windows are searched together: their columns are evaluated once.
            forms = problem.forms[: 1 if problem.is_clean(variable) else None]
            rough = bool(np.all(problem.data.noise > _ROUGH * problem.std))
            candidates = problem.candidates(variable)
            for k, reduced in enumerate(reduce_forms(forms, candidates, variable, rough)):
                first = _first_positions(reduced)
                for family in problem.prior.fitted(variable):
                    if family not in first:
                        raise problem.prior.not_evaluated(family, problem.variables[variable])
                self._reduced[size, k, shown, known] = reduced
        return self._reduced[size, index, shown, known]

    def _proposed(
        self, problem: SearchProblem, reduced: Reduced, variable: int, floor: float
    ) -> list[Proposal]:
        """Sets of candidates that hold the known terms, once from each of their likely constants."""
        found: dict[frozenset, Proposal] = {}
        for base in _known_starts(reduced, variable, problem.prior.fitted(variable)):
            if found and problem.late:
                break
            late = lambda: problem.late  # noqa: E731
            for proposal in propose(
                reduced, variable, floor, max_terms=self.max_terms, base=base, late=late
            ):
                key = frozenset(reduced.terms[p].family for p in proposal.positions)
                if key not in found or proposal.residual < found[key].residual:
                    found[key] = proposal
        if problem.prior.fixed(variable) and not problem.prior.fitted(variable):
            found[frozenset()] = _without_terms(reduced, variable, floor)
        return sorted(found.values(), key=lambda p: p.score)

    def start_for(
        self, problem: SearchProblem, variable: int, families: Sequence[TermFamily]
    ) -> ProposedEquation | None:
        """Constants for given families, from the grids and the integral form; None if one is not known."""
        reduced = self._reduction(problem, variable)
        first = _first_positions(reduced)
        families = _searched(families)
        if not families or any(f not in first for f in families):
            return None
        positions = best_start(reduced, variable, [first[f] for f in families])
        terms = [reduced.terms[p] for p in positions]
        terms, coefficients, residual = refine_inner_constants(problem.caches[0], terms, variable)
        return proposed(problem, variable, terms, coefficients, residual, np.nan)

    def replacements(
        self,
        problem: SearchProblem,
        variable: int,
        kept: Sequence[TermFamily],
        side: str,
        count: int = 5,
    ) -> list[ProposedEquation]:
        """Families of kept terms and one more of a side: those that leave the least, constants refined."""
        reduced = self._reduction(problem, variable)
        first = _first_positions(reduced)
        kept = _searched(kept)
        if any(f not in first for f in kept):
            return []
        positions = best_start(reduced, variable, [first[f] for f in kept]) if kept else []
        gains = single_gains(reduced, variable, positions)
        best: dict[TermFamily, float] = {}
        for term, gain in zip(reduced.terms, gains, strict=True):
            if term.family.side == side and term.family not in kept:
                best[term.family] = max(best.get(term.family, 0.0), float(gain))
        ranked = sorted(best, key=lambda f: -best[f])[:count]
        options = [self.start_for(problem, variable, [*kept, family]) for family in ranked]
        return [o for o in options if o is not None]

    def _refined(self, problem, index, variable, reduced, proposals, floor):
        """The best few skeletons of each size, inner constants refined; no larger than the data ask for."""
        by_size: dict[int, list] = {}
        for proposal in sorted(proposals, key=lambda p: p.residual):
            by_size.setdefault(len(proposal.positions), []).append(proposal)
        clean = problem.is_clean(variable)
        if clean:
            chosen = {size: options[: self.per_size] for size, options in by_size.items()}
        else:
            # Under noise the criterion says about how many terms the data support.
            ranked = sorted(proposals, key=lambda p: p.score)
            largest = len(ranked[0].positions) + 1
            chosen = {size: o[:4] for size, o in by_size.items() if size <= largest and index == 0}
            for proposal in ranked[: self.by_score]:
                options = chosen.setdefault(len(proposal.positions), [])
                if proposal not in options:
                    options.append(proposal)
        lowest = min(p.residual for p in proposals)
        rows = int(reduced.num_rows[variable])
        cache = problem.caches[index]
        best, stop = np.inf, None
        for size in sorted(chosen):
            if (stop is not None and size > stop) or (problem.late and np.isfinite(best)):
                break
            begun: list[tuple] = []
            for proposal in chosen[size]:
                if begun and problem.late:
                    break
                positions = best_start(reduced, variable, proposal.positions)
                terms = [reduced.terms[p] for p in positions]
                begun.append(refine_inner_constants(cache, terms, variable, iterations=2))
            begun.sort(key=lambda b: b[2])
            for place, (terms, coefficients, residual) in enumerate(begun):
                if (
                    place < self.kept_per_size
                    and any(t.inner for t in terms)
                    and not (np.isfinite(best) and problem.late)
                ):
                    terms, coefficients, residual = refine_inner_constants(
                        cache, terms, variable, iterations=8
                    )
                elif clean and place >= self.kept_per_size:
                    break
                constants = sum(t.num_constants for t in terms)
                score = float(criterion_of_sets(residual, rows, constants, floor))
                best = min(best, residual)
                yield proposed(problem, variable, terms, coefficients, residual, score)
            if stop is None and clean and best < 4 * lowest + 1e-2 * floor * rows:
                stop = size + 1


def refined(problem: SearchProblem, variable: int, terms: Sequence[Term]) -> ProposedEquation:
    """An equation of some terms with the constants that the integral form gives them, and its score."""
    terms, coefficients, residual = refine_inner_constants(problem.caches[0], terms, variable)
    rows = problem.forms[0].num_rows(variable)
    constants = sum(t.num_constants for t in terms)
    floor = problem.mean_square_floor(variable)
    score = float(criterion_of_sets(residual, rows, constants, floor))
    return proposed(problem, variable, terms, coefficients, residual, score)


def proposed(
    problem: SearchProblem,
    variable: int,
    terms: Sequence[Term],
    coefficients: Sequence[float] | np.ndarray,
    residual: float,
    score: float,
) -> ProposedEquation:
    """An equation out of found terms and of the known ones that were taken out of the targets."""
    fixed = problem.prior.fixed(variable)
    numbers = (*(1.0 for _ in fixed), *map(float, coefficients))
    return ProposedEquation((*fixed, *terms), numbers, residual, score)


def equations_of(
    problem: SearchProblem, laws: Sequence[CandidateLaw]
) -> list[list[ProposedEquation]]:
    """The equations of some laws as proposals for each variable."""
    proposals: list[list[ProposedEquation]] = []
    for v in range(len(problem.variables)):
        skeletons = {frozenset(t.family for t in law.terms[v]): law.terms[v] for law in laws[::-1]}
        proposals.append(
            [
                refined(problem, v, [t for t in terms if not _is_fixed(t.family)])
                for terms in list(skeletons.values())[::-1]
            ]
        )
    return proposals


def _is_fixed(family: TermFamily) -> bool:
    return family.held and family.num_inner == 0


def _searched(families: Sequence[TermFamily]) -> list[TermFamily]:
    """Families with columns of their own: all but known ones without a free constant."""
    return [f for f in families if not _is_fixed(f)]


def _known_starts(
    reduced: Reduced, equation: int, families: Sequence[TermFamily]
) -> list[tuple[int, ...]]:
    """Positions of known families to start from, their inner constants those that fit best alone and beside
    all terms without any; one empty set where nothing is known.
    """
    first = _first_positions(reduced)
    known = [first[f] for f in families]
    plain = [k for k, t in enumerate(reduced.terms) if not t.inner and not t.family.known]
    alone = tuple(best_start(reduced, equation, known))
    beside = tuple(best_start(reduced, equation, [*known, *plain])[: len(known)])
    return list(dict.fromkeys([alone, beside]))


def _without_terms(reduced: Reduced, equation: int, floor: float) -> Proposal:
    """The empty set of candidates."""
    target = reduced.targets[:, equation]
    residual = float(reduced.outside[equation]) + float(target @ target)
    rows = int(reduced.num_rows[equation])
    return Proposal((), float(criterion_of_sets(residual, rows, 0, floor)), residual)


def _first_positions(reduced: Reduced) -> dict[TermFamily, int]:
    """Position of each family's first grid point."""
    first: dict[TermFamily, int] = {}
    for position, term in enumerate(reduced.terms):
        first.setdefault(term.family, position)
    return first


def first_equation(
    problem: SearchProblem, variable: int, proposals: Sequence[ProposedEquation]
) -> ProposedEquation:
    """Where the judge of a problem starts, out of the proposals for a variable."""
    rows = problem.forms[0].num_rows(variable)
    slack = 1e-2 * problem.mean_square_floor(variable) * rows
    return first_guess(proposals, problem.is_clean(variable), slack)


def first_guess(
    proposals: Sequence[ProposedEquation], clean: bool, slack: float
) -> ProposedEquation:
    """Where the judge starts: under noise the best score; else the smallest equation about as good as any.

    slack: residual that is explained by smoothing and quadrature.
    """
    if not clean:
        return min(proposals, key=lambda p: p.score)
    limit = 9 * min(p.residual for p in proposals) + slack
    good = [p for p in proposals if p.residual <= limit]
    return min(good, key=lambda p: (p.num_constants, p.residual))
