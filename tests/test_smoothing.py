"""Smoothed states: interpolation of clean data, error below the noise, gaps, invariance, cost."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from threadpoolctl import threadpool_limits

from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.smoothing.missing_ends import missing_start
from jaxllc.smoothing.smooth import noise_by_differences, refine_times, smooth
from tests.counted_calls import at_most_calls


def ring_with_chords(num_nodes, seed):
    adjacency = np.zeros((num_nodes, num_nodes))
    generator = np.random.default_rng(seed)
    for i in range(num_nodes):
        adjacency[i, (i + 1) % num_nodes] = adjacency[(i + 1) % num_nodes, i] = 1.0
        j = generator.integers(num_nodes)
        if j != i:
            adjacency[i, j] = adjacency[j, i] = 1.0
    return adjacency


def epidemic(num_times, num_nodes=40, seed=0, duration=4.0):
    """Samples, and twice as fine a reference, of -x/2 + sum_j (1 - x_i) x_j / 2."""
    adjacency = ring_with_chords(num_nodes, seed)
    fine = np.linspace(0.0, duration, 2 * num_times - 1)
    start = np.random.default_rng(seed).uniform(0.0, 1.0, num_nodes)
    solution = solve_ivp(
        lambda t, x: -0.5 * x + 0.5 * (1.0 - x) * (adjacency @ x),
        (0.0, duration), start, t_eval=fine, method="DOP853", rtol=1e-12, atol=1e-12,
    )  # fmt: skip
    return fine, solution.y.T[:, :, None]


def lorenz(num_times, duration, num_nodes=10):
    fine = np.linspace(0.0, duration, 2 * num_times - 1)
    generator = np.random.default_rng(3)
    states = []
    for _ in range(num_nodes):
        start = generator.uniform([-10, -10, 10], [10, 10, 30])
        solution = solve_ivp(
            lambda t, x: [10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]],
            (0.0, duration), start, t_eval=fine, method="DOP853", rtol=1e-12, atol=1e-12,
        )  # fmt: skip
        states.append(solution.y.T)
    return fine, np.stack(states, axis=1)


def root_mean_square(values):
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize("num_times", [60, 200])
def test_clean_samples_are_interpolated(num_times):
    fine, truth = epidemic(num_times)
    smoothed = smooth([Trajectories(fine[::2], truth[::2])], refine=2)
    np.testing.assert_allclose(smoothed.grid_times[0], fine, atol=1e-12)
    assert root_mean_square(smoothed.states[0] - truth) < 1e-6 * truth.std()
    assert smoothed.noise[0] < 1e-6 * truth.std()


def test_clean_chaotic_samples_are_interpolated():
    fine, truth = lorenz(200, 4.0)
    smoothed = smooth([Trajectories(fine[::2], truth[::2], variables=("x", "y", "z"))], refine=2)
    error = np.sqrt(np.mean((smoothed.states[0] - truth) ** 2, axis=(0, 1)))
    assert np.all(error < 2e-5 * truth.std(axis=(0, 1)))


@pytest.mark.parametrize("level", [0.01, 0.1])
def test_error_is_well_below_the_noise_and_known(level):
    fine, truth = epidemic(200)
    noise = level * truth.std()
    samples = truth[::2] + noise * np.random.default_rng(1).normal(size=truth[::2].shape)
    smoothed = smooth([Trajectories(fine[::2], samples)], refine=2)
    error = root_mean_square(smoothed.states[0] - truth)
    assert error < 0.35 * noise
    assert 0.95 < smoothed.noise[0] / noise < 1.05
    assert 0.6 < smoothed.state_error[0] / error < 1.7


def test_gaps_are_filled_and_an_unobserved_node_is_flagged():
    fine, truth = epidemic(200)
    truth = truth[::2]
    noise = 0.02 * truth.std()
    generator = np.random.default_rng(2)
    samples = truth + noise * generator.normal(size=truth.shape)
    samples[generator.random(samples.shape) < 0.2] = np.nan
    samples[:, 7] = np.nan
    smoothed = smooth([Trajectories(fine[::2], samples)])
    assert np.flatnonzero(smoothed.unobserved[0][:, 0]).tolist() == [7]
    seen = np.delete(np.arange(truth.shape[1]), 7)
    assert root_mean_square((smoothed.states[0] - truth)[:, seen]) < 0.5 * noise
    np.testing.assert_allclose(
        smoothed.states[0][:, 7, 0], smoothed.states[0][:, seen, 0].mean(axis=1), rtol=1e-10
    )


def test_clean_gaps():
    fine, truth = epidemic(200)
    samples = truth[::2].copy()
    samples[np.random.default_rng(4).random(samples.shape) < 0.2] = np.nan
    smoothed = smooth([Trajectories(fine[::2], samples)])
    error = np.abs(smoothed.states[0] - truth[::2])
    assert error[5:-5].max() < 1e-4 * truth.std()
    # Ends come from the other nodes, and how well is known.
    assert error.max() < 5e-3 * truth.std()
    said, rms = smoothed.state_error[0], root_mean_square(error)
    assert rms < 5 * said
    assert said < 5 * rms + 1e-9


def test_missing_ends_are_what_polynomials_or_other_courses_say():
    times = np.sort(np.random.default_rng(0).uniform(0, 1, 20))
    random = np.random.default_rng(1).normal(size=(3, 12))
    polynomials = np.stack([np.ones(20), times, times**2], axis=1) @ random
    decays = np.exp(-np.outer(times, [3.0, 40.0, 90.0])) @ random
    for courses, most in ((polynomials, 1e-9), (decays, 1e-5)):
        whole, other = courses[:, :9], courses[:, 9:]
        found = missing_start(times, whole, other[2:])
        np.testing.assert_allclose(found.values, other[:2], atol=most * np.abs(other).max())
        assert found.square < most**2 * np.abs(other).max() ** 2
    assert missing_start(times, courses[:, :2], courses[2:, 2:]) is None


def test_order_of_nodes_does_not_matter_and_runs_with_other_times_stand_alone():
    fine, truth = epidemic(60)
    samples = truth[::2] + 0.01 * np.random.default_rng(5).normal(size=truth[::2].shape)
    order = np.random.default_rng(6).permutation(samples.shape[1])
    one = Trajectories(fine[::2], samples)
    other = Trajectories(fine[::2][:40], samples[:40][:, order])
    alone = smooth([one])
    permuted = smooth([Trajectories(fine[::2], samples[:, order])])
    np.testing.assert_allclose(permuted.states[0], alone.states[0][:, order], atol=1e-9)
    both = smooth([one, other])
    np.testing.assert_allclose(both.states[0], alone.states[0], atol=1e-12)
    assert [len(t) for t in both.grid_times] == [60, 40]
    np.testing.assert_allclose(both.grid_times[1][both.sample_index[1]], other.times)


def test_long_series_take_little_work():
    fine, truth = lorenz(1000, 10.0)
    noise = 0.01 * truth.std(axis=(0, 1))
    samples = truth[::2] + noise * np.random.default_rng(7).normal(size=truth[::2].shape)
    with threadpool_limits(1), at_most_calls(100_000):  # threads as in discover()
        smoothed = smooth([Trajectories(fine[::2], samples, variables=("x", "y", "z"))], refine=2)
    error = np.sqrt(np.mean((smoothed.states[0] - truth) ** 2, axis=(0, 1)))
    assert np.all(error < 0.7 * noise)


def test_noise_is_measured_on_irregular_times():
    generator = np.random.default_rng(8)
    times = np.sort(generator.uniform(0.0, 1.0, 400))
    columns = np.sin(6.0 * times)[:, None] + 1e-3 * generator.normal(size=(400, 20))
    assert abs(noise_by_differences(times, columns) / 1e-3 - 1.0) < 0.1


def test_constant_columns_and_refined_times():
    times = np.array([0.0, 1.0, 3.0, 4.0, 5.0])
    smoothed = smooth([Trajectories(times, np.full((5, 3), 2.0))], refine=3)
    np.testing.assert_allclose(smoothed.states[0], 2.0)
    assert smoothed.noise[0] == 0.0
    np.testing.assert_allclose(refine_times(times[:3], 2), [0.0, 0.5, 1.0, 2.0, 3.0])


def test_bad_input_is_named():
    times = np.arange(3.0)
    with pytest.raises(InputError, match="3 sampling times"):
        smooth([Trajectories(times, np.zeros((3, 2)))])
    with pytest.raises(InputError, match="refine"):
        smooth([Trajectories(np.arange(9.0), np.zeros((9, 2)))], refine=0)
    states = np.random.default_rng(0).normal(size=(9, 2, 2))
    states[..., 1] = np.nan
    unseen = Trajectories(np.arange(9.0), states, variables=("x", "y"))
    with pytest.raises(InputError, match="'y'"):
        smooth([unseen])
