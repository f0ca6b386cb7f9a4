"""Files of JSON lines that are only ever appended to, so that a run that is killed loses no earlier row."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from jaxllc.errors import InputError
from jaxllc.output_file import output_file

Row = TypeVar("Row")


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Append lines in one writing; when this returns they are on the disk."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def read_rows(
    path: Path, row_of: Callable[[int, bytes], Row], what: str, repair: bool = True
) -> list[Row]:
    """The rows of a file, none if it does not exist.

    row_of: from the number of a line, from 1, and the line to its row. what: what the file holds, for errors.
    A last line that was cut off while being written is dropped, from the file as well if `repair`, but only
    once all other lines are seen to be those of such a file.
    """
    if not path.exists():
        return []
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    whole = content[: content.rfind(b"\n") + 1]
    rows = [row_of(number, line) for number, line in enumerate(whole.splitlines(), start=1)]
    if len(whole) < len(content):
        if not rows and not content.lstrip().startswith(b"{"):
            raise InputError(f"{path} is not a file of {what}; choose another file")
        if repair:
            with output_file(path) as temporary:
                temporary.write_bytes(whole)
    return rows
