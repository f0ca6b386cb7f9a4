"""Network: every way in and out agrees, sums over edges equal dense matrices, wrong input is named."""

from dataclasses import replace

import jax
import networkx as nx
import numpy as np
import pytest
import scipy.sparse

from jaxllc.data import message_passing as aggregation
from jaxllc.data.network import Network
from jaxllc.errors import InputError

NAMES = ("a", "b", "c", "d")


def weighted_matrix() -> np.ndarray:
    A = np.zeros((4, 4))
    A[0, 1], A[2, 1], A[3, 0], A[0, 3] = 0.5, 2.0, 1.0, 3.0
    return A


def assert_same(first: Network, second: Network) -> None:
    assert first.names == second.names
    np.testing.assert_array_equal(first.senders, second.senders)
    np.testing.assert_array_equal(first.receivers, second.receivers)
    np.testing.assert_array_equal(first.weights, second.weights)


def test_adjacency_entry_is_the_influence_of_column_on_row():
    network = Network.from_adjacency(weighted_matrix(), names=NAMES)
    edges = zip(network.senders, network.receivers, network.weights, strict=True)
    assert (1, 2, 2.0) in list(edges)
    np.testing.assert_array_equal(network.to_adjacency().toarray(), weighted_matrix())


def test_every_way_in_gives_the_same_network(tmp_path):
    A = weighted_matrix()
    network = Network.from_adjacency(A, names=NAMES)
    receivers, senders = np.nonzero(A)
    assert_same(network, Network.from_adjacency(scipy.sparse.csc_matrix(A), names=NAMES))
    by_name = Network.from_edges(
        [NAMES[j] for j in senders],
        [NAMES[i] for i in receivers],
        A[receivers, senders],
        names=NAMES,
    )
    assert_same(network, by_name)
    assert_same(network, Network.from_networkx(network.to_networkx()))
    network.to_csv(tmp_path / "edges.csv")
    read = Network.read_csv(tmp_path / "edges.csv")
    assert_same(network, read.subnetwork(NAMES))


def test_order_of_edges_does_not_matter():
    rng = np.random.default_rng(0)
    senders, receivers = np.nonzero(rng.random((9, 9)) * (1 - np.eye(9)) > 0.6)
    weights = rng.random(len(senders))
    order = rng.permutation(len(senders))
    assert_same(
        Network.from_edges(senders, receivers, weights, num_nodes=9),
        Network.from_edges(senders[order], receivers[order], weights[order], num_nodes=9),
    )


def test_undirected_graphs_act_both_ways():
    A = Network.from_networkx(nx.path_graph(3)).to_adjacency().toarray()
    np.testing.assert_array_equal(A, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])


def test_degrees_are_row_sums():
    network = Network.from_adjacency(weighted_matrix())
    np.testing.assert_array_equal(network.in_degree, (weighted_matrix() > 0).sum(axis=1))
    np.testing.assert_array_equal(network.in_strength, weighted_matrix().sum(axis=1))


def test_relabelling_permutes_rows_and_columns():
    permutation = [2, 0, 3, 1]
    network = Network.from_adjacency(weighted_matrix(), names=NAMES).relabelled(permutation)
    assert network.names == ("c", "a", "d", "b")
    expected = weighted_matrix()[np.ix_(permutation, permutation)]
    np.testing.assert_array_equal(network.to_adjacency().toarray(), expected)


def test_numbered_names_are_ordered_by_number():
    network = Network.from_edges(["10", "2"], ["2", "1"])
    assert network.names == ("1", "2", "10")


def test_nodes_without_edges_count():
    network = Network.from_edges([0], [1], num_nodes=5)
    assert len(network) == 5
    assert network.in_degree.tolist() == [0, 1, 0, 0, 0]
    assert Network.from_edges([], [], num_nodes=3).num_edges == 0


