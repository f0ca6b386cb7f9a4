"""train_sweep(): signaling models over a grid of settings, seeds, folds, networks, trained side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jaxllc.errors import InputError, check_callable, check_integer, check_number
from jaxllc.files.output_file import remove_leftovers
from jaxllc.running.member_mesh import member_mesh
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions, conditions_of
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of
from jaxllc.signaling.settings import SettingsLike, settings_of
from jaxllc.sweeps.chunk_trainer import ChunkTrainer
from jaxllc.sweeps.grids import GridLike, grid_of, key_of
from jaxllc.sweeps.members import Problem, members_of, number_format
from jaxllc.sweeps.runner import Progress, SweepResult, name_of, sweep
from jaxllc.sweeps.snapshot_epochs import checked_snapshots
from jaxllc.sweeps.trained_member import TrainedMember


def train_sweep(
    prior: PriorNetwork | str | os.PathLike,
    conditions: Conditions,
    settings: SettingsLike,
    grid: GridLike,
    *,
    records: str | os.PathLike | None = None,
    folds: Sequence[Sequence[str]] | Mapping[int, Sequence[str]] | None = None,
    networks: Mapping[str, PriorNetwork] | None = None,
    metrics: Callable[[TrainedMember], Mapping[str, Any]] | None = None,
    snapshots: Sequence[int] = (),
    snapshot_folder: str | os.PathLike | None = None,
    together: int | None = None,
    memory: float | None = None,
    devices: Sequence[Any] | None = None,
    cluster: Any = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Train a signaling model for every point of a grid; each is the model that `train` would give.

    prior, settings: as `train` takes them; points start from these settings. grid: points whose fields are
    fields of SignalingSettings, `seed` (0 if left out), `fold` (the number of one of `folds`, whose
    conditions are held out; in a list they are numbered from 0) and `network` (the name of one of `networks`,
    which have the nodes of the prior network and other edges). Members that differ in numbers, seeds,
    networks and folds are trained side by side in one vmapped program, whatever the sizes of the folds unless
    they differ much or `batch_size` cuts the conditions; a field that shapes the program, such as
    `activation` or `epochs`, makes a program for each of its values. records: see `sweep`.

    metrics: what to add to the row of a member, from a TrainedMember. snapshots: epochs after which the
    weights and their errors are kept, 0 for the begin, written into `snapshot_folder`, a file per member that
    `read_snapshots` reads and the column `snapshots` names; at these epochs steady states are found anew,
    so that models differ a little from those without. together: members in one program, over all devices;
    by default as many as fit into `memory`, bytes of each device, by default what is free on an
    accelerator, and one on each device of a CPU. devices: by default all local ones; the members are cut
    over them. `jax.config.update("jax_num_cpu_devices", 4)`, before anything else of JAX, makes four
    devices of a CPU. cluster: see `sweep`; a worker takes all its devices, and the first that is asked tells
    how many members share a program, so that on workers with the devices of the caller models are those
    without a cluster. There `metrics` runs too, and snapshot_folder must be a place that all of them see.
    progress: called with models done, models in all, and what was done or, without a cluster, which epoch is
    reached.

    The table has, beside the columns that `sweep` says: loss (smallest of an epoch, with penalties),
    Pearson r and mse of training and held-out conditions, how many of them reached a steady state, the
    largest spectral radius of the conditions of the training, and the number of edges whose weight
    contradicts their sign. A training that diverges has the status "diverged" and says how; the others go
    on.

    Raises InputError for a point that no training can be made of, before anything is trained, for records of
    another study, and where `train` would.

    Example:
        >>> from jaxllc.signaling import Conditions, PriorNetwork
        >>> prior = PriorNetwork.from_edges(["L", "R"], ["R", "T"], [1, 1])
        >>> levels, activities = np.array([[0.0], [0.5], [1.0]]), np.array([[0.1], [0.4], [0.7]])
        >>> conditions = Conditions(("off", "half", "on"), ("L",), ("T",), levels, activities)
        >>> result = train_sweep(prior, conditions, {"epochs": 20}, grid(l2=[1e-6, 1e-4], seed=range(2)))
        >>> result.table.groupby("l2")["train_correlation"].mean().shape
        (2,)
    """
    settings = settings_of(settings)
    grid = grid_of(grid)
    check_callable("metrics", metrics, "a TrainedMember")
    check_callable("progress", progress, "models done, models in all and what was done")
    conditions = conditions_of(conditions)
    prior = prior_of(prior, conditions)
    members = members_of(grid, settings, networks)
    problem = Problem.of(prior, conditions, settings, folds, networks)
    problem = problem.with_members(list(members.values()))
    folder = checked_snapshots(snapshots, snapshot_folder, members)
    if folder is not None:
        remove_leftovers(folder)
    snapshots = sorted({int(epoch) for epoch in snapshots})
    if together is not None:
        check_integer("together", together, 1, "the models trained side by side")
    if memory is not None:
        check_number("memory", memory, 0, above=True, unit="bytes")
    if cluster is not None and devices is not None:
        raise InputError(
            "devices is given with cluster, whose workers take all they have; leave it out"
        )
    mesh = member_mesh(devices)
    trainer = ChunkTrainer(
        problem, members, mesh, together, memory, metrics, snapshots, folder, progress
    )
    study = [
        problem.study(settings),
        number_format(),
        snapshots,
        None if metrics is None else name_of(metrics),
    ]
    result = sweep(
        trainer,
        grid,
        records=records,
        study=study,
        together=trainer.size,
        group=lambda point: problem.group(members[key_of(point)]),
        identity=lambda point: problem.identity(members[key_of(point)]),
        cluster=cluster,
        progress=trainer.report,
    )
    return replace(result, notes=once(*problem.notes, *result.notes))
