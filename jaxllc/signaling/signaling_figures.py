"""Figures of a signaling model: its fit, each condition, the training, and what a knock-out changes.

Each function returns a `matplotlib.figure.Figure` that belongs to no global state: show it in a
notebook, or write it with `figure.savefig("fit.png")`. Colours are those of Okabe and Ito (2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_mapping, listed
from jaxllc.figure_style import COLOURS, INK, SOFT, new_figure, styled_axes
from jaxllc.signaling.arguments import check_frame, check_parts, names_of
from jaxllc.signaling.model.signaling_model import Prediction
from jaxllc.signaling.training.signaling_training import correlation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN_TFS = 20
_SHOWN_CONDITIONS = 40
_SCATTERED = 20_000
_LONGEST = 30
_NO_CHANGE = 1e-3


def plot_fit(
    measured: pd.DataFrame, predicted: pd.DataFrame, held_out: Sequence[str] = ()
) -> Figure:
    """TF activities predicted against measured, a point for each TF and condition, with Pearson's r.

    measured, predicted: conditions x TFs, with the same names in any order; nan was not measured.
    held_out: conditions that the model was not fitted to, drawn on top in another colour. Raises
    InputError where a condition or TF that was measured has no prediction.
    """
    measured, predicted = _table("measured", measured), _table("predicted", predicted)
    predicted = _aligned(measured, predicted)
    held_out = names_of(held_out, "held_out", "['c1']")
    left_out = _rows(measured, held_out)
    figure = new_figure(4.8, 4.8)
    axes = styled_axes(figure.subplots())
    x, y = measured.to_numpy(float), predicted.to_numpy(float)
    groups = [(~left_out, COLOURS[0], "fitted" if held_out else "")]
    if held_out:
        groups.append((left_out, COLOURS[1], "held out"))
    texts = []
    for rows, colour, name in groups:
        seen = np.isfinite(x[rows]) & np.isfinite(y[rows])
        at, to = _thinned(x[rows][seen]), _thinned(y[rows][seen])
        alpha = float(np.clip(200 / max(len(at), 1), 0.25, 0.7))
        axes.plot(
            at,
            to,
            "o",
            color=colour,
            markersize=4,
            alpha=alpha,
            markeredgewidth=0,
            rasterized=True,
            label=name or "_",
        )
        r = correlation(y[rows], x[rows])
        texts.append(f"{name} r = {_number(r)}, {int(seen.sum())} values".strip())
    shown = np.concatenate([x[np.isfinite(x)], y[np.isfinite(x) & np.isfinite(y)], [0.0, 1.0]])
    margin = 0.03 * np.ptp(shown)
    ends = (float(shown.min() - margin), float(shown.max() + margin))
    axes.plot(ends, ends, color=SOFT, linewidth=0.9, linestyle="--", zorder=1)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    axes.set_xlabel("TF activity measured")
    axes.set_ylabel("TF activity predicted")
    axes.set_title("\n".join(texts), fontsize=10, color=INK, loc="left")
    if held_out:
        axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def plot_conditions(
    measured: pd.DataFrame, predicted: pd.DataFrame, held_out: Sequence[str] = ()
) -> Figure:
    """Pearson's r of each condition over its TFs, sorted, with the median as a line.

    Arguments as in `plot_fit`. A condition in which nothing varies has no r, and says so.
    """
    measured, predicted = _table("measured", measured), _table("predicted", predicted)
    predicted = _aligned(measured, predicted)
    held_out = names_of(held_out, "held_out", "['c1']")
    left_out = _rows(measured, held_out)
    x, y = measured.to_numpy(float), predicted.to_numpy(float)
    r = np.array([correlation(*pair) for pair in zip(y, x, strict=True)])
    # Those without r come last, which is the bottom row.
    order = np.argsort(np.nan_to_num(r, nan=-np.inf), kind="stable")
    figure = new_figure(6.4, max(1.6, 0.9 + 0.21 * len(order)))
    axes = styled_axes(figure.subplots())
    axes.barh(
        np.arange(len(order)),
        np.nan_to_num(r[order]),
        height=0.7,
        color=[COLOURS[1] if left_out[row] else COLOURS[0] for row in order],
    )
    for place, row in enumerate(order):
        at, text = (r[row], f"{r[row]:.2f}") if np.isfinite(r[row]) else (0.0, "does not vary")
        side = "left" if at >= 0 else "right"
        offset = 3 if at >= 0 else -3
        axes.annotate(
            text,
            (at, place),
            (offset, 0),
            textcoords="offset points",
            va="center",
            ha=side,
            fontsize=7.5,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )
    if np.isfinite(r).any():
        median = float(np.nanmedian(r))
        axes.axvline(median, color=INK, linewidth=0.9, linestyle="--")
        axes.set_title(f"median r = {median:.3f}", fontsize=10, color=INK, loc="left")
    axes.axvline(0.0, color=SOFT, linewidth=0.8)
    lowest = float(np.nanmin(np.append(r, 0.0)))
    axes.set_xlim(lowest - 0.2 if lowest < 0 else 0.0, 1.12)
    axes.set_ylim(-0.6, len(order) - 0.4)
    labels = [_short(str(measured.index[row])) for row in order]
    axes.set_yticks(np.arange(len(order)), labels, fontsize=8)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("r of predicted and measured TF activities")
    if held_out:
        _patches(figure, {"fitted": COLOURS[0], "held out": COLOURS[1]})
    return figure


def plot_training(history: pd.DataFrame) -> Figure:
    """Loss, mean squared error and spectral radius over the epochs, with a line at radius 1.

    history: columns epoch, loss, mse and, if it was looked at, radius; further errors, such as
    held_out_mse, are drawn where they are there. Beyond radius 1 the steady state need not exist.
    """
    check_frame("history", history, ("epoch", "loss", "mse"))
    if len(history) == 0:
        raise InputError("the history is empty: no epoch was trained")
    history = _table("history", history)
    figure = new_figure(9.6, 3.6)
    left, right = (styled_axes(axes) for axes in figure.subplots(1, 2))
    epochs = history["epoch"].to_numpy(float)
    marker = "o" if len(epochs) < 3 else None
    lines = {"loss": ("loss", COLOURS[1], 1.2), "mse": ("mean squared error", COLOURS[0], 1.4)}
    if "held_out_mse" in history:
        lines["held_out_mse"] = ("held-out mean squared error", COLOURS[2], 1.4)
    for column, (name, colour, width) in lines.items():
        values = history[column].to_numpy(float)
        left.plot(epochs, values, color=colour, linewidth=width, label=name, marker=marker)
    if (history[[*lines]].to_numpy(float) > 0).all():
        left.set_yscale("log")
    left.set_ylabel("error (no unit)")
    left.legend(frameon=False, fontsize=9)
    radius = history["radius"].to_numpy(float) if "radius" in history else np.zeros(0)
    if (radius > 0).any():
        right.plot(epochs, radius, color=COLOURS[3], linewidth=1.0, marker=marker)
        right.set_ylim(0, max(1.1, 1.05 * float(np.nanmax(radius))))
    else:
        right.text(
            0.5, 0.5, "was not looked at", transform=right.transAxes, ha="center", color=SOFT
        )
        right.set_ylim(0, 1.1)
    right.axhline(1.0, color=INK, linewidth=1.0, linestyle="--")
    right.set_ylabel("largest spectral radius of the conditions")
    for axes in (left, right):
        axes.set_xlabel("epoch")
    return figure


def plot_knock_out(
    prediction: Prediction, knocked: Prediction, labels: Mapping[str, str] | None = None
) -> Figure:
    """The TFs that a knock-out changes most: activity with it minus activity without, by condition.

    prediction, knocked: two predictions for the same conditions. labels: names to show instead of
    the node names, such as gene symbols. At most 20 TFs and 40 conditions, those that change most.
    """
    from matplotlib.colors import LinearSegmentedColormap

    for name, one in (("prediction", prediction), ("knocked", knocked)):
        check_parts(name, one, ("tfs",), "predict")
        check_frame(f"{name}.tfs", one.tfs)
    if labels is not None:
        check_mapping("labels", labels, "{'P42224': 'STAT1'}")
    labels = labels or {}
    change = _aligned(prediction.tfs, knocked.tfs) - prediction.tfs
    size = np.abs(change.to_numpy(float))
    by_tf, by_condition = np.nanmax(size, axis=0), np.nanmax(size, axis=1)
    tfs = np.argsort(-by_tf, kind="stable")[:_SHOWN_TFS]
    tfs = tfs[by_tf[tfs] > _NO_CHANGE] if (by_tf > _NO_CHANGE).any() else tfs[:1]
    most = np.argsort(-by_condition, kind="stable")[:_SHOWN_CONDITIONS]
    conditions = np.sort(most)
    shown = change.to_numpy(float)[np.ix_(conditions, tfs)].T
    figure = new_figure(2.4 + 0.27 * max(len(conditions), 8), 2.6 + 0.23 * len(tfs))
    axes: Axes = figure.subplots()
    limit = max(float(np.nanmax(np.abs(shown))), _NO_CHANGE)
    colours = LinearSegmentedColormap.from_list("change", [COLOURS[0], "#ffffff", COLOURS[1]])
    image = axes.imshow(shown, cmap=colours, vmin=-limit, vmax=limit, aspect="auto")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    axes.set_xticks(np.arange(len(conditions) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(tfs) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#e6e8eb", linewidth=0.7)
    axes.tick_params(which="minor", length=0)
    names = [_short(str(change.index[c])) for c in conditions]
    axes.set_xticks(np.arange(len(names)), names, rotation=90, fontsize=8)
    nodes = [str(change.columns[n]) for n in tfs]
    axes.set_yticks(np.arange(len(nodes)), [labels.get(node, node) for node in nodes], fontsize=8)
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=8)
    bar.set_label("change of TF activity", fontsize=9)
    changed = int((by_tf > _NO_CHANGE).sum())
    text = f"{changed} of {len(by_tf)} TFs change by more than {_NO_CHANGE:g}"
    axes.set_title(text, fontsize=10, color=INK, loc="left")
    return figure


# --- what the figures share ---------------------------------------------------------------------


def _table(argument: str, given: pd.DataFrame) -> pd.DataFrame:
    """The table as numbers; raises InputError for one that is empty or holds text."""
    check_frame(argument, given)
    if given.empty:
        raise InputError(
            f"{argument} is empty; give a table with a row for each condition or epoch"
        )
    try:
        return given.astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{argument} holds what is no number: {error!s:.100}") from error


def _aligned(measured: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """The predictions in the rows and columns of what was measured."""
    if measured.index.equals(predicted.index) and measured.columns.equals(predicted.columns):
        return predicted  # a condition may stand there twice, as in folds that overlap
    for kind, wanted, given in (
        ("condition", measured.index, predicted.index),
        ("TF", measured.columns, predicted.columns),
    ):
        missing = [str(name) for name in wanted if name not in given]
        if missing:
            raise InputError(
                f"there is no prediction for the {kind} {listed(missing, map(str, given))}"
            )
    return predicted.loc[measured.index, measured.columns]


def _rows(measured: pd.DataFrame, held_out: Sequence[str]) -> np.ndarray:
    unknown = [name for name in held_out if name not in measured.index]
    if unknown:
        raise InputError(f"held_out holds {listed(unknown, measured.index)}, which is no condition")
    return np.asarray(measured.index.isin(list(held_out)))


def _thinned(values: np.ndarray) -> np.ndarray:
    if len(values) <= _SCATTERED:
        return values
    return values[np.linspace(0, len(values) - 1, _SCATTERED).astype(int)]


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "undefined"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _patches(figure: Figure, colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
