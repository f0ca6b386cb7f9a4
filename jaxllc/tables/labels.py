"""Labels that a table brings along: what its rows and columns are called.

pandas names rows and columns by index and columns, xarray by the coordinates of its dimensions. A plain 0, 1,
2, ... names nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxllc.errors import InputError, first_repeat, listed
from jaxllc.tables.real_numbers import is_frame, is_missing, is_series

SENDERS = ("sender", "senders", "source", "from")
RECEIVERS = ("receiver", "receivers", "target", "to")


def is_labelled_array(values: Any) -> bool:
    """Whether this is an array of xarray: named dimensions with coordinates."""
    return all(hasattr(values, name) for name in ("dims", "coords", "shape", "isel"))


def labels_of(values: Any, axis: int, what: str) -> tuple[str, ...] | None:
    """The labels along an axis; None where there are none, or they only count 0, 1, 2, ...

    Raises InputError for a label that stands twice, is missing, or has several levels.
    """
    if is_labelled_array(values):
        return _checked(_coordinate(values, axis), what)
    if is_frame(values) or is_series(values):
        return _checked(values.columns if axis == 1 else values.index, what)
    if axis == 1 and hasattr(values, "columns"):  # tables without an index, such as those of polars
        return _checked(values.columns, what)
    return None


def dimension_names(values: Any) -> tuple[str, ...]:
    """What the axes themselves are called, in lower case; "" for one without a name."""
    if is_labelled_array(values):
        return tuple(str(name).lower() for name in values.dims)
    if is_frame(values):
        names = values.index.name, values.columns.name
        return tuple("" if name is None else str(name).lower() for name in names)
    return ()


def names_tuple(names: Any, what: str = "names") -> tuple[str, ...]:
    """Node names as a tuple of text; raises InputError for one text, a table and a name that is missing."""
    if (
        isinstance(names, str | bytes)
        or is_frame(names)
        or not hasattr(names, "__iter__")
        or getattr(names, "ndim", 1) != 1
    ):
        raise InputError(
            f"{what} must be a list with one name for each node, not {type(names).__name__}"
        )
    return tuple(name_text(name, what) for name in names)


def name_text(name: Any, what: str) -> str:
    """One name as text; raises InputError where it is missing or holds several values."""
    if is_missing(name):
        raise InputError(f"{what} holds {name!r} where a name is wanted")
    if isinstance(name, bytes):
        return name.decode("utf-8", "replace")
    if isinstance(name, list | dict | set | np.ndarray):
        raise InputError(f"{what} must be names, but one is a {type(name).__name__}")
    return str(name)


def order_of(
    found: Sequence[str], wanted: Sequence[str], found_in: str, wanted_in: str
) -> list[int]:
    """Where each of `wanted` stands in `found`; raises InputError where the two are not the same set."""
    position = {name: n for n, name in enumerate(found)}
    known = set(wanted)
    lacking = [name for name in wanted if name not in position]
    more = [name for name in found if name not in known]
    if lacking or more:
        parts = []
        if lacking:
            parts.append(f"{listed(lacking, found)} only in {wanted_in}")
        if more:
            parts.append(f"{listed(more, wanted)} only in {found_in}")
        raise InputError(
            f"{found_in} and {wanted_in} do not name the same nodes: {' and '.join(parts)}"
        )
    return [position[name] for name in wanted]


def take(values: Any, order: Sequence[int], axis: int) -> Any:
    """The entries `order` along an axis, labels kept."""
    if is_frame(values):
        return values.iloc[:, list(order)] if axis == 1 else values.iloc[list(order)]
    if is_series(values):
        return values.iloc[list(order)]
    if is_labelled_array(values):
        return values.isel({values.dims[axis]: list(order)})
    return np.take(np.asarray(values), list(order), axis=axis)


def _coordinate(values: Any, axis: int) -> Any:
    name = values.dims[axis]
    if name not in values.coords:
        return None
    return np.asarray(values.coords[name])


def _checked(labels: Any, what: str) -> tuple[str, ...] | None:
    if labels is None:
        return None
    if getattr(labels, "nlevels", 1) > 1:
        raise InputError(
            f"{what} have {labels.nlevels} levels of labels; give one name for each, or use from_frame"
        )
    listed_labels = list(labels)
    if all(
        isinstance(label, int | np.integer) and not isinstance(label, bool)
        for label in listed_labels
    ) and [int(label) for label in listed_labels] == list(range(len(listed_labels))):
        return None
    names = tuple(name_text(label, what) for label in listed_labels)
    repeated = first_repeat(names)
    if repeated is not None:
        raise InputError(f"{what} have the label {repeated!r} twice; give each its own")
    return names
