"""What conditions are made of: names, ligand levels and TF activities, checked, and where they were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxllc.errors import InputError, check_number, first_repeat, listing, quoted


class Origin(NamedTuple):
    """Where the row of each condition stands in the two tables, such as "tfs.tsv, row 3"."""

    ligands: Mapping[str, str]
    tfs: Mapping[str, str]


@dataclass(frozen=True, eq=False, repr=False)
class ConditionRecord:
    """The fields of `Conditions`, which says what they are; raises InputError for those that do not fit."""

    names: tuple[str, ...]
    ligands: tuple[str, ...]
    tfs: tuple[str, ...]
    ligand_levels: np.ndarray
    tf_activities: np.ndarray
    remarks: tuple[str, ...] = ()
    origin: Origin | None = None
    expected: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        fill = object.__setattr__
        for name in ("names", "ligands", "tfs"):
            fill(self, name, _texts(getattr(self, name), name))
        remarks = listing("remarks", self.remarks, "sentences", "['one of 3 was left out']")
        fill(self, "remarks", tuple(str(remark) for remark in remarks))
        low_high = listing("expected", self.expected, "two numbers", "(0, 1)")
        if len(low_high) != 2:
            raise InputError(f"expected is {quoted(self.expected, 80)}; give two numbers: (0, 1)")
        for bound in low_high:
            check_number("a bound of expected", bound)
        fill(self, "expected", tuple(float(bound) for bound in low_high))
        for name, nodes in (("ligand_levels", self.ligands), ("tf_activities", self.tfs)):
            shape = len(self.names), len(nodes)
            fill(self, name, _numbers(getattr(self, name), name, shape))
        if np.isnan(self.ligand_levels).any():
            row, column = np.argwhere(np.isnan(self.ligand_levels))[0]
            raise InputError(
                f"the level of {quoted(self.ligands[column], 80)} in the condition "
                f"{quoted(self.names[row], 80)} is nan; give 0 for a ligand that was not given"
            )


def _texts(values: Any, argument: str) -> tuple[str, ...]:
    texts = listing(argument, values, "names", "['EGF', 'TNF']")
    names = tuple(str(text) for text in texts)
    twice = first_repeat(names)
    if twice is not None:
        raise InputError(f"{argument} holds {quoted(twice, 80)} twice; name each once")
    return names


def _numbers(values: Any, argument: str, shape: tuple[int, int]) -> np.ndarray:
    """The values as float64 that nobody writes to, a masked entry as nan."""
    if isinstance(values, np.ndarray) and values.dtype == np.float64 and not values.flags.writeable:
        found = values  # of other conditions
    else:
        try:
            given = np.ma.asarray(values)
            if given.dtype.kind not in "iufbO":
                raise TypeError(f"it holds {given.dtype}")
            found = np.array(np.ma.filled(given.astype(np.float64), np.nan))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{argument} is {quoted(values, 80)}; give an array of numbers (conditions, nodes)"
            ) from error
    if found.shape != shape:
        raise InputError(
            f"{argument} has the shape {found.shape}, but there are {shape[0]} conditions and {shape[1]} "
            "nodes; give a row for each condition and a column for each node"
        )
    if np.isinf(found).any():
        raise InputError(f"{argument} holds an infinite value; give nan where nothing was measured")
    found.flags.writeable = False
    return found
