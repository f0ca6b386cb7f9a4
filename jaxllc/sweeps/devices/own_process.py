"""Chunks of a sweep in the process that began it; in another one from the first that stands still on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain

from jaxllc.errors import InputError
from jaxllc.running.waiting import StalledError
from jaxllc.sweeps.devices.fresh_process import FreshProcess, fresh_process
from jaxllc.sweeps.grids import Point
from jaxllc.sweeps.records import Row
from jaxllc.sweeps.work import Work


@dataclass(frozen=True)
class OwnProcess:
    """Runs `Work` one chunk after the other, as the `Workers` of a cluster do side by side."""

    work: Work

    def sizes(self, points: Sequence[Point]) -> Iterable[int]:
        """The points in a chunk, for the first point of each group."""
        return map(self.work.size, points)

    def ended(
        self, chunks: Iterable[list[Point]], say: Callable[[str], None]
    ) -> Iterator[list[Row]]:
        """The rows of each chunk, as it ends; from one that stands still on, by another process."""
        waiting = iter(chunks)
        for chunk in waiting:
            try:
                rows = self.work.rows(chunk)
            except StalledError as error:
                say(f"{error}; this chunk and those after it run on one device, in another process")
                yield from self._elsewhere([chunk], waiting, error)
            else:
                yield rows

    def _elsewhere(
        self, first: list[list[Point]], rest: Iterable[list[Point]], error: StalledError
    ) -> Iterator[list[Row]]:
        """The rows of chunks by a process with one device; failed ones where it cannot run them."""
        with ExitStack() as stack:
            process: FreshProcess | None = None
            for chunk in chain(first, rest):
                try:
                    process = process or stack.enter_context(fresh_process(self.work))
                    rows = process.rows(chunk)
                except (RuntimeError, InputError) as other:
                    rows = self.work.failed(chunk, StalledError(f"{error}; {other}"))
                yield [{**row, "stalled": str(error)} for row in rows]
