"""Time courses of many nodes by Gaussian processes on their principal components, gaps filled by turns."""

from __future__ import annotations

import numpy as np

from jaxllc.smoothing.gaussian_process import LONG_SERIES, gaussian_process

MISSING_ROUNDS = 12
LONG_MISSING_ROUNDS = 4


def filled_linearly(times: np.ndarray, columns: np.ndarray, missing: np.ndarray) -> np.ndarray:
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


def smooth_components(
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
