"""The runs in a table of states, wide or long, in whatever order its rows are.

No row is lost and none is guessed: rows are put in the order of time where that can mean one thing only, and
a time that starts anew begins another run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from jaxllc.errors import InputError, check_integer, listed, quoted
from jaxllc.tables.frame_table import table_of
from jaxllc.tables.row_times import row_times
from jaxllc.tables.states_header import (
    KEYS,
    TIME,
    check_states_header,
    check_wide_columns,
    is_long,
    run_column,
    split_columns,
)
from jaxllc.tables.table import Table

# Cells of the table of all times and nodes that a long table may need, and how many for each of its rows.
_SMALL_ARRAY = 20_000_000
_CELLS_PER_ROW = 20
# Sample times of a run at least, where nothing else is asked.
MINIMUM_TIMES = 5
_SEVERAL = "if they are of several runs or replicates, {}; else merge them"


class Rows(NamedTuple):
    """The rows of one run in the order of time: their numbers, and what the run is called in a sentence."""

    rows: np.ndarray
    name: str = ""


class Runs(Protocol):
    """What is asked of the runs that are made: `Trajectories`."""

    def __init__(self, times: Any, states: Any, variables: Any, **others: Any) -> None: ...
    @property
    def num_times(self) -> int: ...
    @property
    def states(self) -> np.ndarray: ...
    @property
    def observed(self) -> np.ndarray: ...
    @property
    def node_names(self) -> tuple[str, ...]: ...


Run = TypeVar("Run", bound=Runs)


def read_runs(source: Any, minimum_times: int, kind: type[Run]) -> list[Run]:
    """The runs, of a class, in a file or a DataFrame; see `jaxllc.read_states`."""
    check_integer("minimum_times", minimum_times, 0)
    table = table_of(
        source, KEYS, "Trajectories(times, states) takes arrays, states (time, node)", time=True
    )
    check_states_header(table)
    named = runs_of(table, kind)
    for name, run in named:
        if run.num_times < minimum_times:
            raise InputError(
                f"{f'{name} of ' if name else ''}{table.path} has {run.num_times} sample times, but at least "
                f"{minimum_times} are needed to see a change"
            )
    runs = [run for _, run in named]
    _check_changes(table.path, runs)
    return runs


def runs_of(table: Table, kind: type[Run]) -> list[tuple[str, Run]]:
    """The runs of a table whose header has been checked, each with its name ("" where there is one).

    Raises InputError for a cell that is not a number, a time that stands twice, and rows whose order tells
    neither one run nor several.
    """
    long = is_long(table)
    keys = ("run", "node", "variable") if long else ("run",)
    table.load(*(table.find(key) for key in keys))
    counted = row_times(table, str(table.find(*TIME)))
    found = (_long_runs if long else _wide_runs)(table, counted.times)
    notes = (*table.notes, *counted.notes)
    return [
        (
            name,
            kind(times, states, variables, names=nodes, notes=notes, time_unit=counted.unit),
        )
        for name, times, states, variables, nodes in found
    ]


class _Run(NamedTuple):
    name: str
    times: np.ndarray
    states: np.ndarray
    variables: list[str]
    nodes: list[str]


def _wide_runs(table: Table, times: np.ndarray) -> list[_Run]:
    reserved = {table.find(*TIME), table.find("run")}
    columns = [name for name in table.header if name not in reserved]
    if not columns:
        raise InputError(f"{table.path} has a time but no column of states")
    nodes, variables, order = split_columns(table, columns)
    check_wide_columns(table, columns)
    states = table.matrix(order).reshape(len(times), len(nodes), len(variables))
    runs = _named_runs(table) if table.find("run") else [Rows(np.arange(len(times)))]
    if table.find("run") is None and (np.diff(times) <= 0).any():
        named = run_column(table, columns)
        if named is not None:
            raise InputError(
                f"{table.path} has the column {quoted(named, 60)}, and its times do not increase throughout: "
                "if that column tells the runs apart, name it run, else remove it"
            )
        runs = _runs_by_time(table, times)
    else:
        runs = [_in_order(table, times, run) for run in runs]
    return [_Run(name, times[rows], states[rows], variables, nodes) for rows, name in runs]


def _named_runs(table: Table) -> list[Rows]:
    """The rows of each run, in order of first appearance."""
    codes, found = _codes(table.text(str(table.find("run"))))
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return [Rows(rows, f"run {quoted(name, 60)}") for name, rows in zip(found, parts, strict=True)]


def _codes(names: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Each name as its number in the list of names, in order of first appearance."""
    position: dict[str, int] = {}
    codes = [position.setdefault(name, len(position)) for name in names]
    return np.array(codes, dtype=np.int64), list(position)


def _in_order(table: Table, times: np.ndarray, run: Rows) -> Rows:
    """The rows of a run sorted by time; two rows of one time raise InputError."""
    steps = np.diff(times[run.rows])
    if (steps > 0).all():
        return run
    ordered = run.rows[np.argsort(times[run.rows], kind="stable")]
    twice = np.flatnonzero(np.diff(times[ordered]) == 0)
    if len(twice):
        first, second = min(
            (sorted((int(ordered[t]), int(ordered[t + 1]))) for t in twice),
            key=lambda pair: pair[1],
        )
        raise InputError(
            _repeats(table, times, first, second, f" of {run.name}" if run.name else "")
        )
    what = f"{table.path}: the rows{f' of {run.name}' if run.name else ''} were not in the order of time"
    table.notes.append(f"{what} and have been sorted by it.")
    return Rows(ordered, run.name)


