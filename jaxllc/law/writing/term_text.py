"""Terms of a law as text, and back."""

from __future__ import annotations

import re

import sympy
from sympy.printing.str import StrPrinter

from jaxllc.equations.expressions import parse

_NAMES = {"Abs": "abs", "Min": "min", "Max": "max"}


class Printer(StrPrinter):
    """Writes functions by the names that the parser reads."""

    def _called(self, name: str, e: sympy.Expr) -> str:
        return f"{name}({', '.join(self._print(a) for a in e.args)})"

    def _print_Min(self, e: sympy.Expr) -> str:
        return self._called("min", e)

    def _print_Max(self, e: sympy.Expr) -> str:
        return self._called("max", e)

    def _print_Abs(self, e: sympy.Expr) -> str:
        return self._called("abs", e)


def term_text(expression: sympy.Expr) -> str:
    """An expression by the names that the parser reads, with every digit of sympy's own text."""
    return str(Printer().doprint(expression))


def parsed_term(text: str) -> sympy.Expr:
    """The text of a constant's term as an expression."""
    return parse(re.sub(r"\b(Abs|Min|Max)\(", lambda m: _NAMES[m[1]] + "(", text))
