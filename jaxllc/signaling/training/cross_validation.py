"""cross_validate(): conditions predicted by models that never saw them, folds trained side by side."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxllc.errors import InputError, check_callable, check_integer, check_path, check_seed, quoted
from jaxllc.files.file_values import count, flag, number, plain, text, texts
from jaxllc.files.json_lines import append_lines, locked_rows, read_rows
from jaxllc.files.json_text import parse_json
from jaxllc.running.member_mesh import one_device_mesh
from jaxllc.signaling.arguments import seeds_of
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions, conditions_of
from jaxllc.signaling.data.folds import Folds, folds_of, published_folds
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of
from jaxllc.signaling.network.structure import Data, Parameters, Structure
from jaxllc.signaling.settings import SettingsLike, SignalingSettings, settings_of
from jaxllc.signaling.training.checkpoint import fingerprint
from jaxllc.signaling.training.side_by_side import (
    Members,
    filled_up,
    stacked_members,
    train_side_by_side,
)
from jaxllc.signaling.training.signaling_training import (
    correlation,
    dtype,
    initial_state,
    model_of,
    prepare,
)
from jaxllc.signaling.training.training_state import Rates, Shape

if TYPE_CHECKING:
    import pandas as pd

# Steps after which steady states are found anew, beside the times that the settings say.
_LOOK_ANEW = 250
# Models in one vmapped program: on a CPU one after the other is faster than any number side by side.
_TOGETHER_ON_CPU, _TOGETHER_ELSEWHERE = 1, 16


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """Predictions of held-out conditions.

    folds, seeds: of which models there are. measured: DataFrame (held-out conditions x TFs), nan where not
    measured. predicted: for each seed a DataFrame of that shape. correlations: DataFrame with a row for
    each seed: seed, pooled (Pearson r over held-out conditions and TFs), per_condition_median, train (mean
    over folds), seconds. notes: what to mind. seconds: time spent now.
    """

    folds: Folds
    seeds: tuple[int, ...]
    measured: pd.DataFrame
    predicted: dict[int, pd.DataFrame]
    correlations: pd.DataFrame
    notes: tuple[str, ...]
    seconds: float

    @cached_property
    def ensemble(self) -> pd.DataFrame:
        """The mean of the predictions over seeds."""
        return self.ensemble_of(self.seeds)

    def ensemble_of(self, seeds: Sequence[int]) -> pd.DataFrame:
        """The mean of the predictions over these seeds; raises InputError for one that was not trained."""
        chosen = seeds_of(seeds)
        if any(seed not in self.predicted for seed in chosen):
            raise InputError(
                f"seeds is {quoted(chosen, 80)}, but it must be some of {quoted(self.seeds, 80)}"
            )
        return sum(self.predicted[seed] for seed in chosen) / len(chosen)

    def best_trained(self, count: int) -> tuple[int, ...]:
        """The seeds whose models fit their own training conditions best, best first.

        Where the data decide the model (hundreds of conditions, little noise), a poor fit is a poor local
        minimum, and `ensemble_of(best_trained(n))` leaves it out without a look at held-out conditions.
        Raises InputError for a count below 1; where it is above the number of seeds, all are returned.
        """
        check_integer("count", count, 1)
        table = self.correlations.sort_values("train", ascending=False, kind="stable")
        return tuple(int(seed) for seed in table["seed"].iloc[:count])

    @property
    def ensemble_correlation(self) -> float:
        """Pearson r of the ensemble, pooled over held-out conditions and TFs."""
        return correlation(self.ensemble.to_numpy(), self.measured.to_numpy())

    @property
    def per_condition(self) -> pd.DataFrame:
        """Pearson r of the ensemble in each held-out condition: condition, correlation."""
        import pandas as pd

        values = _by_condition(self.ensemble, self.measured)
        return pd.DataFrame({"condition": self.measured.index, "correlation": values})

    def summary(self) -> str:
        """A few lines: pooled and per-condition correlation of each seed and of the ensemble."""
        lines = [
            f"{len(self.folds)} folds, {len(self.measured)} held-out conditions, "
            f"{self.measured.shape[1]} TFs, {self.seconds:.0f} s"
        ]
        for row in self.correlations.itertuples():
            lines.append(
                f"seed {row.seed}: held-out r {row.pooled:.3f} pooled, "
                f"{row.per_condition_median:.3f} median per condition; train r {row.train:.3f}"
            )
        if len(self.seeds) > 1:
            median = _median(self.per_condition["correlation"].to_numpy())
            lines.append(
                f"ensemble of {len(self.seeds)}: held-out r {self.ensemble_correlation:.3f} pooled, "
                f"{median:.3f} median per condition"
            )
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return f"CrossValidation({self.summary().splitlines()[-1 - len(self.notes)]})"


@dataclass(frozen=True)
class _Job:
    """One model: a fold left out, a seed."""

    fold: int
    seed: int


def cross_validate(
    prior: PriorNetwork | str | os.PathLike,
    conditions: Conditions,
    folds: Folds | None = None,
    settings: SettingsLike = None,
    seed: int = 0,
    *,
    seeds: Sequence[int] | None = None,
    records: str | os.PathLike | None = None,
    together: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> CrossValidation:
    """Train a model for each fold (and seed) without its conditions, and predict them.

    prior, settings: as in `train`. folds: tuples of names of held-out conditions, a mapping to them or the
    path of a table as `read_folds` takes it, by default `published_folds(conditions)`. Folds of unlike size
    share a program. seed: of initial values and noise, every fold with its own; the same seed on the same
    machine gives the same result. seeds: several make an ensemble, by default `seed` alone. records: a
    JSONL file with a row for each model, appended to as models are done; what it holds already is not done
    again. together: models trained side by side in one vmapped program, by default 1 on a CPU and 16 on an
    accelerator; it changes nothing beyond rounding. progress: called with models done, models in all, and
    what was done. An interrupt is raised; what the records hold stays done.

    Raises InputError where `train` would, for folds with unknown or repeated conditions, and for records of
    other data or settings.

    Source of the protocol: Nilsson et al., Nature Communications 13 (2022).

    Example:
        >>> prior = PriorNetwork.from_edges(["L1", "L2", "R", "R"], ["R", "R", "T1", "T2"])
        >>> levels = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        >>> activities = 0.1 + 0.3 * levels.sum(1, keepdims=True) * np.ones((1, 2))
        >>> names = ("none", "first", "second", "both")
        >>> conditions = Conditions(names, ("L1", "L2"), ("T1", "T2"), levels, activities)
        >>> found = cross_validate(prior, conditions, [["first"], ["second"]], {"epochs": 20}, seed=0)
        >>> found.measured.shape, found.predicted[0].shape
        ((2, 2), (2, 2))
    """
    settings = settings_of(settings)
    start = time.perf_counter()
    check_seed("seed", seed)
    seeds = seeds_of([seed] if seeds is None else seeds)
    if together is not None:
        check_integer("together", together, 1, "the models trained side by side")
    if records is not None:
        check_path("records", records)
    check_callable("progress", progress, "models done, models in all and what was done")
    conditions = conditions_of(conditions)
    prior = prior_of(prior, conditions)
    conditions, structure, data = prepare(prior, conditions, settings)
    folds = published_folds(conditions) if folds is None else folds_of(folds, conditions)
    mark = fingerprint(structure, data, settings, 0)
    jobs = [_Job(fold, one) for one in seeds for fold in range(len(folds))]
    with locked_rows(records):
        rows = {}
        if records is not None:
            done = {
                (row["seed"], tuple(row["held_out"])): row
                for row in _read_records(Path(records), mark, len(conditions.tfs))
            }
            keys = {job: (job.seed, folds[job.fold]) for job in jobs}
            rows = {job: done[key] for job, key in keys.items() if key in done}
        left = [job for job in jobs if job not in rows]
        if together is None:
            together = _TOGETHER_ON_CPU if jax.default_backend() == "cpu" else _TOGETHER_ELSEWHERE
        together = max(1, together)
        groups = [left[first : first + together] for first in range(0, len(left), together)]
        mesh = one_device_mesh()

        for group in groups:
            began = time.perf_counter()
            # The last group is filled up with models that are not kept: another size would compile again.
            filled = [group[n % len(group)] for n in range(min(together, len(jobs)))]
            learned = _train(structure, data, conditions, folds, filled, settings, mesh)
            for number, job in enumerate(group):
                parameters = Parameters(*(x[number] for x in learned))
                row = _record(prior, conditions, folds, job, settings, parameters, mark)
                row["seconds"] = (time.perf_counter() - began) / len(group)
                rows[job] = row
                if records is not None:
                    append_lines(Path(records), [json.dumps(plain(row), allow_nan=False)])
            if progress is not None:
                last = group[-1]
                progress(len(rows), len(jobs), f"seed {last.seed}, fold {last.fold + 1}")
    seconds = time.perf_counter() - start
    return _validation(prior.notes, conditions, folds, seeds, rows, seconds)


def _train(
    structure: Structure,
    data: Data,
    conditions: Conditions,
    folds: Folds,
    jobs: Sequence[_Job],
    settings: SignalingSettings,
    mesh: Mesh,
) -> Parameters:
    """The parameters that each job learned, stacked; folds of unlike size fill up the same rows."""
    rows = conditions.num_conditions - min(len(fold) for fold in folds)
    rates, each = Rates.of(settings, dtype()), []
    for job in jobs:
        part = filled_up(data, _kept(conditions, folds[job.fold]), rows)
        state = initial_state(structure, part, settings, _job_seed(job))
        each.append(Members(structure, part, rates, state))
    shape = Shape.of(settings, rows)
    often = max(1, _LOOK_ANEW // shape.steps_per_epoch)
    cuts = range(often, settings.epochs, often)
    members = stacked_members(each, mesh)
    return train_side_by_side(shape, settings.epochs, members, mesh, cuts=cuts).best


def _kept(conditions: Conditions, fold: Sequence[str]) -> np.ndarray:
    """The conditions that are not of the fold, as indices."""
    held_out = [conditions.position[name] for name in fold]
    return np.setdiff1d(np.arange(conditions.num_conditions), held_out)


def _job_seed(job: _Job) -> int:
    """Every fold begins elsewhere, as separate runs would."""
    return job.seed * 100_003 + job.fold


def _record(
    prior: PriorNetwork,
    conditions: Conditions,
    folds: Folds,
    job: _Job,
    settings: SignalingSettings,
    parameters: Parameters,
    mark: str,
) -> dict[str, Any]:
    prediction = model_of(prior, conditions, settings, parameters).predict(conditions)
    held_out = [conditions.position[name] for name in folds[job.fold]]
    training = _kept(conditions, folds[job.fold])
    activities = prediction.tfs.to_numpy()
    return {
        "mark": mark,
        "seed": job.seed,
        "fold": job.fold,
        "held_out": list(folds[job.fold]),
        "predicted": activities[held_out].tolist(),
        "train": correlation(activities[training], conditions.tf_activities[training]),
        "converged": prediction.converged[held_out].tolist(),
        "train_converged": bool(prediction.converged[training].all()),
    }


def _read_records(path: Path, mark: str, num_tfs: int) -> list[dict[str, Any]]:
    """The rows of a records file; a last line that was cut off while being written is dropped."""

    def row_of(place: int, line: bytes) -> dict[str, Any]:
        try:
            row = parse_json(line)
            of_this = text(row["mark"]) == mark
            row = _checked_row(row, num_tfs) if of_this else row
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, row {place} is not a record of a cross-validation ({str(error)[:100]}); remove "
                "the file to start anew"
            ) from None
        if not of_this:
            raise InputError(
                f"{path}, row {place} belongs to another network, other conditions or settings; choose "
                "another file for the records"
            )
        return row

    return read_rows(path, row_of, "records of a cross-validation", "mark")


def _checked_row(row: dict[str, Any], num_tfs: int) -> dict[str, Any]:
    """A row with nan for null; raises KeyError, TypeError or ValueError for what cannot be one."""
    held_out = texts(row["held_out"])
    predicted = np.array([[number(x) for x in values] for values in row["predicted"]], float)
    if predicted.shape != (len(held_out), num_tfs) or len(row["converged"]) != len(held_out):
        raise ValueError("its predictions do not fit its conditions")
    return {
        "mark": row["mark"],
        "seed": count(row["seed"]),
        "fold": count(row["fold"]),
        "held_out": list(held_out),
        "predicted": predicted.tolist(),
        "train": number(row["train"]),
        "converged": [flag(x) for x in row["converged"]],
        "train_converged": flag(row["train_converged"]),
        "seconds": number(row["seconds"]),
    }


def _validation(
    said: Sequence[str],
    conditions: Conditions,
    folds: Folds,
    seeds: tuple[int, ...],
    rows: dict[_Job, dict[str, Any]],
    seconds: float,
) -> CrossValidation:
    import pandas as pd

    names = [name for fold in folds for name in fold]
    held_out = [conditions.position[name] for name in names]
    columns = list(conditions.tfs)
    measured = pd.DataFrame(conditions.tf_activities[held_out], index=names, columns=columns)
    predicted, table = {}, []
    lost = untrained = 0
    for seed in seeds:
        mine = [rows[_Job(fold, seed)] for fold in range(len(folds))]
        values = np.concatenate([row["predicted"] for row in mine])
        predicted[seed] = pd.DataFrame(values, index=names, columns=columns)
        lost += sum(not fine for row in mine for fine in row["converged"])
        untrained += sum(not row["train_converged"] for row in mine)
        each = _by_condition(predicted[seed], measured)
        table.append(
            {
                "seed": seed,
                "pooled": correlation(values, measured.to_numpy()),
                "per_condition_median": _median(each),
                "train": float(np.mean([row["train"] for row in mine])),
                "seconds": float(sum(row["seconds"] for row in mine)),
            }
        )
    notes = [*said, *conditions.notes]
    if lost:
        notes.append(
            f"{lost} of {len(names) * len(seeds)} held-out predictions did not reach a steady state"
        )
    if untrained:
        notes.append(
            f"{untrained} of {len(folds) * len(seeds)} models do not reach a steady state in every condition "
            "of their training"
        )
    return CrossValidation(
        folds, seeds, measured, predicted, pd.DataFrame(table), once(*notes), seconds
    )


def _median(values: np.ndarray) -> float:
    """The median of what is known; nan where nothing is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _by_condition(predicted: pd.DataFrame, measured: pd.DataFrame) -> np.ndarray:
    pairs = zip(predicted.to_numpy(), measured.to_numpy(), strict=True)
    return np.array([correlation(x, y) for x, y in pairs])
