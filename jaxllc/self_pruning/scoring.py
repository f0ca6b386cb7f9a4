"""Which edges of a prior network look spurious: a score for each, from how models shrink it.

A spurious edge that was added on purpose shows what becomes of an edge that does not belong. The score of an
edge of the prior network is the probability that it is such an edge, judged by its weights alone, if half of
all edges were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError
from jaxllc.self_pruning.separation import auroc

if TYPE_CHECKING:
    import pandas as pd

    from jaxllc.self_pruning.study import SelfPruningStudy

_FEWEST = 10  # edges that a class or a fold is judged by
_FOLDS = 10
_BINS = 10
_RIDGE = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class EdgeScores:
    """A score for every edge of a prior network, and how far such scores can be trusted.

    table: DataFrame, a row per edge, the most suspicious first: source, target, sign ("+", "-" or "?"), score
    (0 to 1; nan where no path from a ligand to a TF passes the edge, of which the data say nothing), low and
    high (quartiles over the sets of spurious edges), the median |w| for each penalty, on_path, and sources.
    auroc: the probability that an added spurious edge scores above an edge of the prior network; within: of
    each sign alone, "known" and "unknown". calibration: DataFrame with a row per bin of scores: predicted
    (the mean score), observed (the part of spurious edges, of which half of all are), edges and spurious.
    auroc and calibration are of sets of spurious edges that the scores were not fitted to. roc: (2, K), false
    and true positive rates.
    """

    table: pd.DataFrame
    auroc: float
    within: Mapping[str, float]
    calibration: pd.DataFrame
    roc: np.ndarray
    spurious_edges: int
    models: int

    def summary(self, shown: int = 10) -> str:
        """How well scores separate, and the most suspicious edges as a table."""
        by_sign = ", ".join(f"{value:.3f} of {name} sign" for name, value in self.within.items())
        head = (
            f"Scores tell {self.spurious_edges} added spurious edges from those of the network with AUROC "
            f"{self.auroc:.3f}{f' ({by_sign})' if len(self.within) > 1 else ''}; {self.models} models."
        )
        top = self.table.head(shown)
        lines = [
            f"{'most suspicious edges':<38}{'sign':>5}{'score':>7}{'low':>7}{'high':>7}  sources"
        ]
        for row in top.to_dict("records"):
            edge = f"{row['source']} -> {row['target']}"
            lines.append(
                f"{edge:<38}{row['sign']:>5}{row['score']:>7.3f}{row['low']:>7.3f}{row['high']:>7.3f}"
                f"  {_short(str(row['sources']))}"
            )
        return "\n".join([head, "", *lines])

    def __repr__(self) -> str:
        return f"EdgeScores({len(self.table)} edges, AUROC {self.auroc:.3f})"


def edge_scores(study: SelfPruningStudy) -> EdgeScores:
    """Score every edge of the prior network of a study; see EdgeScores.

    What tells are ranks of |w| at the end of the training, among the edges of the prior network, one for each
    penalty, averaged over the seeds that share their spurious edges. Where some added edges have a sign and
    some have none, ranks are among edges of the same kind. A logistic regression, each class counting half,
    turns ranks into probabilities; an edge's score is the mean of its log-odds over all sets of spurious
    edges. Edges on no path from a ligand to a TF are left out.

    Raises InputError where too few spurious edges were added to learn from.

    Example: `edge_scores(study).table.head(20)`.
    """
    seen = _Evidence(study)
    networks = seen.networks
    total = sum(len(x) for x in seen.added)
    if total < _FEWEST:
        raise InputError(
            f"only {total} spurious edges on a path from a ligand to a TF were added, too few to compare "
            f"with; add at least {_FEWEST}, or use more seeds"
        )
    held_out = _cross_fitted(seen)
    fitted = _fit(np.concatenate(seen.added), np.concatenate(seen.prior))
    odds = np.stack([_log_odds(fitted, seen.prior[n]) for n in range(networks)])
    scores = np.full((3, study.prior.num_edges), np.nan)
    scores[:, seen.on_path] = _probability(
        np.stack([odds.mean(0), *np.percentile(odds, (25, 75), axis=0)])
    )
    labels = np.concatenate([np.ones(total, bool), np.zeros(seen.prior_edges * networks, bool)])
    return EdgeScores(
        _table(study, seen, scores),
        auroc(-held_out, labels),
        _by_class(held_out, labels, seen),
        _calibration(held_out, labels),
        _roc(held_out, labels),
        total,
        study.count(),
    )


class _Evidence:
    """Ranks of |w|, a column per penalty: of added edges and of those of the prior network, for each set.

    added: for each set (edges, penalties). prior: likewise, the same edges in each. Only edges on a path.
    """

    def __init__(self, study: SelfPruningStudy):
        prior, groups = study.prior, study.groups
        reached, leading = _reached(study)
        self.on_path = reached[prior.senders] & leading[prior.receivers]
        self.prior_edges = int(self.on_path.sum())
        known = np.concatenate(
            [one.sign_known[study.spurious[name]] for name, one in study.networks.items()]
        )
        self.by_sign = min(known.sum(), (~known).sum()) >= _FEWEST
        ranks: dict[str, dict[int, list[np.ndarray]]] = {}
        weights: list[list[np.ndarray]] = [[] for _ in groups]
        paths = {}
        for number, group in enumerate(groups):
            for model in study.models(group):
                name = model.snapshots.point["network"]
                network, spurious = study.networks[name], model.spurious
                if name not in paths:
                    paths[name] = (
                        reached[network.senders] & leading[network.receivers],
                        network.sign_known if self.by_sign else np.ones(len(spurious), bool),
                    )
                on_path, kind = paths[name]
                here = np.full(len(spurious), np.nan)
                for which in (kind & on_path, ~kind & on_path):
                    there = np.sort(model.weights[which & ~spurious])
                    if len(there):
                        here[which] = _rank(there, model.weights[which])
                ranks.setdefault(name, {}).setdefault(number, []).append(here)
                weights[number].append(model.weights[~spurious])
        self.median_weights = [np.median(each, axis=0) for each in weights]
        complete = [name for name, one in ranks.items() if len(one) == len(groups)]
        self.added, self.prior, self.known = [], [], []
        for name in complete:
            on_path, spurious = paths[name][0], study.spurious[name]
            columns = np.stack([np.mean(x, axis=0) for _, x in sorted(ranks[name].items())], 1)
            self.added.append(columns[spurious & on_path])
            self.prior.append(columns[~spurious & on_path])
            self.known.append(study.networks[name].sign_known[spurious & on_path])
        self.prior_known = prior.sign_known[self.on_path]
        self.networks = len(complete)


def _reached(study: SelfPruningStudy) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes a ligand acts on, and which act on a TF, bool (N,), in the prior network."""
    prior = study.prior
    masks = np.ones((2, prior.num_nodes), bool)
    away = prior.unreached(study.conditions.ligands), prior.leading_nowhere(study.conditions.tfs)
    for mask, names in zip(masks, away, strict=True):
        mask[[prior.position[name] for name in names]] = False
    return masks[0], masks[1]


