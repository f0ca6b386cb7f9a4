"""From an expression that a search wrote for one term to the terms of a candidate law."""

from __future__ import annotations

import sympy

from jaxllc.dynamics.terms import Term, TermFamily, inner_symbol
from jaxllc.equations.expression_building import real_value
from jaxllc.search.forms.skeletons import Skeleton, as_written, rebuilt


def terms_of(expression: sympy.Expr, side: str) -> tuple[list[Term], list[float]]:
    """Terms and coefficients whose sum is an expression with numbers.

    Each summand is a term: a number that multiplies it is its coefficient, others are inner constants.
    """
    skeleton = as_written(expression)
    found: dict[TermFamily, int] = {}
    terms: list[Term] = []
    coefficients: list[float] = []
    for summand in sympy.Add.make_args(skeleton.expression):
        term, coefficient = _term(summand, skeleton, side)
        if term.family in found and not term.inner:
            coefficients[found[term.family]] += coefficient
            continue
        found[term.family] = len(terms)
        terms.append(term)
        coefficients.append(coefficient)
    return terms, coefficients


def _term(summand: sympy.Expr, skeleton: Skeleton, side: str) -> tuple[Term, float]:
    values = skeleton.by_constant
    coefficient, rest = 1.0, []
    for factor in sympy.Mul.make_args(summand):
        if factor in values:
            coefficient *= values[factor]
        elif factor.is_number:
            coefficient *= real_value(factor)
        else:
            rest.append(factor)
    body = sympy.Mul(*rest)
    inner = [c for c in skeleton.constants if body.has(c)]
    names = {c: inner_symbol(k) for k, c in enumerate(inner)}
    family = TermFamily(side, rebuilt(body, names), (False,) * len(inner))
    return Term(family, tuple(values[c] for c in inner)), coefficient
