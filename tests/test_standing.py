"""Laws that do not stand on their own samples are not returned as found, and no law is counted twice."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery import assemble
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import TrajectoryFit, fit_trajectories
from jaxllc.judge.bootstrap import bootstrapped
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.pareto import pareto_front
from jaxllc.judge.standard_errors import reported_covariance, standard_errors
from jaxllc.judge.standing import fault, standing_laws
from jaxllc.judge.twins import are_twins, same_form_of
from jaxllc.law.law import Constant, Law
from jaxllc.law.skill import skill
from tests.fit_problems import (
    W0,
    X_I,
    X_J,
    adjacency,
    epidemic_law,
    epidemic_problem,
    own,
    pair,
    problem_of,
    solved,
)

FLOOR = np.array([1e-5])


@pytest.fixture(scope="module")
def problem():
    return epidemic_problem(num_nodes=6, num_runs=2, num_times=25, noise=0.01, level=0.01)


def fit_of(problem, law, states=None):
    """A fit as it is, without a step."""
    states = problem.smoothed if states is None else states
    return TrajectoryFit(law, states, problem.squared_residual(states), None, True, 1)


# --- what does not stand ------------------------------------------------------------------------


def test_the_true_law_stands(problem):
    fit = Judge(problem, FLOOR).fitted(epidemic_law()).fit
    assert fault(Judge(problem, FLOOR), fit) == ""


def test_a_law_that_runs_away_does_not_stand_however_good_its_states_look(problem):
    """Smoothed states leave the noise, but the law from their first ones leaves every bound."""
    law = CandidateLaw(((own(X_I**2),),), ((40.0,),))
    assert "diverges on its own samples, in 2 of 2 runs" in fault(
        Judge(problem, FLOOR), fit_of(problem, law)
    )
    infinite = replace(fit_of(problem, law), squared_residual=np.array([np.inf]))
    assert "diverges" in fault(Judge(problem, FLOOR), infinite)


def test_a_law_that_leaves_more_than_no_change_does_not_stand(problem):
    law = CandidateLaw(((own(sympy.Integer(1)),),), ((-0.4,),))
    start = problem.smoothed.reshape(problem.samples.shape)[..., 0]
    states = problem.simulated(law, start, 1).reshape(problem.smoothed.shape)
    assert "more of x unexplained than no change" in fault(
        Judge(problem, FLOOR), fit_of(problem, law, states)
    )
    # Nor does one whose states are good only because they jump from grid time to grid time.
    assert "no change" in fault(Judge(problem, FLOOR), fit_of(problem, law))


def test_what_leaves_no_more_than_the_noise_stands():
    """States at rest: a law that is there, too, is no worse than no change, but for the noise."""
    times = np.linspace(0, 1, 20)
    states = 0.5 + 0.01 * np.random.default_rng(0).normal(size=(20, 4))
    problem = problem_of([Trajectories(times, states)], adjacency(4), 0.01)
    judge = Judge(problem, FLOOR)
    assert fault(judge, judge.fitted(CandidateLaw(((own(X_I),),), ((0.0,),))).fit) == ""


def test_instead_stand_laws_that_do_and_at_last_no_change(problem):
    judge = Judge(problem, FLOOR)
    refused = Judged(fit_of(problem, CandidateLaw(((own(X_I**2),),), ((40.0,),))), -1e9)
    judge.seen[refused.law.key()] = refused
    offered = list(standing_laws(judge, refused, np.array([0.3])))
    assert len(offered) > 1
    for standing in offered:
        assert fault(judge, standing.best.fit) == ""
        assert standing.best is not refused
        assert all(m.judged is not refused for m in standing.members)
        assert sum(m.judged is standing.best for m in standing.members) == 1
    assert offered[-1].best.law.num_constants == 0
    # The first is worth most: it knows the decay and the neighbours.
    assert offered[0].best.law.num_constants == 2
    assert judge.accepts is None
    assert len(judge.seen) == 1


@pytest.fixture(scope="module")
def doubtful(epidemic_runs, small_network):
    """A discovery whose laws with more than one constant all run away, by decree."""
    real = assemble.fault

    def refuse(judge, fit):
        return "it diverges on its own samples" if fit.law.num_constants > 1 else real(judge, fit)

    patch = pytest.MonkeyPatch()
    patch.setattr(assemble, "fault", refuse)
    patch.setattr("jaxllc.judge.standing.fault", refuse)
    law = jaxllc.discover(epidemic_runs, small_network, max_terms=3, neural="never")
    patch.undo()
    return law


def test_a_law_that_is_none_is_said_to_be_none(doubtful):
    assert not doubtful.trusted
    assert "No law was found that can be trusted" in doubtful.doubt
    assert doubtful.doubt in doubtful.notes
    assert doubtful.summary().count(doubtful.doubt) == 1
    assert len(doubtful.constants) <= 1
    assert doubtful.adjusted_r2["x"] > 0
    assert doubtful.skill["x"]["constant"] > -0.06
    assert doubtful.confidence is None
    assert doubtful.rivals == ()
    assert "choose this law" not in doubtful.summary()
    assert "do not object" not in doubtful.summary()


def test_doubt_and_skill_are_kept_in_a_file_and_shown_in_the_report(doubtful, tmp_path):
    doubtful.save(tmp_path / "law.json")
    loaded = jaxllc.load_law(tmp_path / "law.json")
    assert (loaded.doubt, loaded.skill) == (doubtful.doubt, doubtful.skill)
    assert not loaded.trusted
    doubtful.report(tmp_path / "law.html")
    page = (tmp_path / "law.html").read_text()
    assert "Not to be trusted" in page
    assert "skill of x against no change" in page
    content = json.loads((tmp_path / "law.json").read_text())
    for name in ("doubt", "skill"):
        del content[name]
    (tmp_path / "law.json").write_text(json.dumps(content))
    old = jaxllc.load_law(tmp_path / "law.json")
    assert old.trusted
    assert "skill" not in old.summary()


# --- standard errors ----------------------------------------------------------------------------


def test_constants_that_the_data_leave_open_have_no_error_rather_than_none(problem):
    """Two terms that are one: each could be anything, and the pseudo-inverse would call that certain."""
    twice = CandidateLaw(((own(X_I), own(2 * X_I), pair(X_J)),), ((-0.5, 0.0, 0.3),))
    fit = fit_trajectories(problem, twice, iterations=8, exact=True)
    errors = standard_errors(fit)
    assert np.isnan(errors[:2]).all()
    assert np.isfinite(errors[2])
    covariance = reported_covariance(Judge(problem, FLOOR), fit)
    assert np.isnan(covariance[:2]).all()
    assert np.isfinite(covariance[2, 2])
    right = fit_trajectories(problem, epidemic_law(), iterations=8, exact=True)
    assert np.isfinite(standard_errors(right)).all()
    without = replace(right, covariance=None, line=None)
    assert np.isnan(standard_errors(without)).all()


def test_an_error_that_is_not_known_is_not_shown_as_zero():
    constant = Constant("x", "self", "x_i", "coefficient", 2.0, math.nan)
    law = Law({"x": jaxllc.equations.equation.Equation(2.0 * X_I, sympy.Integer(0))}, (constant,))
    open_one = replace(law, covariance=np.full((1, 1), math.nan))
    assert "2  (not determined)" in open_one.summary().replace("2 (", "2  (")
    assert "+-" not in open_one.summary() + law.summary()


# --- skill --------------------------------------------------------------------------------------


def test_skill_is_what_its_formula_says():
    generator = np.random.default_rng(0)
    runs, guesses = [], []
    for count in (7, 5):
        states = generator.normal(size=(count, 3, 2))
        states[generator.random(states.shape) < 0.2] = np.nan
        runs.append(Trajectories(np.arange(count), states, ("x", "y")))
        guesses.append(generator.normal(size=states.shape))
    found = skill(guesses, runs)
    for v, name in enumerate(("x", "y")):
        law = held = mean = 0.0
        for run, guess in zip(runs, guesses, strict=True):
            for n in range(3):
                y = run.states[:, n, v]
                seen = y[~np.isnan(y)]
                law += np.nansum((y - guess[:, n, v]) ** 2)
                held += np.sum((seen - seen[0]) ** 2)
                mean += np.sum((seen - seen.mean()) ** 2)
        assert found[name] == pytest.approx(
            {"no_change": 1 - law / held, "constant": 1 - law / mean}
        )


def test_skill_of_a_forecast_knows_only_what_came_before():
    early = Trajectories([0, 1, 2], [[1.0], [2.0], [4.0]])
    late = Trajectories([3, 4], [[5.0], [7.0]])
    found = skill([np.array([5.0, 6.0]).reshape(2, 1, 1)], [late], [early])["x"]
    assert found["no_change"] == pytest.approx(1 - 1 / (1 + 9))
    mean = 7 / 3
    assert found["constant"] == pytest.approx(1 - 1 / ((5 - mean) ** 2 + (7 - mean) ** 2))


def test_skill_at_its_limits():
    run = Trajectories([0, 1, 2], [[1.0], [2.0], [4.0]])
    assert skill([run.states], [run])["x"] == {"no_change": 1.0, "constant": 1.0}
    lost = np.full((3, 1, 1), np.nan)
    assert skill([lost], [run])["x"] == {"no_change": -math.inf, "constant": -math.inf}
    still = Trajectories([0, 1, 2], [[1.0], [1.0], [1.0]])
    assert all(math.isnan(s) for s in skill([still.states + 1], [still])["x"].values())
    for size in (1e-200, 1e200):
        scaled = Trajectories([0, 1, 2], size * run.states)
        assert skill([0.5 * scaled.states], [scaled])["x"] == pytest.approx(
            skill([0.5 * run.states], [run])["x"]
        )


def test_a_law_found_has_its_skill_in_every_text(found_law, epidemic_runs):
    assert found_law.trusted
    expected = skill(found_law.fitted_states, epidemic_runs)
    assert found_law.skill == expected
    assert expected["x"]["constant"] > 0.99
    assert "against a constant for each node and run" in found_law.summary()


# --- one law, counted once ----------------------------------------------------------------------

HILL = pair(X_J**2 / (W0 + X_J**2), 4.0)
AGAIN = pair(1 / (1 + W0 / X_J**2), 4.0)


@pytest.fixture(scope="module")
def regulated():
    """dx/dt = -x + 2 sum x_j^2/(4 + x_j^2), which two engines write in two ways."""
    A, times = adjacency(10), np.linspace(0, 2, 30)
    generator = np.random.default_rng(3)

    def rate(t, x):
        return -x + 2 * (A @ (x**2 / (4 + x**2)))

    runs = []
    for _ in range(3):
        states = solved(rate, generator.uniform(0.5, 6, 10), times)
        runs.append(Trajectories(times, states + 0.02 * generator.normal(size=states.shape)))
    return problem_of(runs, A, 0.02)


def test_the_same_law_stands_once_on_the_front_and_gets_all_the_votes(regulated):
    judge = Judge(regulated, FLOOR)
    first = judge.fitted(CandidateLaw(((own(X_I), HILL),), ((-1.0, 2.0),)), iterations=12)
    second = judge.fitted(CandidateLaw(((own(X_I), AGAIN),), ((-1.0, 2.0),)), iterations=12)
    judge.fitted(CandidateLaw(((own(X_I), pair(X_J)),), ((-1.0, 0.5),)))
    assert len(judge.seen) == 3
    same = same_form_of(lambda j: assemble.equations_of(j.law, ("x",)))

    def twins(a, b):
        return are_twins(judge, a, b, same)

    assert twins(first, second)
    for best in (first, second):
        front = pareto_front(judge, best, np.array([1.0]), twins=twins)
        assert [m.num_constants for m in front] == [2, 3]
        fit = fit_trajectories(regulated, best.law, best.fit.states, exact=True)
        confidence, laws = bootstrapped(judge, best, fit, ("x",), 0, 200, twins)
        assert confidence.laws == len(laws) == 2
        assert confidence.law_frequency == 1.0
        assert [t.frequency for t in confidence.terms if t.in_law] == [1.0, 1.0]
    # Without that, half of the replicates choose the other one; its terms are the same ones all the same.
    confidence, _ = bootstrapped(judge, first, fit, ("x",), 0, 200)
    assert confidence.law_frequency < 0.95
    assert [t.frequency for t in confidence.terms] == [1.0, 1.0]


def test_laws_of_one_misfit_that_are_two_laws_stay_two(regulated):
    judge = Judge(regulated, FLOOR)
    a = judge.fitted(CandidateLaw(((own(X_I), pair(X_J)),), ((-1.0, 0.5),)))
    b = judge.fitted(CandidateLaw(((own(X_I), own(sympy.Integer(1))),), ((-1.0, 0.5),)))
    same = same_form_of(lambda j: assemble.equations_of(j.law, ("x",)))
    assert not are_twins(judge, a, b, same)


def test_where_nothing_else_was_fitted_no_vote_is_reported(problem, found_law):
    judge = Judge(problem, FLOOR)
    best = judge.fitted(epidemic_law())
    fit = fit_trajectories(problem, best.law, best.fit.states, exact=True)
    confidence, _ = bootstrapped(judge, best, fit, ("x",), 0, 50)
    assert confidence.laws == 1
    text = replace(found_law, confidence=confidence).summary()
    assert "No other law was fitted" in text
    assert "100 %" not in text
