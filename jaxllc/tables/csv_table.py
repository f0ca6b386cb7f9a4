"""One CSV file as columns of text and numbers, with an error that names file, row and column.

Rows are counted as a text editor counts lines. The file is opened once and its text kept; numbers are read
in blocks of rows, and only where a column is not numeric are its cells looked at one by one.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from jaxllc.errors import InputError, quoted
from jaxllc.files.file_text import read_text
from jaxllc.tables import number_cells
from jaxllc.tables.date_cells import look_like_dates
from jaxllc.tables.table import HEAD, Table

_SEPARATORS = "\t;,|"
_BLOCK = 2**18  # cells that are held as text at one time
_UNNAMED = "Unnamed: 0"  # what pandas calls a column without a name


class CsvTable(Table):
    """A file's header, known at once, and after `load` its columns as numbers or text.

    rows: the row number in the file of each data row; empty lines are left out. text: the text of the file
    where it has been read already. checked: False where the caller checks the header later.
    """

    _first_may_be_empty = False

    def __init__(self, path: str | os.PathLike, text: str | None = None, checked: bool = True):
        self.path = Path(path)
        self.notes = []
        self._text = read_text(path) if text is None else text
        self._underscored = "_" in self._text
        self._decimal_comma = False
        self._separator, self._skipped = self._layout()
        self._header_row, cells = next(self._reader(), (1, [""]))
        header = [name.strip() for name in cells]
        if header[0] == _UNNAMED:
            header[0] = ""
        self._first = 0  # columns before the header's first that are left out
        self._header_cells = len(header)
        while len(header) > 1 and header[-1] == "":
            header.pop()
        self._set_header(header)
        if checked:
            self.check_header(self._first_may_be_empty)

    def drop_index(self) -> None:
        """Leave out a first column without a name that numbers the rows, as pandas and R write it."""
        if self.header[0] == "" and len(self.header) > 1 and self._counts_rows():
            self._first = 1
            self._header_cells -= 1
            self._set_header(self.header[1:])

    def _counts_rows(self) -> bool:
        cells = [cell.strip() for cell in self.raw("")]
        return any(cells == [str(n) for n in range(k, k + len(cells))] for k in (0, 1))

    def rename(self, column: str, name: str) -> None:
        """Give a column another name."""
        self._set_header([name if old == column else old for old in self.header])

    def _layout(self) -> tuple[str, int]:
        """The separator, and the number of rows above the header: empty ones, and Excel's `sep=;`."""
        lines = list(islice(_lines(self._text), 20))
        filled = [n for n, line in enumerate(lines) if line.strip()]
        if not filled:
            raise InputError(f"{self.path} has nothing in row 1")
        first = lines[filled[0]].strip().strip('"')
        if len(first) == 5 and first.lower().startswith("sep="):
            return first[4], filled[0] + 1
        separator = separator_of([lines[n] for n in filled])
        alone = _fit(lines[filled[0] : filled[0] + 1], separator)[1] < 2
        if alone and len(first.split()) > 1 and first[0] != "#":
            raise InputError(
                f"{self.path} begins with {quoted(first, 60)}: are its cells separated by blanks? separate "
                "them by commas, semicolons or tabs (words above the header must go)"
            )
        return separator, filled[0]

    def _reader(self) -> Iterator[tuple[int, list[str]]]:
        """Row number and cells of each row of the file, from the header on."""
        reader = csv.reader(
            _lines(self._text), delimiter=self._separator, skipinitialspace=True, strict=True
        )
        row = 0
        try:
            for cells in reader:
                start, row = row + 1, reader.line_num
                if start > self._skipped:
                    yield start, cells
        except csv.Error as error:
            reason = "a quotation mark is not closed, or stands within a cell"
            if "limit" in str(error):
                reason = "a cell is longer than 131072 characters: is a quotation mark not closed?"
            raise InputError(f"{self.path}, row {row + 1}: {reason}; correct it") from error

    def load(self, *text_columns: str | None) -> None:
        """Read the data; the columns named here are text and the others numbers."""
        names = set(text_columns)
        text = [n for n, name in enumerate(self.header) if name in names]
        numeric = [n for n, name in enumerate(self.header) if name not in names]
        self._decimal_comma = False
        failed = self._read(text, numeric)
        if failed and self._has_decimal_commas(failed, numeric):
            self._decimal_comma = True
            self._read(text, numeric)

    def _read(self, text: list[int], numeric: list[int]) -> list[int]:
        """Fill `rows` and the columns; returns the numeric columns that hold something else."""
        numbers: list[np.ndarray] = []
        words: list[list[str]] = [[] for _ in text]
        rows: list[int] = []
        failed: set[int] = set()
        for row_numbers, columns in self._blocks():
            rows += row_numbers
            for store, n in zip(words, text, strict=True):
                store += columns[n]
            numbers.append(self._numbers_of(columns, numeric, failed))
        if not rows:
            raise InputError(f"{self.path} has a header but no data below it")
        self.rows = np.array(rows)
        self._columns = {}
        for store, n in zip(words, text, strict=True):
            self._columns[n] = np.array(store, dtype=object)
        self._columns.update(zip(numeric, np.concatenate(numbers, axis=1), strict=True))
        self._columns.update(dict.fromkeys(failed))
        return sorted(failed)

    def _numbers_of(
        self, columns: list[tuple[str, ...]], numeric: list[int], failed: set[int]
    ) -> np.ndarray:
        """The numeric columns of a block, float64 (columns, rows); those that cannot be join `failed`."""
        if not (failed or self._decimal_comma or self._underscored) and numeric:
            wanted = columns if len(numeric) == len(columns) else [columns[n] for n in numeric]
            try:
                return np.array(wanted, dtype=np.float64)
            except ValueError:
                pass
        block = np.full((len(numeric), len(columns[0])), np.nan)
        for k, n in enumerate(numeric):
            if n in failed:
                continue
            values = number_cells.floats(columns[n], self._decimal_comma)
            if values is None:
                failed.add(n)
            else:
                block[k] = values
        return block

    def _has_decimal_commas(self, failed: list[int], numeric: list[int]) -> bool:
        """Whether all numeric cells are numbers if commas are decimal commas; dates left aside."""
        if not any("," in cell for n in failed[:5] for cell in self._first_cells(n)):
            return False
        dated = {n for n in failed if look_like_dates([c for c in self._first_cells(n) if c])}
        looked_at = [n for n in numeric if n not in dated]
        return number_cells.has_decimal_commas(
            cell for _, columns in self._blocks() for n in looked_at for cell in columns[n]
        )

    @cached_property
    def _first_rows(self) -> list[list[str]]:
        rows = (cells for row, cells in self._reader() if row > self._header_row)
        return list(islice((cells for cells in rows if any(c.strip() for c in cells)), HEAD))

    def head(self, column: str) -> list[str]:
        """The first cells of a column as text without surrounding blanks; none is checked."""
        return self._first_cells(self._position[column])

    def _first_cells(self, column: int) -> list[str]:
        n = column + self._first
        return [cells[n].strip() if n < len(cells) else "" for cells in self._first_rows]

    def _blocks(self) -> Iterator[tuple[list[int], list[tuple[str, ...]]]]:
        """Row numbers and columns of cells, some rows at a time, each of the width of the header."""
        width = len(self.header)
        at_once = max(1, _BLOCK // width)
        rows: list[int] = []
        held: list[list[str]] = []
        short = 0
        for row, cells in self._reader():
            # Nearly always the first cell tells that a row is not empty.
            if not (cells and cells[0].strip()) and not any(cell.strip() for cell in cells):
                continue
            if row <= self._header_row:
                continue
            if self._first:
                cells = cells[self._first :]
            if len(cells) > width:
                self._check_long_row(row, cells)
                cells = cells[:width]
            elif len(cells) < width:
                short = short or row
                cells = cells + [""] * (width - len(cells))
            rows.append(row)
            held.append(cells)
            if len(rows) == at_once:
                yield rows, list(zip(*held, strict=True))
                rows, held = [], []
        if rows:
            yield rows, list(zip(*held, strict=True))
        note = (
            f"{self.path}, row {short} has fewer cells than the header; what is missing there counts as not "
            "observed"
        )
        if short and note not in self.notes:
            self.notes.append(note)

    def _check_long_row(self, row: int, cells: list[str]) -> None:
        """Raises InputError for a filled cell beyond the header."""
        width = len(self.header)
        extra = next((n for n in range(width, len(cells)) if cells[n].strip()), None)
        if extra is None:
            return
        if extra < self._header_cells:
            raise InputError(
                f"{self.path}: column {extra + 1} of the header has no name; name or drop it"
            )
        mend = (
            "name every column (names of rows need a cell of the header too, which may be empty) or remove "
            f"what is more cells than the {width}"
        )
        if self._separator == "," and len(cells) in (2 * width, 2 * width - 1):
            mend = "are these decimal commas? separate the cells by semicolons, or write points"
        raise InputError(
            f"{self.path}, row {row} holds {quoted(cells[extra], 60)} in cell {extra + 1}, but the header "
            f"has {width} cells; {mend}"
        )

    def raw(self, column: str) -> list[str]:
        """The cells of a column as they stand in the file, read once more."""
        n = self._position[column]
        return [cell for _, columns in self._blocks() for cell in columns[n]]

    def _decimals(self) -> bool:
        return self._decimal_comma


class LabelledTable(CsvTable):
    """A table as pandas and R write it: the first header cell may be empty."""

    _first_may_be_empty = True


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends; those of io.StringIO would take four bytes for each letter."""
    start = 0
    while start < len(text):
        stop = text.find("\n", start) + 1 or len(text)
        yield text[start:stop]
        start = stop


def separator_of(lines: Sequence[str]) -> str:
    """The separator of a table that begins with these lines: tab, semicolon, comma or bar.

    That by which most rows have as many cells as the header, then that which gives the header most.
    """
    return max(_SEPARATORS, key=lambda separator: _fit(lines, separator))


def _fit(lines: Iterable[str], separator: str) -> tuple[int, int]:
    try:
        rows = [
            len(next(csv.reader([line], delimiter=separator, skipinitialspace=True), []))
            for line in lines
        ]
    except csv.Error:
        return 0, 0
    return (sum(count == rows[0] for count in rows), rows[0]) if rows[0] > 1 else (0, 0)
