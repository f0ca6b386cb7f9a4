"""Expressions as programs: a structure, in nested tuples, and the numeric constants beside it.

    ("symbol", name) | ("integer", n) | ("constant",) | ("sum", ...) | ("product", ...)
    | ("power", base, n) | ("general power", base, exponent) | (function name, argument)
    | ("min", ...) | ("max", ...)

Constants are numbered in the order of the tuples, so a program holds no constant of its own: laws
that differ only in constants have one program, hence one compilation.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial, reduce
from typing import Any

import numpy as np
import sympy

from jaxllc.equations.expression_building import as_double
from jaxllc.equations.function_table import TABLE
from jaxllc.equations.functions import EXTREMES, FUNCTIONS, NAME_OF_FUNCTION
from jaxllc.errors import InputError

__all__ = [
    "FUNCTIONS",
    "NAME_OF_FUNCTION",
    "Program",
    "compile_expression",
    "run_program",
    "whole_power",
]

Program = tuple[Any, ...]


@lru_cache(maxsize=4096)
def _compiled(expression: sympy.Expr) -> tuple[Program, tuple[float, ...]]:
    if expression.is_Symbol:
        return ("symbol", expression.name), ()
    if expression in (sympy.Integer(1), sympy.Integer(-1)):
        return ("integer", int(expression)), ()
    if expression.is_number and (expression.is_Atom or expression.is_Rational):
        return ("constant",), (as_double(expression),)
    if expression.is_Add or expression.is_Mul or expression.func in EXTREMES.values():
        # Sorted by structure alone, so that the order does not depend on the constants.
        parts = sorted((_compiled(a) for a in expression.args), key=lambda part: repr(part[0]))
        kind = "sum" if expression.is_Add else "product"
        kind = NAME_OF_FUNCTION.get(expression.func, kind)
        return (kind, *(p for p, _ in parts)), tuple(c for _, cs in parts for c in cs)
    if expression.is_Pow:
        base, base_constants = _compiled(expression.base)
        exponent = expression.exp
        if exponent.is_Number and float(exponent).is_integer():
            return ("power", base, int(exponent)), base_constants
        if exponent == sympy.Rational(1, 2):
            return ("sqrt", base), base_constants
        if exponent == sympy.Rational(-1, 2):
            return ("power", ("sqrt", base), -1), base_constants
        above, above_constants = _compiled(exponent)
        return ("general power", base, above), base_constants + above_constants
    name = NAME_OF_FUNCTION.get(expression.func)
    if name is None:
        raise InputError(
            f"{expression.func.__name__} cannot be evaluated in a law; known functions: "
            f"{', '.join((*FUNCTIONS, *EXTREMES))}."
        )
    argument, argument_constants = _compiled(expression.args[0])
    return (name, argument), argument_constants


def compile_expression(expression: sympy.Expr) -> tuple[Program, tuple[float, ...]]:
    """Split an expression into its structure and its numeric constants, in canonical order.

    Expressions that differ only in constants have equal programs. The integers 1 and -1 and
    whole exponents belong to the structure.
    """
    return _compiled(sympy.Integer(expression) if isinstance(expression, int) else expression)


def run_program(program: Program, constants: Any, values: Mapping[str, Any], xp: Any = np) -> Any:
    """Evaluate a program with `constants` (indexable) and one array (or number) per symbol."""
    taken = 0

    def run(node: Program) -> Any:
        nonlocal taken
        kind = node[0]
        if kind == "symbol":
            try:
                return values[node[1]]
            except KeyError:
                raise InputError(
                    f"No value is given for {node[1]!r}; given: {', '.join(sorted(values))}."
                ) from None
        if kind == "integer":
            return float(node[1])
        if kind == "constant":
            taken += 1
            return constants[taken - 1]
        if kind == "sum":
            total = run(node[1])
            for part in node[2:]:
                total = total + run(part)
            return total
        if kind == "product":
            total = run(node[1])
            for part in node[2:]:
                total = total * run(part)
            return total
        if kind == "power":
            return whole_power(run(node[1]), node[2])
        if kind == "general power":
            base = run(node[1])
            return xp.power(base, run(node[2]))
        of = partial(TABLE[kind].of, xp)
        return reduce(of, map(run, node[1:])) if kind in EXTREMES else of(run(node[1]))

    return run(program)


def whole_power(base: Any, exponent: int) -> Any:
    """An array to a whole power, of either sign."""
    if exponent < 0:
        return 1.0 / whole_power(base, -exponent)
    result: Any = None  # by squaring: products differentiate well everywhere, also at zero
    while exponent:
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        if exponent:
            base = base * base
    return 1.0 if result is None else result
