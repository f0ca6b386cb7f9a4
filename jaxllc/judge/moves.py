"""Moves of the judge: terms dropped, added, swapped, exchanged and simplified while the criterion falls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.criterion import information_criterion
from jaxllc.fit.trajectory_fit import information, score_test
from jaxllc.judge.judge import Judge, Judged
from jaxllc.knowledge.known_terms import same_skeleton


def dropped(judge: Judge, best: Judged) -> Judged:
    """Backward elimination along the quadratic approximation, then the best of the path fitted."""
    while True:
        law = best.law
        if sum(len(t) for t in law.terms) < 2:
            return best
        matrix = information(judge.problem, law, best.fit.states)
        path = _elimination_path(judge, best, matrix)
        tries = [drop for drop, score in path[:3] if score < best.criterion + judge.penalty]
        if judge.at_floor(best):
            # The quadratic model is no guide where nearly equal terms cancel: try the weakest.
            tries += [frozenset([term]) for term in _weakest(best, matrix)[:4]]
        for drop in tries:
            smaller = law.without(drop)
            if smaller.key() in judge.seen or judge.late:
                continue
            candidate = judge.moved(smaller, best.fit.states)
            if candidate.criterion < best.criterion:
                best = candidate
                break
        else:
            return best


def _weakest(best: Judged, matrix: np.ndarray) -> list[int]:
    """Terms by their coefficients' squared ratio to the standard error, smallest first."""
    owner, linear = best.law.owners()
    known = best.law.known()
    covariance = np.linalg.pinv(np.nan_to_num(matrix), rcond=1e-13)
    with np.errstate(over="ignore"):  # a constant without an error to speak of is not weak
        ratio = best.law.vector() ** 2 / np.maximum(np.diag(covariance), 1e-300)
    ranked = np.flatnonzero(linear)[np.argsort(ratio[linear])]
    return [int(owner[k]) for k in ranked if int(owner[k]) not in known]


def _elimination_path(
    judge: Judge, best: Judged, matrix: np.ndarray
) -> list[tuple[frozenset[int], float]]:
    """Sets of terms to drop with the criterion each is predicted to reach, best first."""
    law = best.law
    variance = judge.variance(best)
    prices = [judge.prices.of_terms([t]) for equation in law.terms for t in equation]
    values = law.vector()
    owner, linear = law.owners()
    known = law.known()
    alive = [k for k in range(sum(len(t) for t in law.terms)) if k not in known]
    dropped: frozenset[int] = frozenset()
    path = []
    free = np.ones(len(values), dtype=bool)
    while len(alive) > (0 if known else 1):
        # Dropping a term fixes its coefficient at zero; its inner constants then say nothing.
        costs = []
        for term in alive:
            gone = np.flatnonzero(linear & np.isin(owner, [*dropped, term]))
            rest = np.flatnonzero(free & (owner != term))
            costs.append(_constrained_cost(matrix, values, gone, rest))
        chosen = int(np.argmin(costs))
        dropped = dropped | {alive[chosen]}
        free = free & (owner != alive[chosen])
        added = costs[chosen]
        del alive[chosen]
        constants = int(free.sum())
        # The quadratic model exaggerates what lies beyond the floor.
        n = judge.num_samples
        left = sum(prices[term] for term in alive)
        score = information_criterion(variance + added / n, n, constants * judge.penalty) + left
        path.append((dropped, float(score)))
    return sorted(path, key=lambda item: item[1])


def added(judge: Judge, best: Judged, candidates: Sequence[Term], num_tries: int = 2) -> Judged:
    """Score test of every candidate term in every equation; the best are fitted."""
    law = best.law
    scores = score_test(judge.problem, law, best.fit.states, candidates)
    variance = judge.variance(best)
    tries: list[tuple[float, int, Term]] = []
    families: set[tuple[int, TermFamily]] = set()
    for gain, coefficient, equation, term in scores:
        if gain / variance < judge.penalty * term.num_constants or len(tries) >= num_tries:
            break
        if gain / variance < judge.penalty * term.num_constants + judge.prices.of_terms([term]):
            continue
        if (equation, term.family) in families:
            continue
        if sum(not t.family.known for t in law.terms[equation]) >= judge.max_terms:
            continue
        if _stands(term, law.terms[equation]):
            continue
        families.add((equation, term.family))
        tries.append((coefficient, equation, term))
    for coefficient, equation, term in tries:
        if judge.late:
            break
        terms = (*law.terms[equation], term)
        coefficients = (*law.coefficients[equation], coefficient)
        candidate = judge.fitted(
            law.replaced(equation, terms, coefficients), best.fit.states, iterations=8
        )
        if candidate.criterion < best.criterion:
            return dropped(judge, candidate)
    return best


