"""Labels of tables are names: permuted ones are put in order, others refused."""

from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError

NAMES = ["a", "b", "c", "d"]


class LabelledArray:
    """As much of xarray.DataArray as is asked for: dims, coords, isel, transpose and the values."""

    def __init__(self, values, dims, coords):
        self.values, self.dims = np.asarray(values), tuple(dims)
        self.coords = {k: np.asarray(v) for k, v in coords.items()}
        self.shape, self.ndim = self.values.shape, self.values.ndim

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)

    def isel(self, chosen):
        (dim, order) = next(iter(chosen.items()))
        coords = {**self.coords}
        if dim in coords:
            coords[dim] = coords[dim][order]
        return LabelledArray(self.values.take(order, self.dims.index(dim)), self.dims, coords)

    def transpose(self, *dims):
        dims = dims or self.dims[::-1]
        order = [self.dims.index(d) for d in dims]
        return LabelledArray(self.values.transpose(order), dims, self.coords)


def random_matrix() -> np.ndarray:
    A = np.random.default_rng(1).random((4, 4))
    A[A < 0.5] = 0
    np.fill_diagonal(A, 0)
    return A


def edges_of(network: Network) -> set:
    names = network.names
    return {
        (names[s], names[r], float(w))
        for s, r, w in zip(network.senders, network.receivers, network.weights, strict=True)
    }


def expected_edges(A: np.ndarray) -> set:
    return {
        (NAMES[j], NAMES[i], float(A[i, j])) for i in range(4) for j in range(4) if A[i, j] != 0
    }


def test_a_permuted_frame_gives_the_same_edges_by_name():
    A = random_matrix()
    frame = pd.DataFrame(A, index=NAMES, columns=NAMES)
    for rows, columns in (("abcd", "abcd"), ("abcd", "dcba"), ("cabd", "bdac")):
        network = Network.from_adjacency(frame.loc[list(rows), list(columns)])
        assert edges_of(network) == expected_edges(A)
        assert network.names == tuple(rows)


def test_the_entry_of_a_frame_is_the_influence_of_its_column_on_its_row():
    A = pd.DataFrame(0.0, index=list("abc"), columns=list("cba"))
    A.loc["b", "c"] = 1
    assert edges_of(Network.from_adjacency(A)) == {("c", "b", 1.0)}
    assert edges_of(Network.from_adjacency(A, names=list("abc"))) == {("c", "b", 1.0)}
    assert Network.from_adjacency(A, names=list("cab")).names == ("c", "a", "b")


def test_coordinates_count_as_labels_do():
    A = random_matrix()
    order = [2, 0, 3, 1]
    labelled = LabelledArray(
        A[:, order], ("receiver", "sender"), {"receiver": NAMES, "sender": np.array(NAMES)[order]}
    )
    assert edges_of(Network.from_adjacency(labelled)) == expected_edges(A)
    turned = labelled.transpose()
    assert edges_of(Network.from_adjacency(turned)) == expected_edges(A)


def test_xarray_itself_is_understood():
    xarray = pytest.importorskip("xarray")
    A = random_matrix()
    labelled = xarray.DataArray(
        A[:, [1, 0, 2, 3]], dims=("i", "j"), coords={"i": NAMES, "j": ["b", "a", "c", "d"]}
    )
    assert edges_of(Network.from_adjacency(labelled)) == expected_edges(A)
    states = xarray.DataArray(
        np.arange(20.0).reshape(4, 5), dims=("node", "time"), coords={"node": NAMES}
    )
    run = Trajectories(np.arange(5.0), states)
    assert run.names == tuple(NAMES)
    np.testing.assert_array_equal(run.states[:, 1, 0], [5, 6, 7, 8, 9])


def test_a_crosstab_says_itself_which_side_sends():
    table = pd.DataFrame({"source": ["a", "b", "c"], "target": ["b", "c", "a"]})
    A = pd.crosstab(table["source"], table["target"])
    assert edges_of(Network.from_adjacency(A)) == {
        ("a", "b", 1.0),
        ("b", "c", 1.0),
        ("c", "a", 1.0),
    }


def test_plain_counts_name_nothing_and_one_named_side_names_both():
    A = random_matrix()
    assert Network.from_adjacency(pd.DataFrame(A)).names == ("0", "1", "2", "3")
    assert edges_of(Network.from_adjacency(pd.DataFrame(A, columns=NAMES))) == expected_edges(A)
    assert edges_of(Network.from_adjacency(pd.DataFrame(A), names=NAMES)) == expected_edges(A)
    by_number = pd.DataFrame(A[:, [1, 0, 3, 2]], columns=[1, 0, 3, 2])
    np.testing.assert_array_equal(Network.from_adjacency(by_number).to_adjacency().toarray(), A)


