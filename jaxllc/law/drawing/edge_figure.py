"""Edges under a law: who acts on whom before and after repair, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxllc.figure_style import COLOURS, INK, SOFT, new_figure, styled_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jaxllc.nodewise.edges.edge_table import EdgeTable

# Nodes up to which a tick names each, and bins of the probabilities.
_NAMED, _BINS = 24, 20
_KEPT, _ADDED, _REMOVED = SOFT, COLOURS[0], COLOURS[1]


def draw_edges(table: EdgeTable) -> Figure:
    """Left: edges by receiver and sender, those that changed in colour. Right: how many pairs have which
    probability, for pairs that were given and others."""
    figure = new_figure(10.0, 5.2)
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1.0])
    _pairs(styled_axes(left), table)
    _probabilities(styled_axes(right), table)
    return figure


def _pairs(axes: Axes, table: EdgeTable) -> None:
    was, now, names = table.was, table.present, table.given.names
    size = float(np.clip(2200.0 / max(len(names), 1) ** 1.1, 3.0, 60.0))
    kinds = (
        ("kept" if was.any() else "", was & now, _KEPT, "s"),
        ("added" if was.any() else "found", now & ~was, _ADDED, "o"),
        ("removed", was & ~now, _REMOVED, "X"),
    )
    for label, those, colour, marker in kinds:
        receivers, senders = np.nonzero(those)
        if len(receivers):
            axes.scatter(
                senders,
                receivers,
                s=size,
                c=colour,
                marker=marker,
                linewidths=0,
                label=f"{label}: {len(receivers)}",
            )
    asked = np.isfinite(table.follows)
    astray = np.flatnonzero(asked & ~(table.follows >= 0.5))
    for node in astray:
        axes.axhspan(node - 0.5, node + 0.5, color="#f4e3d7", linewidth=0, zorder=0)
    if len(astray):
        axes.plot([], [], color="#f4e3d7", linewidth=7, label="receiver does not follow the law")
    if len(names) <= _NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    axes.set_xlim(-1, len(names))
    axes.set_ylim(len(names), -1)
    axes.set_xlabel("sender")
    axes.set_ylabel("receiver")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, 1.19), ncols=2, frameon=False, fontsize=9
        )


def _probabilities(axes: Axes, table: EdgeTable) -> None:
    was = table.was
    others = ~was & ~np.eye(len(was), dtype=bool)
    kinds = [
        (label, np.clip(table.probability[those], 0.0, 1.0), colour)
        for label, those, colour in (
            ("edges that were given", was, _KEPT),
            ("other pairs", others, _ADDED),
        )
        if those.any()
    ]
    labels, values, colours = zip(*kinds, strict=True)
    bins = np.linspace(0.0, 1.0, _BINS + 1).tolist()
    axes.hist(list(values), bins=bins, color=list(colours), label=list(labels))
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)
    axes.set_xlabel("probability that the edge is there")
    axes.set_ylabel("number of pairs")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=2, frameon=False, fontsize=9)
