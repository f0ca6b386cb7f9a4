"""Ctrl-C and SIGTERM at any moment: exit code 130, soon, nothing half written, and it can go on."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

from robust.command import Command, run
from robust.files import not_whole, told
from robust.problems import Problem
from robust.table import Row

# Seconds from the signal to the end; on a busy machine those of the processor count.
_SOON = 1.0


def rows(folder: Path, seed: int, moments: int = 6) -> Iterator[Row]:
    """Signals at moments spread over a run, the first and the last part of it included."""
    problem = Problem(folder)
    for name, words, more in (
        ("discover", problem.discover, ()),
        ("train", problem.train, ("--epochs", "4000")),
        ("train, no checkpoint yet", problem.train, ("--epochs", "4000", "--fresh")),
        ("cross-validate", problem.cross_validate, ()),
        ("self-prune", problem.self_prune, ()),
        ("simulate", problem.simulate, ()),
    ):
        r = random.Random(f"{name} {seed}")
        fresh = folder / f"{name}-whole.csv" if name == "simulate" else folder / f"{name}-whole"
        reference = run(words(fresh, *more))
        for number in range(moments):
            part = (number + r.random()) / moments
            which = (signal.SIGINT, signal.SIGTERM)[number % 2]
            out = folder / f"{name}-{number}{'.csv' if name == 'simulate' else ''}"
            command = Command(words(out, *more))
            command.wait_for(lambda: False, part * reference.seconds)
            yield _judged(command, which, name, part, out)
    out = folder / "prune-again"
    words_again = problem.self_prune(out)
    command = Command(words_again)
    command.wait_for(lambda: (out / "records.jsonl").exists())
    command.end_by(signal.SIGINT)
    again = run(words_again)
    good = again.code == 0 and not not_whole(out)
    yield Row(
        "signal",
        "self-prune: interrupted, then run again",
        "exit code 0",
        f"exit code {again.code}",
        good,
    )


def _judged(command: Command, which: signal.Signals, name: str, part: float, out: Path) -> Row:
    ended = command.end_by(which)
    what = f"{name}: {which.name} at {100 * part:.0f} % of the time"
    expected = f"130 within {_SOON:g} s, files whole"
    faults = not_whole(out) if out.is_dir() else {}
    if ended.waited == 0:
        return Row("signal", what, expected, f"had ended with {ended.code}", ended.code == 0)
    soon = min(ended.waited, ended.worked) <= _SOON
    silent = "Traceback" not in ended.text and "fault of jaxllc" not in ended.text
    seen = f"{ended.code} after {ended.waited:.2f} s ({ended.worked:.2f} s of the processor)"
    good = ended.code in (130, 0) and soon and silent and not faults
    return Row("signal", what, expected, f"{seen} {told(faults)}".strip(), good)
