"""Conditions: which ligands were given, and how active the transcription factors (TFs) became.

One table holds the ligand levels and one the TF activities, a row per condition and a column per node
of the prior network (as published with Nilsson et al., Nature Communications 13, 2022).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxllc.errors import InputError, listed

if TYPE_CHECKING:
    import pandas as pd

    from jaxllc.signaling.prior_network import PriorNetwork
    from jaxllc.table import Table

_SHOWN = 20
_SHOWN_CODES = 1000


@dataclass(frozen=True, eq=False, repr=False)
class Conditions:
    """Ligand levels and TF activities of B conditions, in the order of the ligand table.

    names: B condition names, unique. ligands, tfs: node names of the inputs and of the outputs.
    ligand_levels: float64 (B, ligands), never nan. tf_activities: float64 (B, TFs), 1 is fully active,
    nan was not measured. notes: what reading reported, a sentence each.

    Example: `Conditions.read("macrophage-Ligands.tsv", "macrophage-TFs.tsv").matched(prior)`.
    """

    names: tuple[str, ...]
    ligands: tuple[str, ...]
    tfs: tuple[str, ...]
    ligand_levels: np.ndarray
    tf_activities: np.ndarray
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, ligands_path: str | os.PathLike, tfs_path: str | os.PathLike) -> "Conditions":
        """The conditions in two tables whose first column holds their names; its header may be empty.

        Commas, semicolons or tabs separate the cells. An empty TF cell was not measured. Conditions of
        one table only are left out and reported in `notes`. Raises InputError for a ligand level that
        is missing, text, an infinite value, a repeated condition or column, and no common condition.
        """
        from jaxllc.csv_table import LabelledTable

        return _joined(levels_of(LabelledTable(ligands_path)), levels_of(LabelledTable(tfs_path)))

    @classmethod
    def from_frames(cls, ligands: "pd.DataFrame", tfs: "pd.DataFrame") -> "Conditions":
        """The conditions in two DataFrames: the index holds their names, the columns the nodes."""
        from jaxllc.frame_table import FrameTable

        return _joined(
            levels_of(FrameTable(ligands, "the ligand table", index_name="condition")),
            levels_of(FrameTable(tfs, "the TF table", index_name="condition")),
        )

    def to_frames(self) -> "tuple[pd.DataFrame, pd.DataFrame]":
        """Ligand levels and TF activities, indexed by condition: what `from_frames` reads back."""
        import pandas as pd

        index = pd.Index(self.names, dtype=object)
        return (
            pd.DataFrame(self.ligand_levels.copy(), index=index, columns=list(self.ligands)),
            pd.DataFrame(self.tf_activities.copy(), index=index, columns=list(self.tfs)),
        )

    def to_csv(self, ligands_path: str | os.PathLike, tfs_path: str | os.PathLike) -> None:
        """Write both tables, with tabs where the path ends in .tsv, else with commas."""
        from jaxllc.output_file import output_file

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
        """Some of the conditions, by names or by indices, in this order; without the notes.

        Raises InputError for an unknown name, an index out of range, a repeat, and an empty selection.
        """
        chosen = np.asarray([which] if isinstance(which, str) else which)
        if chosen.size and chosen.dtype.kind in "OUST":
            unknown = [str(name) for name in chosen if str(name) not in self.position]
            if unknown:
                raise InputError(
                    f"there is no condition {listed(unknown, self.names)}; choose from the "
                    f"{self.num_conditions} condition names"
                )
            chosen = np.array([self.position[str(name)] for name in chosen])
        if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
            raise InputError(
                f"select needs a list of condition names or integers, not {which!r:.80}"
            )
        if chosen.min() < 0 or chosen.max() >= self.num_conditions:
            bad = int(chosen[(chosen < 0) | (chosen >= self.num_conditions)][0])
            raise InputError(
                f"there is no condition number {bad}; they are numbered 0 to {self.num_conditions - 1}"
            )
        if len(np.unique(chosen)) < len(chosen):
            values, counts = np.unique(chosen, return_counts=True)
            twice = [self.names[n] for n in values[counts > 1]]
            raise InputError(f"select names {listed(twice)} more than once; name each once")
        return _conditions(
            tuple(self.names[n] for n in chosen),
            self.ligands,
            self.tfs,
            self.ligand_levels[chosen],
            self.tf_activities[chosen],
            (),
        )

    def matched(self, prior: "PriorNetwork") -> "Conditions":
        """Only the ligands and TFs that are nodes of the prior network, in the order of the tables.

        The codes left out stand in `notes`, with counts. Raises InputError when no ligand or no TF is
        a node, with the nearest node names.
        """
        notes, kept = list(self.notes), []
        for kind, codes in (("ligand", self.ligands), ("TF", self.tfs)):
            is_node = np.array([code in prior.position for code in codes])
            unknown = [code for code in codes if code not in prior.position]
            if not is_node.any():
                raise InputError(
                    f"none of the {len(codes)} {kind}s is a node of the prior network: "
                    f"{listed(unknown, prior.names)}; use the node names of the network"
                )
            if unknown:
                notes.append(
                    f"{len(unknown)} of {len(codes)} {kind}s "
                    f"{'is' if len(unknown) == 1 else 'are'} not in the prior network and left out: "
                    f"{listed(unknown, shown=_SHOWN_CODES)}"
                )
            kept.append(is_node)
        levels, activities = self.ligand_levels[:, kept[0]], self.tf_activities[:, kept[1]]
        alike = _alike_note(self.names, levels)
        if alike and not kept[0].all() and alike not in notes:
            notes.append(alike)
        ligands, tfs = np.array(self.ligands, dtype=object), np.array(self.tfs, dtype=object)
        return _conditions(
            self.names,
            tuple(ligands[kept[0]]),
            tuple(tfs[kept[1]]),
            levels,
            activities,
            tuple(notes),
        )

    def describe(self) -> str:
        """One line: how many conditions, ligands and TFs, and how many values were not measured."""
        line = f"{self.num_conditions} conditions, {len(self.ligands)} ligands, {len(self.tfs)} TFs"
        missing = int(np.isnan(self.tf_activities).sum())
        return f"{line}, {missing} TF activities not measured" if missing else line

    def __repr__(self) -> str:
        return f"Conditions({self.describe()})"


class Levels(NamedTuple):
    """One table: condition names, node names, and values float64 (conditions, nodes)."""

    names: list[str]
    nodes: list[str]
    values: np.ndarray
    table: "Table"

    def place(self, condition: int, node: int) -> str:
        """Where a value stands, in the words of an error."""
        return f"{self.table.place(condition, self.nodes[node])}"


def levels_of(table: "Table") -> Levels:
    """The values of a table whose first column holds condition names, nan where a cell is empty.

    Raises InputError for a table without values, a condition without a name or twice, and text.
    """
    label, *nodes = table.header
    if not nodes:
        raise InputError(
            f"{table.path} has only one column; it needs the condition names and a column per node, "
            "separated by commas, semicolons or tabs"
        )
    table.load(label)
    names = [str(name) for name in table.cells(label)]
    if "" in names:
        row = names.index("")
        raise InputError(f"{table.place(row, label)} is empty; name the condition")
    rows_of: dict[str, list] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(table.rows[row])
    for name, rows in rows_of.items():
        if len(rows) > 1:
            where = "" if rows[0] == name else f" in rows {', '.join(str(row) for row in rows)}"
            raise InputError(
                f"{table.path} has the condition {name!r} {len(rows)} times{where}; name each "
                "condition once, or average its rows"
            )
    return Levels(names, nodes, table.matrix(nodes), table)


def _joined(ligands: Levels, tfs: Levels) -> Conditions:
    """The conditions that both tables hold, with notes on everything a user should know of."""
    missing = np.isnan(ligands.values)
    if missing.any():
        raise InputError(
            f"{ligands.place(*_first(missing))} is empty; write 0 for a ligand that was not given"
        )
    in_tfs = {name: row for row, name in enumerate(tfs.names)}
    in_ligands = set(ligands.names)
    names = tuple(name for name in ligands.names if name in in_tfs)
    if not names:
        raise InputError(
            f"{ligands.table.path} and {tfs.table.path} have no condition in common: the first holds "
            f"{listed(ligands.names, tfs.names)} and the second {listed(tfs.names)}; give both the "
            "same condition names"
        )
    notes = []
    for lone, here, there in (
        ([name for name in ligands.names if name not in in_tfs], ligands, tfs),
        ([name for name in tfs.names if name not in in_ligands], tfs, ligands),
    ):
        if lone:
            notes.append(
                f"{len(lone)} of {len(here.names)} conditions of {here.table.path} "
                f"{'is' if len(lone) == 1 else 'are'} not in {there.table.path} and left out: "
                f"{listed(lone, shown=_SHOWN)}"
            )
    tf_rows = np.array([in_tfs[name] for name in names])
    activities = tfs.values[tf_rows]
    ligand_rows = [row for row, name in enumerate(ligands.names) if name in in_tfs]
    levels = ligands.values[ligand_rows]
    measured = ~np.isnan(activities)
    if not measured.any():
        raise InputError(
            f"{tfs.table.path} holds no measured value of the conditions in common; fill in the TF "
            "activities"
        )
    outside = (activities < 0) | (activities > 1)
    if outside.any():
        condition, tf = _first(outside)
        notes.append(
            f"{int(outside.sum())} of {int(measured.sum())} TF activities lie outside [0, 1], from "
            f"{np.nanmin(activities):g} to {np.nanmax(activities):g}, the first "
            f"{activities[condition, tf]:g} in {tfs.place(int(tf_rows[condition]), tf)}; the model "
            "expects 0 (inactive) to 1 (fully active), so scale them if they are not"
        )
    if (levels < 0).any():
        condition, ligand = _first(levels < 0)
        notes.append(
            f"{int((levels < 0).sum())} ligand levels are negative, the first "
            f"{levels[condition, ligand]:g} in {ligands.place(ligand_rows[condition], ligand)}; a "
            "level is 0 where the ligand was not given"
        )
    for axis, kind, known in ((0, "TF", tfs.nodes), (1, "condition", list(names))):
        never = [known[n] for n in np.flatnonzero(~measured.any(axis=axis))]
        if never:
            noun = kind if len(never) == 1 else f"{kind}s"
            notes.append(
                f"{len(never)} {noun} without any measured value: {listed(never, shown=_SHOWN)}"
            )
    alike = _alike_note(names, levels)
    if alike:
        notes.append(alike)
    return _conditions(
        names, tuple(ligands.nodes), tuple(tfs.nodes), levels, activities, tuple(notes)
    )


def _alike_note(names: Sequence[str], levels: np.ndarray) -> str:
    """A sentence that lists the conditions with the same ligand levels, or an empty string."""
    _, group = np.unique(levels, axis=0, return_inverse=True)
    group = group.reshape(-1)
    sets = [np.flatnonzero(group == g) for g in np.flatnonzero(np.bincount(group) > 1)]
    if not sets:
        return ""
    sets.sort(key=lambda rows: int(rows[0]))
    shown = [f"{{{listed([names[int(n)] for n in rows], shown=_SHOWN)}}}" for rows in sets[:_SHOWN]]
    more = f" and {len(sets) - _SHOWN} more sets" if len(sets) > _SHOWN else ""
    return (
        "conditions with the same ligand levels, which no model can tell apart: "
        f"{', '.join(shown)}{more}"
    )


def _first(where: np.ndarray) -> tuple[int, int]:
    """The row and column of the first true entry."""
    row, column = np.unravel_index(int(where.argmax()), where.shape)
    return int(row), int(column)


def _conditions(
    names: tuple[str, ...],
    ligands: tuple[str, ...],
    tfs: tuple[str, ...],
    ligand_levels: np.ndarray,
    tf_activities: np.ndarray,
    notes: tuple[str, ...],
) -> Conditions:
    for array in (ligand_levels, tf_activities):
        array.flags.writeable = False
    return Conditions(names, ligands, tfs, ligand_levels, tf_activities, notes)
