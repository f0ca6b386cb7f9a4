"""Figures of a self-pruning study: errors, shares of faded edges, distributions of |w|, edges removed.

Each function returns a `matplotlib.figure.Figure` that belongs to no global state: show it in a
notebook, or write it with `figure.savefig("shares.png")`. Colours are those of Okabe and Ito (2008).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, listed, quoted
from jaxllc.figure_style import COLOURS, INK, new_figure, styled_axes
from jaxllc.self_pruning.separation import LEAST, Pooled, check_study
from jaxllc.self_pruning.study import SelfPruningStudy
from jaxllc.signaling.arguments import check_frame

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_PRIOR, _SPURIOUS = COLOURS[0], COLOURS[1]
_TRAINING, _HELD_OUT = COLOURS[0], COLOURS[4]
_PENALTIES = ("l2", "l1")
_WIDEST = 5  # panels in a row
_SHOWN_STEPS = 2000
_DECADES = 8  # of |w|, at most, below the largest
_LOOKS = (("-", "o"), ("--", "s"), (":", "^"))  # of lines and points
_ERRORS = {"mse": "mean squared error", "correlation": "Pearson's r"}


def plot_errors(study: SelfPruningStudy) -> Figure:
    """Mean squared error of the training and of held-out conditions over the epochs, a panel per penalty.

    Lines are medians of the models, bands reach from quartile to quartile. Raises InputError for a study
    none of whose models came to an end, as do the other figures of a study.
    """
    groups, table = _ended(study), study.over_training
    figure, panels = _panels(len(groups))
    drawn = {"mse": ("training conditions", _TRAINING)}
    if np.isfinite(table["held_out_mse"]).any():
        drawn["held_out_mse"] = ("held-out conditions", _HELD_OUT)
    values = table[[f"{column}{end}" for column in drawn for end in ("", "_low", "_high")]]
    log = not (values.to_numpy(float) <= 0).any()
    for group, (axes,) in zip(groups, panels, strict=True):
        rows = _of(table, group)
        epochs = rows["epoch"].to_numpy(float)
        for column, (name, colour) in drawn.items():
            middle, low, high = (
                rows[f"{column}{end}"].to_numpy(float) for end in ("", "_low", "_high")
            )
            axes.plot(epochs, middle, color=colour, linewidth=1.5, marker=_marker(rows), label=name)
            axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
        _title(axes, f"{_name(group)}, {_models(rows['models'].iloc[0])}")
        axes.set_xlabel("epoch")
    _one_scale([axes for (axes,) in panels], log)
    panels[0][0].set_ylabel("mean squared error")
    _legend(figure, panels[0][0])
    return figure


def plot_shares(study: SelfPruningStudy) -> Figure:
    """The part of spurious and of prior edges with the smallest |w| over the epochs, a column per penalty.

    Above those below the median of all edges, where 50 % is no difference; below those below the 5th
    percentile, where 5 % is none. study: of `self_pruning_study`; raises InputError as `plot_errors` does.
    """
    groups, table = _ended(study), study.over_training
    figure, panels = _panels(len(groups), 2, 2.1)
    spurious = bool(np.isfinite(table["spurious_below_median"]).any())
    for row, (measure, line, least) in enumerate(
        (("median", 50.0, (40.0, 60.0)), ("5th", 5.0, (0.0, 10.0)))
    ):
        for group, column in zip(groups, panels, strict=True):
            axes, rows = column[row], _of(table, group)
            for kind, colour, wanted in (
                ("spurious", _SPURIOUS, spurious),
                ("prior", _PRIOR, True),
            ):
                if wanted:
                    axes.plot(
                        rows["epoch"].to_numpy(float),
                        100 * rows[f"{kind}_below_{measure}"].to_numpy(float),
                        color=colour,
                        linewidth=1.5,
                        marker=_marker(rows),
                        label=f"{kind} edges",
                    )
            label = "no difference" if row == 0 else "_"
            axes.axhline(line, color=INK, linewidth=0.9, linestyle="--", zorder=1, label=label)
        _one_scale([column[row] for column in panels], least=least)
    for group, (above, below) in zip(groups, panels, strict=True):
        _title(above, f"{_name(group)}, {_models(_of(table, group)['models'].iloc[0])}")
        above.tick_params(labelbottom=False)
        below.set_xlabel("epoch")
    panels[0][0].set_ylabel("|w| below the\nmedian (% of edges)")
    panels[0][1].set_ylabel("|w| below the 5th\npercentile (% of edges)")
    _legend(figure, panels[0][0])
    return figure


def plot_distributions(study: SelfPruningStudy) -> Figure:
    """The cumulative distributions of |w| of spurious and prior edges at the end, a panel per penalty.

    Each has the two-sample Kolmogorov-Smirnov statistic and its p-value, which takes edges for independent,
    and a line where the two differ most. Prior edges of unknown sign, if some but not all are, have a thin
    line. Edges whose weight is exactly 0 are the height at which a line begins. study: of
    `self_pruning_study`; raises InputError as `plot_errors` does.
    """
    groups, table = _ended(study), study.separation
    figure, panels = _panels(len(groups), height=3.0)
    pooled = {n: Pooled(study, group, last=True) for n, group in enumerate(groups)}
    left, right = _range(np.concatenate([one.weights[0] for one in pooled.values()]))
    lines: dict[str, Any] = {}
    for number, (group, (axes,)) in enumerate(zip(groups, panels, strict=True)):
        weights, spurious = pooled[number].weights[0], pooled[number].spurious
        unsigned = ~spurious & ~pooled[number].signed
        kinds = [
            ("spurious edges", spurious, _SPURIOUS, 1.6),
            ("prior edges", ~spurious, _PRIOR, 1.6),
        ]
        if 0 < unsigned.sum() < (~spurious).sum():
            kinds.append(("prior edges of unknown sign", unsigned, _PRIOR, 0.8))
        for name, chosen, colour, width in kinds:
            if chosen.any():
                at, part = _cumulative(weights[chosen], left, right)
                lines[name] = axes.plot(
                    at,
                    100 * part,
                    color=colour,
                    linewidth=width,
                    drawstyle="steps-post",
                    label=name,
                )[0]
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        _log_ticks(axes.xaxis, left, right)
        # Room for the text above the lines, which end at 100.
        axes.set_ylim(0, 118)
        axes.set_yticks(range(0, 101, 20))
        text = "no spurious edges"
        row = _of(table, group).iloc[0]
        if np.isfinite(row["ks"]):
            at_most, low, high = _widest(weights, spurious)
            if left < at_most < right:
                axes.plot(
                    [at_most] * 2, [100 * low, 100 * high], color=INK, linewidth=1.0, zorder=4
                )
            p = f"< {_short(LEAST)}" if row["p"] < LEAST else f"= {_short(row['p'], 2)}"
            text = f"KS {row['ks']:.3f}, p {p}"
        axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=9, color=INK)
        _title(axes, f"{_name(group)}, {_models(int(row['models']))}")
        axes.set_xlabel("|w| after the training")
    _one_scale([axes for (axes,) in panels])
    panels[0][0].set_ylabel("edges up to this |w| (%)")
    _legend(figure, handles=[*lines.values()])
    return figure


def plot_removal(
    curves: pd.DataFrame, retrained: pd.DataFrame | None = None, measure: str = "mse"
) -> Figure:
    """The error of models whose edges are removed, against the part removed, a colour per penalty.

    curves: the table of `removal_curves`; its columns l2 (and l1), fraction, mse, held_out_mse, correlation
    and held_out_correlation are drawn, and those of an order apart where there are several. retrained: the
    table of `retrained_curves`, drawn as points. measure: "mse" or "correlation". Lines and points are
    medians of the models, bands and bars reach from quartile to quartile; the conditions of the training are
    in one panel, those held out in another, if there are some. Raises InputError for a table that is empty
    or lacks a column.
    """
    for name, table in (("curves", curves), ("retrained", retrained)):
        if table is not None or name == "curves":
            check_frame(name, table)
    if not isinstance(measure, str) or measure not in _ERRORS:
        raise InputError(f"measure is {quoted(measure, 80)}; choose {listed([*_ERRORS])}")
    keys = [name for name in _PENALTIES if name in curves]
    colours = [_name(group) for group in _groups(curves, keys)]
    orders = [*curves["order"].unique()] if "order" in curves else []
    keys += ["order"] * (len(orders) > 1)
    for kind, table in (("curves", curves), ("retrained", retrained)):
        if table is None:
            continue
        missing = [name for name in (*keys, "fraction", measure) if name not in table]
        if missing or len(table) == 0:
            said = f"has no column {listed(missing, table)}" if missing else "has no row"
            raise InputError(f"{kind} {said}; give a table of models with edges removed")
    held_out = f"held_out_{measure}"
    some = held_out in curves and bool(np.isfinite(curves[held_out].to_numpy(float)).any())
    columns = {
        measure: "training conditions",
        **({held_out: "held-out conditions"} if some else {}),
    }
    figure, panels = _panels(len(columns), height=3.0, width=3.6)
    for (column, title), (axes,) in zip(columns.items(), panels, strict=True):
        for group in _groups(curves, keys):
            number = colours.index(_name(group))
            colour, name = COLOURS[number % len(COLOURS)], _name(group) or "models"
            look = number // len(COLOURS)
            if "order" in group:
                look, name = orders.index(group["order"]), f"{name}, {group['order']}"
            at, low, middle, high = _quartiles(_of(curves, group), column)
            dash, point = _LOOKS[look % len(_LOOKS)]
            axes.plot(at, middle, linewidth=1.5, linestyle=dash, color=colour, label=name)
            axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
            rows = None if retrained is None else _of(retrained, group)
            if rows is None or column not in rows:
                continue
            at, low, middle, high = _quartiles(rows, column)
            bars = np.stack([middle - low, high - middle])
            axes.errorbar(at, middle, bars, color=colour, fmt=point, markersize=4, linewidth=1.0)
        _title(axes, title)
        axes.set_xlabel("edges removed (%)")
    tables = [table for table in (curves, retrained) if table is not None]
    drawn = [table[name] for table in tables for name in columns if name in table]
    above = not any((values.to_numpy(float) <= 0).any() for values in drawn)
    _one_scale([axes for (axes,) in panels], measure == "mse" and above)
    panels[0][0].set_ylabel(_ERRORS[measure])
    handles = panels[0][0].get_legend_handles_labels()[0]
    if retrained is not None:
        from matplotlib.lines import Line2D

        handles.append(
            Line2D([], [], color=INK, marker="o", markersize=4, linestyle="", label="retrained")
        )
    _legend(figure, handles=handles)
    return figure


# --- what the figures share ---------------------------------------------------------------------


def _ended(study: SelfPruningStudy) -> list[dict[str, float]]:
    """The groups of which models came to an end."""
    check_study(study)
    groups = [group for group in study.groups if study.count(group)]
    if not groups:
        raise InputError("no model of the study came to an end; there is nothing to draw")
    return groups


def _groups(table: pd.DataFrame, keys: list[str]) -> list[dict[str, Any]]:
    if not keys:
        return [{}]
    return table[keys].drop_duplicates().sort_values(keys).to_dict("records")


def _of(table: pd.DataFrame, group: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of one group."""
    for name, value in group.items():
        table = table[table[name] == value]
    return table


