"""A signaling network in continuous time: dh/dt = -h + phi(W h + u), in units of the relaxation time.

It comes to rest where h = phi(W h + u), which is the steady state of the discrete model; on the way
there it shows what a ligand or a knock-out does first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.dynamics.integrate import MAX_STEPS, SOLVERS, solve
from jaxllc.dynamics.paths.outcome import SUCCESS, outcome_sentence
from jaxllc.dynamics.simulation_input import checked_times
from jaxllc.dynamics.vector_field import VectorField
from jaxllc.errors import (
    InputError,
    check_choice,
    check_integer,
    check_number,
    listing,
    quoted,
)
from jaxllc.signaling.arguments import check_kind
from jaxllc.signaling.model.activations import activation as activation_named
from jaxllc.signaling.model.neighbour_sums import (
    NeighbourLists,
    padded_weights,
    sum_neighbours,
    take,
)
from jaxllc.signaling.network.structure import Parameters, Structure, drive_of


class Relaxation(NamedTuple):
    """states: float64 (T, N, B), nan from where it failed on. message: a sentence that says when and why."""

    states: np.ndarray
    success: bool
    message: str


def simulate_signaling(
    structure: Structure,
    parameters: Parameters,
    ligands: np.ndarray,
    times: Sequence[float] | np.ndarray,
    activation: str = "mml",
    start: np.ndarray | None = None,
    knock_out: Sequence[int] = (),
    *,
    solver: str = "tsit5",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    max_steps: int = MAX_STEPS,
) -> Relaxation:
    """The states of B conditions at `times` (T,), T >= 2 and increasing, in float64.

    dh/dt = phi(W h + u) - h, in units of the relaxation time of a node. structure, parameters: of a model
    or a ground truth. activation: the name of phi. ligands: levels (B, inputs), switched on at times[0] and
    held. start: h (N, B) at times[0], zeros if left out; begin with the steady state of other ligands to
    see the change. knock_out: indices of nodes that are 0 from times[0] on. solver: see `jaxllc.simulate`;
    the Jacobian of "kvaerno5" is dense, N B x N B. rtol, atol, max_steps: of the solver. Raises InputError
    for shapes and names that do not fit; a network that diverges is not an error but a Relaxation that says
    so.
    """
    activation_named(activation)
    check_choice("solver", solver, [*SOLVERS])
    check_kind(
        "structure", structure, Structure, "a model or a ground truth holds as .structure: what it"
    )
    check_kind("parameters", parameters, Parameters, "a model holds as .parameters: what it")
    for name, one in (("rtol", rtol), ("atol", atol)):
        check_number(name, one, 0, above=True)
    check_integer("max_steps", max_steps, 1)
    knock_out = listing("knock_out", knock_out, "node indices", "[0, 3]")
    time_points = checked_times(times)
    num_nodes, num_inputs = np.shape(parameters.bias)[0], np.shape(structure.inputs)[0]
    levels = _numbers("ligands", ligands)
    if levels.ndim != 2 or levels.shape[1] != num_inputs or not np.isfinite(levels).all():
        raise InputError(
            f"ligands must hold finite levels of shape (conditions, {num_inputs}), not "
            f"{levels.shape}; give one column per ligand"
        )
    shape = (num_nodes, len(levels))
    state = np.zeros(shape) if start is None else _numbers("start", start)
    if state.shape != shape or not np.isfinite(state).all():
        raise InputError(
            f"start must hold finite states of shape {shape} (node, condition), not {state.shape}"
        )
    active = np.ones((num_nodes, 1))
    for node in knock_out:
        whole = isinstance(node, int | np.integer) and not isinstance(node, bool)
        if not whole or not 0 <= node < num_nodes:
            raise InputError(
                f"knock_out holds {quoted(node, 80)}; give node indices from 0 to {num_nodes - 1}"
            )
        active[node] = 0.0

    def typed(leaf: Any) -> np.ndarray:
        leaf = np.asarray(leaf)
        return leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf

    arguments = jax.tree.map(typed, (structure, parameters, levels, state, active, time_points))
    with jax.enable_x64(True):
        states, stop, code = jax.tree.map(
            np.asarray, _run(activation, solver, max_steps, *arguments, rtol, atol)
        )
    message = outcome_sentence(int(code), float(stop), float(time_points[-1]), solver, max_steps)
    states = np.where(np.isfinite(states), states, np.nan)
    return Relaxation(states, int(code) == SUCCESS, message)


def _numbers(argument: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{argument} is {quoted(values, 80)}; give an array of numbers") from error


@partial(jax.jit, static_argnums=(0, 1, 2))
def _run(
    activation: str,
    solver: str,
    max_steps: int,
    structure: Structure,
    parameters: Parameters,
    levels: jax.Array,
    state: jax.Array,
    active: jax.Array,
    times: jax.Array,
    rtol: jax.Array,
    atol: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    lists = structure.wires.incoming
    field = _SignalingField(
        activation,
        lists,
        padded_weights(lists, parameters.weights),
        take(drive_of(structure, parameters.bias, levels), lists.order),
        take(active, lists.order),
    )
    nothing: Any = None  # the field holds its own network
    found = solve(
        field,
        nothing,
        field.active * take(state, lists.order),
        times,
        solver=solver,
        rtol=rtol,
        atol=atol,
        max_steps=max_steps,
    )
    return jnp.take(found.states, lists.place, axis=1), found.stop_time, found.code


@jax.tree_util.register_pytree_node_class
class _SignalingField(VectorField):
    """The conditions side by side as one state (N, B) in the order of `lists`; active (N, 1) is 0 or 1."""

    def __init__(
        self,
        activation: str,
        lists: NeighbourLists,
        weights: tuple[jax.Array, ...],
        drive: jax.Array,
        active: jax.Array,
    ):
        self.activation = activation
        self.lists, self.weights, self.drive, self.active = lists, weights, drive, active

    def tree_flatten(self) -> tuple[tuple[Any, ...], str]:
        return (self.lists, self.weights, self.drive, self.active), self.activation

    @classmethod
    def tree_unflatten(cls, activation: str, leaves: Any) -> _SignalingField:
        return cls(activation, *leaves)

    def derivative(self, state: jax.Array, graph: Any) -> jax.Array:
        total = sum_neighbours(self.lists, self.weights, state) + self.drive
        return self.active * (activation_named(self.activation).value(total) - state)
