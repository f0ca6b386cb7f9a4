"""One CSV file as columns of text and numbers, with an error that names file, row and column.

Rows are counted as a text editor counts lines: the header is row 1. The fast reader of pandas does the
work; only when a column is not numeric is its first bad cell looked for.
"""

import csv
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from jaxllc.errors import InputError, first_repeat

MISSING = ["", "NA", "N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "-nan"]


class CsvTable:
    """A file's header, known at once, and after `load` its columns as numbers or text.

    rows: the row number in the file of each data row; empty lines are left out.
    """

    rows: np.ndarray
    _frame: pd.DataFrame

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.header, self._separator = header_cells(first_line(self.path))
        check_header(self.path, self.header)

    def find(self, *synonyms: str) -> str | None:
        """The column with one of these names, case aside, in order of preference."""
        by_lower = {name.lower(): name for name in reversed(self.header)}
        return next((by_lower[name] for name in synonyms if name in by_lower), None)

    def load(self, *text_columns: str | None) -> None:
        """Read the data; the columns named here are text and the others numbers."""
        text = [n for n, name in enumerate(self.header) if name in text_columns]
        numeric = [n for n in range(len(self.header)) if n not in text]
        frame = self._read(text, numeric)
        empty = frame[numeric].isna().all(axis=1)
        for column in text:
            empty &= frame[column].isna() | (frame[column] == "")
        self._frame = frame[~empty.to_numpy()]
        self.rows = self._frame.index.to_numpy() + 2
        if len(self._frame) == 0:
            raise InputError(f"{self.path} has a header but no data below it")

    def _read(self, text: list[int], numeric: list[int]) -> pd.DataFrame:
        with warnings.catch_warnings():
            # pandas only warns where a row has more cells than the header: that is an error here.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                return pd.read_csv(
                    self.path,
                    sep=self._separator,
                    header=0,
                    names=list(range(len(self.header))),
                    index_col=False,
                    dtype=dict.fromkeys(text, str),
                    keep_default_na=False,
                    na_values=dict.fromkeys(numeric, MISSING),
                    skip_blank_lines=False,
                    skipinitialspace=True,
                    low_memory=False,
                    encoding="utf-8-sig",
                )
            except pd.errors.ParserWarning as error:
                raise InputError(
                    f"{self.path} has rows with more cells than the {len(self.header)} of its header"
                ) from error
            except pd.errors.ParserError as error:
                reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
                raise InputError(f"{self.path} is not a well-formed table: {reason}") from error
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{self.path} is not UTF-8 text; save it as CSV in UTF-8"
                ) from error

    def place(self, row: int, column: str) -> str:
        """Where the cell of data row `row` (from 0) stands, in the words of an error."""
        return f"{self.path}, row {self.rows[row]}, column {column!r}"

    def numbers(self, column: str, needed: str = "") -> np.ndarray:
        """A column as float64, nan where the cell is empty; text and infinities raise InputError.

        needed: where it is said who needs a number in every row, an empty cell raises InputError, too.
        """
        cells = self._frame[self.header.index(column)]
        if cells.dtype.kind not in "iuf":
            values = pd.to_numeric(cells.astype(object).map(_not_bool), errors="coerce")
            bad = (values.isna() & cells.notna()).to_numpy()
            if bad.any():
                row = int(bad.argmax())
                raise InputError(
                    f"{self.place(row, column)}: {str(cells.iloc[row])!r} is not a number"
                )
            cells = values
        numbers = cells.to_numpy(dtype=np.float64)
        mend = needed or "leave the cell empty if it was not observed"
        if np.isinf(numbers).any():
            row = int(np.isinf(numbers).argmax())
            raise InputError(f"{self.place(row, column)}: the value is infinite; {mend}")
        if needed and np.isnan(numbers).any():
            row = int(np.isnan(numbers).argmax())
            raise InputError(f"{self.place(row, column)} holds no number; {needed}")
        return numbers

    def text(self, column: str) -> np.ndarray:
        """A text column without surrounding blanks; an empty cell raises InputError."""
        cells = self._frame[self.header.index(column)].fillna("").str.strip()
        empty = (cells == "").to_numpy()
        if empty.any():
            raise InputError(f"{self.place(int(empty.argmax()), column)} is empty")
        return cells.to_numpy(dtype=object)


def _not_bool(cell: object) -> object:
    # pandas reads True as a number; in a table of states it is a mistake.
    return str(cell) if isinstance(cell, bool) else cell


def first_line(path: Path) -> str:
    """The first line of a text file; InputError if there is no such file or nothing in it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(10_000_000)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the name and the folder") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it in UTF-8") from error
    if not first.strip():
        empty = path.stat().st_size == 0
        raise InputError(f"{path} is empty" if empty else f"{path} has nothing in row 1")
    if "\0" in first:
        raise InputError(f"{path} is not a text table; save it as text in UTF-8")
    return first


def header_cells(first: str) -> tuple[list[str], str]:
    """The cells of the first line, and the separator: a comma, semicolon or tab."""
    separator = max(",;\t", key=first.count)
    csv.field_size_limit(max(csv.field_size_limit(), len(first)))
    return [name.strip() for name in next(csv.reader([first], delimiter=separator))], separator


def check_header(path: Path, header: list[str], first_may_be_empty: bool = False) -> None:
    """Raise InputError for a column without a name, and for a name that stands twice."""
    start = int(first_may_be_empty)
    if "" in header[start:]:
        raise InputError(
            f"{path}: column {header.index('', start) + 1} of the header has no name; name or drop it"
        )
    repeated = first_repeat(header)
    if repeated is not None:
        raise InputError(f"{path}: the header has the column {repeated!r} twice; keep one of them")
