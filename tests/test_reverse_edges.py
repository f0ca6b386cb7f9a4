"""An undirected network may list each edge once: then both directions are made, and the doubt is said."""

import networkx as nx
import numpy as np
import pytest

from jaxllc import generators
from jaxllc.data.network import Network
from jaxllc.data.reverse_edges import listed_once, listed_once_sentence
from jaxllc.errors import InputError


def once(graph: nx.Graph) -> tuple[list, list]:
    return [u for u, _ in graph.edges], [v for _, v in graph.edges]


def test_edges_listed_once_give_the_network_that_networkx_gives():
    graph = nx.barabasi_albert_graph(15, 2, seed=3)
    senders, receivers = once(graph)
    both = Network.from_edges(senders, receivers, undirected=True)
    expected = Network.from_networkx(graph).to_adjacency().toarray()
    np.testing.assert_array_equal(both.to_adjacency().toarray(), expected)
    upper = np.triu(expected)
    again = Network.from_adjacency(upper, undirected=True)
    np.testing.assert_array_equal(again.to_adjacency().toarray(), expected)


def test_making_undirected_twice_changes_nothing():
    network = generators.watts_strogatz(12, 4, 0.3, seed=1)
    np.testing.assert_array_equal(
        network.to_undirected().to_adjacency().toarray(), network.to_adjacency().toarray()
    )


def test_weights_go_both_ways_and_must_agree():
    network = Network.from_edges([0, 1, 1], [1, 0, 2], [2.0, 2.0, -3.0], signed=True)
    np.testing.assert_array_equal(
        network.to_undirected().to_adjacency().toarray(), [[0, 2, 0], [2, 0, -3], [0, -3, 0]]
    )
    with pytest.raises(InputError, match="'0' -> '1' has the weight 2 and its reverse 3"):
        Network.from_edges([0, 1], [1, 0], [2.0, 3.0], undirected=True)


def test_only_networks_with_hardly_a_reverse_are_doubted():
    graph = nx.barabasi_albert_graph(20, 2, seed=3)
    network = Network.from_edges(*once(graph))
    assert listed_once(network)
    assert listed_once_sentence(network) == f"no edge of {network.num_edges} has its reverse"
    assert not listed_once(network.to_undirected())
    assert not listed_once(Network.from_edges([0], [1]))
