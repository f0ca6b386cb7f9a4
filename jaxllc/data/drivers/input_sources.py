"""Inputs as people have them: tables, files, pairs of arrays, functions of time; and time itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from jaxllc.data.drivers.input_course import TIME, InputCourse, are_steps, stepped
from jaxllc.data.readers import read_states
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError, listed
from jaxllc.tables.real_numbers import is_frame, real_numbers

# Points between two samples at which a function of time is read.
_POINTS = 32
_FORMS = (
    "a table or file with the columns time and value or time and one for each node, a pair (times, values), "
    'a function of time, "time" for the time itself, the name of a variable of the states, or a list with '
    "one of these for each run"
)


class Span(NamedTuple):
    """Where an input is needed: the nodes, and the times of the samples (time,)."""

    names: tuple[str, ...]
    times: np.ndarray


def with_inputs(runs: Sequence[Trajectories], inputs: Any) -> list[Trajectories]:
    """The runs with inputs {name: source} beside, or in place of, their own; notes say how they were read.

    A source that is the name of a variable takes it out of the states. A variable that is the same at all
    nodes at all times is no state of theirs: it becomes an input, too. Raises InputError that names the
    input, the run and the mend.
    """
    runs, inputs, said = _without_variables(runs, inputs)
    spans = [Span(run.node_names, run.times) for run in runs]
    found, notes = courses(inputs, spans)
    return [
        replace(run, inputs={**run.inputs, **own}, notes=(*run.notes, *said, *notes))
        if own
        else run
        for run, own in zip(runs, found, strict=True)
    ]


def _without_variables(
    runs: Sequence[Trajectories], inputs: Any
) -> tuple[list[Trajectories], Any, list[str]]:
    """The runs without variables that are inputs, the inputs with these, and notes on them."""
    if not runs or not (inputs is None or isinstance(inputs, Mapping)):
        return list(runs), inputs, []
    variables = runs[0].variables
    if any(run.variables != variables for run in runs):
        return list(runs), inputs, []  # which is refused in words
    sources: dict[Any, Any] = dict(inputs or {})
    taken = {n: v for n, v in sources.items() if isinstance(v, str) and v in variables}
    alike = [
        name
        for v, name in enumerate(variables)
        if name not in taken.values() and name not in sources and _is_alike(runs, v)
    ]
    if len(taken) + len(alike) == len(variables) and not taken:
        alike = []
    notes = [
        f"The variable {name} is the same at all nodes at all times, so it was taken as an input that is "
        "given, not as a state that the law explains."
        for name in alike
    ]
    taken |= {name: name for name in alike}
    if len(set(taken.values())) == len(variables):
        raise InputError(
            f"all variables of the states, {', '.join(variables)}, are inputs: there is no law to find"
        )
    for name, variable in taken.items():
        v = variables.index(variable)
        sources[name] = [(run.times, _common(run.states[..., v])) for run in runs]
    left = [v for v, name in enumerate(variables) if name not in taken.values()]
    if len(left) == len(variables):
        return list(runs), inputs, []
    names = tuple(variables[v] for v in left)
    return [replace(r, states=r.states[..., left], variables=names) for r in runs], sources, notes


def _is_alike(runs: Sequence[Trajectories], variable: int) -> bool:
    values = [run.states[..., variable] for run in runs]
    return all(v.shape[1] > 1 and bool((v == v[:, :1]).all()) for v in values)


def _common(values: np.ndarray) -> np.ndarray:
    """Values (time, node), or (time,) where all nodes have the same."""
    return values[:, 0] if bool((values == values[:, :1]).all()) else values


def courses(inputs: Any, spans: Sequence[Span]) -> tuple[list[dict[str, InputCourse]], list[str]]:
    """Inputs {name: source} over each of some spans, and notes on how they were read."""
    if inputs is None:
        return [{} for _ in spans], []
    if not isinstance(inputs, Mapping):
        raise InputError(
            f"inputs must be a mapping such as {{'u': table}}, not {type(inputs).__name__}: {_FORMS}"
        )
    found: list[dict[str, InputCourse]] = [{} for _ in spans]
    notes: list[str] = []
    for name, source in inputs.items():
        what = f"the input {name!r}"
        for number, own in enumerate(_for_each(source, what, spans)):
            course, note = own
            of = f"{what} of run {number}" if len(spans) > 1 else what
            times = spans[number].times
            course.check_covers(float(times[0]), float(times[-1]), of)
            found[number][name] = course
            notes += [note] if note else []
    return found, list(dict.fromkeys(notes))


def _for_each(source: Any, what: str, spans: Sequence[Span]) -> list[tuple[InputCourse, str]]:
    if isinstance(source, list):
        if len(source) != len(spans):
            raise InputError(
                f"{what} is a list of {len(source)}, but there are {len(spans)} runs; give one entry for "
                "each run, or a pair (times, values) as a tuple"
            )
        return [
            _single(one, f"{what} of run {n}", [span])[0]
            for n, (one, span) in enumerate(zip(source, spans, strict=True))
        ]
    return _single(source, what, spans)


def _single(source: Any, what: str, spans: Sequence[Span]) -> list[tuple[InputCourse, str]]:
    """One source over each of the spans."""
    if isinstance(source, InputCourse):
        for span in spans:
            _check_rows(len(source.values), span, what)
        return [(source, "") for _ in spans]
    if isinstance(source, str) and source == TIME:
        return [(time_itself(span.times), "") for span in spans]
    if isinstance(source, str | os.PathLike) or is_frame(source):
        return _of_table(source, what, spans)
    if isinstance(source, tuple) and len(source) == 2:
        return [_of_pair(*source, what, span) for span in spans]
    if callable(source):
        return [(_of_function(source, what, span), "") for span in spans]
    raise InputError(f"{what} must be {_FORMS}; not {type(source).__name__} {source!r:.60}")


def time_itself(times: np.ndarray) -> InputCourse:
    """The time as an input over a run."""
    ends = np.array([times[0], times[-1]], dtype=float)
    return InputCourse(ends, ends[None], is_time=True)


def _of_pair(times: Any, values: Any, what: str, span: Span) -> tuple[InputCourse, str]:
    points = real_numbers(times, f"the times of {what}")
    array = real_numbers(values, f"the values of {what}")
    if points.ndim != 1 or array.ndim not in (1, 2) or len(array) != len(points):
        raise InputError(
            f"{what} must be (times, values) of shapes (T,) and (T,) or (T, N), not {points.shape} and "
            f"{array.shape}"
        )
    rows = array[None] if array.ndim == 1 else array.T
    return _course(points, rows, what, span)


def _course(
    times: np.ndarray, values: np.ndarray, what: str, span: Span
) -> tuple[InputCourse, str]:
    """The course of samples (row, time), and a note where they were read as steps."""
    if len(times) < 2:
        raise InputError(f"{what} has {len(times)} times; give at least two, over all of the run")
    if not np.isfinite(times).all():
        raise InputError(f"a time of {what} is not a finite number")
    steps = np.diff(times)
    if (steps < 0).any():
        k = int((steps < 0).argmax())
        raise InputError(
            f"the times of {what} must not fall, but {times[k + 1]:g} comes after {times[k]:g}; sort them"
        )
    if ((steps[1:] == 0) & (steps[:-1] == 0)).any():
        k = int(((steps[1:] == 0) & (steps[:-1] == 0)).argmax())
        raise InputError(
            f"the time {times[k]:g} of {what} stands more than twice; twice is a jump, with the value before "
            "it and the value after it"
        )
    if not np.isfinite(values).all():
        row, k = (int(index[0]) for index in np.nonzero(~np.isfinite(values)))
        of = f" of node {span.names[row]}" if len(values) > 1 and row < len(span.names) else ""
        raise InputError(
            f"{what} has no finite value{of} at time {times[k]:g}; fill the gap, or leave out that time"
        )
    _check_rows(len(values), span, what)
    if not are_steps(times, values):
        return InputCourse(times.astype(float), values.astype(float)), ""
    knots, held = stepped(times, values)
    if len(np.unique(knots)) == 2 and (held[:, 0] == held[:, -1]).all():
        return InputCourse(knots, held), ""
    return InputCourse(knots, held), (
        f"{what[0].upper()}{what[1:].split(' of run')[0]} takes few values and was read as steps: each holds "
        "until the next time that is given."
    )


def _check_rows(rows: int, span: Span, what: str) -> None:
    if rows not in (1, len(span.names)):
        raise InputError(
            f"{what} has {rows} columns of values, but there are {len(span.names)} nodes; give one column "
            "for all, or one for each node"
        )


def _of_function(function: Callable[[float], Any], what: str, span: Span) -> InputCourse:
    parts = np.linspace(0.0, 1.0, _POINTS, endpoint=False)
    times = (span.times[:-1, None] + np.diff(span.times)[:, None] * parts).ravel()
    times = np.append(times, span.times[-1])
    rows = []
    for t in times:
        value = real_numbers(function(float(t)), f"the value of {what} at {t:g}")
        if value.ndim > 1:
            raise InputError(
                f"{what} must give one number, or one for each node, not an array of shape {value.shape}"
            )
        rows.append(np.atleast_1d(value))
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"{what} must give as many numbers at all times")
    values = np.stack(rows, axis=1)
    if not np.isfinite(values).all():
        k = int((~np.isfinite(values)).any(axis=0).argmax())
        raise InputError(f"{what} is not a finite number at time {times[k]:g}")
    _check_rows(len(values), span, what)
    return InputCourse(times, values)


def _of_table(source: Any, what: str, spans: Sequence[Span]) -> list[tuple[InputCourse, str]]:
    try:
        tables = read_states(source, minimum_times=2)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    if len(tables) not in (1, len(spans)):
        raise InputError(
            f"{what} is a table of {len(tables)} runs, but there are {len(spans)} runs; give one for all, or "
            "as many"
        )
    if tables[0].time_unit:
        raise InputError(
            f"{what} has dates for times; give them as numbers, counted as those of the samples are"
        )
    if tables[0].variables != ("x",):
        raise InputError(
            f"{what} is a table of several variables, {listed(tables[0].variables)}; give one table for each "
            "input"
        )
    both = zip(tables if len(tables) == len(spans) else tables * len(spans), spans, strict=True)
    return [_course(table.times, _rows(table, what, span), what, span) for table, span in both]


def _rows(table: Trajectories, what: str, span: Span) -> np.ndarray:
    """Values (row, time) of a table: of the nodes in their order, or of the one column for all."""
    columns, values = table.node_names, table.states[..., 0].T
    known = set(span.names)
    name = what.split("'")[1] if "'" in what else ""
    if name in columns and name not in known:
        return values[[columns.index(name)]]
    if len(columns) == 1 and columns[0] not in known:
        return values
    if table.names is None and len(columns) == len(span.names):
        return values
    unknown = [column for column in columns if column not in known]
    lacking = [node for node in span.names if node not in set(columns)]
    if unknown or lacking:
        said = f"no column of {listed(lacking, columns)}" if lacking else ""
        said += " and " if lacking and unknown else ""
        said += f"columns of {listed(unknown, span.names)}, which are no nodes" if unknown else ""
        raise InputError(
            f"{what} has {said}; give one column of values for all nodes, or one for each node"
        )
    return values[[columns.index(node) for node in span.names]]
