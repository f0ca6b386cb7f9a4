"""Trajectory fit: recovered constants, honest standard errors, the score test, chaos."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import sympy

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import fit_trajectories, information, score_test, screen
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.smoothing.grid_data import on_grids
from jaxllc.smoothing.smooth import refine_times
from tests.fit_problems import (
    W0,
    X_I,
    X_J,
    Y_I,
    Z_I,
    adjacency,
    epidemic_law,
    epidemic_problem,
    epidemic_rate,
    kuramoto_law,
    kuramoto_rate,
    own,
    pair,
    perturbed,
    problem_of,
    solved,
)

# --- recovered constants ------------------------------------------------------------------------


def test_constants_of_an_epidemic_are_recovered_from_clean_samples():
    problem = epidemic_problem(num_nodes=12, noise=1e-7)
    fit = fit_trajectories(problem, perturbed(epidemic_law()), iterations=20, tolerance=1e-8)
    assert fit.converged
    np.testing.assert_allclose(fit.law.vector(), [-0.5, 0.5, -0.5], rtol=1e-6)


def test_constants_and_an_inner_constant_of_kuramoto_are_recovered_from_clean_samples():
    A, times = adjacency(10), np.linspace(0.0, 3.0, 61)
    omega = np.random.default_rng(1).uniform(1.0, 3.0, 10)
    runs = [
        Trajectories(
            times,
            solved(
                kuramoto_rate(A, omega, 1.0, 0.5, 1.3),
                np.random.default_rng(s).uniform(0, 6, 10),
                times,
            ),
            node_features={"omega": omega},
        )
        for s in range(2)
    ]
    problem = problem_of(runs, A, 1e-7, substeps=4, features={"omega": omega})
    start = perturbed(kuramoto_law(1.0, 0.5, 1.3))
    fit = fit_trajectories(problem, start, iterations=30, tolerance=1e-8)
    assert fit.converged
    ((_, sine),) = fit.law.terms
    np.testing.assert_allclose([*fit.law.coefficients[0], *sine.inner], [1.0, 0.5, 1.3], rtol=1e-6)
    assert np.sqrt(fit.squared_residual / problem.counts) < 1e-6


def test_the_fit_lowers_the_residual_that_one_step_predicts():
    problem = epidemic_problem(noise=0.01, level=0.01)
    law = perturbed(epidemic_law(), 0.02)
    fit = fit_trajectories(problem, law, iterations=15)
    merit = fit.squared_residual[0] / 0.01**2
    assert screen(problem, law) == pytest.approx(merit, rel=0.05)
    wrong = CandidateLaw(((own(X_I), own(X_I**2)),), ((0.1, -0.1),))
    assert screen(problem, wrong) > 5 * merit


def test_a_law_that_runs_away_has_an_infinite_residual_and_not_an_error():
    problem = epidemic_problem(noise=0.01)
    law = CandidateLaw(((own(sympy.exp(W0 * X_I), 900.0),),), ((1e300,),))
    fit = fit_trajectories(problem, law)
    assert not fit.finite
    assert not fit.converged


def test_samples_that_are_missing_are_estimated():
    A, times = adjacency(8), np.linspace(0.0, 3.0, 41)
    truth = solved(epidemic_rate(A), np.random.default_rng(0).uniform(0, 1, 8), times)
    states = truth.copy()
    states[np.random.default_rng(1).random(states.shape) < 0.25] = np.nan
    problem = problem_of([Trajectories(times, states)], A, 1e-7)
    assert problem.counts[0] == np.isfinite(states).sum()
    fit = fit_trajectories(problem, epidemic_law(), iterations=20, tolerance=1e-8)
    np.testing.assert_allclose(fit.law.vector(), [-0.5, 0.5, -0.5], rtol=1e-5)
    np.testing.assert_allclose(fit.states[0, :, ::4], truth.T, atol=1e-5)


def test_first_samples_may_be_taken_as_exact_while_all_are_observed():
    known = epidemic_problem(num_nodes=10, noise=1e-7, initial_known=True)
    assert known.initial_known
    fit = fit_trajectories(known, perturbed(epidemic_law()), iterations=20, tolerance=1e-8)
    np.testing.assert_allclose(fit.law.vector(), [-0.5, 0.5, -0.5], rtol=1e-6)
    np.testing.assert_array_equal(fit.states[..., 0], known.samples[:, :, 0, 0])
    # Knowing the initial states adds information.
    free = epidemic_problem(num_nodes=10, noise=1e-7)
    more = information(known, fit.law, fit.states) - information(free, fit.law, fit.states)
    assert np.linalg.eigvalsh(more).min() > 0
    gapped = Trajectories(
        np.linspace(0, 3, 41), np.where(np.arange(41)[:, None] > 0, np.ones((41, 8)), np.nan)
    )
    noise = np.ones(1)
    smoothed = [np.ones((41, 8, 1))]
    network = Network.from_adjacency(adjacency(8))
    grids = [gapped.times]
    data = on_grids([gapped], grids, smoothed, noise)
    problem = TrajectoryProblem.of(data, network, noise, initial_known=True)
    assert not problem.initial_known


# --- standard errors and information ------------------------------------------------------------


def test_standard_errors_are_those_of_repeated_experiments():
    level, scores = 0.02, []
    for seed in range(40):
        problem = epidemic_problem(noise=level, level=level, seed=seed, refine=2)
        fit = fit_trajectories(problem, epidemic_law(), iterations=12, tolerance=1e-5, exact=True)
        assert fit.converged
        errors = np.sqrt(np.diag(fit.covariance))
        scores.append((fit.law.vector() - [-0.5, 0.5, -0.5]) / errors)
    spread = np.std(scores, axis=0)
    assert np.all(spread > 0.7)
    assert np.all(spread < 1.4)
    assert np.all(np.abs(np.mean(scores, axis=0)) < 4 / np.sqrt(40))


def test_standard_errors_do_not_depend_on_the_noise_assumed():
    """The noise that counts is the residual's."""
    errors = []
    for assumed in (0.02, 0.06):
        problem = epidemic_problem(noise=assumed, level=0.02)
        fit = fit_trajectories(problem, epidemic_law(), iterations=15, tolerance=1e-6, exact=True)
        errors.append(np.sqrt(np.diag(fit.covariance)))
    np.testing.assert_allclose(errors[0], errors[1], rtol=0.02)


