"""Smoothed states of all nodes: a Gaussian process on the principal components of the
trajectories.

The nodes of a network share a few time courses, so the samples (time x node and run) are first
projected on their principal components; each component is smoothed by a Gaussian process in the
warped time log(1 + t/s), whose warp, length scale and amplitude maximise the marginal likelihood
(Rasmussen & Williams 2006, eq. 5.8). The squared exponential kernel is written as a sum over
Gaussian bumps, so the cost grows linearly with the number of samples. Clean samples are
interpolated by the spline (degree and warp) that best predicts every other sample from the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import make_interp_spline

from jaxllc.errors import InputError
from jaxllc.smoothing.gaussian_process import LONG_SERIES, gaussian_process, warp_time

if TYPE_CHECKING:
    from jaxllc.data.trajectories import Trajectories

FEWEST_SAMPLES = 5
EXACT = 1e-9  # noise relative to the signal below which nothing is left to smooth
CLEAN = 1e-3  # noise relative to the signal below which interpolation may be the better choice:
MISFIT = 1.5  # it is when the smoothed states miss the samples by this many times the noise
CLEAN_GAPS = 1e-5  # noise relative to the signal assumed where gaps of clean data are filled
SPLINE_DEGREES = (3, 5, 7, 9)
SPLINE_WARPS = (np.inf, 0.1, 0.01, 0.001)
NEIGHBOURS = (2, 4, 6, 8, 10, 12)
MISSING_ROUNDS = 12
LONG_MISSING_ROUNDS = 4
END_SAMPLES = 40  # samples from which a missing first or last sample of clean data is filled


@dataclass(frozen=True, eq=False)
class SmoothedStates:
    """States of every node without (most of) the noise, on a grid that contains the sampling
    times.

    grid_times: per run (K,), every sampling interval divided into `refine` parts.
    states: per run (K, N, d), in the units of the data.
    noise: (d,) standard deviation of the sampling noise of each variable.
    state_error: (d,) expected root mean square error of `states`.
    sample_index: per run (T,), position of each sampling time in the grid.
    unobserved: per run (N, d), True where a node was never observed and holds the mean over the
    others.
    """

    grid_times: list[np.ndarray]
    states: list[np.ndarray]
    noise: np.ndarray
    state_error: np.ndarray
    sample_index: list[np.ndarray]
    unobserved: list[np.ndarray]


def smooth(runs: Trajectories | Sequence[Trajectories], refine: int = 1) -> SmoothedStates:
    """Smooth all runs; runs with the same sampling times share their principal components.

    runs: trajectories with states (T, N, d), nan where not observed; refine: grid intervals per
    sampling interval.
    Raises InputError when a run is too short or a variable has no observed sample.
    """
    runs = list(runs) if isinstance(runs, Sequence) else [runs]
    if not runs:
        raise InputError("smooth needs at least one run, got an empty list.")
    if refine < 1:
        raise InputError(f"refine must be at least 1, got {refine}.")
    for number, run in enumerate(runs):
        if len(run.times) < FEWEST_SAMPLES:
            raise InputError(
                f"Run {number} has {len(run.times)} sampling times; at least {FEWEST_SAMPLES} are needed."
            )
    num_variables = runs[0].states.shape[2]
    groups: dict[bytes, list[int]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(np.asarray(run.times, float).tobytes(), []).append(number)

    grids: list[np.ndarray] = [np.empty(0)] * len(runs)
    states: list[np.ndarray] = [np.empty(0)] * len(runs)
    unobserved: list[np.ndarray] = [np.empty(0)] * len(runs)
    noise_squares, error_squares, weights = [], [], []
    for members in groups.values():
        times = np.asarray(runs[members[0]].times, float)
        grid = refine_times(times, refine)
        samples = np.stack(
            [np.asarray(runs[r].states, float) for r in members], axis=1
        )  # (T, R, N, d)
        smoothed = np.empty((len(grid), *samples.shape[1:]))
        noise, error = np.empty(num_variables), np.empty(num_variables)
        for v in range(num_variables):
            columns = samples[..., v].reshape(len(times), -1)
            if not np.isfinite(columns).any():
                name = runs[members[0]].variables[v]
                raise InputError(f"Variable {name!r} of run {members[0]} has no observed sample.")
            values, noise[v], error[v] = smooth_columns(times, columns, grid)
            smoothed[..., v] = values.reshape(len(grid), *samples.shape[1:3])
        for position, r in enumerate(members):
            grids[r], states[r] = grid, smoothed[:, position]
            unobserved[r] = ~np.isfinite(samples[:, position]).any(axis=0)
        noise_squares.append(noise**2)
        error_squares.append(error**2)
        weights.append(float(samples[..., 0].size))
    return SmoothedStates(
        grid_times=grids,
        states=states,
        noise=np.sqrt(np.average(noise_squares, axis=0, weights=weights)),
        state_error=np.sqrt(np.average(error_squares, axis=0, weights=weights)),
        sample_index=[np.arange(len(run.times)) * refine for run in runs],
        unobserved=unobserved,
    )


def refine_times(times: np.ndarray, refine: int) -> np.ndarray:
    """Divide every interval of times (T,) into equal parts; the result has (T - 1) * refine + 1
    entries.
    """
    parts = np.arange(refine) / refine
    inner = times[:-1, None] + np.diff(times)[:, None] * parts[None, :]
    return np.append(inner.ravel(), times[-1])


def smooth_columns(
    times: np.ndarray, columns: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Smooth time courses (T, M), nan where missing: values on the grid (K, M), noise, expected
    error.
    """
    missing = ~np.isfinite(columns)
    filled = _fill(times, columns, missing)
    scale = float(np.std(filled))
    if scale <= 1e-14 * (1.0 + float(np.abs(filled).max())):
        return np.broadcast_to(filled.mean(axis=0), (len(grid), filled.shape[1])).copy(), 0.0, 0.0
    whole = ~missing.any(axis=0)
    trusted = filled[:, whole] if whole.sum() >= max(3, 0.05 * len(whole)) else filled
    noise = noise_by_differences(times, trusted)
    if trusted is filled and missing.any():
        noise = _noise_of_observed(times, columns, noise)

    if noise < EXACT * scale:
        values, error = _interpolate(times, columns, grid, scale)
        return values, noise, max(noise, error)
    values, degrees = _smooth_components(times, filled, missing, noise, grid)
    at_samples = np.searchsorted(grid, times)
    residual = (columns - values[at_samples])[~missing]
    freedom = max(residual.size - degrees, 0.1 * residual.size)
    leftover = float(np.sqrt(np.sum(residual**2) / freedom))
    if noise < CLEAN * scale and leftover > MISFIT * noise:
        values, error = _interpolate(times, columns, grid, scale)
        return values, noise, max(noise, error)
    return values, leftover, leftover * float(np.sqrt(degrees / residual.size))


