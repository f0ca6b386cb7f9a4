"""Nodes whose states are given to the trajectory fit."""

from dataclasses import replace

import numpy as np
import pytest

from jaxllc.data.network import Network
from jaxllc.fit import trajectory_fit
from jaxllc.fit.condensing import FULL, KNOWN, OWN, linearise, propagate
from jaxllc.fit.given_states import paths_between
from jaxllc.fit.trajectory_fit import fit_trajectories
from tests.fit_problems import adjacency, epidemic_law, epidemic_problem

TRUE = np.array([-0.5, 0.5, -0.5])


def perturbed(law):
    return law.with_vector(law.vector() * np.array([1.2, 0.8, 0.9]))


def with_false_edge(problem):
    """The same samples on a network with a false edge into node 3."""
    A = adjacency(problem.num_nodes)
    A[3, np.flatnonzero(A[3] == 0)[-1]] = 1.0
    return replace(problem, network=Network.from_adjacency(A))


def test_a_wrong_edge_into_a_node_that_is_held_harms_no_constant():
    fits = {}
    for held in ((), (3,)):
        problem = with_false_edge(epidemic_problem(num_runs=2, refine=4, held=held))
        fits[held] = fit_trajectories(problem, perturbed(epidemic_law()), iterations=15)
    assert np.abs(fits[()].law.vector() - TRUE).max() > 0.01
    assert np.abs(fits[3,].law.vector() - TRUE).max() < 1e-4
    given = with_false_edge(epidemic_problem(num_runs=2, refine=4)).smoothed
    np.testing.assert_allclose(fits[3,].states[:, 3], given[:, 3], atol=1e-8)


@pytest.mark.parametrize("mode", [FULL, OWN, KNOWN])
def test_what_constants_do_beside_held_nodes(mode):
    """The linearised flow against differences of simulations."""
    problem = epidemic_problem(substeps=2, held=(0, 5), initial_known=mode == KNOWN)
    law, step = epidemic_law(), 1e-6
    start = problem.smoothed.reshape(problem.samples.shape)[..., 0]
    base = problem.simulated(law, start, 2)
    line = linearise(problem, law, base.reshape(problem.smoothed.shape), mode)
    nothing = np.zeros((problem.num_runs, problem.dimension))
    for constant in range(3):
        change = np.zeros(3)
        change[constant] = step
        moved = problem.simulated(law.with_vector(law.vector() + change), start, 2)
        slope = (moved - base).ravel() / step
        found = propagate(problem, line, change, nothing).ravel() / step
        assert np.abs(found - slope).max() < 1e-3 * np.abs(slope).max()
        assert not found.reshape(base.shape)[:, [0, 5]].any()
    # Nothing moves the initial states of nodes that are given.
    blocks = line.normal.blocks
    if mode == FULL:
        assert not blocks[:, [0, 5]].any()
    elif mode == OWN:
        assert not blocks[[0, 5]].any()


def test_a_simulation_beside_given_states_is_the_solution():
    """Every other node given: the law runs through the samples of all."""
    problem = epidemic_problem(num_times=61, held=(1, 2, 6))
    start = problem.smoothed.reshape(problem.samples.shape)[..., 0]
    found = problem.simulated(epidemic_law(), start, 2)[..., problem.sample_index[0]]
    truth = epidemic_problem(num_times=61)
    samples = truth.samples[..., truth.sample_index[0]]
    assert np.abs(found - samples).max() < 1e-5
    assert problem.counts[0] == 5 / 8 * truth.counts[0]


def test_paths_run_through_the_states_of_runs_of_unlike_length():
    grid = np.linspace(0, 1, 9)
    states = np.zeros((1, 2, 2, 9))
    states[0, 0, 0], states[0, 1, 0] = np.sin(grid), grid**3
    states[0, :, 1, :5], states[0, :, 1, 5:] = states[0, :, 0, :5], states[0, :, 0, 4:5]
    steps = np.array([np.diff(grid), np.where(np.arange(8) < 4, np.diff(grid), 0.0)])
    found = paths_between(states, steps, 4)
    assert found.shape == (1, 2, 16, 5)
    times = grid[:-1, None] + np.diff(grid)[:, None] * np.linspace(0, 1, 5)
    np.testing.assert_allclose(found[0, 1, :8], times**3, atol=1e-12)
    np.testing.assert_allclose(found[0, 0, :8], np.sin(times), atol=1e-4)
    np.testing.assert_allclose(found[0, 1, 8:12], times[:4] ** 3, atol=1e-12)
    assert np.ptp(found[0, :, 12:], axis=(1, 2)).max() < 1e-12


def test_standard_errors_count_the_initial_states_that_are_fitted(monkeypatch):
    problem = epidemic_problem(num_nodes=8, level=0.01, noise=0.01, held=(2,))
    fit = fit_trajectories(problem, epidemic_law(), iterations=10, exact=True)
    freedom = problem.counts.sum() - 7 - 3
    reduced = linearise(problem, fit.law, fit.states, trajectory_fit.mode_of(problem, True)).normal
    variance = reduced.merit / freedom
    expected = variance * np.linalg.inv(reduced.reduced()[1])
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-3)
