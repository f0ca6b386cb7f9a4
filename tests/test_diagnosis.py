"""Diagnosis: each fault of the data is seen and said, and sound data, clean or noisy, raise no alarm."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import jaxllc
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.diagnosis import data_notes, law_notes
from jaxllc.diagnosis.constant_states import held_nodes, likely_inputs
from jaxllc.diagnosis.differences import differences
from jaxllc.diagnosis.directions import compared_directions
from jaxllc.diagnosis.window_rates import WindowRates, plain_columns
from jaxllc.diagnosis.wrapped_phases import wrapped_phases
from tests.diagnosis_problems import LAWS, TIMES, directed, epidemic, phases, simulated

OMEGA = np.random.default_rng(5).uniform(0.5, 2.5, 16)
# A law that explains nothing, so that everything is looked for.
NOTHING = SimpleNamespace(front=(), adjusted_r2={"x": 0.0}, forcing=())


def noted(runs, network, law=NOTHING) -> list[str]:
    seen = data_notes(runs, network)
    return [*seen, *law_notes(law, runs, network, seen)]


def own_frequencies(t, x, A):
    return OMEGA - 1.0 + phases(t, x, A)


def daylight(t, x, A):
    return epidemic(t, x, A) + 0.3 * (np.sin(2 * t) > 0)


# -- no false alarm ----------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("name", LAWS)
def test_sound_data_raise_no_alarm_although_no_law_was_found(name, noise):
    high = 3.0 if name == "phases" else 1.0
    for seed in (1, 2):
        network = directed(seed)
        run = simulated(LAWS[name], network, high=high, seed=seed, noise=noise * high / 3)
        notes = noted([run], network)
        # That hardly an edge has its reverse is the only thing to ask, where the data do not answer it.
        assert [n for n in notes if "has its reverse: if" not in n] == []


def test_what_explains_the_samples_needs_no_diagnosis():
    network = directed()
    run = simulated(own_frequencies, network, high=3.0)
    explained = SimpleNamespace(
        front=(SimpleNamespace(chosen=True, chi_squared=1.1),), adjusted_r2={"x": 0.9}
    )
    assert law_notes(explained, [run], network) == []


# -- directions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["epidemic", "gene", "phases"])
def test_a_network_listed_once_and_one_turned_round_are_seen(name):
    once = directed(3)
    both = once.to_undirected()
    high = 3.0 if name == "phases" else 1.0
    run = simulated(LAWS[name], both, high=high, noise=0.003)
    (note,) = data_notes([run], once)
    assert "No edge of" in note
    assert "undirected=True" in note
    assert data_notes([run], both) == []
    run = simulated(LAWS[name], once, high=high, noise=0.003)
    turned = Network.from_edges(once.receivers, once.senders, num_nodes=16)
    (note,) = data_notes([run], turned)
    assert "swapped" in note


def test_where_the_data_do_not_tell_the_doubt_is_said_of_a_law_that_leaves_much():
    once = directed(3)
    run = simulated(LAWS["tanh"], once.to_undirected())
    assert data_notes([run], once) == []
    (note,) = noted([run], once)
    assert "if the network is undirected" in note


def test_directions_are_compared_by_what_they_leave():
    once = directed(3)
    run = simulated(epidemic, once.to_undirected())
    found = compared_directions(WindowRates.of([run]), once)
    assert found.both < 1e-3
    assert found.left > 0.01
    found = compared_directions(WindowRates.of([simulated(epidemic, once)]), once)
    assert min(found.both, found.reverse) > 2


# -- differences ------------------------------------------------------------------------------------


def test_constants_of_the_nodes_are_seen_and_named():
    network = directed()
    run = simulated(own_frequencies, network, high=3.0, noise=0.002)
    (note,) = noted([run], network)
    assert "The nodes differ" in note
    assert repr(str(OMEGA.argmin())) in note
    assert repr(str(OMEGA.argmax())) in note
    rates = WindowRates.of([run])
    (found,) = differences(rates, plain_columns(rates, network))
    assert found.what == "nodes"
    np.testing.assert_allclose(found.values, OMEGA - OMEGA.mean(), atol=0.1)
    given = run.with_features({"omega": OMEGA})
    assert [n for n in noted([given], network) if "reverse" not in n] == []


def test_an_input_in_no_column_is_seen():
    network = directed()
    run = simulated(daylight, network, times=np.linspace(0, 12, 121), noise=0.001)
    (note,) = noted([run], network)
    assert "acts on x of all nodes alike" in note


def test_runs_that_differ_are_seen():
    network = directed()
    runs = [
        simulated(
            lambda t, x, A, push=push: epidemic(t, x, A) + push, network, seed=seed, noise=0.001
        )
        for seed, push in enumerate((0.0, 0.2, 0.05, 0.4))
    ]
    (note,) = noted(runs, network)
    assert "The runs differ" in note
    assert "in run 1 to" in note
    assert "in run 4" in note


# -- angles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "low"), [(2 * np.pi, 0.0), (2 * np.pi, -np.pi), (360.0, 0.0), (1.0, 0.0)]
)
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_angles_kept_within_a_turn_are_seen_until_they_are_unwrapped(period, low, noise):
    network = directed()
    run = simulated(own_frequencies, network, high=3.0, noise=noise)
    turns = run.states / (2 * np.pi) * period
    wrapped = replace(run, states=(turns - low) % period + low)
    (found,) = wrapped_phases([wrapped])
    assert found.count == (np.abs(np.diff(wrapped.states, axis=0)) > period / 2).sum()
    (note,) = data_notes([wrapped], network)
    assert "numpy.unwrap" in note
    unwrapped = replace(run, states=np.unwrap(wrapped.states, axis=0, period=period))
    assert wrapped_phases([unwrapped]) == []


def test_the_first_jump_is_named_by_node_and_time():
    states = np.array([[0.1, 6.0, 3.0], [0.2, 0.1, 3.1], [0.3, 0.4, 3.2]] + [[0.4, 0.6, 3.4]] * 3)
    run = Trajectories(np.arange(6) / 2, states, names=["p", "q", "r"])
    (found,) = wrapped_phases([run])
    assert (found.node, found.before, found.after, found.count) == ("q", 0.0, 0.5, 1)


@pytest.mark.parametrize("kind", ["switch", "decay", "noise", "missing"])
def test_other_leaps_are_no_angles(kind):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 10, 101)[:, None]
    states = {
        "switch": (t > rng.uniform(1, 9, 8)).astype(float),
        "decay": 6.2 * np.exp(-t * rng.uniform(5, 50, 8)),
        "noise": rng.uniform(0, 1, (101, 8)),
        "missing": np.where(
            rng.random((101, 8)) < 0.3, np.nan, 6.2 * np.cos(t + np.arange(8)) ** 2
        ),
    }[kind]
    assert wrapped_phases([Trajectories(t[:, 0], states)]) == []


# -- inputs and held nodes --------------------------------------------------------------------------


def test_a_variable_with_one_course_in_all_nodes_looks_like_an_input():
    x = simulated(epidemic, directed()).states
    wave = np.broadcast_to(np.sin(3 * TIMES)[:, None, None], x.shape)
    (found,) = likely_inputs([Trajectories(TIMES, np.concatenate([x, wave], 2), ("x", "u"))])
    assert (found.variable, found.common, found.values) == ("u", True, ())
    switched = (np.sin(3 * TIMES[:, None] + np.arange(16)) > 0).astype(float)[:, :, None]
    run = Trajectories(TIMES, np.concatenate([x, switched], 2), ("x", "u"))
    (found,) = likely_inputs([run])
    assert (found.common, found.values) == (False, (0.0, 1.0))
    assert "takes only the values 0, 1" in data_notes([run], directed())[0]


def test_nodes_in_synchrony_are_not_inputs():
    wave = np.broadcast_to(np.sin(3 * TIMES)[:, None], (61, 16))
    assert likely_inputs([Trajectories(TIMES, wave)]) == []


def test_a_node_that_never_moves_is_named_where_the_law_leaves_much():
    network = directed()
    run = simulated(epidemic, network, noise=0.01)
    states = run.states.copy()
    states[:, 3] = 0.25
    held = replace(run, states=states)
    assert held_nodes([held]) == {"x": ["3"]}
    assert held_nodes([held, run]) == {}
    assert any("never changes in the node '3'" in note for note in noted([held], network))


# -- where a person meets it -------------------------------------------------------------------------


def test_notes_reach_the_law_and_are_said_before_the_search():
    once = directed(3)
    run = simulated(epidemic, once.to_undirected())
    said = []
    choices = {"functions": (), "division": False, "sums": False, "neural": "never", "moves": 0}
    for network, word in ((once, "undirected=True"), (once.to_undirected(), None)):
        said.clear()
        law = jaxllc.discover(
            run, network, progress=lambda stage, what: said.append((stage, what)), **choices
        )
        early = [what for stage, what in said if stage == "data"]
        if word is None:
            assert early == []
            assert not any("undirected" in note for note in law.notes)
            assert jaxllc.metrics.skeleton_equal(law, jaxllc.known_laws.get("epidemic").equations)
        else:
            assert word in early[0]
            assert early[0] in law.notes
