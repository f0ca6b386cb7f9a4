"""Steps between samples: noise levels, rows and the filter, against dense matrices and known answers."""

import numpy as np
import pytest
import sympy
from scipy.linalg import expm

import jaxllc
from jaxllc import generators
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.smoothing.grid_data import on_grids
from jaxllc.transitions.batched_law import BatchedLaw
from jaxllc.transitions.filter_fit import FilterFitter, FilterProblem
from jaxllc.transitions.noise_levels import noise_levels, step_modes
from jaxllc.transitions.state_filter import filtered, segments
from jaxllc.transitions.transition_rows import TransitionRows

x_i, x_j, y_i, x_s = sympy.symbols("x_i x_j y_i x_s")
OWN, SPREAD = Term(TermFamily(SELF, x_i)), Term(TermFamily(INTERACTION, x_j - x_i))
RATE, COUPLING = 0.5, 0.15


def linear_law(rate=-RATE, coupling=COUPLING):
    return CandidateLaw(((OWN, SPREAD),), ((rate, coupling),))


def ornstein_uhlenbeck(seed, sigma, q, nodes=12, samples=60, step=0.1, runs=2):
    """Samples of dx = (-a x + b L x) dt + q dW, drawn from its exact transitions, with white noise."""
    random = np.random.default_rng(seed)
    network = generators.erdos_renyi(nodes, 3, seed=seed)
    A = network.to_adjacency().toarray()
    jacobian = -RATE * np.eye(nodes) + COUPLING * (A - np.diag(A.sum(axis=1)))
    through, parts = expm(jacobian * step), np.linspace(0, step, 41)
    spread = [expm(jacobian * s) @ expm(jacobian * s).T for s in parts]
    root = np.linalg.cholesky(
        q**2 * np.trapezoid(np.array(spread), parts, axis=0) + 1e-18 * np.eye(nodes)
    )
    found = []
    for _ in range(runs):
        state = random.normal(0, 1.5, nodes)
        path = [state]
        for _ in range(samples - 1):
            state = through @ state + root @ random.standard_normal(nodes)
            path.append(state)
        noisy = np.array(path) + sigma * random.standard_normal((samples, nodes))
        found.append(Trajectories(step * np.arange(samples), noisy))
    return found, network


def data_of(runs):
    states = [np.nan_to_num(run.states) for run in runs]
    return on_grids(runs, [run.times for run in runs], states, np.zeros(runs[0].num_variables))


def problem_of(runs, network, longest=10**6, **choices):
    data = data_of(runs)
    given = {"is_map": False, "substeps": 1} | choices
    return FilterProblem(segments(data, longest), network, data.variables, {}, **given)


def covariance_of_steps(times, sigma, q, gap=None):
    """The covariance of the steps over the roots of their durations, by the samples they are made of."""
    steps = np.diff(times)
    differences = (np.eye(len(times))[1:] - np.eye(len(times))[:-1]) / np.sqrt(steps)[:, None]
    kept = np.arange(len(steps)) != gap
    whole = sigma**2 * differences @ differences.T + q**2 * np.eye(len(steps))
    return whole[np.ix_(kept, kept)]


def test_rows_are_those_of_the_dense_covariance_on_uneven_times():
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.05, 0.4, 15))
    sigma, q, gap = 0.3, 0.7, 6
    states = random.standard_normal((15, 3))
    states[gap, 1] = np.nan  # two steps of the second node are not there
    network = jaxllc.Network.from_edges([0, 1], [2, 2], num_nodes=3)
    rows = TransitionRows(data_of([Trajectories(times, states)]), network, 0)
    rows.whitened(sigma**2, q**2)
    values = random.standard_normal((3, 15))
    column = rows.rotated([values])
    for node in (0, 2):
        inverse = np.linalg.inv(covariance_of_steps(times, sigma, q))
        moves = np.diff(states[:, node]) / np.sqrt(np.diff(times))
        terms = values[node, :-1] * np.sqrt(np.diff(times))
        assert rows.target[node] @ rows.target[node] == pytest.approx(moves @ inverse @ moves)
        assert rows.target[node] @ column[node] == pytest.approx(moves @ inverse @ terms)
    assert rows.num_rows.tolist() == [14, 12, 14]