def noise_by_differences(times: np.ndarray, columns: np.ndarray) -> float:
    """Standard deviation of white noise on smooth time courses (T, M), model-free.

    Each sample is predicted by the polynomial through its 2, 4 ... 10 neighbours (Gasser, Sroka &
    Jennen-Steinmetz 1986); the smallest of the estimates is kept, and the median over time sets
    fast transients aside.
    """
    estimates = []
    num_columns = columns.shape[1]
    chi_square_median = (1.0 - 2.0 / (9.0 * num_columns)) ** 3
    for count in NEIGHBOURS:
        if count + 3 > len(times):
            break
        offsets = np.r_[-(count // 2) : 0, 1 : count // 2 + 1]
        centres = np.arange(count // 2, len(times) - count // 2)
        around = times[centres[:, None] + offsets[None, :]] - times[centres][:, None]
        # Lagrange weights of the neighbours at the centre
        gaps = around[:, None, :] - around[:, :, None]
        ratios = np.where(
            np.eye(count, dtype=bool)[None],
            1.0,
            around[:, None, :] / np.where(gaps == 0, 1.0, gaps),
        )
        weights = ratios.prod(axis=2)
        predicted = np.einsum("tk,tkm->tm", weights, columns[centres[:, None] + offsets[None, :]])
        squares = (columns[centres] - predicted) ** 2 / (1.0 + np.sum(weights**2, axis=1))[:, None]
        estimates.append(np.median(squares.mean(axis=1)) / chi_square_median)
    return float(np.sqrt(min(estimates)))


def _noise_of_observed(times: np.ndarray, columns: np.ndarray, fallback: float) -> float:
    """Noise from the observed samples of each column alone, for data in which most columns have
    gaps.
    """
    squares = []
    for column in columns.T:
        seen = np.isfinite(column)
        if seen.sum() >= 8:
            squares.append(noise_by_differences(times[seen], column[seen, None]) ** 2)
    return float(np.sqrt(np.median(squares))) if len(squares) >= 3 else fallback


def _interpolate(
    times: np.ndarray, columns: np.ndarray, grid: np.ndarray, scale: float
) -> tuple[np.ndarray, float]:
    """Interpolate clean time courses by splines: values on the grid (K, M), expected error.

    A column with gaps is interpolated through its own samples; only its ends come from the other
    columns.
    """
    missing = ~np.isfinite(columns)
    if not missing.any():
        values, squares = _best_spline(times, columns, grid)
        return values, float(np.sqrt(squares.mean()))
    values, squares = np.empty((len(grid), columns.shape[1])), np.zeros(columns.shape[1])
    whole = ~missing.any(axis=0)
    if whole.any():
        values[:, whole], squares[whole] = _best_spline(times, columns[:, whole], grid)
    filled = _fill(times, columns, missing)
    for edge in (slice(None, END_SAMPLES), slice(-END_SAMPLES, None)):
        if missing[edge][[0, -1]].any():
            near = _smooth_components(
                times[edge], filled[edge], missing[edge], CLEAN_GAPS * scale, times[edge]
            )[0]
            filled[edge] = np.where(missing[edge], near, filled[edge])
    for m in np.flatnonzero(~whole):
        seen = ~missing[:, m]
        if seen.sum() < FEWEST_SAMPLES:
            values[:, m] = np.interp(grid, times, filled[:, m])
            continue
        seen[[0, -1]] = True
        value, square = _best_spline(times[seen], filled[seen, m][:, None], grid)
        values[:, m], squares[m] = value[:, 0], square[0]
    return values, float(np.sqrt(squares.mean()))


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


def _fill(times: np.ndarray, columns: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Fill gaps linearly in time; a column without any sample gets the mean over the others."""
    filled = columns.copy()
    for m in np.flatnonzero(missing.any(axis=0)):
        seen = ~missing[:, m]
        if seen.any():
            filled[~seen, m] = np.interp(times[~seen], times[seen], columns[seen, m])
    empty = missing.all(axis=0)
    if empty.any():
        filled[:, empty] = filled[:, ~empty].mean(axis=1, keepdims=True)
    return filled


def _smooth_components(
    times: np.ndarray, filled: np.ndarray, missing: np.ndarray, noise: float, grid: np.ndarray
) -> tuple[np.ndarray, float]:
    """Gaussian process on the principal components above the noise: values on the grid, degrees
    of freedom.

    With gaps, the loadings of each column are fitted to its observed samples only, and the gaps
    are filled with the result until they no longer change (alternating least squares).
    """
    filled = filled.copy()
    both = np.union1d(grid, times)
    at_samples, at_grid = np.searchsorted(both, times), np.searchsorted(both, grid)
    never = missing.all(axis=0)
    known = filled[:, ~never]
    gaps = missing[:, ~never]
    rounds = MISSING_ROUNDS if len(times) <= LONG_SERIES else LONG_MISSING_ROUNDS
    for _ in range(rounds if gaps.any() else 1):
        mean = known.mean(axis=0)
        left, singular, right = np.linalg.svd(known - mean[None, :], full_matrices=False)
        # largest singular value of pure noise of this size
        edge = 0.9 * noise * (np.sqrt(len(times)) + np.sqrt(known.shape[1]))
        rank = min(max(2, int((singular > edge).sum())), len(singular))
        if gaps.any():
            rank = min(rank, max(2, int((~gaps).sum(axis=0).min()) // 3))
        components = left[:, :rank] * singular[None, :rank]
        courses, degrees = gaussian_process(times, components, noise, both)
        # the mean and each component also have one free loading per column
        degrees += (rank + 1) * known.shape[1] - rank**2
        if not gaps.any():
            values = courses[at_grid] @ right[:rank] + mean[None, :]
            break
        basis = np.concatenate([np.ones((len(both), 1)), courses], axis=1)
        loadings = _loadings(basis[at_samples], known, ~gaps, noise)
        fitted = basis[at_samples] @ loadings
        change = fitted[gaps] - known[gaps]
        known[gaps] = fitted[gaps]
        values = basis[at_grid] @ loadings
        if np.sqrt(np.mean(change**2)) < 0.03 * noise:
            break
    result = np.empty((len(grid), filled.shape[1]))
    result[:, ~never] = values
    result[:, never] = values.mean(axis=1, keepdims=True)
    return result, degrees


def _loadings(
    basis: np.ndarray, columns: np.ndarray, observed: np.ndarray, noise: float
) -> np.ndarray:
    """Least-squares loadings (k, M) of each column on the basis (T, k), from its observed samples
    only.
    """
    seen = observed.astype(float)
    gram = np.einsum("tm,tk,tl->mkl", seen, basis, basis, optimize=True)
    right = np.einsum("tm,tk->mk", seen * columns, basis)
    # loadings of the components are of order one over the root of the number of columns
    ridge = np.full(basis.shape[1], noise**2 * columns.shape[1])
    ridge[0] = 0.0
    gram += np.diag(ridge + 1e-13 * np.trace(gram, axis1=1, axis2=2).max())[None]
    return np.linalg.solve(gram, right[:, :, None])[:, :, 0].T
