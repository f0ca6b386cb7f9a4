"""How spurious edges differ from those of the prior network: on the way, and at the end of the training.

All figures are of |w|. Thresholds and tests pool the edges of all models of a group, so that an edge of the
prior network stands in them once per model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jaxllc.self_pruning.study_model import StudyModel
from jaxllc.signaling.arguments import check_parts

if TYPE_CHECKING:
    import pandas as pd

_FADED = 5  # percentile
LEAST = 1e-300  # p-values below it are 0 as numbers


class ModelsInGroups(Protocol):
    """What is asked of a `SelfPruningStudy`: its penalties, and the models that came to an end with each."""

    @property
    def groups(self) -> Sequence[Mapping[str, float]]: ...
    def models(self, group: Mapping[str, float]) -> Iterable[StudyModel]: ...
    def count(self, group: Mapping[str, float]) -> int: ...


class Pooled:
    """|w| of all models of a group, at all times (S, edges of all models), and what is known of the edges.

    with_sign: w at the end. spurious, signed: bool, for each edge; signed: its sign is known. model: the
    number of its model. mse, held_out_mse: (models, S). epochs: (S,).
    """

    def __init__(self, study: ModelsInGroups, group: Mapping[str, float], last: bool = False):
        models = list(study.models(group))
        which = slice(-1, None) if last else slice(None)
        self.epochs = models[0].snapshots.epochs[which]
        self.weights = np.concatenate([np.abs(m.snapshots.weights[which]) for m in models], axis=1)
        self.with_sign = np.concatenate([m.snapshots.weights[-1] for m in models])
        self.spurious = np.concatenate([m.spurious for m in models])
        self.signed = np.concatenate([m.snapshots.signs != 0 for m in models])
        self.model = np.repeat(np.arange(len(models)), [len(m.spurious) for m in models])
        self.mse = np.stack([m.snapshots.mse[which] for m in models])
        self.held_out_mse = np.stack([m.snapshots.held_out_mse[which] for m in models])
        self.num_models = len(models)


def check_study(study: object) -> None:
    """Raises InputError for what is no study."""
    check_parts("study", study, ("groups", "models", "count"), "self_pruning_study")


def over_training(study: ModelsInGroups) -> pd.DataFrame:
    """A row for each group and time: what becomes of errors and weights.

    Columns: the penalties, epoch, models; mse and held_out_mse (the median of the models, with _low and _high
    the quartiles); and for prior and spurious edges mean_weight_*, *_below_median and *_below_5th: the mean
    |w|, and the part of them whose |w| lies below the median and the 5th percentile of all edges.
    """
    import pandas as pd

    rows = []
    for group in study.groups:
        if study.count(group) == 0:
            continue
        pooled = Pooled(study, group)
        for time, epoch in enumerate(pooled.epochs):
            row: dict[str, Any] = {**group, "epoch": int(epoch), "models": pooled.num_models}
            for name in ("mse", "held_out_mse"):
                values = getattr(pooled, name)[:, time]
                low, middle, high = _quartiles(values)
                row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
            rows.append(row | _shares(pooled.weights[time], pooled.spurious))
    return pd.DataFrame(rows)


def at_the_end(study: ModelsInGroups) -> pd.DataFrame:
    """A row for each group: how |w| of spurious and prior edges differ after the last epoch.

    Columns: the penalties, models, the shares and means of `over_training`, and ks and p, the statistic of
    the two-sample Kolmogorov-Smirnov test and its p-value, which takes edges for independent; auroc, the
    probability that a prior edge has a larger |w| than a spurious one of the same model, the median of the
    models; auroc_low and auroc_high, the quartiles. Of the prior edges of unknown sign alone, which the
    training treats as it treats spurious ones: spurious_below_unknown, the part of spurious edges below their
    median, auroc_unknown, ks_unknown and p_unknown. prior_below_signed and spurious_below_signed: the parts
    below the median of w with its sign, as the published figures are. nan where there are none to compare.
    """
    import pandas as pd

    rows = []
    for group in study.groups:
        if study.count(group) == 0:
            continue
        pooled = Pooled(study, group, last=True)
        weights, spurious = pooled.weights[0], pooled.spurious
        row: dict[str, Any] = {**group, "models": pooled.num_models, **_shares(weights, spurious)}
        row |= dict(zip(("ks", "p"), _kolmogorov_smirnov(weights, spurious), strict=True))
        each = _aurocs(pooled, np.ones_like(spurious))
        row |= dict(zip(("auroc_low", "auroc", "auroc_high"), _quartiles(each), strict=True))
        alike = spurious | ~pooled.signed
        unknown = spurious.any() and not pooled.signed[spurious].any()
        if unknown and (alike & ~spurious).any():
            test = _kolmogorov_smirnov(weights[alike], spurious[alike])
            of_prior = weights[alike & ~spurious]
            row |= {
                "spurious_below_unknown": float((weights[spurious] < np.median(of_prior)).mean()),
                "auroc_unknown": _quartiles(_aurocs(pooled, alike))[1],
            }
            row |= dict(zip(("ks_unknown", "p_unknown"), test, strict=True))
        else:
            names = ("spurious_below_unknown", "auroc_unknown", "ks_unknown", "p_unknown")
            row |= dict.fromkeys(names, float("nan"))
        median = np.median(pooled.with_sign)
        for name, chosen in (("prior", ~spurious), ("spurious", spurious)):
            below = pooled.with_sign[chosen] < median
            row[f"{name}_below_signed"] = float(below.mean()) if len(below) else float("nan")
        rows.append(row)
    return pd.DataFrame(rows)


def auroc(weights: np.ndarray, spurious: np.ndarray) -> float:
    """The probability that a random prior edge has a larger |w| than a random spurious one; ties are half."""
    from scipy.stats import rankdata

    few, many = int(spurious.sum()), int((~spurious).sum())
    if few == 0 or many == 0:
        return float("nan")
    ranks = rankdata(weights)
    return float((ranks[~spurious].sum() - many * (many + 1) / 2) / (few * many))


def sentences(separation: pd.DataFrame) -> list[str]:
    """A sentence for each group."""
    found = []
    for row in separation.to_dict("records"):
        penalties = ", ".join(f"{name} {row[name]:g}" for name in ("l2", "l1") if name in row)
        if not np.isfinite(row["spurious_below_median"]):
            found.append(f"{penalties}: {row['models']} models without spurious edges")
            continue
        p = f"p < {LEAST:g}" if row["p"] < LEAST else f"p = {row['p']:.1e}"
        found.append(
            f"{penalties}: {row['spurious_below_median']:.1%} of spurious and "
            f"{row['prior_below_median']:.1%} of prior edges below the median |w|, Kolmogorov-Smirnov "
            f"{row['ks']:.3f} ({p}), AUROC {row['auroc']:.3f}; {row['models']} models"
        )
        if np.isfinite(row["auroc_unknown"]):
            found.append(
                f"  beside prior edges of unknown sign: {row['spurious_below_unknown']:.1%} below their "
                f"median, Kolmogorov-Smirnov {row['ks_unknown']:.3f}, AUROC {row['auroc_unknown']:.3f}"
            )
    return found


def _shares(weights: np.ndarray, spurious: np.ndarray) -> dict[str, float]:
    median, faded = np.median(weights), np.percentile(weights, _FADED)
    row = {}
    for name, chosen in (("prior", ~spurious), ("spurious", spurious)):
        some = weights[chosen]
        there = len(some) > 0
        row[f"mean_weight_{name}"] = float(some.mean()) if there else float("nan")
        row[f"{name}_below_median"] = float((some < median).mean()) if there else float("nan")
        row[f"{name}_below_5th"] = float((some < faded).mean()) if there else float("nan")
    return row


def _aurocs(pooled: Pooled, chosen: np.ndarray) -> np.ndarray:
    weights, found = pooled.weights[0], []
    for number in range(pooled.num_models):
        edges = chosen & (pooled.model == number)
        found.append(auroc(weights[edges], pooled.spurious[edges]))
    return np.array(found)


def _kolmogorov_smirnov(weights: np.ndarray, spurious: np.ndarray) -> tuple[float, float]:
    from scipy.stats import ks_2samp

    if spurious.all() or not spurious.any():
        return float("nan"), float("nan")
    test = ks_2samp(weights[spurious], weights[~spurious], method="asymp")
    return float(test.statistic), float(test.pvalue)


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), float("nan"), float("nan")
    low, middle, high = np.percentile(values, (25, 50, 75))
    return float(low), float(middle), float(high)
