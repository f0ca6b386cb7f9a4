"""States that are given to a trajectory problem instead of explained by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.interpolate import make_interp_spline


def paths_between(
    states: Float[np.ndarray, "variable node run grid"],
    steps: Float[np.ndarray, "run interval"],
    parts: int,
) -> Float[np.ndarray, "variable node interval part"]:
    """States over each grid interval, those of the first run first, at its ends and between so many equal
    parts.

    By the cubic spline through the states on the grid; steps are 0 behind the end of a run.
    """
    places = np.linspace(0.0, 1.0, parts + 1)
    found = []
    for run, lengths in enumerate(steps):
        times = np.concatenate([[0.0], np.cumsum(lengths)])
        count = int(np.count_nonzero(lengths)) + 1
        spline = make_interp_spline(
            times[:count], states[:, :, run, :count], k=min(3, count - 1), axis=2
        )
        found.append(spline(times[:-1, None] + lengths[:, None] * places))
    return np.concatenate(found, axis=2)


def without_rows(values: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """A copy with zeros in some rows."""
    values = np.array(values)
    values[rows] = 0.0
    return values
