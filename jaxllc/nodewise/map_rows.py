"""Rows of a law in discrete time: the next sample of each node, and its terms at the sample before.

They have the face of `NodeRows`: what is fitted to single nodes takes either (`rows_of`). There is no free
offset, no integral and no smoothing; what the law gets wrong makes a node as a whole noisier.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.data.network import Network
from jaxllc.dynamics.stage import Stage
from jaxllc.fit.integral_form import unseen
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.smoothing.grid_data import GridData


def rows_of(data: GridData, network: Network, variable: int) -> NodeRows:
    """Rows of one variable, as the data ask for: of integrals, or of steps where they are discrete."""
    return (MapRows if data.discrete else NodeRows)(data, network, variable)


class MapRows(NodeRows):
    """Rows of one variable, (node, row): a row is a step of a run, of the samples themselves.

    data: whose grid are its samples. counted: steps of which both ends were observed, and at whose start all
    nodes were that ever were in that run.
    """

    def __init__(self, data: GridData, network: Network, variable: int) -> None:
        self.variable, self.data, self.network = variable, data, network
        self.stage = Stage(network, data.named(), data.features)
        stops = np.cumsum([len(times) for times in data.times])
        # Places of the samples that a step begins with.
        self._begins = np.setdiff1d(np.arange(stops[-1]), stops - 1)
        samples = np.concatenate([s[variable] for s in data.samples], axis=1)
        self.counted: Bool[np.ndarray, "node row"] = self._observed()
        self.counted[list(data.held)] = False
        self.target = np.where(self.counted, samples[:, self._begins + 1], 0.0)
        self.sizes = np.ones(self.target.shape)

    def _observed(self) -> Bool[np.ndarray, "node row"]:
        own, able = [], []
        for observed in self.data.observed:
            seen = np.asarray(observed.any(axis=2).all(axis=0))
            whole = (observed.all(axis=0) | ~seen[:, None]).all(axis=0)
            own.append(observed[self.variable])
            able.append(whole & ~unseen(observed, self.network)[:, None])
        ends, begins = np.concatenate(own, axis=1), np.concatenate(able, axis=1)
        return begins[:, self._begins] & ends[:, self._begins] & ends[:, self._begins + 1]

    def rotated(self, values: Float[np.ndarray, "node time"]) -> Float[np.ndarray, "node row"]:
        """Values at all samples where steps begin."""
        return np.where(self.counted, values[:, self._begins], 0.0)

    def rotated_at(
        self, node: int, values: Float[np.ndarray, "sender time"]
    ) -> Float[np.ndarray, "sender row"]:
        """Several values at all samples where the steps of one node begin."""
        return np.where(self.counted[node], values[:, self._begins], 0.0)
