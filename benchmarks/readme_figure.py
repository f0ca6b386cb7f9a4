"""The picture and the tables of the README: a network, its noisy states, and the law found in them.

python benchmarks/readme_figure.py            # draws docs/discovery.png from the tables in docs/example
python benchmarks/readme_figure.py --tables   # makes the tables again first
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import jaxllc
from jaxllc import generators, known_laws
from jaxllc.equations.expressions import evaluate
from jaxllc.figure_style import COLOURS, INK, SOFT
from jaxllc.law.forecast import start_state

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jaxllc.data.network import Network
    from jaxllc.law.law import Law

DOCS = Path(__file__).resolve().parent.parent / "docs"
LAW, NODES, TIMES, NOISE_DB, DECIMALS = "gene", 30, 61, 30.0, 4


def write_tables(folder: Path) -> None:
    """Noisy expression of 30 genes from two initial states, their network, and another network."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    known = known_laws.get(LAW)
    names = [f"g{n:02d}" for n in range(1, NODES + 1)]
    network, other = (
        replace(generators.barabasi_albert(NODES, 2, seed=seed), names=tuple(names))
        for seed in (0, 1)
    )
    network.to_csv(folder / "edges.csv")
    other.to_csv(folder / "other_edges.csv")
    initial = np.stack([known.sample_initial_state(NODES, seed) for seed in range(2)])
    runs = known.simulate(network, np.linspace(0.0, known.horizon, TIMES), initial)
    frames = []
    for number, run in enumerate(runs):
        frame = run.with_noise(NOISE_DB, seed=number).to_frame().round(DECIMALS)
        frame.insert(0, "run", number + 1)
        frames.append(frame)
    pd.concat(frames).to_csv(folder / "states.csv", index=False)


def draw(law: Law) -> Figure:
    """Network, data with the law's curves, and both terms beside those that made the data."""
    from matplotlib.figure import Figure

    assert law.network is not None
    figure = Figure(figsize=(12.0, 3.9), dpi=120, facecolor="white", layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=[1.0, 1.5, 1.0, 1.0])
    order = np.argsort(law.network.in_degree, kind="stable")
    shown = [int(order[k]) for k in np.linspace(0, NODES - 1, 5).round().astype(int)]
    _draw_network(axes[0], law.network, shown)
    _draw_states(axes[1], law, shown)
    states = law.data[0].states
    for place, (panel, title) in enumerate(
        ((axes[2], "found: self term $f(x_i)$"), (axes[3], "found: interaction term $g(x_j)$"))
    ):
        line = np.linspace(0.0, float(np.nanmax(states)), 200)
        for equation, style in (
            (law.equations["x"], {"color": COLOURS[0], "linewidth": 4, "label": "found"}),
            (
                known_laws.get(LAW).equations["x"],
                {"color": INK, "linewidth": 1.4, "linestyle": "--", "label": "true"},
            ),
        ):
            values = evaluate(equation[place], {"x_i": line, "x_j": line})
            panel.plot(line, values, **style)
        panel.set_xlabel(("$x_i$", "$x_j$")[place], color=INK)
        panel.set_title(title, fontsize=11, color=INK)
        panel.legend(frameon=False, fontsize=9)
    for panel in axes[1:]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(SOFT)
        panel.tick_params(colors=INK, labelsize=9)
        panel.grid(color="#e6e8eb", linewidth=0.7)
    equation = re.sub(r"\s+", " ", law.latex()).strip()
    figure.suptitle(f"${equation}$", fontsize=15, color=INK)
    return figure


def _draw_network(axes: Axes, network: Network, shown: list[int]) -> None:
    import networkx

    graph = network.to_networkx().to_undirected()
    place = networkx.kamada_kawai_layout(graph)
    points = np.array([place[node] for node in graph.nodes])
    names = list(graph.nodes)
    for u, v in graph.edges:
        ends = np.array([place[u], place[v]])
        axes.plot(ends[:, 0], ends[:, 1], color="#c7cdd4", linewidth=0.9, zorder=1)
    axes.scatter(points[:, 0], points[:, 1], s=46, color=SOFT, edgecolor="white", zorder=2)
    for colour, n in zip(COLOURS, shown, strict=False):
        x, y = points[names.index(network.names[n])]
        axes.scatter(x, y, s=100, color=colour, edgecolor="white", zorder=3)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title("in: who acts on whom", fontsize=11, color=INK)


def _draw_states(axes: Axes, law: Law, shown: list[int]) -> None:
    observed = law.data[0]
    fine = np.linspace(observed.times[0], observed.times[-1], 200)
    found = law.simulate(start_state(observed), fine)
    for colour, n in zip(COLOURS, shown, strict=False):
        axes.plot(
            observed.times, observed.states[:, n, 0], ".", color=colour, markersize=4, alpha=0.7
        )
        axes.plot(fine, found.states[:, n, 0], color=colour, linewidth=1.6)
    axes.set_xlabel("time", color=INK)
    axes.set_title("in: states over time (points); out: the law (lines)", fontsize=11, color=INK)


def main() -> None:
    """Make the tables if asked or absent, discover the law in them, draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", action="store_true", help="make the tables again")
    options = parser.parse_args()
    folder = DOCS / "example"
    if options.tables or not (folder / "states.csv").exists():
        write_tables(folder)
    states = jaxllc.read_states(folder / "states.csv")
    law = jaxllc.discover(*jaxllc.match(states, jaxllc.read_edges(folder / "edges.csv")))
    print(law.summary())
    figure = draw(law)
    figure.savefig(DOCS / "discovery.png")
    print(DOCS / "discovery.png")


if __name__ == "__main__":
    main()
