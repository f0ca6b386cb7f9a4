"""Simulation against exact solutions and scipy; failures are sentences, never a hang."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxllc.data.message_passing import graph_of
from jaxllc.data.network import Network
from jaxllc.dynamics import integrate
from jaxllc.dynamics.integrate import simulate, solve
from jaxllc.dynamics.vector_field import from_equations
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError

TIMES = np.linspace(0.0, 2.0, 9)
PAIR = Network.from_edges([0, 1], [1, 0], [0.5, 2.0])


def law(self_term, interaction_term="0"):
    return from_equations({"x": Equation.from_text(self_term, interaction_term)})


@pytest.fixture(scope="module")
def linear():
    """dx/dt = -x + A x on two nodes: the matrix exponential is the exact solution."""
    return law("-1.0*x_i", "1.0*x_j")


def exact(state0):
    A = np.array([[-1.0, 2.0], [0.5, -1.0]])
    values, vectors = np.linalg.eig(A)
    weights = np.linalg.solve(vectors, state0)
    return np.exp(np.outer(TIMES, values)) * weights @ vectors.T


@pytest.mark.parametrize("solver", ["tsit5", "dopri8", "kvaerno5"])
def test_every_solver_meets_the_exact_solution(linear, solver):
    result = simulate(linear, PAIR, TIMES, np.array([1.0, 0.3]), solver=solver)
    assert result.success
    assert result.message == "Reached t = 2."
    assert result.trajectories.states.dtype == np.float64
    np.testing.assert_allclose(
        result.trajectories.states[:, :, 0], exact([1.0, 0.3]), rtol=1e-6, atol=1e-8
    )
    assert not jax.config.jax_enable_x64


def test_a_batch_is_its_runs_one_by_one(linear):
    starts = np.random.default_rng(0).normal(size=(3, 2, 1))
    batch = simulate(linear, PAIR, TIMES, starts)
    assert all(run.success for run in batch)
    for start, run in zip(starts, batch, strict=True):
        np.testing.assert_allclose(
            run.trajectories.states[:, :, 0], exact(start[:, 0]), rtol=1e-7, atol=1e-9
        )


def test_another_law_does_not_compile_again(linear):
    compiled = integrate._compiled("tsit5", 20_000)
    simulate(linear, PAIR, TIMES, np.ones(2))
    before = compiled._cache_size()
    for terms in (("-3.5*x_i", "0.25*x_j"), ("-x_i + tanh(0.3*x_s)", "x_i*sin(x_j - 1.5)")):
        simulate(law(*terms), PAIR, TIMES, np.ones(2), rtol=1e-6)
    assert compiled._cache_size() == before


def test_a_program_of_its_own_for_a_large_network_gives_the_same(linear, monkeypatch):
    start = np.array([1.0, 0.3])
    shared = simulate(linear, PAIR, TIMES, start)
    compiled = integrate._compiled("tsit5", 20_000)
    before = compiled._cache_size()
    monkeypatch.setattr(integrate, "SPECIALISED_FROM", 2)
    own = simulate(linear, PAIR, TIMES, start)
    assert compiled._cache_size() == before + 1
    np.testing.assert_allclose(own.trajectories.states, shared.trajectories.states, rtol=1e-13)


def test_single_precision_works(linear):
    result = simulate(
        linear, PAIR, TIMES, np.array([1.0, 0.3]), rtol=1e-5, atol=1e-6, dtype=np.float32
    )
    assert result.success
    np.testing.assert_allclose(
        result.trajectories.states[:, :, 0], exact([1.0, 0.3]), rtol=1e-3, atol=1e-4
    )


def test_blow_up_in_finite_time_says_when():
    times = np.arange(0.0, 5.0, 0.4)
    result = simulate(law("x_i**2"), PAIR, times, np.array([1.0, 0.5]))
    assert not result.success
    assert "Diverged at t = 1 of" in result.message
    states = result.trajectories.states[:, 0, 0]
    np.testing.assert_allclose(states[:3], 1 / (1 - times[:3]), rtol=1e-6)
    assert np.isnan(states[3:]).all()


def test_one_bad_run_does_not_spoil_the_others():
    starts = np.array([[[1.0], [0.5]], [[-1.0], [-0.5]]])
    bad, good = simulate(law("x_i**2"), PAIR, np.linspace(0, 5, 11), starts)
    assert (bad.success, good.success) == (False, True)
    assert "Diverged" in bad.message
    t = np.linspace(0, 5, 11)
    np.testing.assert_allclose(good.trajectories.states[:, 0, 0], -1 / (1 + t), rtol=1e-6)


@pytest.mark.parametrize("self_term", ["exp(x_i)", "log(x_i - 3)", "-1/x_i"])
def test_singular_laws_stop_with_a_sentence(self_term):
    result = simulate(law(self_term), PAIR, TIMES, np.array([1.0, 0.5]))
    assert not result.success
    assert result.message.startswith(("Stalled at t =", "Diverged at t ="))
    assert np.isnan(result.trajectories.states[-1]).all()


def test_a_stiff_law_stalls_an_explicit_solver_and_suits_the_implicit_one():
    # x follows cos(y) within 1e-6 of a time unit, while y turns slowly.
    stiff = from_equations(
        {
            "x": Equation.from_text("-1000000.0*(x_i - cos(y_i))", "0"),
            "y": Equation.from_text("1.0", "0"),
        }
    )
    start = np.array([[0.0, 0.0], [1.0, 1.0]])
    explicit = simulate(stiff, PAIR, [0.0, 5.0, 10.0], start, max_steps=2000)
    assert not explicit.success
    assert "Stalled" in explicit.message
    assert 'solver="kvaerno5"' in explicit.message
    implicit = simulate(
        stiff, PAIR, [0.0, 5.0, 10.0], start, solver="kvaerno5", rtol=1e-6, atol=1e-8
    )
    assert implicit.success
    np.testing.assert_allclose(
        implicit.trajectories.states[:, 0, 0][1:], np.cos([5.0, 10.0]), atol=1e-5
    )


def test_gradients_of_solve_are_those_of_finite_differences():
    with jax.enable_x64(True):
        graph = graph_of(PAIR)
        field = jax.tree.map(jnp.asarray, law("-0.5*x_i", "0.3*(1 - x_i)*x_j"))
        times, start = jnp.linspace(0.0, 2.0, 4), jnp.array([[0.2], [0.6]])

        def final(constants, adjoint=None):
            changed = jax.tree.unflatten(jax.tree.structure(field), [constants])
            return jnp.sum(solve(changed, graph, start, times, adjoint=adjoint).states[-1])

        reverse = jax.grad(final)(field.constants)
        forward = jax.jacfwd(lambda c: final(c, diffrax.ForwardMode()))(field.constants)
        value = jax.jit(final)
        for n in range(len(field.constants)):
            step = jnp.zeros(len(field.constants)).at[n].set(1e-5)
            slope = (value(field.constants + step) - value(field.constants - step)) / 2e-5
            np.testing.assert_allclose(reverse[n], slope, rtol=1e-5)
            np.testing.assert_allclose(forward[n], slope, rtol=1e-5)


def test_irregular_times_and_a_start_that_is_not_zero(small_network):
    field = law("omega_i", "0.5*sin(x_j - x_i)")
    rng = np.random.default_rng(2)
    times = np.sort(rng.uniform(3.0, 5.0, 9))
    omega, start = rng.uniform(1, 2, 20), rng.uniform(0, 6, 20)
    result = simulate(field, small_network, times, start, {"omega": omega})
    A = small_network.to_adjacency().toarray()

    def rate(t, x):
        return omega + 0.5 * (A * np.sin(x[None, :] - x[:, None])).sum(1)

    reference = solve_ivp(
        rate, times[[0, -1]], start, t_eval=times, rtol=1e-10, atol=1e-12, method="DOP853"
    )
    np.testing.assert_allclose(result.trajectories.states[:, :, 0], reference.y.T, rtol=1e-6)
    np.testing.assert_array_equal(result.trajectories.node_features["omega"], omega)


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"times": [0.0]}, "T >= 2"),
        ({"times": [0.0, 2.0, 1.0]}, r"times\[2\]"),
        ({"times": [0.0, np.nan]}, "not finite"),
        ({"times": ["a", "b"]}, "numbers"),
        ({"initial_state": np.ones(3)}, "shape"),
        ({"initial_state": np.array([1.0, np.inf])}, "not finite"),
        ({"initial_state": PAIR}, "not a Network; check the order"),
        ({"initial_state": TIMES, "times": PAIR}, "numbers"),
        ({"network": np.eye(2)}, "network must be a Network, not a ndarray"),
        ({"solver": "tsit"}, "did you mean 'tsit5'"),
        ({"node_features": {"omgea": np.ones(2)}}, "did you mean 'omgea'"),
        ({"node_features": {"omega": np.ones(5)}}, "each of the 2 nodes"),
        ({"node_features": None}, "needs the node feature 'omega'"),
    ],
)
def test_input_that_does_not_fit_is_refused(changed, part):
    arguments = {
        "network": PAIR,
        "times": TIMES,
        "initial_state": np.ones(2),
        "node_features": {"omega": np.ones(2)},
    } | changed
    with pytest.raises(InputError, match=part):
        simulate(law("omega_i*x_i"), **arguments)
