"""The edges of a table as they are read, before repeated ones are merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class EdgeRows(NamedTuple):
    """The edges of a table, one entry per row and target, before repeated edges are merged.

    senders, receivers, sources: text (R,). stimulation, inhibition: bool (R,). place: where entry r
    stands, such as "row 5". notes: what reading left out. other_ends: sender column, receiver column and
    nodes of every other pair of columns that may be the ends.
    """

    senders: np.ndarray
    receivers: np.ndarray
    stimulation: np.ndarray
    inhibition: np.ndarray
    sources: np.ndarray
    place: Callable[[int], str]
    notes: tuple[str, ...] = ()
    other_ends: tuple[tuple[str, str, frozenset[str]], ...] = ()
