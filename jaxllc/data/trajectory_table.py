"""One run out of a table in memory: time in a column or in the index, nodes and variables in the columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jaxllc.data.states_table import Run, read_runs
from jaxllc.data.trajectory_input import TIMES
from jaxllc.errors import InputError
from jaxllc.tables.real_numbers import is_frame
from jaxllc.tables.sample_times import sample_times


def run_of(frame: Any, kind: type[Run]) -> Run:
    """The run that a table holds; see `Trajectories.from_frame`."""
    if not is_frame(frame):
        raise InputError(f"frame must be a pandas DataFrame, not {type(frame).__name__}")
    frame = _one_level(_with_time_column(frame))
    place = next(n for n, name in enumerate(frame.columns) if str(name).lower() in TIMES)
    counted = sample_times(frame.iloc[:, place], "the time")
    if counted.unit:
        frame = frame.copy()
        frame.isetitem(place, counted.times)
    runs = read_runs(frame, 1, kind)
    if len(runs) != 1:
        raise InputError(
            f"the table holds {len(runs)} runs; jaxllc.read_states() gives a list of them all"
        )
    if not counted.unit:
        return runs[0]
    run: Any = runs[0]
    return replace(run, notes=(*run.notes, *counted.notes), time_unit=counted.unit)


def _with_time_column(frame: Any) -> Any:
    """The table with its time as a column; the index is one where so called, or where it holds no count."""
    names = [name[0] if isinstance(name, tuple) else name for name in frame.columns]
    if any(str(name).lower() in TIMES for name in names):
        return frame
    index = frame.index
    counts = getattr(index.dtype, "kind", "O") in "iu" and list(index) == list(range(len(index)))
    called = str(index.name or "").lower() in TIMES
    if (
        getattr(index, "nlevels", 1) > 1
        or (counts and not called)
        or index.dtype.kind not in "iufmM"
    ):
        raise InputError(
            "the table has neither a column 'time' nor an index that could be the times; name the column "
            "that holds them time"
        )
    frame = frame.copy()
    label: Any = ("time", *[""] * (frame.columns.nlevels - 1))
    frame.insert(0, label if frame.columns.nlevels > 1 else "time", index.to_numpy())
    return frame.reset_index(drop=True)


def _one_level(frame: Any) -> Any:
    """Columns of two levels (node, variable) as "node.variable"."""
    if frame.columns.nlevels == 1:
        return frame
    if frame.columns.nlevels > 2:
        raise InputError(
            f"the columns have {frame.columns.nlevels} levels; give two, (node, variable)"
        )
    flat = [
        str(node) if str(node).lower() in TIMES else f"{node}.{variable}"
        for node, variable in frame.columns
    ]
    frame = frame.copy()
    frame.columns = flat
    return frame
