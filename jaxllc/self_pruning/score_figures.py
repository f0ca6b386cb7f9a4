"""Figures of the scores of edges: how well they separate, whether they mean what they say, how they spread.

A function returns a `matplotlib.figure.Figure` that belongs to no global state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxllc.figure_style import COLOURS, INK, SOFT, new_figure, styled_axes
from jaxllc.self_pruning.scoring import EdgeScores
from jaxllc.signaling.arguments import check_parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 40


def plot_scores(scores: EdgeScores) -> Figure:
    """Three panels: the ROC curve, the calibration with its binomial errors, the scores of the network.

    scores: of `edge_scores`; raises InputError for anything else. The first two panels are of spurious edges
    that the scores were not fitted to.
    """
    check_parts("scores", scores, ("roc", "calibration", "auroc"), "edge_scores")
    figure = new_figure(10.8, 3.8)
    left, middle, right = (styled_axes(axes) for axes in figure.subplots(1, 3))
    left.plot(*scores.roc, color=COLOURS[0], linewidth=1.8)
    left.set_xlabel("part of the network's edges called spurious")
    left.set_ylabel("part of spurious edges found")
    left.set_title(f"AUROC {scores.auroc:.3f}", fontsize=10, color=INK, loc="left")
    table = scores.calibration
    error = np.sqrt(table["observed"] * (1 - table["observed"]) / table["spurious"].clip(lower=1))
    middle.errorbar(
        table["predicted"], table["observed"], error, fmt="o", color=COLOURS[0], markersize=5
    )
    middle.set_xlabel("score")
    middle.set_ylabel("part of spurious edges, of half spurious")
    middle.set_title("calibration", fontsize=10, color=INK, loc="left")
    for axes in (left, middle):
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle="--", zorder=1)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
    for axes in (left, middle, right):
        axes.set_box_aspect(1)
    values = scores.table["score"].dropna()
    right.hist(values, bins=np.linspace(0, 1, _BINS + 1).tolist(), color=COLOURS[0], alpha=0.8)
    right.axvline(0.5, color=SOFT, linewidth=0.9, linestyle="--")
    right.set_xlim(0, 1)
    right.set_xlabel("score")
    right.set_ylabel("edges of the network")
    right.set_title(f"{len(values)} edges on a path", fontsize=10, color=INK, loc="left")
    return figure
