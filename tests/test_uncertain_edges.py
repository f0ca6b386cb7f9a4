"""Laws fitted on the network of the edges that the samples ask for."""

import argparse

import numpy as np
import pytest

import jaxllc
from jaxllc import generators, metrics
from jaxllc.commands.discover import add_settings_arguments, settings_of
from jaxllc.data.network import Network
from jaxllc.errors import InputError
from tests.sum_laws import law_of
from tests.test_nodewise import NUM_NODES, epidemic, runs_on, spoiled

TRUE = generators.erdos_renyi(NUM_NODES, 4, seed=3).to_adjacency().toarray()
CHOICES = {"sums": False, "neural": "never", "functions": (), "engines": ("sparse",)}
FORM = law_of("-0.6*x_i", "0.3*(1 - x_i)*x_j")


def test_the_law_of_a_spoiled_network_is_fitted_on_the_mended_one():
    given, nodes = spoiled(TRUE, 9)
    runs = runs_on(TRUE, epidemic, level=0.01, runs=4)
    network = Network.from_adjacency(given)
    lost = tuple(str(n) for n in np.argwhere((TRUE != 0) & (given == 0))[0][::-1])
    law = jaxllc.discover(
        runs, network, edges="uncertain", edge_prior={"sure": [lost], "given": 0.8}, **CHOICES
    )
    assert law.settings["edge_prior"] == {"sure": (lost,), "given": 0.8}
    told = law.network_table().set_index(["sender", "receiver"])
    assert told.loc[lost, "probability"] == 1.0
    assert metrics.skeleton_equal(law, FORM), str(law)
    found = law.network.to_adjacency().toarray()
    assert np.sum(found != TRUE) <= 1
    # Nodes follow with the senders that they were given back.
    assert np.sum(law.follows[nodes] > 0.5) >= 8
    table = law.network_table()
    assert table["given"].sum() == np.count_nonzero(given)
    assert np.array_equal(law.repaired_network().to_adjacency().toarray(), found)
    assert metrics.worst_coefficient_error(law, FORM) < 0.02


def test_edges_of_a_right_network_are_kept():
    runs = runs_on(TRUE, epidemic, level=0.01)
    network = Network.from_adjacency(TRUE)
    law = jaxllc.discover(runs, network, edges="uncertain", **CHOICES)
    assert metrics.skeleton_equal(law, FORM)
    assert set(law.network_table()["edge"]) == {"kept"}
    assert law.network == network
    options = argparse.ArgumentParser()
    add_settings_arguments(options)
    assert settings_of(options.parse_args(["--uncertain-edges"])).edges == "uncertain"
    assert settings_of(options.parse_args(["--given-edges"])).edges == "given"
    assert settings_of(options.parse_args([])).edges == "auto"
    with pytest.raises(InputError, match="edges must be"):
        jaxllc.discover(runs, network, edges="likely")
