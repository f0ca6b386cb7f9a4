"""Constants and initial states of a law through the differentiable solver."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from jaxllc.data.message_passing import graph_of
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.candidate_field import candidate_field
from jaxllc.dynamics.stage import Stage
from jaxllc.dynamics.terms import SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.solver.solver_finish import finish_through_solver
from jaxllc.fit.solver.solver_program import SolverProgram, followed, runs_of, sharing_pays
from jaxllc.fit.trajectory_fit import fit_trajectories
from jaxllc.settings.constant_bounds import ConstantBounds
from tests.fit_problems import (
    adjacency,
    epidemic_law,
    epidemic_problem,
    own,
    pair,
    problem_of,
    solved,
)
from tests.sum_laws import signed_network

X = sympy.Symbol("x_i")


@pytest.fixture(scope="module")
def noisy():
    problem = epidemic_problem(num_nodes=6, num_runs=2, noise=0.01, level=0.01, substeps=8)
    problem = problem.with_mask(
        np.where(np.random.default_rng(0).uniform(size=problem.mask.shape) < 0.9, problem.mask, 0.0)
    )
    return problem, fit_trajectories(
        problem, epidemic_law(), iterations=30, tolerance=1e-9, exact=True
    )


def test_constants_and_their_errors_are_those_of_the_fit_on_a_fine_grid(noisy):
    problem, fit = noisy
    found = finish_through_solver(problem, fit, tolerance=1e-6)
    assert found.converged
    # The fit on the grid ends where no step gains a tenth of a unit of the criterion.
    assert apart(found, fit) < 0.02
    np.testing.assert_allclose(found.covariance, fit.covariance, rtol=1e-3)
    np.testing.assert_allclose(found.squared_residual, fit.squared_residual, rtol=1e-4)
    np.testing.assert_allclose(found.states, fit.states, atol=1e-3)


def test_clean_constants_are_the_same_to_a_millionth():
    problem = epidemic_problem(num_nodes=6, num_runs=2, noise=1e-6, substeps=8)
    fit = fit_trajectories(problem, epidemic_law(), iterations=20, exact=True)
    found = finish_through_solver(problem, fit)
    np.testing.assert_allclose(found.law.vector(), fit.law.vector(), rtol=1e-6)


def apart(found, fit):
    """Largest difference of a constant, in standard errors."""
    errors = np.sqrt(np.diag(fit.covariance))
    return np.abs((found.law.vector() - fit.law.vector()) / errors).max()


def test_it_comes_back_from_elsewhere(noisy):
    problem, fit = noisy
    away = replace(fit, law=fit.law.with_vector(fit.law.vector() * [1.1, 0.9, 1.05]))
    found = finish_through_solver(problem, away, steps=20, tolerance=1e-6)
    assert apart(found, fit) < 0.02


def test_single_precision_is_near(noisy):
    problem, fit = noisy
    found = finish_through_solver(problem, fit, dtype=np.float32)
    assert apart(found, fit) < 0.02
    # As the fit on the grid, whose constants may be off by that much; the errors are those of float64.
    np.testing.assert_allclose(found.covariance, fit.covariance, rtol=1e-2)
    np.testing.assert_allclose(found.states, fit.states, atol=1e-3)


def test_constants_stay_within_their_bounds(noisy):
    problem, fit = noisy
    bounds = ConstantBounds(coefficients=(-0.45, 0.45))
    law = replace(fit.law, bounds=bounds).within_bounds()
    bounded = fit_trajectories(problem, law, iterations=20, exact=True)
    found = finish_through_solver(problem, bounded)
    assert np.abs(found.law.vector()).max() <= 0.45 + 1e-12
    assert np.isnan(found.covariance).any()


def test_the_minimum_is_that_of_optimistix():
    import optimistix

    problem = epidemic_problem(num_nodes=4, noise=0.02, level=0.02, substeps=8, num_times=15)
    fit = fit_trajectories(problem, epidemic_law(), iterations=10, exact=True)
    found = finish_through_solver(problem, fit, tolerance=1e-8, steps=20)
    field = candidate_field(problem.variables, (), fit.law.terms, fit.law.vector())
    runs = runs_of(problem)
    with jax.enable_x64(True):
        graph = graph_of(problem.network)

        def residual(parameters, _):
            law = field.with_vector(parameters[:3])
            found = followed(law, graph, parameters[3:, None], runs.times[0], "float64")
            return ((runs.samples[0] - found.states) * runs.weights[0]).ravel()

        start = jnp.concatenate([jnp.asarray(fit.law.vector()), fit.states[0, :, 0]])
        solver = optimistix.LevenbergMarquardt(rtol=1e-10, atol=1e-10)
        best = optimistix.least_squares(
            residual, solver, start, max_steps=60, throw=False, options={"jac": "fwd"}
        )
    np.testing.assert_allclose(found.law.vector(), np.asarray(best.value)[:3], rtol=1e-5)


def test_the_field_of_a_law_is_its_terms_with_sums_features_and_logarithms():
    network = signed_network()
    u = np.random.default_rng(4).uniform(0.5, 1.5, network.num_nodes)
    symbols = {n: sympy.Symbol(n) for n in ("x_i", "x_j", "x_s", "u_i", "w0", "k_i")}
    tanh = TermFamily(SELF, sympy.tanh(symbols["w0"] * symbols["x_s"] + symbols["u_i"]), (True,))
    pair = TermFamily(
        "interaction",
        symbols["x_j"] * symbols["x_i"] / (symbols["w0"] + symbols["x_j"] ** 2),
        (True,),
    )
    law = CandidateLaw(
        ((Term(TermFamily(SELF, X)), Term(tanh, (1.7,)), Term(pair, (0.6,))),), ((-0.4, 0.8, 0.3),)
    )
    x = np.random.default_rng(5).uniform(0.2, 1.0, (network.num_nodes, 1))
    stage = Stage(network, {"x": x}, {"u": u})
    truth = sum(
        c * stage.evaluator(t.inner).value(t.family)
        for t, c in zip(law.terms[0], law.coefficients[0], strict=True)
    )
    field = candidate_field(("x",), ("u",), law.terms, law.vector())
    with jax.enable_x64(True):
        graph = graph_of(network, {"u": u})
        found = np.asarray(field.derivative(jnp.asarray(x), graph))
        slopes = jax.jacfwd(lambda v: field.with_vector(v).derivative(jnp.asarray(x), graph))(
            jnp.asarray(law.vector())
        )
        step = 1e-6
        for k in range(5):
            ends = [
                field.with_vector(jnp.asarray(law.vector()).at[k].add(s * step)).derivative(
                    jnp.asarray(x), graph
                )
                for s in (1, -1)
            ]
            np.testing.assert_allclose(
                np.asarray(slopes)[..., k],
                np.asarray(ends[0] - ends[1]) / (2 * step),
                rtol=1e-5,
                atol=1e-8,
            )
    np.testing.assert_allclose(found, truth, rtol=1e-10)


def test_a_law_that_runs_away_comes_back_as_it_was():
    times = np.linspace(0, 1.0, 12)
    states = 1 / (np.array([2.0, 2.1, 2.3]) - times[:, None])
    problem = problem_of([Trajectories(times, states)], adjacency(3), 1e-3)
    law = CandidateLaw(((Term(TermFamily(SELF, X**2)),),), ((1.0,),))
    fit = fit_trajectories(problem, law, iterations=5, exact=True)
    wild = replace(fit, law=law.with_vector(np.array([40.0])))
    assert finish_through_solver(problem, wild) is wild


def test_runs_of_unlike_length_are_fitted_together():
    A = adjacency(5)
    network = Network.from_adjacency(A)
    assert network.num_nodes == 5
    generator, runs = np.random.default_rng(2), []
    from scipy.integrate import solve_ivp

    for count in (12, 17):
        times = np.linspace(0, 2, count)
        start = generator.uniform(0, 1, 5)
        states = solve_ivp(
            lambda t, x: -0.5 * x + 0.5 * (1 - x) * (A @ x), (0, 2), start, t_eval=times, rtol=1e-10
        ).y.T
        runs.append(Trajectories(times, states + 0.005 * generator.standard_normal(states.shape)))
    problem = problem_of(runs, A, 0.005, refine=2, substeps=8)
    fit = fit_trajectories(problem, epidemic_law(), iterations=30, tolerance=1e-9, exact=True)
    found = finish_through_solver(problem, fit, tolerance=1e-6)
    assert apart(found, fit) < 0.02
    np.testing.assert_allclose(found.covariance, fit.covariance, rtol=1e-2)
    np.testing.assert_allclose(found.states, fit.states, atol=1e-3)


# --- one program for all laws, several starts, several devices --------------------------------------


@pytest.fixture(scope="module")
def small():
    """Two variables, a node feature, an inner constant as a logarithm, and two runs."""
    generator = np.random.default_rng(7)
    A, u = adjacency(4), generator.uniform(0.5, 1.5, 4)
    times, runs = np.linspace(0, 1.5, 9), []
    for _ in range(2):
        start = generator.uniform(0.2, 1.0, (4, 2))
        path = solved(
            lambda t, s: small_rate(s.reshape(4, 2), A, u).ravel(), start.ravel(), times
        ).reshape(9, 4, 2)
        path = path + 0.01 * generator.standard_normal(path.shape)
        runs.append(Trajectories(times, path, variables=("x", "y"), node_features={"u": u}))
    problem = problem_of(runs, A, [0.01, 0.01], refine=1, substeps=4, features={"u": u})
    y, y_j, u_i, w0 = (sympy.Symbol(n) for n in ("y_i", "y_j", "u_i", "w0"))
    law = CandidateLaw(
        (
            (own(u_i * X), pair(y_j / (w0 + y_j), 0.9)),
            (own(y), own(X)),
        ),
        ((-0.95, 0.7), (-1.02, 0.52)),
    )
    return problem, fit_trajectories(problem, law, iterations=20, exact=True)


def small_rate(states, A, u):
    x, y = states.T
    return np.stack([-u * x + 0.7 * (A @ (y / (0.8 + y))), -y + 0.5 * x], axis=1)


def test_one_program_of_all_laws_gives_what_a_law_of_its_own_gives(small):
    problem, fit = small
    found = [finish_through_solver(problem, fit, shared=shared) for shared in (False, True)]
    assert all(one.converged for one in found)
    np.testing.assert_allclose(*(one.law.vector() for one in found), rtol=1e-9)
    np.testing.assert_allclose(*(one.covariance for one in found), rtol=1e-7)
    np.testing.assert_allclose(*(one.states for one in found), atol=1e-9)


def test_runs_and_starts_side_by_side_are_those_one_after_the_other(small):
    problem, fit = small
    vectors = fit.law.vector() * np.array([[1.0], [1.05]])
    initial = fit.states.reshape(problem.samples.shape)[..., 0].transpose(2, 1, 0)
    with jax.enable_x64(True):
        each, together = (
            SolverProgram(problem, fit.law, np.dtype("float64"), together=together).at(
                vectors, np.stack([initial, initial])
            )
            for together in (False, True)
        )
    for one, other in zip(jax.tree.leaves(each), jax.tree.leaves(together), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-8, atol=1e-8 * np.abs(one).max())


def test_other_starts_are_tried_where_the_steps_do_not_converge(small):
    problem, fit = small
    away = replace(fit, law=fit.law.with_vector(fit.law.vector() + np.array([3, -3, 4, 3, 3])))
    stuck = finish_through_solver(problem, away, steps=1)
    assert not stuck.converged
    found = finish_through_solver(problem, away, steps=1, restarts=3, seed=1)
    again = finish_through_solver(problem, away, steps=1, restarts=3, seed=1)
    assert found.squared_residual.sum() < stuck.squared_residual.sum()
    np.testing.assert_array_equal(found.law.vector(), again.law.vector())
    near = finish_through_solver(problem, fit, restarts=3)
    np.testing.assert_array_equal(
        near.law.vector(), finish_through_solver(problem, fit).law.vector()
    )


def test_the_program_of_all_laws_is_taken_for_several_small_ones_alone(small):
    problem, fit = small
    pays = [sharing_pays(problem, [fit.law] * count) for count in (1, 2, 5)]
    assert pays == [False, False, True]
    large = epidemic_problem(num_nodes=150, num_runs=10, num_times=6, refine=1, substeps=1)
    assert not sharing_pays(large, [epidemic_law()] * 5)


SHARDED = """
import jax, numpy as np
from dataclasses import replace
from jaxllc.fit.solver.solver_finish import finish_through_solver
from jaxllc.fit.trajectory_fit import fit_trajectories
from tests.fit_problems import epidemic_law, epidemic_problem
assert len(jax.local_devices()) == 8
problem = epidemic_problem(num_nodes=5, num_runs=3, num_times=9, noise=0.02, level=0.02, refine=1)
fit = fit_trajectories(problem, epidemic_law(), iterations=5, exact=True)
away = replace(fit, law=fit.law.with_vector(fit.law.vector() * [1.5, 0.5, 2.0]))
for restarts, steps in ((0, 12), (3, 1)):
    found = [
        finish_through_solver(problem, away, steps, restarts=restarts, devices=devices)
        for devices in (jax.local_devices()[:1], None)
    ]
    for what in ("states", "covariance", "squared_residual"):
        one, eight = (getattr(fit, what) for fit in found)
        np.testing.assert_allclose(eight, one, rtol=1e-9, atol=1e-12)
    one, eight = (fit.law.vector() for fit in found)
    np.testing.assert_allclose(eight, one, rtol=1e-9)
print("equal")
"""


@pytest.mark.slow
def test_runs_and_starts_over_eight_devices_are_those_of_one():
    root = Path(__file__).resolve().parent.parent
    more = {
        "PYTHONPATH": str(root),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], env=os.environ | more, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"
