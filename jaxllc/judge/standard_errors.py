"""Standard errors of the constants of a law, and of which constants the data say nothing.

A constant that the data leave open has no standard error (nan), never an error of zero: where it acts on no
sample, where it moves together with others without any change, or where its error is beyond all measure.
"""

from __future__ import annotations

import numpy as np

from jaxllc.fit.bounded_step import on_bound
from jaxllc.fit.trajectory_fit import TrajectoryFit
from jaxllc.judge.judge import Judge

# Eigenvalue of the information, relative to the largest, below which a direction of the constants is open,
# and the share of a constant in open directions from which it is open itself.
_OPEN, _SHARE = 1e-13, 1e-6
# Error, in sizes of the constant, beyond which it is no number to print.
_BEYOND = 1e6


def standard_errors(fit: TrajectoryFit) -> np.ndarray:
    """Of `fit.law.values()`, (constant,); nan for one on its bound and for one that is not determined."""
    if fit.covariance is None or fit.line is None:
        return np.full(fit.law.num_constants, np.nan)
    # The fit works on the logarithm of positive constants.
    variance = np.diag(fit.covariance) * fit.law.slopes() ** 2
    errors = np.sqrt(np.maximum(variance, 0.0))
    errors[~determined(fit)] = np.nan
    with np.errstate(all="ignore"):
        beyond = (errors > _BEYOND * np.abs(fit.law.values())) | ~np.isfinite(errors)
    errors[beyond] = np.nan
    return errors


def determined(fit: TrajectoryFit) -> np.ndarray:
    """Which constants of an exact fit stand in no direction that the data leave open, (constant,) of bool."""
    if fit.line is None:
        return np.zeros(fit.law.num_constants, dtype=bool)
    matrix = fit.line.normal.reduced()[1]
    known = np.zeros(len(matrix), dtype=bool)
    free = np.flatnonzero(~on_bound(fit.law))
    matrix = matrix[np.ix_(free, free)]
    acting = np.isfinite(matrix).all() & (np.diag(matrix) > 0)
    free, matrix = free[acting], matrix[np.ix_(acting, acting)]
    if not len(free):
        return known
    scale = np.sqrt(np.diag(matrix))
    size, axes = np.linalg.eigh(matrix / scale[:, None] / scale[None])
    closed = size > _OPEN * size.max()
    known[free] = (axes[:, ~closed] ** 2).sum(axis=1) < _SHARE
    return known


def reported_covariance(judge: Judge, fit: TrajectoryFit) -> np.ndarray | None:
    """Covariance of the constants themselves, what grid and solver may be off included; nan where open."""
    if fit.covariance is None:
        return None
    slopes = fit.law.slopes()
    share = judge.floor_ratio * judge.num_samples / max(judge.merit(fit), 1e-300)
    covariance = (1 + share) * slopes[:, None] * fit.covariance * slopes
    open_ones = np.isnan(standard_errors(fit))
    covariance[open_ones], covariance[:, open_ones] = np.nan, np.nan
    return covariance
