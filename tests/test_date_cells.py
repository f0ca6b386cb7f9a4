"""Dates in tables become times from the first sample in a stated unit; what may mean two days is refused."""

import datetime

import numpy as np
import pandas as pd
import pytest

from jaxllc.data.readers import read_states
from jaxllc.errors import InputError
from jaxllc.tables.date_cells import compact_dates, instants

WEEKS = [datetime.date(2020, 1, 6) + datetime.timedelta(days=7 * n) for n in range(8)]


@pytest.fixture
def read(tmp_path):
    def read_cells(cells, header="time,a,b", index=None):
        rows = [f"{cell},{n},{n**2}" for n, cell in enumerate(cells)]
        path = tmp_path / "states.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        (run,) = read_states(path)
        return run

    return read_cells


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y. %m. %d.",
        "%d.%m.%Y",
        "%d.%m.%y",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%m/%d/%y",
        "%d-%b-%Y",
        "%d %B %Y",
        '"%b %d, %Y"',
        "%Y%m%d",
        "%G-W%V",
        "%GW%V1",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S.000",
        "%Y-%m-%dT00:00:00Z",
        "%d.%m.%Y %H:%M",
        "%m/%d/%Y 12:00 AM",
    ],
)
@pytest.mark.parametrize("header", ["time,a,b", "Date,a,b", "timestamp,a,b"])
def test_dates_are_days_from_the_first(read, form, header):
    run = read([day.strftime(form) for day in WEEKS], header)
    assert run.times.tolist() == [7.0 * n for n in range(8)]
    assert run.time_unit == "days"
    assert "days, from 2020-01-06" in run.notes[0]


@pytest.mark.parametrize(
    ("step", "unit", "factor"),
    [
        ("6h", "hours", 6),
        ("15min", "minutes", 15),
        ("30s", "seconds", 30),
        ("250ms", "milliseconds", 250),
    ],
)
def test_the_unit_fits_the_steps(read, step, unit, factor):
    stamps = pd.date_range("2021-03-04 05:06:07", periods=9, freq=step)
    run = read([stamp.isoformat(sep=" ") for stamp in stamps])
    np.testing.assert_allclose(run.times, factor * np.arange(9.0))
    assert run.time_unit == unit


def test_times_of_day_are_durations(read):
    run = read([f"{9 + n // 4}:{15 * (n % 4):02d}" for n in range(8)])
    np.testing.assert_allclose(np.diff(run.times), 15)
    assert run.time_unit == "minutes"


def test_months_are_as_long_as_they_are(read):
    run = read([f"2020-{month:02d}" for month in range(1, 9)])
    assert run.times.tolist() == [0, 31, 60, 91, 121, 152, 182, 213]


def test_zones_are_told_apart(read):
    cells = ["2020-03-29T00:00:00+01:00", "2020-03-29T03:00:00+02:00"]
    cells += [f"2020-03-29T{hour:02d}:00:00+02:00" for hour in range(5, 12, 2)]
    assert read(cells).times.tolist() == [0, 2, 4, 6, 8, 10]


def test_an_index_of_dates_without_a_name_is_the_time(read):
    assert read([str(day) for day in WEEKS], ",a,b").times[-1] == 49


def test_numbers_stay_numbers(read):
    for first in (2020, 43836, 1578268800, 20200101.5):
        run = read([first + n for n in range(8)])
        assert run.times[0] == first
        assert run.notes == ()
    assert not compact_dates(["20200101", "20201301"])
    assert read([20200229 + n for n in range(8)]).times[0] == 20200229  # there is no 30 February


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (
            ["03/04/2020", "04/04/2020", "05/04/2020"],
            "row 2, column 'time': '03/04/2020' may be in month 3 or in month 4.*write dates as",
        ),
        (["2020-01-06", "2020-01-32"], "row 3, column 'time': there is no date '2020-01-32'"),
        (["13/13/2020", "14/13/2020"], "there is no date '13/13/2020'"),
        (
            ["2020-01-06", "2020-01-13", "soon"],
            "row 4, column 'time': 'soon' is no date, while others",
        ),
        (["2020-01-06", "2020-01-13", "7"], "row 4, column 'time': '7' is no date, while others"),
        (["2020-01-06", "", "2020-01-13"], "row 3, column 'time' is empty; every row needs a time"),
        (["2020-01-06", "2020-01-13", "2020-01-13"], "row 4: .* repeats"),
        (["monday", "tuesday"], "row 2, column 'time': 'monday' is not a number"),
    ],
)
def test_dates_that_cannot_be_read_are_named(read, cells, sentence):
    with pytest.raises(InputError, match=sentence):
        read(cells)


def test_a_column_of_dates_beside_the_time_is_named(tmp_path):
    path = tmp_path / "states.csv"
    path.write_text("time,date,a\n" + "".join(f"{n},{day},{n}\n" for n, day in enumerate(WEEKS)))
    with pytest.raises(InputError, match="the column 'date' holds dates, not states; remove it"):
        read_states(path)
    path.write_text("when,a\n" + "".join(f"{day},{n}\n" for n, day in enumerate(WEEKS)))
    with pytest.raises(InputError, match=r"'when'.* holds dates: rename it to time"):
        read_states(path)


def test_every_day_of_many_years_is_read_as_pandas_reads_it():
    days = pd.date_range("1899-12-25", "2101-01-05", freq="97D")
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%B %d, %Y"):
        found = instants(list(days.strftime(form)), str)
        np.testing.assert_array_equal(found, days.to_numpy())


def test_dates_of_a_long_shuffled_table_count_from_the_first_of_all(tmp_path):
    rows = [f"{day},{node},{n + k}" for n, day in enumerate(WEEKS) for k, node in enumerate("ab")]
    order = np.random.default_rng(0).permutation(len(rows))
    path = tmp_path / "states.csv"
    path.write_text("\n".join(["time,node,value", *(rows[n] for n in order)]))
    (run,) = read_states(path)
    assert run.times.tolist() == [7.0 * n for n in range(8)]
    assert run.time_unit == "days"


def test_a_european_sheet_is_read(tmp_path):
    path = tmp_path / "states.csv"
    rows = [f"{day:%d.%m.%Y};{n},5;{n * n},25" for n, day in enumerate(WEEKS)]
    path.write_text("\n".join(["Datum;a;b", *rows]).replace("Datum", "Date"), encoding="utf-8-sig")
    (run,) = read_states(path)
    assert run.times.tolist() == [7.0 * n for n in range(8)]
    np.testing.assert_array_equal(run.states[:, 0, 0], np.arange(8) + 0.5)
