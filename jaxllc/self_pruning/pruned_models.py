"""Models pruned of edges: how their errors grow, and what becomes of that once they are trained again.

removal_curves() predicts with the edges of a trained model that are left; retrained_curves() trains the
smaller networks from the start. Both give a row per model and fraction. That edges of the smallest |w| go
first is the protocol of doi 10.1101/2025.10.24.684155 (2025).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.errors import (
    InputError,
    check_callable,
    check_integer,
    check_path,
    listed,
    listing,
    nearest_match,
    quoted,
)
from jaxllc.files.output_file import made_folder
from jaxllc.running.waiting import computed
from jaxllc.self_pruning.curves import FIGURES, curve_table
from jaxllc.self_pruning.separation import check_study
from jaxllc.self_pruning.study import SelfPruningStudy
from jaxllc.self_pruning.study_model import StudyModel
from jaxllc.signaling.arguments import seeds_of
from jaxllc.signaling.model.signaling_model import TOLERANCE, reachable
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.structure import settle
from jaxllc.signaling.training.side_by_side import COARSE
from jaxllc.signaling.training.signaling_training import correlation, dtype, mean_squared_error
from jaxllc.sweeps.grids import Grid, Point
from jaxllc.sweeps.records import DONE
from jaxllc.sweeps.runner import Progress
from jaxllc.sweeps.training import train_sweep

if TYPE_CHECKING:
    import pandas as pd

ORDERS = ("weakest", "strongest", "random")
# Finer where a strong penalty lets errors rise.
FRACTIONS = (*(n / 20 for n in range(16)), *(n / 40 for n in range(32, 41)))
RETRAINED_FRACTIONS = (0.5, 0.75, 0.9, 0.95)
FOLDER, RECORDS = "retrained", "records.jsonl"

_NONE: dict[str, Any] = {**dict.fromkeys((*FIGURES, "converged"), float("nan")), "note": ""}
_STREAM = 2  # of random numbers: spurious edges and conditions held out are drawn from others


def removal_curves(
    study: SelfPruningStudy,
    fractions: Iterable[float] = FRACTIONS,
    at: float = 0.5,
    order: str = "weakest",
    *,
    order_seed: int = 0,
    group: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What the models of a study predict without a part of their edges, which are not trained again.

    fractions: of the edges that are removed, each from 0 to 1. at: the part of the training after which
    weights are taken, at the snapshot nearest to it; 1 is the end. order: "weakest" removes the smallest |w|
    first, "strongest" the largest, "random" any, drawn from order_seed and the seed of the model; a larger
    fraction takes all that a smaller one took. group: penalties, for the models of these alone. progress:
    called with models done, models in all, and which it was.

    The table has a row per model and fraction: the penalties, seed, epoch, order, retrained (False) and
    fraction; edges_removed, their number; spurious_removed, the part of the spurious edges that is among
    them; mse and correlation (Pearson r) of the conditions of the training, and of those held out;
    converged, the number of conditions that came to rest; note.

    Raises InputError for arguments that do not fit.

    Example: `removal_curves(study, at=1.0).groupby(["l2", "fraction"])["mse"].median()`.
    """
    fractions = _checked(study, fractions, at, order, order_seed, progress)
    judge = _Judge(study)
    rows, total = [], study.count(group)
    for number, model in enumerate(study.models(group), start=1):
        removal = _Removal.of(model, at, order, order_seed)
        predicted = judge.of(removal)
        for fraction in fractions:
            rows.append(removal.row(fraction, False) | predicted(removal.removed(fraction)))
        if progress is not None:
            progress(number, total, removal.name)
    return curve_table(rows)


