"""Integral form: exact quadrature, the true terms reproduce the samples, gaps and windows change nothing."""

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.fit.integral_form import IntegralForm, integration_matrix
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

X_I, X_J = sympy.symbols("x_i x_j")
# dx_i/dt = -x_i/2 + sum_j A_ij (1 - x_i) x_j / 2
TRUE_TERMS = [
    Term(TermFamily(SELF, X_I)),
    Term(TermFamily(INTERACTION, X_J)),
    Term(TermFamily(INTERACTION, X_I * X_J)),
]
TRUE_CONSTANTS = np.array([-0.5, 0.5, -0.5])
NUM_NODES = 12


@pytest.fixture(scope="module")
def network():
    generator = np.random.default_rng(0)
    adjacency = generator.uniform(0.3, 1.0, (NUM_NODES, NUM_NODES))
    adjacency[generator.random((NUM_NODES, NUM_NODES)) > 0.3] = 0.0
    np.fill_diagonal(adjacency, 0.0)
    return Network.from_adjacency(adjacency)


@pytest.fixture(scope="module")
def runs(network):
    A = network.to_adjacency().toarray()
    times = np.linspace(0.0, 3.0, 41)
    found = []
    for seed in range(2):
        start = np.random.default_rng(seed).uniform(0.0, 1.0, NUM_NODES)
        solution = solve_ivp(
            lambda t, x: -0.5 * x + 0.5 * (1.0 - x) * (A @ x),
            (0.0, 3.0), start, t_eval=times, method="DOP853", rtol=1e-12, atol=1e-12,
        )  # fmt: skip
        found.append(Trajectories(times, solution.y.T))
    return found


def with_gaps(runs, share, seed=0):
    """The same runs with a share of their entries not observed."""
    generator = np.random.default_rng(seed)
    gapped = []
    for run in runs:
        states = run.states.copy()
        states[generator.random(states.shape) < share] = np.nan
        gapped.append(Trajectories(run.times, states, run.variables))
    return gapped


def true_columns(form):
    return np.stack([form.column(term) for term in TRUE_TERMS], axis=1)


def solved(form):
    return np.linalg.lstsq(true_columns(form), form.target(0), rcond=None)[0]


# --- quadrature ---------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", range(6))
def test_integrals_of_polynomials_up_to_degree_five_are_exact(degree):
    grid = np.sort(np.concatenate([[0.3, 2.0], np.random.default_rng(1).uniform(0.3, 2.0, 12)]))
    samples = grid[[0, 2, 5, 9, 13]]
    integral = integration_matrix(grid, samples) @ grid**degree
    expected = (samples ** (degree + 1) - grid[0] ** (degree + 1)) / (degree + 1)
    np.testing.assert_allclose(integral, expected, rtol=1e-10, atol=1e-11)


def test_the_error_of_the_quadrature_falls_with_the_sixth_power_of_the_step():
    errors = []
    for count in (21, 41):
        grid = np.linspace(0.0, 3.0, count)
        errors.append(
            np.abs(integration_matrix(grid, grid) @ np.cos(3 * grid) - np.sin(3 * grid) / 3).max()
        )
    assert np.log2(errors[0] / errors[1]) > 5.5


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_few_grid_points_still_integrate_straight_lines(count):
    grid = np.linspace(0.0, 1.0, count)
    np.testing.assert_allclose(
        integration_matrix(grid, grid) @ (1 + 2 * grid), grid + grid**2, atol=1e-12
    )


# --- columns and targets ------------------------------------------------------------------------


def test_the_true_terms_reproduce_the_centred_samples(runs, network):
    form = IntegralForm(grid_data(runs, smooth(runs, refine=4)), network)
    target = form.target(0)
    assert np.abs(target).max() > 0.1
    np.testing.assert_allclose(true_columns(form) @ TRUE_CONSTANTS, target, atol=1e-6)
    np.testing.assert_allclose(solved(form), TRUE_CONSTANTS, rtol=1e-5)


@pytest.mark.parametrize("num_windows", [1, 2, 4])
def test_a_free_offset_for_each_window_leaves_the_law(runs, network, num_windows):
    form = IntegralForm(grid_data(runs, smooth(runs, refine=4)), network, num_windows)
    np.testing.assert_allclose(solved(form), TRUE_CONSTANTS, rtol=1e-4)
    values = np.concatenate([form.target(0)[None], true_columns(form).T])
    for column in values:
        by_run = column.reshape(2, NUM_NODES, 41)
        for window in np.array_split(np.arange(41), num_windows):
            np.testing.assert_allclose(by_run[..., window].sum(axis=-1), 0.0, atol=1e-11)