def _repeats(table: Table, times: np.ndarray, first: int, second: int, of: str) -> str:
    mend = "give them names of their own in the column run"
    if table.find("run") is None:
        mend = "add a column run"
        if not is_long(table):
            mend += "; if this is a long table, name its columns time,node,value"
    return (
        f"{table.path}, {table.row_name(second)}: the time {times[second]:g}{of} repeats time "
        f"{times[first]:g} of {table.row_name(first)}; {_SEVERAL.format(mend)}"
    )


def _runs_by_time(table: Table, times: np.ndarray) -> list[Rows]:
    """Runs of a table without a column run, whose times do not increase throughout."""
    steps = np.diff(times)
    falls = np.flatnonzero(steps < 0) + 1
    starts = np.array([0, *falls])
    parts = np.split(np.arange(len(times)), falls)
    if len(falls) and not (steps == 0).any():
        if (times[starts] == times[0]).all() and min(map(len, parts)) > 1:
            table.notes.append(
                f"{table.path}: the times start anew in {table.row_name(int(falls[0]))}"
                f"{f' and {len(falls) - 1} times more' if len(falls) > 1 else ''}, so the table was read as "
                f"{len(parts)} runs; a column run would name them."
            )
            return [Rows(rows, f"run {n}") for n, rows in enumerate(parts, start=1)]
        if len(np.unique(times)) == len(times) and len(parts) * 3 > len(times):
            # So many short stretches are no runs: the rows of one run, shuffled or reversed.
            return [_in_order(table, times, Rows(np.arange(len(times))))]
    s = int((steps <= 0).argmax())
    if steps[s] == 0:
        raise InputError(_repeats(table, times, s, s + 1, ""))
    raise InputError(
        f"{table.path}, {table.row_name(s + 1)}: the time {times[s + 1]:g} comes after the later time "
        f"{times[s]:g} of {table.row_name(s)}, so the times start anew there: if these are several runs, add "
        "a column run that tells them apart; if it is one run, sort its rows by time"
    )


def _long_runs(table: Table, times: np.ndarray) -> list[_Run]:
    values = table.numbers(str(table.find("value")))
    node_codes, nodes = _codes(table.text(str(table.find("node"))))
    variable_codes, variables = np.zeros_like(node_codes), ["x"]
    if table.find("variable") is not None:
        variable_codes, variables = _codes(table.text(str(table.find("variable"))))
    series = node_codes * len(variables) + variable_codes
    width = len(nodes) * len(variables)
    groups = _named_runs(table) if table.find("run") else [Rows(np.arange(len(times)))]
    timed = [np.unique(times[rows], return_inverse=True) for rows, _ in groups]
    cells = sum(len(found) for found, _ in timed) * width
    if cells > max(_SMALL_ARRAY, _CELLS_PER_ROW * len(times)):
        most = max(len(found) for found, _ in timed)
        raise InputError(
            f"{table.path} has {most} different times for {len(nodes)} nodes, too many for one table: "
            f"{cells:.2g} cells, of which {len(times)} are given; sample the nodes at common times (round "
            "them to a grid)"
        )
    runs = []
    for (rows, name), (run_times, time_codes) in zip(groups, timed, strict=True):
        keys = time_codes * width + series[rows]
        ordered = np.argsort(keys, kind="stable")
        twice = np.flatnonzero(np.diff(keys[ordered]) == 0)
        if len(twice):
            t = twice[np.argmin(rows[ordered[twice + 1]])]
            first, second = int(rows[ordered[t]]), int(rows[ordered[t + 1]])
            of = f" of node {quoted(nodes[node_codes[second]], 60)}"
            of += f", variable {variables[variable_codes[second]]!r}" if len(variables) > 1 else ""
            of += f" in {name}" if name else ""
            raise InputError(_repeats(table, times, first, second, of))
        states = np.full((len(run_times), len(nodes), len(variables)), np.nan)
        states[time_codes, node_codes[rows], variable_codes[rows]] = values[rows]
        runs.append(_Run(name, run_times, states, variables, nodes))
    return runs


def _check_changes(path: str | os.PathLike, runs: Sequence[Runs]) -> None:
    observed = np.logical_or.reduce([run.observed.any(axis=(0, 2)) for run in runs])
    if not observed.all():
        unseen = [name for name, seen in zip(runs[0].node_names, observed, strict=True) if not seen]
        raise InputError(
            f"{path} has no value at all of {listed(unseen)}; remove the column or fill it"
        )
    for run in runs:
        low = np.where(run.observed, run.states, np.inf).min(axis=0)
        high = np.where(run.observed, run.states, -np.inf).max(axis=0)
        if (high > low).any():
            return
    raise InputError(
        f"every series in {path} is constant, so nothing can be learned; give states that change"
    )
