"""Variable projection as one traced program: many pairs of nets side by side, each on rows of its own.

A member is a pair of nets: its random start, what its structure mixes the inputs of the terms into, whether
edges are over the strength of the receiver, and the weight that each series counts with. The loop is that of
`fit_hidden_layers`, a step tried or taken in each turn; a member that has ended waits for the others
unchanged. Nothing leaves the program, so that it runs on any number of devices of a CPU, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxllc.data.message_passing import IN_STRENGTH, Graph
from jaxllc.dynamics.small_matrices import definite_solver
from jaxllc.fit.levenberg import State, judged
from jaxllc.neural.neural_rows import Rows
from jaxllc.neural.variable_projection import (
    ALL_STEPS,
    AT_NOISE,
    DAMPING,
    NO_STEP,
    PATIENCE,
    SETTLED,
    SMALL_GAIN,
    Algebra,
    Hidden,
    Projection,
    damped_step,
    design,
    moments_of,
    moved,
    projected,
)

NOT_FINITE = "The loss of the start is not a number."
_RUNS, _AT_NOISE, _NO_STEP, _SETTLED, _ALL_STEPS, _NOT_FINITE = range(6)
MESSAGES = ("", AT_NOISE, NO_STEP, SETTLED, ALL_STEPS, NOT_FINITE)
# Of the precision of float32: a smaller ridge does not tell a Gram matrix from a singular one.
_RIDGE_OF_EPS = 60.0


# A step whose matrix rounding has made indefinite is nan, and so not better than none.
TRACED = Algebra(jnp, definite_solver, lambda matrix, right: definite_solver(matrix)(right))


class SharedRows(NamedTuple):
    """Batches of rows that all members see, as `Rows` has them, with a first axis (B, ...).

    edges: (2, B, E), the weights and the weights over the strength of the receiver; receivers: (B, E), into
    the series. remainder: (B, S, d) and count: (B, S) of each series.
    """

    inputs: Any
    pair_inputs: Any
    edges: Any
    receivers: Any
    weighting: Any
    targets: Any
    remainder: Any
    count: Any


class NetMember(NamedTuple):
    """hidden: the start. mixing: what inputs of the interaction are multiplied by, (2 q, 2 q). normalised: 0
    or 1, of the edges. weights: (B, S), how often each series counts.
    """

    hidden: Hidden
    mixing: Any
    normalised: Any
    weights: Any


class FittedMember(NamedTuple):
    """hidden, readout (P, d), residual (d,) and gram (P, P) as `Net` has them, in units of the targets.

    loss: of the batch that the hidden layers are fitted to; history: (steps,) after each step taken,
    num_steps of them; code: place in MESSAGES.
    """

    hidden: Hidden
    readout: Any
    residual: Any
    gram: Any
    loss: Any
    history: Any
    num_steps: Any
    code: Any


class _Point(NamedTuple):
    """Hidden layers and what was projected out at them."""

    hidden: Hidden
    projection: Projection


class _Run(NamedTuple):
    """A fit under way: small counts steps in a row that gained little; num_steps is -1 before the start."""

    state: State
    num_steps: Any
    small: Any
    code: Any
    history: Any


def fitted_member(
    member: NetMember, shared: SharedRows, ridge: Any, target: Any, steps: int
) -> FittedMember:
    """Hidden layers fitted to the first batch, and the readouts to all of them; traceable."""
    single = shared.inputs.dtype == jnp.float32
    least = float(jnp.finfo(shared.inputs.dtype).eps)
    if single:
        ridge = jnp.maximum(ridge, _RIDGE_OF_EPS * least)
    project = partial(projected, ridge=ridge, algebra=TRACED)
    batches = _by_batch(member, shared)
    first = _rows(member, jax.tree.map(lambda a: a[0], batches))

    def at(hidden: Hidden) -> Projection:
        columns, targets = design(hidden, first)
        sums = moments_of(columns, targets, first)
        return project(
            sums, hidden, left_by=partial(_left, columns, targets, first) if single else None
        )

    def step(run: _Run) -> _Run:
        before = run.state.point.projection
        trial = moved(run.state.point.hidden, damped_step(before, TRACED)(run.state.damping))
        there = at(trial)
        loss, starts = there.loss, run.num_steps < 0
        better = loss < before.loss  # never of nan
        state = judged(run.state, _Point(trial, there), better, DAMPING, _either)
        small = jnp.where(before.loss - loss < SMALL_GAIN, run.small + 1, 0)
        small = jnp.where(better, small, run.small)
        number = run.num_steps + better
        history = jnp.where(better & (jnp.arange(steps) == run.num_steps), loss, run.history)
        after_gain = jnp.where(loss < target, _AT_NOISE, _RUNS)
        after_gain = jnp.where(number >= steps, _ALL_STEPS, after_gain)
        after_gain = jnp.where(small >= PATIENCE, _SETTLED, after_gain)
        after_loss = jnp.where(DAMPING.allows(state.damping), _RUNS, _NO_STEP)
        after_loss = jnp.where(starts, _NOT_FINITE, after_loss)
        code = jnp.where(better, after_gain, after_loss).astype(run.code.dtype)
        return _Run(state, number, small, code, history)

    run = jax.lax.while_loop(lambda run: run.code == _RUNS, step, _beginning(member, shared, steps))
    hidden = run.state.point.hidden

    def over_batches(function: Callable[[Any, Any, Rows], Any]) -> Any:
        def one(batch: Any) -> Any:
            rows = _rows(member, batch)
            return function(*design(hidden, rows), rows)

        return jax.tree.map(lambda part: part.sum(axis=0), jax.lax.map(one, batches))

    def left_by(readout: Any) -> tuple[Any, Any]:
        return over_batches(partial(_left, readout=readout))

    sums = over_batches(moments_of)
    found = project(sums, hidden, left_by=left_by if single else None)
    size = len(found.readout)
    return FittedMember(
        hidden, found.readout, found.residual, sums.gram[:size, :size],
        run.state.point.projection.loss, run.history, run.num_steps, run.code,
    )  # fmt: skip


def _beginning(member: NetMember, shared: SharedRows, steps: int) -> _Run:
    """Before the start was looked at: the first turn of the loop moves by nothing, and its loss is finite."""
    kind, size = shared.inputs.dtype, sum(part.size for part in member.hidden)
    widths = member.hidden[1].shape[0] + member.hidden[3].shape[0]
    num_columns = widths + member.hidden[0].shape[0] + member.hidden[2].shape[0] + 2
    num_variables = shared.targets.shape[-1]
    nothing = Projection(
        jnp.zeros((num_columns, num_variables), kind),
        jnp.zeros(num_variables, kind),
        jnp.asarray(jnp.inf, kind),
        jnp.zeros(size, kind),
        jnp.eye(size, dtype=kind),
    )
    damping = jnp.asarray(DAMPING.start * DAMPING.eased_by, kind)
    return _Run(
        State(_Point(member.hidden, nothing), damping),
        jnp.asarray(-1, jnp.int32),
        jnp.asarray(0, jnp.int32),
        jnp.asarray(_RUNS, jnp.int32),
        jnp.full(steps, jnp.nan, kind),
    )


def _left(columns: Any, targets: Any, rows: Rows, readout: Any) -> tuple[Any, Any]:
    """The squares that readouts leave, (d,), and the products of all columns with what is left, (A, d)."""
    left = targets - columns[:, : len(readout)] @ readout
    return jnp.sum(left**2, axis=0) + rows.remainder, columns.T @ left


def _by_batch(member: NetMember, shared: SharedRows) -> tuple[SharedRows, Any]:
    """The rows with the member's own edges, and the weights of the series, a batch along the first axis."""
    edges = jnp.where(member.normalised == 1, shared.edges[1], shared.edges[0])
    return shared._replace(edges=edges), member.weights


