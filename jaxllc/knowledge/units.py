"""Units: what terms they allow, and the unit of every constant of a law.

A unit is read from text such as "mol/L", "m/s^2", "1/s" or "kg*m^2/(s^2*K)". Every word is a base unit of its
own and nothing is converted: mV and V are two units, and a prefix is part of the name. "rad" and "1" are
dimensionless.

A term fits where the units of its inner constants can be chosen so that summands agree and arguments of
functions and free exponents are dimensionless. Numbers are pure, but for the coefficient of a whole term,
which has the unit that dx/dt asks for: [x] / [t] / [A] / [term], A only under the sum over edges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NoReturn

import sympy

from jaxllc.dynamics.terms import INTERACTION, TermFamily, inner_symbol
from jaxllc.errors import InputError, nearest_match
from jaxllc.knowledge.known_terms import text_of

TIME, WEIGHT = "t", "A"
_PURE = ("rad", "1")
_TOKEN = re.compile(r"\s*(?:(?P<word>[^\W\d]+|[%°])|(?P<number>\d+)|(?P<operator>\*\*|[-*/^()]))")
# Largest exponent of a unit that is read.
_LARGEST = 99


@dataclass(frozen=True)
class Unit:
    """A product of powers of base units: pairs of name and exponent, sorted by name, none zero."""

    powers: tuple[tuple[str, Fraction], ...] = ()

    @classmethod
    def of(cls, powers: Mapping[str, Fraction]) -> Unit:
        """The unit with these exponents."""
        return cls(tuple(sorted((n, Fraction(p)) for n, p in powers.items() if p)))

    @classmethod
    def read(cls, text: str) -> Unit:
        """Read a unit: words, 1, * / and parentheses, whole exponents or fractions after ^ or **."""
        return _Reader(text).read()

    def __mul__(self, other: Unit) -> Unit:
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, Fraction(0)) + power
        return Unit.of(powers)

    def __pow__(self, exponent: Fraction | int) -> Unit:
        return Unit.of({name: power * exponent for name, power in self.powers})

    def __truediv__(self, other: Unit) -> Unit:
        return self * other**-1

    def __str__(self) -> str:
        above = [_power(n, p) for n, p in self.powers if p > 0]
        below = [_power(n, -p) for n, p in self.powers if p < 0]
        text = "*".join(above) or "1"
        if not below:
            return text
        return f"{text}/{below[0]}" if len(below) == 1 else f"{text}/({'*'.join(below)})"


def _power(name: str, power: Fraction) -> str:
    if power == 1:
        return name
    return f"{name}^{power}" if power.denominator == 1 else f"{name}^({power})"


class _Reader:
    """unit := factor (* or / factor)*; factor := (word | 1 | (unit)) [^ exponent]."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.next = text, [], 0
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None or len(text) > 200:
                self.fail()
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            position = match.end()
        self.tokens.append(("end", ""))

    def fail(self) -> NoReturn:
        raise InputError(
            f"the unit {self.text[:60]!r} cannot be read; write it such as mol/L, m/s^2, 1/s or J/(mol*K)"
        )

    def take(self, *texts: str) -> str | None:
        if self.tokens[self.next][1] in texts:
            self.next += 1
            return self.tokens[self.next - 1][1]
        return None

    def read(self) -> Unit:
        unit = self.product()
        if self.tokens[self.next][0] != "end":
            self.fail()
        return unit

    def product(self) -> Unit:
        unit = self.factor()
        while operator := self.take("*", "/"):
            other = self.factor()
            unit = unit * other if operator == "*" else unit / other
        return unit

    def factor(self) -> Unit:
        kind, text = self.tokens[self.next]
        self.next += 1
        if text == "(":
            unit = self.product()
            if not self.take(")"):
                self.fail()
        elif kind == "word" or text == "1":
            unit = Unit() if text in _PURE else Unit.of({text: Fraction(1)})
        else:
            self.fail()
        return unit ** self.exponent() if self.take("^", "**") else unit

    def exponent(self) -> Fraction:
        closing = self.take("(")
        sign = -1 if self.take("-") else 1
        exponent = Fraction(sign * self.whole())
        if closing:
            if self.take("/"):
                bottom = self.whole()
                if bottom == 0:
                    self.fail()
                exponent /= bottom
            if not self.take(")"):
                self.fail()
        return exponent

    def whole(self) -> int:
        kind, text = self.tokens[self.next]
        self.next += 1
        if kind != "number" or len(text) > 2 or int(text) > _LARGEST:
            self.fail()
        return int(text)


