"""Forms that noise must not hide: the law found is the true one where the samples are coarse and noisy."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc import metrics
from jaxllc.equations.equation import Equation


def runs_of(rate, start, times, noise, seed) -> list[jaxllc.Trajectories]:
    """One run from each row of `start` (run, node), with white noise."""
    generator = np.random.default_rng(seed)
    runs = []
    for x in start:
        states = solve_ivp(rate, times[[0, -1]], x, t_eval=times, rtol=1e-9, atol=1e-11).y.T
        measured = states + noise * generator.standard_normal(states.shape)
        runs.append(jaxllc.Trajectories(times, measured))
    return runs


def test_generalised_lotka_volterra_in_coarse_noisy_samples():
    generator = np.random.default_rng(5)
    n = 10
    effects = 0.3 * generator.standard_normal((n, n)) * (generator.random((n, n)) < 0.35)
    np.fill_diagonal(effects, 0.0)
    start = generator.uniform(0.05, 0.5, (20, n))
    times = np.linspace(0.0, 24.0, 20)
    runs = runs_of(lambda _, x: x * (1 - x + effects @ x), start, times, 0.1, seed=6)
    law = jaxllc.discover(runs, jaxllc.Network.from_adjacency(effects, signed=True), neural="never")
    true = {"x": Equation.from_text("x_i - x_i**2", "x_i*x_j")}
    assert metrics.skeleton_equal(law, true), str(law)
    assert metrics.worst_coefficient_error(law, true) < 0.1
    assert law.noise["x"] == pytest.approx(0.1, rel=0.1)


def test_a_saturating_term_of_states_that_noise_takes_below_zero():
    generator = np.random.default_rng(2)
    n = 20
    upper = np.triu(generator.random((n, n)) < 0.2, 1).astype(float)
    adjacency = upper + upper.T
    adjacency[np.arange(n), (np.arange(n) + 1) % n] = 1.0

    def rate(_, x):
        return 0.5 - 2 * x + 0.4 * adjacency @ (x / (0.5 + x))

    start = generator.uniform(0.0, 1.0, (3, n)) ** 3
    times = np.linspace(0.0, 3.0, 25)
    runs = runs_of(rate, start, times, 0.03, seed=3)
    assert min(float(run.states.min()) for run in runs) < 0
    law = jaxllc.discover(runs, jaxllc.Network.from_adjacency(adjacency), neural="never")
    true = {"x": Equation.from_text("0.5 - 2*x_i", "0.4*x_j/(0.5 + x_j)")}
    assert metrics.skeleton_equal(law, true), str(law)
