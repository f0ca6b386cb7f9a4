"""Beliefs in edges out of a table: sender, receiver, belief."""

from __future__ import annotations

from typing import Any

from jaxllc.errors import InputError, listed, quoted
from jaxllc.tables.csv_table import CsvTable
from jaxllc.tables.frame_table import table_of
from jaxllc.tables.states_header import RECEIVER, SENDER

BELIEFS = ("sure", "likely", "forbidden")


def read_edge_beliefs(source: Any) -> dict[str, list[tuple[str, str]]]:
    """Pairs (sender, receiver) of each belief, of a path or a DataFrame with the columns sender, receiver and
    belief, which is sure, likely or forbidden. Raises InputError for anything else, with the row."""
    instead = "edge_prior takes a mapping such as {'sure': [('g07', 'g12')]}, too"
    table = table_of(source, (*SENDER, *RECEIVER, "belief"), instead)
    if isinstance(table, CsvTable):
        table.drop_index()
    table.check_header()
    found = [table.find(*SENDER), table.find(*RECEIVER), table.find("belief")]
    sender, receiver, belief = found
    if sender is None or receiver is None or belief is None:
        raise InputError(
            f"{table.path} must start with the header sender,receiver,belief, but its columns are "
            f"{listed(table.header, ['sender', 'receiver', 'belief'])}"
        )
    table.load(sender, receiver, belief)
    pairs: dict[str, list[tuple[str, str]]] = {}
    cells = (table.text(c).tolist() for c in (sender, receiver, belief))
    for row, (one, other, kind) in enumerate(zip(*cells, strict=True)):
        if kind not in BELIEFS:
            raise InputError(
                f"{table.place(row, belief)} is {quoted(kind, 60)}; a belief is sure, likely or forbidden"
            )
        pairs.setdefault(kind, []).append((str(one), str(other)))
    return pairs
