"""A run of cases of one reader in this process, and in a process of its own that may die."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fuzzing import archives, discover_objects, large, laws, objects, signaling, tables
from fuzzing.judge import (
    MOST_MEGABYTES,
    Failure,
    judged,
    peak_megabytes,
    strict_process,
)
from fuzzing.minimise import smallest
from fuzzing.reader import Case, Reader, Readers

READERS = Readers()
for _module in (tables, signaling, laws, archives, objects, discover_objects, large):
    READERS.update(_module.READERS)

_MINIMISED = 12  # kinds of failures of a run whose cases are made small


class Found(NamedTuple):
    """A failure, the number of its case, how small it could be made, and whether it is the first such."""

    failure: Failure
    number: int
    case: Case | None


def case_of(reader: Reader, seed: int, number: int) -> Case:
    """The case of a number: the same whenever and wherever it is made."""
    return reader.make(Random(f"{reader.name} {seed} {number}"))


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder for the files of the cases, in memory where there is such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="jaxllc_fuzz_", dir=memory if memory.is_dir() else None
    ) as folder:
        yield Path(folder)


class Run:
    """Cases of one reader, one after the other."""

    def __init__(self, reader: Reader, seed: int):
        self.reader, self.seed = reader, seed
        self.cases = self.accepted = 0
        self.seconds = self.slowest = 0.0
        self.found: list[Found] = []
        self._known: set[tuple[str, str]] = set()

    def warm_up(self, folder: Path) -> None:
        """Import what reading needs, so that it counts for no case."""
        for number in range(1, min(9, 1 + self.reader.cases // 10)):
            try:
                judged(self.reader, case_of(self.reader, self.seed, -number), folder)
            except Exception:
                continue

    def one(self, number: int, folder: Path) -> None:
        """Judge a case; the first of each kind of failure is made small."""
        case = case_of(self.reader, self.seed, number)
        verdict = judged(self.reader, case, folder)
        self.cases += 1
        self.accepted += verdict.accepted
        self.seconds += verdict.seconds
        self.slowest = max(self.slowest, verdict.seconds)
        if verdict.failure is None:
            return
        kind = verdict.failure[:2]
        first = kind not in self._known
        self._known.add(kind)
        if first and len(self._known) <= _MINIMISED and verdict.seconds < 1:
            case = smallest(case, lambda c: self._fails_alike(c, kind, folder))
        self.found.append(Found(verdict.failure, number, case if first else None))

    def _fails_alike(self, case: Case, kind: tuple[str, str], folder: Path) -> bool:
        failure = judged(self.reader, case, folder).failure
        return failure is not None and failure[:2] == kind

    def counts(self) -> dict[str, Any]:
        """What was done so far."""
        return {
            "cases": self.cases,
            "accepted": self.accepted,
            "seconds": self.seconds,
            "slowest": self.slowest,
            "megabytes": peak_megabytes(),
        }


def work(name: str, seed: int, start: int, stop: int, end: float, at: Any, pipe: Any) -> None:
    """Cases start to stop of a reader, until the time `end`; meant for a process of its own.

    at: a shared number that tells which case is in work. pipe: gets each failure, counts at times, and at
    last "done".
    """
    reader = READERS[name]
    run, told = Run(reader, seed), 0.0
    with work_folder() as folder, strict_process():
        run.warm_up(folder)
        limit_memory()
        for number in range(start, stop):
            at.value = number
            run.one(number, folder)
            now = time.monotonic()
            if run.found or now - told > 1:
                pipe.send((number, run.found, run.counts()))
                run.found, told = [], now
            if now > end or peak_megabytes() > MOST_MEGABYTES:
                break
        pipe.send((number, run.found, run.counts()))
    pipe.send("done")


def limit_memory() -> None:
    """No more address space than is in use, and a little over what a case may take."""
    status = Path("/proc/self/status")
    if not status.exists():
        return
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    used = int(lines["VmSize"].split()[0]) * 1024
    most = used + MOST_MEGABYTES * 1_300_000
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