def retrained_curves(
    study: SelfPruningStudy,
    fractions: Iterable[float] = RETRAINED_FRACTIONS,
    at: float = 1.0,
    order: str = "weakest",
    *,
    order_seed: int = 0,
    group: Mapping[str, float] | None = None,
    seeds: Iterable[int] | None = None,
    folder: str | os.PathLike | None = None,
    together: int | None = None,
    memory: float | None = None,
    devices: Sequence[Any] | None = None,
    cluster: Any = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Remove a part of the edges of the models of a study, and train the smaller networks from the start.

    Each is trained with the settings, penalties, seed and held-out conditions of its model. The order
    "random" gives networks of the same size that no training chose. fractions, at, order, order_seed, group:
    as in `removal_curves`, and so is the table, with True in retrained. A network without a path from a
    ligand to a TF, and a training that diverges, are rows without figures whose note says so. Where no edge
    is removed, the row is that of the model itself.

    seeds: of the models, by default all. folder: gets the records, by default a folder in that of the study;
    what they hold is not trained again. together, memory, devices, cluster, progress: as in `train_sweep`;
    workers of a local cluster are started for each fraction. An interrupt ends early, and what was not
    trained has a note.

    Raises InputError for arguments that do not fit, and for records of another study or of other edges.

    Example: `retrained_curves(study, [0.9], seeds=range(3))[["l2", "mse", "held_out_mse"]]`.
    """
    fractions = _checked(study, fractions, at, order, order_seed, progress)
    if folder is not None:
        check_path("folder", folder)
    removals = [_Removal.of(model, at, order, order_seed) for model in _chosen(study, group, seeds)]
    place = made_folder(study.folder / FOLDER if folder is None else folder, "folder")
    rows, finished, total = [], True, len(fractions) * len(removals)
    ends = study.conditions.ligands, study.conditions.tfs
    # A sweep for each fraction: padded to the largest network, a small one would take as long.
    for number, fraction in enumerate(fractions):
        found: dict[str, dict[str, Any]] = {}
        networks: dict[str, PriorNetwork] = {}
        for removal in removals:
            name, network = removal.network_name(fraction), removal.network(study, fraction)
            if not removal.count(fraction):
                found[name] = _figures_of(_row_of(study, removal.model))
            elif network.num_edges and network.has_path(*ends):
                networks[name] = network
            else:
                found[name] = _NONE | {"note": "no path is left from a ligand to a TF"}
        points = [removal.point(fraction) for removal in removals]
        points = [point for point in points if point["network"] in networks]
        if points and finished:
            result = train_sweep(
                _nodes_of(study),
                study.conditions,
                study.settings,
                Grid(tuple(points)),
                records=place / RECORDS,
                folds=study.held_out or None,
                networks=networks,
                together=together,
                memory=memory,
                devices=devices,
                cluster=cluster,
                progress=_told(progress, number * len(removals), total),
            )
            finished = result.finished
            table = result.table.to_dict("records")
            found.update((str(row["network"]), _figures_of(row)) for row in table)
        missing = _NONE | {"note": "not trained before the interrupt; the same call goes on"}
        rows += [
            one.row(fraction, True) | found.get(one.network_name(fraction), missing)
            for one in removals
        ]
    return curve_table(rows)


@dataclass(frozen=True, eq=False)
class _Removal:
    """The edges of a model in the order in which they are removed, by its weights at one snapshot.

    time: the number of the snapshot. mark: what the order depends on, beside the model.
    """

    model: StudyModel
    time: int
    order: str
    mark: str
    edges: np.ndarray

    @classmethod
    def of(cls, model: StudyModel, at: float, order: str, order_seed: int) -> _Removal:
        """The removal by the snapshot nearest to the part `at` of the training."""
        epochs = model.snapshots.epochs
        time = int(np.argmin(np.abs(epochs - at * epochs[-1])))
        size = np.abs(model.snapshots.weights[time])
        if order == "random":
            random = np.random.default_rng([order_seed, model.seed, _STREAM])
            return cls(model, time, order, str(order_seed), random.permutation(len(size)))
        edges = np.argsort(-size if order == "strongest" else size, kind="stable")
        return cls(model, time, order, f"at {epochs[time]}", edges)

    @property
    def name(self) -> str:
        """Of the model: its penalties in full, for they tell networks apart."""
        penalties = ", ".join(f"{name} {value!r}" for name, value in self.model.penalties.items())
        return f"{penalties}, seed {self.model.seed}"

    def count(self, fraction: float) -> int:
        return round(fraction * len(self.edges))

    def removed(self, fraction: float) -> np.ndarray:
        return self.edges[: self.count(fraction)]

    def network_name(self, fraction: float) -> str:
        return f"{self.name} without {self.count(fraction)}, {self.order} {self.mark}"

    def network(self, study: SelfPruningStudy, fraction: float) -> PriorNetwork:
        whole = study.networks[self.model.snapshots.point["network"]]
        return whole.without_edges(self.removed(fraction))

    def point(self, fraction: float) -> Point:
        """The point of the model in the grid of the study, with the smaller network."""
        return {**self.model.snapshots.point, "network": self.network_name(fraction)}

    def row(self, fraction: float, retrained: bool) -> dict[str, Any]:
        """What a row says beside the figures."""
        spurious = self.model.spurious
        gone = int(spurious[self.removed(fraction)].sum())
        return {
            **self.model.penalties,
            "seed": self.model.seed,
            "epoch": int(self.model.snapshots.epochs[self.time]),
            "order": self.order,
            "retrained": retrained,
            "fraction": fraction,
            "edges_removed": self.count(fraction),
            "spurious_removed": gone / spurious.sum() if spurious.any() else float("nan"),
        }


class _Judge:
    """Predicts all conditions with the weights of a snapshot; one program for all networks of a study."""

    def __init__(self, study: SelfPruningStudy):
        self.held_out, self.how = study.held_out, (study.settings.activation, COARSE)
        self.problem = study.problem
        self.ligands = jnp.asarray(self.problem.data.ligands)
        # As the errors of the snapshots are found.
        self.tolerance = jnp.asarray(reachable(TOLERANCE / 20, dtype()), dtype())

    def of(self, removal: _Removal) -> Callable[[np.ndarray], dict[str, Any]]:
        """From edges that are removed to the figures of the model without them."""
        model, conditions = removal.model, self.problem.conditions
        structure = jax.device_put(self.problem.padded[model.snapshots.point["network"]])
        names = self.held_out.get(model.seed, ())
        out = np.array([conditions.position[name] for name in names], int)
        train = np.setdiff1d(np.arange(conditions.num_conditions), out)

        def predicted(removed: np.ndarray) -> dict[str, Any]:
            learned = model.parameters(removal.time, len(structure.signs), removed)
            arguments = structure, learned, self.ligands, self.tolerance
            found, activities = computed(settle, *self.how, *arguments)
            values = np.asarray(activities, np.float64)
            if not np.isfinite(values).all():
                return _NONE | {"converged": 0, "note": "the predictions are not finite"}
            measured = conditions.tf_activities
            return {
                "mse": mean_squared_error(values[train], measured[train]),
                "held_out_mse": mean_squared_error(values[out], measured[out]),
                "correlation": correlation(values[train], measured[train]),
                "held_out_correlation": correlation(values[out], measured[out]),
                "converged": int((np.asarray(found.residual) <= TOLERANCE).sum()),
                "note": "",
            }

        return predicted


def _figures_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The figures in a row of a sweep; none of a training that diverged or failed."""
    if row["status"] != DONE:
        return _NONE | {"note": f"{row['status']}: {row['note']}"}
    return {
        "mse": row["train_mse"],
        "held_out_mse": row.get("held_out_mse", float("nan")),
        "correlation": row["train_correlation"],
        "held_out_correlation": row.get("held_out_correlation", float("nan")),
        "converged": row["train_converged"] + row.get("held_out_converged", 0),
        "note": row["note"],
    }


def _row_of(study: SelfPruningStudy, model: StudyModel) -> dict[str, Any]:
    """The row of a model in the table of its study."""
    rows = study.table[study.table["seed"] == model.seed]
    for name, value in model.penalties.items():
        rows = rows[rows[name] == value]
    return rows.iloc[0].to_dict()


def _nodes_of(study: SelfPruningStudy) -> PriorNetwork:
    """The nodes of the prior network with one edge, from a ligand to a TF.

    It stands for the nodes alone: networks are padded to the shape of the one that a sweep starts from, and
    records are of it, whichever models are trained.
    """
    bare = study.prior.without_edges(np.arange(study.prior.num_edges))
    return bare.with_edges(study.conditions.ligands[:1], study.conditions.tfs[:1])


def _told(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Tells of one of several sweeps as of a part of all."""
    if progress is None:
        return None
    return lambda done, _, what: progress(before + done, total, what)


def _chosen(
    study: SelfPruningStudy, group: Mapping[str, float] | None, seeds: Iterable[int] | None
) -> list[StudyModel]:
    """The models of these seeds; raises InputError for a seed that the study does not have."""
    known = list(dict.fromkeys(point["seed"] for point in study.grid))
    chosen = known if seeds is None else seeds_of(seeds)
    unknown = [str(seed) for seed in chosen if seed not in known]
    if unknown:
        raise InputError(f"seeds holds {listed(unknown)}, of which the study has no model")
    return [model for model in study.models(group) if model.seed in chosen]


def _checked(
    study: SelfPruningStudy,
    fractions: Iterable[float],
    at: float,
    order: str,
    order_seed: int,
    progress: Progress | None,
) -> list[float]:
    """The fractions from the smallest, each once; raises InputError for arguments that do not fit."""
    check_study(study)
    check_callable("progress", progress, "models done, models in all and which it was")
    found: list[Any] = [fractions]
    if not isinstance(fractions, Real):
        found = listing("fractions", fractions, "parts of the edges", "[0.5, 0.9]")
    if not found:
        raise InputError("fractions is empty; give parts of the edges, such as [0.5, 0.9]")
    for name, value in (*(("a fraction", one) for one in found), ("at", at)):
        if not isinstance(value, Real) or not 0 <= float(value) <= 1:
            raise InputError(f"{name} is {quoted(value, 80)}, but it must be a part, from 0 to 1")
    if not isinstance(order, str) or order not in ORDERS:
        raise InputError(
            f"order is {quoted(order, 80)}{nearest_match(str(order), ORDERS)}; choose {listed(ORDERS)}"
        )
    check_integer("order_seed", order_seed, 0, "the seed of a random order")
    return sorted({float(one) for one in found})
