"""Generated networks are symmetric, without isolated nodes, repeatable, and have the family's degrees."""

import networkx as nx
import numpy as np
import pytest

from jaxllc import generators
from jaxllc.errors import InputError

FAMILIES = {
    "erdos_renyi": lambda seed: generators.erdos_renyi(60, 2.0, seed),
    "barabasi_albert": lambda seed: generators.barabasi_albert(60, 3, seed),
    "watts_strogatz": lambda seed: generators.watts_strogatz(60, 4, 0.3, seed),
    "community": lambda seed: generators.community([10, 20, 30], 0.1, 0.01, seed),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_symmetric_unweighted_nobody_alone_and_repeatable(family, seed):
    network = FAMILIES[family](seed)
    A = network.to_adjacency().toarray()
    assert network.num_nodes == 60
    np.testing.assert_array_equal(A, A.T)
    assert set(np.unique(A)) == {0.0, 1.0}
    assert network.in_degree.min() >= 1
    np.testing.assert_array_equal(A, FAMILIES[family](seed).to_adjacency().toarray())
    assert not np.array_equal(A, FAMILIES[family](seed + 10).to_adjacency().toarray())


def test_numbers_of_edges():
    assert generators.barabasi_albert(70, 3).num_edges == 2 * 3 * (70 - 3)
    assert generators.watts_strogatz(50, 6, 0.3).num_edges == 50 * 6
    mean_degree = np.mean([generators.erdos_renyi(100, 6.0, s).in_degree.mean() for s in range(20)])
    assert abs(mean_degree - 6.0) < 0.3  # three standard errors of 20 draws


def test_communities_have_more_edges_within():
    A = generators.community([30, 30], 0.3, 0.02).to_adjacency().toarray()
    assert A[:30, :30].mean() > 5 * A[:30, 30:].mean()


def test_grid_equals_that_of_networkx():
    expected = nx.to_numpy_array(nx.grid_2d_graph(3, 4))
    np.testing.assert_array_equal(generators.grid(3, 4).to_adjacency().toarray(), expected)


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: generators.erdos_renyi(10, 20), "mean_degree is 20.*at most 9"),
        (lambda: generators.barabasi_albert(10, 0), "attachments is 0"),
        (lambda: generators.watts_strogatz(10, 3, 0.1), "neighbours is 3.*even"),
        (lambda: generators.watts_strogatz(10, 4, 1.5), "rewiring is 1.5"),
        (lambda: generators.community([], 0.1, 0.1), "sizes"),
        (lambda: generators.grid(1, 1), "1 x 1.*2 to 1000000 nodes"),
    ],
)
def test_impossible_arguments_are_named(draw, sentence):
    with pytest.raises(InputError, match=sentence):
        draw()
