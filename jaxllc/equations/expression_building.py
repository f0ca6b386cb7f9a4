"""Sums, products, powers and calls put together as they are written, without sympy's own arithmetic.

Sympy asks on building whether a function has a special value, which takes exponentially long in nested
functions; it writes exp(x + 1e5) as exp(1e5)*exp(x), beyond the range of a double; and it spreads
0.5*(x - 100000) over the sum, which costs the digits of x. Here numbers are put together, like terms of one
sum and equal factors of one product too, and nothing else: a sum in parentheses stays whole. What sympy
would write in the same way comes out equal to what sympy writes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key
from typing import Any

import sympy
from sympy.core.basic import Basic

from jaxllc.equations.functions import EXTREMES, FUNCTIONS, NAME_OF_FUNCTION, extreme
from jaxllc.errors import InputError

# Larger whole numbers are held, and written, as decimal ones.
LARGEST_WHOLE = 10**99
_HALF = sympy.Rational(1, 2)
_by_structure = cmp_to_key(Basic.compare)


def as_double(number: sympy.Expr) -> float:
    """A sympy number as a float; InputError for one that is beyond the range of a double, or below it."""
    try:
        value = float(number)
    except (OverflowError, TypeError):
        value = math.nan
    if not math.isfinite(value) or (value == 0 and not number.is_zero):
        # The digits of a large whole number alone may take long.
        short = number.is_Float or (number.is_Rational and abs(number.p) + number.q < LARGEST_WHOLE)
        raise InputError(
            f"the constant {str(number)[:40] if short else 'of an equation'} is not a finite real number "
            "within the range of a double"
        )
    return value


def real_value(expression: sympy.Expr) -> float:
    """The value of an expression without symbols; InputError where it is not a finite real number."""
    if expression.is_Number:
        return as_double(expression)
    try:
        value = complex(expression)
    except (TypeError, ValueError, OverflowError):
        value = complex(math.nan)
    # Roots of negative numbers come with both parts, also where sympy writes them without I.
    if abs(value.imag) > 1e-12 * abs(value.real) or not math.isfinite(value.real):
        raise InputError(f"the constant {str(expression)[:80]} is not a finite real number")
    return value.real


def is_real(expression: sympy.Expr) -> bool:
    """Whether every part of an expression that has no symbols is a finite real number."""
    if expression.is_Atom:
        return not expression.is_number or expression.is_Number or expression.is_NumberSymbol
    if expression.free_symbols:
        return all(is_real(part) for part in expression.args)
    try:
        real_value(expression)
    except InputError:
        return False
    return True


def representable(expression: sympy.Expr) -> bool:
    """Whether every number in an expression is one that a double can hold."""
    for part in sympy.preorder_traversal(expression):
        if part.is_Number:
            try:
                as_double(part)
            except InputError:
                return False
        elif part is sympy.zoo or part is sympy.I:
            return False
    return True


def sum_of(terms: Iterable[sympy.Expr]) -> sympy.Expr:
    """terms added: numbers and like terms put together, sums among them kept whole."""
    number: sympy.Expr = sympy.Integer(0)
    coefficients: dict[sympy.Expr, sympy.Expr] = {}
    for term in terms:
        if term.is_Number:
            number = _checked(number + term)
            continue
        coefficient, rest = _split(term)
        before = coefficients.get(rest)
        coefficients[rest] = coefficient if before is None else _checked(before + coefficient)
    parts = [_scaled(c, rest) for rest, c in coefficients.items() if c is not sympy.S.Zero]
    parts.sort(key=_by_structure)
    if number is not sympy.S.Zero or not parts:
        parts.insert(0, number)
    return parts[0] if len(parts) == 1 else sympy.Add(*parts, evaluate=False)


def product_of(factors: Iterable[sympy.Expr]) -> sympy.Expr:
    """factors multiplied: numbers and powers of one base put together; no sum is multiplied out."""
    number: sympy.Expr = sympy.Integer(1)
    exponents: dict[sympy.Expr, sympy.Expr] = {}
    for factor in _flat(factors):
        if factor.is_Number:
            number = _checked(number * factor)
            continue
        base, exponent = factor, sympy.Integer(1)
        if factor.is_Pow and factor.exp.is_Number and not factor.base.is_Number:
            base, exponent = factor.args
        before = exponents.get(base)
        exponents[base] = exponent if before is None else before + exponent
    if number is sympy.S.Zero:
        return number
    parts = []
    for base, exponent in exponents.items():
        part = power_of(base, exponent)
        if part.is_Number:
            number = _checked(number * part)
        else:
            parts.append(part)
    parts.sort(key=_by_structure)
    return _scaled(number, parts[0] if len(parts) == 1 else _product(parts)) if parts else number


def power_of(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """base**exponent; whole powers reach the factors of a product and the exponent of a power."""
    if exponent is sympy.S.One:
        return base
    if exponent is sympy.S.Zero or (exponent.is_Float and not exponent):
        return sympy.Integer(1)
    if base is sympy.S.One and exponent.is_Number:
        return base
    if base is sympy.S.Exp1:
        return call("exp", [exponent])
    if base.is_Number and exponent.is_Number:
        return _power_of_number(base, exponent)
    if exponent.is_Integer:
        if base.is_Pow and base.exp.is_Number:
            return power_of(base.base, base.exp * exponent)
        if base.is_Mul:
            try:
                return product_of([power_of(factor, exponent) for factor in base.args])
            except InputError:  # (1e+150*x)**3 is a number for the x that it is meant for
                return sympy.Pow(base, exponent, evaluate=False)
        if isinstance(base, sympy.exp):
            return call("exp", [product_of([exponent, base.args[0]])])
    return sympy.Pow(base, exponent, evaluate=False)


def call(name: str, arguments: list[sympy.Expr]) -> sympy.Expr:
    """A named function of its arguments, as it stands; of a decimal number, its value."""
    if name in EXTREMES:
        return extreme(name, arguments)
    (argument,) = arguments
    if name == "sqrt":
        return power_of(argument, _HALF)
    # Of zero and one: exp(0), log(1), and exp(1), which is sympy's E. Signs of numbers cost nothing.
    plain = argument in (sympy.S.Zero, sympy.S.One) or argument.is_Float
    plain = plain or (name == "abs" and argument.is_Number)
    result = FUNCTIONS[name](argument, evaluate=plain)
    if plain and not representable(result):
        raise InputError(f"{name}({argument}) is not a real number within the range of a double.")
    return result


def rebuilt(expression: sympy.Expr, parts: list[sympy.Expr]) -> sympy.Expr:
    """The same operation on other parts."""
    if expression.is_Add:
        return sum_of(parts)
    if expression.is_Mul:
        return product_of(parts)
    if expression.is_Pow:
        return power_of(*parts)
    name = NAME_OF_FUNCTION.get(expression.func)
    return expression.func(*parts) if name is None else call(name, parts)


def replaced(
    expression: sympy.Expr,
    values: Mapping[sympy.Expr, sympy.Expr] | Callable[[sympy.Expr], sympy.Expr | None],
) -> sympy.Expr:
    """`expression.xreplace(values)`, but what is put in stays whole; a function may give the values."""
    find: Any = values if callable(values) else values.get
    known: dict[sympy.Expr, sympy.Expr] = {}

    def walk(e: sympy.Expr) -> sympy.Expr:
        result = known.get(e)
        if result is None:
            result = find(e)
            if result is None:
                parts = [walk(a) for a in e.args]
                same = all(a is b for a, b in zip(parts, e.args, strict=True))
                result = e if same else rebuilt(e, parts)
            known[e] = result
        return result

    return walk(expression)


def filled(expression: sympy.Expr, values: Mapping[sympy.Expr, sympy.Expr]) -> sympy.Expr:
    """Numbers put in for symbols, in sympy's own form where its numbers are doubles, else as it stands."""
    result = expression.xreplace(values)
    return result if representable(result) else replaced(expression, values)


