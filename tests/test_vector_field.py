"""Symbolic fields against dense NumPy sums; structure is static and constants are leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.data.message_passing import graph_of
from jaxllc.data.network import Network
from jaxllc.dynamics.vector_field import from_equations
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError


@pytest.fixture(scope="module")
def weighted():
    rng = np.random.default_rng(1)
    A = np.where(rng.random((9, 9)) < 0.4, rng.uniform(0.2, 2.0, (9, 9)), 0.0)
    np.fill_diagonal(A, 0.0)
    return A, Network.from_adjacency(A)


TWO_VARIABLES = {
    "x": Equation.from_text("1 - omega_i*x_i", "y_i*sin(x_j - x_i)/k_i"),
    "y": Equation.from_text("0", "omega_j*y_j - omega_i"),
}


def test_the_derivative_is_the_dense_sum(weighted):
    A, network = weighted
    rng = np.random.default_rng(0)
    state, omega = rng.normal(size=(9, 2)), rng.uniform(1, 2, 9)
    field = from_equations(TWO_VARIABLES)
    assert field.variables == ("x", "y")
    assert field.feature_names == ("omega",)
    with jax.enable_x64(True):
        graph = graph_of(network, {"omega": omega})
        derivative = field.derivative(jnp.asarray(state), graph)
    x, y = state.T
    pull = (A * np.sin(x[None, :] - x[:, None])).sum(1) * y / A.sum(1)
    drift = A @ (omega * y) - omega * A.sum(1)
    np.testing.assert_allclose(derivative[:, 0], 1 - omega * x + pull, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(derivative[:, 1], drift, rtol=1e-12, atol=1e-12)


def test_terms_of_any_leading_shape(weighted):
    field = from_equations({"x": Equation.from_text("2", "x_j*x_i")})
    x = jnp.ones((3, 4, 1))
    assert field.self_term(x, {}).shape == (3, 4, 1)
    assert field.interaction_term(x, 2 * x, {}, {}).tolist() == (2 * x).tolist()


def test_another_law_of_the_same_structure_does_not_compile_again(weighted):
    _, network = weighted
    count = 0

    @jax.jit
    def derivative(field, state, graph):
        nonlocal count
        count += 1
        return field.derivative(state, graph)

    graph, state = graph_of(network), jnp.ones((9, 1))
    for a, b in [(0.5, 2.0), (3.0, 0.25), (7, 0.1)]:
        field = from_equations({"x": Equation.from_text(f"-{a}*x_i", f"{b}*(1 - x_i)*x_j")})
        derivative(field, state, graph)
    assert count == 1


def test_the_gradient_in_the_constants_is_that_of_finite_differences(weighted):
    _, network = weighted
    rng = np.random.default_rng(3)
    state = rng.uniform(0.2, 1.0, (9, 1))
    with jax.enable_x64(True):
        graph = graph_of(network)
        field = from_equations(
            {"x": Equation.from_text("-0.5*x_i**2", "0.3*x_j**2/(x_j**2 + 0.7)")}
        )

        def loss(field):
            return jnp.sum(field.derivative(jnp.asarray(state), graph) ** 2)

        gradient = jax.grad(loss)(jax.tree.map(jnp.asarray, field))
        for n in range(len(field.constants)):
            step = np.zeros(len(field.constants))
            step[n] = 1e-6
            up, down = (
                jax.tree.map(lambda c, s=sign * step: jnp.asarray(c + s), field) for sign in (1, -1)
            )
            slope = (loss(up) - loss(down)) / 2e-6
            np.testing.assert_allclose(gradient.constants[n], slope, rtol=1e-6)


def test_relabelled_nodes_give_relabelled_derivatives(weighted):
    _, network = weighted
    rng = np.random.default_rng(4)
    order = rng.permutation(9)
    state = rng.normal(size=(9, 1)).astype(np.float32)
    field = from_equations({"x": Equation.from_text("-x_i", "sin(x_j - x_i)")})
    here = field.derivative(jnp.asarray(state), graph_of(network))
    there = field.derivative(jnp.asarray(state[order]), graph_of(network.relabelled(order)))
    np.testing.assert_allclose(there, here[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("self_term", "interaction_term", "features", "part"),
    [
        ("x_j", "0", (), "'x_j' cannot stand in a self term"),
        ("x", "0", (), "'x' cannot stand"),
        ("omge_i", "0", ("omega",), "did you mean 'omega'"),
    ],
)
def test_symbols_that_mean_nothing_are_refused(self_term, interaction_term, features, part):
    with pytest.raises(InputError, match=part):
        from_equations({"x": Equation.from_text(self_term, interaction_term)}, features)


def test_no_equations_are_refused():
    with pytest.raises(InputError, match="empty"):
        from_equations({})
