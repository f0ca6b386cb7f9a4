"""Laws on networks whose edges are known and whose weights are not."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.without_network.pair_problem import PairProblem, network_of
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.metrics import skeleton_equal
from jaxllc.nodewise.map_rows import rows_of
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.unknown_network.unknown_weights import UnknownWeights

NUM_NODES = 16
NETWORK = jaxllc.generators.barabasi_albert(NUM_NODES, 2, seed=3)
TRUTH = {"x": Equation.from_text("0.7", "0.4*sin(x_j - x_i)")}


def weights():
    A = NETWORK.to_adjacency().toarray()
    A = A * np.random.default_rng(5).uniform(0.5, 1.5, A.shape)
    return A / A[A > 0].mean()


def runs_of(A, runs=4, samples=30):
    random, times, found = np.random.default_rng(0), np.linspace(0, 3, samples), []
    for _ in range(runs):
        start = random.uniform(0.0, 6.2, NUM_NODES)
        x = solve_ivp(
            lambda _, x: 0.7 + 0.4 * (A * np.sin(x - x[:, None])).sum(axis=1),
            (0, 3),
            start,
            t_eval=times,
            rtol=1e-9,
        ).y.T
        found.append(Trajectories(times, x + 0.02 * random.normal(size=x.shape)))
    return found


@pytest.fixture(scope="module")
def law():
    return jaxllc.discover(runs_of(weights()), NETWORK, weights="unknown")


def test_law_and_weights_are_found(law):
    A = weights()
    there = A > 0
    found = law.network.to_adjacency().toarray()
    assert skeleton_equal(law, TRUTH)
    assert np.array_equal(found != 0, there)
    assert found[there].mean() == pytest.approx(1.0)
    assert np.corrcoef(found[there], A[there])[0, 1] > 0.9
    mean = [c for c in law.constants if c.side == "interaction" and c.role == "coefficient"]
    assert abs(mean[0].value) == pytest.approx(0.4, rel=0.02)
    assert all(np.isfinite(c.standard_error) for c in law.constants)


def test_intervals_of_weights_hold_most_of_them(law):
    A = weights()
    table = law.network_table()
    assert len(table) == NETWORK.num_edges
    true = A[table.receiver.astype(int), table.sender.astype(int)]
    inside = (table.low <= true) & (true <= table.high)
    assert inside.mean() > 0.85
    assert (table.edge == "kept").all()


def test_relabelled_nodes_have_the_same_weights():
    A, runs = weights(), runs_of(weights(), runs=3, samples=20)
    order = np.random.default_rng(2).permutation(NUM_NODES)
    found = []
    for places in (np.arange(NUM_NODES), order):
        turned = [Trajectories(r.times, r.states[:, places]) for r in runs]
        problem = PairProblem.of(turned, 0, DiscoverSettings())
        nobody = network_of(np.zeros(A.shape), problem.names)
        rows = rows_of(problem.data, nobody, 0)
        sine = [
            t for t in problem.interactions if "sin(w0*x_i - w0*x_j)" in str(t.family.expression)
        ]
        present = (A > 0)[np.ix_(places, places)]
        search = UnknownWeights(rows, problem.noise[0], problem.plain, sine[:2], present)
        found.append(search.moved(search.fitted(search.own, sine[1])))
    expected = found[0].weights[np.ix_(order, order)]
    assert found[1].weights == pytest.approx(expected, abs=1e-3)
    assert found[1].criterion == pytest.approx(found[0].criterion, abs=0.1)


def test_interactions_that_are_there_gain(law):
    problem = PairProblem.of(runs_of(weights()), 0, DiscoverSettings())
    shape = (NUM_NODES, NUM_NODES)
    rows = rows_of(problem.data, network_of(np.zeros(shape), problem.names), 0)
    search = UnknownWeights(
        rows, problem.noise[0], problem.plain, problem.interactions, weights() > 0
    )
    right = [t for t in problem.interactions if "sin(w0*x_i - w0*x_j)" in str(t.family.expression)]
    best = min((search.fitted(search.own, t) for t in right), key=lambda one: one.criterion)
    assert search.moved(best).criterion < search.none - 1000.0


@pytest.mark.parametrize(
    "choices",
    [{"vary": {"omega": "node"}}, {"held": ["1"]}, {"preset": "neural"}, {"process_noise": True}],
)
def test_what_does_not_go_with_unknown_weights_says_so(choices):
    with pytest.raises(InputError, match="weights"):
        jaxllc.discover(runs_of(weights(), 1, 10), NETWORK, weights="unknown", **choices)


def test_weights_are_given_or_unknown():
    with pytest.raises(InputError, match="weights must be"):
        jaxllc.discover(runs_of(weights(), 1, 10), Network.from_edges([0], [1]), weights="free")
