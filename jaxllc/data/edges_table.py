"""A network out of a table of edges; a table of another kind is named as what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxllc.data.edge_arrays import EdgeArrays, checked_edges, index_names
from jaxllc.data.reverse_edges import with_reverse_edges
from jaxllc.errors import InputError, listed, quoted
from jaxllc.tables.csv_table import CsvTable
from jaxllc.tables.frame_table import table_of
from jaxllc.tables.matrix_table import check_not_matrix
from jaxllc.tables.states_header import RECEIVER, SENDER, TIME
from jaxllc.tables.table import Table

# What Gephi writes beside the ends, the type and the weight of an edge.
_UNUSED = ("id", "label", "timeset", "interval")
_TYPES = ("directed", "undirected")


def read_edge_arrays(
    source: Any, signed: bool = False, names: Sequence[str] | None = None, undirected: bool = False
) -> EdgeArrays:
    """The edges in a file or a DataFrame; see `jaxllc.read_edges`."""
    table = table_of(
        source,
        (*SENDER, *RECEIVER),
        "Network.from_edges(*zip(*pairs)) takes pairs (sender, receiver), Network.from_adjacency(A) a matrix",
    )
    return edges_of(table, signed, names, undirected)


def edges_of(
    table: Table, signed: bool, names: Sequence[str] | None, undirected: bool = False
) -> EdgeArrays:
    """The edges of a table whose header has not been checked yet; `names` fixes the nodes and their order.

    Raises InputError for a table of another kind, and for what `Network.from_edges` rejects, with the row.
    """
    if isinstance(table, CsvTable):
        table.drop_index()
    sender, receiver = _ends(table)
    kind = _kind_column(table, sender, receiver)
    weight = table.find("weight")
    table.load(sender, receiver, kind)
    weights = None if weight is None else table.numbers(weight, "every edge needs its weight")
    if kind is not None:
        undirected = _is_undirected(table, kind) or undirected
    try:
        ordered, senders, receivers = index_names(table.text(sender), table.text(receiver), names)
    except InputError as error:
        raise InputError(f"{table.path}: {error}") from error
    edges = checked_edges(
        senders,
        receivers,
        weights,
        ordered,
        signed,
        place=lambda e: f"{table.path}, {table.row_name(e)}",
    )
    edges = edges._replace(notes=(*table.notes, *edges.notes))
    return with_reverse_edges(edges) if undirected else edges


def _ends(table: Table) -> tuple[str, str]:
    """The sender and the receiver column, a pair whose names belong together."""
    for ends in zip(SENDER, RECEIVER, strict=True):
        sender, receiver = (table.find(name) for name in ends)
        if sender is not None and receiver is not None:
            table.check_header()
            return sender, receiver
    sender, receiver = table.find(*SENDER), table.find(*RECEIVER)
    if sender is not None and receiver is not None:
        table.check_header()
        return sender, receiver
    check_not_matrix(table, "edges")
    table.check_header()
    if table.find(*TIME) is not None and not {"s", "t"} <= set(table.header):
        raise InputError(
            f"{table.path} is a table of states (it has a column 'time'), not of edges: the two files look "
            "swapped, states come first and edges second"
        )
    columns = listed(table.header, ["sender", "receiver", "weight"])
    more = ""
    if len(table.header) in (2, 3):
        more = (
            "; if its first row is an edge already, put that header above it, else call the columns of the "
            "two ends so"
        )
    elif len(table.header) > 3:
        more = "; call the two that hold the ends of an edge so"
    raise InputError(
        f"{table.path} must start with the header sender,receiver[,weight], but its columns are "
        f"{columns}{more}"
    )


def _kind_column(table: Table, sender: str, receiver: str) -> str | None:
    """Gephi's column Type, or None; a column that is not understood raises InputError."""
    known = (sender, receiver, table.find("weight"), table.find("type"))
    extra = [name for name in table.header if name not in known]
    odd = [name for name in extra if name.lower() not in _UNUSED]
    if odd:
        raise InputError(
            f"{table.path} has the column {listed(odd, ['weight'])}, which is not understood; "
            "name it weight if it holds the weights, else remove it"
        )
    return table.find("type")


def _is_undirected(table: Table, column: str) -> bool:
    """Whether the edges are undirected, by Gephi's column Type, which must be one for all."""
    cells = table.text(column)
    kinds = [str(cell).lower() for cell in cells]
    wanted = kinds[0] if kinds[0] in _TYPES else _TYPES[0]
    row = next((row for row, kind in enumerate(kinds) if kind != wanted), None)
    if row is not None:
        raise InputError(
            f"{table.place(row, column)} is {quoted(cells[row], 60)}, but all edges must be {wanted}; write "
            "each undirected edge as two directed ones, or remove the column"
        )
    return wanted == "undirected"
