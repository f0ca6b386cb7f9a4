"""Every public entry of discovery, given a thing of the wrong type, ends in a result or an InputError."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import jaxllc
from jaxllc import generators, known_laws, metrics
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.law.forecast import hold_out
from jaxllc.law.law import Law
from jaxllc.settings.checks import checked_settings
from jaxllc.symbolic import Grammar, Samples, search_term

TIMES = np.linspace(0, 1, 6)
NETWORK = generators.erdos_renyi(6, 2.0, seed=0)
RUN = Trajectories(TIMES, np.random.default_rng(0).random((6, 6)))
LAW = Law({"x": Equation.from_text("-x_i", "0.3*x_j")}, network=NETWORK)
KNOWN = known_laws.get("epidemic_heterogeneous")

WRONG = {
    "None": None,
    "int": 3,
    "negative": -1,
    "float": 3.5,
    "nan": float("nan"),
    "huge": 10**30,
    "complex": 1j,
    "text": "abc",
    "bytes": b"x",
    "bool": True,
    "empty": [],
    "texts": ["a", "b"],
    "ragged": [[1, 2], [3]],
    "dict": {"a": 1},
    "set": {1, 2},
    "array": np.zeros((2, 2)),
    "nans": np.full(6, np.nan),
    "masked": np.ma.masked_all(6),
    "strings": np.array(["a"] * 6),
    "frame": pd.DataFrame({"a": [1, 2]}),
    "dates": pd.Series(pd.date_range("2020", periods=3)),
    "object": object(),
    "function": len,
    "type": int,
    "run": RUN,
    "network": NETWORK,
    "law": LAW,
    "path": Path("nowhere/x.csv"),
}
SIMULATION = {
    "field": LAW.vector_field(),
    "network": NETWORK,
    "times": TIMES,
    "initial_state": np.ones(5),  # of one node too few: nothing is compiled
    "node_features": None,
    "solver": "tsit5",
    "rtol": 1e-6,
    "atol": 1e-8,
    "max_steps": 100,
    "dtype": np.float64,
}
SAMPLES = Samples.of(["x"], np.linspace(0, 1, 50), np.linspace(0, 1, 50) ** 2)
EDGES = pd.DataFrame({"sender": ["a", "b"], "receiver": ["b", "a"]})
ENTRIES = {
    "simulate": (jaxllc.simulate, SIMULATION),
    "Law.simulate": (
        LAW.simulate,
        {"initial_state": np.ones(5), "times": TIMES, "network": NETWORK},
    ),
    "Law.save": (LAW.save, {"path": "law.json"}),
    "Law.report": (LAW.report, {"path": 3}),
    "load_law": (jaxllc.load_law, {"path": "nowhere.json"}),
    "known_laws.get": (known_laws.get, {"name": "epidemic"}),
    "KnownLaw.simulate": (
        KNOWN.simulate,
        {"network": NETWORK, "times": TIMES, "initial_state": np.ones(5), "seed": 0},
    ),
    "KnownLaw.default_times": (KNOWN.default_times, {"num_times": 5}),
    "KnownLaw.sample_initial_state": (KNOWN.sample_initial_state, {"num_nodes": 5, "seed": 0}),
    "KnownLaw.sample_features": (KNOWN.sample_features, {"num_nodes": 5, "seed": 0}),
    "KnownLaw.with_parameters": (KNOWN.with_parameters, {next(iter(KNOWN.parameters)): 0.5}),
    "adjusted_r2": (metrics.adjusted_r2, {"predicted": RUN, "observed": RUN, "num_terms": 1}),
    "estimation_error": (
        metrics.normalized_estimation_error,
        {"predicted": RUN, "observed": RUN},
    ),
    "skeleton": (metrics.skeleton, {"law": LAW}),
    "skeleton_equal": (metrics.skeleton_equal, {"found": LAW, "true": KNOWN}),
    "term_recall": (metrics.term_recall, {"found": LAW, "true": KNOWN}),
    "coefficient_error": (metrics.coefficient_error, {"found": LAW, "true": KNOWN}),
    "worst_error": (metrics.worst_coefficient_error, {"found": LAW, "true": KNOWN}),
    "erdos_renyi": (generators.erdos_renyi, {"num_nodes": 6, "mean_degree": 2.0, "seed": 0}),
    "barabasi_albert": (generators.barabasi_albert, {"num_nodes": 6, "attachments": 2, "seed": 0}),
    "watts_strogatz": (
        generators.watts_strogatz,
        {"num_nodes": 6, "neighbours": 2, "rewiring": 0.1, "seed": 0},
    ),
    "community": (
        generators.community,
        {"sizes": [3, 3], "p_within": 0.9, "p_between": 0.1, "seed": 0},
    ),
    "grid": (generators.grid, {"rows": 2, "columns": 3}),
    "subnetwork": (NETWORK.subnetwork, {"names": ["1", "2"]}),
    "relabelled": (NETWORK.relabelled, {"permutation": [1, 0, 2, 3, 4, 5]}),
    "to_graph": (NETWORK.to_graph, {"node_features": {"omega": np.ones(6)}}),
    "Network.to_csv": (NETWORK.to_csv, {"path": "edges.csv"}),
    "from_edges": (
        Network.from_edges,
        {"senders": [0, 1], "receivers": [1, 2], "weights": None, "names": None, "num_nodes": None},
    ),
    "from_adjacency": (Network.from_adjacency, {"A": np.zeros((3, 3)), "names": None}),
    "from_networkx": (
        Network.from_networkx,
        {"graph": NETWORK.to_networkx(), "weight": "weight", "signed": False},
    ),
    "Network.from_frame": (Network.from_frame, {"frame": EDGES, "names": None, "signed": False}),
    "Network.read_csv": (Network.read_csv, {"path": "nowhere.csv"}),
    "Trajectories": (
        Trajectories,
        {
            "times": TIMES,
            "states": RUN.states,
            "variables": ("x",),
            "node_features": None,
            "names": None,
            "notes": (),
        },
    ),
    "Trajectories.from_frame": (
        Trajectories.from_frame,
        {"frame": RUN.to_frame(), "node_features": None},
    ),
    "window": (RUN.window, {"start": 0.0, "stop": 1.0}),
    "with_noise": (RUN.with_noise, {"snr_db": 20.0, "seed": 0}),
    "select": (RUN.select, {"names": ["1", "2"]}),
    "with_features": (RUN.with_features, {"node_features": {"omega": np.ones(6)}}),
    "Trajectories.to_csv": (RUN.to_csv, {"path": "states.csv"}),
    "read_states": (jaxllc.read_states, {"source": RUN.to_frame(), "minimum_times": 2}),
    "read_edges": (jaxllc.read_edges, {"source": EDGES, "signed": False, "names": None}),
    "read_features": (
        jaxllc.read_features,
        {"source": pd.DataFrame({"node": ["a"], "omega": [1.0]}), "names": None},
    ),
    "match": (jaxllc.match, {"states": RUN, "network": NETWORK}),
    "Samples.of": (
        Samples.of,
        {"names": ["x"], "points": np.linspace(0, 1, 9), "values": np.ones(9), "error": None},
    ),
    "Grammar": (Grammar, {"functions": ("sin",), "division": True}),
    "hold_out": (hold_out, {"runs": [RUN], "fraction": 0.1}),
    "Equation.from_text": (Equation.from_text, {"self_term": "-x_i", "interaction_term": "x_j"}),
    "settings": (
        lambda **choices: checked_settings(None, choices),
        {"engines": ("sparse",), "functions": ("sin",), "max_terms": 3, "neural": "never"},
    ),
}

# What is no mistake, and takes its time.
RIGHT = {
    ("Law.report", "path", "text"),
    ("Law.report", "path", "path"),
    ("KnownLaw.simulate", "initial_state", "None"),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_wrong_type_ends_in_a_result_or_a_sentence(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, good = ENTRIES[entry]
    for argument in good:
        for what, value in WRONG.items():
            if (entry, argument, what) in RIGHT:
                continue
            try:
                call(**{**good, argument: value})
            except InputError as error:
                said = str(error)
            else:
                said = "a result"
            assert len(said) < 700, f"{argument}={what}: {said}"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("samples", np.zeros((5, 2))),
        ("samples", None),
        ("engines", "sparse"),
        ("engines", ("nobody",)),
        ("engines", 3),
        ("seconds", "soon"),
        ("seconds", -1.0),
        ("seconds", float("nan")),
        ("seed", "a"),
        ("seed", -1),
        ("grammar", ("sin",)),
        ("independent", "many"),
        ("independent", -3.0),
    ],
)
def test_search_term_names_what_it_cannot_use(argument, value):
    arguments = {"samples": SAMPLES, "engines": ("sparse",), "seconds": 0.1, "seed": 0}
    with pytest.raises(InputError, match=argument.rstrip("s")):
        search_term(**{**arguments, argument: value})


@pytest.mark.parametrize(
    ("read", "given", "said"),
    [
        (
            jaxllc.read_edges,
            [("a", "b")],
            r"source is \[\('a', 'b'\)\], .* not of type list; .*pairs",
        ),
        (jaxllc.read_edges, {"a": "b"}, r"source is {'a': 'b'}, .* not of type dict; .*from_edges"),
        (
            jaxllc.read_edges,
            np.zeros((2, 2)),
            r"not of type ndarray; .*from_adjacency\(A\) a matrix",
        ),
        (jaxllc.read_edges, None, "source is None, .* not of type NoneType; "),
        (jaxllc.read_states, RUN.states, r"ndarray; Trajectories\(times, states\) takes arrays"),
        (jaxllc.read_states, 3, "source is 3, .* not of type int; "),
        (
            jaxllc.read_features,
            {"omega": [1.0]},
            "source is {'omega': .* not of type dict; .*node_feat",
        ),
    ],
)
def test_readers_name_what_was_given_and_what_takes_it(read, given, said):
    with pytest.raises(
        InputError, match="must be the path of a file or a pandas DataFrame"
    ) as error:
        read(given)
    assert re.search(said, str(error.value))


def test_pairs_become_a_network_as_the_sentence_says():
    pairs = [("a", "b"), ("c", "b"), ("b", "a")]
    network = Network.from_edges(*zip(*pairs, strict=True))
    names = network.names
    assert {
        (names[s], names[r]) for s, r in zip(network.senders, network.receivers, strict=True)
    } == {*pairs}


def test_labels_set_the_order_of_an_initial_state():
    names, variables = NETWORK.names, ("x", "y")
    from jaxllc.dynamics.simulation_input import state_values

    state = np.random.default_rng(0).random((6, 2))
    frame = pd.DataFrame(state, index=list(names), columns=list(variables))
    turned = frame.iloc[[3, 1, 0, 2, 5, 4]][["y", "x"]]
    np.testing.assert_array_equal(state_values(turned, names, variables), state)
    by_name = {name: state[n, 0] for n, name in reversed(list(enumerate(names)))}
    np.testing.assert_array_equal(state_values(by_name, names, ("x",)), state[:, 0])
    np.testing.assert_array_equal(state_values(turned["x"], names, ("x",)), state[:, 0])
    with pytest.raises(InputError, match="'6'"):
        state_values({**by_name, "6": 1.0}, names, ("x",))


def test_a_law_may_stand_where_its_field_is_wanted():
    from jaxllc.dynamics.simulation_input import field_of

    assert field_of(LAW).variables == ("x",)
    with pytest.raises(InputError, match="vector field"):
        field_of(SimpleNamespace())
