"""Terms: the building blocks of a law, each a skeleton on one side of an equation.

A law is a sum of coefficient times term.  A term of the node (`self`) is a function of the receiver's
variables and features, and of sums over its neighbours, x_s = sum_j A_ij x_j; a term of the edges
(`interaction`) is summed over incoming edges, ``T_i = sum_j A_ij g(x_i, x_j)``.  Laws show the names of its
constants and users type them; those of a skeleton cannot be typed, since its inputs may have any name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from jaxllc.equations.expression_building import filled, real_value, representable
from jaxllc.equations.functions import written_out
from jaxllc.equations.skeletons import Skeleton, as_written, constant, rebuilt, renumbered

SELF = "self"
INTERACTION = "interaction"


def inner_symbol(position: int) -> sympy.Symbol:
    """Symbol of the inner constant at a position: w0, w1, ..."""
    return sympy.Symbol(f"w{position}")


@dataclass(frozen=True)
class TermFamily:
    """A term up to the values of its inner constants.

    expression: in the symbols v_i, v_j of variables and features and the inner constants w0, w1, ...; on the
        self side v_i and v_s, which stands for sum_j A_ij v_j.
    positive: for each inner constant, whether it is searched on a logarithmic scale.
    bounds: for each inner constant, the range it is kept in.
    """

    side: str
    expression: sympy.Expr
    positive: tuple[bool, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()

    # Terms that a user knows beforehand are of a kind of their own, `known_terms.KnownFamily`.
    @property
    def known(self) -> bool:
        """Whether every law must hold it."""
        return False

    @property
    def held(self) -> bool:
        """Whether its coefficient is one and not fitted."""
        return False

    @property
    def num_inner(self) -> int:
        return len(self.positive)

    @property
    def inner_symbols(self) -> frozenset[sympy.Symbol]:
        """Symbols of the inner constants; a variable may be called w, too."""
        return frozenset(map(inner_symbol, range(self.num_inner)))

    @property
    def form(self) -> sympy.Expr:
        """The expression in the constants of skeletons, whose names no variable can have."""
        names = {inner_symbol(k): constant(k) for k in range(self.num_inner)}
        return rebuilt(self.expression, names)

    @property
    def text(self) -> str:
        """The expression as a law shows it, without functions of the search's own."""
        return str(written_out(self.expression))

    def __str__(self) -> str:
        return f"{'sum ' if self.side == INTERACTION else ''}{self.expression}"


@dataclass(frozen=True)
class Term:
    """A skeleton on a side of an equation: a term family with values for its inner constants."""

    family: TermFamily
    inner: tuple[float, ...] = ()

    @classmethod
    def of(cls, skeleton: Skeleton, side: str) -> Term:
        """The term that a skeleton is on a side, its constants without bounds."""
        names = {c: inner_symbol(k) for k, c in enumerate(skeleton.constants)}
        family = TermFamily(side, rebuilt(skeleton.expression, names), (False,) * len(names))
        return cls(family, skeleton.values)

    @property
    def by_inner(self) -> dict[sympy.Symbol, np.float64]:
        """The value of each inner constant by its symbol, as `evaluate` takes them."""
        return {inner_symbol(k): np.float64(w) for k, w in enumerate(self.inner)}

    @property
    def num_constants(self) -> int:
        """Its coefficient, unless that is held, and its inner constants."""
        return len(self.inner) + (0 if self.family.held else 1)

    def sympy(self) -> sympy.Expr:
        """The term as an expression of variables and numbers only."""
        values = {inner_symbol(k): sympy.Float(w) for k, w in enumerate(self.inner)}
        expression = filled(self.family.expression, values)
        plain = written_out(expression)
        # Sympy splits exp(w0*x - 1000), which leaves the range of a double.
        return plain if representable(plain) else expression

    def with_inner(self, inner: Sequence[float]) -> Term:
        """The term with other inner constants, kept within the family's bounds."""
        values = [float(w) for w in inner]
        if self.family.bounds:
            pairs = zip(values, self.family.bounds, strict=True)
            values = [min(max(w, low), high) for w, (low, high) in pairs]
        return Term(self.family, tuple(values))


def terms_of(expression: sympy.Expr, side: str) -> tuple[list[Term], list[float]]:
    """Terms and coefficients whose sum is an expression with numbers, as a search writes one.

    Each summand is a term: a number that multiplies it is its coefficient, others are inner constants.
    """
    return terms_of_skeleton(as_written(expression), side)


def terms_of_skeleton(whole: Skeleton, side: str) -> tuple[list[Term], list[float]]:
    """The same of a skeleton, whose constants may stand before sums."""
    found: dict[TermFamily, int] = {}
    terms: list[Term] = []
    coefficients: list[float] = []
    for summand in sympy.Add.make_args(whole.expression):
        coefficient, body = _coefficient_of(summand, whole.by_constant)
        term = Term.of(renumbered(body, whole.by_constant), side)
        if term.family in found and not term.inner:
            coefficients[found[term.family]] += coefficient
            continue
        found[term.family] = len(terms)
        terms.append(term)
        coefficients.append(coefficient)
    return terms, coefficients


def _coefficient_of(
    summand: sympy.Expr, values: Mapping[sympy.Symbol, float]
) -> tuple[float, sympy.Expr]:
    """The product of a summand's numbers and free constants, and what they multiply."""
    coefficient, rest = 1.0, []
    for factor in sympy.Mul.make_args(summand):
        if factor in values:
            coefficient *= values[factor]
        elif factor.is_number:
            coefficient *= real_value(factor)
        else:
            rest.append(factor)
    return coefficient, sympy.Mul(*rest)
