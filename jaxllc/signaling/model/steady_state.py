"""The steady state h = phi(W h + u) of a signaling network, and its gradient by implicit differentiation.

The gradient never passes through the iterations. At the steady state a small change of the drive u moves
h by (I - D W)^-1 D with D = diag(phi'(z)), so the adjoint a = dL/du solves the linear fixed point
a = D (dL/dh + W^T a), and dL/dw of the edge from j to i is sum_b a_ib h_jb.

Because a is the gradient by u, a caller gets it as such, and may pass it back as `adjoint_start` of the
next training step: states and adjoints then need a few iterations instead of hundreds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from jaxllc.signaling.model.activations import activation
from jaxllc.signaling.model.fixed_point import accelerate_to, iterate, iterate_to, relative_change
from jaxllc.signaling.model.neighbour_sums import (
    Array,
    NeighbourLists,
    neighbour_lists,
    padded_weights,
    sum_neighbours,
    take,
)


class Wiring(NamedTuple):
    """Who acts on whom, as neighbour lists: by receiver for W, by sender for its transpose.

    senders, receivers: (E,), sorted by receiver. cyclic: bool (E,), the edges that lie on a feedback loop.
    """

    incoming: NeighbourLists
    outgoing: NeighbourLists
    senders: Array
    receivers: Array
    cyclic: Array


def wiring(senders: np.ndarray, receivers: np.ndarray, num_nodes: int) -> Wiring:
    """The wiring of edges, sorted by receiver, from senders (E,) to receivers (E,)."""
    return Wiring(
        neighbour_lists(receivers, senders, num_nodes),
        neighbour_lists(senders, receivers, num_nodes),
        np.asarray(senders, np.int32),
        np.asarray(receivers, np.int32),
        edges_on_loops(senders, receivers, num_nodes),
    )


def edges_on_loops(senders: np.ndarray, receivers: np.ndarray, num_nodes: int) -> np.ndarray:
    """Which edges lie on a directed cycle, self-loops included: bool (E,)."""
    import scipy.sparse.csgraph

    ends = (np.asarray(receivers), np.asarray(senders))
    graph = scipy.sparse.csr_array((np.ones(len(ends[0])), ends), shape=(num_nodes, num_nodes))
    _, component = scipy.sparse.csgraph.connected_components(graph, connection="strong")
    return component[ends[0]] == component[ends[1]]


class Solver(NamedTuple):
    """How a fixed point is found; hashable, because it shapes the program.

    steps: iterations, exactly this many if `exact`, else at most. memory: plain steps before each
    extrapolation, 0 for plain iteration. adjoint_limit: bound that the adjoint is bent to, 0 for
    none; it keeps gradients finite where the spectral radius passes 1.
    """

    steps: int = 5000
    exact: bool = False
    memory: int = 0
    adjoint_limit: float = 0.0


class SteadyState(NamedTuple):
    """state: h (N, B). residual: (B,), max |phi(W h + u) - h| / max |h| of each condition. slope:
    phi'(W h + u), (N, B), without a gradient. steps: iterations made."""

    state: jax.Array
    residual: jax.Array
    slope: jax.Array
    steps: jax.Array


def steady_state(
    wires: Wiring,
    weights: jax.Array,
    drive: jax.Array,
    activation_name: str = "mml",
    solver: Solver = Solver(),  # noqa: B008 - an immutable tuple
    tolerance: float | jax.Array = 1e-6,
    start: jax.Array | None = None,
    adjoint_start: jax.Array | None = None,
    forward_steps: int | jax.Array | None = None,
) -> SteadyState:
    """The fixed point of h = phi(W h + u) for every condition, differentiable by weights and drive.

    weights: (E,). drive: u (N, B), bias and inputs. start: h to begin with (N, B), zeros if left out;
    adjoint_start: dL/du to begin with. tolerance: largest relative change of the last iteration.
    forward_steps: of an exact solver, iterations of the state where they differ from those of the adjoint.
    """
    start = jnp.zeros_like(drive) if start is None else start
    adjoint_start = jnp.zeros_like(drive) if adjoint_start is None else adjoint_start
    steps = jnp.asarray(solver.steps if forward_steps is None else forward_steps)
    tolerance = jnp.asarray(tolerance, drive.dtype)
    starts = (start, adjoint_start)
    return SteadyState(
        *_solve(activation_name, solver, wires, weights, drive, starts, steps, tolerance)
    )


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _solve(name, solver, wires, weights, drive, starts, steps, tolerance):
    return _solve_forward(name, solver, wires, weights, drive, starts, steps, tolerance)[0]


