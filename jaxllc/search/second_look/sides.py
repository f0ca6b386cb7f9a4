"""One side of an equation of a candidate law: as an expression with numbers, and replaced by another one."""

from __future__ import annotations

from collections.abc import Iterator

import sympy

from jaxllc.dynamics.terms import SELF, Term, inner_symbol, terms_of
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.knowledge.prior_knowledge import PriorKnowledge

NOTHING_KNOWN = PriorKnowledge()


def is_on(term: Term, side: str) -> bool:
    """Whether a term stands on a side ("self" or "interaction") and is not known beforehand."""
    return (term.family.side == SELF) == (side == SELF) and not term.family.known


def free_terms(law: CandidateLaw, equation: int, side: str) -> Iterator[tuple[Term, float]]:
    """The terms of a side that are not known beforehand, with their coefficients."""
    pairs = zip(law.terms[equation], law.coefficients[equation], strict=True)
    return ((term, c) for term, c in pairs if is_on(term, side))


def side_expression(law: CandidateLaw, equation: int, side: str) -> sympy.Expr:
    """These terms as one expression with numbers; functions of the search's own are kept."""
    total = sympy.Integer(0)
    for term, c in free_terms(law, equation, side):
        values = {inner_symbol(k): sympy.Float(w) for k, w in enumerate(term.inner)}
        total += sympy.Float(c) * term.family.expression.xreplace(values)
    return total


def with_side(
    law: CandidateLaw,
    equation: int,
    side: str,
    expression: sympy.Expr,
    prior: PriorKnowledge = NOTHING_KNOWN,
) -> CandidateLaw | None:
    """The law with an expression for the free terms of a side; None where what is known forbids a term."""
    terms, coefficients = terms_of(expression, side)
    terms = prior.beside_known(equation, terms)
    if len(terms) < len(coefficients):
        return None
    pairs = zip(law.terms[equation], law.coefficients[equation], strict=True)
    kept = [(t, c) for t, c in pairs if not is_on(t, side)]
    return law.replaced(
        equation, [*(t for t, _ in kept), *terms], [*(c for _, c in kept), *coefficients]
    )
