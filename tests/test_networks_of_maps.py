"""Networks of laws in discrete time, from samples alone."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.without_network.finder import SHARES, Finder
from jaxllc.discovery.without_network.pair_problem import PairProblem, network_of
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.errors import InputError
from jaxllc.nodewise.map_rows import MapRows
from jaxllc.running.time_limit import TimeLimit
from jaxllc.settings.discover_settings import DiscoverSettings

NUM_NODES = 8
x_i, x_j = sympy.symbols("x_i x_j")


def adjacency():
    A = (np.random.default_rng(4).random((NUM_NODES, NUM_NODES)) < 0.35).astype(float)
    np.fill_diagonal(A, 0.0)
    A[A.sum(axis=1) == 0, 0] = 1.0
    A[0, 0], A[0, 1] = 0.0, 1.0
    return A


def coupled(A, runs=8, samples=12, level=0.002):
    """Logistic maps, each drawn to the mean of its senders."""
    random, found = np.random.default_rng(1), []
    shares = A / A.sum(axis=1, keepdims=True)
    for _ in range(runs):
        x = [random.uniform(0.05, 0.95, NUM_NODES)]
        for _ in range(samples - 1):
            own = 3.7 * x[-1] * (1 - x[-1])
            x.append(0.7 * own + 0.3 * shares @ own)
        found.append(
            Trajectories(np.arange(samples), x + level * random.normal(size=(samples, NUM_NODES)))
        )
    return found


@pytest.fixture(scope="module")
def problem():
    return PairProblem.of(coupled(adjacency()), 0, DiscoverSettings(dynamics="map"))


def test_rows_are_next_samples_and_terms_at_the_samples_before(problem):
    A = adjacency()
    rows = MapRows(problem.data, network_of(A, problem.names), 0)
    runs = coupled(A)
    now = np.concatenate([run.states[:-1, :, 0] for run in runs]).T
    after = np.concatenate([run.states[1:, :, 0] for run in runs]).T
    assert rows.target == pytest.approx(after)
    assert rows.column(Term(TermFamily(SELF, x_i**2))) == pytest.approx(now**2)
    pulled = rows.column(Term(TermFamily(INTERACTION, x_j - x_i)))
    assert pulled == pytest.approx(A @ now - A.sum(axis=1, keepdims=True) * now)
    assert rows.rotated_at(3, problem.data.all_states()[0]) == pytest.approx(now)
    assert rows.counted.all()


def test_steps_from_what_was_not_observed_do_not_count():
    run = coupled(adjacency())[0]
    states = np.array(run.states)
    states[4, 2] = np.nan
    data = PairProblem.of(
        [Trajectories(run.times, states), *coupled(adjacency())],
        0,
        DiscoverSettings(dynamics="map"),
    ).data
    counted = MapRows(data, network_of(adjacency(), [str(k) for k in range(NUM_NODES)]), 0).counted
    assert not counted[:, 4].any()  # the step that begins there
    assert not counted[2, 3]  # and the one that ends there
    assert counted.sum() == counted.size - NUM_NODES - 1


def test_noise_of_steps_is_that_of_both_ends(problem):
    # The sample after and, by the slope of the map, the one before.
    states = np.concatenate([run.states[:-1, :, 0] for run in coupled(adjacency())])
    slopes = 0.7 * 3.7 * (1 - 2 * states)
    assert problem.noise[0] == pytest.approx(0.002 * np.sqrt(1 + np.mean(slopes**2)), rel=0.35)


def test_edges_that_share_one_strength_are_found(problem):
    found = Finder(problem, TimeLimit(300.0), lambda _: None).finding().found
    assert found.kind == SHARES
    assert np.array_equal(found.present, adjacency() > 0)
    total = found.weights.sum(axis=1)
    assert total == pytest.approx(np.full(NUM_NODES, total[0]))


def test_the_law_of_a_map_is_found_with_its_network():
    law = jaxllc.discover(coupled(adjacency()), None, dynamics="map")
    assert law.trusted
    assert np.array_equal(law.network.to_adjacency().toarray() > 0, adjacency() > 0)
    weight = law.network.in_strength[0]
    equation = law.equations["x"]
    own = sympy.lambdify(x_i, equation.self_term)
    pair = sympy.lambdify((x_i, x_j), equation.interaction_term)
    for a, b in ((0.2, 0.7), (0.5, 0.1), (0.9, 0.6)):
        expected = 0.7 * 3.7 * a * (1 - a) + 0.3 * 3.7 * b * (1 - b)
        assert own(a) + weight * pair(a, b) == pytest.approx(expected, abs=0.01)


def test_process_noise_needs_a_network():
    with pytest.raises(InputError, match="needs a network"):
        jaxllc.discover(coupled(adjacency()), None, process_noise=True)
