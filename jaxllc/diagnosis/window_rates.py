"""Rates of change over windows of time, and how much of them plain terms with or without an addition leave.

Over a window the change of a smoothed state is the integral of its rate, so that terms can be compared by
linear least squares, without derivatives and before any law is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.smoothing.smooth import smooth

if TYPE_CHECKING:
    import scipy.sparse

    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories

# Windows that a run is cut into at most.
_WINDOWS = 40


@dataclass(frozen=True, eq=False)
class WindowRates:
    """Rates of all runs, one row for each run, window and node.

    states: per run (T, N, d), smoothed, at the samples. features: {name: (N,)}.
    """

    runs: list[Trajectories]
    states: list[np.ndarray]
    features: dict[str, np.ndarray]

    @classmethod
    def of(cls, runs: Sequence[Trajectories]) -> WindowRates:
        """The rates of runs that `discover` takes."""
        smoothed = smooth(list(runs))
        return cls(list(runs), list(smoothed.states), dict(runs[0].node_features))

    @cached_property
    def bounds(self) -> list[np.ndarray]:
        """Per run, the samples at which windows begin and end."""
        cuts = []
        for run in self.runs:
            number = min(_WINDOWS, run.num_times - 1)
            cuts.append(np.unique(np.linspace(0, run.num_times - 1, number + 1).astype(int)))
        return cuts

    def over_windows(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Means over each window of values (T, N) of each run, as one column (row,)."""
        parts = []
        for run, at, cut in zip(self.runs, values, self.bounds, strict=True):
            steps = np.diff(run.times)[:, None]
            start = np.zeros((1, at.shape[1]))
            summed = np.concatenate([start, np.cumsum(0.5 * (at[1:] + at[:-1]) * steps, axis=0)])
            length = np.diff(run.times[cut])[:, None]
            parts.append((np.diff(summed[cut], axis=0) / length).ravel())
        return np.concatenate(parts)

    def rates(self, variable: int) -> np.ndarray:
        """The mean rate of change of a variable over each window, (row,)."""
        parts = []
        for run, states, cut in zip(self.runs, self.states, self.bounds, strict=True):
            length = np.diff(run.times[cut])[:, None]
            parts.append((np.diff(states[cut, :, variable], axis=0) / length).ravel())
        return np.concatenate(parts)

    def labels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which node, which moment (windows of all runs counted through) and which run, each (row,)."""
        nodes, moments, numbers, first = [], [], [], 0
        for r, (run, cut) in enumerate(zip(self.runs, self.bounds, strict=True)):
            windows = len(cut) - 1
            nodes.append(np.tile(np.arange(run.num_nodes), windows))
            moments.append(first + np.repeat(np.arange(windows), run.num_nodes))
            numbers.append(np.full(windows * run.num_nodes, r))
            first += windows
        return np.concatenate(nodes), np.concatenate(moments), np.concatenate(numbers)


def plain_columns(rates: WindowRates, network: Network) -> np.ndarray:
    """Plain terms of the states and of the sums over neighbours, (row, term), each of one size.

    Powers to the third of every variable, products with node features, and for each variable the sums over
    neighbours of 1, x_j, x_j**2, x_i*x_j and sin(x_j - x_i).
    """
    A = network.to_adjacency()
    terms = [_plain_terms(states, A, list(rates.features.values())) for states in rates.states]
    table = np.stack([rates.over_windows(column) for column in zip(*terms, strict=True)], axis=1)
    size = np.sqrt(np.mean(table**2, axis=0))
    return table[:, size > 0] / size[size > 0]


def _plain_terms(
    states: np.ndarray, A: scipy.sparse.csr_array, features: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The terms at the states (T, N, d), each (T, N)."""

    def summed(values: np.ndarray) -> np.ndarray:
        return np.asarray((A @ values.T).T)

    ones = np.ones(states.shape[:2])
    strength = summed(ones)
    terms = [ones, strength, *(ones * f for f in features)]
    for v in range(states.shape[2]):
        x = states[:, :, v]
        terms += [x, x**2, x**3, strength * x, *(f * x for f in features)]
        terms += [summed(x), summed(x**2), x * summed(x)]
        terms.append(np.cos(x) * summed(np.sin(x)) - np.sin(x) * summed(np.cos(x)))
        terms += [x * states[:, :, w] for w in range(v)]
    return terms


def rest(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What least squares leave of values (row,) by columns (row, term)."""
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * sizes[0]] if len(sizes) else basis
    return values - basis @ (basis.T @ values)


def without_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values (row,) or (row, term) minus the mean of their group (row,): what a constant for each leaves."""
    number = np.bincount(groups)
    columns = values if values.ndim == 2 else values[:, None]
    means = np.stack(
        [np.bincount(groups, weights=c) / np.maximum(number, 1) for c in columns.T], axis=1
    )
    return (columns - means[groups]).reshape(values.shape)
