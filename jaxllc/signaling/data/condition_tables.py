"""The two tables that conditions come in, ligand levels and TF activities, read and brought together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxllc.errors import InputError, listed, quoted
from jaxllc.signaling.data.condition_notes import SHOWN, first_place
from jaxllc.signaling.data.condition_record import Origin
from jaxllc.signaling.data.long_table import check_wide
from jaxllc.tables.table import Table

_ROWS = 5  # row numbers in a message


class Levels(NamedTuple):
    """One table: condition names, node names, and values float64 (conditions, nodes)."""

    names: list[str]
    nodes: list[str]
    values: np.ndarray
    table: Table

    def place(self, condition: int, node: int) -> str:
        """Where a value stands, in the words of an error."""
        return f"{self.table.place(condition, self.nodes[node])}"

    @property
    def places(self) -> dict[str, str]:
        """Where the row of each condition stands."""
        return {
            name: f"{self.table.path}, {self.table.row_name(row)}"
            for row, name in enumerate(self.names)
        }


def levels_of(table: Table) -> Levels:
    """The values of a table whose first column holds condition names, nan where a cell is empty.

    Raises InputError for a table without values, a condition without a name or twice, text, and a long table.
    """
    label, *nodes = table.header
    if not nodes:
        raise InputError(
            f"{table.path} has only one column; it needs the condition names and a column per node, "
            "separated by commas, semicolons or tabs"
        )
    table.load(label)
    names = [str(name) for name in table.cells(label)]
    check_wide(table, label, names)
    if "" in names:
        row = names.index("")
        raise InputError(f"{table.place(row, label)} is empty; name the condition")
    rows_of: dict[str, list] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(table.rows[row])
    for name, rows in rows_of.items():
        if len(rows) > 1:
            where = ""
            if rows[0] != name:
                where = f" in rows {', '.join(str(row) for row in rows[:_ROWS])}"
                where += f" and {len(rows) - _ROWS} more" if len(rows) > _ROWS else ""
            raise InputError(
                f"{table.path} has the condition {quoted(name, 80)} {len(rows)} times{where}; name each "
                "condition once, or average its rows"
            )
    return Levels(names, nodes, table.matrix(nodes), table)


def complete(ligands: Levels) -> Levels:
    """The levels as they are; raises InputError where one is left out."""
    missing = np.isnan(ligands.values)
    if missing.any():
        raise InputError(
            f"{ligands.place(*first_place(missing))} is empty; write 0 for a ligand that was not given"
        )
    return ligands


def joined(ligands: Levels, tfs: Levels) -> dict[str, Any]:
    """The fields of `Conditions` that both tables hold, with remarks on what was left out."""
    complete(ligands)
    in_tfs = {name: row for row, name in enumerate(tfs.names)}
    in_ligands = set(ligands.names)
    names = tuple(name for name in ligands.names if name in in_tfs)
    if not names:
        raise InputError(
            f"{ligands.table.path} and {tfs.table.path} have no condition in common: the first holds "
            f"{listed(ligands.names, tfs.names)} and the second {listed(tfs.names)}; "
            f"{_transposed(ligands, tfs) or 'give both the same condition names'}"
        )
    remarks = [*ligands.table.notes, *tfs.table.notes]
    for lone, here, there in (
        ([name for name in ligands.names if name not in in_tfs], ligands, tfs),
        ([name for name in tfs.names if name not in in_ligands], tfs, ligands),
    ):
        if lone:
            remarks.append(
                f"{len(lone)} of {len(here.names)} conditions of {here.table.path} "
                f"{'is' if len(lone) == 1 else 'are'} not in {there.table.path} and left out: "
                f"{listed(lone, shown=SHOWN)}"
            )
    activities = tfs.values[[in_tfs[name] for name in names]]
    if np.isnan(activities).all():
        raise InputError(
            f"{tfs.table.path} holds no measured value of the conditions in common; fill in the TF "
            "activities"
        )
    return {
        "names": names,
        "ligands": tuple(ligands.nodes),
        "tfs": tuple(tfs.nodes),
        "ligand_levels": ligands.values[
            [row for row, n in enumerate(ligands.names) if n in in_tfs]
        ],
        "tf_activities": activities,
        "remarks": tuple(remarks),
        "origin": Origin(ligands.places, tfs.places),
    }


def _transposed(ligands: Levels, tfs: Levels) -> str:
    """What to do where the columns of one table are the rows of the other, or an empty text."""

    def half(columns: Sequence[str], rows: Sequence[str]) -> bool:
        return 2 * len(set(columns) & set(rows)) > min(len(columns), len(rows))

    first, second = half(ligands.nodes, tfs.names), half(tfs.nodes, ligands.names)
    both = half(ligands.nodes, tfs.nodes)
    which = [ligands] * (first or both) + [tfs] * (second or both)
    if not which:
        return ""
    return (
        f"the conditions are the columns of {' and of '.join(str(one.table.path) for one in which)}: "
        "transpose it, so that each row is a condition and each column a node"
    )
