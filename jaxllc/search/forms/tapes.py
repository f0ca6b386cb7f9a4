"""Expressions as padded tapes: one compiled routine evaluates any of them, with derivatives.

A tape is a list of instructions (operation, register, register) over registers that hold first the inputs,
then the constants, then one result each. Tapes of one padded length are data, not code: different expressions
need no compilation of their own. Derivatives by the constants come from one sweep backwards over the tape,
at about the price of two evaluations however many constants there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy

from jaxllc.equations.expression_building import real_value
from jaxllc.equations.function_table import TABLE, Function, OnArrays, bounded_exp, searchable
from jaxllc.equations.functions import record_of
from jaxllc.errors import InputError

# Besides the functions that expressions hold.
_ARITHMETIC = ("copy", "add", "multiply", "divide", "reciprocal", "power", "square")
# Padded sizes: one compiled routine serves every expression up to these.
MAX_INPUTS = 12
MAX_CONSTANTS = 16
MAX_LENGTH = 40
_FIRST = MAX_INPUTS + MAX_CONSTANTS
# Tapes are worked on so many at a time, the last ones padded.
_BATCH = 64


def tape_functions() -> tuple[Function, ...]:
    """The functions that a tape holds, all that expressions do, in the order of their operations.

    A static argument of what is compiled: another table of functions is another program.
    """
    return tuple(TABLE[name] for name in searchable())


def operations() -> tuple[str, ...]:
    """Names of what an instruction can be, in the order of their numbers."""
    return (*_ARITHMETIC, *searchable())


class Tape(NamedTuple):
    """Instructions of one expression.

    code: (MAX_LENGTH, 3) operation and two registers; length: how many of them count, the last one being the
    result; free: (MAX_CONSTANTS,) whether a constant is fitted.
    """

    code: np.ndarray
    length: Any
    free: np.ndarray


def blank_tape() -> Tape:
    """A tape of nothing: all of its constants are fixed, so that a fit of it stops at once."""
    return Tape(np.zeros((MAX_LENGTH, 3), np.int32), 1, np.zeros(MAX_CONSTANTS, bool))


def in_batches(
    tapes: Sequence[Tape], constants: np.ndarray, work: Callable[[Tape, np.ndarray], Sequence[Any]]
) -> list[np.ndarray]:
    """What a routine makes of stacked tapes and their constants (tape, MAX_CONSTANTS): arrays by tape.

    The routine is given 64 tapes at a time, the last ones padded, so that it is compiled once.
    """
    found = []
    for first in range(0, len(tapes), _BATCH):
        chunk = list(tapes[first : first + _BATCH])
        missing = _BATCH - len(chunk)
        padded = [*chunk, *[blank_tape()] * missing]
        stacked = Tape(*(np.stack(part) for part in zip(*padded, strict=True)))
        start = np.pad(constants[first : first + _BATCH], ((0, missing), (0, 0)))
        found.append([np.asarray(part)[: len(chunk)] for part in work(stacked, start)])
    return [np.concatenate(part) for part in zip(*found, strict=True)]


@dataclass
class _Writer:
    """Writes the instructions of an expression; equal parts are written once."""

    inputs: dict[sympy.Symbol, int]
    constants: dict[sympy.Expr, int]
    fixed: list[float]

    def __post_init__(self) -> None:
        self.number_of = {name: k for k, name in enumerate(operations())}
        self.code: list[tuple[int, int, int]] = []
        self.known: dict[Any, int] = {}

    def emit(self, name: str, a: int, b: int = 0) -> int:
        key = (name, a, b)
        if key not in self.known:
            self.code.append((self.number_of[name], a, b))
            self.known[key] = _FIRST + len(self.code) - 1
        return self.known[key]

    def number(self, value: float) -> int:
        key = ("number", value)
        if key not in self.known:
            place = len(self.constants) + len(self.fixed)
            if place >= MAX_CONSTANTS:
                raise InputError("the expression holds too many constants")
            self.fixed.append(value)
            self.known[key] = MAX_INPUTS + place
        return self.known[key]

    def write(self, e: sympy.Expr) -> int:
        if e in self.inputs:
            return self.inputs[e]
        if e in self.constants:
            return MAX_INPUTS + self.constants[e]
        if e.is_number:
            return self.number(real_value(e))
        if e.is_Add:
            return self._chain("add", [self.write(a) for a in e.args])
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e.base, e.exp)
        record = record_of(e.func)
        if record is None:
            raise InputError(f"{e.func.__name__} cannot be fitted in an expression")
        if record.more:
            return self._chain(record.name, [self.write(a) for a in e.args])
        return self.emit(record.name, self.write(e.args[0]))

    def _chain(self, name: str, registers: list[int]) -> int:
        first = registers[0]
        for other in registers[1:]:
            first = self.emit(name, min(first, other), max(first, other))
        return first

    def _product(self, e: sympy.Expr) -> int:
        above, below = [], []
        for factor in e.args:
            if factor.is_Pow and factor.exp.is_number and float(factor.exp) < 0:
                below.append(self._power(factor.base, -factor.exp))
            else:
                above.append(self.write(factor))
        top = self._chain("multiply", above) if above else None
        if not below:
            assert top is not None
            return top
        bottom = self._chain("multiply", below)
        return self.emit("reciprocal", bottom) if top is None else self.emit("divide", top, bottom)

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> int:
        inside = self.write(base)
        if exponent.is_number:
            value = float(exponent)
            if value < 0:
                return self.emit("reciprocal", self._power(base, -exponent))
            if value == 1:
                return inside
            if value == 0.5:
                return self.emit("sqrt", inside)
            if value.is_integer() and value <= 12:
                return self._whole(inside, int(value))
        return self.emit("power", inside, self.write(exponent))

    def _whole(self, inside: int, exponent: int) -> int:
        if exponent == 1:
            return inside
        half = self._whole(inside, exponent // 2)
        squared = self.emit("square", half)
        return self.emit("multiply", inside, squared) if exponent % 2 else squared


def write_tape(
    expression: sympy.Expr, inputs: Sequence[str], constants: Sequence[sympy.Symbol]
) -> tuple[Tape, np.ndarray]:
    """The tape of an expression in inputs and constants, and the values of the constants it fixes.

    Values: (MAX_CONSTANTS,), zero where a constant is free. Raises InputError where it is too large, or holds
    what a tape cannot.
    """
    if len(inputs) > MAX_INPUTS or len(constants) > MAX_CONSTANTS:
        raise InputError("the expression has too many inputs or constants")
    writer = _Writer(
        {sympy.Symbol(n): k for k, n in enumerate(inputs)},
        {c: k for k, c in enumerate(constants)},
        [],
    )
    last = writer.write(expression)
    # The result is the last register, whatever register it was found in.
    code = [*writer.code, (writer.number_of["copy"], last, 0)]
    if len(code) > MAX_LENGTH:
        raise InputError("the expression is too long")
    padded = np.zeros((MAX_LENGTH, 3), dtype=np.int32)
    padded[: len(code)] = code
    free = np.zeros(MAX_CONSTANTS, dtype=bool)
    free[: len(constants)] = True
    values = np.zeros(MAX_CONSTANTS)
    values[len(constants) : len(constants) + len(writer.fixed)] = writer.fixed
    return Tape(padded, len(code), free), values


# --- evaluation ---------------------------------------------------------------------------------


_FORWARD = (
    lambda a, b: a,
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: 1.0 / a,
    lambda a, b: bounded_exp(b * jnp.log(a), jnp),
    lambda a, b: a * a,
)


def _forward(record: Function):
    if record.arguments == 1:
        return lambda a, b: record.tape_value(jnp, a)
    return lambda a, b: record.tape_value(jnp, a, b)


# Derivatives by both arguments, from the arguments and the result c.
def _none(a, b, c):
    return jnp.zeros_like(a)


_PARTIALS = (
    lambda a, b, c: jnp.ones_like(a),
    _none,
    lambda a, b, c: jnp.ones_like(a),
    lambda a, b, c: jnp.ones_like(a),
    lambda a, b, c: b,
    lambda a, b, c: a,
    lambda a, b, c: 1.0 / b,
    lambda a, b, c: -c / b,
    lambda a, b, c: -c * c,
    _none,
    lambda a, b, c: b * c / a,
    lambda a, b, c: c * jnp.log(a),
    lambda a, b, c: 2.0 * a,
    _none,
)
_ON_ARRAYS = OnArrays(jnp)


def _partials(record: Function):
    if record.arguments == 1:
        (by_first,) = record.derivatives
        return (lambda a, b, c: by_first(a, c, _ON_ARRAYS)), _none
    return tuple(lambda a, b, c, by=by: by(a, b, c, _ON_ARRAYS) for by in record.derivatives)


def _instruction(code, k):
    row = jax.lax.dynamic_index_in_dim(code, k, keepdims=False)
    return row[0], row[1], row[2]


# Slices in place; general indexing would copy all registers at each instruction.
def _row(rows, k):
    return jax.lax.dynamic_index_in_dim(rows, k, keepdims=False)


def _with_row(rows, row, k):
    return jax.lax.dynamic_update_index_in_dim(rows, row, k, 0)


def _registers(code, length, constants, points, functions):
    """All registers of a tape, (register, n): inputs, constants, results."""
    forward = (*_FORWARD, *map(_forward, functions))
    size = points.shape[1]
    start = jnp.concatenate(
        [
            points,
            jnp.broadcast_to(constants[:, None], (MAX_CONSTANTS, size)),
            jnp.zeros((MAX_LENGTH, size), points.dtype),
        ]
    )

    def step(k, registers):
        op, a, b = _instruction(code, k)
        value = jax.lax.switch(op, forward, _row(registers, a), _row(registers, b))
        return _with_row(registers, value, _FIRST + k)

    return jax.lax.fori_loop(0, length, step, start)


def with_derivatives(code, length, constants, points, functions):
    """Values (n,) and derivatives by the constants (MAX_CONSTANTS, n).

    code, length: of a tape; constants: (MAX_CONSTANTS,); points: (MAX_INPUTS, n); functions: those of
    `tape_functions`.
    """
    partials = (*_PARTIALS, *(one for record in functions for one in _partials(record)))
    registers = _registers(code, length, constants, points, functions)
    adjoint = jnp.zeros_like(registers).at[_FIRST + length - 1].set(1.0)

    # One argument in each turn: two updates in one would copy all adjoints.
    def step(k, adjoint):
        place, second = length - 1 - k // 2, k % 2
        op, a, b = _instruction(code, place)
        own, into = _FIRST + place, jnp.where(second, b, a)
        partial_ = jax.lax.switch(
            2 * op + second, partials, _row(registers, a), _row(registers, b), _row(registers, own)
        )
        share = _row(adjoint, own)
        # What has no share in the result must not spread an infinite derivative.
        added = jnp.where(share == 0, 0.0, share * partial_)
        return _with_row(adjoint, _row(adjoint, into) + added, into)

    adjoint = jax.lax.fori_loop(0, 2 * length, step, adjoint)
    return registers[_FIRST + length - 1], adjoint[MAX_INPUTS:_FIRST]
