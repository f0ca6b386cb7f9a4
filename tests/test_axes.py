"""Axes are fixed where data enter a discovery, and what passes on with other axes is refused in tests."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from jaxllc.data.trajectories import Trajectories
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth
from tests.fit_problems import epidemic_law, epidemic_problem


@pytest.fixture(scope="module")
def runs():
    generator = np.random.default_rng(0)
    found = []
    for count in (9, 6):
        states = generator.uniform(size=(count, 4, 2))
        states[1, 2, 0] = np.nan
        features = {"omega": generator.uniform(size=4)}
        times = np.sort(generator.uniform(0, 3, count))
        found.append(Trajectories(times, states, ("x", "y"), node_features=features))
    return found


def test_a_sample_is_found_by_variable_node_and_time(runs):
    data = grid_data(runs, smooth(runs, refine=3))
    assert (data.variables, data.num_runs, data.num_times) == (("x", "y"), 2, 15)
    for run, samples, observed in zip(runs, data.samples, data.observed, strict=True):
        for time, node, variable in np.ndindex(run.states.shape):
            value = run.states[time, node, variable]
            assert observed[variable, node, time] == np.isfinite(value)
            assert samples[variable, node, time] == np.nan_to_num(value)
    for times, grid, where in zip(data.times, data.grid_times, data.sample_index, strict=True):
        np.testing.assert_allclose(grid[where], times, atol=1e-12)
    assert data.all_states().shape == (2, 4, sum(map(len, data.grid_times)))
    np.testing.assert_array_equal(data.features["omega"], runs[0].node_features["omega"])


def test_a_coarser_grid_keeps_the_samples(runs):
    data = grid_data(runs, smooth(runs, refine=6))
    coarse = data.coarser(3)
    for part in (data, coarse):
        for grid, where, times in zip(part.grid_times, part.sample_index, part.times, strict=True):
            np.testing.assert_allclose(grid[where], times, atol=1e-12)
    for fine, few, at, there in zip(
        data.states, coarse.states, data.sample_index, coarse.sample_index, strict=True
    ):
        np.testing.assert_array_equal(fine[..., at], few[..., there])


def test_arrays_with_other_axes_are_refused():
    problem = epidemic_problem()
    turned = problem.smoothed.transpose(2, 1, 0)
    with pytest.raises(TypeCheckError):
        problem.weighted_residual(problem.smoothed[0])
    with pytest.raises(TypeCheckError):
        problem.with_noise(problem.noise[:, None])
    with pytest.raises(TypeCheckError):
        problem.partials(epidemic_law(), turned[0])


def test_runs_of_unlike_length_are_padded_without_samples(runs):
    data = grid_data(runs, smooth(runs, refine=2))
    network = epidemic_problem(num_nodes=4).network
    problem = TrajectoryProblem.of(data, network, data.noise)
    assert problem.samples.shape == (2, 4, 2, len(data.grid_times[0]))
    end = len(data.grid_times[1])
    assert not problem.mask[:, :, 1, end:].any()
    assert not problem.steps[1, end - 1 :].any()
    assert problem.counts.tolist() == [58.0, 60.0]
