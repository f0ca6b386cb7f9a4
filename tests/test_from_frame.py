"""Tables in memory: a run and a network out of DataFrames, and a discovery from both."""

import numpy as np
import pandas as pd
import pytest

from jaxllc.data.inputs import checked_data
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError

TIMES = np.arange(8.0)
STATES = np.random.default_rng(0).random((8, 3))
FRAME = pd.DataFrame(STATES, columns=list("abc"))
EDGES = pd.DataFrame({"source": list("abc"), "target": list("bca")})


def test_time_stands_in_a_column_or_in_the_index():
    dated = FRAME.set_axis(pd.date_range("2020", periods=8, freq="7D"))
    for frame, times in (
        (FRAME.assign(time=TIMES), TIMES),
        (FRAME.set_axis(TIMES / 2), TIMES / 2),
        (FRAME.set_axis(pd.Index(range(8), name="t")), TIMES),
        (dated, 7 * TIMES),
    ):
        run = Trajectories.from_frame(frame)
        np.testing.assert_array_equal(run.times, times)
        np.testing.assert_array_equal(run.states[:, :, 0], STATES)
        assert run.names == ("a", "b", "c")
    assert run.time_unit == "days"
    with pytest.raises(InputError, match="time"):
        Trajectories.from_frame(FRAME)


def test_columns_of_two_levels_are_nodes_and_variables_and_come_back():
    parts = {
        n: pd.DataFrame({"u": STATES[:, i], "v": STATES[:, i] ** 2}) for i, n in enumerate("abc")
    }
    frame = pd.concat(parts, axis=1).set_axis(pd.Index(TIMES, name="time"))
    run = Trajectories.from_frame(frame, node_features={"omega": {"c": 3.0, "a": 1.0, "b": 2.0}})
    assert (run.names, run.variables) == (("a", "b", "c"), ("u", "v"))
    assert run.node_features["omega"].tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(Trajectories.from_frame(run.to_frame()).states, run.states)


def test_edges_come_from_a_table():
    for network in (Network.from_frame(EDGES), Network.from_edges(EDGES)):
        np.testing.assert_array_equal(
            network.to_adjacency().toarray(), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
        )
    assert Network.from_frame(EDGES, undirected=True).num_edges == 6


def test_a_discovery_takes_both_tables_and_sees_them_swapped():
    runs, network = checked_data(FRAME.assign(time=TIMES), EDGES)
    assert runs[0].names == network.names
    with pytest.raises(InputError, match="swapped"):
        checked_data(EDGES, FRAME.assign(time=TIMES))
