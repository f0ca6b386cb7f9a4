"""Candidate terms with functions that the library does not list, for laws that are demanded to hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol
from jaxllc.equations.function_table import DEFAULT_FUNCTIONS, TABLE
from jaxllc.equations.functions import FUNCTIONS, sigmoid
from jaxllc.equations.skeletons import made
from jaxllc.search.laws.library import Scale, families, geometric

_W0, _W1 = inner_symbol(0), inner_symbol(1)
_ONE = sympy.Integer(1)
_EXPONENTS = (0.3, 0.6, 1.4, 2.4)


def demanded_terms(
    demand: Sequence[str],
    variables: Sequence[str],
    scales: Mapping[str, Scale],
    differences: Mapping[str, Scale],
) -> list[Term]:
    """Terms of either side with each demanded function that the library lacks, none for the others."""
    terms: list[Term] = []
    for v in variables:
        own, other = sympy.Symbol(f"{v}_i"), sympy.Symbol(f"{v}_j")
        for name in demand:
            if name in TABLE and name not in DEFAULT_FUNCTIONS:
                terms += general_terms(SELF, name, own, scales[v])
                for factor in (sympy.Integer(1), own):
                    terms += general_terms(INTERACTION, name, other, scales[v], factor)
                terms += general_terms(INTERACTION, name, other - own, differences[v])
                continue
            for expression, grid in _shapes(name, own, scales[v]):
                terms += _terms(SELF, expression, grid)
            for expression, grid in _shapes(name, other, scales[v]):
                terms += _terms(INTERACTION, expression, grid)
                terms += _terms(INTERACTION, own * expression, grid)
            if name in ("abs", "min", "max"):
                for expression, grid in _shapes(name, other - own, differences[v]):
                    terms += _terms(INTERACTION, expression, grid)
    return list(dict.fromkeys(terms))


def general_terms(
    side: str, name: str, argument: sympy.Expr, scale: Scale, factor: sympy.Expr = _ONE
) -> list[Term]:
    """Terms with a function of the table of which no more is known than where it has values."""
    function, record = FUNCTIONS[name], TABLE[name]
    if record.lowest > -np.inf and not scale.strictly_positive:
        return []
    rates = geometric(1.0 / scale.size, 8.0 / scale.middle_width, 2.2)
    scaled = factor * made(function, [sympy.expand(_W0 * argument)])
    terms = families(side, scaled, [(r,) for r in rates], (True,))
    if record.lowest > -np.inf:
        return terms
    grid = [(r, float(m)) for r in rates for m in scale.quantiles]
    moved = sympy.expand(_W0 * argument) - _W0 * _W1
    for inside in (moved,) if record.parity else (moved, -moved):
        terms += families(side, factor * made(function, [inside]), grid, (True, False))
    return terms


def _shapes(
    name: str, symbol: sympy.Expr, scale: Scale
) -> Iterator[tuple[sympy.Expr, Sequence[float] | np.ndarray]]:
    """Expressions of one argument with a function, and starts of their inner constant if they have one."""
    # From nearly straight over all values to bent among the smallest.
    smallest = max(float(np.abs(scale.quantiles).min()), 0.02 * scale.size)
    rates = np.geomspace(0.3 / scale.size, 5.0 / smallest, 6)
    if name == "log" and scale.low > -0.05 * scale.size:
        yield sympy.log(1 + _W0 * symbol), rates
    elif name == "sqrt" and scale.positive:
        yield sympy.sqrt(symbol), ()
    elif name == "power" and scale.positive:
        yield symbol**_W0, _EXPONENTS
    elif name == "abs":
        yield sympy.Abs(symbol), ()
        yield sympy.Abs(symbol - _W0), scale.quantiles
    elif name == "min":
        yield sympy.Min(symbol, _W0), scale.quantiles
    elif name == "max":
        yield sympy.Max(symbol, _W0), scale.quantiles
    elif name == "cos":
        yield sympy.cos(_W0 * symbol), np.array([3.0, 6.0, 12.0]) / scale.width
    elif name == "tanh":
        yield sympy.tanh(_W0 * symbol), rates
    elif name == "sigmoid":
        yield sigmoid(_W0 * symbol), rates


def _terms(side: str, expression: sympy.Expr, grid: Sequence[float] | np.ndarray) -> list[Term]:
    values = [float(w) for w in grid]
    if not values:
        return [Term(TermFamily(side, expression))]
    low, high = min(values), max(values)
    # Positions may be negative; rates and exponents may not.
    positive = low > 0 and not expression.has(sympy.Abs, sympy.Min, sympy.Max)
    reach = (low / 3, high * 3) if positive else (low - (high - low), high + (high - low))
    family = TermFamily(side, expression, (positive,), (reach,))
    return [Term(family, (w,)) for w in values]
