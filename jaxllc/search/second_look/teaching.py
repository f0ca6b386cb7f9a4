"""The law as a teacher: term engines look for shorter expressions of its own two functions.

A law that explains the samples says what f and g are where the states lie, far more exactly than the samples
themselves; engines that know no list of terms then find forms that no library holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, inner_symbol
from jaxllc.equations.expression_calculus import derivative, evaluate
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import information
from jaxllc.judge.judge import Judge, Judged
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.running.time_limit import current_limit
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.second_look.screening import SLACK, screened
from jaxllc.search.second_look.sides import free_terms, is_on, with_side
from jaxllc.search.term.term_search import NothingFoundError, search_term

_POINTS = 600
# Error of a value that is always allowed for, relative to the spread of the values.
_SMALLEST_ERROR = 1e-3
# Constants of a side below which nothing shorter is likely; expressions that are fitted at most.
_FEWEST, _MOST_FITS = 3, 10
_ITERATIONS = 8
# Independent samples that the values count for, for each constant of the side.
_INDEPENDENT = 2.0


def taught(
    search: SearchProblem,
    judge: Judge,
    best: Judged,
    equation: int,
    engines: Sequence[str],
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> Judged:
    """The best law with an expression that engines find for one of an equation's own functions.

    seconds: of the search for one expression, at most.
    """
    for side in (INTERACTION, SELF):
        own = [term for term, _ in free_terms(best.law, equation, side)]
        constants = sum(t.num_constants for t in own)
        if constants < _FEWEST or not may_imitate(own) or judge.late:
            continue
        limit = current_limit()
        if limit is not None and not limit.may_compile():
            break
        say(f"{search.variables[equation]}: {side} term")
        try:
            samples = taught_samples(search, judge, best, equation, side)
            # The values err with the constants, of which there are few.
            found = search_term(
                samples,
                engines,
                seconds,
                search.seed,
                search.grammar,
                independent=_INDEPENDENT * constants,
            )
        except (NothingFoundError, InputError):
            continue
        expressions = [c.expression for c in found.candidates]
        best = _fitted(judge, best, equation, side, search.prior, expressions)
    return best


def may_imitate(terms: Sequence[Term]) -> bool:
    """Whether terms of a side may stand for a form that no library lists.

    One term says what it is; a function beside others, and three powers of one variable, may imitate.
    """
    if len(terms) < 2 or any(t.inner for t in terms):
        return len(terms) > 1
    powers = Counter(
        next(iter(e.free_symbols))
        for e in (t.family.expression for t in terms)
        if len(e.free_symbols) == 1
    )
    return max(powers.values(), default=0) > 2


def _fitted(
    judge: Judge,
    best: Judged,
    equation: int,
    side: str,
    prior: PriorKnowledge,
    expressions: Sequence[sympy.Expr],
) -> Judged:
    states = best.fit.states
    laws = _laws(judge, best, equation, side, prior, expressions)
    for score, law in screened(judge, best, laws)[:_MOST_FITS]:
        if score > best.criterion + SLACK or judge.late:
            break
        candidate = judge.fitted(law, states, iterations=_ITERATIONS)
        if candidate.criterion < best.criterion - 1e-6:
            best = candidate
    return best


def _laws(
    judge: Judge,
    best: Judged,
    equation: int,
    side: str,
    prior: PriorKnowledge,
    expressions: Sequence[sympy.Expr],
) -> Iterator[CandidateLaw]:
    for expression in expressions:
        law = with_side(best.law, equation, side, expression, prior)
        if law is None or sum(not t.family.known for t in law.terms[equation]) > judge.max_terms:
            continue
        if law.num_constants <= best.law.num_constants + 1:
            yield law


def taught_samples(
    search: SearchProblem, judge: Judge, best: Judged, equation: int, side: str
) -> Samples:
    """Values of one side of an equation where the law's states lie, with the errors of its constants.

    Points are nodes, or edges, at times of the grid, drawn by the seed of the search.
    """
    law, columns = best.law, _columns(search, judge, best, equation, side)
    symbols = {sympy.Symbol(name): values for name, values in columns.items()}
    count = len(next(iter(columns.values())))
    values, slopes = np.zeros(count), np.zeros((count, law.num_constants))
    place = 0
    for e, (terms, coefficients) in enumerate(zip(law.terms, law.coefficients, strict=True)):
        for term, c in zip(terms, coefficients, strict=True):
            if e == equation and is_on(term, side):
                memo = {**symbols, **term.by_inner}
                family = term.family
                with np.errstate(all="ignore"):
                    column = np.broadcast_to(evaluate(family.expression, memo), (count,))
                    values = values + c * column
                    slopes[:, place] = column
                    for k, w in enumerate(term.inner):
                        slope = evaluate(derivative(family.expression, inner_symbol(k)), memo)
                        slopes[:, place + 1 + k] = c * slope * (w if family.positive[k] else 1.0)
            place += term.num_constants
    covariance = _covariance(information(judge.problem, law, best.fit.states))
    with np.errstate(all="ignore"):
        variance = np.einsum("na,ab,nb->n", slopes, covariance, slopes)
    smallest = _SMALLEST_ERROR * max(float(np.std(values)), 1e-12)
    error = np.sqrt(np.maximum(variance, 0.0) + smallest**2)
    points = np.stack(list(columns.values()), axis=1)
    return Samples.of(tuple(columns), points, values, error)


def _covariance(matrix: np.ndarray) -> np.ndarray:
    matrix = np.nan_to_num(matrix)
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    return np.linalg.pinv(matrix / scale[:, None] / scale, rcond=1e-11) / scale[:, None] / scale


def _columns(
    search: SearchProblem, judge: Judge, best: Judged, equation: int, side: str
) -> dict[str, np.ndarray]:
    """Variables, and whatever else the side reads, at the points, (point,) by name."""
    states = best.fit.states  # (variable, node, run * time)
    random = np.random.default_rng(search.seed)
    times = random.integers(states.shape[2], size=_POINTS)
    used = {
        symbol.name
        for term, _ in free_terms(best.law, equation, side)
        for symbol in term.family.expression.free_symbols
    }
    strength = np.where(search.network.in_strength == 0, 1e-300, search.network.in_strength)
    fixed = {**search.data.features, "k": strength}
    columns = {}
    if side == SELF:
        nodes = random.integers(states.shape[1], size=_POINTS)
        places = {"i": nodes}
    else:
        edges = random.integers(search.network.num_edges, size=_POINTS)
        places = {"i": search.network.receivers[edges], "j": search.network.senders[edges]}
    for end, nodes in places.items():
        for v, name in enumerate(search.variables):
            columns[f"{name}_{end}"] = states[v, nodes, times]
        for name, values in fixed.items():
            if f"{name}_{end}" in used:
                columns[f"{name}_{end}"] = values[nodes]
        for name, values in judge.problem.inputs_on_grid.items():
            if f"{name}_{end}" in used:
                columns[f"{name}_{end}"] = values[nodes, times]
    sums = [v for v in search.variables if f"{v}_s" in used] if side == SELF else []
    if sums:
        stage = judge.problem.stage(states).evaluator()
        for name in sums:
            columns[f"{name}_s"] = stage.at_nodes(sympy.Symbol(f"{name}_s"))[places["i"], times]
    return columns
