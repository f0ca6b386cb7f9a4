"""What `Trajectories` is given, as plain arrays: labels become names, and named values are put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxllc.errors import InputError
from jaxllc.tables.labels import (
    dimension_names,
    is_labelled_array,
    labels_of,
    names_tuple,
    order_of,
    take,
)
from jaxllc.tables.real_numbers import is_frame, is_series, real_numbers

TIMES = ("time", "times", "t")
_NODES = ("node", "nodes", "n")


def variable_names(variables: Any) -> tuple[str, ...]:
    """The variables as a tuple of text."""
    if isinstance(variables, str):
        return (variables,)
    try:
        names = tuple(variables)
    except TypeError:
        names = (variables,)
    for name in names:
        if not isinstance(name, str):
            raise InputError(
                f"variables must be names such as ('x', 'y'), but one is {type(name).__name__} {name!r:.80}"
            )
    return names


def labelled_states(
    times: Any, states: Any, variables: tuple[str, ...], names: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...] | None]:
    """States as float64 (T, N, d) or whatever shape they have, variables, and node names or None.

    Columns of a DataFrame and coordinates of a DataArray become names; `names` and `variables` given beside
    them must be the same set, and set the order. Rows go by the labels of `times` where both are tables that
    hold the same ones.
    """
    if isinstance(states, list | tuple) and any(is_frame(part) for part in states):
        raise InputError(
            "states must be one table, not a list of tables; make one Trajectories of each run"
        )
    if is_labelled_array(states):
        states = _in_order_of_dimensions(states)
    rows = _row_order(times, states)
    if rows is not None:
        states = take(states, rows, axis=0)
    found = _node_labels(states)
    if names is not None:
        wanted = names_tuple(names)
        if found is not None and found != wanted:
            order = order_of(found, wanted, "the labels of states", "names")
            states = take(states, order, axis=1)
        found = wanted
    if is_labelled_array(states) and len(states.dims) == 3:
        inner = labels_of(states, 2, "the variables of states")
        if inner is not None and variables == ("x",):
            variables = inner
        elif inner is not None and inner != variables:
            states = take(
                states, order_of(inner, variables, "the labels of states", "variables"), 2
            )
    array = real_numbers(states, "states")
    return array[:, :, None] if array.ndim == 2 else array, variables, found


def _node_labels(states: Any) -> tuple[str, ...] | None:
    if is_frame(states) and getattr(states.columns, "nlevels", 1) > 1:
        raise InputError(
            "states is a table whose columns have several levels; Trajectories.from_frame() reads "
            "(node, variable)"
        )
    if getattr(states, "ndim", 2) < 2:
        return None
    found = labels_of(states, 1, "the columns of states")
    timed = [name for name in found or () if name.lower() in TIMES]
    if timed:
        raise InputError(
            f"states has the column {timed[0]!r}, which is no node; Trajectories.from_frame() reads a table "
            "with its time"
        )
    return found


def _in_order_of_dimensions(states: Any) -> Any:
    """A DataArray with time first and nodes second, where its dimensions are called so."""
    called = dimension_names(states)
    first = [n for n, name in enumerate(called) if name in TIMES]
    second = [n for n, name in enumerate(called) if name in _NODES]
    order = [*first[:1], *second[:1]]
    if first and order != list(range(len(order))):
        rest = [n for n in range(len(called)) if n not in order]
        return states.transpose(*(states.dims[n] for n in [*order, *rest]))
    return states


def _row_order(times: Any, states: Any) -> list[int] | None:
    """The order of the rows of `states` that the labels of `times` ask for; None to go by position."""
    if not (is_series(times) and is_frame(states)) or len(times) != len(states):
        return None
    wanted, found = list(times.index), list(states.index)
    if wanted == found or len(set(found)) < len(found) or set(wanted) != set(found):
        return None
    position = {label: n for n, label in enumerate(found)}
    return [position[label] for label in wanted]


def feature_arrays(
    node_features: Any, names: tuple[str, ...] | None, num_nodes: int
) -> dict[str, np.ndarray]:
    """{name: float64 (N,)} out of a mapping or a table with a row for each node; labels are put in order.

    A feature may be an array, or a Series, a DataArray or a mapping {node: value}.
    """
    if node_features is None:
        return {}
    if not (isinstance(node_features, Mapping) or is_frame(node_features)):
        raise InputError(
            "node_features must be a mapping such as {'omega': [...]}, not "
            f"{type(node_features).__name__}"
        )
    return {
        variable_names(name)[0]: _feature(name, value, names, num_nodes)
        for name, value in node_features.items()
    }


def _feature(name: Any, value: Any, names: tuple[str, ...] | None, num_nodes: int) -> np.ndarray:
    what = f"node feature {name!r}"
    if isinstance(value, Mapping):
        labels: tuple[str, ...] | None = names_tuple(value.keys(), what)
        value = list(value.values())
    else:
        labels = labels_of(value, 0, what)
    array = real_numbers(value, what)
    if labels is None:
        return array
    if names is None and set(labels) != {str(n) for n in range(num_nodes)}:
        raise InputError(
            f"{what} goes by the names {', '.join(map(repr, labels[:3]))}, but the states have none; "
            "give them names=[...] in the order of their columns"
        )
    known = names or tuple(str(n) for n in range(num_nodes))
    return array[order_of(labels, known, what, "the states")]
