"""Tapes of laws: every number of an expression is a constant beside the instructions, in canonical order.

Expressions that differ only in constants have equal instructions, hence one compilation. The integers 1 and
-1 and whole exponents belong to the structure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import sympy

from jaxllc.equations.expression_building import as_double
from jaxllc.equations.functions import EXTREMES, FUNCTIONS, NAME_OF_FUNCTION
from jaxllc.equations.tapes.instructions import Instructions, Register, Writer
from jaxllc.errors import InputError


class LawTape(NamedTuple):
    """Instructions with one output for each expression, and their constants, one expression after the other.

    sizes: how many of the constants are those of each expression.
    """

    instructions: Instructions
    constants: tuple[float, ...]
    sizes: tuple[int, ...]


_UNITS = (sympy.Integer(1), sympy.Integer(-1))
_HALVES = (sympy.Rational(1, 2), sympy.Rational(-1, 2))


def _is_constant(e: sympy.Expr) -> bool:
    return e.is_number and (e.is_Atom or e.is_Rational)


def _is_whole(exponent: sympy.Expr) -> bool:
    return exponent.is_Number and float(exponent).is_integer()


@lru_cache(maxsize=4096)
def _structure(e: sympy.Expr) -> tuple[Any, ...]:
    """An expression without its constants, in nested tuples."""
    if e.is_Symbol:
        return ("symbol", e.name)
    if e in _UNITS:
        return ("integer", int(e))
    if _is_constant(e):
        return ("constant",)
    if e.is_Add or e.is_Mul or e.func in EXTREMES.values():
        kind = "sum" if e.is_Add else "product" if e.is_Mul else NAME_OF_FUNCTION[e.func]
        return (kind, *map(_structure, _in_order(e)))
    if e.is_Pow:
        base, exponent = _structure(e.base), e.exp
        if _is_whole(exponent):
            return ("power", base, int(exponent))
        if exponent in _HALVES:
            return ("sqrt", base) if exponent > 0 else ("power", ("sqrt", base), -1)
        return ("general power", base, _structure(exponent))
    name = NAME_OF_FUNCTION.get(e.func)
    if name is None:
        raise InputError(
            f"{e.func.__name__} cannot be evaluated in a law; known functions: "
            f"{', '.join((*FUNCTIONS, *EXTREMES))}."
        )
    return (name, _structure(e.args[0]))


def _in_order(e: sympy.Expr) -> list[sympy.Expr]:
    """The arguments sorted by structure alone, so that the order does not depend on the constants."""
    return sorted(e.args, key=lambda argument: repr(_structure(argument)))


class _Writer(Writer):
    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.inputs = {name: self.input(k) for k, name in enumerate(names)}
        self.constants: list[float] = []

    def write(self, e: sympy.Expr) -> Register:
        if e.is_Symbol:
            return self.inputs[e.name]
        if e in _UNITS:
            return self.number(float(e))
        if _is_constant(e):
            self.constants.append(as_double(e))
            return self.constant(len(self.constants) - 1)
        if e.is_Pow:
            return self._power(e)
        if e.is_Add or e.is_Mul:
            name = "add" if e.is_Add else "multiply"
        else:
            name = NAME_OF_FUNCTION[e.func]
        registers = [self.write(argument) for argument in _in_order(e)]
        return self.emit(name, *registers) if len(registers) == 1 else self.chain(name, registers)

    def _power(self, e: sympy.Expr) -> Register:
        inside, exponent = self.write(e.base), e.exp
        if _is_whole(exponent):
            return self._whole(inside, int(exponent))
        if exponent in _HALVES:
            root = self.emit("sqrt", inside)
            return root if exponent > 0 else self.emit("reciprocal", root)
        return self.emit("power", inside, self.write(exponent))

    def _whole(self, inside: Register, exponent: int) -> Register:
        """By squaring: products differentiate well everywhere, also at zero."""
        if exponent < 0:
            return self.emit("reciprocal", self._whole(inside, -exponent))
        result = None
        while exponent:
            if exponent & 1:
                result = inside if result is None else self.chain("multiply", [result, inside])
            exponent >>= 1
            if exponent:
                inside = self.emit("square", inside)
        return self.number(1.0) if result is None else result


@lru_cache(maxsize=4096)
def law_tape(*expressions: sympy.Expr | int) -> LawTape:
    """The tape of expressions, which share their equal parts where these hold no constant.

    Inputs are the symbols, in the order of their names. Raises InputError for a function that laws do not
    hold.
    """
    terms = [sympy.Integer(e) if isinstance(e, int) else e for e in expressions]
    names = tuple(sorted({symbol.name for term in terms for symbol in term.free_symbols}))
    writer, outputs, sizes = _Writer(names), [], []
    for term in terms:
        _structure(term)  # refuses functions that laws do not hold
        before = len(writer.constants)
        outputs.append(writer.write(term))
        sizes.append(len(writer.constants) - before)
    instructions = writer.written(names, len(writer.constants), outputs)
    return LawTape(instructions, tuple(writer.constants), tuple(sizes))
