"""Expressions as text that `expressions.parse` reads back, written without sympy's arithmetic."""

from __future__ import annotations

import re

import sympy
from sympy.core.sorting import default_sort_key

from jaxllc.equations.expression_building import (
    LARGEST_WHOLE,
    as_double,
    call,
    power_of,
    product_of,
)
from jaxllc.equations.functions import EXTREMES, FUNCTIONS, KNOWN_NAMES, NAME_OF_FUNCTION
from jaxllc.errors import InputError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def to_text(expression: sympy.Expr) -> str:
    """The expression as text that `parse` reads back to the same expression; floats by repr.

    Raises InputError for what cannot stand in a law, such as a number that no double holds.
    """
    return _print(sympy.Integer(expression) if isinstance(expression, int) else expression)


def _print(e: sympy.Expr) -> str:
    if e.is_Symbol:
        if not _NAME.fullmatch(e.name) or e.name in KNOWN_NAMES or e.name == "pi":
            raise InputError(f"The symbol {e.name[:40]!r} cannot be written in a law.")
        return str(e.name)
    if e.is_Integer or e.is_Rational:
        value = as_double(e)
        if max(abs(int(e.p)), int(e.q)) >= LARGEST_WHOLE:
            return repr(value)
        return str(int(e)) if e.is_Integer else f"{int(e.p)}/{int(e.q)}"
    if e.is_Float:
        return repr(as_double(e))
    if e is sympy.pi:
        return "pi"
    if e is sympy.E:
        return "exp(1)"
    if e.is_Add:
        terms = (_in_parentheses(t) if t.is_Add else _print(t) for t in _ordered(e.args))
        return " + ".join(terms).replace("+ -", "- ")
    if e.is_Mul:
        return _print_product(e)
    if e.is_Pow:
        return _print_power(e.base, e.exp)
    name = NAME_OF_FUNCTION.get(e.func)
    if name is None:
        raise InputError(
            f"{str(e.func.__name__)[:40]} cannot be written in a law; known functions: "
            f"{', '.join((*FUNCTIONS, *EXTREMES))}."
        )
    return f"{name}({', '.join(map(_print, e.args))})"


def _ordered(terms: tuple[sympy.Expr, ...]) -> list[sympy.Expr]:
    """The terms of a sum in sympy's lexicographic order, found without its arithmetic."""
    powers: list[dict[sympy.Expr, int]] = []
    for term in terms:
        factors = [f for f in sympy.Mul.make_args(term) if not f.is_Number]
        powers.append(dict(_base_and_power(f) for f in factors if f.free_symbols))
    bases = sorted({b for p in powers for b in p}, key=default_sort_key)

    def key(place: int) -> tuple:
        number = terms[place].as_coeff_Mul()[0]
        size = float(number) if number.is_finite else 0.0
        return tuple(powers[place].get(b, 0) for b in bases), size

    return [terms[k] for k in sorted(range(len(terms)), key=key, reverse=True)]


def _base_and_power(e: sympy.Expr) -> tuple[sympy.Expr, int]:
    if e.is_Pow and e.exp.is_Rational:
        root = sympy.Rational(1, e.exp.q)
        return (e.base if e.exp.is_Integer else power_of(e.base, root)), int(e.exp.p)
    exponent = e.args[0] if isinstance(e, sympy.exp) else e.exp if e.is_Pow else None
    if exponent is not None and exponent.is_Mul and exponent.args[0].is_Number:
        number, rest = exponent.as_coeff_Mul()
        if number.is_Float:
            rest = product_of((abs(number), rest))
            number = sympy.Integer(-1 if number.is_negative else 1)
        rest = product_of((sympy.Rational(1, number.q), rest))
        root = call("exp", [rest]) if isinstance(e, sympy.exp) else power_of(e.base, rest)
        return root, int(number.p)
    return e, 1


def _in_parentheses(e: sympy.Expr) -> str:
    return f"({_print(e)})"


def _print_product(e: sympy.Expr) -> str:
    coefficient, factors = e.args[0], list(e.args[1:])
    if not coefficient.is_Number or (coefficient.is_Number and not coefficient.is_finite):
        coefficient, factors = sympy.Integer(1), list(e.args)
    sign = "-" if coefficient.is_negative else ""
    coefficient = abs(coefficient)
    above, below = [], []
    if coefficient.is_Float or max(coefficient.p, coefficient.q) >= LARGEST_WHOLE:
        above, coefficient = [_print(coefficient)], sympy.Integer(1)
    elif coefficient.p != 1:
        above.append(str(int(coefficient.p)))
    for factor in factors:
        if factor.is_Pow and factor.exp.is_Number and factor.exp.is_negative:
            below.append(_print_power(factor.base, -factor.exp))
        else:
            whole = factor.is_Add or factor.is_Mul or factor.is_Number
            above.append(_in_parentheses(factor) if whole else _print(factor))
    if coefficient.q != 1:
        below.append(str(int(coefficient.q)))
    return sign + "/".join(["*".join(above) or "1", *below])


def _print_power(base: sympy.Expr, exponent: sympy.Expr) -> str:
    if exponent == sympy.Rational(1, 2):
        return f"sqrt({_print(base)})"
    if exponent == 1 and exponent.is_Integer:
        below = _print(base)
        plain = base.is_Symbol or below.isalnum() or _is_call(base)
        return below if plain else f"({below})"
    if exponent.is_Number and exponent.is_negative:
        return f"1/{_print_power(base, -exponent)}"
    below, above = _print(base), _print(exponent)
    if not (base.is_Symbol or _is_call(base)) and not (base.is_Number and below.isalnum()):
        below = f"({below})"
    # Powers are read from the right, and a sign or a quotient in an exponent needs its parentheses.
    tower = exponent.is_Pow and not above.startswith("1/")
    if not (exponent.is_Symbol or exponent.is_Integer or exponent.is_Float or tower):
        above = f"({above})"
    return f"{below}**{above}"


def _is_call(e: sympy.Expr) -> bool:
    return bool(e.is_Function) or e.func in EXTREMES.values()
