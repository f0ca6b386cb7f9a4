"""Skeletons: expressions whose free constants are named, their values, and ways to write one anew.

One function can be written in several forms with different numbers of constants: (a + b x)(c + d y)
multiplied out has four instead of three; a sigmoid with an offset is a tanh. A candidate is therefore judged
in each of its forms, and the form with the fewest constants wins by its score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from jaxllc.errors import InputError
from jaxllc.functions import NOT_REAL
from jaxllc.normal_form import combined, normal_form
from jaxllc.term_shape import ONE, Factor, Monomial, Sum, reference_monomial, thaw
from jaxllc.terms import sigmoid

_NEAR = 1e-9


@lru_cache(maxsize=64)
def constant(position: int) -> sympy.Symbol:
    """Symbol of the free constant at a position; its name cannot be typed, so no input has it."""
    return sympy.Symbol(f"${position}")


@dataclass(frozen=True)
class Skeleton:
    """An expression in inputs and the free constants constant(0), constant(1), ..., and their values."""

    expression: sympy.Expr
    values: tuple[float, ...]

    @property
    def constants(self) -> tuple[sympy.Symbol, ...]:
        """Symbols of the free constants, in the order of their values."""
        return tuple(constant(k) for k in range(len(self.values)))

    @property
    def by_constant(self) -> dict[sympy.Symbol, float]:
        """The value of each free constant."""
        return dict(zip(self.constants, self.values, strict=True))

    @property
    def key(self) -> sympy.Expr:
        """Equal for skeletons that differ in values only."""
        return self.expression

    def numeric(self) -> sympy.Expr:
        """The expression with its numbers."""
        numbers = {c: sympy.Float(v) for c, v in self.by_constant.items()}
        return rebuilt(self.expression, numbers)

    def memo(self, columns: Mapping[sympy.Symbol, np.ndarray]) -> dict[sympy.Expr, Any]:
        """What `terms.evaluate` needs for the expression: inputs and constants by symbol."""
        return {**columns, **{c: np.float64(v) for c, v in self.by_constant.items()}}

    def with_values(self, values: Iterable[float]) -> Skeleton:
        """The same expression with other values of the constants."""
        return Skeleton(self.expression, tuple(float(v) for v in values))

    def replaced(self, changes: Mapping[sympy.Symbol, sympy.Expr]) -> Skeleton | None:
        """Some constants replaced by numbers or other constants; None where nothing finite is left."""
        expression = rebuilt(self.expression, changes)
        if expression.has(*NOT_REAL):
            return None
        return renumbered(expression, self.by_constant)


@lru_cache(maxsize=64)
def _mark(position: int) -> sympy.Symbol:
    return sympy.Symbol(f"${position}'")


def rebuilt(expression: sympy.Expr, changes: Mapping[sympy.Expr, sympy.Expr]) -> sympy.Expr:
    """xreplace without sympy's search for special values of functions, which takes most of its time."""
    memo: dict[sympy.Expr, sympy.Expr] = {}

    def walk(e: sympy.Expr) -> sympy.Expr:
        if e in changes:
            return changes[e]
        if not e.args:
            return e
        known = memo.get(e)
        if known is None:
            arguments = [walk(a) for a in e.args]
            known = memo[e] = e if arguments == list(e.args) else made(e.func, arguments)
        return known

    return walk(expression)


def made(function, arguments: Sequence[sympy.Expr]) -> sympy.Expr:
    """A function of arguments; evaluated only where an argument is a number."""
    plain = function in _PLAIN and not arguments[0].is_number
    if function in _EXTREMES:
        plain = len(set(arguments)) == len(arguments) > 1 and not all(
            a.is_number for a in arguments
        )
    return function(*arguments, evaluate=False) if plain else function(*arguments)


_EXTREMES = (sympy.Min, sympy.Max)
_PLAIN = (sympy.sin, sympy.cos, sympy.tan, sympy.tanh, sympy.exp, sympy.log, sympy.Abs, sigmoid)