# A unit that is not known yet: exponents of base units ("unit", name) and of inner constants ("inner", name).
_Form = dict[tuple[str, str], Fraction]


@dataclass(frozen=True)
class Units:
    """Units of variables, features, the time "t" and the weights "A"; what is not named is dimensionless."""

    quantities: tuple[tuple[str, Unit], ...]

    @classmethod
    def read(
        cls, texts: Mapping[str, str], variables: Sequence[str], feature_names: Sequence[str]
    ) -> Units:
        """Read a unit for each name; raises InputError for an unknown name or a unit that cannot be read."""
        known = (*variables, *feature_names, TIME, WEIGHT)
        for name in texts:
            if name not in known:
                raise InputError(
                    f"a unit is given for {name!r}{nearest_match(name, known)}, which is neither a variable "
                    f"nor a node feature; there are {', '.join(known)} (t is the time, A the weights)"
                )
        return cls(tuple((name, Unit.read(text)) for name, text in texts.items()))

    def of_quantity(self, name: str) -> Unit:
        """Unit of a variable, a feature, t or A."""
        return dict(self.quantities).get(name, Unit())

    def of_symbol(self, name: str) -> Unit:
        """Unit of x_i, x_j, k_i and so on."""
        quantity, _, side = name.rpartition("_")
        if quantity == "k":
            return self.of_quantity(WEIGHT)
        # A sum over neighbours is weighted.
        summed = self.of_quantity(WEIGHT) if side == "s" else Unit()
        return self.of_quantity(quantity) * summed

    def allows(self, family: TermFamily) -> bool:
        """Whether a term fits the units."""
        return _solved(self, family.expression, None) is not None

    def of_constants(self, family: TermFamily, variable: str) -> tuple[Unit, ...]:
        """Units of the constants of a term in the equation of a variable: the coefficient's, unless that is
        held, and the inner constants'. What the units leave open is dimensionless.
        """
        rate = self._rate(family, variable)
        solved = _solved(self, family.expression, rate if family.held else None)
        # A held coefficient that cannot be pure has a unit of its own.
        solved = solved or _solved(self, family.expression, None)
        if solved is None:
            raise ValueError(f"{family} does not fit the units")
        unit, inner = solved
        values = tuple(inner[inner_symbol(k).name] for k in range(family.num_inner))
        return values if family.held else (rate / unit, *values)

    def of_term(
        self, expression: sympy.Expr, wanted: Unit | None = None
    ) -> tuple[Unit, dict[str, Unit]] | None:
        """Unit of a term and of each constant in it by its name; None where the units do not fit.

        wanted: the unit that the whole must have.
        """
        return _solved(self, expression, wanted)

    def _rate(self, family: TermFamily, variable: str) -> Unit:
        rate = self.of_quantity(variable) / self.of_quantity(TIME)
        return rate / self.of_quantity(WEIGHT) if family.side == INTERACTION else rate

    def check_known(self, family: TermFamily, variable: str) -> None:
        """Raises InputError for a known term that does not fit the units."""
        if self.allows(family):
            return
        symbols = sorted(
            s.name for s in family.expression.free_symbols if self.of_symbol(s.name).powers
        )
        units = ", ".join(f"{name} in {self.of_symbol(name)}" for name in symbols)
        raise InputError(
            f"the known term {text_of(family)} of {variable} does not fit the units ({units}): "
            f"summands must agree, and arguments of functions and free exponents be dimensionless; give the "
            f"constant that is missing a name, such as exp(a*x_i) for exp(x_i)"
        )


