"""One self-contained HTML page for a law: equations, constants, front, figures, and how to reload it.

The page asks for nothing from the network, holds no script, and every text in it is escaped.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from jaxllc.equations.equation import Equation
from jaxllc.errors import check_path
from jaxllc.files.output_file import output_file
from jaxllc.law.confidence import confidence_line, confidence_of, intervals_of, percent
from jaxllc.law.plain_time import with_called_forcing
from jaxllc.law.report.edges import edges_html
from jaxllc.law.report.equations import equations_html
from jaxllc.law.report.law_figures import FIGURE_NAMES, LawFigure, figures_of
from jaxllc.law.report.page import cards, code, figure_html, page, paragraphs, section, table
from jaxllc.law.skill import CONSTANT, NO_CHANGE
from jaxllc.law.writing.law_tables import pareto_table
from jaxllc.law.writing.law_text import (
    digits_for,
    equation_line,
    error_text,
    meaning_of_sums,
    unobjected,
)
from jaxllc.law.writing.term_text import left_side

if TYPE_CHECKING:
    from jaxllc.law.forecast import Forecast
    from jaxllc.law.record import LawRecord

__all__ = ["FIGURE_NAMES", "LawFigure", "figures_of", "write_report"]


def write_report(
    law: LawRecord,
    path: str | os.PathLike,
    *,
    forecast: Forecast | None = None,
    known: Any = None,
    figures: list[LawFigure] | None = None,
    title: str = "The law of the network",
) -> None:
    """Write the page to `path`, whole or not at all.

    forecast: held-out samples to report. known: the law that made the data, drawn and printed beside
    the found one. figures: by default those of `figures_of`. Raises InputError where `path` cannot
    be written.
    """
    check_path("the report", path)
    if figures is None:
        figures = figures_of(law, forecast, known)
    body = [
        section("", equations_html(law)),
        *([section("Not to be trusted", paragraphs([law.doubt], "note"))] if law.doubt else []),
        section("", cards(_numbers(law, forecast))),
    ]
    if known is not None:
        body.append(section("The known law", equations_html(known)))
    if law.constants:
        body.append(section("Constants", _constants(law)))
    if law.edges is not None:
        body.append(section("Edges", edges_html(law.edges)))
    if law.confidence is not None:
        body.append(section("How often the terms come back", _confidence(law)))
    if notes := [note for note in law.notes if note != law.doubt]:
        body.append(section("What the data do not determine", paragraphs(notes, "note")))
    if forecast is not None:
        body.append(section("Forecast of the held-out samples", _forecast(forecast)))
    for figure in figures:
        body.append(section(figure.title, figure_html(figure)))
    if law.front:
        body.append(section("Simpler and richer laws", _front(law)))
    body.append(section("How it was found", _settings(law)))
    body.append(section("Use it again", code(_RELOAD)))
    content = page(title, _subtitle(law), "\n".join(body))
    with output_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


_RELOAD = """import jaxllc

law = jaxllc.load_law("law.json")            # written by law.save("law.json")
network = jaxllc.read_edges("edges.csv")     # this network, or another one
states = law.simulate(initial_state, times, network)   # (node,) at times[0] -> Trajectories"""


def _subtitle(law: LawRecord) -> str:
    parts = []
    if law.data:
        runs, first = len(law.data), law.data[0]
        parts.append(
            f"{runs} run{'s' if runs > 1 else ''} of {first.num_nodes} nodes, "
            f"{sum(run.num_times for run in law.data)} sample times"
        )
    if law.network is not None:
        parts.append(f"network of {law.network.describe()}")
    return "; ".join(parts)


def _numbers(law: LawRecord, forecast: Forecast | None) -> list[tuple[str, str]]:
    """What is to be seen first, as (value, meaning)."""
    numbers = []
    for variable, value in law.adjusted_r2.items():
        ahead = ", one step ahead" if law.by_steps else ""
        numbers.append((f"{value:.6f}", f"adjusted R² of {variable}{ahead}"))
    for variable, both in law.skill.items():
        numbers.append((_score(both[NO_CHANGE]), f"skill of {variable} against no change"))
        numbers.append(
            (
                _score(both[CONSTANT]),
                f"skill of {variable} against a constant for each node and run",
            )
        )
    for variable, value in law.noise.items():
        what = "measurement noise" if law.by_steps else "left unexplained in a sample"
        numbers.append((_short(value), f"{what} of {variable}"))
    for variable, value in law.process_noise.items():
        per = "" if law.is_map else ", per root of time"
        numbers.append((_short(value), f"process noise of {variable}{per}"))
    if forecast is not None:
        for variable, value in forecast.error.items():
            numbers.append((_short(value), f"relative forecast error of {variable}"))
        for variable, both in forecast.skill.items():
            numbers.append(
                (_score(both[NO_CHANGE]), f"skill of the forecast of {variable} against no change")
            )
    if law.constants:
        numbers.append((str(len(law.constants)), "constants"))
    numbers.append(("yes" if law.converged else "no", "last fit converged"))
    return numbers


