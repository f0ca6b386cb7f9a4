"""ChunkTrainer: what a sweep of trainings does with a chunk of its points, in programs of one size."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxllc.running.member_mesh import member_mesh, padded_to
from jaxllc.signaling.network.structure import Parameters
from jaxllc.signaling.training.side_by_side import (
    COARSE,
    WHOLE,
    Members,
    SteadyStates,
    Trained,
    advance_program,
    judge_side_by_side,
    stacked_members,
    train_side_by_side,
)
from jaxllc.signaling.training.signaling_training import most_epochs
from jaxllc.sweeps.devices.devices import members_per_device
from jaxllc.sweeps.grids import Point, key_of
from jaxllc.sweeps.members import Member, Problem
from jaxllc.sweeps.runner import Progress
from jaxllc.sweeps.snapshots import Snapshots, snapshot_name, write_snapshots
from jaxllc.sweeps.trained_member import TrainedMember, error_of, outcome_of
from jaxllc.sweeps.work import Outcome


class ChunkTrainer:
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

    def for_one_device(self) -> ChunkTrainer:
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
        learned = self._train(members[0], arrays)
        judged = self._judge(members[0], arrays, learned.best)
        on_the_way = [
            self._judge(members[0], arrays, one, coarse=True).activities
            for one in learned.on_the_way
        ]
        best = Parameters(*(np.asarray(x, np.float64) for x in learned.best))
        outcomes: list[Outcome | Exception] = []
        for n, member in enumerate(chosen):
            trained = self._trained(
                member,
                Parameters(*(x[n] for x in best)),
                SteadyStates(*(x[n] for x in judged)),
                learned.history[n],
                float(learned.best_loss[n]),
            )
            try:
                extra = self._kept_snapshots(
                    trained,
                    [Parameters(*(x[n] for x in p)) for p in learned.on_the_way],
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
        key = self.problem.shape(member), self.problem.rows(member).number
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
        return stacked_members(each, self.mesh, self.shared)

    def _train(self, member: Member, arrays: Members) -> Trained:
        """All members trained, which have the shape of this one."""
        epochs, count = member.settings.epochs, len(arrays.data.present)

        def said(epoch: int) -> None:
            if self.progress is not None:
                what = f"epoch {epoch} of {epochs}, {count} models side by side"
                self.progress(self.done, self.total, what)

        return train_side_by_side(
            self.problem.shape(member),
            epochs,
            arrays,
            self.mesh,
            self.shared,
            snapshots=self.snapshots,
            said=said,
        )

    def _judge(
        self, member: Member, arrays: Members, parameters: Parameters, coarse: bool = False
    ) -> SteadyStates:
        """The steady states of all conditions; coarse: of weights on their way, for their error."""
        return judge_side_by_side(
            member.settings.activation,
            arrays.structure,
            parameters,
            self.problem.data.ligands,
            self.mesh,
            self.shared,
            COARSE if coarse else WHOLE,
        )

    def _trained(
        self,
        member: Member,
        parameters: Parameters,
        judged: SteadyStates,
        rows: np.ndarray,
        best_loss: float,
    ) -> TrainedMember:
        problem, kept = self.problem, self.problem.kept(member)
        num_edges = problem.priors[member.network].num_edges
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
            judged.activities,
            judged.residual,
            judged.slope,
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