def _solve_forward(name, solver, wires, weights, drive, starts, steps, tolerance):
    value = activation(name).value
    if solver.exact:
        lists = wires.incoming
        padded, ordered_drive = padded_weights(lists, weights), take(drive, lists.order)
        state = iterate(
            lambda h: value(sum_neighbours(lists, padded, h) + ordered_drive),
            take(starts[0], lists.order),
            steps,
        )
        state = take(state, lists.place)
    else:
        state, steps = find(
            lambda h: value(product(wires, weights, h) + drive), starts[0], solver, tolerance
        )
    # One product more tells the slope at the state itself, and how far the state still moves.
    total = product(wires, weights, state) + drive
    residual, slope = relative_change(value(total), state), activation(name).slope(total)
    kept = (wires, weights, state, slope, starts[1], tolerance)
    return (state, residual, slope, steps), kept


def _solve_backward(name, solver, kept, cotangents):
    wires, weights, state, slope, start, tolerance = kept
    by_state = cotangents[0]
    adjoint = adjoint_state(wires, weights, slope, by_state, solver, tolerance, start)
    # Of a condition that is left out because it grew to infinity: 0 times infinity is no gradient.
    state = jnp.where(jnp.any(by_state != 0, axis=0), state, 0)
    by_weight = jnp.sum(take(adjoint, wires.receivers) * take(state, wires.senders), axis=1)
    return None, by_weight, adjoint, None, None, None


_solve.defvjp(_solve_forward, _solve_backward)


def product(wires: Wiring, weights: jax.Array, columns: jax.Array) -> jax.Array:
    """W x for columns (N, B), compiled in a moment; in a loop `sum_neighbours` is faster."""
    messages = weights[:, None] * take(columns, wires.senders)
    # The edges of a prior network are sorted by receiver, and sorted segments are added faster.
    return jraph.segment_sum(messages, wires.receivers, columns.shape[0], indices_are_sorted=True)


def transposed_product(wires: Wiring, weights: jax.Array, columns: jax.Array) -> jax.Array:
    """W^T x for columns (N, B)."""
    messages = weights[:, None] * take(columns, wires.receivers)
    return jraph.segment_sum(messages, wires.senders, columns.shape[0])


def adjoint_state(
    wires: Wiring,
    weights: jax.Array,
    slope: jax.Array,
    by_state: jax.Array,
    solver: Solver,
    tolerance: float | jax.Array,
    start: jax.Array,
) -> jax.Array:
    """The adjoint a = D (dL/dh + W^T a), (N, B), from the slopes D and `by_state` = dL/dh of that shape."""
    # A condition that nothing is asked of has the adjoint 0, also where iteration would not lead there.
    start = jnp.where(jnp.any(by_state != 0, axis=0), start, 0)
    limit = solver.adjoint_limit

    def limited(adjoint: jax.Array) -> jax.Array:
        return bent(adjoint, limit) if limit else adjoint

    if not solver.exact:
        return find(
            lambda a: limited(slope * (transposed_product(wires, weights, a) + by_state)),
            start,
            solver,
            tolerance,
        )[0]
    lists = wires.outgoing
    padded, ordered_slope = padded_weights(lists, weights), take(slope, lists.order)
    source = ordered_slope * take(by_state, lists.order)
    adjoint = iterate(
        lambda a: limited(ordered_slope * sum_neighbours(lists, padded, a) + source),
        take(start, lists.order),
        solver.steps,
    )
    return take(adjoint, lists.place)


def find(
    function: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    solver: Solver,
    tolerance: float | jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The fixed point to a tolerance, with extrapolation or without, and the iterations made."""
    if solver.memory:
        found = accelerate_to(function, start, tolerance, solver.steps, solver.memory)
    else:
        found = iterate_to(function, start, tolerance, solver.steps)
    return found.point, found.steps


def bent(values: jax.Array, limit: float) -> jax.Array:
    """Values within `limit` unchanged, those beyond bent smoothly towards twice the limit."""
    excess = jnp.maximum(jnp.abs(values) - limit, 0)
    return jnp.where(
        excess > 0, jnp.sign(values) * (limit + limit * jnp.tanh(excess / limit)), values
    )
