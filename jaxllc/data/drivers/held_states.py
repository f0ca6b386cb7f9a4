"""Nodes that are held: their states are given over time and act on others, and no law explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError, listed
from jaxllc.tables.real_numbers import real_numbers


def held_nodes(held: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the nodes to hold; raises InputError for one that is not there, and for all."""
    unknown = [name for name in held if name not in set(names)]
    if unknown:
        raise InputError(
            f"held names {listed(unknown, names)}, but there is no such node; nodes are {listed(names)}"
        )
    found = tuple(sorted({list(names).index(name) for name in held}))
    if len(found) == len(names):
        raise InputError("all nodes are held: there is none left whose law could be found")
    return found


def states_of_nodes(run: Trajectories, names: Sequence[str]) -> dict[str, InputCourse]:
    """The states of some nodes of a run as they were observed; raises InputError where one was not."""
    places = held_nodes(names, (*run.node_names, ""))
    return {run.node_names[node]: _states_of(run, node) for node in places}


def _states_of(run: Trajectories, node: int) -> InputCourse:
    seen = run.observed[:, node]
    if not seen.any(axis=0).all():
        raise InputError(
            f"the node {run.node_names[node]!r} is held, but was never observed in a run; give its states"
        )
    rows = [
        np.interp(run.times, run.times[seen[:, v]], run.states[seen[:, v], node, v])
        for v in range(run.num_variables)
    ]
    return InputCourse(np.array(run.times), np.array(rows))


def held_states(
    held: Mapping[str, Any] | None,
    names: Sequence[str],
    variables: Sequence[str],
    times: np.ndarray,
) -> dict[int, InputCourse]:
    """{node: states} of nodes by name; each (times, states), states (T,) or (T, variable), over the times."""
    if held is None:
        return {}
    if not isinstance(held, Mapping):
        raise InputError(
            f"held must be a mapping such as {{'g07': (times, states)}}, not {type(held).__name__}"
        )
    numbers = {name: held_nodes([name], [*names, ""])[0] for name in held}
    found = {}
    for name, source in held.items():
        what = f"the held node {name!r}"
        course = source if isinstance(source, InputCourse) else _course(source, what)
        if len(course.values) != len(variables):
            raise InputError(
                f"{what} has {len(course.values)} columns of states, but the law has the variables "
                f"{', '.join(variables)}; give one column for each"
            )
        course.check_covers(float(times[0]), float(times[-1]), what)
        found[numbers[name]] = course
    return found


def _course(source: Any, what: str) -> InputCourse:
    if not isinstance(source, tuple) or len(source) != 2:
        raise InputError(f"{what} must be (times, states), not {type(source).__name__}")
    times = real_numbers(source[0], f"the times of {what}")
    states = real_numbers(source[1], f"the states of {what}")
    if times.ndim != 1 or states.ndim not in (1, 2) or len(states) != len(times) or len(times) < 2:
        raise InputError(
            f"{what} must be (times, states) of shapes (T,) and (T,) or (T, variable), T >= 2, not "
            f"{times.shape} and {states.shape}"
        )
    if not (np.isfinite(times).all() and np.isfinite(states).all()):
        raise InputError(
            f"{what} has a time or state that is not a finite number; leave out that time"
        )
    if (np.diff(times) <= 0).any():
        raise InputError(f"the times of {what} must increase; sort them and drop repeats")
    return InputCourse(times, states[None] if states.ndim == 1 else states.T)
