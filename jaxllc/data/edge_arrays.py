"""Edges as arrays, checked and sorted: what a `Network` is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from jaxllc.errors import InputError, first_repeat, listed, quoted
from jaxllc.tables.labels import names_tuple
from jaxllc.tables.real_numbers import real_numbers


class Edges(Protocol):
    """Edges between named nodes: a `Network`, or the arrays of one."""

    @property
    def senders(self) -> np.ndarray: ...
    @property
    def receivers(self) -> np.ndarray: ...
    @property
    def weights(self) -> np.ndarray: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class EdgeArrays(NamedTuple):
    """The fields of a `Network`, in its order."""

    senders: np.ndarray
    receivers: np.ndarray
    weights: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def checked_edges(
    senders: np.ndarray,
    receivers: np.ndarray,
    weights: Sequence | np.ndarray | None,
    names: Sequence[str],
    signed: bool,
    place: Callable[[int], str] = "edge number {}".format,
) -> EdgeArrays:
    """Indexed edges, checked and sorted; `place` says in an error where edge e came from."""
    if not isinstance(signed, bool | np.bool_):
        raise InputError(f"signed must be True or False, not {quoted(signed, 60)}")
    names = tuple(str(name) for name in names)
    repeated = first_repeat(names)
    if repeated is not None:
        raise InputError(f"the node name {repeated!r} is repeated; give every node its own name")
    if weights is None:
        values = np.ones(len(senders))
    else:
        values = real_numbers(weights, "weights", allow_bool=True)
    if values.shape != senders.shape:
        raise InputError(f"there are {len(senders)} edges, but weights have shape {values.shape}")

    def edge(e: int) -> str:
        return f"{place(int(e))} ({names[senders[e]]!r} -> {names[receivers[e]]!r})"

    outside = (np.minimum(senders, receivers) < 0) | (np.maximum(senders, receivers) >= len(names))
    if outside.any():
        e = int(outside.argmax())
        raise InputError(
            f"{place(e)} joins nodes {senders[e]} and {receivers[e]}, but the nodes are numbered 0 to "
            f"{len(names) - 1}; pass num_nodes or names for more nodes"
        )
    notes: tuple[str, ...] = ()
    given = np.flatnonzero(values)  # nan is given
    if len(given) < len(values):
        notes = (
            f"{len(values) - len(given)} of {len(values)} edges have the weight 0 and were left out.",
        )
        senders, receivers, values = senders[given], receivers[given], values[given]
        place = _places_of(place, given)
    unusable = ~np.isfinite(values)
    if unusable.any():
        e = int(unusable.argmax())
        raise InputError(f"{edge(e)} has the weight {values[e]}; every weight must be a number")
    if not signed and (values < 0).any():
        e = int((values < 0).argmax())
        raise InputError(
            f"{edge(e)} has the negative weight {values[e]:g}; "
            "pass signed=True if negative influence is meant"
        )
    loops = senders == receivers
    if loops.any():
        raise InputError(
            f"{edge(int(loops.argmax()))} is a self-loop{_and_more(loops)}; remove it, "
            "because the self term of the law covers what a node does to itself"
        )
    order = np.lexsort((senders, receivers))
    senders, receivers, values = senders[order], receivers[order], values[order]
    repeats = (np.diff(senders) == 0) & (np.diff(receivers) == 0)
    if repeats.any():
        s = int(repeats.argmax())
        raise InputError(
            f"{place(int(order[s + 1]))} repeats {place(int(order[s]))} "
            f"({names[senders[s]]!r} -> {names[receivers[s]]!r}), one of {int(repeats.sum())} such; where an "
            "edge was listed twice keep one, else add their weights up into one edge"
        )
    edges = EdgeArrays(senders.astype(np.int32), receivers.astype(np.int32), values, names, notes)
    for array in (edges.senders, edges.receivers, edges.weights):
        array.flags.writeable = False
    return edges


def _and_more(found: np.ndarray) -> str:
    more = int(found.sum()) - 1
    return f", and {more} more are" if more else ""


def _places_of(place: Callable[[int], str], given: np.ndarray) -> Callable[[int], str]:
    """Where the edges stood before some were left out."""
    return lambda e: place(int(given[e]))


def index_names(
    senders: np.ndarray, receivers: np.ndarray, names: Sequence[str] | None
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Node names, and the indices of senders and receivers in them.

    Without `names` the order is by number if all are integers, else by first appearance.
    """
    import pandas as pd

    ends = np.stack([senders.astype(str), receivers.astype(str)], axis=1).ravel()
    codes, found = pd.factorize(ends.astype(object))
    found = [str(name) for name in found]
    if names is None:
        ordered = found
        if all(name.isdecimal() and len(name) < 100 for name in found):
            ordered = sorted(found, key=lambda name: (int(name), name))
    else:
        ordered = list(names_tuple(names))
    position = {name: n for n, name in enumerate(ordered)}
    unknown = [name for name in found if name not in position]
    if unknown:
        raise InputError(f"an edge names a node that is not in names: {listed(unknown, ordered)}")
    index = np.array([position[name] for name in found], dtype=np.int64)[codes].reshape(-1, 2)
    return ordered, index[:, 0], index[:, 1]
