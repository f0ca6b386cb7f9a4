"""Rows of the integral form for neural terms: what the samples say about the basis, compressed.

The samples of one node in one run are y(t) = offset + integral of the basis columns + noise. The
integral is taken by a quintic spline through K grid times, so the T samples act on the columns
only through a T x K matrix; its QR factor keeps all they say in K rows. Nodes, and grid times
where the states bend little, are thinned to a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.interpolate import make_interp_spline

from jaxllc.data.message_passing import Graph
from jaxllc.fit.integral_form import SPLINE_DEGREE, integration_matrix, unseen

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.smoothing.grid_data import GridData

FEWEST_GRID_TIMES = 24
FEATURE_TIMES = 10  # of a run, where terms read features of the nodes and rates are fitted
RATE_WINDOW = 9  # samples that a rate is made of, at most
MAX_BATCHES = 4
FINEST_TOLERANCE = 2e-6  # of the standard deviation, for states restored from the thinned grid


class Rows(NamedTuple):
    """A batch of series; a series is one node in one run, seen at K grid times.

    inputs: (S, K, q) standardised; pair_inputs: (E, K, 2 q), receiver then sender; graph: edges
    into the series; factors: (S, K, m) and pair_factors: (E, K, m'), which the columns of either term are
    multiplied by;
    weighting: (S, K, K), maps columns on the grid to rows; targets: (S, K, d), scaled to unit
    variance.
    remainder: (d,) sum of squares of the targets that no column can explain; num_samples: scalar.
    """

    inputs: np.ndarray
    pair_inputs: np.ndarray
    graph: Graph
    weighting: np.ndarray
    targets: np.ndarray
    remainder: np.ndarray
    num_samples: np.ndarray
    factors: Any
    pair_factors: Any

    @property
    def copies(self) -> tuple[int, int]:
        """How often the columns of either term stand in the design, each time by another factor."""
        return self.factors.shape[-1], self.pair_factors.shape[-1]


def thin_grid(grid: np.ndarray, states: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Indices of few grid times from which a quintic spline restores states (d, N, K) to the
    tolerance (d,).

    They lie denser where the states move faster.
    """
    size = len(grid)
    states = states.T  # splines and gradients run along the first axis
    scale = states.std(axis=(0, 1)) + 1e-300
    speed = np.gradient(states / scale[None, None, :], grid, axis=0)
    speed = np.sqrt(np.mean(speed**2, axis=(1, 2))) * (grid[-1] - grid[0])
    density = np.sqrt(speed / (speed.mean() + 1e-300)) + 0.5
    steps = np.diff(grid) * (density[1:] + density[:-1]) / 2.0
    position = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    count = FEWEST_GRID_TIMES
    while count < 0.8 * size:
        chosen = np.searchsorted(position, np.linspace(0.0, 1.0, count) - 1e-12)
        chosen = np.unique(np.clip(chosen, 0, size - 1))
        spline = make_interp_spline(grid[chosen], states[chosen], k=SPLINE_DEGREE)
        error = np.sqrt(np.mean((spline(grid) - states) ** 2, axis=(0, 1)))
        if np.all(error < tolerance):
            return chosen
        count = int(1.4 * count)
    return np.arange(size)


def clear_share(data: GridData, network: Network) -> float:
    """Share of samples that say something of a rate: what it is made of, and the senders, are observed."""
    clear, count = 0, 0
    for observed in data.observed:
        seen = np.asarray(observed.all(axis=0))
        around = np.stack([_around(course) for course in seen])
        unseen_senders = np.zeros(seen.shape)
        np.add.at(unseen_senders, network.receivers, ~seen[network.senders])
        clear, count = clear + int((around & (unseen_senders == 0)).sum()), count + around.size
    return clear / max(count, 1)


def _around(seen: np.ndarray) -> np.ndarray:
    """Of each sample of a node, (T,), whether all those that a rate is made of were observed."""
    window = np.ones(min(RATE_WINDOW, len(seen)))
    return np.convolve(~seen, window, mode="same") == 0


class RowMaker:
    """Makes batches of rows of one shape from random series, so that all share one compilation.

    data: with states on the grid that the terms are evaluated on. rates: of each run, (variable, node, grid
    time); with them the terms are fitted to rates at times of the grid, without them to integrals at the
    samples. features: (node, feature).
    """

    def __init__(
        self,
        data: GridData,
        network: Network,
        features: np.ndarray,
        input_mean: np.ndarray,
        input_std: np.ndarray,
        target_scale: np.ndarray,
        budget: int,
        seed: int,
        rates: Sequence[np.ndarray] | None = None,
    ):
        self._data, self._network, self._target_scale = data, network, target_scale
        self._rates = rates
        tolerance = np.maximum(0.5 * data.state_error, FINEST_TOLERANCE * target_scale)
        thin = [
            thin_grid(grid, states, tolerance)
            for grid, states in zip(data.grid_times, data.states, strict=True)
        ]
        times_of_all = max(map(len, thin)) * len(thin) * (network.num_nodes + len(network.senders))
        spent = (len(input_mean) + 1) * times_of_all > 2 * budget
        if rates is not None and features.shape[1] and spent:
            # Features differ between nodes alone: many nodes at few times say more of them than few at many.
            thin = [
                chosen[np.linspace(0, len(chosen) - 1, FEATURE_TIMES).round().astype(int)]
                if len(chosen) > FEATURE_TIMES
                else chosen
                for chosen in thin
            ]
        self._thin = thin
        self.num_times = max(len(chosen) for chosen in thin)
        self._inputs, self._weights = [], []
        for times, chosen, grid, states in zip(
            data.times, thin, data.grid_times, data.states, strict=True
        ):
            padded = np.append(chosen, np.repeat(chosen[-1], self.num_times - len(chosen)))
            constant = np.broadcast_to(features.T[..., None], (*features.T.shape, len(padded)))
            inputs = np.concatenate([states[..., padded], constant])
            scaled = (inputs - input_mean[:, None, None]) / input_std[:, None, None]
            self._inputs.append(scaled)
            if rates is None:
                weights = integration_matrix(grid[chosen], times)
                pad = np.zeros((len(times), self.num_times - len(chosen)))
                self._weights.append(np.concatenate([weights, pad], axis=1))
        self._series = self._usable_series(seed)
        self._in_edges = np.split(
            np.arange(len(network.senders)),
            np.searchsorted(network.receivers, np.arange(1, network.num_nodes)),
        )
        counts = np.array([len(self._in_edges[node]) for _, node in self._series])
        # every input adds columns
        affordable = 2 * budget // ((len(input_mean) + 1) * self.num_times)
        allowed = max(affordable, int(counts.max(initial=0)))
        total = np.cumsum(counts + 1)  # a series without edges also costs something
        self.num_series = max(min(len(counts), 2), int(np.sum(total <= allowed)))
        self.num_batches = min(MAX_BATCHES, len(counts) // max(self.num_series, 1))
        sizes = counts[: self.num_batches * self.num_series].reshape(
            self.num_batches, self.num_series
        )
        self._num_edges = int(sizes.sum(axis=1).max(initial=0))
        self._batches: dict[int, Rows] = {}
        self._shares: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._factors: dict[tuple[int, bytes], tuple[np.ndarray, np.ndarray]] = {}

    def _usable_series(self, seed: int) -> list[tuple[int, int]]:
        series = []
        for number, observed in enumerate(self._data.observed):
            spoiled = unseen(observed, self._network)
            series += [(number, int(node)) for node in np.flatnonzero(~spoiled)]
        return [series[s] for s in np.random.default_rng(seed).permutation(len(series))]

    def _factor(self, run: int, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """QR factors of the centred, observed rows of the integration matrix: (T, K) and (K, K)."""
        key = (run, seen.tobytes())
        if key not in self._factors:
            rows = self._weights[run] * seen[:, None]
            rows = (rows - rows.sum(axis=0) / max(seen.sum(), 1)) * seen[:, None]
            left, right = np.linalg.qr(rows)
            pad = self.num_times - right.shape[0]
            if pad > 0:
                left = np.pad(left, ((0, 0), (0, pad)))
                right = np.pad(right, ((0, pad), (0, 0)))
            self._factors[key] = left, right
        return self._factors[key]

    def batch(self, number: int) -> Rows:
        """Batch `number` of the series; batch 0 always exists."""
        if number not in self._batches:
            self._batches[number] = self._make_batch(number)
        return self._batches[number]

    def shares(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """What each series of a batch has of its remainder, (S, d), and of its number of samples, (S,)."""
        self.batch(number)
        return self._shares[number]

    def _told(
        self, run: int, node: int, weighting: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray | float, int]:
        """Fills in what a node's samples say; returns the squares that no column explains, and how many."""
        seen = np.asarray(self._data.observed[run][:, node].all(axis=0))
        if self._rates is not None:
            chosen = self._thin[run]
            at = np.arange(len(chosen))
            told = self._clear(run, node)[chosen].astype(float)
            weighting[at, at] = told
            targets[at] = self._rates[run][:, node, chosen].T / self._target_scale * told[:, None]
            return 0.0, int(told.sum())
        left, weighting[:] = self._factor(run, seen)
        values = np.where(seen, self._data.samples[run][:, node], 0.0).T
        values = (values - values.sum(axis=0) / max(seen.sum(), 1)) * seen[:, None]
        values = values / self._target_scale
        targets[:] = left.T @ values
        return np.sum(values**2, axis=0) - np.sum(targets**2, axis=0), int(seen.sum())

    def _clear(self, run: int, node: int) -> np.ndarray:
        """Samples at which a node and its senders were observed, and all of those that a rate is made of."""
        observed = np.asarray(self._data.observed[run].all(axis=0))
        senders = self._network.senders[self._in_edges[node]]
        return _around(observed[node]) & observed[senders].all(axis=0)

    def receivers(self, number: int) -> np.ndarray:
        """The receiving node of each edge of a batch that is filled, (edge,)."""
        chosen = [node for _, node in self._series[number * self.num_series :][: self.num_series]]
        return np.repeat(chosen, [len(self._in_edges[node]) for node in chosen])

    def _make_batch(self, number: int) -> Rows:
        first = number * self.num_series
        chosen = self._series[first : first + self.num_series]
        num_variables = len(self._target_scale)
        num_inputs = len(self._inputs[0])
        size = self.num_times
        inputs = np.empty((len(chosen), size, num_inputs))
        weighting = np.zeros((len(chosen), size, size))
        targets = np.zeros((len(chosen), size, num_variables))
        remainders, counts = np.zeros((len(chosen), num_variables)), np.zeros(len(chosen))
        pairs = np.zeros((self._num_edges, size, 2 * num_inputs))
        edge_weights = np.zeros(self._num_edges)  # what is not filled has weight zero
        receivers = np.full(self._num_edges, len(chosen) - 1, dtype=np.int32)
        position = 0
        for s, (run, node) in enumerate(chosen):
            inputs[s] = self._inputs[run][:, node].T
            remainders[s], counts[s] = self._told(run, node, weighting[s], targets[s])
            for edge in self._in_edges[node]:
                sender = self._network.senders[edge]
                pairs[position, :, :num_inputs] = inputs[s]
                pairs[position, :, num_inputs:] = self._inputs[run][:, sender].T
                edge_weights[position] = self._network.weights[edge]
                receivers[position] = s
                position += 1
        graph = Graph(
            nodes={"k": np.zeros(len(chosen))},
            edges=edge_weights,
            senders=receivers,
            receivers=receivers,
            globals=None,
            n_node=np.array([len(chosen)], dtype=np.int32),
            n_edge=np.array([self._num_edges], dtype=np.int32),
        )
        self._shares[number] = remainders, counts
        # Series by series, as ever: another order of the sum differs in the last digit.
        remainder = np.maximum(np.add.accumulate(remainders)[-1], 0.0)
        return Rows(
            inputs, pairs, graph, weighting, targets, remainder, np.array(float(counts.sum())),
            np.ones_like(inputs[..., :1]), np.ones_like(pairs[..., :1]),
        )  # fmt: skip
