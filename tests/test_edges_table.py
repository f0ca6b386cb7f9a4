"""Networks out of tables: weights of 0 are dropped and said, matrices and Gephi's columns are known."""

import numpy as np
import pandas as pd
import pytest

from jaxllc.data.inputs import match
from jaxllc.data.network import Network
from jaxllc.data.readers import read_edges
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write_file(text):
        path = tmp_path / "edges.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def test_edges_of_weight_zero_are_dropped_and_said(write):
    A = np.random.default_rng(0).integers(0, 2, (10, 10)) * (1 - np.eye(10, dtype=int))
    rows = [f"G{j},G{i},{A[i, j]}" for i in range(10) for j in range(10)]
    network = read_edges(write("sender,receiver,weight\n" + "\n".join(rows)))
    names = [int(name[1:]) for name in network.names]
    np.testing.assert_array_equal(network.to_adjacency().toarray(), A[np.ix_(names, names)])
    assert network.notes == (f"{100 - A.sum()} of 100 edges have the weight 0 and were left out.",)
    edges = Network.from_edges(["a", "b"], ["b", "c"], [0.0, 2.0])
    assert (edges.num_edges, edges.names) == (1, ("a", "b", "c"))
    assert "1 of 2 edges" in edges.notes[0]
    states = Trajectories([0, 1], np.ones((2, 3)), names=["c", "b", "a"])
    assert match(states, edges, allow_isolated=True)[1].notes == edges.notes


def test_places_are_those_of_the_table_though_edges_were_dropped(write):
    with pytest.raises(InputError, match=r"row 4 \('b' -> 'c'\) has the negative weight -1"):
        read_edges(write("sender,receiver,weight\na,b,0\na,c,1\nb,c,-1\n"))


@pytest.mark.parametrize(
    "text",
    [
        ",a,b,c\na,0,1,0\nb,0,0,1\nc,1,0,0\n",
        "node;a;b;c\na;0;1;0\nb;0;0;1\nc;1;0;0\n",
        "0,1,0\n0,0,1\n1,0,0\n",
    ],
)
def test_an_adjacency_matrix_is_named_as_one(write, text):
    with pytest.raises(
        InputError, match=r"adjacency matrix of 3 nodes.*from_adjacency\(pandas.read_csv"
    ):
        read_edges(write(text))


def test_a_matrix_as_a_frame_is_named_as_one():
    frame = pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abc"))
    with pytest.raises(InputError, match=r"adjacency matrix of 3 nodes.*from_adjacency\(frame"):
        read_edges(frame)


def test_the_columns_of_gephi_are_known(write):
    text = "Source,Target,Type,Id,Label,Weight\na,b,{0},0,,1\nb,c,{0},1,,2\n"
    directed = read_edges(write(text.format("Directed")))
    assert directed.num_edges == 2
    both = read_edges(write(text.format("Undirected")))
    np.testing.assert_array_equal(
        both.to_adjacency().toarray(),
        (directed.to_adjacency() + directed.to_adjacency().T).toarray(),
    )
    with pytest.raises(
        InputError, match="row 3, column 'Type' is 'Undirected', but all edges must be directed"
    ):
        read_edges(write("Source,Target,Type\na,b,Directed\nb,c,Undirected\n"))


def test_the_two_ends_are_columns_that_belong_together(write):
    with pytest.raises(InputError, match="the column 'source', which is not understood"):
        read_edges(write("source,from,to\nkegg,a,b\n"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\nb,c\n", "if its first row is an edge already, put that header above it"),
        ("name_1,name_2,id_1,id_2\na,b,0,1\n", "call the two that hold the ends of an edge so"),
        ("1,2\n2,3\n", "has no header"),
        ("sender receiver\na b\n", "separated by blanks"),
    ],
)
def test_other_tables_are_named(write, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_edges(write(text))


def test_numbers_of_any_length_may_name_nodes(write):
    network = read_edges(write(f"sender,receiver\n{'1' * 5000},2\n2,3\n"))
    assert network.num_edges == 2
