"""The rows of the table: what was tried, what is right, what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Row(NamedTuple):
    """One situation."""

    part: str
    what: str
    expected: str
    seen: str
    ok: bool


Part = Callable[..., Iterator[Row]]


def text(row: Row) -> str:
    """A row in print."""
    return (
        f"{'ok  ' if row.ok else 'FAIL'} {row.part:7s} {row.what:52s} | {row.expected} | {row.seen}"
    )
