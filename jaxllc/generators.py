"""Networks drawn from the usual random families: symmetric, weight 1, and no node without an edge.

A node that the family leaves alone is joined to a random other node, because a node without an
incoming edge says nothing about the interaction term.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.data.network import Network
from jaxllc.errors import InputError, check_integer, check_number, listing

if TYPE_CHECKING:
    import networkx

# A network of so many nodes takes minutes to draw.
_MOST_NODES = 1_000_000


def erdos_renyi(num_nodes: int, mean_degree: float, seed: int = 0) -> Network:
    """Every pair is joined with the same probability, mean_degree / (num_nodes - 1).

    num_nodes: N, at least 2. mean_degree: from 0 to N - 1. seed: the same one gives the same network. Raises
    InputError for numbers out of range. Source: Erdos and Renyi, Publ. Math. Debrecen 6 (1959).

    Example:
        >>> erdos_renyi(20, 3.0, seed=1).num_nodes
        20
    """
    import networkx as nx

    check_integer("num_nodes", num_nodes, 2, most=_MOST_NODES)
    check_number("mean_degree", mean_degree, 0, num_nodes - 1)
    check_integer("seed", seed, 0)
    graph = nx.fast_gnp_random_graph(num_nodes, mean_degree / (num_nodes - 1), seed=seed)
    return _symmetric(graph, seed)


def barabasi_albert(num_nodes: int, attachments: int, seed: int = 0) -> Network:
    """Nodes arrive one by one and join `attachments` others, preferring those with many neighbours.

    num_nodes: N, at least 2. attachments: below N. seed: the same one gives the same network. Raises
    InputError for numbers out of range. Source: Barabasi and Albert, Science 286 (1999).

    Example:
        >>> barabasi_albert(20, 2, seed=1).num_nodes
        20
    """
    import networkx as nx

    check_integer("num_nodes", num_nodes, 2, most=_MOST_NODES)
    check_integer("attachments", attachments, 1, most=num_nodes - 1)
    check_integer("seed", seed, 0)
    return _symmetric(nx.barabasi_albert_graph(num_nodes, attachments, seed=seed), seed)


def watts_strogatz(num_nodes: int, neighbours: int, rewiring: float, seed: int = 0) -> Network:
    """A ring where every node joins its `neighbours` nearest (even), each edge rewired at random.

    num_nodes: N, at least 3. neighbours: below N. rewiring: the probability, for each edge. seed: the same
    one gives the same network. Raises InputError for numbers out of range. Source: Watts and Strogatz,
    Nature 393 (1998).

    Example:
        >>> watts_strogatz(20, 4, 0.1, seed=1).num_nodes
        20
    """
    import networkx as nx

    check_integer("num_nodes", num_nodes, 3, most=_MOST_NODES)
    check_integer("seed", seed, 0)
    check_integer("neighbours", neighbours, 2, most=num_nodes - 1)
    _check(
        neighbours % 2 == 0,
        "neighbours",
        neighbours,
        f"an even number from 2 to {num_nodes - 1}",
    )
    check_number("rewiring", rewiring, 0, 1)
    return _symmetric(nx.watts_strogatz_graph(num_nodes, neighbours, rewiring, seed=seed), seed)


def community(sizes: Sequence[int], p_within: float, p_between: float, seed: int = 0) -> Network:
    """Groups of the given sizes; a pair is joined with p_within in a group, p_between across.

    sizes: the nodes of each group. p_within, p_between: probabilities. seed: the same one gives the same
    network. Raises InputError for numbers out of range. Source: Condon and Karp, Random Struct. Alg. 18
    (2001).

    Example:
        >>> community([10, 10, 5], 0.5, 0.05, seed=1).num_nodes
        25
    """
    import networkx as nx

    sizes = listing("sizes", sizes, "group sizes", "[10, 10, 5]")
    for size in sizes:
        check_integer("a group's size", size, 1, most=_MOST_NODES)
    check_integer("the sum of sizes", sum(sizes), 2, most=_MOST_NODES)
    check_number("p_within", p_within, 0, 1)
    check_number("p_between", p_between, 0, 1)
    check_integer("seed", seed, 0)
    graph = nx.random_partition_graph(list(sizes), p_within, p_between, seed=seed)
    return _symmetric(graph, seed)


def grid(rows: int, columns: int) -> Network:
    """A rectangular grid, each node joined to the next in its row and column, numbered row by row.

    rows, columns: at least 2 nodes in all, else InputError is raised.

    Example:
        >>> grid(2, 3).num_nodes
        6
    """
    check_integer("rows", rows, 1, most=_MOST_NODES)
    check_integer("columns", columns, 1, most=_MOST_NODES)
    _check(
        2 <= rows * columns <= _MOST_NODES,
        "rows x columns",
        f"{rows} x {columns}",
        f"2 to {_MOST_NODES} nodes",
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
