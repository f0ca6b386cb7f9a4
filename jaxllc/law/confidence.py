"""How far a discovered law is to be trusted: how often its terms come back, and intervals of its constants.

The runs and nodes are weighted anew many times (`jaxllc.judge.bootstrap`), and each time the law that the
criterion prefers is looked up and the constants move.
"""

from __future__ import annotations

import math
from typing import Any

from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.files.file_values import count, flag, number, text
from jaxllc.law.record import Confidence, LawRecord, Rival, TermFrequency
from jaxllc.law.writing.term_text import left_side

# Share of the replicates from which a term or a law beside the chosen one is worth naming.
OFTEN = 0.05


def confidence_of(law: LawRecord) -> Confidence:
    """The confidence of a law; raises InputError where it has none."""
    if law.confidence is None:
        raise InputError(
            "this law has no bootstrap frequencies: only discover() finds them, and files of earlier "
            "versions do not hold them; discover the law again"
        )
    return law.confidence


def intervals_of(law: LawRecord) -> list[tuple[float, float]]:
    """(low, high) of each constant; nan where the law has none."""
    known = () if law.confidence is None else law.confidence.intervals
    return [*known, *[(math.nan, math.nan)] * len(law.constants)][: len(law.constants)]


def term_frequency(law: LawRecord, variable: str, side: str, term: str) -> float:
    """Bootstrap frequency of one term of a law; nan where the law has none."""
    for row in () if law.confidence is None else law.confidence.terms:
        if (row.variable, row.side, row.term) == (variable, side, term):
            return row.frequency
    return math.nan


def percent(share: float) -> str:
    """A share for reading; 100 % and 0 % only where it is all or nothing."""
    if math.isnan(share):
        return ""
    if 0 < share < 0.01:
        return "< 1 %"
    if 0.99 < share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def confidence_line(law: LawRecord) -> str:
    """One sentence: how often the law comes back, and which other terms do."""
    confidence = confidence_of(law)
    if confidence.laws < 2:
        return (
            "No other law was fitted to these data, so that nothing can be said on how often this one comes "
            "back."
        )
    others = [
        f"{row.term} in {left_side(row.variable, law.dynamics)}"
        f"{' (sum over neighbours)' if row.side == 'interaction' else ''} {percent(row.frequency)}"
        for row in confidence.terms
        if not row.in_law
    ]
    line = (
        f"Of {confidence.replicates} bootstrap replicates over {confidence.groups} parts of the data, "
        f"{percent(confidence.law_frequency)} choose this law by the criterion among the "
        f"{confidence.laws} fitted"
    )
    return line + (f"; terms of others: {', '.join(others)}." if others else ".")


# -- files -------------------------------------------------------------------------------------------


def confidence_from(content: Any) -> Confidence | None:
    """Confidence from what `asdict` made of it; raises TypeError, KeyError or ValueError for other things."""
    if content is None:
        return None
    terms = tuple(
        TermFrequency(
            text(t["variable"]),
            text(t["side"]),
            text(t["term"]),
            flag(t["in_law"]),
            number(t["frequency"]),
        )
        for t in content["terms"]
    )
    intervals = tuple((number(low), number(high)) for low, high in content["intervals"])
    counts = (count(content[k]) for k in ("replicates", "groups", "laws"))
    return Confidence(number(content["law_frequency"]), terms, intervals, *counts)


def rival_from(content: Any) -> Rival:
    """As `confidence_from`, for a rival; its equations must be such as the safe parser reads."""
    equations = {}
    for variable, (self_term, interaction_term) in content["equations"].items():
        Equation.from_text(text(self_term), text(interaction_term))
        equations[text(variable)] = (self_term, interaction_term)
    return Rival(
        equations,
        count(content["num_constants"]),
        number(content["criterion_difference"]),
        number(content["frequency"]),
    )
