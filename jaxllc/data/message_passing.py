"""Sums over incoming edges: the sparse A g of dx_i/dt = f(x_i) + sum_j A_ij g(x_i, x_j), by jraph.

A graph here is a `jraph.GraphsTuple` whose `nodes` is a dict of node features, each (N,), that always
holds the in-strength "k", and whose `edges` are the weights (E,). Everything works under jit, vmap
and grad, because the number of nodes is read from a shape.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jraph
import numpy as np
from jraph import GraphsTuple as Graph

from jaxllc.data.edge_arrays import Edges


class EdgesWithStrength(Edges, Protocol):
    """A `Network`."""

    @property
    def in_strength(self) -> np.ndarray: ...


IN_STRENGTH = "k"


def graph_of(
    network: EdgesWithStrength, node_features: Mapping[str, np.ndarray] | None = None
) -> Graph:
    """The network as a GraphsTuple of NumPy arrays, with `node_features` {name: (N,)} on its nodes."""
    features = {name: np.asarray(value) for name, value in (node_features or {}).items()}
    return Graph(
        nodes={**features, IN_STRENGTH: network.in_strength},
        edges=network.weights,
        senders=network.senders,
        receivers=network.receivers,
        globals=None,
        n_node=np.array([len(network.names)], dtype=np.int32),
        n_edge=np.array([len(network.weights)], dtype=np.int32),
    )


def num_nodes_of(graph: Graph) -> int:
    """The number of nodes as a Python int, also while tracing."""
    return graph.nodes[IN_STRENGTH].shape[0]


def sum_into_receivers(messages: jax.Array, graph: Graph) -> jax.Array:
    """The weighted sum over incoming edges, (E, d) or (E,) -> (N, d) or (N,): sum_j A_ij m_ij."""
    weights = graph.edges.reshape((-1,) + (1,) * (messages.ndim - 1))
    return sum_edges(weights * messages, graph)


def sum_edges(values: jax.Array, graph: Graph) -> jax.Array:
    """The sum of edge values into receivers without weights, (E, ...) -> (N, ...)."""
    # Network keeps its edges sorted by receiver, which some accelerators make use of; a CPU does not.
    return jraph.segment_sum(
        values, graph.receivers, num_segments=num_nodes_of(graph), indices_are_sorted=True
    )


def pass_messages(
    interaction_term: Callable[..., jax.Array], state: jax.Array, graph: Graph
) -> jax.Array:
    """The weighted sum of `interaction_term(x_i, x_j, features_i, features_j)` over incoming edges.

    `state` is (N, d); the term gets the receiver's and the sender's rows, (E, d) each, and the node
    features of both as dicts of (E,), and returns (E, d). The result is (N, d).
    """

    # By the functions of jraph: its GraphNetwork also sums by sender, which no law asks for.
    nodes = {"state": state, "features": graph.nodes}
    own, other = (_at(ends, nodes) for ends in (graph.receivers, graph.senders))
    message = interaction_term(own["state"], other["state"], own["features"], other["features"])
    return sum_into_receivers(message, graph)


def _at(ends: jax.Array, nodes: Any) -> Any:
    """What nodes have, at one end of the edges."""
    return jax.tree.map(lambda values: values[ends], nodes)