@lru_cache(maxsize=20000)
def _shape(e: sympy.Expr) -> str:
    """The expression as text with its constants hidden."""
    if e.is_Symbol:
        return "$" if e.name.startswith("$") else e.name
    if not e.args:
        return str(e)
    parts = [_shape(a) for a in e.args]
    return f"{e.func.__name__}({', '.join(sorted(parts) if _is_commutative(e) else parts)})"


def _is_commutative(e: sympy.Expr) -> bool:
    return e.is_Add or e.is_Mul or e.func in (sympy.Min, sympy.Max)


def _symbols_in_order(e: sympy.Expr) -> Iterator[sympy.Symbol]:
    if e.is_Symbol:
        yield e
    for argument in sorted(e.args, key=_shape) if _is_commutative(e) else e.args:
        yield from _symbols_in_order(argument)


def renumbered(expression: sympy.Expr, values: Mapping[sympy.Symbol, float]) -> Skeleton:
    """A skeleton of an expression in some of these constants, numbered anew in an order that depends on
    neither their names nor their values."""
    order = [c for c in dict.fromkeys(_symbols_in_order(expression)) if c in values]
    if any(c != constant(k) for k, c in enumerate(order)):
        # Two steps, since old and new names overlap; then the order of the parts may be another.
        expression = rebuilt(expression, {c: _mark(k) for k, c in enumerate(order)})
        expression = rebuilt(expression, {_mark(k): constant(k) for k in range(len(order))})
    return Skeleton(expression, tuple(float(values[c]) for c in order))


