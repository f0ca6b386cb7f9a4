"""Laws as text and LaTeX, every constant with as many digits as its standard error allows."""

from __future__ import annotations

import math
from collections.abc import Iterable

import sympy

from jaxllc.equations.equation import Equation
from jaxllc.equations.expression_building import replaced
from jaxllc.equations.sum_symbols import sums_in, with_sums_written_out
from jaxllc.law.confidence import confidence_line, intervals_of
from jaxllc.law.plain_time import with_called_forcing
from jaxllc.law.record import Constant, LawRecord
from jaxllc.law.skill import skill_lines
from jaxllc.law.snapping import snapped
from jaxllc.law.writing.term_text import Printer, left_side

# Digits of a constant without a standard error.
_DIGITS = 4
_MOST_DIGITS = 6


def digits_for(value: float, error: float | None) -> int:
    """Significant digits that a standard error leaves, two of the error's own kept."""
    if value == 0 or error is None or not math.isfinite(error) or error <= 0:
        return _DIGITS
    return max(
        1, min(_MOST_DIGITS, 2 + math.floor(math.log10(abs(value))) - math.floor(math.log10(error)))
    )


def rounded(expression: sympy.Expr, errors: dict[float, float] | None = None) -> sympy.Expr:
    """An expression with its numbers rounded for reading."""

    def short(number: sympy.Float) -> sympy.Expr:
        value = float(number)
        error = None if errors is None else errors.get(abs(value))
        text = f"{value:.{digits_for(value, error)}g}"
        if float(text) == int(float(text)) and abs(float(text)) < 1e6:
            return sympy.Integer(int(float(text)))
        return sympy.Float(text, len(text.lstrip("-0.").replace(".", "").split("e")[0]) or 1)

    return replaced(expression, {n: short(n) for n in expression.atoms(sympy.Float)})


def equation_line(
    variable: str,
    equation: Equation,
    errors: dict[float, float] | None = None,
    dynamics: str = "flow",
) -> str:
    """One equation on one line."""
    own = rounded(equation.self_term, errors)
    other = rounded(equation.interaction_term, errors)
    left = left_side(variable, dynamics)
    own_text = with_sums_written_out(Printer().doprint(own))
    if other == 0:
        return f"{left} = {own_text}"
    inside = Printer().doprint(other)
    sum_text = f"sum_j A_ij ({inside})" if other.is_Add else f"sum_j A_ij {inside}"
    if other.is_Mul and other.could_extract_minus_sign():
        sum_text = f"sum_j A_ij ({inside})"
    return f"{left} = " + (sum_text if own == 0 else f"{own_text} + {sum_text}")


def _errors(law: LawRecord) -> dict[float, float]:
    return {abs(c.value): c.standard_error for c in law.constants}


def law_text(law: LawRecord) -> str:
    """The equations, one line for each variable."""
    errors = _errors(law)
    lines = (equation_line(v, e, errors, law.dynamics) for v, e in law.equations.items())
    return with_called_forcing("\n".join(lines), law)


def law_summary(law: LawRecord) -> str:
    """The equations with the quality of the fit, standard errors and notes."""
    lines = [law_text(law), ""]
    if law.doubt:
        lines += [law.doubt, ""]
    for name, value in law.adjusted_r2.items():
        lines.append(_quality(law, name, value))
    lines += skill_lines(law.skill)
    if law.constants:
        lines.append("")
        width = max(len(f"{c.term} {c.role}") for c in law.constants)
        for c, interval in zip(law.constants, intervals_of(law), strict=True):
            label = c.term if c.role in ("coefficient", c.term) else f"{c.term} {c.role}"
            digits = digits_for(c.value, c.standard_error)
            place = "sum_j A_ij" if c.side == "interaction" else "self"
            error = f" {error}" if (error := error_text(law, c)) else ""
            lines.append(
                f"{left_side(c.variable, law.dynamics)}  {place:<10}  {label:<{width}}  "
                f"{c.value:.{digits}g}{error}{_interval(interval, digits)}"
                f"{f' {c.unit}' if c.unit not in ('', '1') else ''}"
            )
        lines += meaning_of_sums(law)
    if law.confidence is not None:
        lines += ["", confidence_line(law)]
    if short := unobjected(law):
        lines += ["", "The data do not object to:", short]
    if notes := [note for note in law.notes if note != law.doubt]:
        lines += ["", *notes]
    return "\n".join(lines)


