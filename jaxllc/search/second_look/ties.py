"""Terms of one side with equal or opposite coefficients as one term: a x_j - a x_i x_j has one constant."""

from __future__ import annotations

from collections.abc import Iterator

import sympy

from jaxllc.dynamics.terms import Term, TermFamily, inner_symbol
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.judge.judge import Judge, Judged
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.search.second_look.screening import while_better
from jaxllc.search.second_look.sides import NOTHING_KNOWN, is_on

# How far two coefficients may be apart, relative to the larger, to be tried as one.
_ALIKE = 0.2


def tied(
    judge: Judge, best: Judged, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Judged:
    """The best law with coefficients of an equation tied in pairs, one pair after the other."""
    return while_better(judge, best, lambda now: tied_laws(now.law, equation, prior))


def tied_laws(
    law: CandidateLaw, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Iterator[CandidateLaw]:
    """The law with each pair of nearly equal or opposite coefficients as one."""
    pairs = list(zip(law.terms[equation], law.coefficients[equation], strict=True))
    for second, (term, c) in enumerate(pairs):
        for first, (other, d) in enumerate(pairs[:second]):
            side = term.family.side
            if not (is_on(term, side) and is_on(other, side)):
                continue
            if abs(abs(c) - abs(d)) > _ALIKE * max(abs(c), abs(d)):
                continue
            sign = 1 if c * d > 0 else -1
            both = _sum(other, term, sign)
            if prior.beside_known(equation, [both]):
                yield law.joined(equation, (first, second), both, 0.5 * (d + sign * c))


def _sum(first: Term, second: Term, sign: int) -> Term:
    """One term out of two of a side: first + sign * second, with the inner constants of both."""
    one, two = first.family, second.family
    moved = {inner_symbol(k): inner_symbol(one.num_inner + k) for k in range(two.num_inner)}
    expression = sympy.Add(one.expression, sign * two.expression.xreplace(moved))
    positive = (*one.positive, *two.positive)
    bounds: tuple[tuple[float, float], ...] = ()
    if len(one.bounds) == one.num_inner and len(two.bounds) == two.num_inner:
        bounds = (*one.bounds, *two.bounds)
    family = TermFamily(one.side, expression, positive, bounds)
    return Term(family, (*first.inner, *second.inner))
