"""Every pair of nodes with the probability that there is an edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.data.network import Network, build_network

if TYPE_CHECKING:
    import pandas

# What a pair is after repair, by whether it is there and whether it was given.
_STATES = {(True, True): "kept", (True, False): "added", (False, True): "removed"}
_FOUND = {(True, False): "found"}


@dataclass(frozen=True, eq=False)
class EdgeTable:
    """What samples say of every pair of nodes.

    given: the network as it was. probability: that the edge is there; present: whether it is there after
    repair; weights: of the edge, where there is one. follows: (node,) the probability that a node follows the
    law with its repaired senders, nan where it was not asked; where it is small, some edge into the node is
    still wrong, and probabilities are no more than a ranking. low, high: ends of an interval of 95 % for the
    weight of each edge by itself, the others being there, nan where there is none; None where not asked.
    """

    given: Network
    probability: Float[np.ndarray, "receiver sender"]
    present: Bool[np.ndarray, "receiver sender"]
    weights: Float[np.ndarray, "receiver sender"]
    follows: Float[np.ndarray, " node"]
    low: Float[np.ndarray, "receiver sender"] | None = None
    high: Float[np.ndarray, "receiver sender"] | None = None

    @property
    def was(self) -> Bool[np.ndarray, "receiver sender"]:
        """Which edges were given."""
        found = np.zeros(self.probability.shape, dtype=bool)
        found[self.given.receivers, self.given.senders] = True
        return found

    @property
    def num_changed(self) -> int:
        """Edges that were added or removed."""
        return int(np.sum(self.was != self.present))

    def network(self) -> Network:
        """The repaired network, with the names of the given one."""
        receivers, senders = np.nonzero(self.present)
        weights = self.weights[receivers, senders]
        return build_network(senders, receivers, weights, list(self.given.names), signed=True)

    def network_table(self, least: float = 0.01) -> pandas.DataFrame:
        """Columns sender, receiver, weight, probability, given, edge and follows (of the receiver), and low
        and high where these are known.

        edge: kept, added, removed or absent; found where no edge was given at all. Pairs that were given, are
        there or have a probability of at least `least`; those that changed come first, then the least
        certain.
        """
        import pandas as pd

        was = self.was
        shown = was | self.present | (self.probability >= least)
        np.fill_diagonal(shown, False)
        receivers, senders = np.nonzero(shown)
        names = np.array(self.given.names, dtype=object)
        given, present = was[receivers, senders], self.present[receivers, senders]
        pairs = zip(present.tolist(), given.tolist(), strict=True)
        states = _STATES if self.given.num_edges else _FOUND
        frame = pd.DataFrame(
            {
                "sender": names[senders],
                "receiver": names[receivers],
                "weight": self.weights[receivers, senders],
                "probability": self.probability[receivers, senders],
                "given": given,
                "edge": [states.get(pair, "absent") for pair in pairs],
                "follows": self.follows[receivers],
            }
        )
        for name, ends in (("low", self.low), ("high", self.high)):
            if ends is not None:
                frame.insert(frame.columns.get_loc("probability"), name, ends[receivers, senders])
        doubt = np.abs(frame["probability"].to_numpy() - 0.5)
        order = np.lexsort((senders, receivers, doubt, given == present))
        return frame.iloc[order].reset_index(drop=True)
