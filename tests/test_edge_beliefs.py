"""What is believed of edges beforehand: mappings and tables, and what is wrong with them."""

import pytest

import jaxllc
from jaxllc import generators
from jaxllc.errors import InputError
from jaxllc.settings.edge_beliefs import checked_edge_prior
from jaxllc.settings.edge_beliefs_table import read_edge_beliefs

TABLE = "sender,receiver,belief\na,b,sure\nb,c,forbidden\nc,a,sure\n"
READ = {"sure": (("a", "b"), ("c", "a")), "forbidden": (("b", "c"),)}


def test_a_table_says_what_a_mapping_says(tmp_path):
    path = tmp_path / "beliefs.csv"
    path.write_text(TABLE)
    assert checked_edge_prior(path) == checked_edge_prior(READ) == READ
    import pandas as pd

    assert checked_edge_prior(pd.read_csv(path)) == READ
    assert checked_edge_prior(None) is None
    assert checked_edge_prior({"likely": [], "given": 1}) == {"likely": (), "given": 1.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sender,receiver\na,b\n", "must start with the header sender,receiver,belief"),
        ("sender,receiver,belief\na,b,perhaps\n", "a belief is sure, likely or forbidden"),
    ],
)
def test_a_table_that_is_wrong_is_told(tmp_path, text, said):
    path = tmp_path / "beliefs.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as told:
        read_edge_beliefs(path)
    assert "beliefs.csv" in str(told.value)


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        (3, "edge_prior must be a mapping"),
        ({"certain": []}, "edge_prior names 'certain'"),
        ({"sure": ["ab"]}, "no pair of a sender and a receiver"),
        ({"sure": "ab"}, "give a list of pairs"),
        ({"given": 1.5}, "edge_prior\\['given'\\] is 1.5"),
    ],
)
def test_a_mapping_that_is_wrong_is_told(prior, said):
    with pytest.raises(InputError, match=said):
        checked_edge_prior(prior)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"edge_prior": {"sure": [("0", "99")]}}, "the network has no node '99'"),
        ({"edge_prior": {"sure": [("0", "0")]}}, "an edge of 0 to itself"),
        ({"edge_prior": {"given": 1.0}}, "given is 1; give a probability between 0 and 1"),
        ({"edge_prior": READ, "edges": "given"}, "does not read edge_prior"),
        (
            {"edge_prior": READ, "process_noise": True},
            "process_noise=True does not read edge_prior",
        ),
        ({"edge_prior": READ, "preset": "llc"}, "edge_prior"),
        ({"edge_prior": READ, "weights": "unknown"}, "edge_prior"),
    ],
)
def test_what_does_not_go_together_is_told_at_once(choices, said):
    network = generators.erdos_renyi(6, 2, seed=1)
    data = jaxllc.known_laws.get("epidemic").simulate(network, range(6), seed=0)
    with pytest.raises(InputError, match=said):
        jaxllc.discover(data, network, **choices)


def test_a_network_that_is_not_given_has_no_edges_to_believe_in():
    network = generators.erdos_renyi(6, 2, seed=1)
    data = jaxllc.known_laws.get("epidemic").simulate(network, range(6), seed=0)
    with pytest.raises(InputError, match="edge_prior needs a network"):
        jaxllc.discover(data, None, edge_prior=READ)
    with pytest.raises(InputError, match="needs a network"):
        jaxllc.discover(data, None, classes="always")