def _rank(there: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The part of the sorted weights `there` below each weight, equal ones counted half; within (0, 1)."""
    both = np.searchsorted(there, weights) + np.searchsorted(there, weights, side="right")
    return (both / 2 + 0.5) / (len(there) + 1)


def _cross_fitted(seen: _Evidence) -> np.ndarray:
    """Scores of all added edges, then of all prior edges of each set, fitted to the other sets."""
    folds = min(_FOLDS, seen.networks)
    added = [np.zeros(len(x)) for x in seen.added]
    prior = [np.zeros(len(x)) for x in seen.prior]
    for fold in range(folds):
        out = [n for n in range(seen.networks) if n % folds == fold]
        others = [n for n in range(seen.networks) if n not in out] or out
        fitted = _fit(
            np.concatenate([seen.added[n] for n in others]),
            np.concatenate([seen.prior[n] for n in others]),
        )
        for n in out:
            added[n] = _probability(_log_odds(fitted, seen.added[n]))
            prior[n] = _probability(_log_odds(fitted, seen.prior[n]))
    return np.concatenate([*added, *prior])


def _features(ranks: np.ndarray) -> np.ndarray:
    """Log-odds of the ranks and their squares, with a constant: (edges, 1 + 2 penalties)."""
    z = np.log(ranks) - np.log1p(-ranks)
    return np.column_stack([np.ones(len(z)), z, np.square(z)])


def _fit(added: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Coefficients of a logistic regression in which each class counts as a half."""
    from scipy.optimize import minimize
    from scipy.special import expit

    features = _features(np.concatenate([added, prior]))
    label = np.repeat([1.0, 0.0], [len(added), len(prior)])
    each = np.repeat([0.5 / max(len(added), 1), 0.5 / max(len(prior), 1)], [len(added), len(prior)])
    penalised = np.append(0.0, np.full(features.shape[1] - 1, _RIDGE))

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        odds = features @ coefficients
        misfit = np.log1p(np.exp(-np.abs(odds))) + np.maximum(odds, 0) - label * odds
        gradient = features.T @ (each * (expit(odds) - label))
        value = each @ misfit + 0.5 * penalised @ np.square(coefficients)
        return float(value), gradient + penalised * coefficients

    return minimize(loss, np.zeros(features.shape[1]), jac=True, method="BFGS").x


def _log_odds(coefficients: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    return _features(ranks) @ coefficients


def _probability(log_odds: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(log_odds)


def _by_class(scores: np.ndarray, labels: np.ndarray, seen: _Evidence) -> dict[str, float]:
    """The AUROC among edges of known and of unknown sign, where both were added."""
    if not seen.by_sign:
        return {}
    known = np.concatenate([*seen.known, np.tile(seen.prior_known, seen.networks)])
    return {
        name: auroc(-scores[which], labels[which])
        for name, which in (("known", known), ("unknown", ~known))
    }


def _calibration(scores: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    # Bins that hold about as many added edges each.
    edges = np.unique(np.quantile(scores[labels], np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, scores, side="right")
    rows = []
    for number in range(len(edges) + 1):
        here = place == number
        if not here.any():
            continue
        added = int((here & labels).sum())
        a, b = added / labels.sum(), (here & ~labels).sum() / (~labels).sum()
        halves = np.where(labels[here], 0.5 / labels.sum(), 0.5 / (~labels).sum())
        rows.append(
            {
                "predicted": float(np.average(scores[here], weights=halves)),
                "observed": float(a / (a + b)),
                "edges": int(here.sum()),
                "spurious": added,
            }
        )
    return pd.DataFrame(rows)


def _roc(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """False and true positive rates as the threshold falls, at up to 200 thresholds; (2, K)."""
    levels = np.quantile(scores, np.linspace(1, 0, 200))
    rates = [
        [(scores[~labels] >= level).mean(), (scores[labels] >= level).mean()] for level in levels
    ]
    return np.array([[0.0, 0.0], *rates]).T


def _table(study: SelfPruningStudy, seen: _Evidence, scores: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    prior = study.prior
    names = np.array(prior.names, dtype=object)
    signs = np.where(prior.sign_known, prior.signs, 0)
    columns: dict[str, Any] = {
        "source": names[prior.senders],
        "target": names[prior.receivers],
        "sign": np.array(["?", "+", "-"], dtype=object)[signs],
        "score": scores[0],
        "low": scores[1],
        "high": scores[2],
    }
    for group, weights in zip(study.groups, seen.median_weights, strict=True):
        text = "_".join(f"{name}_{value:g}" for name, value in group.items())
        columns[f"weight_{text}"] = weights
    columns |= {"on_path": seen.on_path, "sources": np.array(prior.sources, dtype=object)}
    table = pd.DataFrame(columns)
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