def test_modes_of_steps_that_do_not_join_are_apart():
    times = np.cumsum(np.random.default_rng(1).uniform(0.1, 0.5, 9))
    gap = 3
    kept = np.flatnonzero(np.arange(8) != gap)
    modes, sizes = step_modes(np.diff(times)[kept], np.diff(kept) == 1)
    dense = covariance_of_steps(times, 1.0, 0.0, gap)
    np.testing.assert_allclose(modes.T @ (sizes[:, None] * modes), dense, atol=1e-12)


@pytest.mark.parametrize(("sigma", "q"), [(0.3, 0.8), (1.0, 0.0), (0.0, 1.0)])
def test_both_noises_are_told_apart(sigma, q):
    sizes = 2 - 2 * np.cos(np.pi * np.arange(1, 61) / 61)
    sizes = np.tile(sizes, 200)
    random = np.random.default_rng(2)
    squares = (q**2 + sigma**2 * sizes) * random.standard_normal(len(sizes)) ** 2
    measurement, process = noise_levels(squares, sizes)
    assert np.sqrt(measurement) == pytest.approx(sigma, abs=0.03)
    assert np.sqrt(process) == pytest.approx(q, abs=0.03)


def test_the_jacobians_of_a_law_are_differences_of_its_rates():
    random = np.random.default_rng(3)
    network = generators.erdos_renyi(6, 2, seed=1)
    own = Term(TermFamily(SELF, sympy.tanh(x_s) * y_i - x_i**3))
    between = Term(TermFamily(INTERACTION, sympy.sin(x_j - x_i) * sympy.Symbol("y_j")))
    law = CandidateLaw(((own, between), (OWN, SPREAD)), ((0.7, -0.4), (0.3, 0.2)))
    batched = BatchedLaw(law, network, ("x", "y"), {})
    constants = np.repeat(law.values()[:, None], 2, axis=1)
    states = random.standard_normal((2, 6, 2))

    def rates(states):
        return batched.at(states, constants).rates()

    whole = np.zeros((2, 6, 2, 6, 2))  # by equation, node; variable, node; member
    for v in range(2):
        for node in range(6):
            move = np.zeros_like(states)
            move[v, node] = 1e-6
            whole[:, :, v, node] = (rates(states + move) - rates(states - move)) / 2e-6
    at = batched.at(states, constants)
    for node in range(6):
        np.testing.assert_allclose(
            at.own_jacobian()[:, :, node], whole[:, node, :, node], atol=1e-7
        )
    errors = random.standard_normal((2, 2, 6, 2))
    errors = np.einsum("abnm,cbnm->acnm", errors, errors)
    through = at.from_senders(errors)
    for node in range(6):
        expected = sum(
            np.einsum(
                "abm,bcm,dcm->adm", whole[:, node, :, j], errors[:, :, j], whole[:, node, :, j]
            )
            for j in range(6)
            if j != node
        )
        np.testing.assert_allclose(through[:, :, node], expected, atol=1e-6)


