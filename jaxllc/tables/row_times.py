"""The time of each row of a table, be it a number or a date, as a number in one unit for the whole table."""

from __future__ import annotations

import numpy as np

from jaxllc.errors import InputError
from jaxllc.tables.date_cells import compact_dates, compact_instants, instants
from jaxllc.tables.frame_table import FrameTable
from jaxllc.tables.sample_times import SampleTimes, sample_times
from jaxllc.tables.table import Table

_NEEDED = "every row needs a time"


def row_times(table: Table, column: str) -> SampleTimes:
    """Times as float64 (rows,); dates are counted from the first of all, in a unit that a note names.

    Raises InputError for a row without a time, a date that may mean two days, and what is no time.
    """
    dates = _dates(table, column)
    if dates is None:
        try:
            return SampleTimes(table.numbers(column, _NEEDED))
        except InputError as error:
            if not str(error).endswith("is not a number"):
                raise
            raise InputError(f"{error}, nor a date such as 2020-01-31") from error
    # Of the sorted dates the steps tell the unit, whatever the order of the rows.
    found, codes = np.unique(dates, return_inverse=True)
    counted = sample_times(found)
    return counted._replace(times=counted.times[codes])


def _dates(table: Table, column: str) -> np.ndarray | None:
    """The column as datetime64 or timedelta64; None where it holds numbers, or what is no time."""
    cells = None
    if isinstance(table, FrameTable):
        dates = table.dates(column)
        if dates is not None:
            if np.isnat(dates).any():
                row = int(np.isnat(dates).argmax())
                raise InputError(f"{table.place(row, column)} is empty; {_NEEDED}")
            return dates
    if table.is_numeric(column):
        values = table.numbers(column, _NEEDED)
        # Eight digits such as 20200131 would count as numbers that lie far apart where a month ends.
        if not ((values >= 18000101) & (values < 22000101)).all():
            return None
        cells = [str(cell) for cell in table.raw(column)]
        return compact_instants(cells) if compact_dates(cells) else None
    cells = table.raw(column)
    if not all(isinstance(cell, str) for cell in cells):
        return None
    found = instants(
        [cell or "" for cell in cells if cell.strip()], lambda n: table.place(n, column)
    )
    if found is None:
        return None
    empty = [row for row, cell in enumerate(cells) if not cell.strip()]
    if empty:
        raise InputError(f"{table.place(empty[0], column)} is empty; {_NEEDED}")
    return found
