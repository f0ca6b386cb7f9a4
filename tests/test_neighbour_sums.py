"""Products over neighbour lists are those of the dense matrix, whatever the network looks like."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.signaling.model.neighbour_sums import (
    _lengths,
    neighbour_lists,
    padded_weights,
    sum_neighbours,
    take,
)
from jaxllc.signaling.model.steady_state import product, transposed_product, wiring
from tests.signaling_problems import dense, hub_problem, in_float64, quickly_compiled


@quickly_compiled
def list_product(lists, weights, columns):
    """W x through the lists, with nodes in their own order outside."""
    total = sum_neighbours(lists, padded_weights(lists, weights), take(columns, lists.order))
    return take(total, lists.place)


def edges(cells, num_nodes):
    receivers, senders = np.divmod(np.sort(np.array(cells, dtype=int)), num_nodes)
    return senders, receivers, num_nodes


def star(num_leaves):
    """All leaves act on node 0 and hear it."""
    leaves, centre = np.arange(1, num_leaves + 1), np.zeros(num_leaves, dtype=int)
    return np.append(leaves, centre), np.append(centre, leaves), num_leaves + 1


def hubs():
    given = hub_problem()
    return given.senders, given.receivers, given.num_nodes


NETWORKS = {
    "hubs, self loops, isolated nodes": hubs(),
    "no edge": edges([], 5),
    "one edge": edges([7], 3),
    "one node": edges([], 1),
    "one node that hears itself": edges([0], 1),
    "every edge": edges(range(49), 7),
    "star beyond the longest list": star(1100),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_products_equal_those_of_the_dense_matrix(name):
    senders, receivers, num_nodes = NETWORKS[name]
    random = np.random.default_rng(0)
    weights = random.normal(size=len(senders))
    columns = random.normal(size=(num_nodes, 3))
    W = dense(senders, receivers, weights, num_nodes)
    wires = wiring(senders, receivers, num_nodes)
    by_lists = in_float64(list_product, wires.incoming, weights, columns)
    back_by_lists = in_float64(list_product, wires.outgoing, weights, columns)
    by_edges = in_float64(quickly_compiled(product), wires, weights, columns)
    back_by_edges = in_float64(quickly_compiled(transposed_product), wires, weights, columns)
    for found in (by_lists, by_edges):
        np.testing.assert_allclose(found, W @ columns, rtol=0, atol=1e-11)
    for found in (back_by_lists, back_by_edges):
        np.testing.assert_allclose(found, W.T @ columns, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", NETWORKS)
def test_lists_hold_every_edge_once_and_little_besides(name):
    senders, receivers, num_nodes = NETWORKS[name]
    lists = neighbour_lists(receivers, senders, num_nodes)
    held = np.concatenate([block.ravel() for block in lists.edges])
    real = held < len(senders)
    np.testing.assert_array_equal(np.sort(held[real]), np.arange(len(senders)))
    assert np.all(held[~real] == len(senders))
    assert len(held) <= 1.6 * len(senders) + num_nodes
    # Order and place are inverse to each other, and rows and neighbours say who is at the two ends.
    np.testing.assert_array_equal(lists.order[lists.place], np.arange(num_nodes))
    first = 0
    for neighbours, numbers in zip(lists.neighbours, lists.edges, strict=True):
        row, column = np.nonzero(numbers < len(senders))
        edge = numbers[row, column]
        np.testing.assert_array_equal(lists.order[first + row], receivers[edge])
        np.testing.assert_array_equal(lists.order[neighbours[row, column]], senders[edge])
        first += len(neighbours)
    assert first == num_nodes


@pytest.mark.parametrize("largest", [0, 1, 5, 1024, 1025, 3000, 100_000])
def test_lengths_of_lists_grow_up_to_the_largest_degree(largest):
    lengths = _lengths(largest)
    assert lengths[-1] == largest
    assert np.all(np.diff(lengths) > 0)
    assert all(b <= 2 * a for a, b in itertools.pairwise(lengths) if a > 0)


def test_the_order_in_which_edges_are_given_does_not_matter():
    given = hub_problem()
    random = np.random.default_rng(1)
    shuffled = random.permutation(len(given.senders))
    columns = random.normal(size=(given.num_nodes, 3)).astype(np.float32)
    weights = given.weights.astype(np.float32)
    lists = neighbour_lists(given.receivers, given.senders, given.num_nodes)
    again = neighbour_lists(given.receivers[shuffled], given.senders[shuffled], given.num_nodes)
    np.testing.assert_array_equal(
        list_product(lists, weights, columns), list_product(again, weights[shuffled], columns)
    )


def test_vmap_over_weights_equals_a_loop():
    given = hub_problem()
    lists = neighbour_lists(given.receivers, given.senders, given.num_nodes)
    random = np.random.default_rng(2)
    weights = jnp.asarray(random.normal(size=(3, len(given.senders))), jnp.float32)
    columns = jnp.asarray(random.normal(size=(given.num_nodes, 3)), jnp.float32)
    together = jax.vmap(partial(list_product, lists), in_axes=(0, None))(weights, columns)
    for found, w in zip(together, weights, strict=True):
        np.testing.assert_allclose(found, list_product(lists, w, columns), rtol=1e-5, atol=1e-6)


def test_networks_whose_lists_have_equal_shapes_share_a_compilation_and_a_vmap():
    given = hub_problem()
    random = np.random.default_rng(3)
    renamed = random.permutation(given.num_nodes)
    other = (renamed[given.senders], renamed[given.receivers])
    all_lists = [
        neighbour_lists(r, s, given.num_nodes) for s, r in ((given.senders, given.receivers), other)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *all_lists)
    weights = jnp.asarray(random.normal(size=(2, len(given.senders))), jnp.float32)
    columns = jnp.asarray(random.normal(size=(given.num_nodes, 3)), jnp.float32)
    together = jax.vmap(list_product, in_axes=(0, 0, None))(stacked, weights, columns)
    list_product(all_lists[0], weights[0], columns)
    compiled = list_product._cache_size()
    alone = [list_product(lists, w, columns) for lists, w in zip(all_lists, weights, strict=True)]
    assert list_product._cache_size() == compiled
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-5, atol=1e-6)
    expected = dense(*other, np.asarray(weights[1]), given.num_nodes) @ np.asarray(columns)
    np.testing.assert_allclose(alone[1], expected, rtol=1e-4, atol=1e-5)


def test_products_keep_the_precision_of_their_states():
    given = hub_problem()
    lists = neighbour_lists(given.receivers, given.senders, given.num_nodes)
    weights, columns = given.weights, np.ones((given.num_nodes, 3))
    assert list_product(lists, np.float32(weights), np.float32(columns)).dtype == np.float32
    assert in_float64(list_product, lists, weights, columns).dtype == np.float64