def _rows(member: NetMember, batch: tuple[SharedRows, Any]) -> Rows:
    """The rows of a batch as a member sees them."""
    part, weights = batch
    graph = Graph(
        nodes={IN_STRENGTH: jnp.zeros_like(weights)},
        edges=part.edges,
        senders=part.receivers,
        receivers=part.receivers,
        globals=None,
        n_node=np.array([weights.shape[0]], dtype=np.int32),
        n_edge=np.array([part.edges.shape[0]], dtype=np.int32),
    )
    root = jnp.sqrt(weights)[:, None, None]
    remainder: Any = jnp.maximum(jnp.sum(weights[:, None] * part.remainder, axis=0), 0.0)
    count: Any = jnp.sum(weights * part.count)
    return Rows(
        part.inputs, part.pair_inputs @ member.mixing, graph, root * part.weighting,
        root * part.targets, remainder, count,
        jnp.ones_like(part.inputs[..., :1]), jnp.ones_like(part.pair_inputs[..., :1]),
    )  # fmt: skip


def _either(condition: Any, first: Any, other: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, other)


@lru_cache(maxsize=16)
def ensemble_program(mesh: Mesh, steps: int) -> Any:
    """(members, shared rows, ridge, target) -> fitted members: these side by side, cut over the devices."""
    (axis,) = mesh.axis_names

    def fitted(member: NetMember, shared: SharedRows, ridge: Any, target: Any) -> FittedMember:
        return fitted_member(member, shared, ridge, target, steps)

    everywhere, cut = PartitionSpec(), PartitionSpec(axis)
    return jax.jit(
        jax.shard_map(
            jax.vmap(fitted, in_axes=(0, None, None, None)),
            mesh=mesh,
            in_specs=(cut, everywhere, everywhere, everywhere),
            out_specs=cut,
            check_vma=False,
        )
    )
