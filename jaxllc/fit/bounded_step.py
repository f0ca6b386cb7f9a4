"""Steps of constants within the bounds that a user set."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import lsq_linear

from jaxllc.fit.candidate_law import CandidateLaw

Constants = Float[np.ndarray, " constant"]
# Distance from a bound, relative to its size, within which a constant lies on it.
_ON_BOUND = 1e-9


def room(law: CandidateLaw) -> tuple[Constants, Constants] | None:
    """Smallest and largest change of each constant of a law; None where nothing is bounded."""
    low, high = law.limits()
    if not np.isfinite(low).any() and not np.isfinite(high).any():
        return None
    values = law.vector()
    return np.minimum(low - values, 0.0), np.maximum(high - values, 0.0)


def on_bound(law: CandidateLaw) -> Bool[np.ndarray, " constant"]:
    """Which constants lie on a bound."""
    low, high = law.limits()
    values = law.vector()
    near = np.zeros(len(values), dtype=bool)
    for bound in (low, high):
        given = np.isfinite(bound)
        size = np.where(given, np.abs(np.where(given, bound, 0.0)), 0.0)
        near |= given & (np.abs(values - np.where(given, bound, 0.0)) <= _ON_BOUND * (1 + size))
    return near


def bounded_minimum(
    matrix: Float[np.ndarray, "constant constant"],
    gradient: Constants,
    low: Constants,
    high: Constants,
) -> Constants:
    """Minimum of c'Mc/2 - g'c over low <= c <= high for a positive semidefinite M.

    Source: bounded-variable least squares (Stark and Parker 1995), on a square root of M.
    """
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    kept = values > 1e-13 * max(float(values.max(initial=0.0)), 1e-300)
    root = np.sqrt(values[kept])
    factor = (vectors[:, kept] * root).T
    target = (vectors[:, kept].T @ gradient) / root
    if len(target) == 0:
        return np.zeros(len(gradient))
    return np.asarray(lsq_linear(factor, target, (low, high), method="bvls").x)
