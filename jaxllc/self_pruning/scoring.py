"""Which edges of a prior network look spurious: a score for each, from how models shrink it.

A spurious edge that was added on purpose shows what becomes of an edge that does not belong. The score of an
edge of the prior network is the probability that it is such an edge, judged by its weights alone, if half of
all edges were. A weight fades for two reasons, that the edge does not belong and that no transcription factor
feels it; so edges are compared with spurious ones of the same leverage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_callable, check_integer
from jaxllc.self_pruning.leverage import leverage_in
from jaxllc.self_pruning.scorable import FEWEST, TooFewEdgesError, ends_of_paths, too_few
from jaxllc.self_pruning.separation import auroc, check_study
from jaxllc.self_pruning.study import SelfPruningStudy
from jaxllc.self_pruning.study_model import StudyModel

if TYPE_CHECKING:
    import pandas as pd

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
    and true positive rates. spurious_edges, models: how many there were. notes: those of the study.
    """

    table: pd.DataFrame
    auroc: float
    within: Mapping[str, float]
    calibration: pd.DataFrame
    roc: np.ndarray
    spurious_edges: int
    models: int
    notes: tuple[str, ...] = ()

    def summary(self, shown: int = 10) -> str:
        """How well scores separate, and the most suspicious edges as a table.

        shown: how many of them; raises InputError for no whole number.
        """
        check_integer("shown", shown, 1)
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


def edge_scores(
    study: SelfPruningStudy, leverage: Callable[[StudyModel], np.ndarray] | None = None
) -> EdgeScores:
    """Score every edge of the prior network of a study; see EdgeScores.

    What tells are ranks of |w| at the end of the training, among the edges of the prior network, one for each
    penalty, averaged over the seeds that share their spurious edges. Where some added edges have a sign and
    some have none, ranks are among edges of the same kind. Two logistic regressions, each class counting
    half, turn them into probabilities: one of ranks and leverage, and one of leverage alone, whose log-odds
    are taken off, so that where an edge lies is no evidence. An edge's score is the mean over all sets of
    spurious edges. Edges on no path from a ligand to a TF are left out. leverage: from a model to (E,), what
    weights are compared within; by default that of `leverage_in`.

    Raises InputError where too few spurious edges were added to learn from.

    Example: `edge_scores(study).table.head(20)`.
    """
    check_study(study)
    check_callable("leverage", leverage, "a model of the study")
    if study.count() == 0:
        raise InputError("no model of the study came to an end; there is nothing to score")
    seen = _Evidence(study, leverage_in(study) if leverage is None else leverage)
    networks = seen.networks
    total = sum(len(x) for x in seen.added)
    if total < FEWEST:
        raise TooFewEdgesError(too_few(total))
    held_out, by_place = _cross_fitted(seen)
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
        _calibration(held_out, labels, by_place),
        _roc(held_out, labels),
        total,
        study.count(),
        study.notes,
    )


class _Evidence:
    """Ranks of |w|, a column per penalty, and in the last column of leverage, for each set of added edges.

    added: for each set (edges, penalties + 1). prior: likewise, the same edges of the prior network in each.
    Only edges on a path.
    """

    def __init__(self, study: SelfPruningStudy, leverage: Callable[[StudyModel], np.ndarray]):
        prior, groups = study.prior, study.groups
        reached, leading = ends_of_paths(prior, study.conditions)
        self.on_path = reached[prior.senders] & leading[prior.receivers]
        self.prior_edges = int(self.on_path.sum())
        known = np.concatenate(
            [one.sign_known[study.spurious[name]] for name, one in study.networks.items()]
        )
        self.by_sign = min(known.sum(), (~known).sum()) >= FEWEST
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
                for column, values in ((number, model.weights), (len(groups), leverage(model))):
                    here = _ranks(values, spurious, on_path, kind)
                    ranks.setdefault(name, {}).setdefault(column, []).append(here)
                weights[number].append(model.weights[~spurious])
        self.median_weights = [np.median(each, axis=0) for each in weights]
        complete = [name for name, one in ranks.items() if len(one) == len(groups) + 1]
        self.added, self.prior, self.known = [], [], []
        for name in complete:
            on_path, spurious = paths[name][0], study.spurious[name]
            columns = np.stack([np.mean(x, axis=0) for _, x in sorted(ranks[name].items())], 1)
            self.added.append(columns[spurious & on_path])
            self.prior.append(columns[~spurious & on_path])
            self.known.append(study.networks[name].sign_known[spurious & on_path])
        self.prior_known = prior.sign_known[self.on_path]
        self.networks = len(complete)


