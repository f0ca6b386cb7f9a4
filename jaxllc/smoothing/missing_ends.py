"""First and last samples of clean time courses that were not observed, out of the samples next to them.

A missing sample is a linear function of the next ones: the polynomial through these, or a regression over the
courses whose ends were observed, whichever tells the ends that were observed better (a regression each of
them without itself).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxllc.smoothing.lagrange import weights_at_zero

LONGEST = 12  # samples in a row that may be missing
NEXT = (2, 3, 4, 5, 6, 8, 10, 12)  # samples that one is told from
FEWEST_COURSES = 3
_CUT = 1e-11  # singular values below this part of the largest say nothing


class Ends(NamedTuple):
    """values: of the missing samples, (m, courses); square: of their error, as expected."""

    values: np.ndarray
    square: float


def missing_start(times: np.ndarray, whole: np.ndarray, rest: np.ndarray) -> Ends | None:
    """The first samples of courses of which the rest is given; None where too few others have theirs.

    times: (T,); whole: (T, n), courses with their first samples; rest: (T - m, l), the others from sample m
    on, 0 < m <= LONGEST.
    """
    missing = len(times) - len(rest)
    if whole.shape[1] < FEWEST_COURSES:
        return None
    values, squares = np.empty((missing, rest.shape[1])), np.empty(missing)
    for k in range(missing):
        ways = _ways(times[missing:] - times[k], whole[missing:], rest, whole[k])
        squares[k], told = min(ways, key=lambda way: way[0])
        # A course with gaps near its end may carry a high polynomial away: no other course moves that far.
        moves = whole[k] - whole[missing]
        far = np.ptp(moves)
        values[k] = rest[0] + np.clip(told - rest[0], moves.min() - far, moves.max() + far)
    return Ends(values, float(squares.mean()))


def _ways(
    times: np.ndarray, whole: np.ndarray, rest: np.ndarray, target: np.ndarray
) -> Iterator[tuple[float, np.ndarray]]:
    """Mean square error, and the values, of each way to tell what courses are at time zero."""
    for count in NEXT:
        if count > len(times):
            break
        weights = weights_at_zero(times[:count])
        yield float(np.mean((weights @ whole[:count] - target) ** 2)), weights @ rest[:count]
        if 2 * count <= whole.shape[1]:
            errors, values = _regressed(whole[:count], rest[:count], target)
            yield float(np.mean(errors**2)), values


def _regressed(
    near: np.ndarray, there: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Errors for courses near (q, n), each told without itself, and the values of those there (q, l)."""
    centre = near.mean(axis=1, keepdims=True)
    # From the nearest sample, since what is told differs little from it.
    rows = np.concatenate([np.ones((1, near.shape[1])), near - centre]).T
    left, singular, right = np.linalg.svd(rows, full_matrices=False)
    kept = singular > _CUT * singular[0]
    left, singular, right = left[:, kept], singular[kept], right[kept]
    by = left.T @ (target - near[0])
    errors = target - near[0] - left @ by
    errors = errors / np.maximum(1.0 - np.sum(left**2, axis=1), 1e-3)
    new = np.concatenate([np.ones((1, there.shape[1])), there - centre]).T
    return errors, there[0] + new @ (right.T @ (by / singular))
