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

from jaxllc.errors import InputError
from jaxllc.smoothing.clean_courses import FEWEST_SAMPLES, interpolate
from jaxllc.smoothing.components import filled_linearly, smooth_components
from jaxllc.smoothing.lagrange import weights_at_zero

if TYPE_CHECKING:
    from jaxllc.data.trajectories import Trajectories

EXACT = 1e-9  # noise relative to the signal below which nothing is left to smooth
CLEAN = 1e-3  # noise relative to the signal below which interpolation may be the better choice:
MISFIT = 1.5  # it is when the smoothed states miss the samples by this many times the noise
NEIGHBOURS = (2, 4, 6, 8, 10, 12)


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
    filled = filled_linearly(times, columns, missing)
    scale = float(np.std(filled))
    if scale <= 1e-14 * (1.0 + float(np.abs(filled).max())):
        return np.broadcast_to(filled.mean(axis=0), (len(grid), filled.shape[1])).copy(), 0.0, 0.0
    whole = ~missing.any(axis=0)
    trusted = filled[:, whole] if whole.sum() >= max(3, 0.05 * len(whole)) else filled
    noise = noise_by_differences(times, trusted)
    if trusted is filled and missing.any():
        noise = _noise_of_observed(times, columns, noise)

    if noise < EXACT * scale:
        values, error = interpolate(times, columns, grid, scale)
        return values, noise, max(noise, error)
    values, degrees = smooth_components(times, filled, missing, noise, grid)
    at_samples = np.searchsorted(grid, times)
    residual = (columns - values[at_samples])[~missing]
    freedom = max(residual.size - degrees, 0.1 * residual.size)
    leftover = float(np.sqrt(np.sum(residual**2) / freedom))
    if noise < CLEAN * scale and leftover > MISFIT * noise:
        values, error = interpolate(times, columns, grid, scale)
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
        weights = weights_at_zero(around)
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
