"""Tables that leave no doubt, read cell by cell: what a reader accepts must be this."""

from __future__ import annotations

import csv
import re
from pathlib import Path

_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?(e-?[0-9]{1,2})?", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,8}", re.ASCII)


def plain_columns(path: Path) -> dict[str, list[str]] | None:
    """The columns of a table with plain distinct names and rows of one length, or None."""
    try:
        text = path.read_bytes().decode("ascii")
    except UnicodeDecodeError:
        return None
    if re.search(r'["\r\0-\x08\x0b\x0c\x1c-\x1f]|\A\n|\n\n', text):
        return None
    separators = [s for s in ",;\t" if s in text]
    if len(separators) != 1 or " " in text:
        return None
    rows = list(csv.reader(text.splitlines(), delimiter=separators[0]))
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return None
    header = rows[0]
    lower = [name.lower() for name in header]
    if len(set(lower)) < len(lower) or not all(_NAME.fullmatch(name) for name in header):
        return None
    return dict(zip(header, (list(c) for c in zip(*rows[1:], strict=True)), strict=True))


def numbers(cells: list[str]) -> list[float] | None:
    """The numbers in these cells, or None where one leaves a doubt."""
    if not all(_NUMBER.fullmatch(cell) for cell in cells):
        return None
    return [float(cell) for cell in cells]


def names(cells: list[str]) -> list[str] | None:
    """The names in these cells, or None where one leaves a doubt."""
    return cells if all(_NAME.fullmatch(cell) for cell in cells) else None
