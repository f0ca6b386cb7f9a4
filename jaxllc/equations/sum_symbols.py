"""x_s: the symbol for sum_j A_ij x_j, beside x_i (receiver) and x_j (sender), in the self term of a law.

A law whose rate is a function of the total input, such as tanh(x_s + u_i), holds it. The last two letters of
a symbol are its side, so that a variable named "x_s" has the symbols x_s_i, x_s_j and x_s_s.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy

SUM_SIDE = "s"
_SUM = re.compile(r"(?P<power>\*\*|/)?(?<![\w.])(?P<name>[A-Za-z]\w*)_s\b(?P<next> *[*/])?")


@lru_cache(maxsize=20000)
def sums_in(expression: sympy.Expr) -> tuple[tuple[sympy.Symbol, sympy.Symbol], ...]:
    """Pairs (x_s, x_j) of the sums that an expression reads, in the order of their names."""
    import sympy

    found = [s for s in expression.free_symbols if s.name.endswith(f"_{SUM_SIDE}")]
    found.sort(key=lambda s: s.name)
    return tuple((s, sympy.Symbol(f"{s.name[:-2]}_j")) for s in found)


def with_sums_written_out(text: str) -> str:
    """An expression's text with `sum_j A_ij x_j` for x_s, in parentheses where they are needed."""

    def written(match: re.Match[str]) -> str:
        sum_text = f"sum_j A_ij {match['name']}_j"
        before, after = match["power"] or "", match["next"] or ""
        return f"{before}({sum_text}){after}" if before or after else sum_text

    return _SUM.sub(written, text)
