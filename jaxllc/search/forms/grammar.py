"""Which expressions a search may write: functions, powers, size."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from jaxllc.equations.functions import NAME_OF_FUNCTION, NOT_REAL
from jaxllc.errors import InputError, check_integer, listing, quoted
from jaxllc.settings.names import FUNCTION_NAMES, check_function


@dataclass(frozen=True)
class Grammar:
    """What an expression may hold besides + - * and whole powers.

    functions: names, out of FUNCTION_NAMES; "sqrt" stands for all powers that are not whole.
    division: whether a variable may stand in a denominator.
    required: functions (or "division") one of which must occur in each expression, none by default.
    largest_power: of a variable, in magnitude. Raises InputError for a function that is none.
    """

    functions: tuple[str, ...] = FUNCTION_NAMES
    division: bool = True
    required: tuple[str, ...] = ()
    largest_power: int = 4

    def __post_init__(self) -> None:
        for field, example in (("functions", "('exp', 'sin')"), ("required", "('exp',)")):
            names = tuple(listing(field, getattr(self, field), "names", example))
            object.__setattr__(self, field, names)  # the class is frozen
        if not isinstance(self.division, bool):
            raise InputError(f"division must be True or False, not {quoted(self.division, 60)}")
        check_integer("largest_power", self.largest_power, 1)
        for name in self.functions:
            check_function(name)
        for name in self.required:
            if name not in (*self.functions, "division"):
                raise InputError(
                    f"{name!r} is required but not allowed; allowed are {', '.join(self.functions)}"
                )

    def allows(self, expression: sympy.Expr) -> bool:
        """Whether an expression holds only what may stand in one, and something of what must."""
        used = operators_in(expression)
        allowed = set(self.functions)
        if self.division:
            allowed.add("division")
        if "sqrt" in self.functions:
            allowed.add("power")
        if not used <= allowed:
            return False
        return not self.required or bool(used & set(self.required))

    def lists(self, term: sympy.Expr) -> bool:
        """Whether a term may stand in a law; dividing by the number of neighbours is always allowed."""
        counted = term.xreplace({sympy.Symbol("k_i"): sympy.Integer(1)})
        return Grammar(self.functions, self.division).allows(counted)


def is_real_function(expression: sympy.Expr) -> bool:
    """Whether an expression depends on something, and on real numbers only."""
    return bool(expression.free_symbols) and not expression.has(*NOT_REAL)


def operators_in(expression: sympy.Expr) -> set[str]:
    """Names of the functions in an expression, "division" where a denominator holds a variable, and "power"
    where an exponent is neither whole nor half of a whole number, or a symbol."""
    used: set[str] = set()
    for part in sympy.preorder_traversal(expression):
        if part.is_Pow and part.free_symbols:
            exponent = part.exp
            if not exponent.is_number:
                used.add("power")
            elif not float(exponent).is_integer():
                used.add("sqrt" if float(2 * exponent).is_integer() else "power")
            if exponent.could_extract_minus_sign():
                used.add("division")
        elif part.func in NAME_OF_FUNCTION and part.free_symbols:
            used.add(NAME_OF_FUNCTION[part.func])
    return used
