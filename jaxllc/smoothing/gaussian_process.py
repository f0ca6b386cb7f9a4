"""Gaussian process on time courses, in the warped time log(1 + t/s), at a cost linear in the samples.

Warp, length scale and amplitude of each series maximise its marginal likelihood (Rasmussen &
Williams 2006, eq. 5.8). The squared exponential kernel is written as a sum over Gaussian bumps, so
one thin singular value decomposition serves all series and amplitudes.
"""

from __future__ import annotations

import numpy as np

WARPS = (np.inf, 0.3, 0.1, 0.03, 0.01)  # s as a part of the duration; inf: no warp
SHORTEST_LENGTH = 0.01  # of the warped duration: needs about 200 bumps
LONG_SERIES = 400  # samples above which a signal finer than SHORTEST_LENGTH is smoothed in halves


def warp_time(times: np.ndarray, start: float, stop: float, warp: float) -> np.ndarray:
    """Map [start, stop] to [0, 1] by log(1 + t/s), with s = warp * (stop - start)."""
    part = (times - start) / (stop - start)
    return part if np.isinf(warp) else np.log1p(part / warp) / np.log1p(1.0 / warp)


def _bumps(warped: np.ndarray, part: np.ndarray, length: float) -> np.ndarray:
    """Features (T, m) whose inner products are exp(-(a - b)^2 / 2 length^2) plus a straight line.

    The kernel is the integral of exp(-(a - z)^2 / length^2) exp(-(b - z)^2 / length^2) over
    centres z, and the trapezoidal rule with half a length between centres is exact to 1e-8.
    """
    centres = np.arange(-3.5 * length, 1.0 + 4.0 * length, 0.5 * length)
    height = np.sqrt(0.5 / np.sqrt(0.5 * np.pi))
    bumps = height * np.exp(-(((warped[:, None] - centres[None, :]) / length) ** 2))
    line = np.sqrt(3.0) * np.stack([np.ones_like(part), part - 0.5], axis=1)
    return np.concatenate([bumps, line], axis=1)


def gaussian_process(
    times: np.ndarray, series: np.ndarray, noise: float, grid: np.ndarray
) -> tuple[np.ndarray, float]:
    """Posterior mean on the grid (K, M) of series (T, M) with white noise of known size, and its
    degrees of freedom.

    Warp, length scale and amplitude of each series maximise its marginal likelihood over a grid.
    """
    start, stop = times[0], times[-1]
    part, part_grid = ((t - start) / (stop - start) for t in (times, grid))
    num_times, num_series = series.shape
    total = np.sum(series**2, axis=0)
    scales = np.maximum(series.std(axis=0), 1e-300)
    variance = max(noise, 1e-9 * float(scales.max())) ** 2
    # ratios of noise variance to amplitude, around that of each series
    ratios = (variance / scales**2)[None, :] * 10.0 ** np.arange(-5.0, 4.01, 0.5)[:, None]
    best = np.full(num_series, -np.inf)
    values = np.zeros((len(grid), num_series))
    degrees = np.zeros(num_series)
    shortest = np.zeros(num_series, dtype=bool)
    # two samples per length is the finest detail that they can show
    finest = max(SHORTEST_LENGTH, 1.0 / (num_times - 1))
    lengths = np.geomspace(finest, 1.2, max(6, int(np.ceil(np.log(1.2 / finest) / np.log(1.7)))))
    for warp in WARPS:
        warped, warped_grid = (warp_time(t, start, stop, warp) for t in (times, grid))
        for position, length in enumerate(lengths):
            features = _bumps(warped, part, length)
            left, singular, right = np.linalg.svd(features, full_matrices=False)
            projected = left.T @ series  # (q, M)
            gain = singular[None, :, None] ** 2 / ratios[:, None, :]
            quadratic = np.sum(projected[None] ** 2 / (gain + 1.0), axis=1)
            quadratic += (total - np.sum(projected**2, axis=0))[None, :]
            likelihood = -0.5 * quadratic / variance - 0.5 * np.sum(np.log1p(gain), axis=1)
            choice = likelihood.argmax(axis=0)
            highest = likelihood[choice, np.arange(num_series)]
            better = highest > best
            if not better.any():
                continue
            best[better] = highest[better]
            shortest[better] = position == 0
            ratio = ratios[choice, np.arange(num_series)][better]
            shrunk = singular[:, None] / (singular[:, None] ** 2 + ratio[None, :])
            weights = right.T @ (shrunk * projected[:, better])
            values[:, better] = _bumps(warped_grid, part_grid, length) @ weights
            degrees[better] = np.sum(shrunk * singular[:, None], axis=0)
    if num_times > LONG_SERIES and shortest[0]:
        return _smooth_halves(times, series, noise, grid)
    return values, float(degrees.sum())


def _smooth_halves(
    times: np.ndarray, series: np.ndarray, noise: float, grid: np.ndarray
) -> tuple[np.ndarray, float]:
    """Smooth two overlapping halves of a long series and blend them where they overlap."""
    middle, overlap = len(times) // 2, 20
    low, high = times[middle - overlap], times[middle + overlap]
    early, late = grid <= high, grid >= low
    first, first_degrees = gaussian_process(
        times[: middle + overlap + 1], series[: middle + overlap + 1], noise, grid[early]
    )
    second, second_degrees = gaussian_process(
        times[middle - overlap :], series[middle - overlap :], noise, grid[late]
    )
    blend = np.clip((grid - low) / (high - low), 0.0, 1.0)[:, None]
    values = np.zeros((len(grid), series.shape[1]))
    values[early] += (1.0 - blend[early]) * first
    values[late] += blend[late] * second
    return values, first_degrees + second_degrees
