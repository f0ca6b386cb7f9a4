"""The regression that a law's trajectory fit becomes when it is linearised with all candidate terms in it.

Around a law that explains the samples, and its fitted states, which carry far less noise than smoothed ones,
the trajectory fit is a linear regression to first order: what a set of terms leaves there is what the judge
would find, within the accuracy of the linearisation. The initial states and the other equations' constants
are eliminated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf

from jaxllc.dynamics.terms import Term, TermFamily, inner_symbol
from jaxllc.equations.expression_calculus import derivative
from jaxllc.fit.condensing import OWN, Linearisation, linearise
from jaxllc.fit.trajectory_fit import mode_of
from jaxllc.judge.judge import Judge, Judged
from jaxllc.running.time_limit import check_time
from jaxllc.search.laws.reduced_columns import Reduced

# Multiplications that the products of the columns may cost; beyond them a part of the nodes has to do.
_LARGEST_WORK = 1.5e10
# Numbers in the columns over the whole grid, at most.
_LARGEST_SIZE = 4e7
# Nodes that are kept at least.
_FEWEST_NODES = 8
# Squared length that is left of a column of unit length when it counts as in the span of others.
_SMALLEST_PIVOT = 1e-11


class Regression(NamedTuple):
    """reduced: columns of unit length and one target; scale: (column,) their lengths; others: what
    constants and terms of the other equations cost in the criterion.
    """

    reduced: Reduced
    scale: np.ndarray
    others: float


def likelihood_columns(
    judge: Judge, best: Judged, equation: int, candidates: Sequence[Term], seed: int = 0
) -> Regression:
    """Candidate terms of one equation, with their derivatives by inner constants, as columns.

    Residuals are in units of the noise, so that a sum of squares is a chi-squared of the judge.
    """
    check_time()
    law = best.law
    extra, width = _with_slopes(equation, candidates)
    nodes = _counted_nodes(judge, len(extra) + law.num_constants, seed)
    with np.errstate(all="ignore"):
        mode = mode_of(judge.problem) if nodes is None else OWN
        line = linearise(judge.problem, law, best.fit.states, mode, extra, mutual=True, nodes=nodes)
        gram, aim, total = _of_equation(line, best, equation)
    share = _counted_share(judge, nodes)
    gram, aim, total = gram / share, aim / share, total / share
    return _regression(judge, best, equation, candidates, width, gram, aim, total)


def affordable(judge: Judge, candidates: Sequence[Term], own: int) -> list[Term]:
    """The candidates, with coarser grids of their inner constants where all would be too many.

    own: how many of the first, those of the law, stay in any case. Without terms with inner constants, or
    empty, where not even one of each family can be afforded.
    """
    problem = judge.problem
    largest = _LARGEST_SIZE / (problem.num_runs * problem.dimension * problem.grid_length)
    grids: dict[TermFamily, list[Term]] = {}
    for term in candidates[own:]:
        grids.setdefault(term.family, []).append(term)
    longest = max((len(g) for g in grids.values()), default=0)
    for step in range(1, longest + 1):
        kept = [*candidates[:own], *(t for g in grids.values() for t in g[(step - 1) // 2 :: step])]
        # A grid shorter than the step keeps its middle.
        short = [g[len(g) // 2] for g in grids.values() if len(g) <= (step - 1) // 2]
        if _num_columns([*kept, *short]) <= largest:
            return [*kept, *short]
    plain = [*candidates[:own], *(t for t in candidates[own:] if not t.inner)]
    return plain if _num_columns(plain) <= largest else []


def _num_columns(terms: Sequence[Term]) -> int:
    return sum(1 + t.family.num_inner for t in terms)


def _with_slopes(
    equation: int, candidates: Sequence[Term]
) -> tuple[list[tuple[int, Term]], np.ndarray]:
    extra, width = [], []
    for term in candidates:
        family = term.family
        extra.append((equation, term))
        for k in range(family.num_inner):
            slope = derivative(family.expression, inner_symbol(k))
            extra.append(
                (equation, Term(TermFamily(family.side, slope, family.positive), term.inner))
            )
        width.append(1 + family.num_inner)
    return extra, np.array(width, dtype=int)


def _counted_nodes(judge: Judge, columns: int, seed: int) -> np.ndarray | None:
    """Nodes whose samples count; None for all."""
    problem = judge.problem
    rows = judge.num_samples
    count = int(problem.num_nodes * min(1.0, _LARGEST_WORK / (rows * columns**2)))
    count = max(count, _FEWEST_NODES)
    if count >= problem.num_nodes:
        return None
    random = np.random.default_rng(seed)
    return np.sort(random.choice(problem.num_nodes, count, replace=False))


def _counted_share(judge: Judge, nodes: np.ndarray | None) -> float:
    """Share of the samples that the chosen nodes have."""
    if nodes is None:
        return 1.0
    mask = judge.problem.mask
    return float(mask[:, nodes].sum() / mask.sum())


def _of_equation(
    line: Linearisation, best: Judged, equation: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Products of the candidates' columns, with the target, and the target's square.

    The target is what the equation's own terms explain, and what they leave. Constants of the other equations
    are free in every set: they are projected out.
    """
    law = best.law
    solved, gram, slope = line.normal.reduced()
    merit = line.normal.merit
    if len(line.normal.blocks):
        merit = merit - float((line.normal.gradient_initial * solved[:, :, -1]).sum())
    own = law.num_constants
    owner, linear = law.owners()
    equation_of = np.array([e for e, terms in enumerate(law.terms) for _ in terms], dtype=int)
    here = equation_of[owner] == equation if own else np.zeros(0, dtype=bool)
    values = np.where(linear & here, law.vector(), 0.0) if own else np.zeros(0)
    aim = slope + gram[:, :own] @ values
    total = float(merit + 2 * values @ slope[:own] + values @ gram[:own, :own] @ values)
    others, kept = np.flatnonzero(~here), np.arange(own, len(aim))
    if not len(others):
        return gram[np.ix_(kept, kept)], aim[kept], total
    right = np.concatenate([gram[np.ix_(others, kept)], aim[others, None]], axis=1)
    block = gram[np.ix_(others, others)]
    scale = np.sqrt(np.maximum(np.diag(block), 1e-300))
    finite = np.isfinite(right)
    taken = (
        np.linalg.lstsq(
            block / scale[:, None] / scale[None],
            np.where(finite, right, 0.0) / scale[:, None],
            rcond=1e-12,
        )[0]
        / scale[:, None]
    )
    total -= float(aim[others] @ taken[:, -1])
    aim = aim[kept] - right[:, :-1].T @ taken[:, -1]
    return gram[np.ix_(kept, kept)] - right[:, :-1].T @ taken[:, :-1], aim, total


