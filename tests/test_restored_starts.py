"""Samples that no smoothing bridges are taken back where the law explains them."""

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.discovery.restored_starts import with_starts
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judge
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.resolution import without_unresolved_start
from jaxllc.smoothing.smooth import smooth

x_i, x_j = sympy.symbols("x_i x_j")
TERMS = tuple(
    Term(TermFamily(side, e))
    for side, e in ((SELF, sympy.Integer(1)), (SELF, x_i), (INTERACTION, x_j))
)
VALUES = (0.5, -3.0, 0.4)
NOISE = 0.01


@pytest.fixture(scope="module")
def network():
    return jaxllc.generators.erdos_renyi(10, 3, seed=2)


@pytest.fixture(scope="module")
def runs(network):
    """dx_i/dt = 0.5 - 3 x_i + 0.4 sum_j x_j from far away: the first interval is half of the way."""
    A, random = network.to_adjacency().toarray(), np.random.default_rng(4)
    times = np.linspace(0, 5, 16)
    flow = lambda t, x: 0.5 - 3 * x + 0.4 * A @ x  # noqa: E731
    found = []
    for run in range(3):
        first = random.uniform(1, 6, network.num_nodes)
        states = solve_ivp(flow, (0, 5), first, t_eval=times, rtol=1e-9).y.T[..., None]
        states = states + NOISE * random.normal(size=states.shape)
        states[0, 3] = np.nan if run == 1 else states[0, 3]
        found.append(jaxllc.Trajectories(times, states))
    return found


def judged(runs, network, law):
    smoothed = smooth(runs, refine=4)
    noise = np.full(1, NOISE)
    problem = TrajectoryProblem.of(grid_data(runs, smoothed), network, noise)
    judge = Judge(problem.with_substeps_for(law), 1e-6 * noise)
    return judge, judge.fitted(law, iterations=20)


def test_the_start_comes_back_with_the_law_that_explains_it(network, runs):
    kept, notes = without_unresolved_start(runs)
    assert len(notes) == 3
    law = CandidateLaw((TERMS,), (VALUES,))
    judge, best = judged(kept, network, law)
    whole, found = with_starts(judge, best, runs)
    assert whole.num_samples == sum(r.observed.sum() for r in runs) > judge.num_samples
    for r, run in enumerate(runs):
        where = whole.problem.sample_index[r]
        grid = run.times[0] + np.concatenate([[0.0], np.cumsum(whole.problem.steps[r])])
        np.testing.assert_allclose(grid[where], run.times, atol=1e-12)
    assert whole.merit(found.fit) < 1.2 * whole.num_samples
    np.testing.assert_allclose(found.law.coefficients[0], VALUES, rtol=0.02)
    # Fitted to whole runs from the start, the law is the same.
    _, direct = judged(runs, network, law)
    np.testing.assert_allclose(found.law.coefficients[0], direct.law.coefficients[0], rtol=1e-3)


def test_a_law_that_does_not_explain_the_start_goes_without_it(network, runs):
    """Near rest x^2 in place of x does as well; the start tells them apart."""
    kept = [r.window(start=float(r.times[4])) for r in runs]
    square = Term(TermFamily(SELF, x_i**2))
    law = CandidateLaw(((TERMS[0], square, TERMS[2]),), ((0.5, -3.0, 0.4),))
    judge, best = judged(kept, network, law)
    assert with_starts(judge, best, runs) is None


def test_discover_uses_the_whole_runs(network, runs):
    law = jaxllc.discover(runs, network, neural="never", sums=False, engines=("sparse",), seed=0)
    assert not [note for note in law.notes if "were left out" in note]
    assert [run.num_times for run in law.data] == [16, 16, 16]
    assert [states.shape[0] for states in law.fitted_states] == [16, 16, 16]
    found = {c.term: c.value for c in law.constants}
    assert found == pytest.approx(dict(zip(("1", "x_i", "x_j"), VALUES, strict=True)), rel=0.02)
