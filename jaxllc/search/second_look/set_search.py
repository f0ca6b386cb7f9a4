"""Sets of terms that the regression around a law ranks first, fitted to the trajectories.

Besides beams over all candidates, nested libraries have quotas of their own: the terms without inner
constants, and these with one family of functions. Sets of functions imitate a short law, and drown it in a
common list; in a library of its own it cannot be drowned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import screen
from jaxllc.judge.judge import Judge, Judged
from jaxllc.running.time_limit import check_time
from jaxllc.search.laws.reduced_columns import Reduced
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine
from jaxllc.search.laws.sparse_sets import Proposal, beam_search, propose
from jaxllc.search.second_look.likelihood_columns import Regression, affordable, likelihood_columns
from jaxllc.search.second_look.screening import SLACK
from jaxllc.search.second_look.set_refinement import RefinedSet, refined_set
from jaxllc.search.second_look.small_sets import small_sets

# Sets that are fitted at most, beside the plain ones of each size; terms of a set at most; sets whose inner
# constants are refined in the regression at most.
_TRIES, _MAX_TERMS, _MOST_REFINED = 8, 6, 250
# Terms of the plain sets that are always fitted, and how many of them; the linearisation says little of laws
# far off. Their chi-squared may be predicted to be worse by so much of a unit for each sample.
_PLAIN_TERMS, _PLAIN_SETS, _PLAIN_SLACK = 5, 3, 0.02
_ITERATIONS = 8


def searched_again(
    search: SearchProblem,
    engine: SparseEngine,
    judge: Judge,
    best: Judged,
    equation: int,
    candidates: Sequence[Term],
) -> Judged:
    """The best law with another set of terms in an equation."""
    listed = {t.family for t in candidates}
    free = (t for t in best.law.terms[equation] if not t.family.held)
    own = [t for t in free if t.family not in listed or t.inner]
    candidates = affordable(judge, [*own, *candidates], len(own))
    if not candidates:
        return best
    regression = likelihood_columns(judge, best, equation, candidates, search.seed)
    reduced = regression.reduced
    base = _known_positions(reduced)
    largest = min(_MAX_TERMS, judge.max_terms)
    late = lambda: judge.late  # noqa: E731
    wide = propose(reduced, 0, judge.floor_ratio, max_terms=largest, base=base, late=late)
    nested = nested_sets(reduced, judge.floor_ratio, largest, base)
    small = small_sets(reduced, judge.floor_ratio, largest, base)
    ranked = _ranked(judge, regression, [*wide, *nested], small)
    return _fitted(search, engine, judge, best, equation, ranked)


def _known_positions(reduced: Reduced) -> list[int]:
    """The first position of each family that every law holds."""
    first: dict[TermFamily, int] = {}
    for k, term in enumerate(reduced.terms):
        if term.family.known:
            first.setdefault(term.family, k)
    return list(first.values())


def _fitted(
    search: SearchProblem,
    engine: SparseEngine,
    judge: Judge,
    best: Judged,
    equation: int,
    ranked: Sequence[_Option],
) -> Judged:
    plain = _best_plain(ranked)
    limit = best.criterion + _PLAIN_SLACK * judge.num_samples
    states, count = best.fit.states, 0
    for option in [*plain, *(o for o in ranked if o not in plain)]:
        always = option in plain and option.predicted < limit
        if judge.late or (not always and count >= _TRIES):
            break
        # A longer law must promise to be better; any other one only not to be much worse.
        here = sum(t.num_constants for t in option.found.terms)
        longer = here > sum(t.num_constants for t in best.law.terms[equation])
        if not always and option.predicted > best.criterion + (-1.0 if longer else SLACK):
            continue
        law = _law(search, engine, judge, best, equation, option.found)
        if law is None:
            continue
        count += not always
        candidate = judge.fitted(law, states, iterations=_ITERATIONS)
        if candidate.criterion < best.criterion - 1e-6:
            best = candidate
    return best


class _Option(NamedTuple):
    """A set with the criterion that it is predicted to have."""

    predicted: float
    found: RefinedSet


def _ranked(
    judge: Judge,
    regression: Regression,
    proposals: Iterable[Proposal],
    small: Iterable[Proposal] = (),
) -> list[_Option]:
    """The most promising sets, each form once, with their inner constants near points of the grids.

    small: sets that are all looked at.
    """
    reduced = regression.reduced

    def families(proposal: Proposal) -> frozenset[TermFamily]:
        return frozenset(reduced.terms[p].family for p in proposal.positions)

    def promise(proposal: Proposal) -> float:
        return proposal.score + judge.prices.of_terms(reduced.terms[p] for p in proposal.positions)

    chosen: dict[frozenset[TermFamily], Proposal] = {}
    for proposal in sorted(proposals, key=promise):
        if len(chosen) == _MOST_REFINED:
            break
        chosen.setdefault(families(proposal), proposal)
    for proposal in small:
        chosen.setdefault(families(proposal), proposal)
    options: dict[frozenset, _Option] = {}
    for proposal in chosen.values():
        check_time()
        found = refined_set(regression, proposal.positions)
        constants = sum(t.num_constants for t in found.terms)
        predicted = judge.criterion(found.residual, constants)
        predicted += judge.prices.of_terms(found.terms) + regression.others
        form = frozenset(Counter((t.family.side, t.family.expression) for t in found.terms).items())
        if form not in options or predicted < options[form].predicted:
            options[form] = _Option(predicted, found)
    return sorted(options.values(), key=lambda o: o.predicted)


def _best_plain(ranked: Sequence[_Option]) -> list[_Option]:
    """The best set of each small size out of the terms without inner constants."""
    best: dict[int, _Option] = {}
    for option in ranked:
        terms = option.found.terms
        if len(terms) <= _PLAIN_TERMS and not any(t.inner for t in terms):
            best.setdefault(len(terms), option)
    return list(best.values())[:_PLAIN_SETS]


def _law(
    search: SearchProblem,
    engine: SparseEngine,
    judge: Judge,
    best: Judged,
    equation: int,
    found: RefinedSet,
) -> CandidateLaw | None:
    """A set with constants to start from; None where it was fitted before."""
    held = [t for t in best.law.terms[equation] if t.family.held]
    coefficients = [*(1.0 for _ in held), *found.coefficients]
    law = best.law.replaced(equation, [*held, *found.terms], coefficients)
    if law.key() in judge.seen:
        return None
    if any(t.inner for t in found.terms):
        families = [t.family for t in (*held, *found.terms)]
        start = engine.start_for(search, equation, families)
        if start is not None:
            other = best.law.replaced(equation, start.terms, start.coefficients)
            states = best.fit.states
            if screen(judge.problem, other, states) < screen(judge.problem, law, states):
                return other
    return law


# --- nested libraries ---------------------------------------------------------------------------

# Of the plain library, and of one with a family: sets kept by score; and plain sets of each size by residual.
_PLAIN_KEPT, _FAMILY_KEPT, _PER_SIZE = 4, 2, 2
_BEAM = 12


def nested_sets(
    reduced: Reduced, floor: float, max_terms: int, base: Sequence[int] = ()
) -> list[Proposal]:
    """The best sets of plain terms, and of plain terms with one family of functions; all hold `base`."""
    free = [k for k, t in enumerate(reduced.terms) if not t.family.known]
    plain = [k for k in free if not reduced.terms[k].inner]
    groups: dict[TermFamily, list[int]] = {}
    for k in free:
        if reduced.terms[k].inner:
            groups.setdefault(reduced.terms[k].family, []).append(k)
    found = _within(reduced, floor, max_terms, base, [*base, *plain], None)
    for family, members in groups.items():
        found += _within(reduced, floor, max_terms, base, [*base, *plain, *members], family)
    return sorted(found, key=lambda p: p.score)


def _within(
    reduced: Reduced,
    floor: float,
    max_terms: int,
    base: Sequence[int],
    library: Sequence[int],
    family: TermFamily | None,
) -> list[Proposal]:
    """The best sets of a part of the candidates that hold a family, by their positions among all."""
    places = sorted(library)
    if len(places) == len(base):
        return []
    part = reduced.of_terms(places).compact()
    start = [places.index(p) for p in base]
    sets = beam_search(part, 0, floor, max_terms, beam=_BEAM, patience=2, base=start)
    if family is None:
        kept = sorted(sets, key=lambda p: p.score)[:_PLAIN_KEPT]
        sizes: dict[int, int] = {}
        for proposal in sorted(sets, key=lambda p: p.residual):
            size = len(proposal.positions)
            sizes[size] = sizes.get(size, 0) + 1
            if sizes[size] <= _PER_SIZE and proposal not in kept:
                kept.append(proposal)
    else:
        holding = [p for p in sets if any(part.terms[q].family == family for q in p.positions)]
        kept = sorted(holding, key=lambda p: p.score)[:_FAMILY_KEPT]
    return [
        Proposal(tuple(sorted(places[q] for q in p.positions)), p.score, p.residual) for p in kept
    ]
