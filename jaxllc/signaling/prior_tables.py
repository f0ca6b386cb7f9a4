"""The tables a signed prior network comes in, read to one list of edges with two flags each.

Known by their columns: source,target,stimulation,inhibition; OmniPath's consensus_... and is_...;
source,interaction,target and Node1,Sign,Node2 as of CARNIVAL; sender,receiver[,weight or sign]; and
SIF files, which have no header: source, interaction, one or more targets.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxllc.csv_table import LabelledTable
from jaxllc.errors import InputError, listed, nearest_match
from jaxllc.file_text import read_text
from jaxllc.frame_table import FrameTable
from jaxllc.table import Table

_SENDER = ("source", "sender", "node1", "from", "source_genesymbol")
_RECEIVER = ("target", "receiver", "node2", "to", "target_genesymbol")
_FLAGS = (
    ("consensus_stimulation", "consensus_inhibition"),
    ("is_stimulation", "is_inhibition"),
    ("stimulation", "inhibition"),
)
_DIRECTED = ("is_directed", "direction", "consensus_direction")
_SIGN = ("sign", "interaction")
_HARMLESS = (*_SENDER, *_RECEIVER, *_DIRECTED, "", "sources", "references")
_LAYOUTS = (
    "source,target,stimulation,inhibition; source,target,is_stimulation,is_inhibition; "
    "source,interaction,target; Node1,Sign,Node2; sender,receiver[,weight or sign]; "
    "or a SIF file without a header"
)
_TRUTH = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
_SIGN_OF_WORD = {
    **dict.fromkeys(("1", "+1", "1.0", "+", "->", "-->", "→", "activates", "activate"), 1),
    **dict.fromkeys(("activation", "stimulates", "stimulation", "induces", "increases"), 1),
    **dict.fromkeys(("positive", "up-regulates", "upregulates"), 1),
    **dict.fromkeys(("-1", "-1.0", "−1", "-", "-|", "--|", "⊣", "inhibits", "inhibit"), -1),
    **dict.fromkeys(("inhibition", "represses", "repression", "suppresses", "decreases"), -1),
    **dict.fromkeys(("negative", "down-regulates", "downregulates"), -1),
    **dict.fromkeys(("", "0", "0.0", "na", "n/a", "nan", "none", "null", "?", "--", "unknown"), 0),
    **dict.fromkeys(("unsigned", "directed", "interacts", "interacts-with", "binds"), 0),
    **dict.fromkeys(("binding", "regulates", "pp", "pd"), 0),  # pp, pd: the usual words of SIF
}


class EdgeRows(NamedTuple):
    """The edges of a table, one entry per row and target, before repeated edges are merged.

    senders, receivers, sources: text (R,). stimulation, inhibition: bool (R,). place: where entry r
    stands, such as "row 5". notes: what reading left out.
    """

    senders: np.ndarray
    receivers: np.ndarray
    stimulation: np.ndarray
    inhibition: np.ndarray
    sources: np.ndarray
    place: Callable[[int], str]
    notes: tuple[str, ...] = ()


def read_edge_rows(path: str | os.PathLike) -> EdgeRows:
    """The rows of a table or SIF file of edges; InputError for one that cannot be read."""
    path, text = Path(path), read_text(path)
    first = next((line for line in text.split("\n", 20) if line.strip()), "")
    cells = first.split("\t") if "\t" in first else first.split()
    starts_with_edge = (
        len(cells) >= 3 and cells[1].strip() != "" and _sign_of_word(cells[1]) is not None
    )
    if path.suffix.lower() == ".sif" or starts_with_edge:
        return _read_sif(path, text)
    table = LabelledTable(path, text)
    return _edge_rows(table, lambda row: f"row {table.rows[row]}")


def frame_edge_rows(frame: pd.DataFrame, place: str) -> EdgeRows:
    """The rows of a DataFrame with the columns of one of the tables; `place` names it in errors."""
    table = FrameTable(frame, place)
    return _edge_rows(table, lambda row: f"{table.row_name(row)}")


def _edge_rows(table: Table, place: Callable[[int], str]) -> EdgeRows:
    sender, receiver = table.find(*_SENDER), table.find(*_RECEIVER)
    flags = next((pair for pair in _FLAGS if table.find(pair[0]) and table.find(pair[1])), None)
    sign, weight = table.find(*_SIGN), table.find("weight")
    odd = [name for name in table.header if name.lower() not in _HARMLESS]
    if sender is None or receiver is None or (odd and not (flags or sign or weight)):
        raise InputError(
            f"{table.path} has the columns {listed(table.header, shown=12)}, but a prior network "
            f"needs one of these sets: {_LAYOUTS}"
        )
    directed, sources = table.find(*_DIRECTED), table.find("sources")
    columns = [table.find(name) for name in flags or ()] or [sign or weight]
    table.load(sender, receiver, directed, sources, *columns)
    senders, receivers = _node_names(table, sender), _node_names(table, receiver)
    if flags:
        stimulation, inhibition = (_flags(table, str(name)) for name in columns)
    else:
        signs = np.zeros(len(senders), dtype=int)
        if columns[0] is not None:
            reader = _sign_of_word if sign else _sign_of_weight
            mend = "write 1, -1 or 0 (unknown)" if sign else "write a number, or nothing if unknown"
            signs = _mapped(table.cells(columns[0]), reader, table, columns[0], mend)
        stimulation, inhibition = signs > 0, signs < 0
    texts = np.full(len(senders), "", dtype=object) if sources is None else table.cells(sources)
    rows = EdgeRows(senders, receivers, stimulation, inhibition, texts, place)
    return rows if directed is None else _only_directed(rows, _flags(table, directed), table)


def _only_directed(rows: EdgeRows, directed: np.ndarray, table: Table) -> EdgeRows:
    undirected = len(directed) - int(directed.sum())
    if undirected == 0:
        return rows
    if undirected == len(directed):
        raise InputError(
            f"{table.path} has only undirected edges; give edges whose column "
            f"{table.find(*_DIRECTED)!r} is 1"
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
        (note,),
    )


def _node_names(table: Table, column: str) -> np.ndarray:
    names = table.cells(column)
    empty = names == ""
    if empty.any():
        raise InputError(
            f"{table.place(int(empty.argmax()), column)} is empty; name the node or remove the row"
        )
    return names


def _flags(table: Table, column: str) -> np.ndarray:
    mend = "write 1 or 0 (True and False do as well)"
    flags = _mapped(table.cells(column), lambda c: _TRUTH.get(c.lower()), table, column, mend)
    return flags.astype(bool)


def _mapped(
    cells: np.ndarray,
    value: Callable[[str], int | None],
    table: Table,
    column: str,
    mend: str,
) -> np.ndarray:
    """The number of each cell, int (R,); a cell whose value is None raises InputError."""
    codes, found = pd.factorize(cells)
    values = [value(cell) for cell in found]
    if None in values:
        row = int(np.isin(codes, [n for n, known in enumerate(values) if known is None]).argmax())
        cell = cells[row]
        what = "is empty" if cell == "" else f"{cell!r} is not understood{_near_word(cell)}"
        colon = " " if cell == "" else ": "
        raise InputError(f"{table.place(row, column)}{colon}{what}; {mend}")
    return np.array(values, dtype=int)[codes]


def _near_word(cell: str) -> str:
    """The interaction name that is nearest, unless the cell is too short to say."""
    return nearest_match(cell, (word for word in _SIGN_OF_WORD if len(word) > 3))


def _sign_of_word(cell: str) -> int | None:
    return _SIGN_OF_WORD.get("-".join(cell.lower().replace("_", " ").split()))


def _sign_of_weight(cell: str) -> int | None:
    if _SIGN_OF_WORD.get(cell.lower()) == 0:
        return 0
    try:
        weight = float(cell)
    except ValueError:
        return None
    return None if not math.isfinite(weight) else (weight > 0) - (weight < 0)


def _read_sif(path: Path, text: str) -> EdgeRows:
    """A SIF file; tabs separate the cells if there are any, else blanks do (as in Cytoscape)."""
    lines = text.split("\n")
    separator = "\t" if any("\t" in line for line in lines) else None
    senders, words, receivers, rows = [], [], [], []
    alone = 0
    for row, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.rstrip().split(separator)]
        if not any(cells):
            continue
        if len(cells) == 1:
            alone += 1
            continue
        if len(cells) == 2 or "" in (cells[0], *cells[2:]):
            raise InputError(
                f"{path}, row {row}: {line.strip()!r} is not an edge; write source, interaction and "
                f"target, separated by {'tabs' if separator else 'blanks'}"
            )
        sign = _sign_of_word(cells[1])
        if sign is None:
            raise InputError(
                f"{path}, row {row}, column 'interaction' (the second): {cells[1]!r} is not "
                f"understood{_near_word(cells[1])}; write activates, inhibits or unknown"
            )
        for receiver in cells[2:]:
            senders.append(cells[0])
            words.append(sign)
            receivers.append(receiver)
            rows.append(row)
    if not rows:
        raise InputError(f"{path} has no edge; write source, interaction and target in each row")
    signs = np.array(words)
    return EdgeRows(
        np.array(senders, dtype=object),
        np.array(receivers, dtype=object),
        signs > 0,
        signs < 0,
        np.full(len(rows), "", dtype=object),
        lambda entry: f"row {rows[entry]}",
        (f"nodes that stand alone in a row were left out: {alone}",) if alone else (),
    )