def _flat(factors: Iterable[sympy.Expr]) -> Iterable[sympy.Expr]:
    for factor in factors:
        if factor.is_Mul:
            yield from _flat(factor.args)
        else:
            yield factor


def _split(term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """Its numeric coefficient and the rest."""
    if term.is_Mul and term.args[0].is_Number:
        rest = term.args[1:]
        return term.args[0], rest[0] if len(rest) == 1 else _product(rest)
    return sympy.Integer(1), term


def _scaled(coefficient: sympy.Expr, rest: sympy.Expr) -> sympy.Expr:
    if coefficient is sympy.S.One:
        return rest
    return _product((coefficient, *rest.args) if rest.is_Mul else (coefficient, rest))


def _product(factors: Iterable[sympy.Expr]) -> sympy.Expr:
    return sympy.Mul(*factors, evaluate=False)


def _power_of_number(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    try:
        value = math.pow(as_double(base), as_double(exponent))
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError("A power of numbers is not a real number within the range of a double.")
    if base.is_Float or exponent.is_Float:
        return sympy.Float(value)
    if exponent.is_Integer:
        return _checked(base**exponent)
    return sympy.Pow(base, exponent, evaluate=False)


def _checked(number: sympy.Expr) -> sympy.Expr:
    value = as_double(number)
    if number.is_Rational and max(abs(number.p), number.q) >= LARGEST_WHOLE:
        return sympy.Float(value)
    if number.is_Float and abs(value) < sys.float_info.min:  # fewer digits than sympy would keep
        return sympy.Float(value)
    return number
