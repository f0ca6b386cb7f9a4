"""The rows of a table of edges as one edge for each two nodes, with notes on what was merged and how.

Rules (Nilsson et al., Nature Communications 13, 2022): neither flag set means that the sign is unknown, both
set counts as inhibition, and repeated rows are one edge, in which a known sign wins over unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxllc.signaling.network.edge_rows import EdgeRows

_EXAMPLES = 3


class MergedEdges(NamedTuple):
    """Node indices senders, receivers (E,) sorted by receiver and sender; signs (E,), 0 if not known."""

    senders: np.ndarray
    receivers: np.ndarray
    signs: np.ndarray
    known: np.ndarray
    names: tuple[str, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def merged(rows: EdgeRows) -> MergedEdges:
    """One edge for all rows that join the same two nodes; notes say what was merged and how."""
    import pandas as pd

    codes, found = pd.factorize(np.concatenate([rows.senders, rows.receivers]))
    names = tuple(sorted(str(name) for name in found))
    position = {name: n for n, name in enumerate(names)}
    ends = np.array([position[name] for name in found], dtype=np.int64)[codes].reshape(2, -1)
    key = ends[1] * len(names) + ends[0]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    stimulation, inhibition = rows.stimulation[order], rows.inhibition[order]
    both = stimulation & inhibition
    stimulates = np.logical_or.reduceat(stimulation & ~both, starts)
    inhibits = np.logical_or.reduceat(inhibition, starts)
    unsigned = np.logical_or.reduceat(~stimulation & ~inhibition, starts)
    known = stimulates | inhibits
    repeated = counts > 1
    sources = rows.sources[order[starts]]
    for e in np.flatnonzero(repeated):
        sources[e] = _joined(rows.sources[order[starts[e] : starts[e] + counts[e]]])
    senders, receivers = ends[:, order[starts]]

    def examples(edges: np.ndarray) -> str:
        shown = [
            f"{names[senders[e]]!r} -> {names[receivers[e]]!r} ("
            + ", ".join(rows.place(int(r)) for r in order[starts[e] : starts[e] + counts[e]][:4])
            + ")"
            for e in edges[:_EXAMPLES]
        ]
        more = f" and {len(edges) - _EXAMPLES} more" if len(edges) > _EXAMPLES else ""
        return ", ".join(shown) + more

    notes = list(rows.notes)
    if both.any():
        edges = np.flatnonzero(np.logical_or.reduceat(both, starts))
        notes.append(
            f"both flags are set in {_counted(int(both.sum()), 'row')}, which counts as inhibition: "
            f"{examples(edges)}"
        )
    if repeated.any():
        decided = int((repeated & known & unsigned).sum())
        notes.append(
            f"{int(counts[repeated].sum())} rows that repeat were merged into "
            f"{_counted(int(repeated.sum()), 'edge')}, in {decided} of which a known sign won over "
            f"unknown: {examples(np.flatnonzero(repeated))}"
        )
    torn = repeated & stimulates & inhibits
    if torn.any():
        notes.append(
            f"the rows contradict each other in the sign of {_counted(int(torn.sum()), 'edge')}, "
            f"which counts as inhibition: {examples(np.flatnonzero(torn))}"
        )
    signs = np.where(inhibits, -1, np.where(stimulates, 1, 0))
    return MergedEdges(senders, receivers, signs, known, names, tuple(sources), tuple(notes))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _joined(sources: np.ndarray) -> str:
    """All sources of the rows of one edge, each once, in an order that does not depend on the rows."""
    parts = {part.strip() for text in sources for part in text.split(";")}
    return ";".join(sorted(parts - {""}))
