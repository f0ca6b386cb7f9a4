"""Forcings of a law in its file: the coefficients of their polynomials, and the covariance of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxllc.data.drivers.forcing import FORCING, Forcing
from jaxllc.files.file_values import finite, number, text

# Polynomials of a forcing that are read at most.
_MOST = 1000


def forcing_record(one: Forcing) -> dict[str, Any]:
    """A forcing as plain values."""
    return {
        "variable": one.variable,
        "name": one.name,
        "start": one.start,
        "stop": one.stop,
        "coefficients": one.coefficients.tolist(),
        "covariance": one.covariance.tolist(),
    }


def forcings_from(
    rows: Iterable[Any], variables: Iterable[str], inputs: Mapping[str, str]
) -> tuple[Forcing, ...]:
    """As `forcing_record` wrote them; raises where they do not fit together, or the inputs of the law."""
    found = tuple(_forcing(row) for row in rows)
    named = [one.name for one in found]
    if sorted(named) != sorted(name for name, kind in inputs.items() if kind == FORCING):
        raise ValueError("its inputs name other forcings than it holds")
    if unknown := {one.variable for one in found} - set(variables):
        raise ValueError(f"{min(unknown)[:40]!r} has a forcing and is not one of its variables")
    return found


def _forcing(row: Mapping[str, Any]) -> Forcing:
    name, start, stop = text(row["name"]), finite(row["start"]), finite(row["stop"])
    coefficients = np.array([finite(v) for v in row["coefficients"]], dtype=float)
    if not start < stop:
        raise ValueError(f"the forcing {name[:40]!r} is known from {start:g} to {stop:g}")
    count = len(coefficients)
    if not 0 < count <= _MOST:
        raise ValueError(
            f"the forcing {name[:40]!r} has {count} coefficients, not from 1 to {_MOST}"
        )
    rows = row["covariance"]
    if len(rows) != count or any(len(own) != count for own in rows):
        raise ValueError(f"the covariance of the forcing {name[:40]!r} is not {count} by {count}")
    covariance = np.array([[number(v) for v in own] for own in rows], dtype=float)
    if np.any(np.diag(covariance) < 0):
        raise ValueError(f"the covariance of the forcing {name[:40]!r} has a negative variance")
    return Forcing(text(row["variable"]), name, start, stop, coefficients, covariance)
