"""One reader under test: how its inputs are made, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

CHEAP, DEAR = 100_000, 10_000

# Inputs of one call by name: bytes are written to a file of that name, anything else is given as it is.
Case = Mapping[str, Any]


class Reader(NamedTuple):
    """make: a case from a seeded random source. read: reads it; what it returns, if anything, is a complaint.

    read gets paths for bytes. cases: how many a full run tries.
    """

    name: str
    make: Callable[[Random], Case]
    read: Callable[[Any], str | None]
    cases: int = CHEAP


class Readers(dict[str, Reader]):
    """Readers by name, collected by `add`."""

    def add(
        self, make: Callable[[Random], Case], cases: int = CHEAP
    ) -> Callable[[Callable[[Any], str | None]], Callable[[Any], str | None]]:
        """Take a function as the reader of its name."""

        def added(read: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
            name = read.__name__.strip("_")
            self[name] = Reader(name, make, read, cases)
            return read

        return added


def written(case: Case, folder: Path) -> dict[str, Any]:
    """The case with its bytes in files of a folder."""
    given = {}
    for name, value in case.items():
        if isinstance(value, bytes):
            path = folder / name
            with open(path, "wb") as file:
                file.write(value)
            value = path
        given[name] = value
    return given
