"""Tapes of expressions whose constants are fitted, padded to one size: one compiled routine fits any of them.

Tapes of one padded size are data, not code: different expressions need no compilation of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy

from jaxllc.equations.expression_building import real_value
from jaxllc.equations.functions import record_of
from jaxllc.equations.tapes.instructions import Register, Writer
from jaxllc.errors import InputError

# Padded sizes: one compiled routine serves every expression up to these.
MAX_INPUTS = 12
MAX_CONSTANTS = 16
MAX_LENGTH = 40
# Tapes are worked on so many at a time, the last ones padded.
_BATCH = 64


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


class _Writer(Writer):
    """Writes the instructions of an expression in `inputs` and `constants`, as it stands."""

    def __init__(self, inputs: Sequence[str], constants: Sequence[sympy.Symbol]) -> None:
        super().__init__()
        self.symbols = {
            **{c: self.constant(k) for k, c in enumerate(constants)},
            **{sympy.Symbol(n): self.input(k) for k, n in enumerate(inputs)},
        }

    def write(self, e: sympy.Expr) -> Register:
        if e in self.symbols:
            return self.symbols[e]
        if e.is_number:
            return self.number(real_value(e))
        if e.is_Add:
            return self.chain("add", [self.write(a) for a in e.args])
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e.base, e.exp)
        record = record_of(e.func)
        if record is None:
            raise InputError(f"{e.func.__name__} cannot be fitted in an expression")
        if record.more:
            return self.chain(record.name, [self.write(a) for a in e.args])
        return self.emit(record.name, self.write(e.args[0]))

    def _product(self, e: sympy.Expr) -> Register:
        above, below = [], []
        for factor in e.args:
            if factor.is_Pow and factor.exp.is_number and float(factor.exp) < 0:
                below.append(self._power(factor.base, -factor.exp))
            else:
                above.append(self.write(factor))
        top = self.chain("multiply", above) if above else None
        if not below:
            assert top is not None
            return top
        bottom = self.chain("multiply", below)
        return self.emit("reciprocal", bottom) if top is None else self.emit("divide", top, bottom)

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> Register:
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

    def _whole(self, inside: Register, exponent: int) -> Register:
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
    writer = _Writer(inputs, constants)
    # The result is the last register, whatever register it was found in.
    last = writer.emit("copy", writer.write(expression))
    if len(constants) + len(writer.numbers) > MAX_CONSTANTS:
        raise InputError("the expression holds too many constants")
    if len(writer.code) > MAX_LENGTH:
        raise InputError("the expression is too long")
    written = writer.written(tuple(inputs), len(constants), [last])
    code, _ = written.placed(range(len(inputs)), MAX_INPUTS, MAX_CONSTANTS, MAX_LENGTH)
    free = np.zeros(MAX_CONSTANTS, dtype=bool)
    free[: len(constants)] = True
    values = np.zeros(MAX_CONSTANTS)
    values[len(constants) : len(constants) + len(written.numbers)] = written.numbers
    return Tape(code, len(written.code), free), values
