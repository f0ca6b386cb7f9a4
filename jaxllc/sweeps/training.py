"""train_sweep(): signaling models over a grid of settings, seeds, folds, networks, trained side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxllc.errors import (
    InputError,
    check_callable,
    check_integer,
    check_number,
)
from jaxllc.files.output_file import remove_leftovers
from jaxllc.running.waiting import Pace, computed
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions, conditions_of
from jaxllc.signaling.model.signaling_model import TOLERANCE, reachable
from jaxllc.signaling.model.steady_state import Solver
from jaxllc.signaling.network.prior_network import PriorNetwork, prior_of
from jaxllc.signaling.network.structure import Parameters
from jaxllc.signaling.settings import SettingsLike, settings_of
from jaxllc.signaling.training.signaling_training import dtype, history_rows, most_epochs
from jaxllc.signaling.training.training_state import Record
from jaxllc.sweeps.devices.devices import member_mesh, members_per_device, padded_to
from jaxllc.sweeps.devices.vmapped import (
    COARSE,
    WHOLE,
    Members,
    advance_program,
    copied,
    judge_program,
    stacked,
)
from jaxllc.sweeps.grids import GridLike, Point, grid_of, key_of
from jaxllc.sweeps.members import Member, Problem, members_of, number_format
from jaxllc.sweeps.runner import Progress, SweepResult, name_of, sweep
from jaxllc.sweeps.snapshot_epochs import checked_snapshots
from jaxllc.sweeps.snapshots import Snapshots, snapshot_name, write_snapshots
from jaxllc.sweeps.trained_member import TrainedMember, error_of, outcome_of
from jaxllc.sweeps.work import Outcome


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
    which have the nodes of the prior network and other edges). Members that differ in numbers, seeds, folds
    of one size and networks are trained side by side in one vmapped program; a field that shapes the program,
    such as `activation` or `epochs`, makes a program for each of its values. records: see `sweep`.

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
        points = grid(l2=log_range(1e-6, 1e-4, 3), seed=range(50))
        result = train_sweep(prior, conditions, "default", points, records="l2.jsonl")
        result.table.groupby("l2")["train_correlation"].mean()
    """
    settings = settings_of(settings)
    grid = grid_of(grid)
    check_callable("metrics", metrics, "a TrainedMember")
    check_callable("progress", progress, "models done, models in all and what was done")
    conditions = conditions_of(conditions)
    prior = prior_of(prior, conditions)
    members = members_of(grid, settings, networks)
    problem = Problem.of(prior, conditions, settings, folds, networks)
    problem.check(list(members.values()))
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
    trainer = _Trainer(
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


class _Trainer:
    """Trains the members of a chunk: a batched function of points."""

    def __init__(
        self,
        problem: Problem,
        members: Mapping[str, Member],
        mesh: Mesh,
        together: int | None,
        memory: float | None,
        metrics: Callable[[TrainedMember], Mapping[str, Any]] | None,
        snapshots: Sequence[int],
        folder: Path | None,
        progress: Progress | None,
    ):
        self.problem, self.members, self.mesh = problem, members, mesh
        self.together, self.memory = together, memory
        self.metrics, self.progress = metrics, progress
        self.snapshots, self.folder = snapshots, folder
        self.shared = len(problem.priors) == 1 and not any(
            "input_scale" in member.point for member in members.values()
        )
        self.sizes: dict[Hashable, int] = {}
        self.per_device: dict[Hashable, int] = {}
        self.done, self.total = 0, len(members)

    def __getstate__(self) -> dict[str, Any]:
        # What a worker of a cluster needs: it has devices of its own, and no caller to report to.
        return {**vars(self), "mesh": None, "progress": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        mesh = member_mesh()
        sizes = {group: padded_to(size, mesh) for group, size in state["sizes"].items()}
        vars(self).update(state, mesh=mesh, sizes=sizes)

    def agree(self, point: Point, size: int) -> None:
        """Take the size that chunks of the group of a point have on all workers of a cluster."""
        self.sizes[self.problem.group(self.members[key_of(point)])] = size

    def for_one_device(self) -> _Trainer:
        """The same trainer on one device, in chunks of what each device takes: the programs stay the same."""
        one = copy(self)
        one.sizes = {group: size // self.mesh.size for group, size in self.sizes.items()}
        return one

    def report(self, done: int, total: int, what: str) -> None:
        """Tell the caller's `progress`; called after each chunk."""
        self.done, self.total = done, total
        if self.progress is not None:
            self.progress(done, total, what)

    def size(self, point: Point) -> int:
        """The members of a chunk of the group of a point; each chunk is filled up to it.

        It is that of the whole grid, not of what is left of it: a resumed sweep has the programs of an
        undisturbed one.
        """
        member = self.members[key_of(point)]
        group = self.problem.group(member)
        if group not in self.sizes:
            if self.together is not None:
                wanted = self.together
            else:
                wanted = self.mesh.size * self._per_device(member)
            count = sum(self.problem.group(one) == group for one in self.members.values())
            self.sizes[group] = padded_to(min(wanted, count), self.mesh)
        return self.sizes[group]

    def __call__(self, points: Sequence[Point]) -> list[Outcome | Exception]:
        outcomes: list[Outcome | Exception] = []
        while len(outcomes) < len(points):
            size = self.size(points[0])
            chosen = [self.members[key_of(point)] for point in points[len(outcomes) :][:size]]
            try:
                outcomes += self._chunk(chosen, size)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error) or size <= self.mesh.size:
                    raise
                # What the estimate took for enough memory was not: this and all later chunks are halved.
                group = self.problem.group(chosen[0])
                self.sizes[group] = padded_to(size // 2, self.mesh)
        return outcomes

    def _chunk(self, chosen: Sequence[Member], size: int) -> list[Outcome | Exception]:
        """What became of the members, trained in a program of `size` members."""
        # Filled up with members that are not kept: another size would compile again.
        members = [chosen[n % len(chosen)] for n in range(size)]
        arrays = self._arrays(members)
        best, best_loss, records, taken = self._train(members[0], arrays)
        judged = self._judge(members[0], arrays, best)
        on_the_way = [self._judge(members[0], arrays, one, COARSE)[0] for one in taken]
        best = Parameters(*(np.asarray(x, np.float64) for x in best))
        outcomes: list[Outcome | Exception] = []
        for n, member in enumerate(chosen):
            trained = self._trained(
                member,
                Parameters(*(x[n] for x in best)),
                [x[n] for x in judged],
                np.concatenate([_rows_of(part, n, first, count) for part, first, count in records]),
                float(best_loss[n]),
            )
            try:
                extra = self._kept_snapshots(
                    trained,
                    [Parameters(*(x[n] for x in p)) for p in taken],
                    [activities[n] for activities in on_the_way],
                )
                outcomes.append(outcome_of(trained, self.metrics, extra))
            except Exception as error:
                outcomes.append(error)
        return outcomes

    def _per_device(self, member: Member) -> int:
        """How many members each device takes, by the compiled program of one member on each."""
        device = self.mesh.devices.flat[0]
        if self.memory is None and device.platform == "cpu":
            return 1
        key = self.problem.shape(member), len(self.problem.kept(member))
        if key not in self.per_device:
            arrays = self._arrays([member] * self.mesh.size)
            compiled = self._program(member).lower(*arrays, jnp.asarray(1)).compile()
            self.per_device[key] = members_per_device(compiled, self.mesh, self.memory)
        return self.per_device[key]

    def _program(self, member: Member) -> Any:
        shape = self.problem.shape(member)
        return advance_program(shape, most_epochs(shape), self.shared, self.mesh)

    def _arrays(self, members: Sequence[Member]) -> Members:
        """The arrays of members, stacked and on the devices."""
        made = {key_of(member.point): self.problem.arrays(member) for member in members}
        each = [made[key_of(member.point)] for member in members]
        if self.shared:
            structure = copied(self.problem.structure(members[0]), self.mesh)
        else:
            structure = stacked([one.structure for one in each], self.mesh)
        rest = (
            stacked([one[k] for one in each], self.mesh) for k in range(1, len(Members._fields))
        )
        return Members(structure, *rest)

    def _train(
        self, member: Member, arrays: Members
    ) -> tuple[Parameters, np.ndarray, list[tuple[Record, int, int]], list[Parameters]]:
        """The best parameters and losses of all members, records with first epoch and count, snapshots."""
        epochs, program = member.settings.epochs, self._program(member)
        most = most_epochs(self.problem.shape(member))
        # The calls of a single run, cut where a snapshot is taken.
        ends = sorted({*range(most, epochs, most), *(e for e in self.snapshots if e > 0), epochs})
        structure, data, rates, state = arrays
        records: list[tuple[Record, int, int]] = []
        taken = [_on_host(state.parameters)] if 0 in self.snapshots else []
        reached, pace = 0, Pace()
        for end in ends:
            count = end - reached
            arguments = structure, data, rates, state, jnp.asarray(count)
            state, record = pace.computed(program, *arguments, units=count)
            records.append((_on_host(record), reached, count))
            reached = end
            if end in self.snapshots:
                taken.append(_on_host(state.parameters))
            if self.progress is not None and end < epochs:
                what = f"epoch {end} of {epochs}, {len(data.present)} models side by side"
                self.progress(self.done, self.total, what)
        return state.best.parameters, np.asarray(state.best.loss), records, taken

    def _judge(
        self,
        member: Member,
        arrays: Members,
        parameters: Parameters,
        solver: Solver = WHOLE,
    ) -> list[np.ndarray]:
        """Activities (M, B, TFs), residuals (M, B) and slopes (M, N, B) of all conditions."""
        program = judge_program(member.settings.activation, solver, self.shared, self.mesh)
        levels = copied(np.asarray(self.problem.data.ligands), self.mesh)
        within = jnp.asarray(reachable(TOLERANCE / 20, dtype()), dtype())
        judged = computed(program, arrays.structure, parameters, levels, within)
        return [np.asarray(x, np.float64) for x in judged]

    def _trained(
        self,
        member: Member,
        parameters: Parameters,
        judged: Sequence[np.ndarray],
        rows: np.ndarray,
        best_loss: float,
    ) -> TrainedMember:
        problem, kept = self.problem, self.problem.kept(member)
        num_edges = problem.priors[member.network].num_edges
        activities, residual, slope = judged
        return TrainedMember(
            member.point,
            member.settings,
            member.seed,
            problem.priors[member.network],
            problem.structures[member.network],
            problem.conditions,
            kept,
            np.setdiff1d(np.arange(problem.conditions.num_conditions), kept),
            parameters._replace(weights=parameters.weights[:num_edges]),
            activities,
            residual,
            slope,
            rows,
            best_loss,
        )

    def _kept_snapshots(
        self,
        trained: TrainedMember,
        taken: Sequence[Parameters],
        activities: Sequence[np.ndarray],
    ) -> dict[str, Any]:
        """Write the snapshots of a member; the column that names their file, if any are asked for."""
        if self.folder is None:
            return {}
        name, prior = snapshot_name(trained.point), trained.prior
        weights, bias, output_scale = (np.stack(x) for x in zip(*taken, strict=True))
        mse, held_out_mse = (
            np.array([error_of(trained, one, rows) for one in activities])
            for rows in (trained.train, trained.held_out)
        )
        write_snapshots(
            self.folder / name,
            Snapshots(
                trained.point,
                np.array(self.snapshots),
                weights[:, : prior.num_edges],
                bias,
                output_scale,
                mse,
                held_out_mse,
                trained.parameters,
                prior.senders,
                prior.receivers,
                np.where(prior.sign_known, prior.signs, 0),
                trained.history,
            ),
        )
        return {"snapshots": name}


def _on_host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _rows_of(record: Record, member: int, first_epoch: int, count: int) -> np.ndarray:
    return history_rows(Record(*(column[member] for column in record)), first_epoch, count)
