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
from jaxllc.errors import InputError

OPERATIONS = (
    "copy",
    "add",
    "multiply",
    "divide",
    "reciprocal",
    "power",
    "square",
    "sqrt",
    "exp",
    "log",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "abs",
    "min",
    "max",
)
_CODE = {name: k for k, name in enumerate(OPERATIONS)}
_UNARY = {
    "exp": "exp",
    "log": "log",
    "sin": "sin",
    "cos": "cos",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "Abs": "abs",
}
# Padded sizes: one compiled routine serves every expression up to these.
MAX_INPUTS = 12
MAX_CONSTANTS = 16
MAX_LENGTH = 40
_FIRST = MAX_INPUTS + MAX_CONSTANTS
# Tapes are worked on so many at a time, the last ones padded.
_BATCH = 64
_LARGEST_ARGUMENT = 600.0


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
        self.code: list[tuple[int, int, int]] = []
        self.known: dict[Any, int] = {}

    def emit(self, name: str, a: int, b: int = 0) -> int:
        key = (name, a, b)
        if key not in self.known:
            self.code.append((_CODE[name], a, b))
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
        name = e.func.__name__
        if name in ("Min", "Max"):
            return self._chain(name.lower(), [self.write(a) for a in e.args])
        if name not in _UNARY:
            raise InputError(f"{name} cannot be fitted in an expression")
        return self.emit(_UNARY[name], self.write(e.args[0]))

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
    code = [*writer.code, (_CODE["copy"], last, 0)]
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


def _bounded(a):
    return jnp.clip(a, -_LARGEST_ARGUMENT, _LARGEST_ARGUMENT)


def _logistic(a):
    return 0.5 * (1.0 + jnp.tanh(0.5 * a))


_FORWARD = (
    lambda a, b: a,
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: 1.0 / a,
    lambda a, b: jnp.exp(_bounded(b * jnp.log(a))),
    lambda a, b: a * a,
    lambda a, b: jnp.sqrt(a),
    lambda a, b: jnp.exp(_bounded(a)),
    lambda a, b: jnp.log(a),
    lambda a, b: jnp.sin(a),
    lambda a, b: jnp.cos(a),
    lambda a, b: jnp.tanh(a),
    lambda a, b: _logistic(a),
    lambda a, b: jnp.abs(a),
    lambda a, b: jnp.minimum(a, b),
    lambda a, b: jnp.maximum(a, b),
)


def _less(a, b):
    return jnp.where(a < b, 1.0, 0.0)


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
    lambda a, b, c: 0.5 / c,
    _none,
    lambda a, b, c: c,
    _none,
    lambda a, b, c: 1.0 / a,
    _none,
    lambda a, b, c: jnp.cos(a),
    _none,
    lambda a, b, c: -jnp.sin(a),
    _none,
    lambda a, b, c: 1.0 - c * c,
    _none,
    lambda a, b, c: c * (1.0 - c),
    _none,
    lambda a, b, c: jnp.sign(a),
    _none,
    lambda a, b, c: _less(a, b),
    lambda a, b, c: 1.0 - _less(a, b),
    lambda a, b, c: 1.0 - _less(a, b),
    lambda a, b, c: _less(a, b),
)


def _instruction(code, k):
    row = jax.lax.dynamic_index_in_dim(code, k, keepdims=False)
    return row[0], row[1], row[2]


# Slices in place; general indexing would copy all registers at each instruction.
def _row(rows, k):
    return jax.lax.dynamic_index_in_dim(rows, k, keepdims=False)


def _with_row(rows, row, k):
    return jax.lax.dynamic_update_index_in_dim(rows, row, k, 0)


def _registers(code, length, constants, points):
    """All registers of a tape, (register, n): inputs, constants, results."""
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
        value = jax.lax.switch(op, _FORWARD, _row(registers, a), _row(registers, b))
        return _with_row(registers, value, _FIRST + k)

    return jax.lax.fori_loop(0, length, step, start)


def with_derivatives(code, length, constants, points):
    """Values (n,) and derivatives by the constants (MAX_CONSTANTS, n).

    code, length: of a tape; constants: (MAX_CONSTANTS,); points: (MAX_INPUTS, n).
    """
    registers = _registers(code, length, constants, points)
    adjoint = jnp.zeros_like(registers).at[_FIRST + length - 1].set(1.0)

    # One argument in each turn: two updates in one would copy all adjoints.
    def step(k, adjoint):
        place, second = length - 1 - k // 2, k % 2
        op, a, b = _instruction(code, place)
        own, into = _FIRST + place, jnp.where(second, b, a)
        partial_ = jax.lax.switch(
            2 * op + second, _PARTIALS, _row(registers, a), _row(registers, b), _row(registers, own)
        )
        share = _row(adjoint, own)
        # What has no share in the result must not spread an infinite derivative.
        added = jnp.where(share == 0, 0.0, share * partial_)
        return _with_row(adjoint, _row(adjoint, into) + added, into)

    adjoint = jax.lax.fori_loop(0, 2 * length, step, adjoint)
    return registers[_FIRST + length - 1], adjoint[MAX_INPUTS:_FIRST]
