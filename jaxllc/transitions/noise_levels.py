"""How much of what is left in steps between samples is process noise, and how much measurement noise.

The error of a step from t_k to t_(k+1), over sqrt(h_k), has the covariance q^2 + sigma^2 D, where D is
tri-diagonal, as neighbouring steps share the error of a sample (a moving average of order one). In the
eigenvectors of D it is diagonal, whatever sigma and q are.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

# Rounds of scoring of the two variances, and the change of both at which they rest.
_ROUNDS, _RESTS = 60, 1e-9
# Of a variance, the share of the whole below which it is none.
_NONE = 1e-14


def step_modes(
    steps: Float[np.ndarray, " step"], joined: np.ndarray
) -> tuple[Float[np.ndarray, "mode step"], Float[np.ndarray, " mode"]]:
    """Eigenvectors of D and their eigenvalues.

    steps: durations h_k; joined: (step - 1,) whether a step ends at the sample at which the next one begins.
    """
    diagonal = 2.0 / steps
    beside = np.where(joined, -1.0 / np.sqrt(steps[:-1] * steps[1:]), 0.0)
    sizes, vectors = eigh_tridiagonal(diagonal, beside)
    return vectors.T, np.maximum(sizes, 0.0)


def noise_levels(
    squares: Float[np.ndarray, " row"], sizes: Float[np.ndarray, " row"], both: bool = True
) -> tuple[float, float]:
    """The variances sigma^2 and q^2 of the largest likelihood: a row has the variance q^2 + sigma^2 sizes.

    squares: of what is left in the rows. both: where the sizes do not differ, or False is given, all is
    process noise.
    """
    whole = float(np.mean(squares))
    scale = float(np.mean(sizes))
    if not both or np.ptp(sizes) <= 1e-9 * scale or whole <= 0:
        return 0.0, whole
    columns = np.stack([sizes, np.ones_like(sizes)], axis=1)
    best = (np.inf, 0.0, whole)
    for share in (0.02, 0.5, 0.98):
        value = np.array([share * whole / scale, (1.0 - share) * whole])
        for _ in range(_ROUNDS):
            before, value = (
                value,
                _scored(value, columns, squares, np.array([whole / scale, whole])),
            )
            if np.all(np.abs(value - before) <= _RESTS * np.array([whole / scale, whole])):
                break
        variance = columns @ value
        cost = float(np.sum(np.log(variance) + squares / variance))
        if cost < best[0]:
            best = (cost, float(value[0]), float(value[1]))
    return best[1], best[2]


def _scored(
    value: np.ndarray, columns: np.ndarray, squares: np.ndarray, units: np.ndarray
) -> np.ndarray:
    """A step of Fisher scoring, which keeps the variances from zero up."""
    floor = _NONE * units
    variance = columns @ value
    score = columns.T @ ((squares - variance) / variance**2)
    information = (columns / variance[:, None] ** 2).T @ columns
    step = np.linalg.solve(information, score)
    moved = value + step
    for k in (0, 1):
        if moved[k] < floor[k]:  # the other one alone, then
            other = 1 - k
            moved[other] = (
                value[other]
                + (score[other] + information[other, k] * (value[k] - floor[k]))
                / information[other, other]
            )
            moved[k] = floor[k]
    # No further than by a factor of ten at once.
    return np.clip(moved, np.maximum(value / 10.0, floor), 10.0 * value + units * 1e-3)
