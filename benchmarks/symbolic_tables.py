"""What `symbolic` prints when it is done: a row per engine and condition, and what was found instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fresh_judge
import numpy as np
from common import median
from fresh_terms import KINDS

FAMILIES = (
    "core self",
    "core interaction",
    "extra",
    *(f"{name} {size}" for name in ("random", "nested") for size in range(1, 6)),
    *(f"develop {kind}" for kind in KINDS),
    *(f"judge {kind}" for kind in fresh_judge.KINDS),
    "own",
)
LONGEST = 220  # characters of an expression that are shown


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per engine and condition: exact and total by family, errors of constants, seconds."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["engine"], row["condition"]), []).append(row)
    return [
        {
            "engine": name,
            "condition": condition,
            "exact": sum(row["exact"] for row in group),
            "total": len(group),
            "on_front": sum(row.get("on_front", False) for row in group),
            "by_family": {
                family: [sum(row["exact"] for row in members), len(members)]
                for family in FAMILIES
                if (members := [row for row in group if row["family"] == family])
            },
            # Of the expressions whose skeleton is right; of others there is nothing to compare.
            "median_coefficient_error": median(
                row.get("median_coefficient_error") for row in group
            ),
            "median_seconds": median(row["seconds"] for row in group),
            "median_processor_seconds": median(row.get("processor_seconds") for row in group),
            "seconds_90": float(np.percentile([row["seconds"] for row in group], 90)),
            "median_compile_seconds": median(row.get("compile_seconds") for row in group),
            "failed": sum(row["failure"] is not None for row in group),
        }
        for (name, condition), group in groups.items()
    ]


def summary_text(parts: Sequence[dict[str, Any]]) -> str:
    """The table of a summary."""
    families = [family for family in FAMILIES if any(family in p["by_family"] for p in parts)]
    header = ["engine", "condition", *families, "all", "on front"]
    header += ["constants off", "s median", "s 90 %", "cpu s median"]
    table = [header]
    for part in sorted(parts, key=lambda p: p["engine"]):
        counts = [part["by_family"].get(family) for family in families]
        table.append(
            [
                part["engine"],
                part["condition"],
                *("" if count is None else f"{count[0]}/{count[1]}" for count in counts),
                f"{part['exact']}/{part['total']}",
                str(part["on_front"]),
                f"{part['median_coefficient_error']:.1e}",
                f"{part['median_seconds']:.2f}",
                f"{part['seconds_90']:.2f}",
                f"{part['median_processor_seconds']:.2f}",
            ]
        )
    widths = [max(len(line[k]) for line in table) for k in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def failures_text(rows: Sequence[dict[str, Any]]) -> str:
    """The truth and what was found instead, for each row that is not exact."""
    lines = []
    for row in rows:
        if row["exact"]:
            continue
        lines.append(f"\n{row['target']}, {row['condition']}, {row['engine']}: {row['truth']}")
        if row["failure"]:
            lines.append(f"    failed: {row['failure']}")
        elif row["found"] is None:
            lines.append(f"    nothing: {row.get('reason') or 'no candidate'}")
        else:
            text = row["found"]
            shown = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
            lines.append(f"    found: {shown}  (error {100 * row['relative_error']:.2g} %)")
    return "\n".join(["\nnot exact:", *lines, ""] if lines else ["\nall exact", ""])
