"""The judge of expressions: planted laws come out exact, scores rank constants, errors are counted."""

import numpy as np
import pytest
import sympy

from jaxllc.equations.expression_calculus import evaluate
from jaxllc.equations.functions import sigmoid
from jaxllc.equations.skeletons import as_written
from jaxllc.search.forms.grammar import Grammar, operators_in
from jaxllc.search.forms.search_work import SearchWork
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term.term_growth import Residuals, exchanged, extended, grown
from jaxllc.search.term.term_judge import TermJudge, independent_samples

X, Y = SYMBOLS = sympy.symbols("x_i x_j")


def samples_of(function, num=300, noise=0.01, low=0.2, high=3.0, seed=0):
    """Values of a function of x_i and x_j at random points with white noise, relative to their spread."""
    generator = np.random.default_rng(seed)
    points = generator.uniform(low, high, (num, 2))
    values = function(*points.T)
    error = noise * values.std()
    return Samples.of(("x_i", "x_j"), points, values + error * generator.normal(size=num), error)


def number(text):
    return sympy.sympify(text, locals={"x": X, "y": Y, "sigmoid": sigmoid})


def values_of(skeleton, points):
    memo = dict(zip(SYMBOLS, points.T, strict=True))
    memo |= dict(zip(skeleton.constants, map(np.float64, skeleton.values), strict=True))
    return np.broadcast_to(evaluate(skeleton.expression, memo), len(points))


