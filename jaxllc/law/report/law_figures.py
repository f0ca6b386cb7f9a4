"""The figures that stand in the report of a law and beside it as files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jaxllc import plotting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jaxllc.law.forecast import Forecast
    from jaxllc.law.record import LawRecord


@dataclass(frozen=True, eq=False)
class LawFigure:
    """One figure: name of its file, title, what is to be seen, and the figure."""

    name: str
    title: str
    caption: str
    figure: Figure

    def png(self) -> bytes:
        """The figure as a PNG file; it is drawn once, for the page and the file beside it."""
        return self._png

    @cached_property
    def _png(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


FIGURE_NAMES = ("fit", "forecast", "edges", "terms", "forcing", "pareto")


def figures_of(
    law: LawRecord, forecast: Forecast | None = None, known: Any = None
) -> list[LawFigure]:
    """The figures that the law can show: a loaded law holds no data, so it has no fit."""
    figures = []
    if law.data and law.network is not None:
        figures.append(
            LawFigure(
                "fit",
                "Data and law",
                "Left: points are samples of nodes from the least to the most connected, lines are the law "
                "as fitted to them. Right: all nodes and times of that run; a perfect law lies "
                "on the dashed line.",
                plotting.plot_fit(law),
            )
        )
    if forecast is not None:
        figures.append(
            LawFigure(
                "forecast",
                "Forecast",
                "The law, fitted to the pale samples only, runs on over the held-out ones.",
                plotting.plot_forecast(
                    law,
                    forecast.observed[0],
                    predicted=forecast.predicted[0],
                    before=forecast.early[0],
                ),
            )
        )
    if law.edges is not None:
        figures.append(
            LawFigure(
                "edges",
                "Edges under this law",
                "Left: who acts on whom; edges that the samples ask for, and those they have no use for, in "
                "colour. Right: how many pairs have which probability.",
                plotting.plot_edges(law),
            )
        )
    what = "over the range of the data" if law.data else "over the unit range"
    figures.append(
        LawFigure(
            "terms",
            "Terms of the law",
            f"What a node does by itself, and what a neighbour adds, {what}."
            + (" Dashed: the known law." if known is not None else ""),
            plotting.plot_terms(law, known),
        )
    )
    if law.forcing:
        figures.append(
            LawFigure(
                "forcing",
                "The forcing of all nodes",
                "What drives all nodes alike and is not in the data, with its band of 95 %. Its mean is set "
                "to 0, since no samples tell it from a constant of the law.",
                plotting.plot_forcing(law),
            )
        )
    if law.front:
        figures.append(
            LawFigure(
                "pareto",
                "Complexity against misfit",
                "The chosen law is the simplest one that leaves nothing but noise, or else the best found.",
                plotting.plot_pareto(law),
            )
        )
    return figures
