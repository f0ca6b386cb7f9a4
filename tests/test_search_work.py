"""What a search finds depends on its work alone: a clock that runs fast or stands still changes nothing."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from jaxllc.neural.neural_fit import TermSamples
from jaxllc.running.time_limit import TimeLimit
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.search_work import SearchWork, spend, work_is_over
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.laws import neural_proposals
from jaxllc.search.term.term_search import search_term

GRAMMAR = Grammar(("exp", "tanh"), division=False)


class Clock:
    """A clock that goes on by a step each time it is looked at."""

    def __init__(self, step=0.0):
        self.now, self.step, self.looks = 0.0, step, 0

    def __call__(self):
        self.now += self.step
        self.looks += 1
        return self.now


@cache
def samples():
    """Of a term that a search with little work does not finish."""
    points = np.random.default_rng(0).uniform(0.0, 2.0, (120, 2))
    x, y = points.T
    values = 0.4 + y * np.exp(-0.7 * x) + 0.3 * np.tanh(3 * x - y) * x
    return Samples.of(("x_i", "x_j"), points, values, 0.003)


def searched(monkeypatch, clock, seconds):
    monkeypatch.setattr("jaxllc.search.forms.search_work.clock", clock)
    return search_term(samples(), ("sparse",), seconds, 0, GRAMMAR)


def as_table(found):
    return [(c.expression, c.score, c.engine) for c in found.candidates]


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_clock_that_runs_twenty_times_faster_finds_the_same(monkeypatch, seconds):
    still = Clock()
    first = searched(monkeypatch, still, seconds)
    fast = Clock(step=20.0 * seconds / still.looks)
    again = searched(monkeypatch, fast, seconds)
    assert fast.now == pytest.approx(20.0 * seconds)
    assert first.finished
    assert again.finished
    # The work ends both, not the search itself: the budget takes part.
    assert not first.complete
    assert not again.complete
    assert as_table(first) == as_table(again)


def test_more_seconds_are_more_work(monkeypatch):
    few, many = (searched(monkeypatch, Clock(), s) for s in (0.0, 3.0))
    assert many.best.score < few.best.score


def test_a_clock_beyond_all_patience_ends_a_search_that_says_so(monkeypatch):
    found = searched(monkeypatch, Clock(step=1000.0), 1.0)
    assert not found.finished
    assert not found.complete


@pytest.mark.parametrize(("step", "noted"), [(0.0, False), (1000.0, True)])
def test_discover_says_where_a_clock_ended_a_search_of_terms(monkeypatch, step, noted):
    monkeypatch.setattr("jaxllc.search.forms.search_work.clock", Clock(step))
    given = TermSamples(
        ("x_i", "x_j"), samples().points, {"x": samples().values}, {"x": samples().error}
    )
    problem = SimpleNamespace(seed=0, grammar=GRAMMAR)
    found, finished = neural_proposals._expressions(
        problem, neural_proposals.Reading(given), "x", "self", ("sparse",), 1.0
    )
    assert len(found) > 1
    assert finished != noted
    assert bool(TimeLimit(100.0).notes(not finished)) == noted


def test_work_is_counted_by_its_rates_and_only_within_a_search(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("jaxllc.search.forms.search_work.clock", clock)
    spend("forms", 10)
    assert not work_is_over()
    work = SearchWork(1.0)
    with work.current():
        spend("forms", 10)
        first = work.done
        spend("forms", 20)
        assert work.done == pytest.approx(3 * first)
        assert not work_is_over()
        spend("forms", 10 / first)
        assert work_is_over()
    assert work.amounts["forms"] == 30 + 10 / first
    assert (work.used_up, work.cut) == (True, False)
    assert not work_is_over()
    assert work_is_over(deadline=-1.0)


def test_what_is_prepared_is_no_part_of_the_time_and_a_discovery_cuts_all(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("jaxllc.search.forms.search_work.clock", clock)
    monkeypatch.setattr("jaxllc.running.time_limit.clock", clock)
    work = SearchWork(1.0)
    with work.apart():
        clock.now = 1e6
    assert not work.over
    assert work.deadline_of(by_the_clock=True) == 1e6 + 1.0
    assert work.deadline_of(by_the_clock=False) > 1e6 + 5.0
    limit = TimeLimit(0.5)
    with limit.current():
        assert work.deadline_of(by_the_clock=False) == 1e6 + 0.5
        clock.now += 0.6
        assert work.over
    assert (work.used_up, work.cut) == (False, True)
