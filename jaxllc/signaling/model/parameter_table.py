"""The published table of the parameters of a signaling model: columns Source, Target, Type and Value.

Type is Weight, of the edge from Source to Target; or Bias, Projection (of a TF) or Input (of a ligand), of
the node in Source, where Target is empty. The case of names and the order of columns do not matter.
"""

from __future__ import annotations

import os

import numpy as np

from jaxllc.errors import InputError, listed, nearest_match
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.tables.csv_table import LabelledTable

_KINDS = ("Weight", "Bias", "Projection", "Input")


class ParameterRows:
    """The rows of one table: text `sources`, `targets` and float64 `values`, (R,) each."""

    def __init__(self, path: str | os.PathLike):
        self.table = LabelledTable(path)
        columns = [self.table.find(name) for name in ("source", "target", "type", "value")]
        if None in columns:
            raise InputError(
                f"{path} has the columns {listed(self.table.header, shown=12)}, but a table of "
                "parameters needs Source, Target, Type and Value"
            )
        source, target, kind, value = (str(name) for name in columns)
        self.type_column = kind
        self.table.load(source, target, kind)
        self.columns = {"Source": source, "Target": target}
        self.sources, self.targets = self.table.cells(source), self.table.cells(target)
        self.values = self.table.numbers(value)
        by_lower = {name.lower(): name for name in _KINDS}
        self.kinds = [by_lower.get(str(cell).lower(), "") for cell in self.table.cells(kind)]
        if "" in self.kinds:
            row = self.kinds.index("")
            cell = self.table.cells(kind)[row]
            raise InputError(
                f"{self.table.place(row, kind)}: there is no type {cell!r}{nearest_match(cell, _KINDS)}; "
                f"write one of {', '.join(_KINDS)}"
            )
        if np.isnan(self.values).any():
            row = int(np.isnan(self.values).argmax())
            raise InputError(f"{self.table.place(row, value)} is empty; give the value")
        seen: dict[tuple[str, str, str], int] = {}
        for row, parameter in enumerate(zip(self.kinds, self.sources, self.targets, strict=True)):
            if parameter[0] != "Weight":
                parameter = (parameter[0], parameter[1], "")
            if parameter in seen:
                raise InputError(
                    f"{self.table.place(row, kind)} repeats row {self.table.rows[seen[parameter]]}; "
                    "keep one of the two"
                )
            seen[parameter] = row

    def of(self, kind: str, needed: bool = True) -> np.ndarray:
        """The rows of one type, in the order of the table."""
        rows = np.flatnonzero([found == kind for found in self.kinds])
        if needed and len(rows) == 0:
            raise InputError(f"{self.table.path} has no row of type {kind}; add one")
        return rows

    def nodes(
        self, rows: np.ndarray, names: np.ndarray, prior: PriorNetwork, column: str
    ) -> np.ndarray:
        """The node indices of the names in these rows."""
        for row in rows:
            if names[row] not in prior.position:
                what = "is empty" if names[row] == "" else f"holds {names[row]!r}"
                near = nearest_match(names[row], prior.names)
                raise InputError(
                    f"{self.table.place(row, self.columns[column])} {what}{near}, which no edge of "
                    "the network touches; correct the name or remove the row"
                )
        return np.array([prior.position[name] for name in names[rows]], dtype=np.int64)
