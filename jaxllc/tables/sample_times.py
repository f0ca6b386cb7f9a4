"""Sample times out of dates: counted from the first one, in a unit that keeps the numbers readable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from jaxllc.errors import InputError
from jaxllc.tables.real_numbers import as_array, is_missing, real_numbers

# Seconds in a unit, the longest first. Months and years are no units: they differ in length.
UNITS = (
    ("days", 86400.0),
    ("hours", 3600.0),
    ("minutes", 60.0),
    ("seconds", 1.0),
    ("milliseconds", 1e-3),
    ("microseconds", 1e-6),
    ("nanoseconds", 1e-9),
)


class SampleTimes(NamedTuple):
    """times: float64 of any shape; unit: what dates and durations are counted in, else ""; notes: says so."""

    times: np.ndarray
    unit: str = ""
    notes: tuple[str, ...] = ()


def sample_times(values: Any, what: str = "times") -> SampleTimes:
    """Times as float64, and a sentence on what they count where they were dates or durations.

    Dates (NumPy, pandas, datetime) are counted from the first of them, durations as they are, in the longest
    unit of which the steps hold at least one. Raises InputError for a missing date, text, and what
    `real_numbers` refuses.
    """
    if hasattr(values, "to_timestamp") and not hasattr(values, "iloc"):
        values = values.to_timestamp()  # periods of pandas count from their start
    array = as_array(values, what)
    masked = np.ma.getmaskarray(array)
    array = np.ma.getdata(array)
    if array.dtype.kind == "O":
        array = _of_objects(array)
    if array.dtype.kind not in "mM":
        first = array.ravel()[0] if array.size else 0.0
        if isinstance(first, str):
            raise InputError(
                f"{what} must be numbers or dates, but holds text such as {str(first)[:40]!r}; "
                "pandas.to_datetime() makes dates of text"
            )
        return SampleTimes(real_numbers(values, what))
    if masked.any() or np.isnat(array).any():
        at = int((masked | np.isnat(array)).ravel().argmax())
        raise InputError(f"{what}[{at}] is no date; every sample needs its time")
    unit = np.datetime_data(array.dtype)[0]
    if array.dtype.kind == "m" and unit in ("Y", "M"):
        raise InputError(
            f"{what} are durations in {'years' if unit == 'Y' else 'months'}, which differ in length; "
            "give days, or numbers"
        )
    if array.size == 0:
        return SampleTimes(np.zeros(array.shape))
    return _counted(array)


def plain_dates(values: Any, what: str = "times") -> np.ndarray | None:
    """Dates as datetime64 and durations as timedelta64, missing ones as NaT; None where they are neither."""
    if hasattr(values, "dt") and hasattr(values.dtype, "freq"):
        values = values.dt.to_timestamp()
    array = np.ma.getdata(as_array(values, what))
    if array.dtype.kind == "O":
        array = _of_objects(array)
    return array if array.dtype.kind in "mM" else None


def _counted(array: np.ndarray) -> SampleTimes:
    dated = array.dtype.kind == "M"
    first = array.ravel()[0]
    if dated and np.datetime_data(array.dtype)[0] in ("Y", "M", "W", "D"):
        array = array.astype("datetime64[D]")
        first = array.ravel()[0]
    passed = array - first if dated else array
    seconds = passed / np.timedelta64(1, "s")
    steps = np.abs(np.diff(seconds.ravel()))
    steps = steps[steps > 0]
    typical = float(np.median(steps)) if steps.size else 86400.0
    name, length = next((u for u in UNITS if typical >= u[1] * (1 - 1e-9)), UNITS[-1])
    # A duration that holds whole seconds has room for centuries, one of nanoseconds has not.
    whole = length >= 1
    numbers = passed / np.timedelta64(
        round(length if whole else length * 1e9), "s" if whole else "ns"
    )
    since = "as the durations given"
    if dated:
        since = f"from {np.datetime_as_string(first, unit='auto')}"
    note = f"Times are counted in {name}, {since}; rates are per {_one(name)}."
    return SampleTimes(numbers, name, (note,))


def _one(unit: str) -> str:
    return unit[:-1]


def _of_objects(array: np.ndarray) -> np.ndarray:
    """Dates and durations of Python as those of NumPy; other objects as they are."""
    entries: Sequence[Any] = array.ravel().tolist()
    if not entries:
        return array
    if all(isinstance(e, date) or is_missing(e) for e in entries) and not all(
        map(is_missing, entries)
    ):
        return np.array([_instant(e) for e in entries], dtype="datetime64[us]").reshape(array.shape)
    if all(isinstance(e, timedelta | np.timedelta64) for e in entries):
        return np.array(entries, dtype="timedelta64[us]").reshape(array.shape)
    return array


def _instant(entry: Any) -> Any:
    """A date without its zone, in universal time."""
    if is_missing(entry):
        return np.datetime64("NaT")
    if hasattr(entry, "to_pydatetime"):
        entry = entry.to_pydatetime(warn=False)
    if isinstance(entry, datetime) and entry.tzinfo is not None:
        from datetime import UTC

        return entry.astimezone(UTC).replace(tzinfo=None)
    return entry
