"""The tables a signed prior network comes in, read to one list of edges with two flags each.

Known by their columns, which `edge_columns` lists: source,target,stimulation,inhibition; OmniPath's
consensus_... and is_...; source,interaction,target and Node1,Sign,Node2 as of CARNIVAL; those of SIGNOR,
CollecTRI, NicheNet; sender,receiver[,weight or sign]; and SIF files, which have no header: source,
interaction, one or more targets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError
from jaxllc.files.file_text import read_text
from jaxllc.signaling.network.edge_columns import (
    PAIRS,
    Ends,
    check_columns,
    chosen_ends,
    column_key,
    columns_of,
    given_ends,
)
from jaxllc.signaling.network.edge_rows import EdgeRows
from jaxllc.signaling.network.edge_signs import flags_of, signs_of
from jaxllc.signaling.network.sif_file import read_sif
from jaxllc.signaling.network.sign_words import sign_of_word
from jaxllc.tables.csv_table import LabelledTable
from jaxllc.tables.frame_table import FrameTable
from jaxllc.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd


def read_edge_rows(
    path: str | os.PathLike, wanted: Collection[str] = (), columns: Any = None
) -> EdgeRows:
    """The rows of a table or SIF file of edges; InputError for one that cannot be read.

    wanted: names of nodes that tell which columns are the ends. columns: the ends themselves.
    """
    path, text = Path(path), read_text(path)
    first = next((line for line in text.split("\n", 20) if line.strip()), "")
    cells = first.split("\t") if "\t" in first else first.split()
    starts_with_edge = (
        len(cells) >= 3
        and cells[1].strip() != ""
        and sign_of_word(cells[1]) is not None
        and not columns_of([cell.strip() for cell in cells]).pairs
    )
    if path.suffix.lower() == ".sif" or starts_with_edge:
        return read_sif(path, text)
    table = LabelledTable(path, text)
    return _edge_rows(table, lambda row: f"row {table.rows[row]}", wanted, columns)


def frame_edge_rows(
    frame: pd.DataFrame, place: str, wanted: Collection[str] = (), columns: Any = None
) -> EdgeRows:
    """The rows of a DataFrame with the columns of one of the tables; `place` names it in errors."""
    table = FrameTable(frame, place)
    return _edge_rows(table, lambda row: f"{table.row_name(row)}", wanted, columns)


def _edge_rows(
    table: Table, place: Callable[[int], str], wanted: Collection[str], given: Any
) -> EdgeRows:
    columns = columns_of(table.header)
    if given is not None:
        ends = given_ends(columns.pairs, given, table.header, table.path)
        columns = columns._replace(pairs=[ends, *(p for p in columns.pairs if p != ends)])
    check_columns(table.path, table.header, columns)
    table.load(*columns.all)
    nodes = [_nodes_of(table, pair) for pair in columns.pairs]
    number = chosen_ends(columns.pairs, nodes, wanted) if given is None else 0
    ends = columns.pairs[number]
    senders, receivers = (_node_names(table, name) for name in ends)
    notes = list(table.notes)
    if (column_key(ends.sender), column_key(ends.receiver)) not in PAIRS and given is None:
        notes.append(
            f"the ends of the edges are the columns {ends}, which are no usual pair; if they are others, "
            "name them as columns="
        )
    if number:
        first, fits = columns.pairs[0], [len(set(wanted) & names) for names in nodes]
        notes.append(
            f"the ends of the edges are the columns {ends}, whose nodes are {fits[number]} of the "
            f"{len(set(wanted))} ligands and TFs; those of {first} are {fits[0]}"
        )
    stimulation, inhibition, said = signs_of(table, columns, len(senders))
    sources = columns.sources if columns.sources not in ends else None
    texts = np.full(len(senders), "", dtype=object) if sources is None else table.cells(sources)
    others = tuple(
        (*pair, names)
        for n, (pair, names) in enumerate(zip(columns.pairs, nodes, strict=True))
        if n != number
    )
    rows = EdgeRows(
        senders, receivers, stimulation, inhibition, texts, place, (*notes, *said), others
    )
    if columns.directed is None:
        return rows
    return _only_directed(rows, flags_of(table, columns.directed), table, columns.directed)


def _nodes_of(table: Table, ends: Ends) -> frozenset[str]:
    import pandas as pd

    return frozenset(pd.unique(np.concatenate([table.cells(name) for name in ends]))) - {""}


def _only_directed(rows: EdgeRows, directed: np.ndarray, table: Table, column: str) -> EdgeRows:
    undirected = len(directed) - int(directed.sum())
    if undirected == 0:
        return rows
    if undirected == len(directed):
        raise InputError(
            f"{table.path} has only undirected edges; give edges whose column {column!r} is 1"
        )
    kept = np.flatnonzero(directed)
    first = int((~directed).argmax())
    note = (
        f"{undirected} of {len(directed)} rows are undirected and were left out, the first in "
        f"{rows.place(first)}"
    )
    return EdgeRows(
        rows.senders[kept],
        rows.receivers[kept],
        rows.stimulation[kept],
        rows.inhibition[kept],
        rows.sources[kept],
        lambda row: rows.place(int(kept[row])),
        (*rows.notes, note),
        rows.other_ends,
    )


def _node_names(table: Table, column: str) -> np.ndarray:
    names = table.cells(column)
    empty = names == ""
    if empty.any():
        raise InputError(
            f"{table.place(int(empty.argmax()), column)} is empty; name the node or remove the row"
        )
    return names
