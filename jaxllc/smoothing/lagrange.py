"""Weights of samples in the value that the polynomial through them has (Lagrange)."""

from __future__ import annotations

import numpy as np


def weights_at_zero(times: np.ndarray) -> np.ndarray:
    """For the value at time zero: of samples at times (..., q), (..., q)."""
    own = np.eye(times.shape[-1], dtype=bool)
    gaps = times[..., None, :] - times[..., :, None]
    ratios = np.where(own, 1.0, times[..., None, :] / np.where(gaps == 0, 1.0, gaps))
    return ratios.prod(axis=-1)
