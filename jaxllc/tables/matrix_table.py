"""An adjacency matrix in the place of another table, told by its rows and columns having the same names."""

from __future__ import annotations

from jaxllc.errors import InputError
from jaxllc.tables.number_cells import number
from jaxllc.tables.table import Table


def check_not_matrix(table: Table, wanted: str) -> None:
    """Raises InputError for an adjacency matrix, with or without names, where `wanted` is another table."""
    if len(table.header) < 3:
        return
    first, *rest = table.header
    cells = [str(cell).strip() for cell in table.raw(first)]
    values = [number(cell) for cell in table.head(rest[0])]
    bare = len(cells) + 1 == len(table.header) and all(number(n) is not None for n in table.header)
    named = sorted(cells) == sorted(rest) or (wanted == "edges" and len(rest) == len(cells) > 2)
    square = len(cells) == len(table.header) and set(table.labels()) >= set(table.header)
    if not (bare or named or square) or None in values:
        return
    size = len(cells) + bare
    option = ", header=None" if bare else ", index_col=0"
    call = "frame" if table.is_frame else f"pandas.read_csv(...{option})"
    raise InputError(
        f"{table.path} is an adjacency matrix of {size} nodes, not a table of {wanted}: "
        f"jaxllc.Network.from_adjacency({call}) reads it (A[i, j] is the influence of j on i), and its "
        "to_csv writes the table of edges"
    )
