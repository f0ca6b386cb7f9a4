"""The edges under a law, as a section of its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxllc.law.report.page import paragraphs, table

if TYPE_CHECKING:
    from jaxllc.nodewise.edges.edge_table import EdgeTable

# Pairs that are listed, and the probabilities between which a pair is in doubt.
_LISTED = 25
_DOUBT = (0.05, 0.95)


def edges_html(edges: EdgeTable) -> str:
    """How many edges were kept, added and removed, and the pairs that changed or are in doubt."""
    frame = edges.network_table()
    counts = frame["edge"].value_counts()
    said = ", ".join(
        f"{counts[k]} {k}" for k in ("found", "kept", "added", "removed") if k in counts
    )
    lines = [f"Of the pairs of nodes: {said or 'no edge'}."]
    asked = edges.follows[np.isfinite(edges.follows)]
    astray = int(np.sum(asked < 0.5))
    if astray:
        lines.append(
            f"{astray} of {len(asked)} nodes do not follow the law with any edges that were tried: into "
            "these, probabilities are no more than a ranking."
        )
    doubtful = frame["probability"].between(*_DOUBT)
    changed = frame["edge"].isin(("added", "removed"))
    some = frame[changed | doubtful]
    rows = [
        (
            str(row.sender),
            str(row.receiver),
            "yes" if row.given else "no",
            str(row.edge),
            f"{row.probability:.3f}",
            f"{row.weight:.3g}",
        )
        for row in some.head(_LISTED).itertuples()
    ]
    if not rows:
        return paragraphs(lines)
    left = len(some) - len(rows)
    lines.append(
        "Listed are pairs that changed or are in doubt"
        + (f", {left} more stand in network_table.csv." if left > 0 else ".")
    )
    header = ("sender", "receiver", "given", "edge", "probability", "weight")
    return paragraphs(lines) + table(header, rows, numeric=(4, 5))
