"""Dates and times of day in the cells of a table, read as instants where they can mean one thing only.

ISO dates and dates with points (day first) are clear; 03/04/2020 is read only where the whole column tells
which number is the day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np

from jaxllc.errors import InputError, quoted

_SECONDS = r"(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
_CLOCK = r"(?:[T ]\s*(?P<H>\d{1,2}):(?P<M>\d{2})" + _SECONDS + r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
_ZONE = r"\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?\Z"
_YEAR_FIRST = re.compile(
    r"(?P<y>\d{4})([-/.])\s?(?P<m>\d{1,2})\2\s?(?P<d>\d{1,2})\.?" + _CLOCK + _ZONE
)
_YEAR_LAST = re.compile(
    r"(?P<a>\d{1,2})(?P<mark>[-/.])\s?(?P<b>\d{1,2})(?P=mark)\s?(?P<y>\d{4}|\d{2})" + _CLOCK + _ZONE
)
_MONTH = re.compile(r"(?P<y>\d{4})[-/](?P<m>\d{1,2})\Z")
_WEEK = re.compile(r"(?P<y>\d{4})-?W(?P<week>\d{2})(?:-?(?P<d>[1-7]))?\Z")
_COMPACT = re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:\.0*)?\Z")
_NAMED = tuple(
    re.compile(pattern + _CLOCK + _ZONE)
    for pattern in (
        r"(?P<d>\d{1,2})\.?[- ](?P<name>[A-Za-z]{3,9})\.?[-, ]\s?(?P<y>\d{4}|\d{2})",
        r"(?P<name>[A-Za-z]{3,9})\.? (?P<d>\d{1,2}),? (?P<y>\d{4})",
        r"(?P<y>\d{4})[- ](?P<name>[A-Za-z]{3,9})[- ](?P<d>\d{1,2})",
    )
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DURATION = re.compile(
    r"(?:(?P<days>\d+) days?,? )?(?P<H>\d{1,4}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?\Z"
)
_LEAST = 2  # eight digits are a date only where several cells are


def look_like_dates(cells: Sequence[str], least: float = 1.0) -> bool:
    """Whether so large a part of the cells are dates or times of day, in any of the forms known here."""
    found = sum(_form(cell.strip()) is not None for cell in cells)
    return found >= max(1, least * len(cells))


def compact_dates(cells: Sequence[str]) -> bool:
    """Whether all cells are dates in eight digits, such as 20200131, of the years 1800 to 2199."""
    if len(cells) < _LEAST:
        return False
    for cell in cells:
        match = _COMPACT.match(cell.strip())
        if match is None or not 1800 <= int(match["y"]) < 2200 or _instant(match) is None:
            return False
    return True


def instants(cells: Sequence[str], place: Callable[[int], str]) -> np.ndarray | None:
    """The cells as datetime64[us] (or timedelta64[us], where they are durations), None if they are no dates.

    place: names a cell by its number in an error. Raises InputError for a column of which it is not certain
    whether day or month comes first, and for a cell that is no date among others that are.
    """
    position: dict[str, int] = {}
    codes = [position.setdefault(str(cell).strip(), len(position)) for cell in cells]
    found = list(position)
    forms = [_form(cell) for cell in found]
    if forms.count(None) * 2 >= len(forms):
        return None
    kinds = [None if form is None else form == "duration" for form in forms]
    usual = next(kind for kind in kinds if kind is not None)
    if any(kind != usual for kind in kinds):
        n = next(n for n, kind in enumerate(kinds) if kind != usual)
        example = found[kinds.index(usual)]
        raise InputError(
            f"{place(codes.index(n))}: {quoted(found[n], 60)} is no {'duration' if usual else 'date'}, while "
            f"others of the column are, such as {quoted(example, 60)}"
        )
    if usual:
        return np.array([_duration(cell) for cell in found], dtype="timedelta64[us]")[codes]
    day_first = _day_first(found, forms, lambda n: place(codes.index(n)))
    dates = [
        _instant(_match(cell, str(form)), day_first)
        for cell, form in zip(found, forms, strict=True)
    ]
    if None in dates:
        n = dates.index(None)
        raise InputError(
            f"{place(codes.index(n))}: there is no date {quoted(found[n], 60)}; correct it"
        )
    return np.array(dates, dtype="datetime64[us]")[codes]


def _form(cell: str) -> str | None:
    """The form of a date: its key in `_match`; None if it is none."""
    return next((form for form in _FORMS if _match(cell, form) is not None), None)


_FORMS = ("year first", "year last", "month", "week", "named 0", "named 1", "named 2", "duration")


def _match(cell: str, form: str) -> re.Match[str] | None:
    if len(cell) > 64:
        return None
    if form.startswith("named"):
        match = _NAMED[int(form[-1])].match(cell)
        return match if match and match["name"].lower()[:3] in _MONTHS else None
    patterns = {
        "year first": _YEAR_FIRST,
        "year last": _YEAR_LAST,
        "month": _MONTH,
        "week": _WEEK,
        "duration": _DURATION,
        "compact": _COMPACT,
    }
    return patterns[form].match(cell)


def _day_first(
    cells: Sequence[str], forms: Sequence[str | None], place: Callable[[int], str]
) -> bool:
    """Whether day or month comes first where the year comes last; points mean the day does."""
    marked = [
        (n, _YEAR_LAST.match(cells[n])) for n, form in enumerate(forms) if form == "year last"
    ]
    pairs = [(n, int(m["a"]), int(m["b"])) for n, m in marked if m is not None and m["mark"] != "."]
    if any(first > 12 for _, first, _ in pairs) or all(a == b for _, a, b in pairs):
        return True
    if any(second > 12 for _, _, second in pairs):
        return False
    n, first, second = next(pair for pair in pairs if pair[1] != pair[2])
    raise InputError(
        f"{place(n)}: {quoted(cells[n], 60)} may be in month {first} or in month {second}, and no other date "
        "of the column tells which; write dates as 2020-01-31"
    )


def _instant(match: re.Match[str] | None, day_first: bool = True) -> datetime | None:
    if match is None:
        return None
    part = match.groupdict()
    year = int(part["y"]) + (0 if len(part["y"]) == 4 else 1900 if int(part["y"]) > 68 else 2000)
    if part.get("week"):
        try:
            return datetime.fromisocalendar(year, int(part["week"]), int(part["d"] or 1))
        except ValueError:
            return None
    if part.get("name"):
        month, day = _MONTHS.index(part["name"].lower()[:3]) + 1, int(part["d"])
    elif "a" in part:
        numbers = int(part["a"]), int(part["b"])
        points = part["mark"] == "."
        day, month = numbers if day_first or points else numbers[::-1]
    else:
        month, day = int(part["m"]), int(part.get("d") or 1)
    hour, half = int(part.get("H") or 0), (part.get("half") or "").lower()
    if half:
        hour = hour % 12 + (12 if half[0] == "p" else 0)
    fraction = (part.get("f") or "").ljust(6, "0")[:6]
    try:
        instant = datetime(
            year, month, day, hour, int(part.get("M") or 0), int(part.get("S") or 0), int(fraction)
        )
    except ValueError:
        return None
    zone = part.get("zone")
    if zone and zone[0] in "+-":
        sign = -1 if zone[0] == "-" else 1
        try:
            instant -= sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        except OverflowError:
            return None
    return instant


def _duration(cell: str) -> timedelta:
    match = _DURATION.match(cell)
    assert match is not None
    return timedelta(
        days=int(match["days"] or 0),
        hours=int(match["H"]),
        minutes=int(match["M"]),
        seconds=int(match["S"] or 0),
        microseconds=int((match["f"] or "").ljust(6, "0")[:6]),
    )


def compact_instants(cells: Sequence[str]) -> np.ndarray:
    """Dates in eight digits as datetime64[us]."""
    return np.array(
        [_instant(_COMPACT.match(cell.strip())) for cell in cells], dtype="datetime64[us]"
    )
