"""Long tables where wide ones are wanted: a row for each condition and node, known by repeating names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.errors import InputError, listed
from jaxllc.signaling.network.edge_columns import column_key
from jaxllc.tables.number_cells import number
from jaxllc.tables.table import Table

_CONDITION = ("condition", "conditions", "sample", "sample_id", "obs", "experiment", "treatment")
_NODE = (
    *("tf", "tfs", "source", "node", "ligand", "gene", "regulator", "name", "feature", "protein"),
    *("target", "variable", "symbol", "receptor"),
)
_VALUE = (
    *("score", "activity", "value", "level", "levels", "estimate", "nes", "es", "norm", "mean"),
    *("concentration", "dose", "expression"),
)
_LOOKED_AT = 1000  # cells of a column
_MOST_NUMBERS = 4  # columns of numbers of a long table whose first column names rows


def check_wide(table: Table, label: str, names: Sequence[str]) -> None:
    """Raises InputError for a loaded table that is a long one, and says how it is made wide.

    label: the column of the names of the conditions.
    """
    texts = [name for name in table.header if name != label and _is_text(table, name)]
    numbers = [name for name in table.header if name != label and name not in texts]
    if not texts or not numbers:
        return
    repeats = len(set(names)) < len(names)
    if not repeats and (len(texts) < 2 or len(numbers) > _MOST_NUMBERS):
        return
    found = [*([label] if repeats else []), *texts]
    condition = _named(found, _CONDITION) or found[0]
    others = [name for name in found if name != condition]
    if not others:
        return
    node = _named(others, _NODE) or max(others, key=lambda name: len(np.unique(table.cells(name))))
    if len(set(table.cells(condition))) == len(names) and len(set(table.cells(node))) == len(names):
        return
    value = _named(numbers, _VALUE) or numbers[0]
    several = [
        name
        for name in others
        if name != node and len(np.unique(table.cells(name).astype(str))) > 1
    ]
    choose = f", after choosing one of {listed(several)}" if several else ""
    raise InputError(
        f"{table.path} is a long table, with a row for each condition and node; give a wide one, with a row "
        f"for each condition and a column for each node: pivot it{choose}, as frame.pivot(index="
        f"{condition!r}, columns={node!r}, values={value!r}) does in pandas"
    )


def _is_text(table: Table, column: str) -> bool:
    """Whether a loaded column holds text, in one filled cell in two or more."""
    if table.is_numeric(column):
        return False
    cells = [cell for cell in table.cells(column)[:_LOOKED_AT] if cell]
    return 2 * sum(number(cell) is None for cell in cells) >= len(cells) > 0


def _named(header: Sequence[str], known: Sequence[str]) -> str | None:
    by_name = {column_key(name): name for name in reversed(header)}
    return next((by_name[name] for name in known if name in by_name), None)
