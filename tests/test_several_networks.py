"""Runs on several networks: their union, and one law of all of them."""

import jax
import jraph
import numpy as np
import pytest

import jaxllc
from jaxllc import generators, known_laws
from jaxllc.data.batches.united import united
from jaxllc.data.inputs import checked_data
from jaxllc.data.message_passing import graph_of, sum_into_receivers
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.metrics import skeleton_equal

FIRST = generators.barabasi_albert(12, 2, seed=1)
SECOND = generators.erdos_renyi(8, 3, seed=2)
GENE = known_laws.get("gene")
TIMES = np.linspace(0, 3, 40)


def run_on(network, times=TIMES, seed=0):
    return GENE.simulate(network, times, seed=seed)


@pytest.fixture(scope="module")
def runs():
    return run_on(FIRST), run_on(SECOND, seed=1), run_on(SECOND, np.linspace(0, 2, 31), seed=2)


def test_the_union_has_the_edges_of_its_parts_and_no_other(runs):
    _, network = united([(runs[0], FIRST), (runs[1], SECOND)])
    A = network.to_adjacency().toarray()
    np.testing.assert_array_equal(A[:12, :12], FIRST.to_adjacency().toarray())
    np.testing.assert_array_equal(A[12:, 12:], SECOND.to_adjacency().toarray())
    assert network.num_edges == FIRST.num_edges + SECOND.num_edges
    assert network.names[11:13] == ("0:11", "1:0")
    assert "each name has the number of its network" in " ".join(network.notes)
    own = Network(SECOND.senders, SECOND.receivers, SECOND.weights, tuple("abcdefgh"))
    assert united([(runs[0], FIRST), (runs[1], own)])[1].names == (*FIRST.names, *"abcdefgh")
    # As jraph lays graphs side by side, and its sums are those of each.
    graph = jraph.batch_np([graph_of(FIRST), graph_of(SECOND)])
    values = np.random.default_rng(0).normal(size=network.num_edges)
    summed = sum_into_receivers(jax.numpy.asarray(values), graph_of(network))
    alone = sum_into_receivers(jax.numpy.asarray(values[: FIRST.num_edges]), graph_of(FIRST))
    np.testing.assert_allclose(summed[:12], alone, rtol=1e-6)
    np.testing.assert_array_equal(graph.senders, network.senders)


def test_runs_of_the_same_times_are_one_run_and_others_are_not_observed(runs):
    joint, network = checked_data(list(runs), [FIRST, SECOND, SECOND])
    assert network.num_nodes == 20
    assert [run.num_times for run in joint] == [40, 31]
    np.testing.assert_array_equal(joint[0].states[:, :12], runs[0].states)
    np.testing.assert_array_equal(joint[0].states[:, 12:], runs[1].states)
    assert np.isnan(joint[1].states[:, :12]).all()
    np.testing.assert_array_equal(joint[1].states[:, 12:], runs[2].states)
    # Networks that are the same are one, however often they are given.
    same, one = checked_data([runs[1], runs[2]], [SECOND, SECOND])
    assert (one.names, one.num_edges) == (SECOND.names, SECOND.num_edges)
    assert [run.num_nodes for run in same] == [8, 8]


@pytest.mark.parametrize("unlike", [False, True])
def test_the_law_of_two_networks_is_the_one_planted_in_any_order(runs, unlike):
    chosen = [(runs[0], FIRST), (runs[2 if unlike else 1], SECOND)]
    laws = []
    for pairs in (chosen, chosen[::-1]):
        data, networks = map(list, zip(*pairs, strict=True))
        laws.append(jaxllc.discover(data, networks))
    for law in laws:
        assert skeleton_equal(law, GENE)
        assert law.trusted
        assert law.network.num_nodes == 20
        np.testing.assert_allclose([abs(c.value) for c in law.constants], 1.0, atol=1e-5)
    first, other = (sorted(c.value for c in law.constants) for law in laws)
    np.testing.assert_allclose(first, other, rtol=1e-7)
    # It goes on either network, and on the union as on each of its parts.
    law = laws[0]
    whole = law.simulate(np.concatenate([runs[0].states[0], runs[1].states[0]]), TIMES)
    alone = law.simulate(runs[1].states[0], TIMES, SECOND)
    np.testing.assert_allclose(whole.states[:, 12:], alone.states, atol=1e-7)
    np.testing.assert_allclose(alone.states, runs[1].states, atol=1e-4)


def test_node_features_go_with_their_nodes():
    times = np.linspace(0, 1, 8)
    states = np.random.default_rng(0).normal(size=(8, 20))
    ones = [
        Trajectories(times, part, node_features={"omega": value + np.arange(part.shape[1])})
        for part, value in ((states[:, :12], 1.0), (states[:, 12:], 50.0))
    ]
    (joint,), _ = checked_data(ones, [FIRST, SECOND])
    expected = [*(1.0 + np.arange(12)), *(50.0 + np.arange(8))]
    assert joint.node_features["omega"].tolist() == expected


@pytest.mark.parametrize(
    ("data", "networks", "said"),
    [
        (
            lambda r: list(r),
            [FIRST, SECOND],
            "network is a list of 2 networks, and data has 3 entries",
        ),
        (lambda r: r[0], [FIRST], "data has 1 entries"),
        (
            lambda r: [r[0], r[1]],
            [SECOND, FIRST],
            "trajectories 0 have 12 nodes, but their network",
        ),
        (lambda r: [r[0], "none.csv"], [FIRST, SECOND], "none.csv"),
        (lambda r: [r[0], r[1]], [FIRST, 3], "network must be a Network"),
        (
            lambda r: [r[0], Trajectories(TIMES, r[1].states, ("y",))],
            [FIRST, SECOND],
            "trajectories 1 have the variables",
        ),
    ],
)
def test_what_does_not_fit_is_refused(runs, data, networks, said):
    with pytest.raises(InputError, match=said):
        checked_data(data(runs), networks)
