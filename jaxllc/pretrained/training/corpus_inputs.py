"""Points for random skeletons: boxes, narrow clouds far from nought, and curves as trajectories visit."""

from __future__ import annotations

import numpy as np

_CLOUDS = 0.45  # share of sets of points that do not fill a box
_ALIKE = 0.5  # share of sets whose variables have one range, as the same variable of two nodes has


def log_uniform(rng: np.random.Generator, low: float, high: float, size) -> np.ndarray:
    """Numbers whose logarithm is uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def signs(rng: np.random.Generator, size) -> np.ndarray:
    """-1 or 1."""
    return rng.integers(0, 2, size) * 2.0 - 1.0


def draw_inputs(
    rng: np.random.Generator, count: int, num_variables: int, num_points: int
) -> np.ndarray:
    """Sets of points, (set, variable, point) in single precision, each variable of root mean square 1."""
    shape = (count, num_variables)
    unit = rng.random((*shape, num_points), dtype=np.float32)
    clouds = np.flatnonzero(rng.random(count) < _CLOUDS)
    if len(clouds):
        unit[clouds] = _clouds(rng, len(clouds), num_variables, num_points)
    low, width = _ranges(rng, shape)
    points = low[..., None] + width[..., None] * unit
    points /= np.sqrt(np.mean(points * points, axis=2, keepdims=True)) + 1e-12
    return points.astype(np.float32)


def _ranges(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Lower ends and widths: from nought up, around nought, off centre, or narrow and far from it."""
    sort = rng.random(shape)
    centre, gap, narrow = (
        rng.uniform(-1.6, 1.6, shape),
        rng.uniform(0.02, 0.5, shape),
        rng.uniform(1, 4, shape),
    )
    alike = rng.random(shape[0]) < _ALIKE
    for drawn in (sort, centre, gap, narrow):
        drawn[alike] = drawn[alike, :1]
    low = np.select(
        [sort < 0.3, sort < 0.42, sort < 0.64, sort < 0.9],
        [np.zeros(shape), gap, -np.ones(shape), centre - 1.0],
        narrow * signs(rng, shape),
    )
    width = np.select([sort < 0.3, sort < 0.42, sort < 0.9], [1.0, 1.0 - gap, 2.0], 1.0)
    return low, width


def _clouds(
    rng: np.random.Generator, count: int, num_variables: int, num_points: int
) -> np.ndarray:
    """Correlated variables within (0, 1): half of the sets are scattered, half lie along closed curves."""
    shape = (count, num_variables, num_points)
    scattered = rng.standard_normal(shape, dtype=np.float32)
    mixing = rng.standard_normal((count, num_variables, num_variables))
    mixing *= log_uniform(rng, 0.2, 1.5, (count, 1, 1))
    mixing += np.eye(num_variables)
    cloud = mixing.astype(np.float32) @ scattered
    half = count // 2
    phase = rng.uniform(0, 2 * np.pi, (half, 1, num_points)).astype(np.float32)
    curve = np.zeros((half, *shape[1:]), np.float32)
    for harmonic in (1, 2, 3):
        size = rng.standard_normal((half, num_variables, 1)) / harmonic
        shift = rng.uniform(0, 2 * np.pi, (half, num_variables, 1))
        curve += size.astype(np.float32) * np.sin(harmonic * phase + shift.astype(np.float32))
    curve /= curve.std(2, keepdims=True) + 1e-9
    off_curve = log_uniform(rng, 0.05, 0.5, (half, 1, 1)).astype(np.float32)
    cloud[:half] /= cloud[:half].std(2, keepdims=True) + 1e-9
    cloud[:half] = curve + off_curve * cloud[:half]
    cloud /= cloud.std(2, keepdims=True) + 1e-9
    return 1.0 / (1.0 + np.exp(-1.4 * cloud))


def smooth_errors(rng: np.random.Generator, points: np.ndarray, waves: int = 4) -> np.ndarray:
    """Errors as fitted fields leave them, (set, point) of standard deviation 1: slow waves of the points."""
    count, num_variables, _ = points.shape
    centred = points - points.mean(2, keepdims=True)
    centred /= centred.std(2, keepdims=True) + 1e-9
    direction = 1.3 * rng.standard_normal((count, waves, num_variables), dtype=np.float32)
    phase = rng.uniform(0, 2 * np.pi, (count, waves, 1)).astype(np.float32)
    size = rng.standard_normal((count, waves, 1), dtype=np.float32)
    errors = (size * np.sin(direction @ centred + phase)).sum(1)
    return errors / (errors.std(1, keepdims=True) + 1e-9)
