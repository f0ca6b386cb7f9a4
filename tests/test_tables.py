"""Tables: each layout reads to the same arrays, and each mistake ends in one sentence that names it."""

import numpy as np
import pytest

from jaxllc.data.inputs import match
from jaxllc.data.network import Network
from jaxllc.data.readers import read_edges, read_features, read_states
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError

WIDE = "time,a,b\n0,1,4\n1,2,5\n2,3,\n3,4,7\n4,6,8\n"


@pytest.fixture
def write(tmp_path):
    def write_file(text: str, name: str = "states.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def test_wide_and_long_tables_read_to_the_same_states(write):
    (wide,) = read_states(write(WIDE))
    rows = [line.split(",") for line in WIDE.splitlines()[1:]]
    cells = [(t, "a", a) for t, a, _ in rows] + [(t, "b", b) for t, _, b in rows]
    text = "Time,Node,Value\n" + "".join(f"{t},{n},{v}\n" for t, n, v in cells)
    (long,) = read_states(write(text))
    assert wide.names == long.names == ("a", "b")
    np.testing.assert_array_equal(wide.times, long.times)
    np.testing.assert_array_equal(wide.states, long.states)
    assert np.isnan(wide.states[2, 1, 0])


@pytest.mark.parametrize("separator", [";", "\t", ", "])
def test_other_separators_a_byte_order_mark_and_blank_lines(write, separator):
    text = "\ufeff" + WIDE.replace(",", separator).replace("\n", "\r\n") + "\r\n\r\n"
    (data,) = read_states(write(text))
    np.testing.assert_array_equal(data.states, read_states(write(WIDE))[0].states)


def test_several_variables_wide_and_long(write):
    wide = "time,a.x,a.y,b.y,b.x\n" + "".join(
        f"{t},{t},{2 * t},{3 * t},{4 * t}\n" for t in range(5)
    )
    (data,) = read_states(write(wide))
    assert (data.names, data.variables) == (("a", "b"), ("x", "y"))
    np.testing.assert_array_equal(data.states[1], [[1, 2], [4, 3]])
    series = [("a", "x", 1), ("a", "y", 2), ("b", "y", 3), ("b", "x", 4)]
    cells = "".join(f"{t},{n},{v},{f * t}\n" for t in range(5) for n, v, f in series)
    (same,) = read_states(write("time,node,variable,value\n" + cells))
    np.testing.assert_array_equal(same.states, data.states)


def test_runs_are_told_apart_by_their_column(write):
    rows = "".join(f"{t},{run},{t + 10 * run},{t}\n" for t in range(5) for run in (2, 1))
    runs = read_states(write("time,run,a,b\n" + rows))
    assert [run.states[0, 0, 0] for run in runs] == [20, 10]
    long = "".join(
        f"{run},{t},{n},{t + run}\n" for run in (0, 1) for n in "ab" for t in range(5 + run)
    )
    runs = read_states(write("run,time,node,value\n" + long))
    assert [run.num_times for run in runs] == [5, 6]


def test_node_names_may_look_like_missing_values(write):
    network = read_edges(write("sender,receiver\nNA,None\nnan,NA\n", "edges.csv"))
    assert network.names == ("NA", "None", "nan")


@pytest.mark.parametrize(
    "header", ["sender,receiver,weight", "Source,Target,Weight", "from,to,weight"]
)
def test_edges_have_synonyms(write, header):
    network = read_edges(write(f"{header}\na,b,2\nb,c,0.5\n", "edges.csv"))
    np.testing.assert_array_equal(
        network.to_adjacency().toarray(), [[0, 0, 0], [2, 0, 0], [0, 0.5, 0]]
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "states.csv is empty"),
        ("\n\n", "nothing in row 1"),
        ("time,a,b\n", "a header but no data"),
        ("time,a,b\n\n\n", "a header but no data"),
        (WIDE.replace("2,3,", "2,three,"), "row 4, column 'a': 'three' is not a number"),
        (WIDE.replace("\n3,4,7", "\n\n3,4,x"), "row 6, column 'b': 'x' is not a number"),
        (WIDE.replace("2,3,", "2,True,"), "row 4, column 'a': 'True' is not a number"),
        (WIDE.replace("2,3,", "2,inf,"), "row 4, column 'a': the value is infinite"),
        (WIDE.replace("\n2,3", "\n,3"), "row 4, column 'time' holds no number; every row needs"),
        (WIDE.replace("\n2,3", "\ninf,3"), "column 'time': the value is infinite; every row needs"),
        (WIDE.replace("\n3,", "\n1,"), "row 5: the time 1 comes after the later time 2 of row 4"),
        (WIDE.replace("\n3,", "\n2,"), "row 5: the time 2 repeats time 2 of row 4"),
        (
            WIDE.replace("1,2,5", "1,2,5,9"),
            "Expected 3 fields in line 3, saw 4|more cells than the 3",
        ),
        (
            WIDE.replace("0,1,4", "0,1,4,9"),
            "Expected 3 fields in line 2, saw 4|more cells than the 3",
        ),
        ("time,a,b\n0,1,2\n1,2,3\n", "2 sample times, but at least 5 are needed"),
        ("time,a,b\n" + "".join(f"{t},1,2\n" for t in range(6)), "every series in .* is constant"),
        ("time,a,b\n" + "".join(f"{t},{t},\n" for t in range(6)), "no value at all of 'b'"),
        ("time,a,a\n0,1,2\n", "the column 'a' twice"),
        ("time,a,\n0,1,2\n", "column 3 of the header has no name"),
        ("times,a,b\n0,1,2\n", "no column 'time'.*'times' \\(did you mean 'time'"),
        ("time\n0\n1\n", "no column of states"),
        ("sender,receiver\na,b\n", "is a table of edges .* look swapped"),
        ("time,a.x,a.y,b.x\n0,1,2,3\n", "no column 'b.y'"),
        ("time,node,value,unit\n0,a,1,m\n", "the column 'unit'"),
        (
            "time,node,value\n0,a,1\n0,a,2\n",
            "row 3: the time 0 of node 'a' repeats time 0 of row 2",
        ),
        ("time,node,value\n0,a,1\n1,,2\n", "row 3, column 'node' is empty"),
        ("time,node,value\n0,a,1\n1,a,high\n", "row 3, column 'value': 'high' is not a number"),
    ],
)
def test_wrong_states_are_named(write, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_states(write(text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "edges.csv is empty"),
        ("sender,receiver\n", "a header but no data"),
        (WIDE, "is a table of states .* look swapped"),
        (
            "a,b\nb,c\n",
            r"must start with the header sender,receiver\[,weight\], but its columns are 'a'",
        ),
        ("sender,reciever\na,b\n", "'reciever' \\(did you mean 'receiver'"),
        ("source,target,flow\na,b,3\n", "the column 'flow', which is not understood"),
        (
            "sender,receiver,weight\na,b,1\nb,c,-2\n",
            r"row 3 \('b' -> 'c'\) has the negative weight -2",
        ),
        ("sender,receiver,weight\na,b,1\nb,c,nan\n", "row 3, column 'weight' holds no number"),
        ("sender,receiver,weight\na,b,1\nb,c,\n", "row 3, column 'weight' holds no number"),
        (
            "sender,receiver,weight\na,b,1\nb,c,big\n",
            "row 3, column 'weight': 'big' is not a number",
        ),
        ("sender,receiver\na,b\nb,\n", "row 3, column 'receiver' is empty"),
        ("sender,receiver\na,b\nc,c\n", r"row 3 \('c' -> 'c'\) is a self-loop"),
        ("sender,receiver\na,b\n\na,b\n", "row 4 repeats .*row 2"),
    ],
)
def test_wrong_edges_are_named(write, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_edges(write(text, "edges.csv"))


def test_files_that_are_not_tables(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv does not exist"):
        read_states(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="cannot read"):
        read_edges(tmp_path)
    (tmp_path / "latin.csv").write_bytes("time,Zürich\n0,1\n".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_states(tmp_path / "latin.csv")
    (tmp_path / "binary.csv").write_bytes(b"time,\0\0\x01\n")
    with pytest.raises(InputError, match="not a text table"):
        read_states(tmp_path / "binary.csv")


def named_states(*names: str) -> Trajectories:
    return Trajectories([0, 1], np.arange(2.0 * len(names)).reshape(2, -1), names=names)


def test_matching_brings_the_network_into_the_order_of_the_states():
    network = Network.from_edges(["c", "a"], ["a", "b"], [1.0, 2.0])
    (run,), matched = match(named_states("a", "b", "c"), network)
    assert run.names == matched.names == ("a", "b", "c")
    np.testing.assert_array_equal(
        matched.to_adjacency().toarray(), [[0, 0, 1], [2, 0, 0], [0, 0, 0]]
    )


def test_a_node_known_to_one_table_only_is_named():
    network = Network.from_edges(["Korea, South", "China"], ["China", "Japan"])
    with pytest.raises(InputError, match=r"1 node is in the edges.*'Japan' \(did you mean 'japan'"):
        match(named_states("Korea, South", "China", "japan"), network)
    states = named_states("Korea, South", "China", "Japan", "Peru")
    with pytest.raises(InputError, match="1 node is in the states but in no edge: 'Peru'; add"):
        match(states, network)
    _, matched = match([states, states], network, allow_isolated=True)
    assert matched.names == states.names
    assert matched.in_degree.tolist() == [0, 1, 1, 0]


def test_states_without_names_match_by_position():
    network = Network.from_edges([0, 1], [1, 0])
    _, matched = match(Trajectories([0, 1], np.eye(2)), network)
    assert matched is network
    with pytest.raises(InputError, match="3 nodes and the network 2"):
        match(Trajectories([0, 1], np.ones((2, 3))), network)


def test_features_follow_the_names(write):
    path = write("node,omega,alpha\nb,2,20\na,1,10\n", "features.csv")
    features = read_features(path, names=["a", "b"])
    assert features["omega"].tolist() == [1, 2]
    assert features["alpha"].tolist() == [10, 20]
    assert read_features(path)["omega"].tolist() == [2, 1]
    with pytest.raises(InputError, match="has no features of 'c'"):
        read_features(path, names=["a", "b", "c"])
    with pytest.raises(InputError, match="unknown 'b'"):
        read_features(path, names=["a"])
    with pytest.raises(InputError, match="'a' more than once"):
        read_features(write("node,omega\na,1\na,2\n"))
    with pytest.raises(InputError, match="row 3, column 'omega' holds no number; every node needs"):
        read_features(write("node,omega\na,1\nb,\n"))


@pytest.mark.parametrize("bad", [False, True])
def test_a_million_rows_are_read(write, bad):
    times = np.repeat(np.arange(10_000), 100)
    nodes = np.tile(np.arange(100), 10_000)
    lines = [f"{t},n{n},{t * 0.1 + n}" for t, n in zip(times.tolist(), nodes.tolist(), strict=True)]
    if bad:
        lines[-1] = "9999,n99,oops"
    path = write("\n".join(["time,node,value", *lines]))
    if bad:
        with pytest.raises(InputError, match="row 1000001, column 'value': 'oops'"):
            read_states(path)
    else:
        (data,) = read_states(path)
        assert data.states.shape == (10_000, 100, 1)


def test_real_tables_are_read(shared_folder, write):
    folder = shared_folder / "data" / "global-epidemics"
    with pytest.raises(InputError, match="no column 'time'; its columns are 'day'"):
        read_states(folder / "h1n1_cumulative_cases.csv")
    cases = (folder / "h1n1_cumulative_cases.csv").read_text(encoding="utf-8")
    (data,) = read_states(write(cases.replace("day", "time", 1)))
    assert data.num_nodes == 234
    assert "Cote d'Ivoire" in data.node_names
