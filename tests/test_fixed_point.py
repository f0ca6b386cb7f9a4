"""Fixed points of many columns at once: found, counted, and honest where there is none."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.signaling.model.fixed_point import accelerate_to, iterate, iterate_to, relative_change
from tests.signaling_problems import in_float64


def linear(A, b):
    return lambda x: A @ x + b


def contraction(size=30, columns=4, radius=0.9, seed=0):
    """A with leading eigenvalues that are complex, b, and the fixed point of A x + b."""
    random = np.random.default_rng(seed)
    A = random.normal(size=(size, size))
    eigenvalues = np.linalg.eigvals(A)
    A *= radius / np.abs(eigenvalues).max()
    assert abs(eigenvalues[np.argmax(np.abs(eigenvalues))].imag) > 0
    b = random.normal(size=(size, columns))
    return A, b, np.linalg.solve(np.eye(size) - A, b)


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_iterate_applies_the_function_exactly_as_often_as_asked(steps):
    np.testing.assert_array_equal(iterate(lambda x: x + 1, jnp.zeros((3, 2)), steps), steps)


def test_plain_and_extrapolated_iterations_find_the_solution_of_the_linear_system():
    A, b, solution = contraction()
    start = np.zeros(b.shape)
    plain = in_float64(iterate_to, linear(A, b), start, 1e-12, 5000)
    extrapolated = in_float64(accelerate_to, linear(A, b), start, 1e-12, 5000, 10)
    for found in (plain, extrapolated):
        np.testing.assert_allclose(found.point, solution, rtol=0, atol=1e-9)
        assert np.all(found.residual <= 1e-12)
    assert extrapolated.steps < plain.steps
    # The residual is that of the last application, and the steps count the applications.
    before = in_float64(iterate, linear(A, b), start, int(plain.steps) - 1)
    last_change = in_float64(relative_change, plain.point, before)
    np.testing.assert_allclose(plain.residual, last_change, rtol=1e-2)


def test_a_fixed_point_to_begin_with_takes_one_step():
    A, b, solution = contraction(radius=0.5)
    found = in_float64(iterate_to, linear(A, b), solution, 1e-10, 100)
    zero = in_float64(iterate_to, lambda x: 0.5 * x, np.zeros((3, 1)), 1e-10, 100)
    assert found.steps == 1
    assert zero.steps == 1
    assert zero.residual[0] == 0


SYSTEMS = {
    "grows": lambda x: 2 * x,
    "blows up": lambda x: 1e6 * x * x,
    "oscillates": lambda x: 1 - x,
}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("memory", [0, 5])
def test_a_system_without_a_fixed_point_ends_and_says_so(name, memory):
    start = jnp.full((3, 2), 2.0)
    if memory:
        found = accelerate_to(SYSTEMS[name], start, 1e-6, 300, memory)
    else:
        found = iterate_to(SYSTEMS[name], start, 1e-6, 300)
    assert not np.any(np.asarray(found.residual) <= 1e-6)
    assert found.steps <= 300 + memory


def test_a_column_that_blows_up_does_not_keep_the_others_from_converging():
    def function(x):
        return jnp.concatenate([0.5 * x[:, :1] + 1, 1e6 * x[:, 1:] ** 2], axis=1)

    for found in (
        iterate_to(function, jnp.full((3, 2), 2.0), 1e-6, 500),
        accelerate_to(function, jnp.full((3, 2), 2.0), 1e-6, 500, 5),
    ):
        np.testing.assert_allclose(found.point[:, 0], 2.0, rtol=1e-5)
        assert found.residual[0] <= 1e-6
        assert not found.residual[1] <= 1e-6
        assert found.steps < 100


@pytest.mark.parametrize("memory", [0, 6])
def test_residual_and_point_of_a_column_do_not_depend_on_the_other_columns(memory):
    """A slow column beside fast ones comes out as if it were alone."""
    rates = jnp.array([[0.1, 0.9, 0.5]], jnp.float32)
    shift = jnp.asarray(np.random.default_rng(0).uniform(0.5, 1, (5, 3)), jnp.float32)

    def run(columns):
        def function(x):
            return rates[:, columns] * jnp.roll(x, 1, axis=0) + shift[:, columns]

        start = jnp.zeros((5, len(columns)), jnp.float32)
        if memory:
            return accelerate_to(function, start, 1e-5, 400, memory)
        return iterate_to(function, start, 1e-5, 400)

    together, alone = run(np.array([0, 1, 2])), run(np.array([1]))
    assert together.steps == alone.steps, "the slow column is the last to finish"
    np.testing.assert_allclose(together.residual[1], alone.residual[0], rtol=0.3, atol=1e-7)
    np.testing.assert_allclose(together.point[:, 1], alone.point[:, 0], rtol=1e-5)


def test_relative_change_is_in_units_of_the_largest_entry():
    after, before = jnp.array([[2.0, 0.0], [-4.0, 0.0]]), jnp.array([[1.0, 0.0], [-4.0, 0.0]])
    np.testing.assert_array_equal(relative_change(after, before), [0.25, 0.0])
