"""The best law and its close rivals finished through the solver, and chosen among again."""

from dataclasses import replace

import numpy as np
import pytest

from jaxllc.fit.solver.solver_finish import finish_through_solver
from jaxllc.fit.trajectory_fit import fit_trajectories
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.solver_choice import close_rivals, finished_choice
from tests.fit_problems import X_I, X_J, epidemic_law, epidemic_problem, own, pair


@pytest.fixture
def judge():
    problem = epidemic_problem(
        num_nodes=5, num_runs=2, num_times=15, noise=0.01, level=0.01, refine=1, substeps=4
    )
    return Judge(problem, np.array([1e-5]))


def laws():
    truth = epidemic_law()
    (terms,), (coefficients,) = truth.terms, truth.coefficients
    longer = truth.replaced(0, (*terms, own(X_I**2)), (*coefficients, 0.01))
    wrong = truth.replaced(0, (own(X_I), pair(X_J)), (-0.5, 0.3))
    return truth, longer, wrong


def last_fit(judge, judged):
    return fit_trajectories(judge.problem, judged.law, judged.fit.states, 12, exact=True)


def never(one, other):
    return False


def test_the_choice_is_made_again_at_the_optima_of_the_solver(judge):
    """Where the steps of the search favour another law than the true one, the solver does not."""
    truth, longer, _ = (judge.fitted(law) for law in laws())
    wronged = Judged(truth.fit, longer.criterion + 5.0)
    judge.seen[truth.law.key()] = wronged
    assert min(judge.seen.values(), key=lambda j: j.criterion) is longer
    best = finished_choice(judge, longer, last_fit, never)
    assert best.law.key() == truth.law.key()
    for judged in (truth, longer):
        finished = judge.seen[judged.law.key()]
        fit = finish_through_solver(judge.problem, last_fit(judge, judged), restarts=0)
        np.testing.assert_allclose(finished.law.vector(), fit.law.vector(), rtol=1e-6)
        assert finished.fit.covariance is not None
        merit = float((finished.fit.squared_residual / judge.problem.noise**2).sum())
        assert finished.criterion == judge.criterion_of(finished.law, merit)


def test_rivals_are_those_within_ten_nats_each_once(judge):
    best, longer, wrong = (judge.fitted(law) for law in laws())
    assert longer.criterion < best.criterion + 20 < wrong.criterion
    assert close_rivals(judge, best, never) == [longer]
    assert close_rivals(judge, best, lambda a, b: True) == []
    # What meets the samples exactly is no better for being longer.
    exact = replace(best.fit, squared_residual=np.zeros(1))
    judge.problem = judge.problem.with_noise(np.array([1e-5]))
    found = Judged(exact, best.criterion)
    assert judge.at_floor(found)
    assert close_rivals(judge, found, never) == []


def test_without_time_the_law_of_the_search_stays(judge, monkeypatch):
    best = judge.fitted(epidemic_law())
    monkeypatch.setattr("jaxllc.judge.solver_choice.time_is_over", lambda: True)
    assert finished_choice(judge, best, last_fit, never) is best
