"""Laws, exact solutions and fitting problems that the tests of the trajectory fit share."""

from dataclasses import replace

import numpy as np
import sympy
from scipy.integrate import solve_ivp

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

X_I, X_J, Y_I, Z_I, W0, OMEGA_I = sympy.symbols("x_i x_j y_i z_i w0 omega_i")


def own(expression, *inner):
    return _term(SELF, expression, inner)


def pair(expression, *inner):
    return _term(INTERACTION, expression, inner)


def _term(side, expression, inner):
    count = len(inner)
    return Term(TermFamily(side, expression, (True,) * count, ((1e-6, 1e6),) * count), inner)


def epidemic_law(recovery=0.5, infection=0.5, saturation=0.5):
    terms = (own(X_I), pair(X_J), pair(X_I * X_J))
    return CandidateLaw((terms,), ((-recovery, infection, -saturation),))


def kuramoto_law(frequency=1.0, coupling=0.5, inner=1.0):
    sine = pair(sympy.sin(W0 * X_J - W0 * X_I), inner)
    return CandidateLaw(((own(OMEGA_I), sine),), ((frequency, coupling),))


def adjacency(num_nodes, seed=0):
    """A directed ring with weighted chords: connected, and no two nodes alike."""
    generator = np.random.default_rng(seed)
    A = generator.uniform(0.3, 1.0, (num_nodes, num_nodes))
    A[generator.random(A.shape) > 2.0 / num_nodes] = 0.0
    A[np.arange(num_nodes), np.arange(num_nodes) - 1] = 1.0
    np.fill_diagonal(A, 0.0)
    return A


def epidemic_rate(A, recovery=0.5, infection=0.5, saturation=0.5):
    return lambda t, x: -recovery * x + infection * (A @ x) - saturation * x * (A @ x)


def kuramoto_rate(A, omega, frequency=1.0, coupling=0.5, inner=1.0):
    def rate(t, x):
        return frequency * omega + coupling * (A * np.sin(inner * (x[None] - x[:, None]))).sum(
            axis=1
        )

    return rate


def solved(rate, start, times):
    """(time, state)"""
    span = (times[0], times[-1])
    solution = solve_ivp(rate, span, start, t_eval=times, method="DOP853", rtol=1e-11, atol=1e-12)
    return solution.y.T


def problem_of(runs, A, noise, refine=4, substeps=2, features=None, **options):
    smoothed = smooth(runs, refine=refine)
    network = Network.from_adjacency(A)
    noise = np.broadcast_to(np.asarray(noise, dtype=float), (runs[0].num_variables,)).copy()
    data = replace(grid_data(runs, smoothed), features=features or {})
    return TrajectoryProblem.of(data, network, noise, substeps, **options)


def epidemic_problem(
    num_nodes=8, num_runs=1, num_times=41, noise=1e-6, level=0.0, seed=0, **options
):
    """Samples of the epidemic with white noise of a standard deviation `level`."""
    A = adjacency(num_nodes)
    times = np.linspace(0.0, 3.0, num_times)
    generator = np.random.default_rng([seed, 5])
    runs = []
    for run in range(num_runs):
        start = np.random.default_rng(run).uniform(0.0, 1.0, num_nodes)
        states = solved(epidemic_rate(A), start, times)
        runs.append(Trajectories(times, states + level * generator.standard_normal(states.shape)))
    return problem_of(runs, A, noise, **options)


def on_truth(problem, states):
    """True states on a problem's grid in its own layout, (variable, node, run * grid time)."""
    return np.asarray(states).transpose(2, 1, 0).reshape(problem.smoothed.shape)


def perturbed(law, share=0.2):
    """Constants moved up and down by a share of their size."""
    values = law.vector()
    signs = np.resize([1.0, -1.0, 1.0], len(values))
    _, linear = law.owners()
    # Inner constants are logarithms.
    return law.with_vector(np.where(linear, values * (1 + share * signs), values + share * signs))
