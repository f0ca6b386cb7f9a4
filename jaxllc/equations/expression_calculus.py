"""Values and derivatives of expressions on arrays, each common part computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from jaxllc.equations.functions import record_of

# What derivatives hold beside the functions of laws: with 1/2 on a tie, and zero almost everywhere.
_OF_DERIVATIVES: dict[Any, Callable[..., Any]] = {
    sympy.sign: np.sign,
    sympy.Heaviside: np.heaviside,
    sympy.DiracDelta: lambda value, *_: np.zeros_like(value),
}


class _Modulus(sympy.Function):
    """abs of a real number: sympy takes symbols for complex, where abs has no derivative."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return _Sign(self.args[0])


class _Sign(sympy.Function):
    """sign of a real number: constant almost everywhere."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.Integer(0)


def _has_symbols(function: Any) -> Callable[[sympy.Expr], bool]:
    # The modulus of a number is left alone: sympy compares it in min and max.
    return lambda e: e.func is function and bool(e.free_symbols)


@lru_cache(maxsize=20000)
def derivative(expression: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    if not expression.has(sympy.Abs, sympy.sign):
        return sympy.diff(expression, symbol)
    real = expression.replace(_has_symbols(sympy.Abs), lambda e: _Modulus(*e.args))
    real = real.replace(_has_symbols(sympy.sign), lambda e: _Sign(*e.args))
    return sympy.diff(real, symbol).replace(_Modulus, sympy.Abs).replace(_Sign, sympy.sign)


def evaluate(expression: sympy.Expr, memo: dict):
    """Value of an expression; `memo` holds the arrays of its symbols and keeps every part computed."""
    known = memo.get(expression)
    if known is not None:
        return known
    if expression.is_Number or expression.is_NumberSymbol:
        value: Any = float(expression)
    elif expression.is_Add or expression.is_Mul:
        value = evaluate(expression.args[0], memo)
        for argument in expression.args[1:]:
            other = evaluate(argument, memo)
            value = value + other if expression.is_Add else value * other
    elif expression.is_Pow:
        base = evaluate(expression.base, memo)
        if expression.exp.is_Integer:
            value = _whole_power(np.asarray(base), int(expression.exp))
        elif expression.exp == sympy.Rational(1, 2):
            value = np.sqrt(base)
        else:
            value = np.power(base, evaluate(expression.exp, memo))
    else:
        record = record_of(expression.func)
        function = _OF_DERIVATIVES.get(expression.func) if record is None else record.exact_value
        if function is None:
            raise ValueError(f"no numeric value is known for {expression.func} in {expression}")
        value = function(*(evaluate(a, memo) for a in expression.args))
    memo[expression] = value
    return value


def _whole_power(base: Any, exponent: int) -> Any:
    """An array to a whole power, of either sign."""
    if exponent < 0:
        return 1.0 / _whole_power(base, -exponent)
    result: Any = None
    while exponent:  # by squaring, as on tapes
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        if exponent:
            base = base * base
    return 1.0 if result is None else result
