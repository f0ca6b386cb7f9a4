"""Conditions: which ligands were given, and how active the transcription factors (TFs) became.

One table holds the ligand levels and one the TF activities, a row per condition and a column per node
of the prior network (as published with Nilsson et al., Nature Communications 13, 2022).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_path, listed, listing, quoted
from jaxllc.files.output_file import output_file
from jaxllc.signaling.arguments import is_frame, kind_of
from jaxllc.signaling.data.condition_notes import NEGATIVE, OUTSIDE, SHOWN, notes_on
from jaxllc.signaling.data.condition_record import ConditionRecord
from jaxllc.signaling.data.condition_tables import joined, levels_of
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of
from jaxllc.tables.csv_table import LabelledTable
from jaxllc.tables.frame_table import FrameTable

if TYPE_CHECKING:
    import pandas as pd


class Conditions(ConditionRecord):
    """Ligand levels and TF activities of B conditions, in the order of the ligand table.

    names: B condition names, unique. ligands, tfs: node names of the inputs and of the outputs.
    ligand_levels: float64 (B, ligands), never nan. tf_activities: float64 (B, TFs), 1 is fully active,
    nan was not measured. remarks: what was left out on the way here, a sentence each. origin: where rows
    were read. expected: the activities that are no surprise, from the least to the largest. Whatever is
    derived from conditions keeps the remarks; `notes` adds what the values show.

    Raises InputError for names that repeat and for values of another shape, missing or infinite.

    Example:
        >>> levels, activities = np.array([[0.0], [1.0]]), np.array([[0.1], [0.8]])
        >>> conditions = Conditions(("control", "EGF"), ("EGF",), ("STAT3",), levels, activities)
        >>> print(conditions.describe())
        2 conditions, 1 ligands, 1 TFs
    """

    @classmethod
    def read(cls, ligands_path: str | os.PathLike, tfs_path: str | os.PathLike) -> "Conditions":
        """The conditions in two tables whose first column holds their names; its header may be empty.

        ligands_path, tfs_path: of levels (B, ligands) and of activities (B, TFs), 1 is fully active.
        Commas, semicolons or tabs separate the cells. An empty TF cell was not measured. Conditions of one
        table only are left out and reported in `notes`. Raises InputError for a ligand level that is
        missing, text, an infinite value, a repeated condition or column, a long table, and no common
        condition.
        """
        for name, path in (("ligands_path", ligands_path), ("tfs_path", tfs_path)):
            check_path(name, path, "Conditions.from_frames takes DataFrames")
        return cls(
            **joined(levels_of(LabelledTable(ligands_path)), levels_of(LabelledTable(tfs_path)))
        )

    @classmethod
    def from_frames(cls, ligands: "pd.DataFrame", tfs: "pd.DataFrame") -> "Conditions":
        """The conditions in two DataFrames: the index holds their names, the columns the nodes.

        ligands: levels (B, ligands). tfs: activities (B, TFs), nan where not measured. Raises InputError as
        `read` does.
        """
        tables = (
            FrameTable(ligands, "the ligand table", index_name="condition"),
            FrameTable(tfs, "the TF table", index_name="condition"),
        )
        return cls(**joined(*(levels_of(table) for table in tables)))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what to mind: the remarks, and what the values show."""
        return (*self.remarks, *self.oddities.values())

    @cached_property
    def oddities(self) -> dict[str, str]:
        """What the values show, a sentence for each kind of `condition_notes`."""
        return notes_on(self)

    def to_frames(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        """Ligand levels and TF activities, indexed by condition: what `from_frames` reads back."""
        import pandas as pd

        index = pd.Index(self.names, dtype=object)
        return (
            pd.DataFrame(self.ligand_levels.copy(), index=index, columns=list(self.ligands)),
            pd.DataFrame(self.tf_activities.copy(), index=index, columns=list(self.tfs)),
        )

    def to_csv(self, ligands_path: str | os.PathLike, tfs_path: str | os.PathLike) -> None:
        """Write both tables, with tabs where the path ends in .tsv, else with commas.

        ligands_path, tfs_path: as `read` takes them. Raises InputError for a path that cannot be written.
        """
        check_path("ligands_path", ligands_path)
        check_path("tfs_path", tfs_path)
        for frame, path in zip(self.to_frames(), (ligands_path, tfs_path), strict=True):
            with output_file(path) as temporary:
                frame.to_csv(temporary, sep="\t" if Path(path).suffix.lower() == ".tsv" else ",")

    @property
    def num_conditions(self) -> int:
        """The number of conditions B."""
        return len(self.names)

    @cached_property
    def position(self) -> dict[str, int]:
        """The index of each condition name."""
        return {name: n for n, name in enumerate(self.names)}

    def select(self, which: Sequence[str] | Sequence[int] | np.ndarray) -> "Conditions":
        """Some of the conditions, in this order.

        which: their names, or their indices. Raises InputError for an unknown name, an index out of range,
        a repeat, and an empty selection.
        """
        return self._rows(self._indices(which, "select"))

    def without(
        self, which: "Sequence[str] | Sequence[int] | np.ndarray | Conditions"
    ) -> "Conditions":
        """The conditions but for some.

        which: their names, their indices, or Conditions. Raises InputError as `select` does, and where none
        is left. That values of those left out lie outside of what models expect stands in the notes of what
        is left.
        """
        if isinstance(which, Conditions):
            which = which.names
        out = self._indices(which, "held_out")
        left = np.setdiff1d(np.arange(self.num_conditions), out)
        if len(left) == 0:
            raise InputError("every condition is held out; leave some to train on")
        rest = self._rows(left)
        lost = [
            f"of all conditions: {self.oddities[kind]}"
            for kind in (OUTSIDE, NEGATIVE)
            if kind in self.oddities and kind not in rest.oddities
        ]
        return replace(rest, remarks=(*rest.remarks, *lost))

    def _indices(self, which: Any, argument: str) -> np.ndarray:
        """The conditions that a caller names or numbers, as indices."""
        if isinstance(which, str):
            which = [which]
        given = listing(argument, which, "condition names or integers", "['control'] or [0, 3]")
        if all(isinstance(one, str) for one in given):
            unknown = [str(name) for name in given if name not in self.position]
            if unknown:
                raise InputError(
                    f"there is no condition {listed(unknown, self.names)}; choose from the "
                    f"{self.num_conditions} condition names"
                )
            given = [self.position[name] for name in given]
        whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in given)
        if not given or not whole:
            raise InputError(
                f"{argument} needs a list of condition names or integers, not {quoted(which, 80)}"
            )
        bad = next((n for n in given if not 0 <= n < self.num_conditions), None)
        if bad is not None:
            raise InputError(
                f"there is no condition number {bad}; they are numbered 0 to {self.num_conditions - 1}"
            )
        chosen = np.array(given, dtype=int)
        if len(np.unique(chosen)) < len(chosen):
            values, counts = np.unique(chosen, return_counts=True)
            twice = [self.names[n] for n in values[counts > 1]]
            raise InputError(f"{argument} names {listed(twice)} more than once; name each once")
        return chosen

    def _rows(self, chosen: np.ndarray) -> "Conditions":
        return replace(
            self,
            names=tuple(self.names[n] for n in chosen),
            ligand_levels=self.ligand_levels[chosen],
            tf_activities=self.tf_activities[chosen],
        )

    def matched(self, prior: PriorNetwork) -> "Conditions":
        """Only the ligands and TFs that are nodes of the prior network, in the order of the tables.

        The codes left out stand in `notes`, with counts. Raises InputError when no ligand or no TF is
        a node, with the nearest node names, or with the columns of the table whose names fit.
        """
        prior = prior_of(prior, self)
        remarks, kept = list(self.remarks), []
        for kind, codes in (("ligand", self.ligands), ("TF", self.tfs)):
            is_node = np.array([code in prior.position for code in codes], dtype=bool)
            unknown = [code for code in codes if code not in prior.position]
            if not is_node.any():
                raise InputError(
                    f"none of the {len(codes)} {kind}s is a node of the prior network: "
                    f"{listed(unknown, prior.names)}; {_mend(prior, codes, kind)}"
                )
            if unknown:
                remarks.append(
                    f"{len(unknown)} of {len(codes)} {kind}s "
                    f"{'is' if len(unknown) == 1 else 'are'} not in the prior network and left out: "
                    f"{listed(unknown, shown=SHOWN)}"
                )
            kept.append(is_node)
        return replace(
            self,
            ligands=tuple(np.array(self.ligands, dtype=object)[kept[0]]),
            tfs=tuple(np.array(self.tfs, dtype=object)[kept[1]]),
            ligand_levels=self.ligand_levels[:, kept[0]],
            tf_activities=self.tf_activities[:, kept[1]],
            remarks=tuple(remarks),
        )

    def describe(self) -> str:
        """One line: how many conditions, ligands and TFs, and how many values were not measured."""
        line = f"{self.num_conditions} conditions, {len(self.ligands)} ligands, {len(self.tfs)} TFs"
        missing = int(np.isnan(self.tf_activities).sum())
        return f"{line}, {missing} TF activities not measured" if missing else line

    def __repr__(self) -> str:
        return f"Conditions({self.describe()})"


