"""self_pruning_study(): which edges does a signaling model let go of? Spurious ones are added to find out.

Protocol: "Biologically informed neural network models are robust to spurious interactions via self-pruning",
doi 10.1101/2025.10.24.684155 (2025).
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import (
    InputError,
    check_callable,
    check_choice,
    check_integer,
    check_mapping,
    check_number,
    check_path,
    quoted,
)
from jaxllc.files.output_file import made_folder
from jaxllc.self_pruning import separation
from jaxllc.self_pruning.scorable import unscored_note
from jaxllc.self_pruning.study_arguments import check_part, checked_penalties, checked_seeds
from jaxllc.self_pruning.study_model import StudyModel
from jaxllc.signaling.data.conditions import Conditions, conditions_of
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of
from jaxllc.signaling.network.spurious_edges import KINDS, SIGNS, add_spurious_edges, is_spurious
from jaxllc.signaling.settings import SettingsLike, SignalingSettings, settings_of
from jaxllc.sweeps.devices.cluster import check_cluster, is_local
from jaxllc.sweeps.grids import Grid, grid, zipped
from jaxllc.sweeps.members import Problem
from jaxllc.sweeps.runner import INTERRUPTED, Progress
from jaxllc.sweeps.snapshots import read_snapshots
from jaxllc.sweeps.training import train_sweep

if TYPE_CHECKING:
    import pandas as pd

L2 = (1e-6, 1e-5, 1e-4)
SEEDS = range(50)
RECORDS, SNAPSHOTS = "records.jsonl", "snapshots"
HELD_OUT = 0.05
TIMES = 21


@dataclass(frozen=True, eq=False, repr=False)
class SelfPruningStudy:
    """The models of a study, and what can be asked of them.

    settings, grid: what was trained. table: DataFrame, a row per model: l2 (and l1), seed, status, note,
    errors and correlations of the conditions of the training and of those held out, seconds. networks: by
    the number of the spurious set, the prior network with its spurious edges. held_out: the conditions that
    each seed holds out. folder: where the records and snapshots are. finished: whether every model is
    trained. seconds: time spent now. notes: what to mind, a sentence each. temporary: keeps a temporary
    folder as long as the study.
    """

    prior: PriorNetwork
    conditions: Conditions
    settings: SignalingSettings
    grid: Grid
    table: pd.DataFrame
    networks: dict[str, PriorNetwork]
    held_out: dict[int, tuple[str, ...]]
    folder: Path
    finished: bool
    seconds: float
    notes: tuple[str, ...]
    temporary: _TemporaryFolder | None = None

    @property
    def groups(self) -> list[dict[str, float]]:
        """The penalties that were studied, from the smallest: what the models of a group have in common."""
        columns = self._penalties
        if self.table.empty:
            return []
        each = self.table[columns].drop_duplicates().sort_values(columns)
        return each.to_dict("records")

    def models(self, group: Mapping[str, float] | None = None) -> Iterator[StudyModel]:
        """The models that came to an end, one after the other, of one group or of all.

        Raises InputError where the weights of a model are not there any more.
        """
        for row in self._ended(group).itertuples(index=False):
            penalties = {name: float(getattr(row, name)) for name in self._penalties}
            try:
                snapshots = read_snapshots(self.folder / SNAPSHOTS / row.snapshots)
            except InputError as error:
                raise self._lost(penalties, row.seed, error) from error
            spurious = self.spurious[snapshots.point["network"]]
            yield StudyModel(penalties, int(row.seed), snapshots, spurious)

    def count(self, group: Mapping[str, float] | None = None) -> int:
        """How many models came to an end, in one group or in all."""
        return len(self._ended(group))

    @cached_property
    def over_training(self) -> pd.DataFrame:
        """What becomes of spurious and prior edges on the way; see `separation.over_training`."""
        return separation.over_training(self)

    @cached_property
    def separation(self) -> pd.DataFrame:
        """How spurious and prior edges differ at the end; see `separation.at_the_end`."""
        return separation.at_the_end(self)

    def summary(self) -> str:
        """A few lines: how many models, and the finding for each penalty."""
        counts = self.table["status"].value_counts()
        head = (
            f"{len(self.table)} of {len(self.grid)} models trained, {counts.get('diverged', 0)} diverged, "
            f"{counts.get('failed', 0)} failed; {self.seconds:.1f} s"
        )
        return "\n".join([head, *separation.sentences(self.separation), *self.notes])

    def __repr__(self) -> str:
        return f"SelfPruningStudy({len(self.table)} of {len(self.grid)} models of {self.prior!r})"

    @property
    def _penalties(self) -> list[str]:
        return [name for name in ("l2", "l1") if name in self.grid.axes]

    @cached_property
    def spurious(self) -> dict[str, np.ndarray]:
        """Which edges of each network are spurious, (E,)."""
        return {name: is_spurious(one, self.prior) for name, one in self.networks.items()}

    @cached_property
    def problem(self) -> Problem:
        """The networks as arrays of one shape, so that one program serves all models."""
        held_out = self.held_out or None
        return Problem.of(self.prior, self.conditions, self.settings, held_out, self.networks)

    def _lost(self, penalties: Mapping[str, float], seed: int, error: InputError) -> InputError:
        """What to do about a model whose snapshots cannot be read."""
        which = ", ".join(f"{name} {value:g}" for name, value in penalties.items())
        # The mend that it ends with is for a file that a user chose.
        what = str(error).rpartition(";")[0]
        # While the records say that it is done, it is not trained again, whatever became of the file.
        mend = f"remove the row that names this file from {self.folder / RECORDS}, and the same"
        if self.temporary is not None:
            mend = "it was in a temporary folder, so the same"
        return InputError(
            f"the model of {which}, seed {seed} is lost: {what}; {mend} call trains it again"
        )

    def _ended(self, group: Mapping[str, float] | None) -> pd.DataFrame:
        rows = self.table[self.table["status"] == "done"]
        if rows.empty:
            return rows  # without the columns of penalties, if not one model is trained
        if group is not None:
            check_mapping("group", group, str(dict.fromkeys(self._penalties, 1e-5)))
        for name, value in (group or {}).items():
            if name not in self._penalties:
                raise InputError(
                    f"group holds {quoted(name, 80)}; give {' and '.join(self._penalties)}, as "
                    "study.groups does"
                )
            check_number(f"{name} of group", value)
            rows = rows[rows[name] == value]
        return rows


def self_pruning_study(
    prior: PriorNetwork | str | os.PathLike,
    conditions: Conditions,
    l2: Iterable[float] = L2,
    seeds: Iterable[int] = SEEDS,
    spurious_edges: int = 100,
    *,
    settings: SettingsLike = None,
    l1: Iterable[float] | None = None,
    kind: str = "uniform",
    signs: str = "unknown",
    held_out: float = HELD_OUT,
    seeds_per_network: int = 1,
    times: int = TIMES,
    folder: str | os.PathLike | None = None,
    together: int | None = None,
    memory: float | None = None,
    devices: Sequence[Any] | None = None,
    cluster: Any = None,
    progress: Progress | None = None,
) -> SelfPruningStudy:
    """Add spurious edges to a network, train models with penalties on the weights, see which edges fade.

    A model is trained for every seed of seeds and penalty of l2; by default as published, 50 seeds and three
    L2. spurious_edges: how many are added for each seed, which also draws them, the initial values, the
    conditions held out and the noise. settings: of the training, "self_pruning" by default; their l2 and l1
    are replaced. l1: penalties on |w| to combine with every L2. kind, signs: of the spurious edges, as
    `add_spurious_edges` takes them. held_out: the part of the conditions that each seed holds out, at least
    one, or 0 for none. seeds_per_network: so many seeds in a row share their spurious edges. times: how
    many times, evenly over the training, weights are kept.

    folder: gets the records and the weights on the way; the same call with the same folder goes on where it
    ended, or opens a finished study. Without it they are in a temporary folder, for as long as the study.
    together, memory, devices, cluster, progress: as in `train_sweep`; on a cluster that is not local, folder
    is needed, a place that all workers see.

    Raises InputError for arguments that do not fit, and where `train_sweep` would.

    Source of the protocol: doi 10.1101/2025.10.24.684155 (2025).

    Example:
        >>> from jaxllc.signaling import Conditions, PriorNetwork
        >>> prior = PriorNetwork.from_edges(["L", "R", "L"], ["R", "T", "S"], [1, 1, None])
        >>> levels, activities = np.array([[0.0], [0.5], [1.0]]), np.array([[0.1], [0.4], [0.7]])
        >>> conditions = Conditions(("off", "half", "on"), ("L",), ("T",), levels, activities)
        >>> study = self_pruning_study(
        ...     prior, conditions, l2=[1e-5], seeds=[0, 1], spurious_edges=2, settings={"epochs": 20}
        ... )
        >>> study.table["status"].tolist()
        ['done', 'done']
    """
    settings = settings_of(settings, "self_pruning")
    seeds = list(checked_seeds(seeds))
    check_integer("spurious_edges", spurious_edges, 0, "the edges added for each seed")
    check_integer("seeds_per_network", seeds_per_network, 1, "the seeds that share spurious edges")
    check_integer("times", times, 2, "the begin and the end of the training", 1_000_000)
    check_callable("progress", progress, "models done, models in all and what was done")
    if folder is not None:
        check_path("folder", folder)
    check_choice("kind", kind, KINDS)
    check_choice("signs", signs, SIGNS)
    check_part(held_out)
    penalties = {"l2": checked_penalties("l2", l2, settings)}
    if l1 is not None:
        penalties["l1"] = checked_penalties("l1", l1, settings)
    numbers = [_network_name(seed, seeds_per_network) for seed in seeds]
    axes: dict[str, list[Any]] = {"seed": seeds, "network": numbers}
    if held_out:
        axes["fold"] = seeds
    # Seed by seed: a study that is interrupted has about as many models of each penalty.
    points = zipped(**axes) * grid(**penalties)
    conditions = conditions_of(conditions)
    prior = prior_of(prior, conditions)
    conditions = conditions.matched(prior)
    folds = _held_out(conditions, seeds, held_out)
    networks = networks_of(prior, spurious_edges, seeds, seeds_per_network, kind, signs)
    epochs = np.unique(np.linspace(0, settings.epochs, times).round().astype(int))
    if folder is None and cluster is not None and not is_local(cluster):
        check_cluster(cluster)
        raise InputError(
            "folder is left out; on a cluster name a folder that its workers see, for weights on the way"
        )
    temporary: _TemporaryFolder | None = None
    if folder is None:
        temporary = _TemporaryFolder()
        place = temporary.path
    else:
        place = made_folder(folder, "folder")
    result = train_sweep(
        prior,
        conditions,
        settings,
        points,
        records=place / RECORDS,
        folds=folds or None,
        networks=networks,
        snapshots=epochs.tolist(),
        snapshot_folder=place / SNAPSHOTS,
        together=together,
        memory=memory,
        devices=devices,
        cluster=cluster,
        progress=progress,
    )
    notes = tuple(filter(None, (unscored_note(prior, conditions, networks), *result.notes)))
    if temporary is not None and not result.finished:
        left = len(points) - len(result.table)
        kept = (note for note in notes if not note.startswith(INTERRUPTED))
        notes = (
            f"{INTERRUPTED} {left} models left, and those that are done go with this study; name a folder to "
            "keep them and go on",
            *kept,
        )
    return SelfPruningStudy(
        prior,
        conditions,
        settings,
        points,
        result.table.drop(columns=["network", "fold"], errors="ignore"),
        networks,
        folds,
        place,
        result.finished,
        result.seconds,
        notes,
        temporary,
    )


def networks_of(
    prior: PriorNetwork,
    spurious_edges: int,
    seeds: Sequence[int],
    seeds_per_network: int = 1,
    kind: str = "uniform",
    signs: str = "unknown",
) -> dict[str, PriorNetwork]:
    """The prior network with the spurious edges of each set of seeds, by the name of the set."""
    names = dict.fromkeys(_network_name(seed, seeds_per_network) for seed in seeds)
    return {
        name: add_spurious_edges(prior, spurious_edges, int(name), kind, signs) for name in names
    }


def _network_name(seed: int, seeds_per_network: int) -> str:
    return str(seed // seeds_per_network)


class _TemporaryFolder:
    """A new folder that is removed with this object; unlike TemporaryDirectory's, that is no warning."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="jaxllc-study-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _held_out(
    conditions: Conditions, seeds: Sequence[int], part: float
) -> dict[int, tuple[str, ...]]:
    """The conditions that each seed holds out, drawn at random; none where the part is 0."""
    if part == 0:
        return {}
    total = conditions.num_conditions
    count = max(1, round(part * total))
    if count >= total:
        raise InputError(
            f"held_out is {part:g}, but of {total} conditions that leaves none to train on; give less"
        )
    drawn = {}
    for seed in seeds:
        # Not the stream that the spurious edges are drawn from.
        rows = np.random.default_rng([seed, 1]).choice(total, count, replace=False)
        drawn[seed] = tuple(conditions.names[n] for n in sorted(rows))
    return drawn
