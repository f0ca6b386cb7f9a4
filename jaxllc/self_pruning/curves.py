"""Tables of pruned models: the middle of many models, and how many edges each can lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_number, listed, quoted
from jaxllc.signaling.arguments import check_frame

if TYPE_CHECKING:
    import pandas as pd

ERRORS = ("mse", "held_out_mse")
FIGURES = ("mse", "held_out_mse", "correlation", "held_out_correlation")
_CURVE = ("l2", "l1", "epoch", "order", "retrained")  # what the rows of one curve have in common


def summary_of(*curves: pd.DataFrame) -> pd.DataFrame:
    """The middle of the models of each curve: a row for each penalty, kind of curve and fraction.

    curves: tables of `removal_curves` and `retrained_curves`, of one study. Columns: the penalties, epoch,
    order, retrained, fraction, edges_removed; models, those with figures; spurious_removed, mse,
    held_out_mse, correlation and held_out_correlation, medians, the last four with quartiles as _low and
    _high. Raises InputError for no table, or one that lacks a column.

    Example: `summary_of(removal_curves(study, at=1.0), retrained_curves(study))`.
    """
    import pandas as pd

    if not curves:
        raise InputError("no curves are given; give tables of removal_curves or retrained_curves")
    for one in curves:
        check_frame("a table of curves", one, ("fraction", "spurious_removed", *FIGURES))
    table = pd.concat(curves, ignore_index=True)
    keys = [name for name in (*_CURVE, "fraction", "edges_removed") if name in table]
    groups = table.groupby(keys, dropna=False)
    columns = {
        "models": groups["mse"].count(),
        "spurious_removed": groups["spurious_removed"].median(),
    }
    for name in FIGURES:
        for suffix, part in (("", 0.5), ("_low", 0.25), ("_high", 0.75)):
            columns[name + suffix] = groups[name].quantile(part)
    return pd.DataFrame(columns).reset_index()


def removable(curves: pd.DataFrame, growth: float = 0.1, error: str = "mse") -> pd.DataFrame:
    """How many edges each model can lose before an error grows by more than a part of it.

    curves: with the fraction 0, on whose error `growth` is; error: "mse" or "held_out_mse". A row per model
    and curve: the one of the largest fraction up to which the error stays within, at every fraction asked.
    Raises InputError for another error, and curves without the fraction 0.

    Example: `removable(removal_curves(study)).groupby("l2")["fraction"].median()`.
    """
    if not isinstance(error, str) or error not in ERRORS:
        raise InputError(f"error is {quoted(error, 80)}; choose {listed(ERRORS)}")
    check_number("growth", growth, 0)
    check_frame("curves", curves, ("fraction", error))
    rows = []
    keys = [name for name in (*_CURVE, "seed") if name in curves]
    for _, curve in curves.sort_values("fraction").groupby(keys, dropna=False):
        if curve["fraction"].iloc[0] != 0:
            raise InputError("a curve of curves begins above the fraction 0; ask for 0 as well")
        within = curve[error].to_numpy() <= (1 + growth) * curve[error].iloc[0]
        if not within[0]:  # no such error, where no condition is held out
            continue
        last = len(within) if within.all() else int(np.argmin(within))
        rows.append(curve.iloc[last - 1].to_dict())
    return curve_table(rows)


def curve_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows sorted into curves, from the smallest penalty."""
    import pandas as pd

    table = pd.DataFrame(rows)
    by = [name for name in ("l2", "l1", "seed", "fraction") if name in table]
    return table.sort_values(by, kind="stable", ignore_index=True) if by else table