def ranked(judge: Judge, law: CandidateLaw, states, candidates: Sequence[Term]):
    """Score test of candidate terms, of each family and equation the best one, best first."""
    best: dict[tuple[int, TermFamily], tuple[float, float, int, Term]] = {}
    for score in score_test(judge.problem, law, states, candidates):
        _, _, equation, term = score
        if not _stands(term, law.terms[equation]):
            best.setdefault((equation, term.family), score)
    return list(best.values())


def _stands(term: Term, terms: Sequence[Term]) -> bool:
    """Whether an equation holds a term already, or one that is known and differs in constants only."""
    return any(
        t.family == term.family or (t.family.known and same_skeleton(t.family, term.family))
        for t in terms
    )


def simplified(judge: Judge, best: Judged, plain: Sequence[Term]) -> Judged:
    """Each term with inner constants replaced by one without, where that explains as much."""
    for number, term in enumerate([t for equation in best.law.terms for t in equation]):
        if not term.inner or term.family.known or judge.late:
            continue
        reduced = best.law.without(frozenset([number]))
        scores = score_test(judge.problem, reduced, best.fit.states, plain)
        tried = 0
        for _, coefficient, equation, other in scores:
            if tried >= 2:
                break
            if _stands(other, reduced.terms[equation]):
                continue
            tried += 1
            terms = (*reduced.terms[equation], other)
            coefficients = (*reduced.coefficients[equation], coefficient)
            law = reduced.replaced(equation, terms, coefficients)
            if law.key() in judge.seen:
                continue
            candidate = judge.fitted(law, best.fit.states)
            if candidate.criterion < best.criterion:
                return simplified(judge, candidate, plain)
    return best


def exchanged(judge: Judge, best: Judged) -> Judged:
    """One term with inner constants, or two of one side, replaced by one term of another family."""
    if judge.replacements is None:
        return best
    for equation, terms in enumerate(best.law.terms):
        shaped = [k for k, t in enumerate(terms) if t.inner and not t.family.known]
        groups = [(a, b) for a in shaped for b in shaped if a < b]
        groups = [g for g in groups if terms[g[0]].family.side == terms[g[1]].family.side]
        for group in [*groups, *((k,) for k in shaped)]:
            kept = [t.family for k, t in enumerate(terms) if k not in group]
            side = terms[group[0]].family.side
            for option in judge.replacements(equation, kept, side):
                law = best.law.replaced(equation, option.terms, option.coefficients)
                if law.key() in judge.seen or judge.late:
                    continue
                candidate = judge.fitted(law, best.fit.states)
                if candidate.criterion < best.criterion - 1e-6:
                    return exchanged(judge, candidate)
    return best


def swapped(judge: Judge, best: Judged, candidates: Sequence[Term], num_weakest: int = 2) -> Judged:
    """Drop each of the weakest terms and add the best-scoring others instead."""
    law = best.law
    if sum(len(t) for t in law.terms) < 2:
        return best
    matrix = information(judge.problem, law, best.fit.states)
    for term in _weakest(best, matrix)[:num_weakest]:
        if judge.late:
            break
        reduced = judge.moved(law.without(frozenset([term])), best.fit.states, iterations=4)
        if not reduced.fit.finite:
            continue
        tried = added(judge, reduced, candidates, num_tries=2)
        if tried.criterion < best.criterion - 1e-6:
            return tried
    return best


def _constrained_cost(matrix, values, gone, rest) -> float:
    """Increase of chi2 when some constants are set to zero and the rest are refitted (quadratic model)."""
    delta = -values[gone]
    block = matrix[np.ix_(gone, gone)]
    cross = matrix[np.ix_(gone, rest)]
    inner = matrix[np.ix_(rest, rest)]
    scale = np.sqrt(np.maximum(np.diag(inner), 1e-300))
    scaled = inner / scale[:, None] / scale[None]
    if not np.all(np.isfinite(matrix)):
        return np.inf
    solved = np.linalg.lstsq(scaled, (cross / scale).T, rcond=1e-11)[0] / scale[:, None]
    return float(max(delta @ (block - cross @ solved) @ delta, 0.0))
