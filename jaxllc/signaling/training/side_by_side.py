"""Many signaling models trained and judged at once, members cut over the devices of a mesh.

A program vmaps the very `training_steps` of a single run. Each device runs it on members of its own, so that
nothing passes between devices. Sweeps, studies and cross-validation train by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxllc.running.member_mesh import MEMBER, by_member, everywhere
from jaxllc.running.waiting import Pace, computed
from jaxllc.signaling.model.neighbour_sums import Array
from jaxllc.signaling.model.signaling_model import MAX_STEPS, MEMORY, TOLERANCE, reachable
from jaxllc.signaling.model.steady_state import Solver
from jaxllc.signaling.network.structure import Data, Parameters, Structure, settle
from jaxllc.signaling.training.signaling_training import dtype, history_rows, most_epochs
from jaxllc.signaling.training.training_state import Rates, Record, Shape, TrainingState
from jaxllc.signaling.training.training_step import training_steps

WHOLE = Solver(steps=MAX_STEPS, memory=MEMORY)
# Of weights on their way, of which only the error is told; some swing and would take all steps.
COARSE = Solver(steps=300, memory=MEMORY)


class Members(NamedTuple):
    """What is stacked, the members along the first axis; the structure is one for all where `shared`."""

    structure: Structure
    data: Data
    rates: Rates
    state: TrainingState


class SteadyStates(NamedTuple):
    """activities (M, B, TFs), residual (M, B), and slope phi' (M, N, B) at the steady states."""

    activities: Array
    residual: Array
    slope: Array


class Trained(NamedTuple):
    """Models trained side by side, the members along the first axis of every array.

    best: the parameters of the best epochs, in the format of the training, and best_loss (M,) there. history:
    (M, epochs, columns of HISTORY). on_the_way: the parameters after each epoch that was asked for.
    """

    best: Parameters
    best_loss: np.ndarray
    history: np.ndarray
    on_the_way: list[Parameters]


def filled_up(data: Data, kept: Sequence[int] | np.ndarray, rows: int) -> Data:
    """The conditions `kept` of the data, and after them rows that do not count, `rows` in all."""
    count = len(kept)
    index = np.concatenate([kept, np.full(rows - count, kept[0])]).astype(int)
    part = Data(*(np.asarray(x)[index] for x in data))
    present = np.where(np.arange(rows) < count, part.present, 0)
    return part._replace(present=present.astype(part.present.dtype))


def train_side_by_side(
    shape: Shape,
    epochs: int,
    members: Members,
    mesh: Mesh,
    shared: bool = True,
    *,
    snapshots: Sequence[int] = (),
    cuts: Iterable[int] = (),
    said: Callable[[int], None] | None = None,
) -> Trained:
    """Train all members to the end, in the calls of the compiled loop that a single run makes.

    snapshots: epochs after which parameters are kept, 0 for the begin. cuts: further epochs at which a call
    ends, and steady states are found anew. said: called with the epoch that is reached, before the last.
    """
    most = most_epochs(shape)
    program = advance_program(shape, most, shared, mesh)
    ends = sorted({*range(most, epochs, most), *(e for e in snapshots if e > 0), *cuts, epochs})
    structure, data, rates, state = members
    on_the_way = [_on_host(state.parameters)] if 0 in snapshots else []
    parts, reached, pace = [], 0, Pace()
    for end in ends:
        count = end - reached
        arguments = structure, data, rates, state, jnp.asarray(count)
        state, record = pace.computed(program, *arguments, units=count)
        parts.append(_histories(_on_host(record), reached, count))
        reached = end
        if end in snapshots:
            on_the_way.append(_on_host(state.parameters))
        if said is not None and end < epochs:
            said(end)
    history = np.concatenate(parts, axis=1)
    return Trained(state.best.parameters, np.asarray(state.best.loss), history, on_the_way)


def judge_side_by_side(
    activation: str,
    structure: Structure,
    parameters: Parameters,
    levels: np.ndarray,
    mesh: Mesh,
    shared: bool = True,
    solver: Solver = WHOLE,
) -> SteadyStates:
    """The steady states of all members for ligand levels (B, inputs), in float64 on the host."""
    program = judge_program(activation, solver, shared, mesh)
    within = jnp.asarray(reachable(TOLERANCE / 20, dtype()), dtype())
    judged = computed(program, structure, parameters, copied(np.asarray(levels), mesh), within)
    return SteadyStates(*(np.asarray(x, np.float64) for x in judged))


@lru_cache(maxsize=64)
def advance_program(shape: Shape, most_epochs: int, shared: bool, mesh: Mesh) -> Any:
    """(structure, data, rates, states, epochs) -> (states, records), for all members side by side."""

    def train_member(
        structure: Structure, data: Data, rates: Rates, state: TrainingState, epochs: jax.Array
    ) -> tuple[TrainingState, Record]:
        return training_steps(shape, structure, data, rates, state, most_epochs, epochs)

    return _over_members(train_member, (not shared, True, True, True, False), mesh)


@lru_cache(maxsize=64)
def judge_program(activation: str, solver: Solver, shared: bool, mesh: Mesh) -> Any:
    """(structure, parameters, ligand levels (B, inputs), tolerance) -> SteadyStates, for all members."""

    def judge_member(
        structure: Structure, parameters: Parameters, levels: jax.Array, tolerance: jax.Array
    ) -> SteadyStates:
        found, activities = settle(activation, solver, structure, parameters, levels, tolerance)
        return SteadyStates(activities, found.residual, found.slope)

    return _over_members(judge_member, (not shared, True, False, False), mesh)


def stacked_members(each: Sequence[Members], mesh: Mesh, shared: bool = True) -> Members:
    """Members of equal shapes as one, with a first axis for them, on the devices of the mesh."""
    if shared:
        structure = copied(each[0].structure, mesh)
    else:
        structure = _stacked([one.structure for one in each], mesh)
    rest = (_stacked([one[k] for one in each], mesh) for k in range(1, len(Members._fields)))
    return Members(structure, *rest)


def copied(tree: Any, mesh: Mesh) -> Any:
    """A tree of which every device gets a copy."""
    return jax.device_put(tree, everywhere(mesh))


def _stacked(trees: Sequence[Any], mesh: Mesh) -> Any:
    return jax.device_put(jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees), by_member(mesh))


def _over_members(member: Callable, mapped: tuple[bool, ...], mesh: Mesh) -> Any:
    many = jax.vmap(member, in_axes=tuple(0 if one else None for one in mapped))
    specs = tuple(PartitionSpec(MEMBER) if one else PartitionSpec() for one in mapped)
    return jax.jit(
        jax.shard_map(
            many, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(MEMBER), check_vma=False
        )
    )


def _on_host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _histories(record: Record, first_epoch: int, count: int) -> np.ndarray:
    """Rows of the history of each member, (M, count, columns), from the records of one call."""
    each = (Record(*columns) for columns in zip(*record, strict=True))
    return np.stack([history_rows(one, first_epoch, count) for one in each])
