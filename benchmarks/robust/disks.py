"""Disks that are full, small, read-only or shared with another run."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from robust.command import Command, Ended, run
from robust.files import not_whole, told
from robust.problems import Problem
from robust.table import Row

_SENTENCE = "exit code 2 and a sentence, nothing half written"


def rows(folder: Path, seed: int) -> Iterator[Row]:
    """A row for each kind of disk and command."""
    problem = Problem(folder)
    for size in (1000, 40_000):
        for name, words in (("discover", problem.discover), ("train", problem.train)):
            out = folder / f"limit-{size}-{name}"
            ended = run(words(out), before=_largest_file(size))
            yield _refused(f"{name}: no file over {size} bytes", ended, out)
    yield from _small_disks(folder, problem)
    out = problem.states
    yield _refused("discover: --out is a file", run(problem.discover(out)), folder / "none")
    below = problem.states / "below"
    yield _refused("discover: --out below a file", run(problem.discover(below)), folder / "none")
    out = folder / "few-files"
    ended = run(problem.train(out, "--epochs", "60"), before=_few_files)
    row = _refused("train: 12 open files", ended, out)
    yield row._replace(
        expected=f"it works, or {_SENTENCE}", ok=row.ok or (ended.code == 0 and not not_whole(out))
    )
    for name, words in (
        ("discover", problem.discover),
        ("train", problem.train),
        ("self-prune", problem.self_prune),
    ):
        yield _two_at_once(name, words, folder / f"two-{name}")


def _small_disks(folder: Path, problem: Problem) -> Iterator[Row]:
    cases = (
        ("discover", problem.discover, "16k"),
        ("discover", problem.discover, "200k"),
        ("train", problem.train, "64k"),
        ("self-prune", problem.self_prune, "12k"),
        ("simulate", problem.simulate, "4k"),
    )
    for name, words, size in cases:
        with _small_disk(folder / f"disk-{name}-{size}", size) as disk:
            if disk is None:
                yield Row(
                    "disk",
                    f"{name}: a disk of {size}",
                    _SENTENCE,
                    "not tried: mount is not allowed",
                    True,
                )
                continue
            out = disk / "far.csv" if name == "simulate" else disk
            more = ("--times", "0:1:2000") if name == "simulate" else ()
            yield _refused(f"{name}: a disk of {size}", run(words(out, *more)), disk)
    with _small_disk(folder / "read-only", "1m") as disk:
        if disk is not None:
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            for name, words in (("discover", problem.discover), ("train", problem.train)):
                yield _refused(f"{name}: a read-only disk", run(words(disk)), disk)
                yield _refused(f"{name}: a new folder on it", run(words(disk / "x/y")), disk)


@contextmanager
def _small_disk(path: Path, size: str) -> Iterator[Path | None]:
    """A file system in memory, unmounted at the end; None where that is not allowed."""
    path.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=False)


def _largest_file(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))


def _refused(what: str, ended: Ended, folder: Path) -> Row:
    faults = not_whole(folder)
    seen = f"exit code {ended.code}: {ended.last[-150:]}"
    return Row(
        "disk", what, _SENTENCE, f"{seen} {told(faults)}".strip(), ended.is_sentence and not faults
    )


def _two_at_once(name: str, words: Callable[..., list[object]], out: Path) -> Row:
    """The second run is refused, or waits; the first is whole."""
    commands = [Command(words(out)) for _ in range(2)]
    ends = [command.wait() for command in commands]
    codes = sorted(-1 if ended.code is None else ended.code for ended in ends)
    faults = not_whole(out)
    refused = [ended.last[-120:] for ended in ends if ended.code]
    good = codes == [0, 2] and not faults and all(e.is_sentence for e in ends if e.code)
    seen = f"exit codes {codes} {' '.join(refused)} {told(faults)}".strip()
    return Row(
        "disk", f"{name}: two runs in one folder", "one is refused, the other whole", seen, good
    )


def is_root() -> bool:
    """Whether devices and mounts can be made."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
