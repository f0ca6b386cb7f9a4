"""Sets of terms that the regression around a law ranks first, fitted to the trajectories.

Besides beams over all candidates, nested libraries have quotas of their own: the terms without inner
constants, and these with one family of functions. Sets of functions imitate a short law, and drown it in a
common list; in a library of its own it cannot be drowned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from jaxllc.fitting.candidate_law import CandidateLaw
from jaxllc.fitting.trajectory_fit import screen
from jaxllc.symbolic.engines import SparseEngine
from jaxllc.symbolic.judge import Judge, Judged
from jaxllc.symbolic.price import price_of_terms
from jaxllc.symbolic.reduced_columns import Reduced
from jaxllc.symbolic.search_problem import SearchProblem
from jaxllc.symbolic.search_sparse import Proposal, beam_search, best_start, propose
from jaxllc.symbolic.second_look.likelihood_columns import (
    Regression,
    affordable,
    likelihood_columns,
)
from jaxllc.terms import Term, TermFamily

# Sets that are fitted at most, beside the plain ones of each size; terms of a set at most.
_TRIES, _MAX_TERMS = 8, 6
# Predicted criterion above that of the best law up to which a set of fewer constants is fitted.
SLACK = 12.0
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
    own = [t for t in best.law.terms[equation] if not t.family.held]
    listed = {t.family for t in candidates}
    candidates = [*(t for t in own if t.family not in listed or t.inner), *candidates]
    candidates = affordable(judge, candidates, len(own))
    if not candidates:
        return best
    regression = likelihood_columns(judge, best, equation, candidates, search.seed)
    reduced = regression.reduced
    base = _known_positions(reduced)
    largest = min(_MAX_TERMS, judge.max_terms)
    late = lambda: judge.late  # noqa: E731
    wide = propose(reduced, 0, judge.floor_ratio, max_terms=largest, base=base, late=late)
    nested = nested_sets(reduced, judge.floor_ratio, largest, base)
    return _fitted(search, engine, judge, best, equation, regression, [*wide, *nested])


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
    regression: Regression,
    proposals: Iterable[Proposal],
) -> Judged:
    reduced = regression.reduced
    once: dict[frozenset, Proposal] = {}
    for proposal in sorted(proposals, key=lambda p: p.score):
        once.setdefault(frozenset(reduced.terms[p].family for p in proposal.positions), proposal)
    ranked = sorted((_priced(reduced, p) for p in once.values()), key=lambda p: p.score)
    plain = _best_plain(reduced, ranked)
    limit = best.criterion + _PLAIN_SLACK * judge.num_samples
    states, count = best.fit.states, 0
    for proposal in [*plain, *(p for p in ranked if p not in plain)]:
        predicted = proposal.score + regression.others
        always = proposal in plain and predicted < limit
        if judge.late or (not always and count >= _TRIES):
            break
        # A longer law must promise to be better; a shorter one only not to be much worse.
        here = sum(int(reduced.width[p]) for p in proposal.positions)
        shorter = here < sum(t.num_constants for t in best.law.terms[equation])
        if not always and predicted > best.criterion + (SLACK if shorter else -1.0):
            continue
        law = _law(search, engine, judge, best, equation, regression, proposal)
        if law is None:
            continue
        count += not always
        candidate = judge.fitted(law, states, iterations=_ITERATIONS)
        if candidate.criterion < best.criterion - 1e-6:
            best = candidate
    return best


def _priced(reduced: Reduced, proposal: Proposal) -> Proposal:
    """A set with what its terms cost in its score."""
    cost = price_of_terms(reduced.terms[p] for p in proposal.positions)
    return replace(proposal, score=proposal.score + cost)


def _best_plain(reduced: Reduced, ranked: Sequence[Proposal]) -> list[Proposal]:
    """The best set of each small size out of the terms without inner constants."""
    best: dict[int, Proposal] = {}
    for proposal in ranked:
        size = len(proposal.positions)
        if size <= _PLAIN_TERMS and all(not reduced.terms[p].inner for p in proposal.positions):
            best.setdefault(size, proposal)
    return sorted(best.values(), key=lambda p: p.score)[:_PLAIN_SETS]


def _law(
    search: SearchProblem,
    engine: SparseEngine,
    judge: Judge,
    best: Judged,
    equation: int,
    regression: Regression,
    proposal: Proposal,
) -> CandidateLaw | None:
    """A set with constants to start from; None where it was fitted before."""
    reduced = regression.reduced
    held = [t for t in best.law.terms[equation] if t.family.held]
    positions = best_start(reduced, 0, proposal.positions)
    columns = reduced.first[positions]
    numbers = np.linalg.lstsq(reduced.columns[:, columns], reduced.targets[:, 0], rcond=1e-10)[0]
    terms = [*held, *(reduced.terms[p] for p in positions)]
    coefficients = [*(1.0 for _ in held), *(numbers / regression.scale[columns])]
    law = best.law.replaced(equation, terms, coefficients)
    if law.key() in judge.seen:
        return None
    if any(t.inner for t in terms):
        start = engine.start_for(search, equation, [t.family for t in terms])
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