@lru_cache(maxsize=20000)
def _solved(
    units: Units, expression: sympy.Expr, wanted: Unit | None
) -> tuple[Unit, dict[str, Unit]] | None:
    """Unit of an expression and of its inner constants; None where the units do not fit.

    wanted: the unit that the whole must have.
    """
    constraints: list[_Form] = []
    form = _form(expression, units, constraints) or {}
    if wanted is not None:
        constraints.append(_plus(form, {("unit", n): p for n, p in wanted.powers}, -1))
    unknown = sorted(
        s.name for s in expression.free_symbols if not s.name.endswith(("_i", "_j", "_s"))
    )
    inner = _solution(constraints, unknown)
    if inner is None:
        return None
    unit = Unit.of({name: power for (kind, name), power in form.items() if kind == "unit"})
    for (kind, name), power in form.items():
        if kind == "inner":
            unit = unit * inner[name] ** power
    return unit, inner


def _plus(one: _Form, other: _Form, times: Fraction | int = 1) -> _Form:
    result = dict(one)
    for key, power in other.items():
        result[key] = result.get(key, Fraction(0)) + times * power
    return {key: power for key, power in result.items() if power}


def _form(e: sympy.Expr, units: Units, constraints: list[_Form]) -> _Form | None:
    """Unit of an expression; None for zero, which has any. Adds to what must be dimensionless."""
    if e.is_zero:
        return None
    if e.is_Number or e.is_NumberSymbol:
        return {}
    if e.is_Symbol:
        if e.name.endswith(("_i", "_j", "_s")):
            return {("unit", name): power for name, power in units.of_symbol(e.name).powers}
        return {("inner", e.name): Fraction(1)}
    forms = [_form(a, units, constraints) for a in e.args]
    if e.is_Add or isinstance(e, sympy.Min | sympy.Max):
        some = [f for f in forms if f is not None]
        constraints += [_plus(f, some[0], -1) for f in some[1:]]
        return some[0] if some else None
    if e.is_Mul:
        total: _Form = {}
        for form in forms:
            total = _plus(total, form or {})
        return total
    if e.is_Pow and e.exp.is_number:
        power = Fraction(float(e.exp)).limit_denominator(1000)
        return {key: p * power for key, p in (forms[0] or {}).items()}
    if isinstance(e, sympy.Abs):
        return forms[0]
    if not isinstance(e, sympy.sign):
        constraints += [f for f in forms if f]
    return {}


def _solution(constraints: Sequence[_Form], unknown: Sequence[str]) -> dict[str, Unit] | None:
    """Units of inner constants that make all forms dimensionless, by elimination; None where there are none.

    What the constraints leave open is dimensionless.
    """
    rows = []
    for form in constraints:
        left = {name: p for (kind, name), p in form.items() if kind == "inner"}
        right = Unit.of({name: -p for (kind, name), p in form.items() if kind == "unit"})
        rows.append((left, right))
    solved: list[tuple[str, dict[str, Fraction], Unit]] = []
    for left, right in rows:
        for name, others, value in solved:
            share = left.pop(name, Fraction(0))
            if share:
                for other, power in others.items():
                    left[other] = left.get(other, Fraction(0)) - share * power
                right = right / value**share
        left = {name: p for name, p in left.items() if p}
        if not left:
            if right.powers:
                return None
            continue
        name = min(left)
        pivot = left.pop(name)
        solved.append((name, {n: p / pivot for n, p in left.items()}, right ** (1 / pivot)))
    found = dict.fromkeys(unknown, Unit())
    for name, others, value in reversed(solved):
        for other, power in others.items():
            value = value / found[other] ** power
        found[name] = value
    return found
