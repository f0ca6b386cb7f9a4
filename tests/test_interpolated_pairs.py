"""Sums of two functions: beside a slow search of all pairs, and with constants between those of the grids."""

import itertools

import numpy as np
import pytest
import sympy

from jaxllc.search.engines.interpolated_pairs import Spans, _best_pairs, function_spans, pair_sums
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.term.term_judge import TermJudge
from tests.test_term_search import samples_of, values_of


def _left(columns, target):
    used = np.stack([c for c in columns if np.any(c)], axis=1)
    return float(((target - used @ np.linalg.lstsq(used, target, rcond=None)[0]) ** 2).sum())


@pytest.mark.parametrize("with_base", [True, False])
def test_the_best_pair_of_spans_is_that_of_a_slow_search(with_base):
    random = np.random.default_rng(4)
    values = random.normal(size=(90, 2, 50))
    values[::4, 1] = 0.0
    spans = Spans([], np.arange(90), np.zeros((90, 2)), values)
    weight = random.uniform(0.5, 2.0, 50)
    base = [np.ones(50), random.normal(size=50)] if with_base else []
    target = values[[7, 71]].sum(axis=(0, 1)) + 3.0 * sum(base) + 0.3 * random.normal(size=50)
    found = _best_pairs(spans, target * weight, weight, base)
    beside = [b * weight for b in base]
    slow = {
        pair: _left([*(values[list(pair)].reshape(4, -1) * weight), *beside], target * weight)
        for pair in itertools.combinations(range(90), 2)
    }
    best = min(slow, key=lambda pair: slow[pair])
    assert best == (7, 71)
    # The first of its block of rows, and none twice.
    assert [tuple(map(int, p)) for p in found if p[0] < 64].count(best) == 1
    assert len({tuple(p) for p in found}) == len(found)


def test_neighbours_hold_what_lies_between_them():
    samples = samples_of(lambda x, y: x + y, low=0.2, num=60)
    spans = function_spans(samples, Grammar())
    of_two = np.flatnonzero(spans.ends[:, 0] != spans.ends[:, 1])
    ratios = []
    for place in of_two[:: len(of_two) // 40]:
        function = spans.functions[spans.of[place]]
        low, high = spans.ends[place]
        for constant, column in zip((low, high), spans.values[place], strict=True):
            written = values_of(function.at(constant), samples)
            np.testing.assert_allclose(column, written, rtol=1e-8, atol=1e-9)
        between = values_of(function.at(low * np.sqrt(high / low)), samples)
        alone = min(_left([column], between) for column in spans.values[place])
        ratios.append(_left(spans.values[place], between) / alone)
    assert np.median(ratios) < 0.05
    assert max(ratios) < 0.5


# Sums, with what a search may use.
SUMS = {
    "unlike exponentials": (
        lambda x, y: 1.1 * x * y * np.exp(-0.77 * x) + 0.54 * np.exp(-0.67 * y),
        Grammar(("exp",), division=False),
        4,
    ),
    "two saturating members": (
        lambda x, y: 0.45 * x * y / (0.56 + y) - 1.7 * y / (2.3 + y),
        Grammar(()),
        4,
    ),
    "root and power": (
        lambda x, y: 1.3 * np.sqrt(x * y) - 1.5 * y**0.78,
        Grammar(("sqrt",), division=False),
        3,
    ),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_two_functions_are_exact_after_the_refit(name):
    function, grammar, constants = SUMS[name]
    samples = samples_of(function, low=0.2, num=160, noise=0.003)
    found = [e for e in pair_sums(samples, grammar, [], 12, 60.0) if grammar.allows(e)]
    judge = TermJudge(samples, grammar, independent=160.0)
    best = judge.judge([(e, "mine") for e in found])[0]
    assert best.num_constants == constants
    truth = function(*samples.points.T)
    values = values_of(best.skeleton.numeric(), samples)
    np.testing.assert_allclose(values, truth, atol=0.01 * np.std(truth))


def test_a_constant_beside_the_pair_is_fitted_with_it():
    samples = samples_of(lambda x, y: 0.7 + np.exp(-1.3 * x) * y - 0.4 * x * y, num=120, noise=1e-4)
    one = sympy.Integer(1)
    grammar = Grammar(("exp",), division=False)
    with_one, alone = (
        min(
            float(np.mean((samples.values - values_of(e, samples)) ** 2))
            for e in pair_sums(samples, grammar, base, 6, 60.0)
        )
        for base in ([one], [])
    )
    assert with_one < 0.01 * alone


def test_of_many_inputs_no_pairs_are_looked_for():
    samples = samples_of(lambda a, b, c, d: a + b * c - d, ("a", "b", "c", "d"), num=40)
    assert not list(pair_sums(samples, Grammar(), [], 5, 40.0))
