"""The terms of a law over the range of its data: a curve for one argument, a heat map for two.

Arguments beyond two, node features and k_i are held at their median, and the title says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from jaxllc.data.drivers.forcing import FORCING
from jaxllc.equations.expressions import evaluate, symbol_names
from jaxllc.equations.sum_symbols import SUM_SIDE
from jaxllc.figure_style import COLOURS, INK, new_figure, styled_axes

if TYPE_CHECKING:
    import sympy
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jaxllc.law.record import LawRecord

_CURVE, _MAP = 201, 61
_INNER_PERCENT = (0.5, 99.5)  # of the data: single outliers should not set the range

Ranges = dict[str, tuple[float, float, float]]  # symbol: low, high, median


def draw_terms(law: LawRecord, known: Any, time_unit: str) -> Figure:
    """One row for each variable: its self term and its interaction term."""
    ranges = _ranges(law, known)
    rows = len(law.equations)
    figure = new_figure(10.0, 0.6 + 3.3 * rows)
    grid = figure.subplots(rows, 2, squeeze=False)
    per = f"per {time_unit}" if time_unit else "per unit of time"
    for row, (variable, equation) in zip(grid, law.equations.items(), strict=True):
        other = None if known is None else known.equations.get(variable)
        texts = ("self term f", "interaction term g")
        for side, axes in enumerate(row):
            expression = equation[side]
            truth = None if other is None else other[side]
            title = _draw(
                styled_axes(axes), expression, truth, ranges, law.variables, f"{variable} {per}"
            )
            axes.set_title(f"{texts[side]} of {variable}{title}", fontsize=10, color=INK)
    if known is not None:
        from matplotlib.lines import Line2D

        figure.legend(
            handles=[
                Line2D([], [], color=COLOURS[0], linewidth=3, label="found"),
                Line2D([], [], color=INK, linestyle="--", label="known"),
            ],
            loc="outside upper center",
            ncols=2,
            frameon=False,
            fontsize=9,
        )
    return figure


def _ranges(law: LawRecord, known: Any) -> Ranges:
    ranges: Ranges = {}

    def put_one(symbol: str, low: float, high: float, median: float) -> None:
        if not high > low:
            low, high = low - 0.5, high + 0.5
        ranges[symbol] = (float(low), float(high), float(median))

    def put(name: str, low: float, high: float, median: float) -> None:
        # Without a network a sum is drawn as that of one neighbour.
        for side in f"ij{SUM_SIDE}":
            put_one(f"{name}_{side}", low, high, median)

    for v, name in enumerate(law.variables):
        low, high = getattr(known, "initial_range", {}).get(name, (0.0, 1.0))
        median = (low + high) / 2
        if law.data:
            values = np.concatenate([run.states[..., v].ravel() for run in law.data])
            low, median, high = np.nanpercentile(values, [_INNER_PERCENT[0], 50, _INNER_PERCENT[1]])
        put(name, low, high, median)
        if law.data and law.network is not None:
            adjacency = law.network.to_adjacency()
            sums = [(adjacency @ run.states[..., v].T).ravel() for run in law.data]
            sums = np.nanpercentile(
                np.concatenate(sums), [_INNER_PERCENT[0], 50, _INNER_PERCENT[1]]
            )
            put_one(f"{name}_{SUM_SIDE}", sums[0], sums[2], sums[1])
    for name in law.feature_names:
        values = law.data[0].node_features[name] if law.data else np.array([0.0, 0.5, 1.0])
        put(name, values.min(), values.max(), float(np.median(values)))
    for one in law.forcing:
        values = one.at(one.times)
        put_one(one.name, values.min(), values.max(), float(np.median(values)))
    for name in (name for name, kind in law.inputs.items() if kind != FORCING):
        seen = [run.inputs[name].at(run.times).ravel() for run in law.data] or [
            np.array([0.0, 1.0])
        ]
        values = np.concatenate(seen)
        put(name, values.min(), values.max(), float(np.median(values)))
        put_one(name, values.min(), values.max(), float(np.median(values)))
    strengths = np.array([1.0]) if law.network is None else law.network.in_strength
    put("k", strengths.min(), strengths.max(), float(np.median(strengths)))
    return ranges


def _draw(
    axes: Axes,
    expression: sympy.Expr,
    truth: sympy.Expr | None,
    ranges: Ranges,
    variables: tuple[str, ...],
    unit: str,
) -> str:
    """Draw one term and return what was held fixed, for the title."""
    if expression == 0 and (truth is None or truth == 0):
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=INK)
        axes.set_axis_off()
        return ""
    names = symbol_names(expression) | (set() if truth is None else symbol_names(truth))
    medians = {name: ranges[name][2] for name in names if name in ranges}
    arguments = _arguments(expression, names, ranges, variables)
    fixed = sorted(set(medians) - set(arguments))
    title = "".join(f", {_label(name)} = {medians[name]:.3g}" for name in fixed)
    drawn = (expression,) if truth is None else (expression, truth)
    if _reads_the_difference(expression, arguments, medians, ranges):
        low, high, _ = ranges[arguments[0]]
        step = np.linspace(low - high, high - low, _CURVE)
        middle = (low + high) / 2
        values = {arguments[0]: middle - step / 2, arguments[1]: middle + step / 2}
        _curves(axes, drawn, step, {**medians, **values})
        axes.set_xlabel(f"{_label(arguments[1])} − {_label(arguments[0])}")
    elif len(arguments) == 2:
        _heat_map(axes, drawn, arguments, medians, ranges, unit)
        return title
    else:
        name = arguments[0] if arguments else next(iter(ranges))
        line = np.linspace(*ranges[name][:2], _CURVE)
        _curves(axes, drawn, line, {**medians, name: line})
        axes.set_xlabel(_label(name))
    axes.set_ylabel(unit)
    return title


def _arguments(
    expression: sympy.Expr, names: set[str], ranges: Ranges, variables: tuple[str, ...]
) -> list[str]:
    """The symbols to draw the term over: the two variables, or else features, that move it most."""
    order = [name for name in ranges if name in names]
    states = [name for name in order if name.rsplit("_", 1)[0] in variables]
    if len(order) <= 2 and len(states) != 1:
        return order
    medians = {name: ranges[name][2] for name in names}

    def influence(name: str) -> float:
        line = np.linspace(*ranges[name][:2], 25)
        return float(np.ptp(_value(expression, {**medians, name: line}, line.shape)))

    strongest = sorted(states or order, key=influence, reverse=True)[:2]
    return [name for name in order if name in strongest]


def _reads_the_difference(
    expression: sympy.Expr, arguments: list[str], medians: dict[str, float], ranges: Ranges
) -> bool:
    """Whether the term depends on v_i and v_j through v_j - v_i alone, as seen at a few places."""
    if len(arguments) != 2 or arguments[0][:-2] != arguments[1][:-2]:
        return False
    low, high, _ = ranges[arguments[0]]
    first, step = np.linspace(low, high, 7)[:, None], np.linspace(low - high, high - low, 9)[None]
    shape = (7, 9)
    pair = {arguments[0]: first + 0 * step, arguments[1]: first + step}
    values = _value(expression, {**medians, **pair}, shape)
    size = np.max(np.abs(values), initial=0.0)
    return bool(np.isfinite(values).all() and np.ptp(values, axis=0).max() <= 1e-9 * size)


def _curves(
    axes: Axes, drawn: tuple[sympy.Expr, ...], line: np.ndarray, values: dict[str, Any]
) -> None:
    axes.plot(line, _value(drawn[0], values, line.shape), color=COLOURS[0], linewidth=3)
    for truth in drawn[1:]:
        axes.plot(line, _value(truth, values, line.shape), "--", color=INK, linewidth=1.3)
    axes.axhline(0.0, color=INK, linewidth=0.6)


def _heat_map(
    axes: Axes,
    drawn: tuple[sympy.Expr, ...],
    arguments: list[str],
    medians: dict[str, float],
    ranges: Ranges,
    unit: str,
) -> None:
    lines = [np.linspace(*ranges[name][:2], _MAP) for name in arguments]
    across, up = np.meshgrid(*lines)
    values = {**medians, arguments[0]: across, arguments[1]: up}
    found = _value(drawn[0], values, across.shape)
    image = axes.pcolormesh(across, up, found, cmap="cividis", shading="gouraud", rasterized=True)
    cast("Figure", axes.figure).colorbar(image, ax=axes, label=unit)
    if np.isfinite(found).all() and np.ptp(found) > 0:
        levels = np.linspace(found.min(), found.max(), 9)[1:-1]
        axes.contour(across, up, found, levels, colors="white", linewidths=2.2)
        for truth in drawn[1:]:
            shown = _value(truth, values, across.shape)
            if shown.min() < levels[-1] and shown.max() > levels[0]:
                axes.contour(
                    across, up, shown, levels, colors="black", linewidths=1.0, linestyles="--"
                )
    axes.grid(False)
    axes.set_xlabel(_label(arguments[0]))
    axes.set_ylabel(_label(arguments[1]))


def _value(expression: sympy.Expr, values: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(evaluate(expression, values), dtype=float), shape)


def _label(name: str) -> str:
    """`x_i` as readers of the field write it; names of node features stay upright words."""
    base, side = name.rsplit("_", 1)
    if side == SUM_SIDE:
        return rf"$\sum_j A_{{ij}}$ {_label(f'{base}_j')}"
    return f"${base}_{side}$" if len(base) == 1 else f"{base}$_{side}$"
