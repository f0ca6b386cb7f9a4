"""Figures of a law: its fit, a forecast, the front of complexity against misfit, its terms and its forcing.

Each function returns a `matplotlib.figure.Figure` that belongs to no global state: show it in a
notebook, or write it with `figure.savefig("law.png")`. Colours are those of Okabe and Ito (2008),
which people with any colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.drivers.forcing import BAND
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.figure_style import COLOURS, INK, SOFT, new_figure, styled_axes
from jaxllc.law.drawing.edge_figure import draw_edges
from jaxllc.law.drawing.plotting_terms import draw_terms
from jaxllc.law.forecast import start_state
from jaxllc.law.record import LawRecord
from jaxllc.law.trajectories_of_law import run_law
from jaxllc.law.writing.law_tables import edges_of
from jaxllc.metrics import adjusted_r2

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_SHOWN_NODES = 6
_SHOWN_SAMPLES = 60
_SCATTERED = 4000


def plot_fit(
    law: LawRecord, run: int = 0, nodes: Sequence[str] | None = None, time_unit: str = ""
) -> Figure:
    """Data of one run as points, and the law's own states as lines, as they were fitted to the samples.

    law: of `jaxllc.discover`. run: which of its trajectories. nodes: names to show, by default six from the
    least to the most connected. time_unit: for the axis. Raises InputError where the law holds no data, as
    after loading it.

    Example: `plot_fit(law, time_unit="days").savefig("fit.png")`.
    """
    if not law.data:
        raise InputError("this law holds no data (a loaded law does not): use plot_forecast")
    observed = law.data[run]
    if law.fitted_states:
        states = np.asarray(law.fitted_states[run])
        predicted = replace(observed, states=np.where(np.isfinite(states), states, np.nan))
    else:
        features = observed.node_features or None
        predicted = run_law(
            law,
            start_state(observed),
            observed.times,
            node_features=features,
            inputs=observed.inputs or None,
            held=observed if law.held else None,
        ).trajectories
    return _comparison(observed, predicted, law.network, nodes, time_unit)


def plot_forecast(
    law: LawRecord,
    observed: Trajectories,
    network: Network | None = None,
    nodes: Sequence[str] | None = None,
    time_unit: str = "",
    predicted: Trajectories | None = None,
    before: Trajectories | None = None,
) -> Figure:
    """States on another network, or at later times, as points, and the law's forecast as lines.

    observed: Trajectories; network: that they are of, by default that of the law. nodes, time_unit: as in
    `plot_fit`. predicted: the forecast, by default the law started from the first observed state. before:
    the samples that the law was fitted to, drawn pale in front of the forecast. Raises InputError for a
    node that is not there.

    Example: `plot_forecast(law, later).savefig("forecast.png")`.
    """
    network = law.network if network is None else network
    if predicted is None:
        predicted = run_law(
            law,
            start_state(observed),
            observed.times,
            network,
            observed.node_features or None,
            observed.inputs or None,
            observed if law.held else None,
        ).trajectories
    return _comparison(observed, predicted, network, nodes, time_unit, before)


def plot_forcing(law: LawRecord, time_unit: str = "") -> Figure:
    """The forcing of each variable that has one, over time, with its band of 95 %.

    law: of `jaxllc.discover(..., forcing="smooth")`; raises InputError for one without a forcing.

    Example: `plot_forcing(law, time_unit="days").savefig("forcing.png")`.
    """
    if not law.forcing:
        raise InputError("this law has no forcing; discover(..., forcing='smooth') finds one")
    figure = new_figure(7.2, 0.8 + 2.6 * len(law.forcing))
    per = f"per {time_unit}" if time_unit else "per unit of time"
    for place, one in zip(
        figure.subplots(len(law.forcing), squeeze=False)[:, 0], law.forcing, strict=True
    ):
        axes = styled_axes(place)
        values, half = one.at(one.times), BAND * one.errors(one.times)
        axes.fill_between(one.times, values - half, values + half, color=COLOURS[0], alpha=0.25)
        axes.plot(one.times, values, color=COLOURS[0])
        axes.axhline(0.0, color=SOFT, linewidth=0.8, linestyle=":")
        axes.set_ylabel(f"{one.name}(t), {one.variable} {per}")
        axes.set_xlabel(f"time ({time_unit})" if time_unit else "time")
    return figure


def plot_pareto(law: LawRecord) -> Figure:
    """The front: misfit of the fitted samples and error of the held-out ones against complexity.

    law: of `jaxllc.discover`; raises InputError for one without a front.

    Example: `plot_pareto(law).savefig("front.png")`.
    """
    if not law.front:
        raise InputError("this law has no Pareto front")
    figure = new_figure(7.2, 3.8)
    axes = styled_axes(figure.subplots())
    size = [row.num_constants for row in law.front]
    chosen = [row for row in law.front if row.chosen]
    misfit = [row.chi_squared for row in law.front]
    held_out = [row.held_out_error for row in law.front]
    axes.plot(size, misfit, "o-", color=COLOURS[0], label="misfit: χ² per sample (1 is the noise)")
    axes.plot(size, held_out, "s--", color=COLOURS[1], label="held-out error / standard deviation")
    for row in chosen:
        axes.plot(
            row.num_constants,
            row.chi_squared,
            "o",
            markersize=15,
            markerfacecolor="none",
            markeredgecolor=INK,
            markeredgewidth=1.6,
            label="the law chosen",
        )
    axes.axhline(1.0, color=SOFT, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_xticks(sorted(set(size)))
    axes.margins(x=0.08, y=0.18)
    axes.set_xlabel("complexity: number of constants")
    axes.set_ylabel("error (no unit)")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def plot_terms(law: LawRecord, known: Any = None, time_unit: str = "") -> Figure:
    """Self and interaction term of each variable over the range of the data: curves or heat maps.

    known: a law to draw beside it, dashed, such as the one that made the data; anything with
    `.equations`. time_unit: as in `plot_fit`.

    Example: `plot_terms(law, jaxllc.known_laws.get("epidemic")).savefig("terms.png")`.
    """
    return draw_terms(law, known, time_unit)


def plot_edges(law: LawRecord) -> Figure:
    """What the samples say of the edges under a law: those that are kept, added and removed, and how sure
    that is; see `Law.network_table`.

    law: of `jaxllc.discover`; raises InputError for one that holds no probabilities of edges.

    Example: `plot_edges(law).savefig("edges.png")`.
    """
    return draw_edges(edges_of(law))


# --- points against lines -----------------------------------------------------------------------


def _comparison(
    observed: Trajectories,
    predicted: Trajectories,
    network: Network | None,
    nodes: Sequence[str] | None,
    time_unit: str,
    before: Trajectories | None = None,
) -> Figure:
    shown = _shown_nodes(observed, network, nodes)
    rows = observed.num_variables
    figure = new_figure(10.0, 1.0 + 2.9 * rows)
    grid = figure.subplots(rows, 2, width_ratios=[1.9, 1.0], squeeze=False)
    for v, variable in enumerate(observed.variables):
        left, right = styled_axes(grid[v, 0]), styled_axes(grid[v, 1])
        if before is not None:
            _points(left, before, shown, v, pale=True)
            left.axvline(before.times[-1], color=SOFT, linewidth=0.9, linestyle="--")
        _points(left, observed, shown, v)
        for colour, n in zip(COLOURS, shown, strict=False):
            left.plot(
                predicted.times, predicted.states[:, n, v], color=colour, linewidth=1.6, zorder=3
            )
        left.set_ylabel(f"{variable} (units of the data)")
        if v == rows - 1:
            left.set_xlabel(f"time ({time_unit or 'units of the data'})")
        _scatter(right, observed.states[..., v].ravel(), predicted.states[..., v].ravel())
        right.set_xlabel(f"{variable} observed")
        right.set_ylabel(f"{variable} by the law")
    _node_legend(figure, grid[0, 0], observed, network, shown)
    return figure


def _shown_nodes(
    observed: Trajectories, network: Network | None, nodes: Sequence[str] | None
) -> list[int]:
    if nodes is not None:
        position = {name: n for n, name in enumerate(observed.node_names)}
        unknown = [name for name in nodes if name not in position]
        if unknown:
            raise InputError(f"there is no node {unknown[0]!r} to show")
        return [position[name] for name in nodes][: len(COLOURS)]
    order = np.arange(observed.num_nodes)
    if network is not None and network.num_nodes == observed.num_nodes:
        order = np.argsort(network.in_strength, kind="stable")
    count = min(_SHOWN_NODES, observed.num_nodes)
    picked = np.linspace(0, observed.num_nodes - 1, count).round().astype(int)
    return [int(n) for n in order[picked]]


def _points(
    axes: Axes, data: Trajectories, shown: Sequence[int], variable: int, pale: bool = False
) -> None:
    every = max(1, -(-data.num_times // _SHOWN_SAMPLES))
    for colour, n in zip(COLOURS, shown, strict=False):
        axes.plot(
            data.times[::every],
            data.states[::every, n, variable],
            "o",
            color=colour,
            markersize=4.5,
            alpha=0.25 if pale else 0.55,
            markeredgewidth=0,
        )


def _scatter(axes: Axes, observed: np.ndarray, predicted: np.ndarray) -> None:
    seen = np.isfinite(observed)
    finite = seen & np.isfinite(predicted)
    text = "the law diverges"
    if (finite == seen).all() and seen.sum() > 2:
        text = f"R² {adjusted_r2(predicted[seen], observed[seen], 0):.6f}"
    picked = np.flatnonzero(finite)
    if len(picked) > _SCATTERED:
        picked = picked[np.linspace(0, len(picked) - 1, _SCATTERED).astype(int)]
    axes.plot(
        observed[picked],
        predicted[picked],
        ".",
        color=COLOURS[0],
        markersize=3,
        alpha=0.35,
        markeredgewidth=0,
        rasterized=True,
    )
    if seen.any():
        ends = [float(observed[seen].min()), float(observed[seen].max())]
        axes.plot(ends, ends, color=INK, linewidth=0.9, linestyle="--")
    axes.text(0.05, 0.95, text, transform=axes.transAxes, va="top", color=INK, fontsize=9)


def _node_legend(
    figure: Figure,
    axes: Axes,
    observed: Trajectories,
    network: Network | None,
    shown: Sequence[int],
) -> None:
    from matplotlib.lines import Line2D

    def label(n: int) -> str:
        name = observed.node_names[n]
        name = name if len(name) <= 18 else name[:17] + "…"
        degree = "" if network is None else f" ({int(network.in_degree[n])} in)"
        return f"{name}{degree}"

    handles = [
        Line2D([], [], color=INK, marker="o", linestyle="", alpha=0.55, label="data"),
        Line2D([], [], color=INK, label="law"),
    ]
    handles += [
        Line2D([], [], color=colour, linewidth=3, label=label(n))
        for colour, n in zip(COLOURS, shown, strict=False)
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=min(len(handles), 8),
        frameon=False,
        fontsize=9,
        columnspacing=1.2,
        handlelength=1.4,
    )
