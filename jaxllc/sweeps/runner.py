"""sweep(): a function over the points of a grid, a row of the records for each, what is done not again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxllc.errors import InputError, check_callable, check_integer, check_path, quoted
from jaxllc.files.json_lines import locked_rows
from jaxllc.sweeps.devices.cluster import Workers, check_cluster, workers_on
from jaxllc.sweeps.devices.devices import members_within
from jaxllc.sweeps.devices.own_process import OwnProcess
from jaxllc.sweeps.grids import Grid, GridLike, Point, grid_of, key_of
from jaxllc.sweeps.records import DIVERGED, DONE, FAILED, Records, Row, fingerprint_of
from jaxllc.sweeps.work import Work

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int, str], None]
INTERRUPTED = "interrupted with"  # the begin of a note


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """A sweep, and whether it came to its end.

    grid: its points. table: DataFrame, a row per run in the order of the grid: the fields of its point,
    status, note, metrics, seconds. finished: whether every point has a row. seconds: time spent now,
    without the runs that were done before. notes: what to mind, a sentence each.
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
    grid: GridLike,
    *,
    records: str | os.PathLike | None = None,
    study: Any = None,
    together: int | Callable[[Point], int] | None = None,
    memory: float | None = None,
    bytes_per_member: float | None = None,
    group: Callable[[Point], Hashable] | None = None,
    identity: Callable[[Point], Any] | None = None,
    cluster: Any = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Run a function once for every point of a grid, and keep what it gives in records.

    grid: a Grid, or what `grids.grid_of` makes one of: a mapping from axes to values, or a list of points.
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
    cluster: "local" for a process on each core, "local:4" for four, the address of a Dask scheduler such as
    "tcp://host:8786", or a distributed.Client: the same chunks are run by its workers, and those of a worker
    that dies by others; see `jaxllc.sweeps.devices.cluster`. A function `together` is asked on a worker.
    progress: called with runs done, runs in all and what was done.

    An interrupt ends early: the rows so far are returned, with `finished` False.

    Raises InputError for records of another study, a metric with the name of another column, a batched
    function that does not give one result for each point, and a cluster that is not there.

    Example:
        >>> def squared(point):
        ...     return {"square": point["x"] ** 2}
        >>> sweep(squared, grid(x=[1, 2, 3])).table["square"].tolist()
        [1, 4, 9]
    """
    grid = grid_of(grid)
    for name, one, takes in (
        ("function", function, "a point, a dict"),
        ("group", group, "a point"),
        ("identity", identity, "a point"),
        ("progress", progress, "runs done, runs in all and what was done"),
    ):
        check_callable(name, one, takes)
    if function is None:
        raise InputError("function is None; give a function that takes a point, a dict")
    if records is not None:
        check_path("records", records)
    if cluster is not None:
        check_cluster(cluster)
    size = _chunk_size(together, memory, bytes_per_member)
    identities = {
        key_of(point): None if identity is None else fingerprint_of(identity(point))
        for point in grid
    }
    with locked_rows(records):
        kept = Records(records, fingerprint_of(name_of(function), study), identities)
        one_by_one = Work(lambda chunk: [function(chunk[0])], lambda _: 1)
        work = one_by_one if size is None else Work(function, size)
        start = time.perf_counter()
        finished = True
        total = len(grid)
        left = [point for point in grid if not kept.is_done(key_of(point))]
        done = total - len(left)

        def say(what: str) -> None:
            if progress is not None:
                progress(done, total, what)

        try:
            if done:
                say(f"{done} of {total} runs were done before")
            # Without a run left no workers are started.
            away = cluster is not None and left
            with (
                workers_on(cluster, work, len(left))
                if away
                else nullcontext(OwnProcess(work)) as place
            ):
                for rows in place.ended(_chunks(left, place, group), say):
                    kept.add(rows)
                    done += len(rows)
                    if progress is not None:
                        progress(done, total, _said(rows))
        except KeyboardInterrupt:
            finished = False
    table = kept.table(grid)
    stalled = sum("stalled" in kept.rows.get(key, ()) for key in grid.keys)
    return SweepResult(
        grid, table, finished, time.perf_counter() - start, _notes(table, total, finished, stalled)
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
    left: Sequence[Point],
    place: OwnProcess | Workers,
    group: Callable[[Point], Hashable] | None,
) -> Iterator[list[Point]]:
    groups: dict[Hashable, list[Point]] = {}
    for point in left:
        value = None if group is None else group(point)
        if not isinstance(value, Hashable):
            raise InputError(
                f"group gave {quoted(value, 80)} for the point {key_of(point)}; give text or a number"
            )
        groups.setdefault(value, []).append(point)
    counts = place.sizes([points[0] for points in groups.values()])
    for points, count in zip(groups.values(), counts, strict=True):
        check_integer("what together gave", count, 1)
        for first in range(0, len(points), count):
            yield points[first : first + count]


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called, or what it is an instance of."""
    return getattr(function, "__qualname__", type(function).__qualname__)


def _said(rows: Sequence[Row]) -> str:
    """What a chunk came to, for a line of progress."""
    last = ", ".join(f"{name} {value}" for name, value in rows[-1]["point"].items())
    bad = sum(row["status"] != DONE for row in rows)
    return f"{last}; {bad} of {len(rows)} diverged or failed" if bad else last


def _notes(table: pd.DataFrame, total: int, finished: bool, stalled: int) -> tuple[str, ...]:
    notes = []
    if not finished:
        notes.append(
            f"{INTERRUPTED} {total - len(table)} runs left; the same call with the same records goes on"
        )
    for status, mend in ((DIVERGED, ""), (FAILED, "; the same call tries them again")):
        bad = table[table["status"] == status]
        if len(bad):
            notes.append(
                f"{len(bad)} of {len(table)} runs {status}, the first: {bad['note'].iloc[0]}{mend}"
            )
    if stalled:
        notes.append(
            f"{stalled} of {len(table)} runs came from another process with one device, since the devices of "
            "this one stood still; what else it computes may stand still too, so start it again"
        )
    return tuple(notes)