def _regression(
    judge: Judge,
    best: Judged,
    equation: int,
    candidates: Sequence[Term],
    width: np.ndarray,
    gram: np.ndarray,
    aim: np.ndarray,
    total: float,
) -> Regression:
    """The factorised regression of the candidates that can be evaluated and that initial states leave."""
    starts = np.cumsum(width) - width
    diagonal = np.diag(gram)
    good = [
        t
        for t, (start, count) in enumerate(zip(starts, width, strict=True))
        if diagonal[start] > 1e-12
        and np.all(np.isfinite(diagonal[start : start + count]))
        and np.all(np.isfinite(aim[start : start + count]))
    ]
    columns = np.concatenate([np.arange(starts[t], starts[t] + width[t]) for t in good])
    gram, aim = gram[np.ix_(columns, columns)], aim[columns]
    finite = np.isfinite(gram)
    gram = np.where(finite & finite.T, gram, 0.0)
    length = np.sqrt(np.maximum(np.diag(gram), 0.0))
    scale = np.where(length > 0, length, 1.0)
    factor, order, rank, _ = dpstrf(gram / scale[:, None] / scale[None], tol=_SMALLEST_PIVOT)
    upper = np.triu(factor[:rank])
    reduced = np.empty_like(upper)
    reduced[:, order - 1] = upper
    target = solve_triangular(upper[:, :rank], (aim / scale)[order[:rank] - 1], trans="T")
    outside = max(total - float(target @ target), 1e-9)
    widths = width[good]
    rest = [terms for e, terms in enumerate(best.law.terms) if e != equation]
    others = sum(
        judge.penalty * sum(t.num_constants for t in terms) + judge.prices.of_terms(terms)
        for terms in rest
    )
    return Regression(
        Reduced(
            [candidates[t] for t in good],
            reduced,
            np.cumsum(widths) - widths,
            widths,
            target[:, None],
            np.array([outside]),
            np.array([int(judge.num_samples)]),
        ),
        scale,
        others,
    )
