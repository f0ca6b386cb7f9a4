"""Magnitudes beside linear terms as the minimum or maximum of two branches, where that saves constants.

b + c |u| is max(b + c u, b - c u) for c > 0 and the minimum for c < 0. Where a coefficient of b is nearly
that of c u or its opposite, one branch loses it: x + d + |x - d| is 2 max(x, d).
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from jaxllc.equations.functions import extreme

# What is left of a coefficient in a branch, relative to that in c u, when it counts as cancelled.
_CANCELLED = 0.15


def with_extremes(expression: sympy.Expr) -> tuple[sympy.Expr, int] | None:
    """An expression with numbers, written with min and max, and how many constants fewer it has; None where
    that would not save any."""
    terms: dict[sympy.Expr, float] = {}
    for part in sympy.Add.make_args(expression):
        for term in sympy.Add.make_args(sympy.expand_mul(part, deep=False)):
            coefficient, product = term.as_coeff_Mul()
            terms[product] = terms.get(product, 0.0) + float(coefficient)
    saved = 0
    for product in [t for t in terms if t.has(sympy.Abs)]:
        found = _branches(product, terms)
        if found is not None:
            used, new, fewer = found
            saved += fewer
            for gone in used:
                terms.pop(gone, None)
            terms[new] = terms.get(new, 0.0) + 1.0
    if not saved:
        return None
    return sympy.Add(*(sympy.Float(c) * t if c != 1 else t for t, c in terms.items())), saved


def _branches(
    product: sympy.Expr, terms: Mapping[sympy.Expr, float]
) -> tuple[list[sympy.Expr], sympy.Expr, int] | None:
    """Which terms one with a magnitude takes with it, what they make, and how many constants that saves."""
    magnitudes = [f for f in sympy.Mul.make_args(product) if f.func is sympy.Abs]
    if len(magnitudes) != 1:
        return None
    outer, inside = product / magnitudes[0], magnitudes[0].args[0]
    size = terms[product]
    used = [product]
    branches: tuple[list[sympy.Expr], list[sympy.Expr]] = ([], [])
    before = after = 0
    for term in sympy.Add.make_args(inside):
        coefficient, monomial = term.as_coeff_Mul()
        own, beside = size * float(coefficient), terms.get(outer * monomial, 0.0)
        used.append(outer * monomial)
        before += 1 + (beside != 0)
        for sign, branch in zip((1, -1), branches, strict=True):
            total = beside + sign * own
            if abs(total) > _CANCELLED * abs(own):
                branch.append(sympy.Float(total) * monomial)
                after += 1
    if after >= before:
        return None
    name = "max" if size > 0 else "min"
    return used, outer * extreme(name, [sympy.Add(*b) for b in branches]), before - after
