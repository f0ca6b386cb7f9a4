"""Odd but finite data end in a law or in one sentence: no traceback, no warning."""

from types import SimpleNamespace

import numpy as np
import pytest

import jaxllc
from jaxllc import Network, Trajectories, generators, known_laws
from jaxllc.discovery.data_sizes import check_sizes
from jaxllc.errors import InputError
from jaxllc.judge.bootstrap import chosen_laws
from jaxllc.judge.moves import _weakest
from jaxllc.judge.price import Prices

NETWORK = generators.erdos_renyi(8, 3.0, seed=0)
QUICK = {"neural": "never", "sums": False, "max_terms": 2, "moves": 1}


@pytest.fixture(scope="module")
def run():
    law = known_laws.get("epidemic")
    times = np.linspace(0, 3, 25)
    start = law.sample_initial_state(8, 0)
    return jaxllc.simulate(law.vector_field(), NETWORK, times, start).trajectories


def weighted(weights):
    return Network(NETWORK.senders, NETWORK.receivers, weights, NETWORK.names)


@pytest.mark.parametrize(
    ("weights", "part"),
    [
        (lambda n: np.zeros(n), "all weights"),
        (lambda n: np.full(n, 1e300), "weights of the network reach 1e.300"),
        (lambda n: np.where(np.arange(n) % 2, 1e300, 1.0), "reach 1e.300"),
        (lambda n: np.full(n, 1e-300), "too small"),
    ],
)
def test_weights_that_nothing_can_be_reckoned_with_are_refused(run, weights, part):
    with pytest.raises(InputError, match=part):
        jaxllc.discover(run, weighted(weights(NETWORK.num_edges)), **QUICK)


def test_features_and_times_that_nothing_can_be_reckoned_with_are_refused(run):
    with pytest.raises(InputError, match="node feature w reach"):
        jaxllc.discover(run.with_features({"w": np.full(8, 1e300)}), NETWORK, **QUICK)
    times = run.times.copy()
    times[10] = np.nextafter(times[9], 9)
    with pytest.raises(InputError, match=r"times\[9\] and times\[10\] .* drop one"):
        jaxllc.discover(Trajectories(times, run.states), NETWORK, **QUICK)
    # All of them one unit in the last place apart are as far apart as they can be.
    near = 1e9 + np.arange(25) * np.spacing(1e9)
    check_sizes([Trajectories(near, run.states)], NETWORK)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: Trajectories(r.times[:1], r.states[:1]),
        lambda r: Trajectories(r.times[:2], r.states[:2]),
        lambda r: Trajectories(r.times, np.full(r.states.shape, np.nan)),
        lambda r: Trajectories(r.times, np.where(np.arange(8)[:, None] == 3, r.states, np.nan) * 0),
        lambda r: Trajectories(r.times, np.zeros(r.states.shape)),
        lambda r: Trajectories(r.times, np.full(r.states.shape, 1e5)),
        lambda r: Trajectories(r.times, r.states * 1e-320),
        lambda r: Trajectories(np.arange(25) * 5e-324, r.states),
        lambda r: Trajectories(np.linspace(-1, 1, 25) * 1e308, r.states),
    ],
)
def test_data_without_a_law_get_a_sentence(run, change):
    with pytest.raises(InputError):
        jaxllc.discover(change(run), NETWORK, **QUICK)


def cell(time, node):
    """Where it is in states, (25, 8, 1)."""
    return np.arange(25 * 8).reshape(25, 8, 1) == 8 * time + node


def far_cell(run, seed):
    """Signs at random, and one value far from all others, along which exponentials run away."""
    random = np.random.default_rng(seed)
    size = 10 ** random.uniform(1.3, 3.3)
    states = run.states.copy()
    states[random.integers(25), random.integers(8)] *= size
    return [Trajectories(run.times, states * np.where(random.random(states.shape) < 0.5, -1, 1))]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda r: [r, r], marks=pytest.mark.slow),
        lambda r: [Trajectories(r.times, np.round(r.states * 1000).astype(np.int64))],
        lambda r: [Trajectories(np.arange(25, dtype=np.int8), r.states)],
        lambda r: [Trajectories(r.times, r.states), Trajectories(r.times + 1e12, r.states)],
        # Their squares are beyond all floats.
        lambda r: [Trajectories(r.times, r.states * np.exp(133.0 * r.times)[:, None, None])],
        lambda r: far_cell(r, 112),
        lambda r: far_cell(r, 130),
        lambda r: [Trajectories(r.times, r.states * np.where(cell(12, 3), 200.0, 1.0))],
    ],
)
def test_odd_data_that_hold_a_law_give_one(run, change):
    law = jaxllc.discover(change(run), NETWORK, **QUICK)
    assert law.equations
    assert law.summary()


def test_no_replicate_chooses_a_law_whose_states_have_run_away():
    """Though they count for nothing in some replicates, whose weights of these parts are zero."""
    samples = np.ones((1, 3, 1, 4))
    far = np.where(np.arange(4) < 2, 1e200, 1.0) * samples

    def judged(states, constants):
        law = SimpleNamespace(num_constants=constants, terms=())
        return SimpleNamespace(fit=SimpleNamespace(states=states), law=law)

    problem = SimpleNamespace(samples=samples, weight=np.ones_like(samples), mask=samples)
    judge = SimpleNamespace(
        problem=problem, floor_ratio=1e-6, num_samples=12, penalty=2.0, prices=Prices()
    )
    parts = SimpleNamespace(sums=lambda values: values.sum(axis=(0, 1, 2)))
    weights = np.array([[1.0, 1, 1, 1], [0, 0, 2, 2], [2, 2, 0, 0]])
    laws = [judged(far, 1), judged(1.1 * samples, 3)]
    np.testing.assert_array_equal(chosen_laws(judge, laws, parts, weights), [1, 1, 1])


def test_a_constant_of_no_error_to_speak_of_is_not_the_weakest():
    law = SimpleNamespace(
        owners=lambda: (np.arange(3), np.ones(3, dtype=bool)),
        known=list,
        vector=lambda: np.array([1e160, 2.0, 1.0]),
    )
    assert _weakest(SimpleNamespace(law=law), np.eye(3)) == [2, 1, 0]
