"""The time in a law: written plainly, as t, though it is found as an input that each node has, t_i."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import sympy

from jaxllc.data.drivers.forcing import FORCING
from jaxllc.data.drivers.input_course import TIME
from jaxllc.equations.equation import Equation
from jaxllc.law.record import LawRecord

Kind = TypeVar("Kind", bound=LawRecord)


def time_names(inputs: Mapping[str, str]) -> tuple[str, ...]:
    """Inputs that are the time itself."""
    return tuple(name for name, kind in inputs.items() if kind == TIME)


def plain_names(inputs: Mapping[str, str]) -> tuple[str, ...]:
    """Inputs that stand in a law without a side: the time, and forcings."""
    return tuple(name for name, kind in inputs.items() if kind in (TIME, FORCING))


def with_called_forcing(text: str, law: LawRecord) -> str:
    """A text with u_x(t) for the symbol u_x of each forcing of a law."""
    if not law.forcing:
        return text
    names = "|".join(one.name for one in law.forcing)
    return re.sub(rf"\b({names})\b(?!\()", r"\1(t)", text)


def with_plain_time(law: Kind) -> Kind:
    """A law with t for t_i in all that it says."""
    names = time_names(law.inputs)
    if not names:
        return law
    plain = {sympy.Symbol(f"{name}_i"): sympy.Symbol(name) for name in names}

    def text(said: str) -> str:
        return re.sub(rf"\b({'|'.join(names)})_i\b", r"\1", said)

    def texts(equations: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        return {v: (text(own), text(between)) for v, (own, between) in equations.items()}

    confidence = law.confidence
    if confidence is not None:
        terms = tuple(replace(t, term=text(t.term)) for t in confidence.terms)
        confidence = replace(confidence, terms=terms)
    return replace(
        law,
        equations={
            v: Equation(*(term.xreplace(plain) for term in e)) for v, e in law.equations.items()
        },
        constants=tuple(replace(c, term=text(c.term)) for c in law.constants),
        front=tuple(replace(row, equations=texts(row.equations)) for row in law.front),
        rivals=tuple(replace(r, equations=texts(r.equations)) for r in law.rivals),
        confidence=confidence,
        notes=tuple(map(text, law.notes)),
        doubt=text(law.doubt),
    )


def with_time_of_nodes(text: str, names: Iterable[str]) -> str:
    """A term with t_i for t, as terms are searched."""
    for name in names:
        text = re.sub(rf"\b{name}\b", f"{name}_i", text)
    return text