def test_a_constant_added_to_all_samples_of_a_node_changes_no_target(runs, network):
    smoothed = smooth(runs, refine=2)
    shifts = np.random.default_rng(2).standard_normal((1, NUM_NODES, 1))
    shifted = [Trajectories(r.times, r.states + shifts) for r in runs]
    plain = IntegralForm(grid_data(runs, smoothed), network, 2).target(0)
    np.testing.assert_allclose(
        IntegralForm(grid_data(shifted, smoothed), network, 2).target(0), plain, atol=1e-12
    )


def test_missing_samples_do_not_change_the_solution(runs, network):
    gapped = with_gaps(runs, 0.15)
    form = IntegralForm(grid_data(gapped, smooth(gapped, refine=4)), network)
    assert form.num_rows(0) == sum(int(r.observed.sum()) for r in gapped) < 2 * NUM_NODES * 41
    np.testing.assert_allclose(solved(form), TRUE_CONSTANTS, rtol=5e-3)
    unseen = np.concatenate([~r.observed[..., 0].T.ravel() for r in gapped])
    assert np.all(form.target(0)[unseen] == 0.0)
    assert np.all(true_columns(form)[unseen] == 0.0)


def test_a_node_that_was_never_observed_takes_its_receivers_out(runs, network):
    hidden = 3
    gapped = []
    for run in runs:
        states = run.states.copy()
        states[:, hidden] = np.nan
        gapped.append(Trajectories(run.times, states))
    form = IntegralForm(grid_data(gapped, smooth(gapped, refine=4)), network)
    told = np.abs(form.target(0).reshape(2, NUM_NODES, 41)).max(axis=(0, 2)) > 0
    receivers = network.receivers[network.senders == hidden]
    assert set(np.flatnonzero(~told)) == {hidden, *receivers}
    np.testing.assert_allclose(solved(form), TRUE_CONSTANTS, rtol=1e-5)


def test_only_the_runs_concerned_lose_rows(runs, network):
    """Of two variables, one was not observed at one node, and only in the second run."""
    states = np.concatenate([runs[1].states, 2 * runs[1].states], axis=2)
    first = Trajectories(runs[0].times, np.concatenate([runs[0].states] * 2, axis=2), ("x", "y"))
    hidden = 3
    states[:, hidden, 1] = np.nan
    both = [first, Trajectories(runs[1].times, states, ("x", "y"))]
    form = IntegralForm(grid_data(both, smooth(both, refine=2)), network)
    told = np.abs(form.target(0).reshape(2, NUM_NODES, 41)).max(axis=2) > 0
    assert told[0].all()
    receivers = network.receivers[network.senders == hidden]
    assert set(np.flatnonzero(~told[1])) == {hidden, *receivers}


def test_rows_of_chosen_nodes_are_those_of_the_whole(runs, network):
    smoothed = smooth(runs, refine=2)
    chosen = np.array([1, 4, 10])
    whole = IntegralForm(grid_data(runs, smoothed), network)
    part = IntegralForm(grid_data(runs, smoothed), network, nodes=chosen)
    for term in TRUE_TERMS:
        expected = whole.column(term).reshape(2, NUM_NODES, 41)[:, chosen].ravel()
        np.testing.assert_allclose(part.column(term), expected, atol=1e-13)
    expected = whole.target(0).reshape(2, NUM_NODES, 41)[:, chosen].ravel()
    np.testing.assert_allclose(part.target(0), expected, atol=1e-13)


def test_derivatives_of_columns_equal_finite_differences(runs, network):
    form = IntegralForm(grid_data(runs, smooth(runs, refine=2)), network, 2)
    w0, w1 = sympy.symbols("w0 w1")
    family = TermFamily(INTERACTION, X_I * X_J**2 / (X_J**2 + w0 * X_I + w1), (True, True))
    block = form.column_and_derivatives(Term(family, (0.4, 0.7)))
    for position in range(2):
        columns = []
        for sign in (1, -1):
            inner = [0.4, 0.7]
            inner[position] += sign * 1e-5
            columns.append(form.column(Term(family, tuple(inner))))
        np.testing.assert_allclose(
            block[:, 1 + position], (columns[0] - columns[1]) / 2e-5, rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_columns_are_carried_over_to_more_windows(runs, network, share):
    gapped = with_gaps(runs, share) if share else runs
    smoothed = smooth(gapped, refine=2)
    whole, parts = (
        IntegralForm(grid_data(gapped, smoothed), network, windows) for windows in (1, 4)
    )
    found = parts.recentred(true_columns(whole).T)
    np.testing.assert_allclose(found, true_columns(parts).T, atol=1e-12)
