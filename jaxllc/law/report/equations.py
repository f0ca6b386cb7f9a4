"""Equations for a web page: MathML, which every current browser draws, and plain text to copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jaxllc.equations.sum_symbols import sums_in
from jaxllc.law.plain_time import with_called_forcing
from jaxllc.law.report.page import code
from jaxllc.law.writing.law_text import equation_line, rounded

if TYPE_CHECKING:
    import sympy

    from jaxllc.data.drivers.forcing import Forcing
    from jaxllc.equations.equation import Equation

_SUM = (
    "<munder><mo>&#8721;</mo><mi>j</mi></munder>"
    "<msub><mi>A</mi><mrow><mi>i</mi><mi>j</mi></mrow></msub>"
)


def equations_html(law: Any) -> str:
    """The equations of a law, or of anything with `.equations`, constants rounded to their errors."""
    errors = {abs(c.value): c.standard_error for c in getattr(law, "constants", ())} or None
    dynamics = getattr(law, "dynamics", "flow")
    lines = [_mathml(v, equation, errors, dynamics) for v, equation in law.equations.items()]
    text = "\n".join(
        equation_line(v, equation, errors, dynamics) for v, equation in law.equations.items()
    )
    if getattr(law, "forcing", ()):
        text = with_called_forcing(text, law)
        lines = [_of_time(line, law.forcing) for line in lines]
    return f'<div class="equations">{"".join(lines)}</div>{code(text)}'


def _of_time(line: str, forcing: Iterable[Forcing]) -> str:
    """MathML with u_x(t) for the symbol of each forcing."""
    import sympy
    from sympy.printing.mathml import mathml

    for one in forcing:
        symbol = str(mathml(sympy.Symbol(one.name), printer="presentation"))
        line = line.replace(symbol, f"<mrow>{symbol}<mo>(</mo><mi>t</mi><mo>)</mo></mrow>")
    return line


def _mathml(
    variable: str, equation: Equation, errors: dict[float, float] | None, dynamics: str
) -> str:
    import sympy

    own = rounded(equation.self_term, errors)
    other = rounded(equation.interaction_term, errors)
    state = _expression(sympy.Symbol(f"{variable}_i"))
    left = (
        f"<mfrac><mrow><mi>d</mi>{state}</mrow><mrow><mi>d</mi><mi>t</mi></mrow></mfrac><mo>=</mo>"
    )
    if dynamics == "map":
        step = "<mrow><mo>(</mo><mi>k</mi><mo>+</mo><mn>1</mn><mo>)</mo></mrow>"
        left = f"<mrow>{state}{step}</mrow><mo>=</mo>"
    parts = []
    if own != 0 or other == 0:
        parts.append(_expression(own))
    if other != 0:
        inside = _expression(other)
        if other.is_Add or other.could_extract_minus_sign():
            inside = f"<mrow><mo>(</mo>{inside}<mo>)</mo></mrow>"
        parts.append(f"<mrow>{_SUM}<mspace width='0.2em'/>{inside}</mrow>")
    return f'<math display="block"><mrow>{left}{"<mo>+</mo>".join(parts)}</mrow></math>'


def _expression(expression: sympy.Expr) -> str:
    from sympy.printing.mathml import mathml

    text = str(mathml(expression, printer="presentation"))
    for total, sender in sums_in(expression):
        inside = f"{_SUM}{mathml(sender, printer='presentation')}"
        text = text.replace(
            str(mathml(total, printer="presentation")),
            f"<mrow><mo>(</mo>{inside}<mo>)</mo></mrow>",
        )
    return text
