"""A pandas DataFrame in the place of a file: the same columns, and errors that name its rows and columns."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, quoted
from jaxllc.tables import number_cells
from jaxllc.tables.csv_table import CsvTable
from jaxllc.tables.sample_times import plain_dates
from jaxllc.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd


class FrameTable(Table):
    """A DataFrame; with `index_name` its index is the first column.

    place: what it is called in errors. row: the word before a label of its index there.
    """

    is_frame = True

    def __init__(
        self,
        frame: pd.DataFrame,
        place: str,
        index_name: str | None = None,
        row: str = "index",
        checked: bool = True,
    ):
        import pandas as pd

        if not isinstance(frame, pd.DataFrame):
            raise InputError(f"{place} must be a pandas DataFrame, not a {type(frame).__name__}")
        if frame.columns.nlevels > 1:
            raise InputError(
                f"the columns of {place} have {frame.columns.nlevels} levels; keep one, as "
                "frame.columns = frame.columns.get_level_values(-1) does"
            )
        if index_name is not None and frame.index.nlevels > 1:
            raise InputError(
                f"the index of {place} has {frame.index.nlevels} levels, but a condition has one name; join "
                "them, as frame.index = ['_'.join(map(str, names)) for names in frame.index] does"
            )
        self.path = place
        self.notes = []
        self._row = row
        header = [str(name).strip() for name in frame.columns]
        self._series = [frame.iloc[:, n] for n in range(frame.shape[1])]
        if index_name is not None:
            header.insert(0, index_name if index_name not in header else "")
            self._series.insert(0, frame.index.to_series())
        self._set_header(header)
        if checked:
            self.check_header(first_may_be_empty=True)
        self.rows = np.empty(len(frame), dtype=object)
        for n, label in enumerate(_labels(frame, place)):
            self.rows[n] = label  # one by one: a label may be a tuple
        self._columns = {}

    def load(self, *text_columns: str | None) -> None:
        """The columns named here are text and the others numbers; true and false are 1 and 0."""
        if len(self.rows) == 0:
            raise InputError(f"{self.path} has no rows")
        for n, (name, column) in enumerate(zip(self.header, self._series, strict=True)):
            self._columns[n] = _text(column) if name in text_columns else self._numbers(column)

    def _numbers(self, column: pd.Series) -> np.ndarray | None:
        if getattr(column.dtype, "kind", "O") in "iufb":
            return _floats(column)
        if getattr(column.dtype, "kind", "O") in "mMc":
            return None
        return number_cells.floats(_objects(column))

    def raw(self, column: str) -> list[Any]:
        """The cells of a column as they were given."""
        return _objects(self._series[self._position[column]])

    def labels(self) -> list[str]:
        """The names of the rows: the index."""
        return [str(label) for label in self.rows]

    def dates(self, column: str) -> np.ndarray | None:
        """A column of dates as datetime64, of durations as timedelta64; None where it holds neither."""
        return plain_dates(self._series[self._position[column]])

    def row_name(self, row: int) -> str:
        """What data row `row` (from 0) is called in an error: its label."""
        label = self.rows[row]
        label = label.item() if isinstance(label, np.generic) else label
        return f"{self._row} {label!r:.60}"


def _labels(frame: pd.DataFrame, place: str) -> list[Any]:
    try:
        return list(frame.index)
    except ValueError as error:  # levels of different lengths, which pandas does not notice
        raise InputError(f"{place} has an index that cannot be read: {error}") from error


def flat_frame(
    frame: Any, place: str, labels: Collection[str], time: bool = False, instead: str = ""
) -> pd.DataFrame:
    """The argument `source` as a DataFrame: index levels of the `labels` made columns, columns of one level.

    labels: names of columns that may stand in the index, in lower case. time: an index of dates without a
    name is the time, and columns (node, variable) become "node.variable". instead: what takes other things.
    Raises InputError for a MultiIndex that is not understood, and for what is no DataFrame.
    """
    import pandas as pd

    if isinstance(frame, pd.Series) and isinstance(frame.index, pd.MultiIndex):
        frame = frame.to_frame("value")
    if not isinstance(frame, pd.DataFrame):
        raise InputError(
            f"source is {quoted(frame, 80)}, but it must be the path of a file or a pandas DataFrame, not of "
            f"type {type(frame).__name__}{'; ' if instead else ''}{instead}"
        )
    first = str(frame.columns[0]) if frame.shape[1] > 1 else None
    if first in ("", "Unnamed: 0") and frame.iloc[:, 0].tolist() == list(range(len(frame))):
        frame = frame.iloc[:, 1:]  # the index, as pandas wrote it
    if isinstance(frame.columns, pd.MultiIndex):
        if not time:
            raise InputError(
                f"{place} has columns of {frame.columns.nlevels} levels; give them one level"
            )
        frame = _joined_levels(frame, place)
    index = frame.index
    dated = isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex)
    if time and dated and index.name is None:
        frame = frame.rename_axis("time")
    names = [str(name).lower() for name in frame.index.names]
    known = [name in labels for name in names]
    if isinstance(index, pd.MultiIndex) and not all(known):
        raise InputError(
            f"{place} has an index of the levels {', '.join(map(repr, index.names))[:200]}; name them "
            f"{', '.join(labels)}, or make them columns with reset_index()"
        )
    if all(known):
        twice = [name for name in frame.index.names if name in frame.columns]
        if twice:
            raise InputError(f"{place} has {twice[0]!r} as index and as column; keep one of them")
        try:
            frame = frame.reset_index()
        except ValueError as error:
            raise InputError(f"{place} has two columns or levels of one name: {error}") from error
    return frame


def _joined_levels(frame: pd.DataFrame, place: str) -> pd.DataFrame:
    names = [str(name).lower() for name in frame.columns.names]
    if len(names) != 2 or "node" not in names:
        raise InputError(
            f"{place} has columns of {len(names)} levels; two levels named node and variable are understood: "
            'frame.columns.names = ["node", "variable"]'
        )
    node = names.index("node")
    joined = [f"{pair[node]}.{pair[1 - node]}" for pair in frame.columns]
    return frame.set_axis(joined, axis=1)


def _floats(column: pd.Series) -> np.ndarray:
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _objects(column: pd.Series) -> list[Hashable]:
    return column.astype(object).tolist()


def _text(column: pd.Series) -> np.ndarray:
    cells = np.empty(len(column), dtype=object)
    missing = column.isna().to_numpy()
    cells[:] = [
        "" if gone else _label(cell) for cell, gone in zip(_objects(column), missing, strict=True)
    ]
    return cells


def _label(cell: object) -> str:
    # Integers beside missing values become floats in pandas: node 3 is not "3.0".
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def table_of(source: Any, labels: Collection[str], instead: str, time: bool = False) -> Table:
    """A path or a DataFrame as a table whose header is still to be checked. instead: what takes others."""
    if isinstance(source, str | os.PathLike):
        return CsvTable(source, checked=False)
    frame = flat_frame(source, "the DataFrame", labels, time, instead)
    return FrameTable(frame, "the DataFrame", row="row", checked=False)
