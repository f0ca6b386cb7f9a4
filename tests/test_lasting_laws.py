"""A law that leaves all bounds right after its samples is not chosen for its forecasts within them."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.dynamics.terms import SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judge
from jaxllc.judge.pareto import FrontMember, choice, lasts
from jaxllc.smoothing.grid_data import on_grids

x_i = sympy.Symbol("x_i")
LINEAR, SQUARE = (Term(TermFamily(SELF, e)) for e in (x_i, x_i**2))


@pytest.fixture(scope="module")
def judge():
    """x = 1 / (2 - t) until 1.8, which runs away at 2; noise that neither law explains."""
    times = np.linspace(0, 1.8, 37)
    states = np.stack([1 / (2 - times), 1 / (2.2 - times), 1 / (2.1 - times)], axis=1)
    run = jaxllc.Trajectories(times, states[..., None])
    network = jaxllc.Network.from_edges([0, 1, 2], [1, 2, 0])
    noise = np.full(1, 1e-6)
    data = on_grids([run], [times], [run.states], noise)
    problem = TrajectoryProblem.of(data, network, noise)
    problem = problem.with_substeps_for(CandidateLaw(((SQUARE,),), ((1.0,),)))
    return Judge(problem, np.full(1, 1e-9))


def test_a_law_that_runs_away_after_the_samples_does_not_last(judge):
    away = judge.fitted(CandidateLaw(((SQUARE,),), ((1.0,),)))
    tame = judge.fitted(CandidateLaw(((LINEAR,),), ((1.0,),)))
    assert not lasts(judge, away)
    assert lasts(judge, tame)


def test_among_laws_that_explain_nothing_one_that_lasts_is_chosen(judge):
    away = judge.fitted(CandidateLaw(((LINEAR, SQUARE),), ((0.1, 0.9),)))
    tame = judge.fitted(CandidateLaw(((LINEAR,),), ((1.0,),)))
    # Neither counts as explaining the samples.
    judge.problem = judge.problem.with_noise(np.full(1, 1e-9))
    front = [FrontMember(tame, 1, 9.0, 50.0, 0.3), FrontMember(away, 2, 4.0, 40.0, 0.1)]
    assert choice(judge, tame, front) is tame
    # Where none lasts, the forecasts within the runs decide.
    assert choice(judge, away, front[1:]) is away


def test_a_run_goes_on_as_it_would_in_one_piece(judge):
    problem, law = judge.problem, CandidateLaw(((SQUARE,),), ((-0.7,),))
    start = problem.smoothed.reshape(problem.samples.shape)[..., 0]
    whole = problem.simulated(law, start, problem.substeps)
    ahead = problem.ahead(law, start, 0.5)
    assert ahead.shape == (1, 3, 1, 18)
    np.testing.assert_allclose(ahead, whole[..., 1:19], rtol=1e-9)
