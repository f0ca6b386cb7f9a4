"""What discover() is given: names set the order, tables and paths are read, the rest is refused."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import jaxllc
from jaxllc.data.inputs import checked_data
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError

TIMES = np.arange(8.0)
STATES = np.random.default_rng(0).random((8, 3))
RUN = Trajectories(TIMES, STATES, names=list("abc"))
NETWORK = Network.from_edges(list("abc"), list("bca"), names=list("abc"))
A = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
FRAME = pd.DataFrame(STATES, columns=list("abc")).assign(time=TIMES)
EDGES = pd.DataFrame({"sender": list("abc"), "receiver": list("bca")})


def test_names_set_the_order_of_the_network_and_of_further_runs():
    turned = NETWORK.subnetwork(list("cab"))
    runs, network = checked_data([RUN, RUN.select(list("bca"))], turned)
    assert [run.names for run in runs] == [("a", "b", "c")] * 2
    np.testing.assert_array_equal(runs[1].states, RUN.states)
    np.testing.assert_array_equal(network.to_adjacency().toarray(), A)
    assert network.names == ("a", "b", "c")


def test_where_one_side_has_no_names_position_decides_and_it_is_said():
    _, network = checked_data(RUN, Network.from_adjacency(A))
    assert network.names == ("a", "b", "c")
    assert "no names" in network.notes[0]
    _, network = checked_data(Trajectories(TIMES, STATES), NETWORK)
    assert network is NETWORK


def test_paths_are_read_as_the_command_line_reads_them(tmp_path):
    RUN.to_csv(tmp_path / "states.csv")
    NETWORK.to_csv(tmp_path / "edges.csv")
    for data, edges in (
        (tmp_path / "states.csv", tmp_path / "edges.csv"),
        (str(tmp_path / "states.csv"), str(tmp_path / "edges.csv")),
        ([tmp_path / "states.csv", RUN], NETWORK),
    ):
        runs, network = checked_data(data, edges)
        np.testing.assert_array_equal(runs[0].states, RUN.states)
        np.testing.assert_array_equal(network.to_adjacency().toarray(), A)


@pytest.mark.parametrize(
    ("data", "network", "word"),
    [
        (NETWORK, RUN, "swapped"),
        (NETWORK, [RUN], "swapped"),
        (NETWORK, None, "swapped"),
        (RUN, RUN, "swapped"),
        (RUN, A, "from_adjacency"),
        (RUN, A.tolist(), "from_adjacency"),
        (RUN, pd.DataFrame(A), "from_adjacency"),
        (RUN, nx.path_graph(3), "from_networkx"),
        (RUN, 3, "network must be a Network"),
        (RUN, {"a": "b"}, "network must be a Network"),
        (RUN, "nowhere.csv", "nowhere.csv does not exist"),
        (RUN, FRAME, "swapped"),
        ("nowhere.csv", NETWORK, "nowhere.csv does not exist"),
        (STATES, NETWORK, r"Trajectories\(times, states\)"),
        ([STATES, STATES], NETWORK, r"entry 0 of data is a NumPy array of shape \(8, 3\)"),
        ((TIMES, STATES), NETWORK, "entry 0 of data"),
        ({"a": STATES}, NETWORK, "Trajectories"),
        (None, NETWORK, "Trajectories, not None"),
        (3.0, NETWORK, "Trajectories"),
        ([], NETWORK, "no trajectories"),
        ([RUN, None], NETWORK, "entry 1 of data is None"),
        (RUN, Network.from_edges(list("abx"), list("bxa")), "'x'"),
        ([RUN, Trajectories(TIMES, STATES, names=list("abx"))], NETWORK, "'x'"),
        (RUN, Network.from_edges([0], [1]), "3 nodes but the network has 2"),
        (
            [RUN, Trajectories(pd.date_range("2020", periods=8, freq="h"), STATES)],
            NETWORK,
            "count times in hours",
        ),
    ],
)
def test_what_is_no_data_or_no_network_is_named(data, network, word):
    with pytest.raises(InputError, match=word) as caught:
        jaxllc.discover(data, network)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("choices", "word"),
    [
        ({"settings": {"max_terms": 3}}, "DiscoverSettings"),
        ({"settings": 5}, "DiscoverSettings"),
        ({"progress": "yes"}, "progress"),
        ({"seed": "a"}, "seed"),
        ({"undirected": True}, "does not know undirected"),
    ],
)
def test_choices_that_cannot_be_are_named(choices, word):
    with pytest.raises(InputError, match=word):
        jaxllc.discover(RUN, NETWORK, **choices)


def test_what_reading_saw_stays_with_runs_and_network():
    dated = FRAME.assign(time=pd.date_range("2020-01-06", periods=8, freq="7D"))
    zero = pd.DataFrame({"sender": ["a"], "receiver": ["c"], "weight": [0.0]})
    edges = pd.concat([EDGES.assign(weight=1.0), zero])
    (run,), network = checked_data(dated, edges)
    assert "days, from 2020-01-06" in run.window(0, 20).notes[0]
    assert "1 of 4 edges have the weight 0" in network.notes[0]
