"""Edges that do not belong: drawn at random and added to a prior network, to see what becomes of them.

Source of the study: doi 10.1101/2025.10.24.684155 (2025).
"""

from __future__ import annotations

import numpy as np

from jaxllc.errors import InputError, check_choice, check_integer, check_seed
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of

KINDS = ("uniform", "degree_preserving")
SIGNS = ("unknown", "known", "like_prior")
_ROUNDS = 200


def add_spurious_edges(
    prior: PriorNetwork,
    number: int = 100,
    seed: int = 0,
    kind: str = "uniform",
    signs: str = "unknown",
) -> PriorNetwork:
    """The network with `number` more edges, drawn at random among ordered pairs of nodes without an edge.

    kind: "uniform" draws every such pair alike, self-loops and reversed edges included;
    "degree_preserving" draws senders and receivers as often as they send and receive in the network.
    signs: "unknown"; "known", which gives each edge a sign, as often stimulating as the known signs are; or
    "like_prior", which makes as many of them unknown as are in the network. The same seed gives the same
    edges. Raises InputError where there are not so many pairs to draw.

    Example:
        >>> prior = PriorNetwork.from_edges(["EGF", "EGFR"], ["EGFR", "STAT3"])
        >>> noisy = add_spurious_edges(prior, 3, seed=1)
        >>> int(is_spurious(noisy, prior).sum())
        3
    """
    prior = prior_of(prior)
    check_choice("kind", kind, KINDS)
    check_choice("signs", signs, SIGNS)
    check_integer("number", number, 0, "the spurious edges")
    check_seed("seed", seed)
    random = np.random.default_rng(seed)
    N, there = prior.num_nodes, _keys(prior)
    free = N * N - len(there)
    if number > free:
        raise InputError(
            f"{number} spurious edges are asked for, but {N} nodes with {len(there)} edges leave {free} "
            "pairs without an edge; add fewer"
        )
    drawn = np.zeros(0, np.int64)
    for _ in range(_ROUNDS):
        missing = number - len(drawn)
        if missing == 0 or (kind == "degree_preserving" and len(there) == 0):
            break
        if kind == "uniform":
            new = random.integers(0, N * N, 2 * missing)
        else:
            senders, receivers = (
                random.choice(ends, 2 * missing) for ends in (prior.senders, prior.receivers)
            )
            new = receivers.astype(np.int64) * N + senders
        new = new[~np.isin(new, there) & ~np.isin(new, drawn)]
        # The first of those that are drawn twice, in the order of the draw.
        new = new[np.sort(np.unique(new, return_index=True)[1])]
        drawn = np.append(drawn, new[:missing])
    if len(drawn) < number and kind == "uniform":
        left = np.setdiff1d(np.arange(N * N), np.append(there, drawn))
        drawn = np.append(drawn, random.choice(left, number - len(drawn), replace=False))
    if len(drawn) < number:
        raise InputError(
            f"only {len(drawn)} of {number} edges were found whose ends have the degrees of the network; add "
            "fewer, or choose the kind 'uniform'"
        )
    receivers, senders = np.divmod(drawn, N)
    given = None
    if signs != "unknown":
        every = np.where(prior.sign_known, prior.signs, 0)
        pool = every[prior.sign_known] if signs == "known" else every
        if len(pool) == 0:
            raise InputError(
                f"signs is {signs!r}, but the prior network has no signs to draw from; choose 'unknown'"
            )
        given = random.choice(pool, number)
    names = np.array(prior.names, dtype=object)
    return prior.with_edges(names[senders], names[receivers], given)


def is_spurious(network: PriorNetwork, prior: PriorNetwork) -> np.ndarray:
    """Which edges of a network are not in the prior network of the same nodes, bool (E,).

    Raises InputError for networks of other nodes.
    """
    network, prior = prior_of(network, argument="network"), prior_of(prior)
    if network.names != prior.names:
        raise InputError(
            "network has other nodes than the prior network; give one of the same nodes"
        )
    return ~np.isin(_keys(network), _keys(prior))


def _keys(network: PriorNetwork) -> np.ndarray:
    return network.receivers.astype(np.int64) * network.num_nodes + network.senders
