"""Samples too coarse to follow: only an unresolved start is left out, and it is said."""

import numpy as np
import pytest

from jaxllc.data.trajectories import Trajectories
from jaxllc.smoothing.resolution import without_unresolved_start

TIMES = np.linspace(0.0, 4.0, 41)


def decay(rate, times=TIMES, share=0.8):
    """Two nodes: a share of the start decays at `rate`, the rest slowly."""
    fast = np.exp(-rate * times)[:, None] * share
    slow = np.exp(-0.3 * times)[:, None] * (1 - share)
    return Trajectories(times, (fast + slow) * np.array([[1.0, -0.7]]))


def test_runs_that_are_resolved_are_left_as_they_are():
    runs = [decay(0.5), decay(1.0)]
    kept, notes = without_unresolved_start(runs)
    assert notes == []
    assert all(a is b for a, b in zip(kept, runs, strict=True))


def test_an_unresolved_start_is_left_out_and_named():
    runs = [decay(0.5), decay(20.0)]
    kept, (note,) = without_unresolved_start(runs)
    assert kept[0] is runs[0]
    skipped = 41 - kept[1].num_times
    assert 1 <= skipped <= 8
    np.testing.assert_array_equal(kept[1].states, runs[1].states[skipped:])
    np.testing.assert_array_equal(kept[1].times, TIMES[skipped:])
    assert "run 2" in note
    assert f"first {skipped} sample" in note
    steps = np.abs(np.diff(kept[1].states, axis=0)).max()
    assert steps < np.abs(np.diff(runs[1].states[: skipped + 1], axis=0)).max() / 2


def test_a_run_that_leaps_all_along_is_left_as_it_is():
    zigzag = np.where(np.arange(41) % 2, 1.0, -1.0)[:, None] * np.ones((1, 3))
    run = Trajectories(TIMES, zigzag)
    kept, notes = without_unresolved_start([run])
    assert kept[0] is run
    assert notes == []


def test_a_later_leap_takes_nothing_away():
    states = np.tile(np.linspace(0.0, 0.1, 41)[:, None], (1, 2))
    states[20:] += 1.0
    run = Trajectories(TIMES, states)
    kept, notes = without_unresolved_start([run])
    assert kept[0] is run
    assert notes == []


def test_a_short_run_keeps_enough_samples():
    run = decay(20.0, TIMES[:7])
    kept, _ = without_unresolved_start([run])
    assert kept[0].num_times >= 5


def test_units_do_not_matter():
    plain = decay(20.0)
    scaled = Trajectories(1e-3 * plain.times, 1e6 * plain.states + 4e6)
    (a,), _ = without_unresolved_start([plain])
    (b,), _ = without_unresolved_start([scaled])
    assert a.num_times == b.num_times < 41


@pytest.mark.parametrize("variables", [1, 2])
def test_what_was_not_observed_does_not_count_as_a_leap(variables):
    """Nor does it warn: a node, or in one run a whole variable, may never have been observed."""
    first = np.tile(decay(0.5).states, (1, 1, variables))
    second = np.tile(decay(1.0).states, (1, 1, variables))
    first[1:3, 0, 0] = np.nan
    second[:, 1, 0] = np.nan
    if variables == 2:
        second[..., 1] = np.nan
    names = ("x", "y")[:variables]
    runs = [Trajectories(TIMES, s, names) for s in (first, second)]
    kept, notes = without_unresolved_start(runs)
    assert notes == []
    assert all(a is b for a, b in zip(kept, runs, strict=True))