def conditions_of(value: Any, argument: str = "conditions") -> Conditions:
    """Conditions as they are, or in two paths or two DataFrames: ligand levels and TF activities."""
    if isinstance(value, Conditions):
        return value
    if isinstance(value, tuple | list) and len(value) == 2:
        if all(isinstance(one, str | os.PathLike) for one in value):
            return Conditions.read(*value)
        if all(is_frame(one) for one in value):
            return Conditions.from_frames(*value)
    raise InputError(
        f"{argument} is {kind_of(value)}; give Conditions, such as Conditions.read(ligands_path, tfs_path) "
        "or Conditions.from_frames(ligands, tfs), or the pair of paths or DataFrames"
    )


def _mend(prior: PriorNetwork, codes: Sequence[str], kind: str) -> str:
    """What to do about names that are no nodes: other columns of the table may hold them."""
    fits = [(len(set(codes) & names), a, b) for a, b, names in prior.other_ends]
    if not fits:
        return "use the node names of the network"
    count, a, b = max(fits, key=lambda one: one[0])
    if not count:
        others = ", ".join(f"{a!r} and {b!r}" for _, a, b in fits[:3])
        return f"use the node names of the network, or those of its columns {others}"
    return (
        f"{count} of them {'is a node' if count == 1 else 'are nodes'} in the columns {a!r} and {b!r} of "
        f"its table: read it with columns=({a!r}, {b!r}), or with conditions=, which chooses by names"
    )
