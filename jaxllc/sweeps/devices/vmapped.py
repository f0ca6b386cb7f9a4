"""The programs that train and judge many signaling models at once, members cut over the devices of a mesh.

A program vmaps the very `training_steps` of a single run. Each device runs it on members of its own, so that
nothing passes between devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxllc.signaling.model.signaling_model import MAX_STEPS, MEMORY
from jaxllc.signaling.model.steady_state import Solver
from jaxllc.signaling.network.structure import Data, Parameters, Structure, settle
from jaxllc.signaling.training.training_state import Rates, Record, Shape, TrainingState
from jaxllc.signaling.training.training_step import training_steps
from jaxllc.sweeps.devices.devices import MEMBER, by_member, everywhere

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

    activities: jax.Array
    residual: jax.Array
    slope: jax.Array


@lru_cache(maxsize=64)
def advance_program(shape: Shape, most_epochs: int, shared: bool, mesh: Mesh) -> Any:
    """(structure, data, rates, states, epochs) -> (states, records), for all members side by side."""

    def member(
        structure: Structure, data: Data, rates: Rates, state: TrainingState, epochs: jax.Array
    ) -> tuple[TrainingState, Record]:
        return training_steps(shape, structure, data, rates, state, most_epochs, epochs)

    return _over_members(member, (not shared, True, True, True, False), mesh)


@lru_cache(maxsize=64)
def judge_program(activation: str, solver: Solver, shared: bool, mesh: Mesh) -> Any:
    """(structure, parameters, ligand levels (B, inputs), tolerance) -> SteadyStates, for all members."""

    def member(
        structure: Structure, parameters: Parameters, levels: jax.Array, tolerance: jax.Array
    ) -> SteadyStates:
        found, activities = settle(activation, solver, structure, parameters, levels, tolerance)
        return SteadyStates(activities, found.residual, found.slope)

    return _over_members(member, (not shared, True, False, False), mesh)


def stacked(members: Sequence[Any], mesh: Mesh) -> Any:
    """Trees of equal shapes as one tree with a first axis for the members, on the devices of the mesh."""
    return jax.device_put(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *members), by_member(mesh)
    )


def copied(tree: Any, mesh: Mesh) -> Any:
    """A tree of which every device gets a copy."""
    return jax.device_put(jax.tree.map(jnp.asarray, tree), everywhere(mesh))


def _over_members(member: Callable, mapped: tuple[bool, ...], mesh: Mesh) -> Any:
    many = jax.vmap(member, in_axes=tuple(0 if one else None for one in mapped))
    specs = tuple(PartitionSpec(MEMBER) if one else PartitionSpec() for one in mapped)
    return jax.jit(
        jax.shard_map(
            many, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(MEMBER), check_vma=False
        )
    )
