"""Whole numbers that an engine has written into a term, as constants of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy

from jaxllc.dynamics.terms import Term, TermFamily, inner_symbol
from jaxllc.equations.functions import NAME_OF_FUNCTION
from jaxllc.equations.skeletons import all_parts, rebuilt
from jaxllc.knowledge.prior_knowledge import PriorKnowledge

_MOST = 3  # numbers that are freed for the units of a term to fit


def freer(term: Term) -> Iterator[Term]:
    """The term with one whole number, a factor of one in a function among them, as a constant."""
    family, free = term.family, inner_symbol(term.family.num_inner)
    bounds = (*family.bounds, (-np.inf, np.inf)) if family.bounds else ()
    for part, inside, value in _whole_numbers(family, free):
        expression = rebuilt(family.expression, {part: inside})
        other = TermFamily(family.side, expression, (*family.positive, False), bounds)
        yield Term(other, (*term.inner, float(value)))


def fitting_units(term: Term, prior: PriorKnowledge) -> Term:
    """The term, with as few of its numbers free as its units ask for; as it is where that does not help."""
    options = [term]
    for _ in range(_MOST + 1):
        for option in options:
            if prior.is_consistent(option.family):
                return option
        options = [other for option in options for other in freer(option)]
    return term


def _whole_numbers(
    family: TermFamily, free: sympy.Symbol
) -> Iterator[tuple[sympy.Expr, sympy.Expr, sympy.Expr]]:
    """Parts of a term, the same with a constant for a number in them, and that number."""
    for part in all_parts(family.expression):
        if part.is_Add:
            for number in (a for a in part.args if a.is_Integer):
                yield part, part - number + free, number
        elif part.func in NAME_OF_FUNCTION:
            (*_, argument) = part.args
            if not any(
                f.is_number or f in family.inner_symbols for f in sympy.Mul.make_args(argument)
            ):
                yield part, part.func(free * argument, evaluate=False), sympy.Integer(1)
