"""Dimensions of the constants of a law: how each changes with the units of the variables and of the time.

    x -> a x, t -> b t:   a constant of the dimension x^p / t^q becomes a^p b^-q times what it was

Weights of edges and node features are taken for pure numbers.  So is every variable of a law that holds a
term such as exp(x_i), in which nothing could take a unit away.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import sympy

from jaxllc.equations.functions import written_out
from jaxllc.knowledge.units import TIME, Unit, Units

if TYPE_CHECKING:
    from jaxllc.law.record import Constant

PURE = Unit()


def dimensions(
    constants: Sequence[Constant], terms: Sequence[sympy.Expr], variables: Sequence[str]
) -> list[Unit]:
    """The dimension of each constant of a law, in "x" and so on for the variables and "t" for the time.

    terms: the term of each constant as an expression, in which inner constants stand by their roles.
    """
    every = [(name, Unit.of({name: Fraction(1)})) for name in (*variables, TIME)]
    found = _found(constants, terms, Units(tuple(every)))
    if found is None:
        found = _found(constants, terms, Units((every[-1],)))
    # Not even the time fits: a term that a user wrote with numbers of its own sets the units.
    return found or [PURE] * len(constants)


def _found(
    constants: Sequence[Constant], terms: Sequence[sympy.Expr], units: Units
) -> list[Unit] | None:
    result = []
    for constant, term in zip(constants, terms, strict=True):
        plain = written_out(term)
        rate = units.of_quantity(constant.variable) / units.of_quantity(TIME)
        named = {s.name for s in plain.free_symbols}
        # A known term holds all its constants by name and has no coefficient beside them.
        whole = constant.role in named and not constant.role.startswith("w")
        solved = units.of_term(plain, rate if whole else None)
        if solved is None:
            return None
        unit, inner = solved
        result.append(inner[constant.role] if constant.role in named else rate / unit)
    return result
