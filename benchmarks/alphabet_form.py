"""An expression in the alphabet of the pre-trained engine: the skeleton that holds it, where there is one.

Expressions are multiplied out; each term is then monomials times functions, each function of a polynomial
and of one inner function at most, or it has no such form. Powers of sines are written with multiples of
their argument, extremes with magnitudes. Other identities are not tried, so that an expression without a
form may still have one. The constants of the form are free one by one, so that its family is larger than
that of an expression whose expansion ties some of them: the form of (x - c)**2 is 1 + x + x**2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
import sympy

from jaxllc.equations.functions import sigmoid
from jaxllc.pretrained.skeletons.alphabet import FACTORS, GROUPS, KIND, LENGTH, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    MOST_CONSTANTS,
    Structures,
    canonical,
    empty,
    num_constants,
)
from jaxllc.pretrained.skeletons.strings import lengths

_KINDS = {
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.tanh: "tanh",
    sigmoid: "sigmoid",
    sympy.Abs: "abs",
}


class _NoFormError(Exception):
    pass


@dataclass(frozen=True, order=True)
class _Factor:
    """A function: its kind, the monomials of its argument, its inner function if any, and that one's."""

    kind: int
    argument: tuple[int, ...]
    inner_kind: int = 0
    inner: tuple[int, ...] = ()


def alphabet_form(
    expression: sympy.Expr, variables: Sequence[str], symbols: Alphabet
) -> Structures | None:
    """The one skeleton, in canonical form, whose family holds an expression; None where no rule finds it.

    variables: the names of the first variables of the alphabet, at most as many as it has.
    """
    if len(variables) > symbols.num_variables:
        return None
    names = [sympy.Symbol(f"v{k}", real=True) for k in range(len(variables))]
    real = expression.xreplace(dict(zip(map(sympy.Symbol, variables), names, strict=True)))
    try:
        found = _Reader(names, symbols).read(_plain(real))
    except _NoFormError:
        return None
    found, good = canonical(found, symbols)
    if not good[0] or num_constants(found)[0] > MOST_CONSTANTS or lengths(found)[0] > LENGTH:
        return None
    return found


def _plain(expression: sympy.Expr) -> sympy.Expr:
    """Multiplied out, without extremes and powers of sines."""

    def extreme(e: sympy.Expr) -> sympy.Expr:
        sign = 1 if isinstance(e, sympy.Max) else -1
        first, *others = e.args
        for other in others:
            first = (first + other + sign * sympy.Abs(first - other)) / 2
        return first

    def wave(e: sympy.Expr) -> sympy.Expr:
        u = e.base.args[0]
        if e.exp == 2:
            sign = 1 if isinstance(e.base, sympy.cos) else -1
            return (1 + sign * sympy.cos(2 * u)) / 2
        if isinstance(e.base, sympy.cos):
            return (3 * sympy.cos(u) + sympy.cos(3 * u)) / 4
        return (3 * sympy.sin(u) - sympy.sin(3 * u)) / 4

    def is_wave(e: sympy.Expr) -> bool:
        return e.is_Pow and e.exp in (2, 3) and isinstance(e.base, sympy.sin | sympy.cos)

    without = expression.replace(lambda e: isinstance(e, sympy.Min | sympy.Max), extreme)
    return _expanded(_expanded(without).replace(is_wave, wave))


def _expanded(expression: sympy.Expr) -> sympy.Expr:
    """Multiplied out, but for what stands in functions, in denominators and under roots."""
    whole: dict[sympy.Expr, sympy.Expr] = {}

    def kept(e: sympy.Expr) -> sympy.Expr:
        if not e.args or not e.free_symbols:
            return e
        if e.is_Function or (e.is_Pow and not e.base.is_Symbol and not _is_count(e.exp)):
            return whole.setdefault(e, sympy.Dummy(real=True))
        return e.func(*map(kept, e.args))

    found = sympy.expand(kept(expression))
    return found.xreplace({dummy: e for e, dummy in whole.items()})


def _is_count(exponent: sympy.Expr) -> bool:
    return bool(exponent.is_Integer and exponent.is_positive)


def _functions(term: sympy.Expr) -> list[object]:
    """What tells functions of one form in a product apart: themselves, and odd exponents of variables."""
    found: list[object] = []
    for part in sympy.Mul.make_args(term):
        base, exponent = part.as_base_exp() if part.is_Pow else (part, sympy.Integer(1))
        if not base.is_Symbol and not base.is_number:
            found.append(part)
        elif base.is_Symbol and not (2 * exponent).is_integer:
            found.append(float(exponent))
    return found


