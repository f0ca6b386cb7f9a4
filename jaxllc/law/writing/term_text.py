"""Terms of a law as text, and back."""

from __future__ import annotations

import re
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from jaxllc.equations.expressions import parse
from jaxllc.equations.function_table import TABLE
from jaxllc.equations.functions import NAME_OF_FUNCTION


class Printer(StrPrinter):
    """Writes functions by the names that the parser reads."""

    def _print(self, e: Any, **kwargs: Any) -> str:
        name = NAME_OF_FUNCTION.get(getattr(e, "func", None))
        if name is None or name == e.func.__name__:
            return str(super()._print(e, **kwargs))
        # Numbers have fewer digits inside of something than alone.
        self._print_level += 1
        try:
            return f"{name}({', '.join(self._print(a) for a in e.args)})"
        finally:
            self._print_level -= 1


def left_side(variable: str, dynamics: str = "flow") -> str:
    """What an equation gives: the rate of a variable, or of a map its next value."""
    return f"{variable}_i(k+1)" if dynamics == "map" else f"d{variable}_i/dt"


def term_text(expression: sympy.Expr) -> str:
    """An expression by the names that the parser reads, with every digit of sympy's own text."""
    return str(Printer().doprint(expression))


def parsed_term(text: str) -> sympy.Expr:
    """The text of a constant's term as an expression."""
    names = {r.sympy: r.name for r in TABLE.values() if r.sympy not in ("", r.name)}
    return parse(re.sub(rf"\b({'|'.join(names)})\(", lambda m: names[m[1]] + "(", text))
