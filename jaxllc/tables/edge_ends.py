"""The ends of edges as somebody has them: node numbers or node names, nothing missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxllc.errors import InputError
from jaxllc.tables.labels import name_text
from jaxllc.tables.real_numbers import as_array, is_frame

# More nodes than this are not numbered 0 to N - 1 by anyone: the numbers are identifiers.
MOST_NUMBERED = 10_000_000


def edge_ends(values: Any, what: str) -> np.ndarray:
    """One end of each edge (E,): integers, or objects that are text.

    Raises InputError for numbers that are not whole, and for what is missing or masked.
    """
    if is_frame(values):
        raise InputError(
            f"{what} is a table; Network.from_frame() reads a table of edges, from_adjacency() a matrix"
        )
    if isinstance(values, str | bytes):
        raise InputError(f"{what} must be a list of nodes, not the text {values[:40]!r}")
    if isinstance(values, set | frozenset | dict):
        raise InputError(
            f"{what} must be a list in the order of the edges, not a {type(values).__name__}"
        )
    if not hasattr(values, "__array__") and hasattr(values, "__iter__"):
        values = list(values)
        if any(isinstance(v, str | bytes) for v in values) and not any(
            isinstance(v, list | tuple) for v in values
        ):
            # NumPy would write every entry as text, missing ones too.
            values = np.array(values, dtype=object)
    array = as_array(values, what)
    if np.ma.getmaskarray(array).any():
        at = int(np.ma.getmaskarray(array).ravel().argmax())
        raise InputError(f"{what}[{at}] is masked; every edge needs both its nodes")
    array = np.asarray(np.ma.getdata(array))
    if array.ndim != 1:
        raise InputError(f"{what} must be a list of nodes, not an array of shape {array.shape}")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind in "OUST":
        return np.array([_name(v, n, what) for n, v in enumerate(array.tolist())], dtype=object)
    if array.dtype.kind == "f" and (np.isfinite(array) & (array == np.round(array))).all():
        raise InputError(
            f"{what} must be integers or names, not {array.dtype}; use astype(int) if they number the nodes"
        )
    if array.dtype.kind not in "iu":
        raise InputError(f"{what} must be integers or names, not {array.dtype}")
    if int(array.max()) > MOST_NUMBERED:
        raise InputError(
            f"{what} hold the node number {int(array.max())}; nodes are numbered from 0, so if these are "
            "identifiers pass them as text"
        )
    return array


def _name(value: Any, position: int, what: str) -> str:
    try:
        return name_text(value, what)
    except InputError as error:
        raise InputError(f"{what}[{position}]: {error}") from error
