"""SIF files: source, interaction and one or more targets in each row, without a header (as in Cytoscape)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxllc.errors import InputError
from jaxllc.signaling.network.edge_rows import EdgeRows
from jaxllc.signaling.network.edge_signs import each_way
from jaxllc.signaling.network.sign_words import near_sign_word, sign_of_word


def read_sif(path: Path, text: str) -> EdgeRows:
    """The edges of a SIF file; tabs separate the cells if there are any, else blanks do."""
    lines = text.split("\n")
    separator = "\t" if any("\t" in line for line in lines) else None
    senders, signs_of_rows, receivers, rows = [], [], [], []
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
        sign = sign_of_word(cells[1])
        if sign is None:
            raise InputError(
                f"{path}, row {row}, column 'interaction' (the second): {cells[1]!r} is not "
                f"understood{near_sign_word(cells[1])}; write activates, inhibits or unknown"
            )
        for receiver in cells[2:]:
            senders.append(cells[0])
            signs_of_rows.append(sign)
            receivers.append(receiver)
            rows.append(row)
    if not rows:
        raise InputError(f"{path} has no edge; write source, interaction and target in each row")
    stimulation, inhibition = each_way(np.array(signs_of_rows))
    return EdgeRows(
        np.array(senders, dtype=object),
        np.array(receivers, dtype=object),
        stimulation,
        inhibition,
        np.full(len(rows), "", dtype=object),
        lambda entry: f"row {rows[entry]}",
        (f"nodes that stand alone in a row were left out: {alone}",) if alone else (),
    )
