"""Steps between the samples of each node as rows of a regression on the terms of a law.

A step of a node is what its terms bring it on average, process noise, and the errors of the two samples. The
terms stand at the state that the step begins with, and for flows also at the one that it leads to on average
(Heun's rule). The end that was measured holds the noise of the step itself, and terms that stand there are
biased by q^2 / (2 var x).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.data.network import Network
from jaxllc.dynamics.stage import Stage
from jaxllc.dynamics.terms import Term
from jaxllc.smoothing.grid_data import GridData
from jaxllc.transitions.noise_levels import step_modes


class _Pattern(NamedTuple):
    """Nodes of a run whose same steps count: which, those steps, and their modes."""

    nodes: np.ndarray
    steps: np.ndarray
    modes: Float[np.ndarray, "mode step"]
    sizes: Float[np.ndarray, " mode"]


class TransitionRows:
    """Rows of one variable, (node, row), of variance one; a row is a mode of the steps of a run.

    It has the face of `jaxllc.nodewise.node_rows.NodeRows`. sizes: all one, a node may only be noisier than
    others as a whole; counted: rows that are there. `measured`: what the variance of a sample's error has to
    be multiplied by in a row; `scales`: standard deviation of a row before it was divided by it.
    """

    def __init__(
        self,
        data: GridData,
        network: Network,
        variable: int,
        is_map: bool = False,
        ends: Float[np.ndarray, "variable node time"] | None = None,
    ) -> None:
        """data: its grid holds the samples alone, its states are known everywhere. ends: where the step
        that begins at each sample leads to on average."""
        self.data, self.network, self.variable, self.is_map = data, network, variable, is_map
        states = data.all_states()
        self.stages = [self._stage(states)]
        if ends is not None and not is_map:
            self.stages.append(self._stage(ends))
        lengths = [len(times) - 1 for times in data.times]
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        shape = (network.num_nodes, int(self._starts[-1]))
        self.counted: Bool[np.ndarray, "node row"] = np.zeros(shape, dtype=bool)
        self.measured, self.target = np.zeros(shape), np.zeros(shape)
        self.scales = np.ones(shape)
        self._patterns = [self._patterns_of(run) for run in range(data.num_runs)]
        for run, patterns in enumerate(self._patterns):
            samples = data.samples[run][variable]
            moved = samples[:, 1:] if is_map else np.diff(samples, axis=1) / self._roots(run)
            for p in patterns:
                rows = slice(self._starts[run], self._starts[run] + len(p.steps))
                self.target[p.nodes, rows] = moved[p.nodes][:, p.steps] @ p.modes.T
                self.measured[p.nodes, rows] = p.sizes
                self.counted[p.nodes, rows] = True
        self.sizes = np.ones(shape)

    def _stage(self, states: np.ndarray) -> Stage:
        named = dict(zip(self.data.variables, states, strict=True))
        return Stage(self.network, named, self.data.features)

    def _roots(self, run: int) -> np.ndarray:
        """Roots of the durations of the steps; one for maps."""
        steps = np.diff(self.data.times[run])
        return np.ones_like(steps) if self.is_map else np.sqrt(steps)

    def _patterns_of(self, run: int) -> list[_Pattern]:
        usable = usable_steps(self.data, self.network, self.variable, run, self.is_map)
        roots, found = self._roots(run), []
        for seen in np.unique(usable, axis=0):
            steps = np.flatnonzero(seen)
            if not len(steps):
                continue
            if self.is_map:
                # What an error of a sample does to the next step hangs on the law: here it is one of two.
                modes, sizes = np.eye(len(steps)), np.full(len(steps), 2.0)
            else:
                modes, sizes = step_modes(roots[steps] ** 2, np.diff(steps) == 1)
            nodes = np.flatnonzero((usable == seen).all(axis=1))
            found.append(_Pattern(nodes, steps, modes, sizes))
        return found

    @property
    def num_rows(self) -> Float[np.ndarray, " node"]:
        """Rows of each node."""
        return self.counted.sum(axis=1).astype(float)

    def whitened(self, measurement: float, process: float) -> None:
        """Brings all rows to the variance one, given the variances sigma^2 and q^2."""
        scales = np.sqrt(np.where(self.counted, process + measurement * self.measured, 1.0))
        self.target *= self.scales / scales
        self.scales = scales

    def thinned(self, most: int, seed: int) -> None:
        """Counts no more than so many rows, which are drawn."""
        places = np.flatnonzero(self.counted)
        if len(places) > most:
            random = np.random.default_rng([seed, 7])
            left_out = random.choice(places, len(places) - most, replace=False)
            self.counted.flat[left_out] = False
            self.target.flat[left_out] = 0.0

    def rotated(
        self, values: Sequence[Float[np.ndarray, "node time"]]
    ) -> Float[np.ndarray, "node row"]:
        """What values at all samples, at starts and at ends of steps, add to the rows."""
        mean = sum(values[1:], start=values[0]) / len(values)
        found, start = np.zeros(self.target.shape), 0
        for run, patterns in enumerate(self._patterns):
            stop = start + len(self.data.times[run])
            moved = mean[:, start : stop - 1] * self._roots(run)
            for p in patterns:
                rows = slice(self._starts[run], self._starts[run] + len(p.steps))
                found[p.nodes, rows] = moved[p.nodes][:, p.steps] @ p.modes.T
            start = stop
        return np.where(self.counted, found / self.scales, 0.0)

    def unrotated(self, rows: Float[np.ndarray, "node row"]) -> Float[np.ndarray, "node time"]:
        """What rows are as moves from each sample to the next; zero where a step does not count."""
        found, start = np.zeros((len(rows), self.data.num_times)), 0
        for run, patterns in enumerate(self._patterns):
            roots = self._roots(run)
            for p in patterns:
                place = slice(self._starts[run], self._starts[run] + len(p.steps))
                moved = (rows * self.scales)[p.nodes, place] @ p.modes * roots[p.steps]
                found[p.nodes[:, None], start + p.steps] = moved
            start += len(self.data.times[run])
        return found

    def column(self, term: Term) -> Float[np.ndarray, "node row"]:
        """Column of one term."""
        return self.rotated([s.evaluator(term.inner).value(term.family) for s in self.stages])

    def columns(self, term: Term) -> list[np.ndarray]:
        """Columns of one term and of its derivatives by its inner constants, each (node, row)."""
        at = [s.evaluator(term.inner) for s in self.stages]
        slopes = [
            [one.inner_derivative(term.family, k) for one in at]
            for k in range(term.family.num_inner)
        ]
        return [self.rotated(v) for v in ([one.value(term.family) for one in at], *slopes)]


def usable_steps(
    data: GridData, network: Network, variable: int, run: int, strict: bool
) -> Bool[np.ndarray, "node step"]:
    """Steps of each node whose ends were observed. strict: and all that the law reads at their starts; else
    it may have been filled in between samples."""
    observed = np.asarray(data.observed[run])
    own = observed[variable, :, :-1] & observed[variable, :, 1:]
    whole: np.ndarray = np.array(observed.all(axis=0))
    if not strict:
        # A node that was never observed says nothing of itself between its samples.
        ever: np.ndarray = np.array(observed.any(axis=2).all(axis=0))
        whole = np.broadcast_to(ever[:, None], whole.shape)
    pattern = network.to_adjacency()
    pattern.data[:] = 1.0
    missing = pattern @ (~whole[:, :-1]).astype(float)
    return own & whole[:, :-1] & (missing == 0)
