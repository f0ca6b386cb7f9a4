"""One limit of time for a whole discovery, asked of a clock that the tests set."""

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.running import time_limit
from jaxllc.running.time_limit import (
    TimeLimit,
    TimeOverError,
    check_time,
    seconds_left,
    time_is_over,
)


class Clock:
    """A clock that stands still, or goes on by a step each time it is looked at."""

    def __init__(self):
        self.now, self.step, self.looks = 0.0, 0.0, 0

    def __call__(self):
        self.now += self.step
        self.looks += 1
        return self.now


@pytest.fixture
def clock(monkeypatch):
    ours = Clock()
    for module in ("running.time_limit", "judge.judge", "judge.standing"):
        monkeypatch.setattr(f"jaxllc.{module}.clock", ours)
    monkeypatch.setattr("jaxllc.fit.trajectory_problem.clock", ours)
    return ours


# --- the limit --------------------------------------------------------------------------------------


def test_a_limit_is_reached_only_when_somebody_leaves_something_out(clock):
    limit = TimeLimit(10.0)
    clock.now = 9.0
    assert not limit.over()
    assert limit.share_over(0.5)
    assert (limit.reached, limit.share_reached) == (False, True)
    clock.now = 11.0
    assert not limit.reached
    assert limit.over()
    assert limit.reached


def test_time_is_kept_for_what_follows_the_search(clock):
    limit = TimeLimit(10.0)
    limit.fitted(0.5)
    limit.simulation = 0.25
    assert 0 < limit.last < limit.closing < 5
    clock.now = 10 - limit.closing + 0.01
    assert limit.over()
    assert not limit.over(limit.last)
    limit.fitted(100.0)  # slow fits do not take the whole time from the search
    assert limit.closing < 5


def test_work_is_given_up_only_where_there_is_something_to_fall_back_on(clock):
    limit = TimeLimit(1.0)
    check_time()
    with limit.current():
        clock.now = 2.0
        check_time()  # no law yet
        limit.fitted(0.1)
        with pytest.raises(TimeOverError):
            check_time()
        limit.close()
        check_time()
        limit.fitted(0.1)  # what is fitted in the closing is finished
        check_time()
        with limit.may_give_up():
            check_time()
            raise AssertionError("it should have been given up")
    assert not time_is_over()
    assert seconds_left(3.0) == 3.0


def test_an_end_that_was_asked_for_is_no_limit_that_was_reached(clock):
    limit = TimeLimit(10.0)
    limit.interrupt("search")
    assert limit.over()
    assert limit.left() == 0
    assert not limit.reached


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "10", True, None])
def test_a_time_that_is_none_is_refused(value, small_runs, small_network):
    with pytest.raises(InputError, match="search_seconds"):
        jaxllc.discover(small_runs, small_network, search_seconds=value)


# --- discoveries ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_runs(small_network):
    A, times = small_network.to_adjacency().toarray(), np.linspace(0, 4, 25)
    start = np.random.default_rng(0).uniform(0, 1, len(A))
    rate = lambda t, x: -0.5 * x + 0.5 * (1 - x) * (A @ x)  # noqa: E731
    states = solve_ivp(rate, (0, 4), start, t_eval=times, rtol=1e-8).y.T
    return Trajectories(times, states[:, :, None]).with_noise(20, seed=0)


CHOICES = {"max_terms": 3, "num_fits": 2, "moves": 1, "neural": "never", "sums": False}


def found(runs, network, seconds, **more):
    return jaxllc.discover(runs, network, seed=0, search_seconds=seconds, **CHOICES, **more)


def of_time(law):
    return [n for n in law.notes if "search_seconds" in n or "Interrupted" in n]


@pytest.fixture(scope="module")
def whole(small_runs, small_network):
    return found(small_runs, small_network, 1e9)


def test_in_ample_time_the_law_does_not_depend_on_the_clock(
    clock, whole, small_runs, small_network
):
    clock.step = 1e-3  # another pace
    law = found(small_runs, small_network, 1e6)
    assert law.equations == whole.equations
    assert law.front == whole.front
    assert of_time(law) == of_time(whole) == []
    assert law.finished


def test_a_limit_that_is_not_reached_is_not_reported(clock, whole, small_runs, small_network):
    """More than half of the time may have passed, and all of it before the notes are written."""
    clock.step = 1.0
    found(small_runs, small_network, 1e9)
    looks = clock.looks
    clock.now = clock.looks = 0
    law = found(small_runs, small_network, 1.6 * looks)
    assert clock.now > 0.5 * looks
    assert [n for n in of_time(law) if "its time limit" in n] == []
    assert law.equations == whole.equations


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.9])
def test_time_that_is_over_ends_the_search_soon_after(clock, part, small_runs, small_network):
    clock.step = 1.0
    found(small_runs, small_network, 1e9)
    looks = clock.looks
    clock.now = clock.looks = 0
    law = found(small_runs, small_network, part * looks)
    assert any("its time limit" in note for note in of_time(law))
    # A look follows each piece of work, so that looks are the time; the closing takes a few of them.
    assert clock.now < part * looks + 60
    assert law.finished
    assert all(np.isfinite(c.value) for c in law.constants)
    assert np.isfinite(list(law.noise.values())).all()


# --- interrupts -------------------------------------------------------------------------------------


class Interrupt:
    """A progress that interrupts when so many laws were fitted."""

    def __init__(self, after):
        self.count, self.after = itertools.count(1), after

    def __call__(self, stage, what):
        if "fitted" in what and next(self.count) == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupted_search_keeps_its_best_law(
    after, whole, small_runs, small_network, tmp_path
):
    law = found(small_runs, small_network, 1e9, progress=Interrupt(after))
    assert not law.finished
    (note,) = of_time(law)
    assert "in the stage 'refinement'" in note
    assert law.variables == whole.variables
    assert law.confidence is None or law.confidence.laws <= after
    law.save(tmp_path / "law.json")
    assert not jaxllc.load_law(tmp_path / "law.json").finished
    assert whole.finished


def test_an_interrupt_before_the_first_law_is_an_interrupt(small_runs, small_network):
    def interrupt(stage, what):
        if stage == "search":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(small_runs, small_network, 1e9, progress=interrupt)


def test_an_interrupt_while_the_law_is_finished_finishes_it_at_once(
    monkeypatch, small_runs, small_network
):
    from jaxllc.discovery import assemble

    calls = []
    front = assemble.pareto_front

    def interrupted(*words, **more):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return front(*words, **more)

    monkeypatch.setattr(assemble, "pareto_front", interrupted)
    law = found(small_runs, small_network, 1e9)
    assert not law.finished
    assert len(calls) == 2
    assert time_limit.current_limit() is None