def _quality(law: LawRecord, name: str, value: float) -> str:
    """How well the samples of a variable are explained, and what is left in one."""
    left = f"{law.noise.get(name, math.nan):.3g}"
    if not law.by_steps:
        return f"adjusted R2 of {name}: {value:.6f}   left in a sample: {left}"
    drive = f"{law.process_noise.get(name, math.nan):.3g}"
    return (
        f"adjusted R2 of {name}, one step ahead: {value:.6f}   measurement noise: {left}   "
        f"process noise: {drive}{'' if law.is_map else ' per root of time'}"
    )


def error_text(law: LawRecord, constant: Constant) -> str:
    """The standard error of a constant, or why it has none; nothing for a law that has no errors at all."""
    if constant.standard_error == 0:
        return "(set)"
    if math.isfinite(constant.standard_error):
        return f"+- {constant.standard_error:.2g}"
    ends = [end for pair in (law.settings.get("bounds") or {}).values() for end in pair]
    if any(end is not None and math.isclose(end, constant.value, rel_tol=1e-8) for end in ends):
        return "(on its bound)"
    # Nothing was fitted, as by the published road.
    return "" if law.covariance is None and law.trusted else "(not determined)"


def meaning_of_sums(law: LawRecord) -> list[str]:
    """A sentence on what x_s stands for, where a constant's term holds such a symbol."""
    pairs = {p: None for e in law.equations.values() for p in sums_in(e.self_term)}
    if not pairs:
        return []
    return [", ".join(f"{s} stands for sum_j A_ij {sender}" for s, sender in pairs)]


def latex_of(expression: sympy.Expr, forcing: Iterable[str] = ()) -> str:
    """LaTeX of an expression, with the sum over neighbours written out for x_s, and u_x(t) for a forcing."""
    names = {s: rf"\left(\sum_j A_{{ij}} {sympy.latex(j)}\right)" for s, j in sums_in(expression)}
    for symbol in map(sympy.Symbol, forcing):
        names[symbol] = rf"{sympy.latex(symbol)}(t)"
    return str(sympy.latex(expression, symbol_names=names))


def _interval(interval: tuple[float, float], digits: int) -> str:
    if not all(map(math.isfinite, interval)):
        return ""
    low, high = (f"{end:.{digits}g}" for end in interval)
    return "" if low == high else f"  [{low}, {high}]"


def law_latex(law: LawRecord) -> str:
    """The equations as LaTeX, one line for each variable."""
    errors = _errors(law)
    lines = []
    for variable, equation in law.equations.items():
        own = rounded(equation.self_term, errors)
        other = rounded(equation.interaction_term, errors)
        left = rf"{variable}_i(k+1)" if law.is_map else rf"\frac{{d{variable}_i}}{{dt}}"
        parts = []
        if own != 0 or other == 0:
            parts.append(latex_of(own, (one.name for one in law.forcing)))
        if other != 0:
            inside = sympy.latex(other)
            parts.append(rf"\sum_j A_{{ij}} \left({inside}\right)")
        lines.append(f"{left} = " + " + ".join(parts))
    return " \\\\\n".join(lines)


def unobjected(law: LawRecord) -> str:
    """The law with nice numbers as text where the samples were asked and it is another, else nothing.

    Nothing either where the data leave a constant open: they object to no value of it.
    """
    if law.covariance is None or law.snapping is None or not law.snapping.count:
        return ""
    other = snapped(law)
    return "" if other.equations == law.equations else law_text(other)