class _Maker:
    """Numbers the constants of an expression while it is built."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.known: dict[Factor, sympy.Expr] = {}

    def number(self, value: float) -> sympy.Symbol:
        self.values.append(float(value))
        return constant(len(self.values) - 1)

    def sum(self, terms: Sum, reference: Monomial | None = None) -> sympy.Expr:
        """Coefficients are free but that of the reference, which is 1."""
        return sympy.Add(
            *(
                self.product(m) if m == reference else self.number(c) * self.product(m)
                for m, c in terms.items()
            )
        )

    def product(self, monomial: Monomial) -> sympy.Expr:
        return sympy.Mul(*(self.raised(factor, power) for factor, power in monomial))

    def raised(self, factor: Factor, power: float) -> sympy.Expr:
        base = self.factor(factor)
        if abs(2 * power - round(2 * power)) < _NEAR:
            return base ** (sympy.Rational(round(2 * power), 2))
        return base ** self.number(power)

    def factor(self, factor: Factor) -> sympy.Expr:
        # A factor that recurs has the same constants everywhere.
        if factor not in self.known:
            self.known[factor] = self._factor(*factor)
        return self.known[factor]

    def _factor(self, kind: str, argument) -> sympy.Expr:
        if kind == "symbol":
            return sympy.Symbol(argument)
        if kind in ("min", "max"):
            parts = [self.sum(thaw(part)) for part in argument]
            return made(sympy.Min if kind == "min" else sympy.Max, parts)
        terms = thaw(argument)
        if kind == "sum":
            return self.sum(terms, ONE if ONE in terms else next(iter(terms)))
        if kind in ("log", "abs"):
            reference = ONE if ONE in terms else reference_monomial(terms)
            scaled = abs(abs(terms[reference]) - 1) < 1e-9
            inside = self.sum(terms, reference if scaled else None)
            return made(sympy.log if kind == "log" else sympy.Abs, [inside])
        function = sigmoid if kind == "sigmoid" else getattr(sympy, kind)
        return made(function, [self.sum(terms)])


def from_sum(terms: Sum) -> Skeleton:
    """The skeleton of a normal form."""
    maker = _Maker()
    expression = maker.sum(terms)
    values = {constant(k): v for k, v in enumerate(maker.values)}
    return renumbered(expression, values)


def as_written(expression: sympy.Expr) -> Skeleton:
    """The skeleton of an expression as it stands: each decimal number is a constant, whole ones are not."""
    values: dict[sympy.Symbol, float] = {}

    def walk(e: sympy.Expr) -> sympy.Expr:
        if e.is_Float:
            name = constant(len(values))
            values[name] = float(e)
            return name
        if e.is_Pow and e.exp.is_number:
            twice = 2 * float(e.exp)
            if abs(twice - round(twice)) < _NEAR:
                return walk(e.base) ** sympy.Rational(round(twice), 2)
        if not e.args:
            return e
        return made(e.func, [walk(a) for a in e.args])

    return renumbered(walk(expression), values)


def forms(expression: sympy.Expr, few: bool = False) -> Iterator[Skeleton]:
    """The ways to write an expression with numbers: as it stands and multiplied out, and, unless few are
    wanted, over one denominator, as a product, and with sigmoids for tanh or the reverse."""
    seen: set[sympy.Expr] = set()
    ways = (as_written(expression), _normal(expression)) if few else _forms(expression)
    for skeleton in ways:
        if skeleton is not None and skeleton.key not in seen:
            seen.add(skeleton.key)
            yield skeleton


def _forms(expression: sympy.Expr) -> Iterator[Skeleton | None]:
    yield as_written(expression)
    yield _normal(expression)
    yield _normal(expression, over_one=True)
    yield _factored(expression)
    if expression.has(sympy.tanh):
        yield _normal(expression.replace(sympy.tanh, lambda u: 2 * sigmoid(2 * u) - 1))
    if expression.has(sigmoid) or expression.has(sympy.exp):
        yield _with_tanh(expression)
    if expression.has(sympy.sin) and expression.has(sympy.cos):
        yield _with_phase(expression)
    yield from _in_linear_range(expression)


def _terms(expression: sympy.Expr, over_one: bool = False) -> Sum | None:
    """The normal form; None where there is none, or it would be too large."""
    try:
        terms = normal_form(expression)
        return combined(terms) if over_one else terms
    except (InputError, OverflowError, RecursionError):
        return None


def _normal(expression: sympy.Expr, over_one: bool = False) -> Skeleton | None:
    terms = _terms(expression, over_one)
    return None if terms is None else from_sum(terms)


# How unlike two groups of coefficients may be for a product to be tried; the refit then decides.
_PROPORTIONAL = 0.15


def _factored(expression: sympy.Expr) -> Skeleton | None:
    """The sum as a product of two, where its coefficients nearly say so: a c + a d x + b c y + b d x y."""
    terms = _terms(expression) or {}
    for factor in {f: None for monomial in terms for f, _ in monomial}:
        groups: dict[float, Sum] = {}
        for monomial, coefficient in terms.items():
            powers = dict(monomial)
            power = powers.pop(factor, 0)
            groups.setdefault(power, {})[tuple(powers.items())] = coefficient
        first = next(iter(groups.values()))
        if len(groups) < 2 or len(first) < 2 or any(set(g) != set(first) for g in groups.values()):
            continue
        rows = np.array([[group[m] for m in first] for group in groups.values()])
        left, size, right = np.linalg.svd(rows / np.abs(rows).max(axis=0), full_matrices=False)
        if size[1] > _PROPORTIONAL * size[0]:
            continue
        shared = right[0] * np.abs(rows).max(axis=0)
        place = int(np.argmax(np.abs(shared)))
        lead = shared[place]
        maker = _Maker()
        other = maker.sum(
            {m: c / lead for m, c in zip(first, shared, strict=True)}, list(first)[place]
        )
        shares = left[:, 0] * size[0] * lead
        own = sympy.Add(
            *(
                maker.number(s) * maker.raised(factor, p)
                for s, p in zip(shares, groups, strict=True)
            )
        )
        return renumbered(own * other, {constant(k): v for k, v in enumerate(maker.values)})
    return None


# What is left of a coefficient, relative to it, when it counts as cancelled.
_CANCELLED = 0.05


def _with_tanh(expression: sympy.Expr) -> Skeleton | None:
    """Sigmoids as tanh, without the terms that cancel nearly: x - 2 x sigmoid(u) is -x tanh(u/2)."""
    plain = _terms(expression) or {}
    numeric = from_sum(plain).numeric()
    if not numeric.has(sigmoid):
        return None
    terms = _terms(numeric.replace(sigmoid, lambda u: (1 + sympy.tanh(u / 2)) / 2)) or {}
    kept = {m: c for m, c in terms.items() if abs(c) > _CANCELLED * abs(plain.get(m, 0.0))}
    return from_sum(kept) if kept else None


def _with_phase(expression: sympy.Expr) -> Skeleton | None:
    """a sin u + b cos v, with u and v nearly alike, as one sine with a phase."""
    terms = list(sympy.Add.make_args(expression))
    for k, first in enumerate(terms):
        for other in terms[k + 1 :]:
            merged = _one_wave(first, other)
            if merged is not None:
                return _normal(sympy.Add(*(t for t in terms if t not in (first, other)), merged))
    return None


def _one_wave(first: sympy.Expr, other: sympy.Expr) -> sympy.Expr | None:
    waves = [parts_of(t, sympy.sin, sympy.cos) for t in (first, other)]
    if [len(w) for w in waves] != [1, 1]:
        return None
    (one,), (two,) = waves
    coefficient, rest = (first / one).as_coeff_Mul()
    second, other_rest = (other / two).as_coeff_Mul()
    if rest != other_rest or rest.has(one.func) or not (coefficient.is_number and second.is_number):
        return None
    numbers = []
    for argument in (one.args[0], two.args[0]):
        pieces = dict(a.as_coeff_Mul()[::-1] for a in sympy.Add.make_args(argument))
        numbers.append(pieces)
    if set(numbers[0]) != set(numbers[1]):
        return None
    ratios = [float(numbers[1][m] / numbers[0][m]) for m in numbers[0] if m != 1]
    sign = 1.0 if ratios and ratios[0] > 0 else -1.0
    if any(abs(sign * r - 1) > 0.15 for r in ratios):
        return None
    # Each wave as an amplitude and a phase beyond the first one's argument.
    turn = sympy.pi / 2
    phases = [float(turn) if w.func is sympy.cos else 0.0 for w in (one, two)]
    shift = float(sign * numbers[1].get(sympy.Integer(1), 0) - numbers[0].get(sympy.Integer(1), 0))
    amplitude = float(second) * (sign if two.func is sympy.sin else 1.0)
    whole = float(coefficient) * np.exp(1j * phases[0]) + amplitude * np.exp(
        1j * (phases[1] + shift)
    )
    return sympy.Float(abs(whole)) * rest * sympy.sin(one.args[0] + sympy.Float(np.angle(whole)))


_LINEAR = {
    sympy.sin: lambda u: u,
    sympy.tanh: lambda u: u,
    sympy.exp: lambda u: 1 + u,
    sigmoid: lambda u: sympy.Rational(1, 2) + u / 4,
}


def _in_linear_range(expression: sympy.Expr) -> Iterator[Skeleton | None]:
    """Each function replaced by its first-order expansion, which is all of it that a small argument shows."""
    for part in parts_of(expression, *_LINEAR):
        yield _normal(expression.xreplace({part: _LINEAR[part.func](part.args[0])}))


def parts_of(expression: sympy.Expr, *functions) -> list[sympy.Expr]:
    """Parts that are one of these functions, each once, in the order of the expression."""
    return list(dict.fromkeys(e for e in all_parts(expression) if e.func in functions))


def all_parts(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """An expression and its parts; sympy's own traversal takes those of min and max in any order."""
    yield expression
    for argument in expression.args:
        yield from all_parts(argument)


# --- what an expression costs --------------------------------------------------------------------


def description_length(skeleton: Skeleton, per_constant: float) -> float:
    """Nats to write a skeleton down: its constants, symbols, operations and functions."""
    return per_constant * len(skeleton.values) + _structure(skeleton.expression)


@lru_cache(maxsize=20000)
def _structure(e: sympy.Expr) -> float:
    if e.is_Symbol:
        return 0.0 if e.name.startswith("$") else 1.0
    if e.is_number:
        return 0.0 if e in (1, -1) else 1.0
    inside = sum(_structure(a) for a in e.args)
    if e.is_Add or e.is_Mul:
        return inside + len(e.args) - 1
    if e.is_Pow:
        exponent = e.exp
        if exponent.is_number:
            return _structure(e.base) + (
                1.0 if exponent == -1 else 1.5 if exponent.is_Integer else 2.5
            )
        return inside + 2.0
    return inside + (3.0 if e.func is not sympy.exp else 2.5)