def test_kinds_of_matrices_agree():
    A = random_matrix()
    for same in (
        A.tolist(),
        np.ma.masked_array(np.where(A == 0, 9.0, A), A == 0),
        scipy.sparse.csr_matrix(A),
        scipy.sparse.coo_array(A),
        pd.DataFrame(A).astype(object),
        Network.from_adjacency(A).to_networkx(),
    ):
        np.testing.assert_array_equal(Network.from_adjacency(same).to_adjacency().toarray(), A)
    np.testing.assert_array_equal(
        Network.from_adjacency(A > 0).to_adjacency().toarray(), (A > 0).astype(float)
    )
    graph = nx.DiGraph([("u", "v")])
    assert edges_of(Network.from_adjacency(graph, names=["v", "u"])) == {("u", "v", 1.0)}


@pytest.mark.parametrize(
    ("A", "names", "word"),
    [
        (pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abd")), None, "'d'"),
        (pd.DataFrame(np.eye(3), index=list("abc"), columns=list("aab")), None, "'a' twice"),
        (pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abc")), list("abx"), "'x'"),
        (pd.DataFrame(np.eye(3), index=["a", None, "b"]), None, "None|nan"),
        (pd.DataFrame([["a", 1], ["b", 0]]), None, "str 'a'"),
        (pd.DataFrame([[0, np.nan], [1, 0]]), None, "nan"),
        (np.array([[0, np.inf], [1, 0]]), None, "inf"),
        (scipy.sparse.csr_array(np.array([[0, 1j], [1, 0]])), None, "complex"),
        (scipy.sparse.csr_array(np.array([[0, np.nan], [1, 0]])), None, "nan"),
        (np.array([["0", "1"], ["1", "0"]]), None, "text"),
        (np.zeros((2, 3)), None, "square"),
        (pd.DataFrame(np.zeros((2, 3))), None, "square"),
        (np.zeros(3), None, "square"),
        (np.eye(2)[::-1], "ab", "names"),
        (None, None, "adjacency"),
        ("edges.csv", None, "adjacency"),
        (
            pd.DataFrame(np.eye(2), index=pd.MultiIndex.from_tuples([(0, 1), (1, 1)])),
            None,
            "levels",
        ),
    ],
)
def test_a_matrix_that_does_not_hold_together_is_refused(A, names, word):
    with pytest.raises(InputError, match=word):
        Network.from_adjacency(A, names=names)


# -- trajectories ------------------------------------------------------------------------------------

TIMES = np.arange(5.0)
STATES = np.random.default_rng(0).random((5, 3))
FRAME = pd.DataFrame(STATES, columns=list("abc"))


def test_columns_name_the_nodes_and_given_names_set_their_order():
    assert Trajectories(TIMES, FRAME).names == ("a", "b", "c")
    run = Trajectories(TIMES, FRAME, names=list("cab"))
    assert run.names == ("c", "a", "b")
    np.testing.assert_array_equal(run.states[:, 0, 0], STATES[:, 2])
    assert Trajectories(TIMES, pd.DataFrame(STATES)).names is None
    assert Trajectories(TIMES, pd.DataFrame(STATES), names=list("xyz")).names == ("x", "y", "z")


def test_coordinates_name_nodes_and_variables():
    cube = np.random.default_rng(2).random((2, 5, 3))
    labelled = LabelledArray(
        cube, ("variable", "time", "node"), {"variable": ["u", "v"], "node": list("abc")}
    )
    run = Trajectories(TIMES, labelled)
    assert (run.names, run.variables) == (("a", "b", "c"), ("u", "v"))
    np.testing.assert_array_equal(run.states, cube.transpose(1, 2, 0))
    turned = Trajectories(TIMES, labelled, variables=("v", "u"), names=list("bca"))
    np.testing.assert_array_equal(turned.states[0, 0], cube[[1, 0], 0, 1])


def test_rows_go_by_the_labels_of_the_times_where_both_have_them():
    times = pd.Series(TIMES, index=range(5))
    shuffled = FRAME.iloc[[3, 1, 0, 4, 2]]
    np.testing.assert_array_equal(Trajectories(times, shuffled).states[:, :, 0], STATES)


def test_features_go_by_the_names_of_the_nodes():
    omega = pd.Series({"c": 3.0, "a": 1.0, "b": 2.0})
    for given in (
        {"omega": omega},
        {"omega": {"b": 2.0, "c": 3.0, "a": 1.0}},
        {"omega": [1.0, 2.0, 3.0]},
        {"omega": np.ma.masked_array([1.0, 2.0, 3.0], False)},
        pd.DataFrame({"omega": omega}),
    ):
        run = Trajectories(TIMES, FRAME, node_features=given)
        assert run.node_features["omega"].tolist() == [1.0, 2.0, 3.0]
        assert run.select(["c"]).node_features["omega"].tolist() == [3.0]
    assert Trajectories(TIMES, FRAME).with_features({"omega": omega}).node_features[
        "omega"
    ].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"states": FRAME, "names": list("abx")}, "'x'"),
        ({"states": FRAME.set_axis(list("aab"), axis=1)}, "'a' twice"),
        ({"states": FRAME, "names": "abc"}, "list with one name"),
        ({"states": pd.concat([FRAME, FRAME], axis=1, keys=["x", "y"])}, "from_frame"),
        ({"states": FRAME.assign(time=TIMES)}, "from_frame"),
        ({"states": FRAME.assign(c=["u", "v", "w", "x", "y"])}, "str 'u'"),
        ({"states": FRAME > 0}, "true and false"),
        ({"states": [FRAME, FRAME]}, "list of tables"),
        ({"states": STATES.astype(str)}, "text"),
        ({"states": STATES + 1j}, "complex"),
        ({"states": [*STATES.astype(object).tolist()[:-1], ["a", "b", "c"]]}, "text"),
        ({"states": None}, "None"),
        ({"states": "states.csv"}, "str"),
        ({"states": {"a": [1, 2]}}, "dict"),
        (
            {"states": STATES, "node_features": {"omega": pd.Series([1, 2, 3], list("abc"))}},
            "names=",
        ),
        ({"states": FRAME, "node_features": {"omega": pd.Series([1, 2], list("ab"))}}, "'c'"),
        ({"states": FRAME, "node_features": [1, 2, 3]}, "mapping"),
        ({"states": FRAME, "node_features": pd.Series([1, 2, 3], list("abc"))}, "mapping"),
        ({"states": FRAME, "node_features": {"omega": ["a", "b", "c"]}}, "text"),
        ({"states": FRAME, "node_features": {1: [1, 2, 3]}}, "variables must be names"),
        ({"states": FRAME, "variables": 3}, "variables must be names"),
        ({"states": FRAME, "variables": None}, "variables must be names"),
        ({"states": np.zeros((5, 0))}, "no node"),
    ],
)
def test_states_that_do_not_hold_together_are_refused(arguments, word):
    with pytest.raises(InputError, match=word):
        Trajectories(TIMES, **arguments)


