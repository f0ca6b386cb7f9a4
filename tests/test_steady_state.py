"""Steady states and their gradients: the equation, a dense solve, differences, and honesty without one."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling.model.activations import ACTIVATIONS as FUNCTIONS
from jaxllc.signaling.model.activations import activation
from jaxllc.signaling.model.steady_state import Solver, adjoint_state, bent, steady_state
from tests.signaling_problems import (
    ACTIVATIONS,
    arrays,
    differences,
    hub_problem,
    in_float64,
    problem,
    published,
    published_model,
    quickly_compiled,
    relative,
    solve,
)

PLAIN = Solver(5000)
EXTRAPOLATED = Solver(5000, memory=6)
TOLERANCE = 1e-13


def found_by(given, name="mml", solver=PLAIN, tolerance=TOLERANCE, **starts):
    return in_float64(
        lambda: solve(*(given.wires, given.weights, given.drive, name, solver, tolerance), **starts)
    )


@partial(quickly_compiled, static_argnums=(4, 5))
def misfit(wires, weights, drive, target, name, solver, start=None, adjoint_start=None):
    """The gradients by weights and drive of a number that depends on every state."""

    def function(weights, drive):
        state = steady_state(
            wires, weights, drive, name, solver, TOLERANCE, start, adjoint_start
        ).state
        return jnp.sum(target * state + 0.5 * target * state**2)

    return jax.grad(function, argnums=(0, 1))(weights, drive)


@pytest.fixture(scope="module")
def given():
    return problem()


@pytest.fixture(scope="module")
def target(given):
    return np.random.default_rng(9).normal(size=given.drive.shape)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_those_of_differences(name):
    """Also at the kinks of the pieces, where the slope is that of the left side."""
    function = FUNCTIONS[name]
    z = np.array([-3.0, -1e-3, 1e-3, 0.3, 0.499, 0.501, 0.9, 5.0])
    slopes = in_float64(function.slope, z)
    by_differences = differences(lambda z: in_float64(function.value, z).sum(), z)
    np.testing.assert_allclose(slopes, by_differences, rtol=1e-6)
    kink = in_float64(function.slope, np.zeros(1))[0]
    assert kink == (0.25 if name == "sigmoid" else 0.01)
    # A derivative through both sides of a kink must not meet an infinity.
    assert np.all(np.isfinite(in_float64(jax.grad(lambda z: function.value(z).sum()), z * 0)))


def test_an_unknown_activation_is_named_with_the_nearest_one():
    with pytest.raises(InputError, match=r"'sigmod'.*did you mean 'sigmoid'"):
        activation("sigmod")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_plain_and_extrapolated_states_solve_the_equation(given, name):
    expected = published().steady_state_converged(
        published_model(given, name), given.drive.T, 1e-15
    )
    for solver in (PLAIN, EXTRAPOLATED):
        found = found_by(given, name, solver)
        np.testing.assert_allclose(found.state, expected.T, rtol=0, atol=1e-12)
        assert np.all(found.residual <= TOLERANCE)
        slopes = published().slopes_at(published_model(given, name), expected, given.drive.T)
        np.testing.assert_allclose(found.slope, slopes.T, rtol=0, atol=1e-11)


def test_an_exact_number_of_steps(given):
    model = published_model(given)
    for steps in (0, 1, 17):
        found = found_by(given, solver=Solver(steps, exact=True))
        expected = (
            published().steady_state(model, given.drive.T, steps) if steps else 0 * found.state.T
        )
        np.testing.assert_allclose(found.state, expected.T, rtol=0, atol=1e-14)
        assert found.steps == steps
        # The residual is measured at the state itself: what one step more would change.
        after = published().activate(model, given.matrix @ found.state + given.drive)
        largest = np.maximum(np.abs(found.state).max(axis=0), np.finfo(float).tiny)
        if steps:
            change = np.abs(after - found.state).max(axis=0) / np.abs(after).max(axis=0)
            np.testing.assert_allclose(found.residual, change, rtol=1e-6)
            assert np.all(largest > 0)


def test_hubs_self_loops_and_isolated_nodes():
    given = hub_problem()
    found = found_by(given, solver=EXTRAPOLATED)
    expected = published().steady_state_converged(published_model(given), given.drive.T, 1e-15)
    np.testing.assert_allclose(found.state, expected.T, rtol=0, atol=1e-11)
    alone = published().activate(published_model(given), given.drive)[65:]
    np.testing.assert_array_equal(found.state[65:], alone)


def test_without_edges_the_state_is_that_of_the_drive_and_there_is_no_gradient():
    for num_nodes in (1, 5):
        empty = problem(num_nodes, 0)
        found = found_by(empty)
        expected = published().activate(published_model(empty), empty.drive)
        np.testing.assert_allclose(found.state, expected, rtol=1e-15)
        by_weight, by_drive = in_float64(
            misfit, empty.wires, empty.weights, empty.drive, 1.0 + 0 * empty.drive, "mml", PLAIN
        )
        assert by_weight.shape == (0,)
        assert by_drive.shape == empty.drive.shape


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_equal_a_dense_solve_and_differences(given, target, name):
    model = published_model(given, name)

    def value(weights, drive):
        model.weights = weights
        states = published().steady_state_converged(model, drive.T, 1e-15).T
        return np.sum(target * states + 0.5 * target * states**2)

    states = published().steady_state_converged(model, given.drive.T, 1e-15)
    slopes = published().slopes_at(model, states, given.drive.T)
    adjoint = published().adjoint_exact(model, slopes, target.T * (1 + states))
    by_weight = np.einsum("be,be->e", adjoint[:, given.receivers], states[:, given.senders])
    for solver in (PLAIN, EXTRAPOLATED):
        found = in_float64(misfit, given.wires, given.weights, given.drive, target, name, solver)
        np.testing.assert_allclose(found[0], by_weight, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found[1], adjoint.T, rtol=0, atol=1e-10)
    differing = differences(lambda w: value(w, given.drive), given.weights)
    np.testing.assert_allclose(found[0], differing, rtol=1e-5, atol=1e-7)
    differing = differences(lambda u: value(given.weights, u), given.drive)
    np.testing.assert_allclose(found[1], differing, rtol=1e-5, atol=1e-7)


def test_warm_starts_end_where_cold_ones_do_and_take_fewer_steps(given, target):
    cold = found_by(given)
    near = cold.state + 1e-6
    warm = found_by(given, start=near)
    np.testing.assert_allclose(warm.state, cold.state, rtol=0, atol=1e-11)
    assert warm.steps < cold.steps
    fixed = given.wires, given.weights, given.drive, target, "mml"
    cold_gradient = in_float64(misfit, *fixed, PLAIN)
    for adjoint_start in (cold_gradient[1], 0 * target + 1):
        warm_gradient = in_float64(
            lambda start: misfit(*fixed, PLAIN, start=near, adjoint_start=start), adjoint_start
        )
        for one, other in zip(warm_gradient, cold_gradient, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    # With the adjoint known, one step suffices for the gradient.
    one_step = Solver(1, exact=True)
    quick = in_float64(
        lambda: misfit(*fixed, one_step, start=cold.state, adjoint_start=cold_gradient[1])
    )
    np.testing.assert_allclose(quick[0], cold_gradient[0], rtol=0, atol=1e-10)


def test_single_precision_is_near_double_precision(given, target):
    wires, (weights, drive, single) = given.wires, arrays(given.weights, given.drive, target)
    found = solve(wires, weights, drive, "mml", PLAIN, 1e-6)
    assert found.state.dtype == np.float32
    assert relative(found.state, found_by(given).state) < 1e-3
    gradients = misfit(wires, weights, drive, single, "mml", Solver(200, exact=True))
    exact = in_float64(misfit, given.wires, given.weights, given.drive, target, "mml", PLAIN)
    for one, other in zip(gradients, exact, strict=True):
        assert one.dtype == np.float32
        assert relative(one, other) < 1e-3


@pytest.mark.parametrize("solver", [Solver(400), Solver(400, memory=6)])
def test_a_diverging_network_ends_and_every_condition_says_so_for_itself(solver):
    """A pair of nodes that excite each other ever more, beside nodes that settle."""
    given = problem(seed=2)._replace(
        num_nodes=3,
        senders=np.array([1, 0, 1]),
        receivers=np.array([0, 1, 2]),
        weights=np.array([1.5, 1.5, 0.5]),
        drive=np.array([[-1.0, 0.1, -2.0], [-0.5, 0.1, -1.0], [0.3, 0.3, 0.2]]),
    )
    found = found_by(given, "leaky_relu", solver, 1e-8)
    np.testing.assert_array_equal(found.residual <= 1e-8, [True, False, True])
    assert found.steps >= 400


def test_the_residual_of_a_condition_does_not_depend_on_the_others(given):
    """Conditions are solved side by side, and each reports what it would report alone."""
    for solver in (Solver(30), Solver(28, memory=6)):
        together = found_by(given, "mml", solver, 0.0)
        for column in range(given.drive.shape[1]):
            one = given._replace(drive=given.drive[:, column : column + 1])
            alone = found_by(one, "mml", solver, 0.0)
            np.testing.assert_allclose(
                together.residual[column], alone.residual[0], rtol=1e-3, atol=1e-14
            )


def test_renamed_nodes_have_the_same_states(given):
    renamed = np.random.default_rng(4).permutation(given.num_nodes)
    senders, receivers = renamed[given.senders], renamed[given.receivers]
    order = np.lexsort((senders, receivers))
    drive = np.empty_like(given.drive)
    drive[renamed] = given.drive
    other = given._replace(
        senders=senders[order],
        receivers=receivers[order],
        weights=given.weights[order],
        drive=drive,
    )
    np.testing.assert_allclose(
        found_by(other).state[renamed], found_by(given).state, rtol=0, atol=1e-12
    )


def test_vmap_over_weights_equals_a_loop_with_gradients(given, target):
    scales = np.array([0.5, 1.0])
    weights = scales[:, None] * given.weights
    solver = Solver(200, exact=True)

    def run(weights):
        return misfit(given.wires, weights, given.drive, target, "mml", solver)

    together = in_float64(jax.vmap(run), weights)
    for n in range(2):
        alone = in_float64(run, weights[n])
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[n], other, rtol=0, atol=1e-11)


def test_other_weights_and_drives_need_no_new_compilation(given):
    found_by(given)
    compiled = solve._cache_size()
    found_by(given._replace(weights=-given.weights, drive=given.drive + 1))
    found_by(problem(seed=5))  # another network, whose lists have equal shapes
    assert solve._cache_size() == compiled


def test_bent_values_are_the_identity_within_the_limit_and_bounded_beyond():
    values = np.linspace(-20, 20, 801)
    found = in_float64(bent, values, 1.5)
    inside = np.abs(values) <= 1.5
    np.testing.assert_array_equal(found[inside], values[inside])
    assert np.all(np.abs(found) <= 3)
    assert np.all(np.diff(found) >= 0)
    np.testing.assert_allclose(found, published().clipped(values, 1.5), atol=1e-14)


def test_the_adjoint_limit_bounds_gradients_where_the_adjoint_would_diverge(given, target):
    """Above a spectral radius of 1 the adjoint iteration grows without bound."""

    def run(limit):
        weights, slope, pull = arrays(2 * given.weights, np.ones_like(target), target)
        solver = Solver(150, exact=True, adjoint_limit=limit)
        return adjoint_state(given.wires, weights, slope, pull, solver, 0.0, 0 * pull)

    assert np.abs(in_float64(run, 0.0)).max() > 1e3
    assert np.abs(in_float64(run, 1.0)).max() <= 2