def test_information_is_half_the_hessian_of_the_profiled_misfit():
    """Initial states are refitted, by solving the equations exactly, at every step of the differences."""
    from scipy.optimize import least_squares

    A, times = adjacency(4), np.linspace(0.0, 3.0, 31)
    start = np.random.default_rng(0).uniform(0.0, 1.0, 4)
    states = solved(epidemic_rate(A), start, times)
    problem = problem_of([Trajectories(times, states)], A, 0.1, refine=4)
    found = information(problem, epidemic_law(), problem.smoothed)

    def profiled(constants):
        rate = epidemic_rate(A, *(constants * [-1, 1, -1]))
        fit = least_squares(
            lambda x0: ((solved(rate, x0, times) - states) / 0.1).ravel(), start, x_scale=0.1
        )
        return 2 * fit.cost

    # At the true constants the misfit and its gradient vanish.
    true, step = np.array([-0.5, 0.5, -0.5]), 1e-3
    single = [profiled(true + step * e) for e in np.eye(3)]
    hessian = np.diag(single)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        both = profiled(true + step * (np.eye(3)[a] + np.eye(3)[b]))
        hessian[a, b] = hessian[b, a] = (both - single[a] - single[b]) / 2
    np.testing.assert_allclose(
        found, hessian / step**2, rtol=0.02, atol=0.005 * np.abs(found).max()
    )


# --- score test ---------------------------------------------------------------------------------

