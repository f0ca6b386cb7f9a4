"""Edges that stand in one direction only: how many, and the network with both directions."""

from __future__ import annotations

import numpy as np

from jaxllc.data.edge_arrays import EdgeArrays, Edges, checked_edges
from jaxllc.errors import InputError

# Edges, and the share of them that have their reverse, from and up to which the question is worth asking.
_FEWEST_EDGES = 3
_FEW = 0.1


def has_reverse(network: Edges) -> np.ndarray:
    """Whether the edge the other way is there too, bool (E,)."""
    n = len(network.names)
    own = network.receivers.astype(np.int64) * n + network.senders
    other = network.senders.astype(np.int64) * n + network.receivers
    return np.isin(own, other)


def listed_once(network: Edges) -> bool:
    """Whether hardly any edge has its reverse, as where each edge of an undirected network is listed once."""
    if len(network.weights) < _FEWEST_EDGES:
        return False
    return float(has_reverse(network).mean()) <= _FEW


def listed_once_sentence(network: Edges) -> str:
    """How many edges have their reverse, in words: "no edge of 17 has its reverse"."""
    number = int(has_reverse(network).sum())
    if number == 0:
        return f"no edge of {len(network.weights)} has its reverse"
    return f"only {number} of {len(network.weights)} edges have their reverse"


def with_reverse_edges(network: Edges) -> EdgeArrays:
    """The network with every edge in both directions, of the same weight.

    Raises InputError where both directions are there and their weights differ.
    """
    paired = has_reverse(network)
    weights = {
        (int(s), int(r)): float(w)
        for s, r, w in zip(
            network.senders[paired], network.receivers[paired], network.weights[paired], strict=True
        )
    }
    for (s, r), weight in sorted(weights.items()):
        if weights[r, s] != weight:
            one, two = network.names[s], network.names[r]
            raise InputError(
                f"the edge {one!r} -> {two!r} has the weight {weight:g} and its reverse {weights[r, s]:g}; "
                "an undirected network needs one weight for both"
            )
    single = ~paired
    both = checked_edges(
        np.concatenate([network.senders, network.receivers[single]]),
        np.concatenate([network.receivers, network.senders[single]]),
        np.concatenate([network.weights, network.weights[single]]),
        network.names,
        signed=True,
    )
    return both._replace(notes=network.notes)