class _Reader:
    def __init__(self, names: Sequence[sympy.Symbol], symbols: Alphabet):
        self.names, self.symbols = list(names), symbols

    def read(self, expression: sympy.Expr) -> Structures:
        # Functions of one form with other constants, as of a harmonic sum, are groups of their own.
        groups: dict[frozenset[object], tuple[list[_Factor], set[int]]] = {}
        base: set[int] = set()
        for term in sympy.Add.make_args(expression):
            monomial, factors = self.split(term)
            if factors:
                key = frozenset([*factors, *_functions(term)])
                groups.setdefault(key, (factors, set()))[1].add(monomial)
            else:
                base.add(monomial)
        if len(groups) > GROUPS or any(len(factors) > FACTORS for factors, _ in groups.values()):
            raise _NoFormError
        found = empty(1, self.symbols.num_monomials)
        found.base[0, list(base)] = True
        for g, (factors, outer) in enumerate(groups.values()):
            found.outer[0, g, list(outer)] = True
            for f, factor in enumerate(factors):
                found.kind[0, g, f], found.inner_kind[0, g, f] = factor.kind, factor.inner_kind
                found.argument[0, g, f, list(factor.argument)] = True
                found.inner[0, g, f, list(factor.inner)] = True
        return found

    def split(self, term: sympy.Expr) -> tuple[int, list[_Factor]]:
        """The monomial and the functions of a product."""
        above = np.zeros(self.symbols.num_variables, int)
        factors: list[_Factor] = []
        for part in sympy.Mul.make_args(term):
            if part.is_number:
                continue
            base, exponent = part.as_base_exp() if part.is_Pow else (part, sympy.Integer(1))
            if not exponent.is_number:
                raise _NoFormError
            if base.is_Symbol:
                factors += self.power_of_variable(base, float(exponent), above)
            else:
                factors += self.power(base, float(exponent))
        below = np.maximum(-above, 0)
        if below.any():
            factors.append(_Factor(KIND["reciprocal"], (self.place(below),)))
        return self.place(np.maximum(above, 0)), factors

    def power_of_variable(self, name: sympy.Expr, exponent: float, above: np.ndarray):
        variable = self.names.index(name)
        whole = floor(exponent)
        if exponent == whole:
            above[variable] += whole
            return []
        linear = np.eye(self.symbols.num_variables, dtype=int)[variable]
        if exponent == whole + 0.5:
            above[variable] += whole
            return [_Factor(KIND["sqrt"], (self.place(linear),))]
        # Its exponent is free, so that a power beside it has no part.
        return [_Factor(KIND["power"], (self.place(linear),))]

    def power(self, base: sympy.Expr, exponent: float) -> list[_Factor]:
        whole = floor(exponent)
        if exponent not in (whole, whole + 0.5) or abs(whole) > FACTORS:
            raise _NoFormError
        factors = [] if exponent == whole else [self.function("sqrt", base)]
        if whole < 0:
            return factors + [self.function("reciprocal", base)] * -whole
        for _ in range(whole):
            if type(base) not in _KINDS:
                raise _NoFormError
            if isinstance(base, sympy.Abs):
                # The magnitude of a product is that of its factors.
                parts = [part for part in sympy.Mul.make_args(base.args[0]) if not part.is_number]
                factors += [self.function("abs", part) for part in parts]
            else:
                factors.append(self.function(_KINDS[type(base)], base.args[0]))
        return factors

    def function(self, kind: str, argument: sympy.Expr) -> _Factor:
        monomials: set[int] = set()
        inner: list[_Factor] = []
        for term in sympy.Add.make_args(_expanded(argument)):
            monomial, factors = self.split(term)
            if not factors:
                monomials.add(monomial)
            elif len(factors) == 1 and monomial == 0 and not factors[0].inner_kind:
                inner.append(factors[0])
            else:
                raise _NoFormError
        if len(inner) > 1:
            raise _NoFormError
        place = tuple(sorted(monomials))
        if not inner:
            return _Factor(KIND[kind], place)
        return _Factor(KIND[kind], place, inner[0].kind, inner[0].argument)

    def place(self, exponents: np.ndarray) -> int:
        found = self.symbols.index.get(tuple(map(int, exponents)))
        if found is None:
            raise _NoFormError
        return found
