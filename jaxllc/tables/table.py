"""A table whose columns are asked for by name, as numbers or text; what a CSV file and a DataFrame share.

Each error names the table, the row and the column.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from jaxllc.errors import InputError, first_repeat, quoted
from jaxllc.tables import number_cells

HEAD = 50  # rows that are looked at to tell what a column holds


class Table:
    """Columns by name. After `load` those named there are text, the others numbers where they can be.

    path: the file, or what a DataFrame is called in errors. header: the names of the columns.
    rows: what each data row is called in errors. notes: what reading saw, for the user.
    """

    is_frame = False
    path: str | os.PathLike
    header: list[str]
    rows: np.ndarray
    notes: list[str]
    _position: dict[str, int]
    # Numbers, text, or None for a column that should be numbers and is not.
    _columns: dict[int, np.ndarray | None]

    def _set_header(self, header: Sequence[str]) -> None:
        self.header = list(header)
        self._position = {name: n for n, name in reversed(list(enumerate(self.header)))}

    def check_header(self, first_may_be_empty: bool = False) -> None:
        """Raises InputError for a column without a name, a name that stands twice, and no header at all."""
        check_header(self.path, self.header, first_may_be_empty)

    def find(self, *synonyms: str) -> str | None:
        """The column with one of these names, case aside, in order of preference."""
        by_lower = {name.lower(): name for name in reversed(self.header)}
        return next((by_lower[name] for name in synonyms if name in by_lower), None)

    def load(self, *text_columns: str | None) -> None:
        """Read the data; the columns named here are text and the others numbers."""
        raise NotImplementedError

    def raw(self, column: str) -> list:
        """The cells of a column as they were given."""
        raise NotImplementedError

    def head(self, column: str) -> list[str]:
        """The first cells of a column as text without surrounding blanks."""
        return [str(cell).strip() for cell in self.raw(column)[:HEAD]]

    def place(self, row: int, column: str) -> str:
        """Where the cell of data row `row` (from 0) stands, in the words of an error."""
        name = quoted(column, 80) if column else str(self._position[column] + 1)
        return f"{self.path}, {self.row_name(row)}, column {name}"

    def row_name(self, row: int) -> str:
        """What data row `row` (from 0) is called in an error."""
        return f"row {_plain(self.rows[row])}"

    def labels(self) -> list[str]:
        """The names of the rows, where they have any."""
        return []

    def is_numeric(self, column: str) -> bool:
        """Whether the column was read as numbers."""
        values = self._columns[self._position[column]]
        return values is not None and values.dtype != object

    def _decimals(self) -> bool:
        """Whether a comma is a decimal comma here."""
        return False

    def numbers(self, column: str, needed: str = "") -> np.ndarray:
        """A column as float64, nan where the cell is empty; text and infinities raise InputError.

        needed: where it is said who needs a number in every row, an empty cell raises InputError, too.
        """
        values = self._columns[self._position[column]]
        if values is None or values.dtype == object:
            cells = self.raw(column) if values is None else values.tolist()
            row = number_cells.culprit(cells, self._decimals())
            if row is not None:
                why = number_cells.why_no_number(cells[row])
                raise InputError(f"{self.place(row, column)}: {why}")
            found = number_cells.floats(cells, self._decimals())
            assert found is not None
            values = found
        mend = needed or "leave the cell empty if it was not observed"
        if np.isinf(values).any():
            row = int(np.isinf(values).argmax())
            raise InputError(f"{self.place(row, column)}: the value is infinite; {mend}")
        if needed and np.isnan(values).any():
            row = int(np.isnan(values).argmax())
            raise InputError(f"{self.place(row, column)} holds no number; {needed}")
        return values

    def matrix(self, columns: Sequence[str]) -> np.ndarray:
        """Some columns side by side, float64 (rows, columns), checked as `numbers` does."""
        values = np.empty((len(self.rows), len(columns)))
        for n, column in enumerate(columns):
            values[:, n] = self.numbers(column)
        return values

    def text(self, column: str) -> np.ndarray:
        """A text column without surrounding blanks; an empty cell raises InputError."""
        cells = self.cells(column)
        empty = cells == ""
        if empty.any():
            raise InputError(f"{self.place(int(empty.argmax()), column)} is empty")
        return cells

    def cells(self, column: str) -> np.ndarray:
        """A column as text without surrounding blanks, "" where the cell is empty."""
        values = self._columns[self._position[column]]
        if values is None or values.dtype != object:
            values = np.array(self.raw(column), dtype=object)
        stripped = np.empty(len(values), dtype=object)
        stripped[:] = [str(cell).strip() for cell in values]
        return stripped


def _plain(label: object) -> object:
    label = label.item() if isinstance(label, np.generic) else label
    return label if isinstance(label, int) else quoted(label, 60)


def check_header(
    path: str | os.PathLike, header: Sequence[str], first_may_be_empty: bool = False
) -> None:
    """Raises InputError for a column without a name, a name that stands twice, and no header at all."""
    if not header:
        raise InputError(f"{path} has no columns")
    if header[0].startswith("#"):
        raise InputError(
            f"{path} begins with {quoted(header[0], 60)}; remove the remark, or the # of the header"
        )
    if any(name[:3].upper() in ("TR:", "DA:", "DV:") for name in header):
        raise InputError(
            f"{path} is a MIDAS file (columns TR:, DA: and DV:); write its values as the table that is asked "
            "for here, without these prefixes"
        )
    if len(header) > 1 and all(_is_number(name) for name in header):
        raise InputError(
            f"{path} has no header: its first row holds the numbers {', '.join(header[:3])}; write the "
            "names of the columns above them"
        )
    unnamed = [n for n, name in enumerate(header) if name == "" and (n or not first_may_be_empty)]
    if unnamed:
        raise InputError(
            f"{path}: column {unnamed[0] + 1} of the header has no name; name or drop it"
        )
    repeated = first_repeat(header)
    if repeated is not None:
        raise InputError(
            f"{path}: the header has the column {quoted(repeated, 80)} twice; keep one of them"
        )


def _is_number(name: str) -> bool:
    value = number_cells.number(name)
    return value is not None and not np.isnan(value)
