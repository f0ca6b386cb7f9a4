"""Files of JSON lines that are only ever appended to, so that a run that is killed loses no earlier row."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from jaxllc.errors import InputError
from jaxllc.files.output_file import output_file, put_names_on_disk
from jaxllc.files.output_lock import lock_of, locked

Row = TypeVar("Row")

_HEX = "[0-9a-f]"


@contextmanager
def locked_rows(path: str | os.PathLike | None) -> Iterator[None]:
    """A file of rows for one run alone, for the block; raises InputError where another run appends to it."""
    if path is None or not Path(path).parent.is_dir():
        yield
        return
    mend = "wait for its end, stop it, or choose another file"
    with locked(lock_of(path), f"the file {path}", mend):
        yield


def append_lines(path: Path, lines: Sequence[str]) -> None:
    """Append lines in one writing; when this returns they are on the disk, or, where it raises, not there."""
    try:
        is_new = not path.exists()
        with path.open("ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                _write_all(file.fileno(), "".join(f"{line}\n" for line in lines).encode())
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)  # no half row for the next one to run into
                raise
        if is_new:
            put_names_on_disk(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def read_rows(
    path: Path,
    row_of: Callable[[int, bytes], Row],
    what: str,
    first_field: str,
    repair: bool = True,
) -> list[Row]:
    """The rows of a file, none if it does not exist.

    row_of: from the number of a line, from 1, and the line to its row. what: what the file holds, for errors.
    first_field: the field that every row begins with; its value is a hash.
    A last line that was cut off while being written is dropped, from the file as well if `repair`, but only
    once all other lines are seen to be those of such a file and it begins as they do. Any other file is
    refused as it is.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is no plain file; choose another place for {what}")
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    whole = content[: content.rfind(b"\n") + 1]
    rows = [row_of(number, line) for number, line in enumerate(whole.split(b"\n")[:-1], start=1)]
    last = content[len(whole) :]
    if last:
        if not _begins_as_a_row(last, first_field):
            raise InputError(
                f"{path} is not a file of {what}: row {len(rows) + 1} has no end and does not begin as they "
                "do; choose another file"
            )
        if repair:
            with output_file(path) as temporary:
                temporary.write_bytes(whole)
    return rows


def _begins_as_a_row(line: bytes, first_field: str) -> bool:
    """Whether a line may be the beginning of a row: the name of its first field, and then a hash."""
    text = line.decode(errors="replace")
    head = f'{{"{first_field}": "'
    if len(text) <= len(head):
        return head.startswith(text)
    return text.startswith(head) and bool(
        re.match(rf'{_HEX}{{64}}"|{_HEX}{{1,64}}$', text[len(head) :])
    )