def _panels(
    count: int, rows: int = 1, height: float = 2.6, width: float = 2.7
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with `count` columns of so many panels, in several lines where there are many columns."""
    columns = min(count, _WIDEST)
    lines = -(-count // columns)
    figure = new_figure(max(5.0, 0.9 + width * columns), 0.6 + (height + 0.3) * rows * lines)
    every = figure.subplots(rows * lines, columns, squeeze=False)
    panels = []
    for number in range(lines * columns):
        line, column = divmod(number, columns)
        own = every[line * rows : (line + 1) * rows, column]
        if number < count:
            panels.append([styled_axes(axes) for axes in own])
        else:
            for axes in own:
                axes.remove()
    return figure, panels


def _one_scale(
    panels: list[Axes], log: bool = False, least: tuple[float, float] = (np.inf, -np.inf)
) -> None:
    """Give all panels the limits that hold the data of each, and the numbers to the first of a line."""
    if log:
        for axes in panels:
            axes.set_yscale("log")
    ends = np.array([least, *(axes.get_ylim() for axes in panels)])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    for number, axes in enumerate(panels):
        axes.set_ylim(low, high)
        if log:
            _log_ticks(axes.yaxis, low, high)
        axes.tick_params(which="both", labelleft=number % _WIDEST == 0)


def _log_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers on a logarithmic axis, also where it holds less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100 * low else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.set_minor_formatter(NullFormatter())


def _quartiles(table: pd.DataFrame, column: str) -> Iterator[np.ndarray]:
    """Parts of edges removed in %, then the quartiles of finite values at each."""
    finite = table[np.isfinite(table[column].to_numpy(float))]
    each = finite.groupby("fraction")[column]
    yield 100 * each.median().index.to_numpy(float)
    for part in (0.25, 0.5, 0.75):
        yield each.quantile(part).to_numpy(float)


def _range(weights: np.ndarray) -> tuple[float, float]:
    """The ends of a logarithmic axis for |w|; zeros have no place on it."""
    above = weights[weights > 0]
    if len(above) == 0:
        return 0.1, 1.0
    largest = float(above.max())
    return 0.8 * max(float(above.min()), largest * 10.0**-_DECADES), 1.25 * largest


def _cumulative(values: np.ndarray, left: float, right: float) -> tuple[np.ndarray, np.ndarray]:
    """The steps of an empirical cumulative distribution between two ends, with those below at the left."""
    values = np.sort(values)
    at, last = np.unique(values, return_index=True)
    part = np.append(last[1:], len(values)) / len(values)
    below = part[at <= left]
    at, part = at[at > left], part[at > left]
    if len(at) > _SHOWN_STEPS:
        kept = np.linspace(0, len(at) - 1, _SHOWN_STEPS).astype(int)
        at, part = at[kept], part[kept]
    first = below[-1] if len(below) else 0.0
    return np.concatenate([[left], at, [right]]), np.concatenate([[first], part, [1.0]])


def _widest(weights: np.ndarray, spurious: np.ndarray) -> tuple[float, float, float]:
    """The |w| where the two cumulative distributions differ most, and both of them there."""
    at = np.unique(weights)
    parts = [
        np.searchsorted(np.sort(some), at, side="right") / len(some)
        for some in (weights[spurious], weights[~spurious])
    ]
    most = int(np.argmax(np.abs(parts[0] - parts[1])))
    return float(at[most]), float(parts[0][most]), float(parts[1][most])


def _name(group: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.upper()} {_short(group[name])}" for name in _PENALTIES if name in group
    )


def _short(value: float, digits: int = 6) -> str:
    """A number for a label: 0.01, but 1e−5 rather than 1e-05."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if value == 0 or -4 < int(exponent) < 5:
        return f"{value:.{digits}g}"
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def _models(count: int) -> str:
    return f"{count} model" if count == 1 else f"{count} models"


def _marker(rows: pd.DataFrame) -> str | None:
    return "o" if len(rows) < 3 else None


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=10, color=INK, loc="left")


def _legend(figure: Figure, axes: Axes | None = None, handles: list[Any] | None = None) -> None:
    """A legend above all panels, where it covers no data."""
    if handles is None and axes is not None:
        handles = axes.get_legend_handles_labels()[0]
    handles = handles or []
    longest = max(len(handle.get_label()) for handle in handles)
    columns = max(1, int(figure.get_figwidth() / (0.5 + 0.07 * longest)))
    # As many in each row, so that what belongs together stands together.
    columns = -(-len(handles) // -(-len(handles) // columns))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=columns, frameon=False, fontsize=9
    )
