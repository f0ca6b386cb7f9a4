"""Times out of dates: counted from the first sample, in a unit that the steps fill, and said."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.tables.sample_times import sample_times

WEEKS = pd.date_range("2020-01-06", periods=4, freq="7D")


@pytest.mark.parametrize(
    ("values", "expected", "unit"),
    [
        (WEEKS, [0, 7, 14, 21], "days"),
        (WEEKS.to_numpy().astype("datetime64[ns]"), [0, 7, 14, 21], "days"),
        (WEEKS.tz_localize("Europe/Paris"), [0, 7, 14, 21], "days"),
        (pd.Series(WEEKS), [0, 7, 14, 21], "days"),
        (list(WEEKS), [0, 7, 14, 21], "days"),
        ([w.date() for w in WEEKS], [0, 7, 14, 21], "days"),
        ([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2, 12)], [0, 1.5], "days"),
        (pd.date_range("2020-01-01", periods=3, freq="15min"), [0, 15, 30], "minutes"),
        (pd.date_range("2020-01-01", periods=3, freq="20ms"), [0, 20, 40], "milliseconds"),
        (pd.period_range("2020-01", periods=3, freq="M"), [0, 31, 60], "days"),
        (np.array(["1000-01-01", "2000-01-01"], dtype="datetime64[D]"), [0, 365242], "days"),
        (pd.timedelta_range("2h", periods=3, freq="1h"), [2, 3, 4], "hours"),
        ([dt.timedelta(seconds=s) for s in (0, 3, 6)], [0, 3, 6], "seconds"),
        (np.arange(3) * np.timedelta64(5, "m"), [0, 5, 10], "minutes"),
        ([dt.datetime(2020, 1, 1)], [0], "days"),
    ],
)
def test_dates_and_durations_become_numbers_in_a_unit_that_is_said(values, expected, unit):
    counted = sample_times(values)
    np.testing.assert_allclose(counted.times, expected, rtol=1e-12)
    assert counted.unit == unit
    assert f"counted in {unit}" in counted.notes[0]


def test_summer_time_does_not_bend_the_clock():
    hours = pd.date_range("2021-03-27 12:00", periods=36, freq="h", tz="Europe/Berlin")
    np.testing.assert_array_equal(sample_times(hours).times, np.arange(36))


def test_plain_numbers_have_no_unit():
    counted = sample_times([0, 0.5])
    assert (counted.unit, counted.notes) == ("", ())


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([WEEKS[0], pd.NaT, WEEKS[1]], r"times\[1\] is no date"),
        (["2020-01-01", "2020-01-02"], "to_datetime"),
        (pd.Series(["2020-01-01"]), "to_datetime"),
        (np.array([1, 2], dtype="timedelta64[M]"), "months"),
        ([dt.datetime(2020, 1, 1), 3.0], "numbers"),
        ([True, False], "true and false"),
    ],
)
def test_times_that_cannot_be_told_are_refused(values, word):
    with pytest.raises(InputError, match=word):
        sample_times(values)


def test_a_run_keeps_unit_and_note_through_windows_and_selections():
    run = Trajectories(WEEKS, np.random.default_rng(0).random((4, 3)), names=list("abc"))
    np.testing.assert_array_equal(run.times, [0, 7, 14, 21])
    kept = run.window(7).select(["c", "a"]).with_features({"k0": [1.0, 2.0]})
    assert kept.time_unit == "days"
    assert kept.notes == run.notes
    assert "2020-01-06" in kept.notes[0]
    assert "to 21 days" in repr(run)