def _ranks(
    values: np.ndarray, spurious: np.ndarray, on_path: np.ndarray, kind: np.ndarray
) -> np.ndarray:
    """The rank of each value among those of the prior network on a path and of its kind; else nan."""
    found = np.full(len(values), np.nan)
    for which in (kind & on_path, ~kind & on_path):
        there = np.sort(values[which & ~spurious])
        if len(there):
            found[which] = _rank(there, values[which])
    return found


def _rank(there: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The part of the sorted weights `there` below each weight, equal ones counted half; within (0, 1)."""
    both = np.searchsorted(there, weights) + np.searchsorted(there, weights, side="right")
    return (both / 2 + 0.5) / (len(there) + 1)


def _cross_fitted(seen: _Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all added edges, then of all prior edges of each set, fitted to the other sets.

    And the log-odds of being an added edge that their leverage alone gives.
    """
    folds = min(_FOLDS, seen.networks)
    sets = [*seen.added, *seen.prior]
    scores = [np.zeros(len(x)) for x in sets]
    by_place = [np.zeros(len(x)) for x in sets]
    for fold in range(folds):
        out = [n for n in range(seen.networks) if n % folds == fold]
        others = [n for n in range(seen.networks) if n not in out] or out
        fitted = _fit(
            np.concatenate([seen.added[n] for n in others]),
            np.concatenate([seen.prior[n] for n in others]),
        )
        for n in (*out, *(seen.networks + n for n in out)):
            scores[n] = _probability(_log_odds(fitted, sets[n]))
            by_place[n] = _place(sets[n]) @ fitted[1]
    return np.concatenate(scores), np.concatenate(by_place)


def _logit(ranks: np.ndarray) -> np.ndarray:
    return np.log(ranks) - np.log1p(-ranks)


def _features(ranks: np.ndarray) -> np.ndarray:
    """Log-odds z of the ranks of |w| with their squares, those of leverage, and products of both."""
    z, place = _logit(ranks[:, :-1]), _place(ranks)
    return np.column_stack([place, z, np.square(z), z * place[:, 1:2]])


def _place(ranks: np.ndarray) -> np.ndarray:
    """A constant, the log-odds of the rank of leverage, and its square."""
    x = _logit(ranks[:, -1])
    return np.column_stack([np.ones(len(x)), x, np.square(x)])


def _fit(added: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the regressions on ranks and leverage, and on leverage alone."""
    both = np.concatenate([added, prior])
    return tuple(_regression(f(both), len(added)) for f in (_features, _place))  # type: ignore[return-value]


def _regression(features: np.ndarray, added: int) -> np.ndarray:
    """Coefficients of a logistic regression in which each class counts as a half; `added` rows come first."""
    from scipy.optimize import minimize
    from scipy.special import expit

    counts = [added, len(features) - added]
    label = np.repeat([1.0, 0.0], counts)
    each = np.repeat([0.5 / max(count, 1) for count in counts], counts)
    penalised = np.append(0.0, np.full(features.shape[1] - 1, _RIDGE))

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        odds = features @ coefficients
        misfit = np.log1p(np.exp(-np.abs(odds))) + np.maximum(odds, 0) - label * odds
        gradient = features.T @ (each * (expit(odds) - label))
        value = each @ misfit + 0.5 * penalised @ np.square(coefficients)
        return float(value), gradient + penalised * coefficients

    return minimize(loss, np.zeros(features.shape[1]), jac=True, method="BFGS").x


def _log_odds(fitted: tuple[np.ndarray, np.ndarray], ranks: np.ndarray) -> np.ndarray:
    """Of being an added edge, by its weights, among edges of the same leverage."""
    return _features(ranks) @ fitted[0] - _place(ranks) @ fitted[1]


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


def _calibration(scores: np.ndarray, labels: np.ndarray, by_place: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    # Added edges are weighed so that their leverage is distributed as that of prior edges.
    weigh = np.where(labels, np.exp(np.clip(-by_place, -5, 5)), 1.0)
    halves = 0.5 * weigh / np.where(labels, weigh[labels].sum(), weigh[~labels].sum())
    # Bins that hold about as many added edges each.
    edges = np.unique(np.quantile(scores[labels], np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, scores, side="right")
    rows = []
    for number in range(len(edges) + 1):
        here = place == number
        if not here.any():
            continue
        rows.append(
            {
                "predicted": float(np.average(scores[here], weights=halves[here])),
                "observed": float(halves[here & labels].sum() / halves[here].sum()),
                "edges": int(here.sum()),
                "spurious": int((here & labels).sum()),
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
