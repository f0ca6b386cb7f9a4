"""What the network and the data cannot tell apart, and that it is said where it is so and only there."""

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

from jaxllc import generators
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.stage import Stage
from jaxllc.smoothing.gauge import (
    has_equal_input_weights,
    identifiability_notes,
    undetermined_constants,
)
from jaxllc.smoothing.smooth import smooth

NUM_NODES = 12
X_I, X_J = sympy.symbols("x_i x_j")


@pytest.fixture(scope="module")
def ring():
    return generators.watts_strogatz(NUM_NODES, 4, 0.0)


@pytest.fixture(scope="module")
def hubs():
    return generators.barabasi_albert(NUM_NODES, 2, seed=0)


def run_of(network, rate, start, horizon=3.0, num_times=31):
    A = network.to_adjacency().toarray()
    times = np.linspace(0.0, horizon, num_times)
    solution = solve_ivp(
        lambda t, x: rate(x, A), (0.0, horizon), start, t_eval=times, rtol=1e-9, atol=1e-11
    )
    return Trajectories(times, solution.y.T)


def notes_of(run, network):
    return identifiability_notes([run], network, smooth([run]))


def epidemic(x, A):
    return -0.5 * x + 0.5 * (1 - x) * (A @ x)


@pytest.fixture
def start():
    return np.random.default_rng(0).uniform(0.0, 1.0, NUM_NODES)


def test_equal_input_weights_are_seen_whatever_the_degrees(ring, hubs):
    assert has_equal_input_weights(ring)
    assert not has_equal_input_weights(hubs)
    shares = hubs.weights / hubs.in_strength[hubs.receivers]
    normalised = Network.from_edges(hubs.senders, hubs.receivers, shares, num_nodes=NUM_NODES)
    assert has_equal_input_weights(normalised)
    weighted = Network.from_edges(ring.senders, ring.receivers, 1 + 0.01 * (ring.senders % 3))
    assert not has_equal_input_weights(weighted)


def test_only_equal_input_weights_let_a_function_move_between_the_terms(ring, hubs, start):
    """(f + s c(x), g - c(x_i)) is (f, g), with c = x^2 and s the total input weight."""
    for network, same in ((ring, True), (hubs, False)):
        at = Stage(network, {"x": start[:, None]}, {}).evaluator()
        plain = at.at_nodes(-X_I) + at.over_edges(X_J * X_I)
        strength = sympy.Float(network.in_strength.mean())
        moved = at.at_nodes(-X_I + strength * X_I**2) + at.over_edges(X_J * X_I - X_I**2)
        assert np.allclose(plain, moved, rtol=1e-12) == same


def test_a_regular_network_is_noted(ring, hubs, start):
    (note,) = notes_of(run_of(ring, epidemic, start), ring)
    assert "same total input weight" in note
    assert notes_of(run_of(hubs, epidemic, start), hubs) == []


def test_states_that_hardly_move_are_noted(hubs, start):
    run = run_of(hubs, lambda x, A: 1e-4 * epidemic(x, A), start)
    (note,) = notes_of(run, hubs)
    assert "variable x" in note
    assert "transient" in note


def test_nodes_that_move_as_one_are_noted(hubs):
    run = run_of(
        hubs, lambda x, A: np.cos(3 * x) + A @ x - A.sum(axis=1) * x, np.full(NUM_NODES, 0.1)
    )
    (note,) = notes_of(run, hubs)
    assert "synchrony" in note


def test_only_the_variable_concerned_is_named(hubs, start):
    moving = run_of(hubs, epidemic, start)
    still = np.broadcast_to(start, (31, NUM_NODES)) + 1e-5 * np.linspace(0, 1, 31)[:, None]
    both = Trajectories(moving.times, np.stack([moving.states[..., 0], still], axis=2), ("u", "v"))
    (note,) = notes_of(both, hubs)
    assert "variable v" in note


def test_one_run_with_a_transient_is_enough(hubs, start):
    """The second run starts at rest, where the first one ends."""
    first = run_of(hubs, epidemic, start, horizon=12.0)
    second = run_of(hubs, epidemic, first.states[-1, :, 0])
    runs = [first, second]
    assert identifiability_notes(runs, hubs, smooth(runs)) == []


def test_constants_are_undetermined_by_their_relative_error():
    values, errors = np.array([1.0, -1.0, 1e-3, 0.0]), np.array([0.1, 0.5, 1e-2, 1e-9])
    assert list(undetermined_constants(values, errors)) == [False, True, True, True]
    assert not undetermined_constants(values[:3], errors[:3], largest=20.0).any()
