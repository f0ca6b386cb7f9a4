"""Skeletons: expressions whose free constants are named, their values, and what it costs to write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from jaxllc.equations.expression_building import real_value
from jaxllc.equations.function_table import TABLE
from jaxllc.equations.functions import (
    EXTREMES,
    FUNCTIONS,
    NAME_OF_FUNCTION,
    NOT_REAL,
    record_of,
)
from jaxllc.equations.term_shape import (
    ONE,
    Factor,
    Monomial,
    Sum,
    is_extreme,
    reference_monomial,
    thaw,
)

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
        """What `evaluate` needs for the expression: inputs and constants by symbol."""
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
    plain = function in NAME_OF_FUNCTION and not arguments[0].is_number
    if function in EXTREMES.values():
        plain = len(set(arguments)) == len(arguments) > 1 and not all(
            a.is_number for a in arguments
        )
    return function(*arguments, evaluate=False) if plain else function(*arguments)


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
    return e.is_Add or e.is_Mul or e.func in EXTREMES.values()


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
        expression = rebuilt(expression, {c: constant(k) for k, c in enumerate(order)})
    return Skeleton(expression, tuple(float(values[c]) for c in order))


class Maker:
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
        if is_extreme(kind):
            parts = [self.sum(thaw(part)) for part in argument]
            return made(EXTREMES[kind], parts)
        terms = thaw(argument)
        if kind == "sum":
            return self.sum(terms, ONE if ONE in terms else next(iter(terms)))
        if TABLE[kind].scaled:
            reference = ONE if ONE in terms else reference_monomial(terms)
            scaled = abs(abs(terms[reference]) - 1) < 1e-9
            inside = self.sum(terms, reference if scaled else None)
            return made(FUNCTIONS[kind], [inside])
        return made(FUNCTIONS[kind], [self.sum(terms)])


def from_sum(terms: Sum) -> Skeleton:
    """The skeleton of a normal form."""
    maker = Maker()
    expression = maker.sum(terms)
    values = {constant(k): v for k, v in enumerate(maker.values)}
    return renumbered(expression, values)


def as_written(expression: sympy.Expr) -> Skeleton:
    """The skeleton of an expression as it stands: each decimal number is a constant, whole ones are not.

    Raises InputError for an exponent that is not a real number.
    """
    values: dict[sympy.Symbol, float] = {}

    def walk(e: sympy.Expr) -> sympy.Expr:
        if e.is_Float:
            name = constant(len(values))
            values[name] = float(e)
            return name
        if e.is_Pow and e.exp.is_number:
            twice = 2 * real_value(e.exp)
            if abs(twice - round(twice)) < _NEAR:
                return walk(e.base) ** sympy.Rational(round(twice), 2)
        if not e.args:
            return e
        return made(e.func, [walk(a) for a in e.args])

    return renumbered(walk(expression), values)


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
    return per_constant * len(skeleton.values) + structure_cost(skeleton.expression)


@lru_cache(maxsize=20000)
def structure_cost(e: sympy.Expr) -> float:
    """What it takes to write an expression down, but for its constants: one for each symbol and operation."""
    if e.is_Symbol:
        return 0.0 if e.name.startswith("$") else 1.0
    if e.is_number:
        return 0.0 if e in (1, -1) else 1.0
    inside = sum(structure_cost(a) for a in e.args)
    if e.is_Add or e.is_Mul:
        return inside + len(e.args) - 1
    if e.is_Pow:
        exponent = e.exp
        if exponent.is_number:
            return structure_cost(e.base) + (
                1.0 if exponent == -1 else 1.5 if exponent.is_Integer else 2.5
            )
        return inside + 2.0
    record = record_of(e.func)
    return inside + (3.0 if record is None else record.cost)