def _constants(law: LawRecord) -> str:
    rows = []
    for constant, ends in zip(law.constants, intervals_of(law), strict=True):
        inner = "" if constant.role == "coefficient" else f", constant {constant.role}"
        unit = f" {constant.unit}" if constant.unit not in ("", "1") else ""
        place = "self term" if constant.side == "self" else "interaction term"
        share = abs(constant.standard_error / constant.value) if constant.value else math.nan
        digits = digits_for(constant.value, constant.standard_error)
        rows.append(
            (
                left_side(constant.variable, law.dynamics),
                place,
                f"{constant.term}{inner}",
                f"{constant.value:.{digits}g}{unit}",
                error_text(law, constant).removeprefix("+- ").strip("()"),
                "" if math.isnan(share) else f"{share:.2%}",
                *("—" if math.isnan(end) else f"{end:.{digits}g}" for end in ends),
            )
        )
    header = ("equation", "in the", "term", "value", "standard error", "relative", "low", "high")
    short = unobjected(law)
    return (
        table(header, rows, numeric=(3, 4, 5, 6, 7), code=(0, 2))
        + paragraphs(meaning_of_sums(law))
        + paragraphs(["Low and high are the ends of the bootstrap interval of 95 %."])
        + (paragraphs(["The data do not object to"]) + code(short) if short else "")
    )


def _confidence(law: LawRecord) -> str:
    terms = confidence_of(law).terms
    several = confidence_of(law).laws > 1
    rows = [
        (
            left_side(t.variable, law.dynamics),
            "self term" if t.side == "self" else "interaction term",
            t.term,
            "yes" if t.in_law else "no",
            percent(t.frequency) if several else "",
        )
        for t in terms
    ]
    marked = [n for n, t in enumerate(terms) if t.in_law]
    header = ("equation", "in the", "term", "in this law", "frequency")
    parts = [table(header, rows, numeric=(4,), code=(0, 2), marked=marked)]
    parts.append(paragraphs([confidence_line(law)]))
    for rival in law.rivals:
        lines = [
            equation_line(v, Equation.from_text(*e), dynamics=law.dynamics)
            for v, e in rival.equations.items()
        ]
        chance = f"Another law, the best of {percent(rival.frequency)} of replicates:"
        parts.append(paragraphs([chance]) + code(with_called_forcing("\n".join(lines), law)))
    return "".join(parts)


def _forecast(forecast: Forecast) -> str:
    rows = [
        (
            variable,
            _short(forecast.error[variable]),
            _short(forecast.no_change[variable]),
            *(_score(forecast.skill[variable][r]) for r in (NO_CHANGE, CONSTANT)),
        )
        for variable in forecast.error
    ]
    header = (
        "variable",
        "error of the law",
        "error of no change",
        "skill against no change",
        "against a constant for each node and run",
    )
    lines = [
        "Root mean square error over the standard deviation of the states; the law starts from the last "
        "fitted sample, and “no change” keeps the last observed value.",
        *forecast.messages,
    ]
    return table(header, rows, numeric=(1, 2, 3, 4)) + paragraphs(lines)


def _front(law: LawRecord) -> str:
    frame = pareto_table(law)
    rows = [
        (
            str(row.num_constants),
            _short(row.chi_squared),
            _short(row.held_out_error),
            _short(row.criterion),
            row.law,
        )
        for row in frame.itertuples()
    ]
    marked = [n for n, chosen in enumerate(frame["chosen"]) if chosen]
    header = ("constants", "χ² per sample", "held-out error", "criterion", "law")
    explained = (
        "χ² per sample is 1 where only the noise is left; the held-out error is that of a forecast of the "
        "last fifth of each run, over the standard deviation; the criterion is what the choice minimises."
    )
    return table(header, rows, numeric=(0, 1, 2, 3), code=(4,), marked=marked) + paragraphs(
        [explained]
    )


def _settings(law: LawRecord) -> str:
    rows = [(str(name), _setting(value)) for name, value in law.settings.items()]
    seconds = [(f"{stage}, seconds", f"{value:.2f}") for stage, value in law.seconds.items()]
    if law.seconds:
        seconds.append(("in all, seconds", f"{sum(law.seconds.values()):.2f}"))
    return table(("setting", "value"), [*rows, *seconds], code=(1,))


def _setting(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _score(value: float) -> str:
    """A skill: all digits that tell it from one."""
    return f"{value:.6f}" if value > 0.99 else _short(value)


def _short(value: float) -> str:
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.3g}"