# A law, what an engine might propose for it, and how many constants it needs.
PLANTED = {
    "saturation": (
        lambda x, y: 2.0 * x * y / (1 + 0.8 * y),
        "1.7*x*y/(1.0 + 0.5*y) + 0.02*x + 0.01*y**2 - 0.03",
        2,
    ),
    "decay": (
        lambda x, y: 0.3 + 1.2 * np.exp(-0.7 * x),
        "0.4 + 1.0*exp(-0.6*x) + 0.02*y + 0.01*x*y",
        3,
    ),
    "coupling": (lambda x, y: np.sin(1.5 * (y - x)), "0.9*sin(1.4*y - 1.6*x + 0.1) + 0.02*x", 1),
    "step": (
        lambda x, y: -0.5 * x * np.tanh(0.6 * y - 0.4),
        "0.52*x - 0.98*x*sigmoid(1.3*y - 0.9) + 0.01*x*y",
        3,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_law_is_exact_from_a_proposal_with_spurious_terms(name):
    function, proposal, num_constants = PLANTED[name]
    samples = samples_of(function)
    best = TermJudge(samples).judge([(number(proposal), "mine")])[0]
    assert best.num_constants == num_constants
    assert best.engine == "mine"
    assert best.chi_squared / 300 == pytest.approx(1.0, abs=0.25)
    # Also where no sample lies.
    beyond = np.random.default_rng(9).uniform(0.2, 5.0, (100, 2))
    truth = function(*beyond.T)
    np.testing.assert_allclose(values_of(best.skeleton, beyond), truth, atol=0.02 * truth.std())


def test_nearly_equal_constants_become_one():
    samples = samples_of(lambda x, y: np.sin(1.3 * (y - x)))
    best = TermJudge(samples).judge([(number("1.0*sin(1.28*y - 1.33*x)"), "mine")])[0]
    assert best.num_constants == 1
    assert abs(best.skeleton.values[0]) == pytest.approx(1.3, rel=0.01)
    assert values_of(best.skeleton, np.ones((1, 2)))[0] == pytest.approx(0.0, abs=1e-12)


def test_free_exponent_near_a_whole_number_becomes_one():
    samples = samples_of(lambda x, y: 0.7 * x**2 * y)
    best = TermJudge(samples).judge([(number("0.6*x**1.9*y"), "mine")])[0]
    assert best.num_constants == 1
    assert best.skeleton.expression.subs(best.skeleton.constants[0], 1) == X**2 * Y


def test_order_of_the_proposals_does_not_change_the_winner():
    samples = samples_of(PLANTED["decay"][0])
    texts = [proposal for _, proposal, _ in PLANTED.values()] + [
        "0.5 + 1.0/(1.0 + x)",
        "1.0 - 0.3*x",
    ]
    proposals = [(number(text), text) for text in texts]
    first = TermJudge(samples).judge(proposals)[0]
    last = TermJudge(samples).judge(proposals[::-1])[0]
    assert first.engine == last.engine == PLANTED["decay"][1]
    assert first.skeleton.key == last.skeleton.key
    np.testing.assert_allclose(first.skeleton.values, last.skeleton.values, rtol=1e-5)


# --- scores --------------------------------------------------------------------------------------


def scores_of(judge, *texts):
    return [j.score for j in judge.refitted([(as_written(number(t)), "mine") for t in texts])]


@pytest.mark.parametrize("independent", [300.0, 40.0])
def test_constant_too_few_or_too_many_raises_the_score(independent):
    judge = TermJudge(samples_of(PLANTED["decay"][0]), independent=independent)
    right, no_offset, no_factor, no_rate, with_line, with_square = scores_of(
        judge,
        "0.3 + 1.2*exp(-0.7*x)",
        "1.2*exp(-0.7*x)",
        "0.3 + exp(-0.7*x)",
        "0.3 + 1.2*exp(-x)",
        "0.3 + 1.2*exp(-0.7*x) + 0.1*y",
        "0.3 + 1.2*exp(-0.7*x + 0.1*x**2)",
    )
    assert right < min(no_offset, no_factor, no_rate)
    assert right < min(with_line, with_square)


def test_score_does_not_reward_fitting_below_the_error():
    judge = TermJudge(samples_of(PLANTED["decay"][0]), independent=300.0)
    skeleton = as_written(number("0.3 + 1.2*exp(-0.7*x)"))
    above = judge.score(skeleton, 600.0) - judge.score(skeleton, 300.0)
    below = judge.score(skeleton, 300.0) - judge.score(skeleton, 3.0)
    assert 0 < below < above / 2
    chis = np.geomspace(1.0, 1e6, 30)
    scores = [judge.score(skeleton, chi) for chi in chis]
    assert np.all(np.diff(scores) > 0)


def test_units_of_the_values_do_not_matter():
    samples = samples_of(PLANTED["decay"][0])
    large = Samples(samples.names, samples.points, 1024 * samples.values, 1024 * samples.error)
    small_scores = scores_of(TermJudge(samples), "0.3 + 1.2*exp(-0.7*x)", "1.2*exp(-0.7*x)")
    large_scores = scores_of(TermJudge(large), "300.0 + 1200.0*exp(-0.7*x)", "1200.0*exp(-0.7*x)")
    np.testing.assert_allclose(small_scores, large_scores, rtol=1e-4)


def test_standard_errors_are_the_scatter_over_draws_of_the_noise():
    found = []
    for seed in range(30):
        generator = np.random.default_rng(seed)
        points = np.random.default_rng(99).uniform(0.2, 3.0, (300, 2))
        values = 0.3 + 1.2 * np.exp(-0.7 * points[:, 0]) + 0.05 * generator.normal(size=300)
        judge = TermJudge(Samples.of(("x_i", "x_j"), points, values, 0.05))
        found += judge.refitted([(as_written(number("0.3 + 1.2*exp(-0.7*x)")), "mine")])
    scatter = np.std([j.skeleton.values for j in found], axis=0)
    stated = np.mean([j.standard_errors() for j in found], axis=0)
    np.testing.assert_allclose(stated, scatter, rtol=0.4)


def test_unfittable_proposals_are_left_out():
    judge = TermJudge(samples_of(PLANTED["decay"][0]))
    texts = ["log(0.1 - x)", "gamma(x)", "1.0/(x - x**1.0 + 0.0)", "1.1*x"]
    found = judge.judge([(number(text), text) for text in texts])
    assert {j.engine for j in found} == {"1.1*x"}
    assert judge.judge([]) == []
    assert judge.refitted([]) == []


def test_judged_expressions_hold_only_what_the_grammar_allows():
    samples = samples_of(lambda x, y: 1 / (1 + np.exp(-2.0 * x)))
    for functions in (("exp",), ("tanh",), ("sigmoid",)):
        grammar = Grammar(functions)
        text = {"exp": "1.0/(1.0 + exp(-1.8*x))", "tanh": "0.5 + 0.5*tanh(0.9*x)"}
        proposal = number(text.get(functions[0], "sigmoid(1.9*x)"))
        found = TermJudge(samples, grammar).judge([(proposal, "mine")])
        assert found
        for judged in found:
            assert operators_in(judged.skeleton.numeric()) <= {*functions, "division"}


# --- independent samples -------------------------------------------------------------------------


@pytest.mark.parametrize("num", [100, 400, 1500])
def test_all_samples_with_white_residuals_are_independent(num):
    counts = []
    for seed in range(12):
        generator = np.random.default_rng(seed)
        points = generator.uniform(0.0, 1.0, (num, 2))
        counts.append(independent_samples(points, generator.normal(size=num)))
    assert np.median(counts) > 0.75 * num
    assert max(counts) <= num + 1e-6


@pytest.mark.parametrize("num", [400, 1500])
def test_samples_of_a_smooth_field_count_as_about_forty(num):
    points = np.random.default_rng(1).uniform(0.0, 1.0, (num, 2))
    field = np.sin(4.0 * points[:, 0]) * np.cos(3.0 * points[:, 1])
    assert independent_samples(points, field) == pytest.approx(40.0, rel=0.25)
    # Neither units nor order matter.
    order = np.random.default_rng(2).permutation(num)
    again = independent_samples(points[order] * [1.0, 1000.0], -7.0 * field[order])
    assert again == pytest.approx(independent_samples(points, field), rel=1e-6)


def test_residuals_that_vanish_are_no_reason_to_doubt():
    points = np.random.default_rng(1).uniform(0.0, 1.0, (50, 2))
    assert independent_samples(points, np.zeros(50)) == 50.0


# --- growth --------------------------------------------------------------------------------------


def test_missing_term_grows():
    samples = samples_of(lambda x, y: 0.3 + 1.2 * np.exp(-0.7 * x) + 0.4 * y, num=200)
    judge = TermJudge(samples, Grammar(("exp",), division=False))
    start = judge.judge([(number("0.4 + 1.0*exp(-0.6*x)"), "mine")])
    assert judge.mean_square(start[0]) > 10
    best = grown(Residuals(judge), start, rounds=2)[0]
    assert judge.mean_square(best) == pytest.approx(1.0, abs=0.25)
    assert best.num_constants == 4
    assert best.score < start[0].score


def test_extensions_start_where_they_change_little():
    skeleton = as_written(number("0.3 + 1.2*exp(-0.7*x)*y/(1.0 + 0.4*y) + 0.2*Max(x, 0.9*y)"))
    points = np.random.default_rng(0).uniform(0.2, 2.0, (40, 2))
    value = values_of(skeleton, points)
    found = list(extended(skeleton, ("x_i", "x_j")))
    assert len(found) > 20
    for more in found:
        assert len(more.values) == len(skeleton.values) + 1
        np.testing.assert_allclose(values_of(more, points), value, rtol=0.05, atol=0.01)


def test_functions_are_exchanged_for_those_of_the_grammar():
    skeleton = as_written(number("0.3*tanh(0.5*x) + 0.2*sin(0.7*y)"))
    found = {frozenset(operators_in(s.expression)) for s in exchanged(skeleton, Grammar(("exp",)))}
    assert found == {frozenset({"exp", "sin"}), frozenset({"tanh", "exp"})}
    assert all(len(s.values) == 4 for s in exchanged(skeleton, Grammar()))


def test_without_work_nothing_grows():
    judge = TermJudge(samples_of(PLANTED["decay"][0]))
    with SearchWork(0.0).current():
        start = judge.judge([(number("1.0 - 0.3*x"), "mine")])
        assert grown(Residuals(judge), start) == start


# --- what ends a search --------------------------------------------------------------------------


def test_only_a_short_expression_that_leaves_next_to_nothing_is_certain():
    samples = samples_of(lambda x, y: np.exp(-0.7 * x) + 0.2 * y, noise=0.0)
    judge = TermJudge(samples)
    texts = (
        "0.9*exp(-0.6*x) + 0.3*y",
        "0.2*y + 1.0/(0.9 + 0.8*x)",
        "0.1*y + 0.9 - 0.6*x + 0.2*x**2 - 0.1*x**3 + 0.02*x**4",
    )
    truth, near, series = judge.refitted([(as_written(number(t)), "mine") for t in texts])
    assert judge.certain(truth)
    with_errors = Samples(samples.names, samples.points, samples.values, 1e4 * samples.error)
    (again,) = TermJudge(with_errors).refitted([(truth.skeleton, "mine")])
    assert not TermJudge(with_errors).certain(again)
    assert not judge.certain(near)
    assert not judge.certain(series)


def test_candidates_that_cannot_win_change_nothing_of_the_winner():
    samples = samples_of(PLANTED["decay"][0])
    proposal = PLANTED["decay"][1]
    hopeless = ["0.5*y", "0.3*x*y + 0.2*x**2 + 0.1*y**2", "1.0*sin(2.0*x)"]
    alone, among = (
        TermJudge(samples, independent=200.0).judge([(number(t), "mine") for t in texts])[0]
        for texts in ([proposal], [proposal, *hopeless])
    )
    assert alone.skeleton.key == among.skeleton.key
    np.testing.assert_allclose(alone.skeleton.values, among.skeleton.values, rtol=1e-5)
