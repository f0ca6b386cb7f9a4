"""The named functions of an equation: what the parser reads, and the sympy class behind each name."""

from __future__ import annotations

from typing import Any

import sympy


class sigmoid(sympy.Function):  # noqa: N801 - a function's name, as sympy writes them
    """Logistic function 1 / (1 + exp(-u)), kept whole so that no derivative of it overflows."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sigmoid(self.args[0]) * (1 - sigmoid(self.args[0]))

    def _eval_rewrite_as_exp(self, u: sympy.Expr, **_: object) -> sympy.Expr:
        return 1 / (1 + sympy.exp(-u))

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return (1 / (1 + sympy.exp(-self.args[0])))._eval_evalf(prec)

    def _eval_is_extended_real(self) -> bool | None:
        return True if self.args[0].is_extended_real else None


# Of one argument.
FUNCTIONS: dict[str, Any] = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "exp": sympy.exp,
    "log": sympy.log,
    "sqrt": sympy.sqrt,
    "tanh": sympy.tanh,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "sigmoid": sigmoid,
    "abs": sympy.Abs,
}
# Of two or more arguments.
EXTREMES: dict[str, Any] = {"min": sympy.Min, "max": sympy.Max}
# hill(x, K, n) is written out as it is read, so no expression holds it.
KNOWN_NAMES = (*FUNCTIONS, *EXTREMES, "hill")
NAME_OF_FUNCTION: dict[Any, str] = {
    function: name
    for name, function in (FUNCTIONS | EXTREMES).items()
    if isinstance(function, type)
}


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
