"""Networks drawn from the usual random families: symmetric, weight 1, and no node without an edge.

A node that the family leaves alone is joined to a random other node, because a node without an
incoming edge says nothing about the interaction term.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.errors import InputError
from jaxllc.network import Network

if TYPE_CHECKING:
    import networkx


def erdos_renyi(num_nodes: int, mean_degree: float, seed: int = 0) -> Network:
    """Every pair is joined with the same probability, mean_degree / (num_nodes - 1)."""
    import networkx as nx

    _check(num_nodes >= 2, "num_nodes", num_nodes, "at least 2")
    _check(
        0 <= mean_degree <= num_nodes - 1, "mean_degree", mean_degree, f"from 0 to {num_nodes - 1}"
    )
    graph = nx.fast_gnp_random_graph(num_nodes, mean_degree / (num_nodes - 1), seed=seed)
    return _symmetric(graph, seed)


def barabasi_albert(num_nodes: int, attachments: int, seed: int = 0) -> Network:
    """Nodes arrive one by one and join `attachments` others, preferring those with many neighbours."""
    import networkx as nx

    _check(num_nodes >= 2, "num_nodes", num_nodes, "at least 2")
    _check(1 <= attachments < num_nodes, "attachments", attachments, f"from 1 to {num_nodes - 1}")
    return _symmetric(nx.barabasi_albert_graph(num_nodes, attachments, seed=seed), seed)


def watts_strogatz(num_nodes: int, neighbours: int, rewiring: float, seed: int = 0) -> Network:
    """A ring where every node joins its `neighbours` nearest (even), each edge rewired at random."""
    import networkx as nx

    _check(num_nodes >= 3, "num_nodes", num_nodes, "at least 3")
    _check(
        2 <= neighbours < num_nodes and neighbours % 2 == 0,
        "neighbours",
        neighbours,
        f"an even number from 2 to {num_nodes - 1}",
    )
    _check(0 <= rewiring <= 1, "rewiring", rewiring, "a probability from 0 to 1")
    return _symmetric(nx.watts_strogatz_graph(num_nodes, neighbours, rewiring, seed=seed), seed)


def community(sizes: Sequence[int], p_within: float, p_between: float, seed: int = 0) -> Network:
    """Groups of the given sizes; a pair is joined with p_within in a group, p_between across."""
    import networkx as nx

    _check(sum(sizes) >= 2 and min(sizes) >= 1, "sizes", list(sizes), "one positive size per group")
    _check(0 <= p_within <= 1, "p_within", p_within, "a probability from 0 to 1")
    _check(0 <= p_between <= 1, "p_between", p_between, "a probability from 0 to 1")
    graph = nx.random_partition_graph(list(sizes), p_within, p_between, seed=seed)
    return _symmetric(graph, seed)


def grid(rows: int, columns: int) -> Network:
    """A rectangular grid, each node joined to the next in its row and column, numbered row by row."""
    _check(
        rows >= 1 and columns >= 1 and rows * columns >= 2,
        "rows x columns",
        f"{rows} x {columns}",
        "at least two nodes",
    )
    index = np.arange(rows * columns).reshape(rows, columns)
    left, right = index[:, :-1].ravel(), index[:, 1:].ravel()
    upper, lower = index[:-1].ravel(), index[1:].ravel()
    return Network.from_edges(
        np.concatenate([left, right, upper, lower]), np.concatenate([right, left, lower, upper])
    )


def _symmetric(graph: "networkx.Graph", seed: int) -> Network:
    rng = np.random.default_rng(seed)
    for node in [node for node, degree in graph.degree if degree == 0]:
        other = int(rng.integers(graph.number_of_nodes() - 1))
        graph.add_edge(node, other + (other >= node))
    return Network.from_networkx(graph)


def _check(fits: bool, argument: str, value: object, expected: str) -> None:
    if not fits:
        raise InputError(f"{argument} is {value}, but it must be {expected}")
