"""Clean time courses, interpolated by splines of the degree and warp that predict each of them best."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import make_interp_spline

from jaxllc.smoothing.components import filled_linearly, smooth_components
from jaxllc.smoothing.gaussian_process import warp_time
from jaxllc.smoothing.missing_ends import LONGEST, missing_start

FEWEST_SAMPLES = 5  # of a run, and of a course that has a spline of its own
SPLINE_DEGREES = (3, 5, 7, 9)
SPLINE_WARPS = (np.inf, 0.1, 0.01, 0.001)
CLEAN_GAPS = 1e-5  # noise relative to the signal assumed where long ends are filled
END_SAMPLES = 40  # samples from which a long missing end is filled


def interpolate(
    times: np.ndarray, columns: np.ndarray, grid: np.ndarray, scale: float
) -> tuple[np.ndarray, float]:
    """Clean time courses (T, M), nan where missing: values on the grid (K, M), expected error.

    A column with gaps is interpolated through its own samples; only its ends come from the other
    columns. scale: of the signal.
    """
    missing = ~np.isfinite(columns)
    if not missing.any():
        values, squares = _best_spline(times, columns, grid)
        return values, float(np.sqrt(squares.mean()))
    filled, of_ends = _with_ends(times, columns, missing, scale)
    values, squares = np.empty((len(grid), columns.shape[1])), np.zeros(columns.shape[1])
    whole = ~missing.any(axis=0)
    if whole.any():
        values[:, whole], squares[whole] = _best_spline(times, columns[:, whole], grid)
    for m in np.flatnonzero(~whole):
        used = ~missing[:, m]
        if used.sum() < FEWEST_SAMPLES:
            values[:, m] = np.interp(grid, times, filled[:, m])
            continue
        first, last = np.flatnonzero(used)[[0, -1]]
        # What long ends were told is rough: their outermost samples alone hold the spline.
        used[: first if first <= LONGEST else 1] = True
        used[last + 1 if len(times) - 1 - last <= LONGEST else -1 :] = True
        value, square = _best_spline(times[used], filled[used, m][:, None], grid)
        values[:, m], squares[m] = value[:, 0], square[0] + of_ends[m]
    return values, float(np.sqrt(squares.mean()))


def _with_ends(
    times: np.ndarray, columns: np.ndarray, missing: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Columns without gaps, and the mean square over the times that each owes to what its ends were told.

    Between its samples a column is told by its own spline, before and after them by the other columns.
    """
    filled, squares = filled_linearly(times, columns, missing), np.zeros(columns.shape[1])
    sampled = (~missing).sum(axis=0) >= FEWEST_SAMPLES
    first, last = (~missing).argmax(axis=0), len(times) - 1 - (~missing)[::-1].argmax(axis=0)
    for m in np.flatnonzero(missing.any(axis=0) & sampled):
        inside, seen = slice(first[m], last[m] + 1), ~missing[:, m]
        own = _best_spline(times[seen], columns[seen, m][:, None], times[inside])[0]
        filled[inside, m] = np.where(seen[inside], columns[inside, m], own[:, 0])
    sides = (
        (first, slice(None), slice(None, END_SAMPLES)),
        (len(times) - 1 - last, slice(None, None, -1), slice(-END_SAMPLES, None)),
    )
    for gone, turn, edge in sides:
        courses = filled[turn]  # a view
        whole = courses[:, (gone == 0) & sampled]
        for count in np.unique(gone[sampled & (gone > 0)]):
            chosen = np.flatnonzero((gone == count) & sampled)
            told = None
            if count <= LONGEST:
                told = missing_start(times[turn], whole, courses[count:, chosen])
            if told is None:
                near = smooth_components(
                    times[edge], filled[edge], missing[edge], CLEAN_GAPS * scale, times[edge]
                )[0]
                lacking = missing[edge][:, chosen]
                filled[edge, chosen] = np.where(lacking, near[:, chosen], filled[edge, chosen])
            else:
                courses[:count, chosen] = told.values
                squares[chosen] += told.square * count / len(times)
    return filled, squares


def _best_spline(
    times: np.ndarray, columns: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values on the grid (K, M) and expected squared error (M,) of the spline that predicts each
    column best.
    """
    best = np.full(columns.shape[1], np.inf)
    choice = np.zeros(columns.shape[1], dtype=int)
    candidates = [(warp, degree) for warp in SPLINE_WARPS for degree in SPLINE_DEGREES]
    for number, (warp, degree) in enumerate(candidates):
        if (len(times) + 1) // 2 <= degree:
            continue
        warped = warp_time(times, times[0], times[-1], warp)
        spline = make_interp_spline(warped[::2], columns[::2], k=degree)
        last = len(times) - 1 if len(times) % 2 else len(times) - 2
        squares = np.mean((spline(warped[1:last:2]) - columns[1:last:2]) ** 2, axis=0)
        better = squares < best
        best[better], choice[better] = squares[better], number
    values = np.empty((len(grid), columns.shape[1]))
    error = np.empty(columns.shape[1])
    for number in np.unique(choice):
        warp, degree = candidates[number]
        if degree >= len(times):
            degree = len(times) - 1
        chosen = choice == number
        warped = warp_time(times, times[0], times[-1], warp)
        spline = make_interp_spline(warped, columns[:, chosen], k=degree)
        values[:, chosen] = spline(warp_time(grid, times[0], times[-1], warp))
        # halving the step divides the error of a spline by at least 2^degree
        error[chosen] = best[chosen] * 4.0**-degree
    return values, np.where(np.isfinite(error), error, 0.0)
