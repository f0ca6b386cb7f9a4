"""Condensing: the flow's order, sensitivities beside finite differences, defects that close."""

import numpy as np
import sympy

from jaxllc.data.trajectories import Trajectories
from jaxllc.fit import trajectory_problem
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.condensing import FULL, OWN, close, linearise, propagate
from jaxllc.fit.trajectory_fit import fit_trajectories
from tests.fit_problems import (
    W0,
    X_I,
    X_J,
    adjacency,
    epidemic_law,
    epidemic_problem,
    epidemic_rate,
    kuramoto_law,
    kuramoto_rate,
    on_truth,
    own,
    pair,
    perturbed,
    problem_of,
    solved,
)


def test_the_flow_is_of_fourth_order():
    A = adjacency(8)
    times = np.linspace(0.0, 3.0, 7)
    states = solved(epidemic_rate(A), np.random.default_rng(0).uniform(0, 1, 8), times)
    problem = problem_of([Trajectories(times, states)], A, 1.0, refine=1)
    truth = on_truth(problem, states[:, :, None])
    errors = []
    for substeps in (1, 2, 4):
        end = problem.flow(epidemic_law(), truth, substeps)
        errors.append(np.abs(end - truth[..., 1:]).max())
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(slopes > 3.6)
    assert np.all(slopes < 5.0)


def test_the_flow_does_not_depend_on_the_parts_it_is_evaluated_in(monkeypatch):
    problem = epidemic_problem(noise=1.0, refine=4)
    squeezed = sympy.tanh(W0 * X_J - W0 * X_I)
    law = CandidateLaw(((own(X_I), pair(squeezed, 1.3)),), ((-0.4, 0.6),))
    for substeps in (1, 3):
        whole = problem.flow(law, problem.smoothed, substeps)
        monkeypatch.setattr(trajectory_problem, "_PART_SIZE", 17 * problem.network.num_edges)
        parts = problem.flow(law, problem.smoothed, substeps)
        monkeypatch.undo()
        assert whole.shape[2] > 2 * 17
        np.testing.assert_allclose(parts, whole, rtol=1e-14, atol=1e-14)


def sensitivity_error(num_times, mode=FULL):
    """Largest error of `propagate` beside finite differences of the exact solution."""
    A = adjacency(8)
    times = np.linspace(0.0, 3.0, num_times)
    omega = np.random.default_rng(1).uniform(1.0, 3.0, 8)
    start = np.random.default_rng(2).uniform(0.0, 6.0, 8)
    constants = np.array([1.0, 0.5, 1.1])
    states = solved(kuramoto_rate(A, omega, *constants), start, times)
    problem = problem_of([Trajectories(times, states)], A, 1.0, refine=1, features={"omega": omega})
    truth = on_truth(problem, states[:, :, None])
    line = linearise(
        problem, kuramoto_law(*constants), truth, mode, defects=np.zeros((num_times - 1, 1, 8))
    )
    worst = 0.0
    for direction in range(3 + 8):
        step = 1e-4 * (np.arange(3 + 8) == direction)
        moved = [
            solved(
                # The inner constant enters the fit by its logarithm.
                kuramoto_rate(
                    A, omega, *(constants[:2] + s * step[:2]), constants[2] * np.exp(s * step[2])
                ),
                start + s * step[3:],
                times,
            )
            for s in (1, -1)
        ]
        expected = (moved[0] - moved[1]).T[None] / 2
        found = propagate(problem, line, step[:3], step[None, 3:])
        worst = max(worst, np.abs(found - expected).max() / np.abs(expected).max())
    return worst


def test_sensitivities_equal_finite_differences_of_the_exact_solution():
    coarse, fine = sensitivity_error(41), sensitivity_error(81)
    assert fine < 2e-3
    # The mean of both ends of an interval is right to second order.
    assert 3.0 < coarse / fine < 5.5


def test_close_meets_small_defects_to_first_order():
    problem = epidemic_problem(noise=1.0, refine=4)
    law = epidemic_law()
    ripple = 1e-3 * np.random.default_rng(0).standard_normal(problem.smoothed.shape)
    errors = []
    for size in (1.0, 0.1):
        states = problem.smoothed + size * ripple
        defects = problem.defects(law, states)
        closed = close(
            problem, linearise(problem, law, states, FULL, defects=defects), states, defects
        )
        errors.append(np.abs(problem.defects(law, closed)).max() / np.abs(defects).max())
    assert errors[0] < 0.05
    np.testing.assert_array_equal(closed[..., 0], states[..., 0])


def gauss_newton(problem, law, mode, steps=12):
    """Undamped steps in one mode: constants, and their standard errors for the noise assumed."""
    states = problem.smoothed
    for _ in range(steps):
        line = linearise(problem, law, states, mode)
        change, initial, _ = line.normal.step(1e-9)
        states = states + propagate(problem, line, change, initial)
        law = law.with_vector(law.vector() + change)
    errors = np.sqrt(
        np.diag(np.linalg.inv(linearise(problem, law, states, mode).normal.reduced()[1]))
    )
    return law.vector(), errors


def test_initial_states_acting_on_all_nodes_or_on_their_own_give_the_same_constants():
    problem = epidemic_problem(num_nodes=12, num_runs=2, noise=0.002, level=0.002)
    full, errors = gauss_newton(problem, perturbed(epidemic_law()), FULL)
    alone, alone_errors = gauss_newton(problem, perturbed(epidemic_law()), OWN)
    assert np.all(np.abs(full - alone) < errors)
    np.testing.assert_allclose(alone, full, rtol=0.01)
    np.testing.assert_allclose(alone_errors, errors, rtol=0.5)
    fit = fit_trajectories(problem, epidemic_law(), iterations=15, tolerance=1e-8)
    assert np.all(np.abs(fit.law.vector() - full) < 0.01 * errors)
