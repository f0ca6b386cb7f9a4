"""What is believed of the edges of a network before samples are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.data.network import Network
from jaxllc.errors import InputError, check_number, listed

# Edges of each kind that the first belief counts for.
_COUNTS_FOR = 20.0
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class EdgePrior:
    """Probabilities of edges beforehand.

    given: of an edge of the network; other: of any other; likely_probability: of those that are `likely`.
    sure, likely, forbidden: pairs of names (sender, receiver), whether or not they are in the network.
    Raises InputError for a probability that is not between 0 and 1, and a pair that is named twice.
    """

    given: float = 0.9
    other: float = 0.01
    sure: Pairs = ()
    likely: Pairs = ()
    forbidden: Pairs = ()
    likely_probability: float = 0.5

    def __post_init__(self) -> None:
        for name in ("given", "other", "likely_probability"):
            check_number(name, getattr(self, name), 0.0, 1.0)
            if getattr(self, name) in (0.0, 1.0):
                raise InputError(
                    f"{name} is {getattr(self, name):g}; give a probability between 0 and 1, and name pairs "
                    "that are beyond doubt as sure or forbidden"
                )
        kinds: dict[tuple[str, str], str] = {}
        for kind in ("sure", "likely", "forbidden"):
            for pair in getattr(self, kind):
                sender, receiver = pair
                if kinds.setdefault((sender, receiver), kind) != kind:
                    raise InputError(
                        f"the edge {sender} -> {receiver} is named as {kinds[sender, receiver]} and as "
                        f"{kind}; name it once"
                    )

    def log_odds(self, network: Network) -> Float[np.ndarray, "receiver sender"]:
        """Log odds of every pair: inf where it is sure, -inf where it cannot be.

        Raises InputError for a pair of which the network lacks a node, or of a node and itself.
        """
        odds = np.full((network.num_nodes, network.num_nodes), _logit(self.other))
        odds[network.receivers, network.senders] = _logit(self.given)
        for kind, value in (
            ("sure", np.inf),
            ("likely", _logit(self.likely_probability)),
            ("forbidden", -np.inf),
        ):
            odds[self._places(network, kind)] = value
        np.fill_diagonal(odds, -np.inf)
        return odds

    def learned(
        self,
        network: Network,
        probability: Float[np.ndarray, "receiver sender"],
        asked: Bool[np.ndarray, "receiver sender"],
    ) -> Float[np.ndarray, "receiver sender"]:
        """Log odds once pairs that were asked have told how often a given edge is there, and
        another: the mean of Beta distributions that begin at what is believed."""
        odds = self.log_odds(network)
        for of, believed in self._kinds(network, odds):
            weight = (of & asked).sum()
            there = probability[of & asked].sum()
            share = (there + _COUNTS_FOR * believed) / (weight + _COUNTS_FOR)
            odds[of] = _logit(float(np.clip(share, 1e-6, 1.0 - 1e-6)))
        return odds

    def _kinds(
        self, network: Network, odds: np.ndarray
    ) -> tuple[tuple[Bool[np.ndarray, "receiver sender"], float], ...]:
        """Pairs of the two kinds of which the user says nothing himself, and the belief in them."""
        named = ~np.isfinite(odds)
        named[self._places(network, "likely")] = True
        given = np.zeros(odds.shape, dtype=bool)
        given[network.receivers, network.senders] = True
        return (given & ~named, self.given), (~given & ~named, self.other)

    def _places(self, network: Network, kind: str) -> tuple[np.ndarray, np.ndarray]:
        place = {name: n for n, name in enumerate(network.names)}
        found = []
        for sender, receiver in getattr(self, kind):
            for name in (sender, receiver):
                if name not in place:
                    raise InputError(f"the network has no node {listed([name], network.names)}")
            if sender == receiver:
                raise InputError(
                    f"{kind} holds an edge of {sender} to itself, which no network has"
                )
            found.append((place[receiver], place[sender]))
        receivers, senders = np.array(found, dtype=int).reshape(-1, 2).T
        return receivers, senders


def _logit(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))
