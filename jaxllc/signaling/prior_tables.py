"""The tables a signed prior network comes in, read to one list of edges with two flags each.

Known by their columns: source,target,stimulation,inhibition; OmniPath's consensus_... and is_...;
source,interaction,target and Node1,Sign,Node2 as of CARNIVAL; sender,receiver[,weight or sign]; and
SIF files, which have no header: source, interaction, one or more targets.
"""

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxllc.csv_table import MISSING, CsvTable, check_header, first_line, header_cells
from jaxllc.errors import InputError, listed, nearest_match

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


class LabelledTable(CsvTable):
    """A table as pandas and R write it: the first header cell may be empty, and so may what each row
    holds beyond the header.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.header, self._separator = header_cells(first_line(self.path))
        while len(self.header) > 1 and self.header[-1] == "":
            self.header.pop()
        check_header(self.path, self.header, first_may_be_empty=True)

    def _read(self, text: list[int], numeric: list[int]) -> pd.DataFrame:
        try:
            return super()._read(text, numeric)
        except InputError:
            longest = self._longest_row()
            if longest == len(self.header):
                raise
        # Only rows read without the header may be longer than it.
        frame = pd.read_csv(
            self.path,
            sep=self._separator,
            header=None,
            skiprows=1,
            names=list(range(longest)),
            index_col=False,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=dict.fromkeys(numeric, MISSING),
            skip_blank_lines=False,
            skipinitialspace=True,
            low_memory=False,
            encoding="utf-8-sig",
        )
        return frame[list(range(len(self.header)))]

    def _longest_row(self) -> int:
        """The number of cells of the longest row; a filled cell beyond the header raises InputError."""
        longest, width = 0, len(self.header)
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter=self._separator)
                for cells in reader:
                    longest = max(longest, len(cells))
                    extra = [cell for cell in cells[width:] if cell.strip()]
                    if extra:
                        raise InputError(
                            f"{self.path}, row {reader.line_num} holds {extra[0]!r} in cell "
                            f"{cells.index(extra[0], width) + 1}, but the header has {width} cells; "
                            "name every column (names of rows need a cell of the header too, which "
                            "may be empty) or remove the cell"
                        )
        except (csv.Error, UnicodeDecodeError):
            return width
        return max(longest, width)

    def place(self, row: int, column: str) -> str:
        """Where the cell of data row `row` (from 0) stands; the column without a name is number 1."""
        return (
            super().place(row, column) if column else f"{self.path}, row {self.rows[row]}, column 1"
        )

    def cells(self, column: str) -> np.ndarray:
        """A column as text without surrounding blanks, "" where the cell is empty."""
        cells = self._frame[self.header.index(column)]
        filled = cells.astype(object).where(cells.notna(), "")
        return filled.map(lambda cell: str(cell).strip()).to_numpy(dtype=object)


class FrameTable(LabelledTable):
    """A pandas DataFrame in the place of a file; with `index_name` its index is the first column."""

    def __init__(self, frame: pd.DataFrame, place: str, index_name: str | None = None):
        if not isinstance(frame, pd.DataFrame):
            raise InputError(f"{place} must be a pandas DataFrame, not a {type(frame).__name__}")
        self.path = Path(place)
        self.header = [str(name).strip() for name in frame.columns]
        columns = [frame.iloc[:, n] for n in range(frame.shape[1])]
        columns = [c.astype(float) if c.dtype == bool else c for c in columns]
        if index_name is not None:
            self.header.insert(0, index_name if index_name not in self.header else "")
            columns.insert(0, pd.Series(frame.index.astype(object), index=frame.index))
        check_header(self.path, self.header, first_may_be_empty=True)
        self._frame = pd.DataFrame({n: c.reset_index(drop=True) for n, c in enumerate(columns)})
        self.rows = frame.index.to_numpy()

    def load(self, *text_columns: str | None) -> None:
        """The frame holds its data already."""
        if len(self._frame) == 0:
            raise InputError(f"{self.path} has no rows")

    def place(self, row: int, column: str) -> str:
        """Where the cell of data row `row` (from 0) stands: its index and column in the frame."""
        return f"{self.path}, index {_plain(self.rows[row])!r}, column {column!r}"


def read_edge_rows(path: str | os.PathLike) -> EdgeRows:
    """The rows of a table or SIF file of edges; InputError for one that cannot be read."""
    path = Path(path)
    first = first_line(path)
    cells = first.split("\t") if "\t" in first else first.split()
    starts_with_edge = (
        len(cells) >= 3 and cells[1].strip() != "" and _sign_of_word(cells[1]) is not None
    )
    if path.suffix.lower() == ".sif" or starts_with_edge:
        return _read_sif(path)
    table = LabelledTable(path)
    return _edge_rows(table, lambda row: f"row {table.rows[row]}")


def frame_edge_rows(frame: pd.DataFrame, place: str) -> EdgeRows:
    """The rows of a DataFrame with the columns of one of the tables; `place` names it in errors."""
    table = FrameTable(frame, place)
    return _edge_rows(table, lambda row: f"index {_plain(table.rows[row])!r}")


def _edge_rows(table: LabelledTable, place: Callable[[int], str]) -> EdgeRows:
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


def _only_directed(rows: EdgeRows, directed: np.ndarray, table: CsvTable) -> EdgeRows:
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


def _node_names(table: LabelledTable, column: str) -> np.ndarray:
    names = table.cells(column)
    empty = names == ""
    if empty.any():
        raise InputError(
            f"{table.place(int(empty.argmax()), column)} is empty; name the node or remove the row"
        )
    return names


def _flags(table: LabelledTable, column: str) -> np.ndarray:
    mend = "write 1 or 0 (True and False do as well)"
    flags = _mapped(table.cells(column), lambda c: _TRUTH.get(c.lower()), table, column, mend)
    return flags.astype(bool)


def _mapped(
    cells: np.ndarray,
    value: Callable[[str], int | None],
    table: CsvTable,
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


def _read_sif(path: Path) -> EdgeRows:
    """A SIF file; tabs separate the cells if there are any, else blanks do (as in Cytoscape)."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it in UTF-8") from error
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


def _plain(label: object) -> object:
    return label.item() if isinstance(label, np.generic) else label
