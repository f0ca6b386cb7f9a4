"""Integrated terms and samples of each node in the modes of its discrepancy.

The samples of a node in a run are offset + integral of the terms + noise + discrepancy: what the smoothed
states of its neighbours, the network and the law get wrong, a smooth function of time that is itself an
integral. With the covariance sigma^2 (1 + tau_i^2 K), K of the integral of a process with a
squared-exponential kernel, samples and columns are rotated once into the eigenvectors of K beside the free
offset; there everything is diagonal, whatever tau_i of a node is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.data.network import Network
from jaxllc.dynamics.stage import Evaluator, Stage
from jaxllc.dynamics.terms import Term
from jaxllc.fit.integral_form import integration_matrix, unseen
from jaxllc.smoothing.grid_data import GridData

# Length of the process that rates err by, in units of a run; modes that are kept, the smoothest.
_LENGTH, _MODES = 0.15, 24
# Share of a rough process in the discrepancy.
_ROUGH = 1e-9
# Points of a grid on which the kernel is integrated, for each sample.
_FINE = 4


class _Pattern(NamedTuple):
    """Nodes of a run that were observed at the same samples: sample times, by modes, and the grid, by
    modes."""

    nodes: np.ndarray
    seen: np.ndarray
    of_samples: Float[np.ndarray, "mode sample"]
    of_grid: Float[np.ndarray, "mode grid"]
    sizes: Float[np.ndarray, " mode"]


class Rows(Protocol):
    """Rows of one variable, (node, row), that laws are fitted to: what a `NodeRows` has of them."""

    data: GridData
    target: Float[np.ndarray, "node row"]
    sizes: Float[np.ndarray, "node row"]
    counted: Bool[np.ndarray, "node row"]

    @property
    def num_rows(self) -> Float[np.ndarray, " node"]:
        """Rows of each node."""

    def column(self, term: Term) -> Float[np.ndarray, "node row"]:
        """Column of one term."""

    def columns(self, term: Term) -> list[np.ndarray]:
        """Columns of one term and of its derivatives by its inner constants."""


class NodeRows:
    """Rows of one variable, (node, row): a row is a mode of a run.

    target: samples; sizes: eigenvalues of K, of mean one over the modes of a run; counted: rows that are
    there, which those of a node that is held, was not observed, or hears a node that never was, are not.
    """

    def __init__(self, data: GridData, network: Network, variable: int) -> None:
        self.variable, self.data, self.network = variable, data, network
        self.stage = Stage(network, data.named(), data.features)
        self._patterns = [_patterns(data, network, run, variable) for run in range(data.num_runs)]
        shape = (network.num_nodes, data.num_runs * _MODES)
        self.target, self.sizes = np.zeros(shape), np.zeros(shape)
        self.counted: Bool[np.ndarray, "node row"] = np.zeros(shape, dtype=bool)
        for run, (patterns, samples) in enumerate(zip(self._patterns, data.samples, strict=True)):
            for p in patterns:
                rows = slice(run * _MODES, run * _MODES + len(p.sizes))
                own = samples[variable, p.nodes][:, p.seen]
                self.target[p.nodes, rows] = own @ p.of_samples.T
                self.sizes[p.nodes, rows] = p.sizes
                self.counted[p.nodes, rows] = True
        self.counted[list(data.held)] = False

    @property
    def num_rows(self) -> Float[np.ndarray, " node"]:
        """Rows of each node."""
        return self.counted.sum(axis=1).astype(float)

    def rotated(self, values: Float[np.ndarray, "node time"]) -> Float[np.ndarray, "node row"]:
        """The integral of values at all grid times, in the modes."""
        found, start = np.zeros(self.target.shape), 0
        for run, patterns in enumerate(self._patterns):
            stop = start + len(self.data.grid_times[run])
            for p in patterns:
                rows = slice(run * _MODES, run * _MODES + len(p.sizes))
                found[p.nodes, rows] = values[p.nodes, start:stop] @ p.of_grid.T
            start = stop
        return found

    def rotated_at(
        self, node: int, values: Float[np.ndarray, "sender time"]
    ) -> Float[np.ndarray, "sender row"]:
        """The integrals of several values at all grid times in the modes of one node."""
        found, start = np.zeros((len(values), self.target.shape[1])), 0
        for run, patterns in enumerate(self._patterns):
            stop = start + len(self.data.grid_times[run])
            for p in patterns:
                if node in p.nodes:
                    rows = slice(run * _MODES, run * _MODES + len(p.sizes))
                    found[:, rows] = values[:, start:stop] @ p.of_grid.T
            start = stop
        return found

    def column(self, term: Term) -> Float[np.ndarray, "node row"]:
        """Column of one term."""
        return self.rotated(self.stage.evaluator(term.inner).value(term.family))

    def columns(self, term: Term) -> list[np.ndarray]:
        """Columns of one term and of its derivatives by its inner constants, each (node, row)."""
        at: Evaluator = self.stage.evaluator(term.inner)
        slopes = (at.inner_derivative(term.family, k) for k in range(term.family.num_inner))
        return [self.rotated(v) for v in (at.value(term.family), *slopes)]


def _patterns(data: GridData, network: Network, run: int, variable: int) -> list[_Pattern]:
    observed = data.observed[run][variable] & ~unseen(data.observed[run], network)[:, None]
    integrated = integration_matrix(data.grid_times[run], data.times[run])
    found = []
    for seen in np.unique(observed, axis=0):
        if seen.sum() < 3:
            continue
        modes, sizes = modes_of(data.times[run][seen])
        nodes = np.flatnonzero((observed == seen).all(axis=1))
        found.append(_Pattern(nodes, seen, modes, modes @ integrated[seen], sizes))
    return found


def modes_of(times: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors (mode, time) of K beside a free offset, and their eigenvalues over the mean of these."""
    times = np.asarray(times, dtype=float)
    count, span = len(times), times[-1] - times[0]
    fine = np.unique(np.concatenate([times, np.linspace(times[0], times[-1], _FINE * count)]))
    kernel = np.exp(-0.5 * ((fine[:, None] - fine) / (_LENGTH * span)) ** 2)
    integrated = _trapezoid(fine)[np.searchsorted(fine, times)]
    covariance = integrated @ kernel @ integrated.T
    # A trace of a rough process, so that modes that the smooth one does not reach are ordered, too.
    rough = np.minimum(times[:, None], times) - times[0]
    covariance = covariance / np.trace(covariance) + _ROUGH * rough / np.trace(rough)
    centred = np.eye(count) - 1.0 / count
    centred = centred @ covariance @ centred
    # The offset as the largest of all eigenvectors, apart from the many small ones.
    offset = 10.0 * np.trace(centred) / count
    sizes, vectors = np.linalg.eigh(centred + offset)
    kept = min(count - 1, _MODES)
    sizes, vectors = np.maximum(sizes[-1 - kept : -1], 0.0), vectors[:, -1 - kept : -1]
    return vectors.T, sizes / sizes.mean()


def _trapezoid(grid: np.ndarray) -> np.ndarray:
    """Matrix (time, time) that integrates values from the first time to each."""
    steps = np.diff(grid)
    matrix = np.zeros((len(grid), len(grid)))
    for k, step in enumerate(steps):
        matrix[k + 1] = matrix[k]
        matrix[k + 1, k : k + 2] += step / 2
    return matrix
