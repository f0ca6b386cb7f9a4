"""Bootstrap of a discovery: parts of the data, frequencies of laws and terms, intervals of constants."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.condensing import OWN, linearise
from jaxllc.fit.contributions import contributions, data_parts
from jaxllc.fit.trajectory_fit import fit_trajectories
from jaxllc.judge.bootstrap import (
    bootstrapped,
    chosen_laws,
    compared,
    draw_weights,
    intervals,
    replicated,
)
from jaxllc.judge.judge import Judge
from jaxllc.law.confidence import percent
from jaxllc.law.record import Confidence, TermFrequency
from tests.fit_problems import (
    X_I,
    X_J,
    adjacency,
    epidemic_law,
    epidemic_problem,
    epidemic_rate,
    own,
    pair,
    problem_of,
    solved,
)

TRUE = np.array([-0.5, 0.5, -0.5])


def settled(problem, law, states=None):
    """The minimum, to rounding: single fits stop at a gain that is nothing beside the noise."""
    for _ in range(4):
        fit = fit_trajectories(problem, law, states, iterations=10, tolerance=1e-12, exact=True)
        law, states = fit.law, fit.states
    return fit


@pytest.fixture(scope="module")
def problem():
    return epidemic_problem(
        num_nodes=12, num_runs=3, num_times=30, noise=0.02, level=0.02, refine=1
    )


@pytest.fixture(scope="module")
def fit(problem):
    return settled(problem, epidemic_law())


# --- parts --------------------------------------------------------------------------------------


def test_sums_over_parts_are_those_of_a_loop():
    A, states = adjacency(4), np.random.default_rng(0).uniform(size=(43, 4))
    states[3, 1] = np.nan
    times = np.linspace(0, 1, 43)
    runs = [Trajectories(times, states), Trajectories(times[:31], states[:31])]
    problem = problem_of(runs, A, 0.1)
    parts = data_parts(problem)
    # Eight trajectories: four blocks of each make thirty parts.
    assert parts.num_blocks == 4
    counts = parts.sums(problem.mask).reshape(4, 2, 4)
    assert counts.sum() == problem.mask.sum()
    assert counts.min() >= 7
    values = np.random.default_rng(1).normal(size=(2, *problem.mask.shape))
    found = parts.sums(values).reshape(2, 4, 2, 4)
    for node, run, block in np.ndindex(4, 2, 4):
        within = parts.block[run] == block
        assert np.all(np.diff(np.flatnonzero(within)) == 1)
        expected = values[:, :, node, run, within].sum(axis=(1, 2))
        np.testing.assert_allclose(found[:, node, run, block], expected, rtol=1e-12)


def test_many_trajectories_are_whole_and_short_ones_stay_so(problem):
    assert data_parts(problem).num_blocks == 1
    short = epidemic_problem(num_nodes=4, num_times=9, noise=0.1, refine=1)
    assert data_parts(short).num_blocks == 1


def test_weights_have_mean_one_and_variance_one():
    weights = draw_weights(50, 4000, seed=1)
    np.testing.assert_allclose(weights.mean(axis=1), 1.0)
    assert weights.var() == pytest.approx(49 / 51, rel=0.03)
    np.testing.assert_array_equal(weights, draw_weights(50, 4000, seed=1))


# --- scores and steps ---------------------------------------------------------------------------


def test_one_step_is_the_derivative_of_the_weighted_fit(problem, fit):
    """By fits of their own with the weights changed a little up and down."""
    parts = data_parts(problem)
    scores, information = contributions(problem, fit.line, fit.states, parts)
    total = information.sum(axis=0)
    np.testing.assert_allclose(total, fit.line.normal.reduced()[1], rtol=1e-6)
    error = np.sqrt(np.diag(np.linalg.inv(total)))
    assert np.all(np.abs(np.linalg.solve(total, scores.sum(axis=0))) < 1e-2 * error)
    direction = np.random.default_rng(2).normal(size=len(scores))
    predicted = np.linalg.solve(total, direction @ scores)
    assert np.abs(predicted / error).max() > 1
    # Initial states that act on their own node only are nearly as good.
    line = linearise(problem, fit.law, fit.states, OWN)
    scores, information = contributions(problem, line, fit.states, parts)
    nearly = np.linalg.solve(information.sum(axis=0), direction @ (scores - scores.mean(axis=0)))
    ends, step = [], 0.05
    for sign in (1, -1):
        share = (1 + sign * step * direction).reshape(1, 12, 3, 1)
        weighted = problem.with_mask(problem.mask * np.sqrt(share))
        ends.append(settled(weighted, fit.law, fit.states).law.vector())
    measured = (ends[0] - ends[1]) / (2 * step)
    assert np.all(np.abs(measured - predicted) < 0.03 * error)
    assert np.all(np.abs(measured - nearly) < 0.15 * error)


def regression(num_parts=60, seed=0):
    """Parts of a linear regression, 5 rows each, whose errors differ in size from part to part."""
    generator = np.random.default_rng(seed)
    design = generator.normal(size=(num_parts, 5, 2)) @ np.array([[1.0, 0.0], [30.0, 0.01]])
    noise = generator.normal(size=(num_parts, 5)) * generator.uniform(0.2, 2.0, (num_parts, 1))
    flat = design.reshape(-1, 2)
    rest = noise.ravel() - flat @ np.linalg.lstsq(flat, noise.ravel())[0]
    scores = np.einsum("gra,gr->ga", design, rest.reshape(num_parts, 5))
    return scores, design.transpose(0, 2, 1) @ design


def test_replicates_spread_as_the_sandwich_says():
    scores, information = regression()
    moved, known, parts = replicated(scores, information, draw_weights(60, 20_000))
    assert known.all()
    assert np.all((parts > 20) & (parts < 60))
    inverse = np.linalg.inv(information.sum(axis=0))
    sandwich = inverse @ scores.T @ scores @ inverse
    spread = np.cov(moved.T)
    np.testing.assert_allclose(np.sqrt(np.diag(spread) / np.diag(sandwich)), 1.0, atol=0.1)


def test_replicates_do_not_depend_on_the_units_of_constants():
    scores, information = regression()
    weights = draw_weights(60, 50)
    turn = np.array([[2.0, 1e3], [-0.5, 4e3]])
    moved = replicated(scores, information, weights)[0]
    other = replicated(scores @ turn, turn.T @ information @ turn, weights)[0]
    np.testing.assert_allclose(other @ turn.T, moved, rtol=1e-6, atol=1e-9 * np.abs(moved).max())


def test_what_the_data_leave_open_is_said():
    scores, information = regression()
    join = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])  # only the sum of two constants acts
    moved, known, _ = replicated(scores @ join, join.T @ information @ join, draw_weights(60, 50))
    np.testing.assert_array_equal(known, [True, False, False])
    expected = replicated(scores, information, draw_weights(60, 50))[0]
    np.testing.assert_allclose(moved[:, 0], expected[:, 0], rtol=1e-6)
    broken = replicated(np.full_like(scores, np.nan), information, draw_weights(60, 50))
    assert not broken[1].any()


def test_intervals_are_those_of_the_standard_errors_where_the_law_is_right(problem, fit):
    parts = data_parts(problem)
    low, high = intervals(problem, fit, parts, draw_weights(36, 4000)).T
    error = np.sqrt(np.diag(fit.covariance))
    ratio = (high - low) / (2 * 1.96 * error)
    assert np.all((ratio > 0.7) & (ratio < 1.6))
    assert np.all((low < fit.law.values()) & (fit.law.values() < high))


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    covered, ratios = [], []
    for seed in range(40):
        problem = epidemic_problem(
            num_nodes=10, num_runs=3, noise=0.02, level=0.02, seed=seed, refine=1
        )
        fit = fit_trajectories(problem, epidemic_law(), iterations=12, tolerance=1e-6, exact=True)
        low, high = intervals(problem, fit, data_parts(problem), draw_weights(30, seed=seed)).T
        covered += list((low <= TRUE) & (high >= TRUE))
        ratios.append((high - low) / (2 * 1.96 * np.sqrt(np.diag(fit.covariance))))
    assert 0.85 <= np.mean(covered) <= 0.99
    assert 0.9 < np.mean(ratios) < 1.25


# --- frequencies --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(problem):
    """The true law among smaller, larger and wrong ones."""
    judge = Judge(problem, np.array([1e-4]))
    best = judge.fitted(epidemic_law())
    judge.fitted(CandidateLaw(((own(X_I), pair(X_J)),), ((-0.5, 0.3),)))
    judge.fitted(CandidateLaw(((own(X_I), pair(X_J), pair(X_J**2)),), ((-0.5, 0.3, 0.0),)))
    terms = (*epidemic_law().terms[0], own(X_I**2))
    judge.fitted(CandidateLaw((terms,), ((-0.5, 0.5, -0.5, 0.0),)))
    terms = (*epidemic_law().terms[0], own(sympy.Integer(1)))
    judge.fitted(CandidateLaw((terms,), ((-0.5, 0.5, -0.5, 0.0),)))
    return judge, best


def test_the_choice_of_each_replicate_is_that_of_the_criterion(judged, problem):
    judge, best = judged
    parts, laws = data_parts(problem), compared(judge, best)
    weights = draw_weights(36, 200, seed=3)
    found = chosen_laws(judge, laws, parts, weights)
    for draw, chosen in zip(weights, found, strict=True):
        share = draw.reshape(1, 12, 3, 1)
        scores = []
        for j in laws:
            rest = (problem.samples - j.fit.states.reshape(problem.samples.shape)) * problem.mask
            merit = (share * (rest / problem.noise) ** 2).sum()
            merit *= judge.num_samples / (share * problem.mask).sum()
            scores.append(judge.criterion(merit, j.law.num_constants))
        assert scores[chosen] <= min(scores) + 1e-6
    everything = np.ones((1, 36))
    assert laws[chosen_laws(judge, laws, parts, everything)[0]] is min(
        laws, key=lambda j: j.criterion
    )


def test_frequencies_add_up(judged, fit):
    judge, best = judged
    confidence, laws = bootstrapped(judge, best, fit, ("x",), seed=0)
    assert confidence.laws == len(judge.seen) == 5
    assert sum(frequency for _, frequency in laws) == pytest.approx(1.0)
    assert {id(j): f for j, f in laws}[id(best)] == confidence.law_frequency > 0.5
    for row in confidence.terms:
        holding = sum(f for j, f in laws if row.term in [t.family.text for t in j.law.terms[0]])
        assert row.frequency == pytest.approx(holding)
        assert row.in_law or row.frequency > 0.05
    assert [t.term for t in confidence.terms if t.in_law] == ["x_i", "x_j", "x_i*x_j"]
    assert bootstrapped(judge, best, fit, ("x",), seed=0)[0] == confidence


def test_a_term_at_the_edge_of_notice_comes_and_goes():
    """An effect whose gain is about its price in the criterion."""
    A, times = adjacency(12), np.linspace(0.0, 3.0, 30)
    states = [
        solved(epidemic_rate(A), np.random.default_rng(r).uniform(0, 1, 12), times) for r in (0, 1)
    ]
    generator = np.random.default_rng(4)
    frequencies = []
    for level in (0.02, 0.35, 1.0):
        runs = [Trajectories(times, s + level * generator.normal(size=s.shape)) for s in states]
        judge = Judge(problem_of(runs, A, level, refine=1), np.array([1e-4]))
        best = judge.fitted(epidemic_law())
        judge.fitted(CandidateLaw(((own(X_I), pair(X_J)),), ((-0.5, 0.3),)))
        last = fit_trajectories(judge.problem, best.law, best.fit.states, exact=True)
        frequencies.append(bootstrapped(judge, best, last, ("x",), 0)[0].terms[2].frequency)
    assert frequencies[0] == 1.0
    assert frequencies[2] < 0.6
    assert 0.02 < frequencies[1] < 1.0


# --- the law ------------------------------------------------------------------------------------


def test_a_law_shows_its_confidence(found_law):
    table = found_law.confidence_table()
    assert list(table.columns) == ["variable", "side", "term", "in_law", "frequency"]
    own_terms = table[table["in_law"]]
    # The loss of -0.5 x_i, and 0.5 (1 - x_i) x_j with one constant.
    assert len(own_terms) == 2
    assert (own_terms["frequency"] > 0.9).all()
    constants = found_law.constants_table()
    assert (constants["low"] < constants["value"]).all()
    assert (constants["value"] < constants["high"]).all()
    width = (constants["high"] - constants["low"]) / constants["standard_error"]
    assert width.between(2.0, 7.0).all()
    text = found_law.summary()
    assert "Of 1000 bootstrap replicates over 40 parts of the data" in text
    assert text.count("  [") == 2


def test_a_file_keeps_it_and_one_without_still_loads(found_law, tmp_path):
    found_law.save(tmp_path / "law.json")
    assert jaxllc.load_law(tmp_path / "law.json").confidence == found_law.confidence
    np.testing.assert_array_equal(
        jaxllc.load_law(tmp_path / "law.json").covariance, found_law.covariance
    )
    content = json.loads((tmp_path / "law.json").read_text())
    for name in ("confidence", "covariance", "rivals"):
        del content[name]
    (tmp_path / "old.json").write_text(json.dumps(content))
    old = jaxllc.load_law(tmp_path / "old.json")
    assert old.equations == found_law.equations
    assert old.confidence is None
    assert old.constants_table()[["low", "high"]].isna().all().all()
    assert "bootstrap" not in old.summary()
    with pytest.raises(InputError, match="discover the law again"):
        old.confidence_table()
    with pytest.raises(InputError, match="earlier version"):
        old.snapped()


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": 3},
        {"confidence": {"terms": []}},
        {"covariance": [[1.0]]},
        {"covariance": "1"},
        {"rivals": [{}]},
        {"rivals": [{"equations": {"x": ["__import__('os')", "0"]}}]},
    ],
    ids=str,
)
def test_what_is_no_confidence_is_rejected(found_law, tmp_path, changes):
    found_law.save(tmp_path / "law.json")
    content = json.loads((tmp_path / "law.json").read_text()) | changes
    (tmp_path / "law.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"law\.json"):
        jaxllc.load_law(tmp_path / "law.json")


def test_the_report_shows_it(found_law, tmp_path):
    found_law.report(tmp_path / "law.html")
    page = (tmp_path / "law.html").read_text()
    assert "How often the terms come back" in page
    assert "bootstrap interval of 95 %" in page
    assert "The data do not object to" in page


def test_terms_of_other_laws_are_named(found_law):
    terms = (
        TermFrequency("x", "self", "x_i", True, 0.8),
        TermFrequency("x", "interaction", "sin(x_j)", False, 0.195),
    )
    open_end = (math.nan, math.nan)
    law = replace(
        found_law, confidence=Confidence(0.804, terms, (open_end, (0.1, 0.2), open_end), 100, 60, 7)
    )
    text = law.summary()
    assert "80 % choose this law by the criterion among the 7 fitted" in text
    assert "sin(x_j) in dx_i/dt (sum over neighbours) 20 %" in text
    assert text.count("  [") == 1


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.999, "> 99 %"), (0.5, "50 %"), (0.004, "< 1 %"), (0.0, "0 %")],
)
def test_all_or_nothing_is_said_only_where_it_is(share, text):
    assert percent(share) == text
