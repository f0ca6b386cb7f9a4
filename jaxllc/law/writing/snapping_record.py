"""The nice numbers of a law in its file."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxllc.equations.expressions import parse, to_text
from jaxllc.files.file_values import count, finite, number, text
from jaxllc.law.record import Snapping


def snapping_record(found: Snapping) -> dict[str, Any]:
    """Nice numbers of a law as plain data."""
    return {
        "values": list(found.values),
        "variances": list(np.diag(found.covariance)),
        "exact": {str(k): to_text(number) for k, number in found.exact.items()},
        "tied": {str(k): list(other) for k, other in found.tied.items()},
        "chi_squared": found.chi_squared,
        "limit": found.limit,
    }


def snapping_from(content: Any, size: int) -> Snapping | None:
    """As `snapping_record` wrote it; raises for numbers that are none and constants that are not there."""
    if content is None:
        return None
    values = np.array([finite(v) for v in content["values"]], dtype=float)
    variances = np.array([number(v) for v in content["variances"]], dtype=float)
    exact = {int(k): parse(text(v)) for k, v in content["exact"].items()}
    tied = {int(k): (count(head), sign) for k, (head, sign) in content["tied"].items()}
    places = {*exact, *tied, *(head for head, _ in tied.values())}
    if len(values) != size or len(variances) != size or not places <= set(range(size)):
        raise ValueError(f"the nice numbers are not those of {size} constants")
    if any(sign not in (1, -1) for _, sign in tied.values()):
        raise ValueError("a sign of the nice numbers is neither 1 nor -1")
    for k, found in exact.items():
        if found.free_symbols or not np.isclose(float(found), values[k], rtol=1e-9, atol=0):
            raise ValueError(f"{str(found)[:60]} is not the number that constant {k} is set to")
    return Snapping(
        values,
        np.diag(variances),
        exact,
        tied,
        number(content["chi_squared"]),
        number(content["limit"]),
    )
