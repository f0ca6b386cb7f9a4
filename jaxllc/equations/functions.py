"""The functions of the table in sympy: the class behind each name, and how one more is added."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import sympy

from jaxllc.equations.function_table import TABLE, Function
from jaxllc.errors import InputError

# Of one argument, and of two or more. `register` adds to both, and to the names.
FUNCTIONS: dict[str, Any] = {}
EXTREMES: dict[str, Any] = {}
NAME_OF_FUNCTION: dict[Any, str] = {}
# hill(x, K, n) among them is written out as it is read, so no expression holds it.
KNOWN_NAMES = TABLE.keys()


class _InSympy:
    """The functions of the table on expressions, by name, for `Function.derivatives`."""

    def __getattr__(self, name: str) -> Any:
        return FUNCTIONS[name]

    @staticmethod
    def sign(u: sympy.Expr) -> sympy.Expr:
        return sympy.sign(u)


_IN_SYMPY = _InSympy()


class OwnFunction(sympy.Function):
    """A function that sympy lacks, kept whole so that no derivative of it overflows."""

    record: Function

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return self.record.derivatives[argindex - 1](*self.args, self, _IN_SYMPY)

    @property
    def definition(self) -> sympy.Expr:
        """The same in other functions."""
        return _defined(self.record, *self.args)

    def _eval_rewrite_as_exp(self, *_: sympy.Expr, **__: object) -> sympy.Expr:
        return self.definition

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return self.definition._eval_evalf(prec)

    def _eval_is_extended_real(self) -> bool | None:
        everywhere = self.record.lowest == -math.inf
        return True if everywhere and self.args[0].is_extended_real else None


def _class_of(record: Function) -> Any:
    if record.sympy:
        return getattr(sympy, record.sympy)
    members: dict[str, Any] = {"nargs": 1, "record": record, "__module__": __name__}
    if record.latex:
        members["_latex"] = _latex
    maker: Any = type(OwnFunction)
    return maker(record.name, (OwnFunction,), members)


def _latex(self: OwnFunction, printer: Any, exp: str | None = None) -> str:
    power = "" if exp is None else f"^{{{exp}}}"
    return rf"{self.record.latex}{power}\left({printer._print(self.args[0])}\right)"


def _enter(record: Function) -> None:
    if not record.whole:
        return
    function = _class_of(record)
    (EXTREMES if record.more else FUNCTIONS)[record.name] = function
    if isinstance(function, type):  # sqrt is a power
        NAME_OF_FUNCTION[function] = record.name


def register(record: Function) -> None:
    """Add a function of one argument: from here on laws can hold it, and searches that ask for it find it.

    Raises InputError for a name that is taken, and for a record that lacks what a law needs of a function.
    """
    if record.name in TABLE:
        raise InputError(f"there is a function {record.name!r} already; give another name")
    if record.arguments != 1 or record.more or len(record.derivatives) != 1:
        raise InputError(f"the function {record.name!r} must have one argument and one derivative")
    if not record.sympy and record.definition is None:
        raise InputError(
            f"the function {record.name!r} needs the name of a class in sympy, or a definition in other "
            "functions"
        )
    TABLE[record.name] = record
    _enter(record)


def forget(name: str) -> None:
    """Take away a function that was registered; raises InputError for any other."""
    if name not in TABLE or TABLE[name] in _GIVEN:
        raise InputError(f"no function {name!r} was registered")
    NAME_OF_FUNCTION.pop(FUNCTIONS.pop(name))
    del TABLE[name]


_GIVEN = tuple(TABLE.values())
for _record in _GIVEN:
    _enter(_record)
# 1 / (1 + exp(-u))
sigmoid: Any = FUNCTIONS["sigmoid"]


def record_of(function: Any) -> Function | None:
    """The record of a class of sympy; None for one that laws do not hold."""
    name = NAME_OF_FUNCTION.get(function)
    return None if name is None else TABLE[name]


def _defined(record: Function, *arguments: sympy.Expr) -> sympy.Expr:
    """A function of arguments by its definition in other functions."""
    assert record.definition is not None
    return record.definition(*arguments, _IN_SYMPY)


def written_out(expression: sympy.Expr) -> sympy.Expr:
    """The expression without those functions of our own that laws hold by their definition."""
    for name, record in TABLE.items():
        if record.written_out:
            expression = expression.replace(FUNCTIONS[name], partial(_defined, record))
    return expression


# What sympy writes where a value is not a finite real number.
NOT_REAL = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I)


def extreme(name: str, arguments: list[sympy.Expr]) -> sympy.Expr:
    """min or max of expressions, with nested ones of its kind and numbers put together.

    Not left to sympy, which compares all arguments with each other symbolically, and slowly.
    """
    function = EXTREMES[name]
    flat: list[sympy.Expr] = []
    for argument in arguments:
        flat += argument.args if argument.func is function else [argument]
    numbers = [a for a in flat if a.is_Number]
    if numbers:
        number = max(numbers) if name == "max" else min(numbers)
        flat = [a for a in flat if not a.is_Number] + [number]
    return function(*flat, evaluate=False)