def test_masked_samples_were_not_observed():
    masked = np.ma.masked_array(np.where(STATES < 0.5, -9999.0, STATES), STATES < 0.5)
    run = Trajectories(TIMES, masked)
    np.testing.assert_array_equal(run.observed[:, :, 0], STATES >= 0.5)
    assert np.nanmin(run.states) >= 0.5


# -- edges ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("senders", "receivers", "more", "word"),
    [
        (["a", None], ["b", "c"], {}, r"senders\[1\].*None"),
        (["a", float("nan")], ["b", "c"], {}, r"senders\[1\].*nan"),
        (pd.Series(["a", None]), ["b", "c"], {}, r"senders\[1\]"),
        (np.ma.masked_array([0, 1], [0, 1]), [1, 2], {}, r"senders\[1\] is masked"),
        ([0.0, 1.0], [1, 2], {}, "astype"),
        ([0.5, 1.0], [1, 2], {}, "integers or names"),
        ([True, False], [1, 2], {}, "integers or names"),
        ("ab", "bc", {}, "text 'ab'"),
        ({"a", "b"}, ["b", "c"], {}, "set"),
        ([["a"], ["b"]], [["b"], ["c"]], {}, "shape"),
        ([0, 1], None, {}, "receivers"),
        ([0, 1], [1, 2], {"weights": [1, "x"]}, "weights"),
        ([0, 1], [1, 2], {"weights": np.ma.masked_array([1, 1], [0, 1])}, "nan"),
        ([0, 1], [1, 2], {"weights": [1j, 1]}, "complex"),
        ([0, 1], [1, 2], {"names": "abc"}, "names"),
        ([0, 1], [1, 2], {"names": 3}, "names"),
        ([0, 1], [1, 2], {"num_nodes": 3.5}, "num_nodes"),
        ([0, 1], [1, 10**12], {}, "identifiers"),
    ],
)
def test_edges_that_cannot_be_are_refused(senders, receivers, more, word):
    with pytest.raises(InputError, match=word):
        Network.from_edges(senders, receivers, **more)


def test_edges_come_from_columns_categories_and_mixed_lists():
    table = pd.DataFrame({"s": ["a", "b"], "r": ["b", "c"]})
    wanted = {("a", "b", 1.0), ("b", "c", 1.0)}
    for t in (table, table.astype("category"), table.astype("string")):
        assert edges_of(Network.from_edges(t["s"], t["r"])) == wanted
    assert Network.from_edges([1, "a"], ["a", 2]).names == ("1", "a", "2")
    assert Network.from_edges(pd.Series([0, 1], dtype="Int64"), [1, 0]).num_edges == 2


def test_graphs_and_matrices_are_told_apart():
    with pytest.raises(InputError, match="from_adjacency"):
        Network.from_networkx(np.eye(3))
    with pytest.raises(InputError, match="networkx graph"):
        Network.from_networkx(SimpleNamespace())