def test_the_filter_of_one_node_is_a_dense_gaussian():
    """All samples of a path are one Gaussian vector, whose covariance is known."""
    random = np.random.default_rng(4)
    rate, q, sigma = -0.8, 0.6, 0.25
    times = np.cumsum(random.uniform(0.02, 0.1, 20))
    values = random.standard_normal(20)
    network = jaxllc.Network.from_edges([1], [0], [1e-300], num_nodes=2)
    runs = [Trajectories(times, np.stack([values, values], axis=1))]
    law = CandidateLaw(((OWN,),), ((rate,),))
    problem = problem_of(runs, network, substeps=8)
    batched = BatchedLaw(law, network, ("x",), {})
    found = filtered(
        batched, problem.data, np.array([[rate]]), np.array([[sigma**2]]), np.array([[q**2]]), 8
    )
    cost = np.sum((np.log(found.variances) + found.errors**2 / found.variances)[1:, 0, 1, 0])
    # Given the first sample, the first state is that sample with the error of the measurement.
    since = times - times[0]
    apart = np.abs(times[:, None] - times)
    driven = q**2 / (2 * rate) * (np.exp(rate * (since[:, None] + since)) - np.exp(rate * apart))
    first = np.exp(rate * since)
    whole = driven + sigma**2 * (np.outer(first, first) + np.eye(20))
    left = (values - first * values[0])[1:]
    size = np.linalg.slogdet(whole[1:, 1:])[1]
    assert cost == pytest.approx(size + left @ np.linalg.solve(whole[1:, 1:], left), rel=1e-3)


def test_runs_may_be_split_where_samples_are_exact():
    runs, network = ornstein_uhlenbeck(5, 0.0, 0.4)
    whole = FilterFitter(problem_of(runs, network)).fit(
        linear_law(), np.array([0.0]), np.array([0.2])
    )
    parts = [
        Trajectories(run.times[a:b], run.states[a:b])
        for run in runs
        for a, b in ((0, 31), (30, 60))
    ]
    split = FilterFitter(problem_of(parts, network)).fit(
        linear_law(), np.array([0.0]), np.array([0.2])
    )
    pieces = FilterFitter(problem_of(runs, network, 30)).fit(
        linear_law(), np.array([0.0]), np.array([0.2])
    )
    for other in (split, pieces):
        assert other.cost == pytest.approx(whole.cost, abs=0.05)
        np.testing.assert_allclose(other.law.values(), whole.law.values(), rtol=2e-3)


def test_scores_are_derivatives_of_the_likelihood():
    runs, network = ornstein_uhlenbeck(6, 0.1, 0.3, nodes=6, samples=20)
    fitter = FilterFitter(problem_of(runs, network))
    noises = np.array([0.02]), np.array([0.1])
    at = fitter.fit(linear_law(), *noises, rounds=0)
    scores = at.scores.sum(axis=(0, 1))

    def cost(rate=-RATE, coupling=COUPLING, measurement=0.02, process=0.1):
        given = np.array([measurement]), np.array([process])
        return fitter.fit(linear_law(rate, coupling), *given, rounds=0).cost

    for place, (name, value) in enumerate(
        [("rate", -RATE), ("coupling", COUPLING), ("measurement", 0.02), ("process", 0.1)]
    ):
        by = 1e-4 * abs(value)
        slope = (cost(**{name: value + by}) - cost(**{name: value - by})) / (2 * by)
        assert scores[place] == pytest.approx(-slope / 2, rel=0.02, abs=0.02 * abs(scores).max())


@pytest.mark.slow
@pytest.mark.parametrize(("sigma", "q"), [(0.0, 0.3), (0.1, 0.3), (0.2, 0.1)])
def test_errors_of_constants_and_both_noises_are_right(sigma, q):
    """Over many simulations, true constants lie within two standard errors about as often as they should."""
    away, noises = [], []
    for seed in range(40):
        runs, network = ornstein_uhlenbeck(100 + seed, sigma, q, samples=40)
        fitter = FilterFitter(problem_of(runs, network))
        fit = fitter.fit(linear_law(-0.4, 0.1), np.array([0.01]), np.array([0.04]))
        errors = np.sqrt(np.diag(fit.covariance))
        away.append((fit.law.values() - [-RATE, COUPLING]) / errors)
        noises.append(np.sqrt([fit.measurement[0], fit.process[0]]))
    away = np.array(away)
    assert 0.85 <= np.mean(np.abs(away) < 1.96) <= 1.0
    assert np.all(np.abs(away.mean(axis=0)) < 0.5)
    assert np.all((away.std(axis=0) > 0.7) & (away.std(axis=0) < 1.35))
    np.testing.assert_allclose(np.median(noises, axis=0), [sigma, q], atol=0.02)