@pytest.mark.parametrize("with_grad", [False, True])
def test_messages_sum_as_a_dense_matrix_does(small_network, with_grad):
    graph = small_network.to_graph({"omega": np.linspace(1, 2, 20)})
    A = small_network.to_adjacency().toarray()
    state = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)
    omega = graph.nodes["omega"]

    def interaction(x_i, x_j, features_i, features_j):
        return x_i * x_j * features_j["omega"][:, None] / features_i["k"][:, None]

    def sums(state, graph):
        return aggregation.pass_messages(interaction, state, graph)

    if with_grad:
        gradient = jax.jit(jax.grad(lambda s: (sums(s, graph) ** 2).sum()))(state)
        step = np.zeros_like(state)
        step[3, 1] = 1e-2
        energy = jax.jit(lambda s: (sums(s, graph) ** 2).sum())
        slope = (energy(state + step) - energy(state - step)) / 2e-2
        np.testing.assert_allclose(gradient[3, 1], slope, rtol=1e-2)
    else:
        expected = state * (A @ (omega[:, None] * state)) / A.sum(axis=1)[:, None]
        np.testing.assert_allclose(jax.jit(sums)(state, graph), expected, rtol=1e-4, atol=1e-5)
        batch = np.stack([state, 2 * state])
        summed = jax.vmap(sums, in_axes=(0, None))(batch, graph)
        np.testing.assert_allclose(summed[1], 4 * expected, rtol=1e-4, atol=1e-5)
        messages = interaction(
            state[graph.receivers],
            state[graph.senders],
            {"k": graph.nodes["k"][graph.receivers]},
            {"omega": omega[graph.senders]},
        )
        direct = aggregation.sum_into_receivers(messages, graph)
        np.testing.assert_allclose(direct, expected, rtol=1e-4, atol=1e-5)


def test_messages_are_summed_once_and_as_a_plain_segment_sum_does(small_network):
    graph = small_network.to_graph({"omega": np.linspace(1, 2, 20)})
    state = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)

    def interaction(x_i, x_j, _, features_j):
        return x_j**2 / (1 + x_j**2) - features_j["omega"][:, None] * x_i

    def sums(state):
        return aggregation.pass_messages(interaction, state, graph)

    def plain(state):
        omega = {"omega": graph.nodes["omega"][graph.senders]}
        message = interaction(state[graph.receivers], state[graph.senders], None, omega)
        return jax.ops.segment_sum(graph.edges[:, None] * message, graph.receivers, num_segments=20)

    np.testing.assert_array_equal(sums(state), plain(state))
    # Of the derivative, half the sums add up what edges say of their two ends.
    for kind, count in ((sums, 1), (jax.grad(lambda x: sums(x).sum()), 3)):
        assert str(jax.make_jaxpr(kind)(state)).count("scatter-add[") == count


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"senders": [0, 1], "receivers": [1]}, "one length"),
        ({"senders": [0], "receivers": [1], "weights": [-1]}, r"negative weight -1.*signed=True"),
        (
            {"senders": [0], "receivers": [1], "weights": [np.nan]},
            r"edge number 0 \('0' -> '1'\).*nan",
        ),
        ({"senders": [0], "receivers": [1], "weights": ["much"]}, "weights must be numbers"),
        ({"senders": [0], "receivers": [1], "weights": [1, 2]}, r"1 edges, but weights have shape"),
        ({"senders": [0, 0], "receivers": [1, 1]}, r"edge number 1 repeats edge number 0"),
        ({"senders": [0, 2], "receivers": [1, 2]}, r"edge number 1 \('2' -> '2'\) is a self-loop"),
        ({"senders": [0], "receivers": [7], "num_nodes": 3}, r"nodes 0 and 7.*numbered 0 to 2"),
        ({"senders": [0], "receivers": [-1]}, "nodes 0 and -1"),
        ({"senders": ["Ann"], "receivers": ["bob"], "names": ["Ann", "Bob"]}, "did you mean 'Bob'"),
        ({"senders": [0], "receivers": [1], "names": ["a", "a"]}, "'a' is repeated"),
        ({"senders": [0.5], "receivers": [1]}, "must be integers or names"),
    ],
)
def test_wrong_edges_are_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Network.from_edges(**arguments)


def test_signed_networks_are_asked_for():
    network = Network.from_edges([0, 1], [1, 0], [-1.0, 2.0], signed=True)
    assert network.subnetwork(["1", "0"]).weights.tolist() == [-1.0, 2.0]


def test_matrices_must_be_square_and_without_diagonal():
    with pytest.raises(InputError, match="square"):
        Network.from_adjacency(np.ones((2, 3)))
    with pytest.raises(InputError, match="self-loop"):
        Network.from_adjacency(np.eye(2))
    with pytest.raises(InputError, match="weight nan"):
        Network.from_adjacency([[0, np.nan], [1, 0]])


def test_a_folder_that_is_not_there_is_named_and_nothing_is_left(tmp_path, small_network):
    with pytest.raises(InputError, match=r"cannot write .*missing"):
        small_network.to_csv(tmp_path / "missing" / "edges.csv")
    small_network.to_csv(tmp_path / "edges.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["edges.csv"]


def test_notes_stay_with_what_is_derived():
    network = replace(Network.from_edges(["a", "b"], ["b", "c"]), notes=("seen",))
    assert network.subnetwork(["a", "b"]).notes == network.relabelled([2, 0, 1]).notes == ("seen",)
