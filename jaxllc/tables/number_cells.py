"""Cells of a table as numbers: missing values, decimal commas, and why a cell is no number.

Float() of Python reads every number back exactly. A comma is a decimal comma where that is certain in the
table as a whole; 1,234 alone may be either, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from jaxllc.errors import quoted

MISSING = frozenset(
    [
        "",
        "NA",
        "N/A",
        "NaN",
        "nan",
        "NAN",
        "-nan",
        "null",
        "NULL",
        "None",
        "<NA>",
        "n/a",
        "#N/A",
        "#NA",
    ]
)
_PLAIN = (int, float, type(None), np.float64, np.int64)
_DECIMAL_COMMA = re.compile(r"[+\-−]?(\d+,\d*|,\d+)([eE][+-]?\d+)?\Z")
_MAY_BE_THOUSANDS = re.compile(r"[+\-−]?[1-9]\d{0,2},\d{3}\Z")
_THOUSANDS = re.compile(
    r"[+\-−]?([1-9]\d{0,2}(,\d{3})+(\.\d*)?|[1-9]\d{0,2}(\.\d{3})+(,\d*)?|[1-9]\d{0,2}(['’\u00a0\u202f "
    r"]\d{3})+([.,]\d*)?)\Z"
)
_DATE = re.compile(r"\d{1,4}([./-])\s?\d{1,2}\1\s?\d{1,4}\b")


def floats(cells: Sequence[object], decimal_comma: bool = False) -> np.ndarray | None:
    """Cells, text or numbers, as float64, nan where they are missing; None where one is no number."""
    # NumPy reads a whole column at once, but takes for a number what nobody meant as one.
    if all("_" not in c if isinstance(c, str) else type(c) in _PLAIN for c in cells):
        try:
            return np.array(cells, dtype=np.float64)
        except (ValueError, OverflowError):
            pass  # cell by cell
    numbers = [number(cell, decimal_comma) for cell in cells]
    if None in numbers:
        return None
    return np.array(numbers, dtype=np.float64)


def number(cell: object, decimal_comma: bool = False) -> float | None:
    """One cell as a number, nan where it is missing, None where it is none."""
    if isinstance(cell, str):
        text = cell.strip()
        if text in MISSING:
            return np.nan
        text = text.replace("−", "-")
        if decimal_comma:
            text = text.replace(",", ".")
        if "_" in text:
            return None
        cell = text
    elif isinstance(cell, bool | np.bool_) or getattr(cell, "ndim", 0) > 0:
        return None
    elif cell is None or cell is np.ma.masked or type(cell).__name__ in ("NAType", "NaTType"):
        return np.nan
    try:
        return float(cell)  # type: ignore[arg-type]
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return None


def has_decimal_commas(cells: Iterable[str]) -> bool:
    """Whether all cells are numbers if commas are decimal commas, and some comma can be nothing else."""
    certain = False
    for cell in cells:
        text = cell.strip()
        if text in MISSING:
            continue
        if "," in text:
            if not _DECIMAL_COMMA.match(text):
                return False
            certain = certain or not _MAY_BE_THOUSANDS.match(text)
        elif "." in text or number(text) is None:
            return False
    return certain


def culprit(cells: Sequence[object], decimal_comma: bool = False) -> int | None:
    """The cell that keeps a column from being numbers: the first that is none, decimal commas last."""
    bad = [n for n, cell in enumerate(cells) if number(cell, decimal_comma) is None]
    worse = (n for n in bad if not _DECIMAL_COMMA.match(str(cells[n]).strip()))
    return next(worse, bad[0] if bad else None)


def why_no_number(cell: object) -> str:
    """What is wrong with a cell that is no number, and the mend, as a clause."""
    said = quoted(cell, 60)
    text = cell.strip() if isinstance(cell, str) else ""
    if _MAY_BE_THOUSANDS.match(text):
        return (
            f"{said} may be {text.replace(',', '.')} or {text.replace(',', '')}; write the decimals "
            "with a point and no separator of thousands"
        )
    if _THOUSANDS.match(text):
        return f"{said} has separators of thousands; write the number without them"
    if _DECIMAL_COMMA.match(text):
        return (
            f"{said} is not a number: it has a decimal comma, while other cells have a point or are no "
            "numbers; write all decimals alike"
        )
    if re.match(r"[+\-−]?[\d.,]+\s*%\Z", text):
        return f"{said} has a percent sign; write the number without it, in all cells of a column"
    if _DATE.match(text):
        return f"{said} is a date, not a number"
    mend = "" if re.search(r"\w", text) else "; leave the cell empty if it was not observed"
    return f"{said} is not a number{mend}"
