"""A law that was found on other axes, written in the states and times that were given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import sympy

from jaxllc.data.trajectories import Trajectories
from jaxllc.equations.expression_building import as_double
from jaxllc.errors import InputError
from jaxllc.law.axes import MEASURED_FROM, Axes
from jaxllc.law.record import Confidence, Constant, LawRecord
from jaxllc.law.writing.term_text import parsed_term, term_text
from jaxllc.settings.discover_settings import DiscoverSettings

Found = TypeVar("Found", bound=LawRecord)


def outside(
    axes: Axes, law: Found, runs: Sequence[Trajectories], settings: DiscoverSettings
) -> Found:
    """A law that was found on these axes, of the states and times that were given."""
    if axes.usual:
        return law
    try:
        return _outside(axes, law, runs, settings)
    except InputError as error:
        raise InputError(
            f"the law cannot be written in the units of the states and times ({error}); give both in "
            "units that make their spread a usual number"
        ) from None


def _outside(
    axes: Axes, law: Found, runs: Sequence[Trajectories], settings: DiscoverSettings
) -> Found:
    constants, factors = _constants(axes, law.constants)
    covariance = law.covariance
    if covariance is not None:
        with np.errstate(all="ignore"):
            covariance = covariance * factors[:, None] * factors
        covariance = covariance if np.isfinite(covariance).all() else None
    origin, unit = axes._origin(law.variables), axes._unit(law.variables)
    record = {k: v for k, v in law.settings.items() if k != "known"}
    if "known" in law.settings:
        record["known"] = settings.known
    if axes.origins:
        record[MEASURED_FROM] = {v: float(c) for v, c in axes.origins.items()}
    return replace(
        law,
        equations={v: axes.equation(v, e) for v, e in law.equations.items()},
        constants=constants,
        front=_rows(axes, law.front),
        noise={v: value * axes.units.get(v, 1.0) for v, value in law.noise.items()},
        notes=(*axes.notes(), *(axes.sentence(note) for note in law.notes)),
        settings=record,
        data=tuple(runs),
        fitted_states=tuple(origin + unit * np.asarray(s) for s in law.fitted_states),
        covariance=covariance,
        confidence=_confidence(axes, law.confidence, factors),
        rivals=_rows(axes, law.rivals),
    )


def _rows(axes: Axes, rows: Sequence[Any]) -> tuple[Any, ...]:
    """Laws beside the one found; one whose numbers leave the range of a double is left out."""
    kept = []
    for row in rows:
        try:
            kept.append(replace(row, equations=axes.texts(row.equations)))
        except InputError:
            if getattr(row, "chosen", False):
                raise
    return tuple(kept)


def _constants(
    axes: Axes, constants: Sequence[Constant]
) -> tuple[tuple[Constant, ...], np.ndarray]:
    rows, factors = [], []
    for c in constants:
        factor, text = _term(axes, c.term)
        factor = factor * axes.rate(c.variable) if c.role == "coefficient" else 1.0
        as_double(sympy.Float(factor * c.value))
        factors.append(factor)
        error = c.standard_error * abs(factor)
        rows.append(replace(c, term=text, value=c.value * factor, standard_error=error))
    return tuple(rows), np.array(factors, dtype=float)


def _confidence(
    axes: Axes, confidence: Confidence | None, factors: np.ndarray
) -> Confidence | None:
    if confidence is None:
        return None
    intervals = [
        sorted((low * f, high * f)) if math.isfinite(low + high) else (low, high)
        for (low, high), f in zip(confidence.intervals, factors, strict=True)
    ]
    return replace(
        confidence,
        terms=tuple(replace(t, term=_term(axes, t.term)[1]) for t in confidence.terms),
        intervals=tuple((low, high) for low, high in intervals),
    )


def _term(axes: Axes, text: str) -> tuple[float, str]:
    """A term's text as (factor of its coefficient, text)."""
    written = axes.written(parsed_term(text))
    factor, rest = written.as_coeff_Mul() if axes.units else (sympy.Integer(1), written)
    return as_double(factor), term_text(rest)
