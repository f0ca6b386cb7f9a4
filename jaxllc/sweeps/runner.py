"""sweep(): a function over the points of a grid, a row of the records for each, what is done not again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxllc.errors import InputError, check_integer
from jaxllc.sweeps.devices import device_name, members_within
from jaxllc.sweeps.grids import Grid, Point, key_of
from jaxllc.sweeps.records import (
    DIVERGED,
    DONE,
    FAILED,
    Records,
    Row,
    check_names,
    fingerprint_of,
    versions,
)

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run came to, where its metrics alone do not say it.

    metrics: numbers, text or lists by name. status: "done", or "diverged" with a sentence in `note`.
    settings: everything that the run was told, as plain data.
    """

    metrics: Mapping[str, Any]
    status: str = DONE
    note: str = ""
    settings: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.status not in (DONE, DIVERGED):
            raise InputError(
                f"status is {self.status!r}, but it must be {DONE!r} or {DIVERGED!r}; raise an exception "
                "for a run that failed"
            )


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """A sweep, and whether it came to its end.

    grid: its points. table: DataFrame, a row per run in the order of the grid: the fields of its point,
    status, note, metrics, seconds. finished: whether every point has a row. seconds: time spent now,
    without the runs that were done before.
    """

    grid: Grid
    table: pd.DataFrame
    finished: bool
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def summary(self) -> str:
        """A few lines: how many runs are done, diverged and failed, and what to mind."""
        counts = self.table["status"].value_counts()
        parts = [f"{counts.get(name, 0)} {name}" for name in (DONE, DIVERGED, FAILED)]
        head = (
            f"{len(self.table)} of {len(self.grid)} runs: {', '.join(parts)}; {self.seconds:.1f} s"
        )
        return "\n".join([head, *self.notes])

    def __repr__(self) -> str:
        return f"SweepResult({self.summary().splitlines()[0]})"


