"""Which way the edges act: as they are given, both ways, or turned round, by what plain terms leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.data.network import build_network
from jaxllc.data.reverse_edges import listed_once, listed_once_sentence
from jaxllc.diagnosis.window_rates import WindowRates, plain_columns, rest
from jaxllc.errors import InputError

if TYPE_CHECKING:
    from jaxllc.data.network import Network

# What plain terms leave, relative to the network as given, below which another reading is better.
_BETTER = 0.5
# And what they must leave of the rates' variance with the network as given.
_LEFT = 0.01


@dataclass(frozen=True)
class Directions:
    """Squares that plain terms leave, relative to those with the network as given; nan where not tried.

    left: share of the rates' variance with the network as given, the largest over the variables.
    """

    both: float
    reverse: float
    left: float


def compared_directions(rates: WindowRates, network: Network) -> Directions:
    """The network beside the one with every edge both ways, and the one with every edge turned round."""
    variables = range(rates.states[0].shape[2])
    values = [rates.rates(v) for v in variables]
    given = _squares(rates, network, values)
    spread = [float(np.var(y)) for y in values]
    left = max((g / s for g, s in zip(given, spread, strict=True) if s > 0), default=0.0)
    ratios = []
    for other in (_both_ways(network), _turned(network)):
        if other is None:
            ratios.append(np.nan)
            continue
        squares = _squares(rates, other, values)
        logs = [
            np.log((o + 1e-12 * s) / (g + 1e-12 * s))
            for o, g, s in zip(squares, given, spread, strict=True)
            if s > 0
        ]
        ratios.append(float(np.exp(sum(logs))))
    return Directions(ratios[0], ratios[1], left)


def direction_sentence(network: Network, found: Directions) -> str:
    """A sentence where another reading of the edges explains the data better, else ""."""
    if found.left < _LEFT:
        return ""
    ratios = {"both": found.both, "reverse": found.reverse}
    best = min(ratios, key=lambda name: np.nan_to_num(ratios[name], nan=np.inf))
    if not ratios[best] < _BETTER:
        return ""
    share = f"{_percent(ratios[best])} of what they leave with the edges as given"
    if best == "both":
        what = (
            f"{listed_once_sentence(network)}: is the network undirected? With"
            if listed_once(network)
            else "Is the network undirected? With"
        )
        return (
            f"{what[0].upper()}{what[1:]} every edge in both directions plain terms leave {share}; pass "
            "undirected=True."
        )
    return (
        f"Are senders and receivers swapped? With every edge turned round plain terms leave {share}; an edge "
        "goes from the node that acts to the node it acts on."
    )


def doubt_sentence(network: Network) -> str:
    """For a law that leaves much: hardly an edge has its reverse; the data do not say which is right."""
    sentence = listed_once_sentence(network)
    return (
        f"{sentence[0].upper()}{sentence[1:]}: if the network is undirected and each edge is listed once, "
        "pass undirected=True."
    )


def _squares(rates: WindowRates, network: Network, values: list[np.ndarray]) -> list[float]:
    columns = plain_columns(rates, network)
    return [float(np.mean(rest(columns, y) ** 2)) for y in values]


def _both_ways(network: Network) -> Network | None:
    try:
        return network.to_undirected()
    except InputError:
        return None  # two weights for one edge: it is a directed network


def _turned(network: Network) -> Network:
    return build_network(
        network.receivers, network.senders, network.weights, network.names, signed=True
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
