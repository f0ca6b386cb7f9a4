"""Killed at a random moment, as by `kill -9`, again and again, then run to the end: the same as without."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from robust.command import Command, run
from robust.files import differences, not_whole, told
from robust.problems import Problem
from robust.table import Row


def rows(folder: Path, seed: int, kills: int = 6) -> Iterator[Row]:
    """A row for each kill and one for each resumed run."""
    problem = Problem(folder)
    for name, words in (
        ("discover", problem.discover),
        ("train", problem.train),
        ("cross-validate", problem.cross_validate),
        ("self-prune", problem.self_prune),
    ):
        yield from _killed(name, words, folder, random.Random(f"{name} {seed}"), kills)


def _killed(
    name: str, words: Callable[..., list[object]], folder: Path, r: random.Random, kills: int
) -> Iterator[Row]:
    whole, cut = folder / f"{name}-whole", folder / f"{name}-killed"
    reference = run(words(whole))
    yield Row(
        "kill",
        f"{name}: not killed",
        "exit code 0",
        f"exit code {reference.code}",
        reference.code == 0,
    )
    for number in range(kills):
        # Half of the kills come just after a file has appeared or changed.
        moment = r.uniform(0, 0.9 * reference.seconds)
        command = Command(words(cut))
        if number % 2:
            before = _stamps(cut)
            command.wait_for(lambda b=before: _stamps(cut) != b)
            command.wait_for(lambda: False, r.choice([0, 0.003, 0.03, 0.3, 1]))
        else:
            command.wait_for(lambda: False, moment)
        ended = command.end_by(signal.SIGKILL)
        faults = {
            k: v for k, v in not_whole(cut).items() if v not in ("temporary", "last row cut off")
        }
        seen = (
            f"killed after {ended.seconds:.1f} s"
            if ended.code == -9
            else f"had ended: {ended.code}"
        )
        yield Row(
            "kill",
            f"{name}: kill {number + 1}",
            "every file whole",
            told(faults) or seen,
            not faults,
        )
        if ended.code == 0:
            break
    start = time.monotonic()
    resumed = run(words(cut))
    seconds = time.monotonic() - start
    other = differences(whole, cut)
    left = not_whole(cut)
    seen = f"exit code {resumed.code}, {seconds:.0f} s, differ: {other or 'nothing'}"
    seen += f", left: {told(left) or 'nothing'}"
    good = resumed.code == 0 and not other and not left
    yield Row(
        "kill", f"{name}: run again to the end", "the same files, nothing left over", seen, good
    )


def _stamps(folder: Path) -> dict[str, int]:
    found = {}
    for path in folder.rglob("*") if folder.exists() else ():
        try:
            found[str(path)] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found