def sweep(
    function: Callable[[Any], Any],
    grid: Grid,
    *,
    records: str | os.PathLike | None = None,
    study: Any = None,
    together: int | Callable[[Point], int] | None = None,
    memory: float | None = None,
    bytes_per_member: float | None = None,
    group: Callable[[Point], Hashable] | None = None,
    identity: Callable[[Point], Any] | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Run a function once for every point of a grid, and keep what it gives in records.

    function: from a point, a dict, to a dict of metrics or an Outcome. With `together`, or `memory` and
    `bytes_per_member` in its place, it is a batched function: from a list of at most so many points to a
    list with a dict, an Outcome or an exception for each. An exception is a row that says so; if a batched
    function raises one, the halves of its points are tried on their own. records: a file of JSON lines,
    appended to after each chunk; what it holds as done or diverged is not run again, what failed is. study:
    plain data that tell this study from others, such as a hash of the data; with the name of the function
    they make the fingerprint in the records. memory: bytes that a chunk may take. group: from a point to a
    hashable value; only points of equal values share a chunk, and `together` may be a function from the
    first point of such a group to its number. identity: from a point to plain data that tell what its
    values stand for, such as a hash of the network that it names; a record of other data is refused.
    progress: called with runs done, runs in all and what was done.

    An interrupt ends early: the rows so far are returned, with `finished` False.

    Raises InputError for records of another study, a metric with the name of another column, and a batched
    function that does not give one result for each point.

    Example:
        def recovered(point):
            law = jaxllc.discover(data, network, seed=point["seed"], max_terms=point["terms"])
            return {"terms": len(law.constants), "equation": str(law.equations["x"].self_term)}

        jaxllc.sweeps.sweep(recovered, grid(seed=range(10), terms=[2, 3]), records="laws.jsonl").table
    """
    if not isinstance(grid, Grid):
        raise InputError(f"grid is {grid!r:.60}; make one by grid, zipped, points or random_draws")
    size = _chunk_size(together, memory, bytes_per_member)
    identities = {
        key_of(point): None if identity is None else fingerprint_of(identity(point))
        for point in grid
    }
    kept = Records(records, fingerprint_of(name_of(function), study), identities)
    batched = function if size is not None else lambda chunk: [function(chunk[0])]
    start = time.perf_counter()
    finished = True
    total = len(grid)
    done = sum(kept.is_done(key) for key in identities)
    try:
        if progress is not None and done:
            progress(done, total, f"{done} of {total} runs were done before")
        for chunk in _chunks(grid, kept, size or (lambda _: 1), group):
            began = time.perf_counter()
            outcomes = _outcomes(batched, chunk)
            seconds = (time.perf_counter() - began) / len(chunk)
            rows = [_row(p, o, seconds) for p, o in zip(chunk, outcomes, strict=True)]
            kept.add(rows)
            done += len(chunk)
            if progress is not None:
                progress(done, total, _said(rows))
    except KeyboardInterrupt:
        finished = False
    table = kept.table(grid)
    return SweepResult(
        grid, table, finished, time.perf_counter() - start, _notes(table, total, finished)
    )


def _chunk_size(
    together: int | Callable[[Point], int] | None,
    memory: float | None,
    bytes_per_member: float | None,
) -> Callable[[Point], int] | None:
    """From the first point of a group to the points in a call, None for a function of one point."""
    if callable(together):
        return together
    if together is not None:
        check_integer("together", together, 1, "the points that the function takes at once")
        count = int(together)
        return lambda _: count
    if (memory is None) != (bytes_per_member is None):
        raise InputError("memory and bytes_per_member need each other; give both, or together")
    if memory is None or bytes_per_member is None:
        return None
    within = members_within(memory, bytes_per_member)
    return lambda _: within


def _chunks(
    grid: Grid,
    kept: Records,
    size: Callable[[Point], int],
    group: Callable[[Point], Hashable] | None,
) -> Iterator[list[Point]]:
    groups: dict[Hashable, list[Point]] = {}
    for point in grid:
        if not kept.is_done(key_of(point)):
            groups.setdefault(None if group is None else group(point), []).append(point)
    for points in groups.values():
        count = size(points[0])
        for first in range(0, len(points), count):
            yield points[first : first + count]


def _outcomes(function: Callable[[list[Point]], Any], chunk: list[Point]) -> list[Any]:
    """What became of each point of a chunk: a mapping, an Outcome or an exception."""
    try:
        found = function([dict(point) for point in chunk])
    except Exception as error:
        if len(chunk) == 1:
            return [error]
        half = len(chunk) // 2
        return [*_outcomes(function, chunk[:half]), *_outcomes(function, chunk[half:])]
    if not isinstance(found, Sequence) or len(found) != len(chunk):
        said = f"{len(found)} results" if isinstance(found, Sequence) else f"{found!r:.40}"
        raise InputError(
            f"the function gave {said} for {len(chunk)} points; give a list with one result for each"
        )
    return list(found)


def _row(point: Point, outcome: Any, seconds: float) -> Row:
    status, note, metrics, settings = DONE, "", outcome, None
    if isinstance(outcome, Exception):
        status, note, metrics = FAILED, sentence_of(outcome), {}
    elif isinstance(outcome, Outcome):
        status, note = outcome.status, outcome.note
        metrics, settings = outcome.metrics, outcome.settings
    elif not isinstance(outcome, Mapping):
        raise InputError(
            f"the function gave {outcome!r:.40} for the point {key_of(point)}; give a dict of metrics"
        )
    check_names(point, metrics)
    return {
        "point": point,
        "seed": point.get("seed"),
        "status": status,
        "note": note,
        "metrics": dict(metrics),
        "settings": None if settings is None else dict(settings),
        "seconds": seconds,
        "device": device_name(),
        "versions": versions(),
    }


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called, or what it is an instance of."""
    return getattr(function, "__qualname__", type(function).__qualname__)


def sentence_of(error: Exception) -> str:
    """The kind of an exception and the first line of what it says."""
    lines = str(error).strip().splitlines()
    kind = type(error).__name__
    return f"{kind}: {lines[0]}" if lines else kind


def _said(rows: Sequence[Row]) -> str:
    """What a chunk came to, for a line of progress."""
    last = ", ".join(f"{name} {value}" for name, value in rows[-1]["point"].items())
    bad = sum(row["status"] != DONE for row in rows)
    return f"{last}; {bad} of {len(rows)} diverged or failed" if bad else last


def _notes(table: pd.DataFrame, total: int, finished: bool) -> tuple[str, ...]:
    notes = []
    if not finished:
        notes.append(
            f"interrupted with {total - len(table)} runs left; the same call with the same records goes on"
        )
    for status, mend in ((DIVERGED, ""), (FAILED, "; the same call tries them again")):
        bad = table[table["status"] == status]
        if len(bad):
            notes.append(
                f"{len(bad)} of {len(table)} runs {status}, the first: {bad['note'].iloc[0]}{mend}"
            )
    return tuple(notes)
