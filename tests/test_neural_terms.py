"""Neural terms: exact gradients, invariance, the contract of a vector field, recovery of a known law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxllc.data.message_passing import graph_of, sum_into_receivers
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.fit.integral_form import integration_matrix
from jaxllc.neural.neural_fit import fit_neural_terms
from jaxllc.neural.neural_rows import RowMaker, thin_grid
from jaxllc.neural.neural_terms import NeuralVectorField
from jaxllc.neural.variable_projection import moments, project
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth


def epidemic_runs(network, num_runs=2, num_times=40, seed=0):
    """Clean runs of -x/2 + sum_j (1 - x_i) x_j / 2."""
    adjacency = network.to_adjacency().toarray()
    generator = np.random.default_rng(seed)
    times = np.linspace(0.0, 3.0, num_times)
    runs = []
    for _ in range(num_runs):
        start = generator.uniform(0.0, 1.0, network.num_nodes)
        solution = solve_ivp(
            lambda t, x: -0.5 * x + 0.5 * (1.0 - x) * (adjacency @ x),
            (0.0, 3.0), start, t_eval=times, method="DOP853", rtol=1e-11, atol=1e-12,
        )  # fmt: skip
        runs.append(Trajectories(times, solution.y.T[:, :, None]))
    return runs


@pytest.fixture(scope="module")
def epidemic(small_network):
    runs = epidemic_runs(small_network, num_runs=3)
    return grid_data(runs, smooth(runs, refine=2)), small_network


@pytest.fixture(scope="module")
def epidemic_fit(epidemic):
    return fit_neural_terms(*epidemic, width=12)


def random_hidden(num_inputs, width, seed):
    generator = np.random.default_rng(seed)
    shapes = [(num_inputs, width), (width,), (2 * num_inputs, width), (width,)]
    return tuple(generator.normal(size=shape) for shape in shapes)


def make_rows(data, network):
    states = data.all_states()
    none = np.empty((network.num_nodes, 0))
    mean, std = states.mean(axis=(1, 2)), states.std(axis=(1, 2))
    return RowMaker(data, network, none, mean, std, std, 4000, 0).batch(0)


def moved(hidden, number, position, step):
    changed = [h.copy() for h in hidden]
    changed[number].ravel()[position] += step
    return tuple(changed)


def two_variable_data(network):
    """Two smooth variables per node, of no particular law, with gaps."""
    generator = np.random.default_rng(1)
    times = np.linspace(0.0, 1.0, 30)
    phase = generator.uniform(0.0, 6.0, (1, network.num_nodes, 2))
    states = np.sin(4.0 * times[:, None, None] + phase) + 0.3 * phase * times[:, None, None]
    states[5, ::3, 1] = np.nan
    return [Trajectories(times, states, variables=("x", "y"))]


def test_gradient_of_the_projected_loss(small_network):
    runs = two_variable_data(small_network)
    plain = make_rows(grid_data(runs, smooth(runs, refine=2)), small_network)
    hidden = random_hidden(2, 5, seed=2)
    # Columns once more, by an input of the node, and of either end.
    ends = plain.pair_inputs[..., 1:3]
    twice = plain._replace(
        factors=np.concatenate([plain.factors, plain.inputs[..., :1]], axis=-1),
        pair_factors=np.concatenate([plain.pair_factors, ends], axis=-1),
    )
    with jax.enable_x64(True):
        for rows, ridge, least in ((plain, 1e-3, 1e-13), (plain, 1e-8, 1e-13), (twice, 1e-4, 1e-2)):

            def loss(layers, rows=rows, ridge=ridge, least=least):
                return project(moments(layers, rows), layers, ridge, rows.copies, least).loss

            gradient = project(moments(hidden, rows), hidden, ridge, rows.copies, least).gradient
            offset = 0
            for number, layer in enumerate(hidden):
                for position in (0, layer.size // 2, layer.size - 1):
                    step = 1e-5
                    slope = loss(moved(hidden, number, position, step))
                    slope -= loss(moved(hidden, number, position, -step))
                    assert slope / (2 * step) == pytest.approx(
                        gradient[offset + position], rel=1e-4, abs=1e-6
                    )
                offset += layer.size


def test_projection_is_the_least_squares_solution(epidemic):
    rows = make_rows(*epidemic)
    hidden = random_hidden(1, 4, seed=3)
    with jax.enable_x64(True):
        sums = moments(hidden, rows)
        found = project(sums, hidden, 1e-14)
        kernel, bias, pair_kernel, pair_bias = hidden
        own = np.concatenate(
            [np.tanh(rows.inputs @ kernel + bias), rows.inputs, np.ones_like(rows.inputs)], -1
        )
        pairs = np.concatenate(
            [np.tanh(rows.pair_inputs @ pair_kernel + pair_bias), rows.pair_inputs], -1
        )
        pairs = np.concatenate([pairs, np.ones_like(pairs[..., :1])], -1)
        sent = np.asarray(sum_into_receivers(jnp.asarray(pairs), rows.graph))
    design = np.einsum("skl,slp->skp", rows.weighting, np.concatenate([own, sent], -1))
    design = design.reshape(-1, design.shape[-1])
    targets = rows.targets.reshape(-1, 1)
    exact, *_ = np.linalg.lstsq(design, targets, rcond=None)
    left = np.mean((targets - design @ exact) ** 2) * len(targets) / rows.num_samples
    assert found.residual[0] == pytest.approx(left, rel=1e-3)


def test_compressed_rows_say_what_all_samples_say(epidemic):
    """The truth leaves almost nothing, and a wrong law the same squares as a direct computation."""
    rows = make_rows(*epidemic)
    states = epidemic[0].all_states()
    mean, std = states.mean(), states.std()
    x, pairs = rows.inputs * std + mean, rows.pair_inputs * std + mean
    with jax.enable_x64(True):
        message = jnp.asarray(0.5 * (1 - pairs[..., :1]) * pairs[..., 1:])
        truth = (-0.5 * x + np.asarray(sum_into_receivers(message, rows.graph))) / std
    left = rows.targets - np.einsum("skl,slv->skv", rows.weighting, truth)
    assert np.sum(left**2) / rows.num_samples < 1e-9


def test_integrals_on_thinned_grids_are_accurate():
    times = np.linspace(0.0, 1.0, 200)
    states = np.exp(-20.0 * times) * np.ones((1, 3, 1))
    chosen = thin_grid(times, states, np.array([1e-7]))
    assert len(chosen) < 100
    weights = integration_matrix(times[chosen], times)
    exact = (1.0 - np.exp(-20.0 * times)) / 20.0
    np.testing.assert_allclose(weights @ states[0, 0, chosen], exact, atol=1e-7)


def without_gauge(receiver, difference):
    """What is left of an error in g after the part that depends on x_i alone, which f can absorb."""
    powers = np.vander((receiver - receiver.mean()) / receiver.std(), 6)
    return difference - powers @ np.linalg.lstsq(powers, difference, rcond=None)[0]


def test_known_law_is_found(epidemic_fit):
    own, pair = epidemic_fit.sample_terms(800)
    assert own.input_names == ("x_i",)
    assert pair.input_names == ("x_i", "x_j")
    receiver, sender = pair.points.T
    truth = 0.5 * (1.0 - receiver) * sender
    difference = pair.values["x"] - truth
    assert np.sqrt(np.mean(difference**2)) < 0.02 * truth.std()
    fixed = without_gauge(receiver, difference)
    assert np.sqrt(np.mean(fixed**2)) < 0.01 * truth.std()
    own_truth = -0.5 * own.points[:, 0]
    assert np.sqrt(np.mean((own.values["x"] - own_truth) ** 2)) < 0.03 * own_truth.std()
    assert epidemic_fit.residual["x"] < 1e-7
    assert np.all(np.diff(epidemic_fit.history) < 0)
    assert np.all(pair.error["x"] > 0)


def test_field_is_the_terms_it_was_sampled_from(epidemic_fit, small_network):
    field = epidemic_fit.field
    state = np.random.default_rng(4).uniform(0.0, 1.0, (small_network.num_nodes, 1))
    with jax.enable_x64(True):
        derivative = np.asarray(field.derivative(jnp.asarray(state), graph_of(small_network)))
    adjacency = small_network.to_adjacency().toarray()
    truth = -0.5 * state + 0.5 * (1.0 - state) * (adjacency @ state)
    assert np.abs(derivative - truth).max() < 0.05 * np.abs(truth).max()


def test_relabelled_nodes_give_the_same_loss(epidemic):
    data, network = epidemic
    runs = epidemic_runs(network, num_runs=3)
    order = np.random.default_rng(5).permutation(network.num_nodes)
    adjacency = network.to_adjacency().toarray()
    other = Network.from_adjacency(adjacency[order][:, order])
    relabelled = [Trajectories(run.times, run.states[:, order]) for run in runs]
    hidden = random_hidden(1, 12, seed=6)
    losses = []
    with jax.enable_x64(True):
        changed = grid_data(relabelled, smooth(relabelled, refine=2))
        for part, graph in ((data, network), (changed, other)):
            everything = part.all_states()
            mean, std = everything.mean(axis=(1, 2)), everything.std(axis=(1, 2))
            none = np.empty((graph.num_nodes, 0))
            maker = RowMaker(part, graph, none, mean, std, std, 10**7, 0)
            assert maker.num_series == len(runs) * network.num_nodes
            losses.append(project(moments(hidden, maker.batch(0)), hidden, 1e-8).loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-8)


def test_features_are_inputs_and_a_wrong_name_is_named(small_network):
    feature = np.random.default_rng(7).uniform(0.5, 1.5, small_network.num_nodes)
    times = np.linspace(0.0, 2.0, 25)
    states = np.exp(-feature[None, :] * times[:, None])
    runs = [Trajectories(times, states, node_features={"rate": feature})]
    data = grid_data(runs, smooth(runs))
    fit = fit_neural_terms(data, small_network, width=8, replicate_steps=0)
    own, pair = fit.sample_terms(300)
    assert own.input_names == ("x_i", "rate_i")
    assert pair.input_names == ("x_i", "rate_i", "x_j", "rate_j")
    assert fit.residual["x"] < 1e-6
    with pytest.raises(InputError, match="'speed'"):
        fit_neural_terms(data, small_network, features=["speed"])


def test_unobserved_senders_leave_no_rows(small_network):
    states = np.random.default_rng(8).normal(size=(20, small_network.num_nodes)).cumsum(axis=0)
    hubs = np.unique(small_network.senders)
    states[:, hubs[1:]] = np.nan
    runs = [Trajectories(np.arange(20.0), states)]
    with pytest.raises(InputError, match="all its senders"):
        fit_neural_terms(grid_data(runs, smooth(runs)), small_network)


def test_gradient_through_the_solver():
    from jaxllc.neural.through_solver import chi_square_sum, observations

    network = Network.from_edges([0, 1, 2, 0], [1, 2, 0, 2])
    runs = epidemic_runs(network, num_runs=2, num_times=8)
    with jax.enable_x64(True):
        field = NeuralVectorField(("x",), (), np.zeros(1), np.ones(1), 3, jax.random.key(0))
        for part in (field.self_part, field.interaction_part):
            shape = part.readout[...].shape
            part.readout[...] = 0.1 * jax.random.normal(jax.random.key(1), shape)
        ((_, data),) = observations(grid_data(runs, smooth(runs)), (), np.array([0.1]))
        start = jnp.asarray(data.samples[:, 0])
        graph = graph_of(network)
        kernel = jnp.asarray(field.interaction_part.kernel[...])

        def loss(kernel, start):
            changed = jax.tree.map(lambda leaf: leaf, field)
            changed.interaction_part.kernel[...] = kernel
            return chi_square_sum(changed, start, graph, data)

        compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
        _, (by_kernel, by_start) = compiled(kernel, start)
        step = 1e-4
        for number, gradient in enumerate((by_kernel, by_start)):
            arguments = [kernel, start]
            probe = np.zeros(arguments[number].shape)
            probe.flat[1] = step
            ends = []
            for sign in (1.0, -1.0):
                shifted = list(arguments)
                shifted[number] = arguments[number] + sign * probe
                ends.append(float(compiled(*shifted)[0]))
            slope = (ends[0] - ends[1]) / (2 * step)
            assert slope == pytest.approx(float(np.asarray(gradient).flat[1]), rel=1e-3, abs=1e-3)


@pytest.mark.slow
def test_solver_stage_lowers_the_chi_square_of_noisy_trajectories():
    network = Network.from_edges([0, 1, 2, 3, 0, 2], [1, 2, 3, 0, 2, 1])
    noise = 0.01
    generator = np.random.default_rng(9)
    runs = [
        Trajectories(run.times, run.states + noise * generator.normal(size=run.states.shape))
        for run in epidemic_runs(network, num_runs=4, num_times=20)
    ]
    smoothed = smooth(runs, refine=2)
    data = grid_data(runs, smoothed)
    fit = fit_neural_terms(data, network, width=4, solver_steps=15, replicate_steps=0)
    assert fit.chi_square < 1.3 * (noise / smoothed.noise[0]) ** 2