CANDIDATES = [
    own(sympy.Integer(1)), own(X_I**2), own(X_I**3), pair(sympy.Integer(1)), pair(X_I), pair(X_J**2),
    pair(X_I * X_J), pair(X_I * X_J**2), pair(X_I**2 * X_J), pair(sympy.sin(X_J - X_I)),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_the_score_test_ranks_the_missing_term_first(seed):
    problem = epidemic_problem(num_nodes=12, num_runs=2, noise=0.01, level=0.01, seed=seed)
    smaller = epidemic_law().without(frozenset([2]))
    fit = fit_trajectories(problem, smaller, iterations=15)
    best = score_test(problem, fit.law, fit.states, CANDIDATES)
    assert best[0][3] == pair(X_I * X_J)
    assert best[0][1] < 0
    gains = [b[0] for b in best]
    assert gains == sorted(gains, reverse=True)
    in_parts = score_test(problem, fit.law, fit.states, CANDIDATES, chunk=3)
    np.testing.assert_allclose([b[0] for b in in_parts], gains, rtol=1e-8)


def test_the_gain_of_the_score_test_is_what_adding_the_term_brings():
    """For an effect small enough that the misfit is quadratic."""
    A, times = adjacency(10), np.linspace(0.0, 3.0, 41)
    start = np.random.default_rng(0).uniform(0.0, 1.0, 10)
    states = solved(lambda t, x: -0.5 * x + 0.3 * (A @ x) - 0.02 * x**3, start, times)
    states = states + 0.003 * np.random.default_rng(1).standard_normal(states.shape)
    problem = problem_of([Trajectories(times, states)], A, 0.003)
    law = CandidateLaw(((own(X_I), pair(X_J)),), ((-0.5, 0.3),))
    fit = fit_trajectories(problem, law, iterations=15, tolerance=1e-9)
    for gain, coefficient, equation, term in score_test(
        problem, fit.law, fit.states, CANDIDATES[:3]
    ):
        terms = (*fit.law.terms[equation], term)
        wider = fit.law.replaced(equation, terms, (*fit.law.coefficients[equation], 0.0))
        larger = fit_trajectories(problem, wider, fit.states, iterations=15, tolerance=1e-9)
        drop = (fit.squared_residual - larger.squared_residual)[0] / 0.003**2
        assert gain == pytest.approx(drop, rel=0.1, abs=0.5)
        assert coefficient == pytest.approx(larger.law.coefficients[0][-1], rel=0.1, abs=5e-3)


# --- chaos, masks -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lorenz():
    """Four coupled Lorenz systems over three time units, in which small errors grow tenfold and more."""
    A, times = adjacency(4), np.linspace(0.0, 3.0, 301)

    def rate(t, flat):
        x, y, z = flat.reshape(3, 4)
        coupling = 0.2 * (A @ x - A.sum(axis=1) * x)
        return np.concatenate([10 * (y - x) + coupling, x * (28 - z) - y, x * y - 8 / 3 * z])

    generator = np.random.default_rng(3)
    start = generator.uniform([-10] * 8 + [10] * 4, [10] * 8 + [35] * 4)
    states = solved(rate, start, times).reshape(301, 3, 4).transpose(0, 2, 1)
    return A, times, states


LORENZ = CandidateLaw(
    (
        (own(X_I), own(Y_I), pair(X_J - X_I)),
        (own(X_I), own(Y_I), own(X_I * Z_I)),
        (own(X_I * Y_I), own(Z_I)),
    ),
    ((-10.0, 10.0, 0.2), (28.0, -1.0, -1.0), (1.0, -8 / 3)),
)


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_a_chaotic_system_converges_from_smoothed_states(lorenz, level):
    A, times, states = lorenz
    noisy = states + level * np.random.default_rng(0).standard_normal(states.shape)
    run = Trajectories(times, noisy, ("x", "y", "z"))
    problem = problem_of([run], A, max(level, 1e-4), refine=2)
    start = perturbed(LORENZ)
    fit = fit_trajectories(problem, start, iterations=30, tolerance=1e-6, exact=True)
    assert fit.converged
    errors = np.sqrt(np.diag(fit.covariance))
    assert np.all(np.abs(fit.law.vector() - LORENZ.vector()) < 4 * errors + 1e-4)
    residual = np.sqrt(fit.squared_residual / problem.counts)
    assert np.all(residual < 1.1 * level + 1e-4)


def test_masked_samples_do_not_count_and_the_problem_stays_as_it_is():
    problem = epidemic_problem(noise=0.01, level=0.01)
    kept = problem.mask.copy(), problem.counts.copy(), problem.sampled.copy(), problem.weight.copy()
    first_half = problem.mask.copy()
    first_half[..., first_half.shape[-1] // 2 :] = 0.0
    masked = problem.with_mask(first_half)
    assert masked.counts[0] == first_half.sum()
    spoilt = replace(masked, samples=problem.samples + 100.0 * (1 - first_half))
    fits = [
        fit_trajectories(p, epidemic_law(), iterations=10, tolerance=1e-8) for p in (masked, spoilt)
    ]
    np.testing.assert_allclose(fits[1].law.vector(), fits[0].law.vector(), rtol=1e-10)
    with pytest.raises(FrozenInstanceError):
        problem.mask = first_half
    now = problem.mask, problem.counts, problem.sampled, problem.weight
    for before, after in zip(kept, now, strict=True):
        np.testing.assert_array_equal(after, before)


def test_runs_of_different_length_and_times_share_one_problem():
    A = adjacency(8)
    runs = []
    for seed, times in enumerate(
        (np.linspace(0, 3, 41), np.array([0.5, *np.linspace(0.7, 2.5, 25) ** 1.1]))
    ):
        states = solved(epidemic_rate(A), np.random.default_rng(seed).uniform(0, 1, 8), times)
        runs.append(Trajectories(times, states))
    problem = problem_of(runs, A, 1e-6, refine=4)
    assert problem.counts[0] == 8 * (41 + 26)
    for run, r in zip(runs, range(2), strict=True):
        seen = problem.samples[0, :, r][problem.mask[0, :, r] > 0]
        np.testing.assert_array_equal(seen.reshape(8, -1), run.states[..., 0].T)
        grid = refine_times(run.times, 4)
        np.testing.assert_allclose(problem.steps[r, : len(grid) - 1], np.diff(grid))
        assert np.all(problem.steps[r, len(grid) - 1 :] == 0.0)
    fit = fit_trajectories(problem, perturbed(epidemic_law()), iterations=20, tolerance=1e-8)
    np.testing.assert_allclose(fit.law.vector(), [-0.5, 0.5, -0.5], rtol=1e-5)
