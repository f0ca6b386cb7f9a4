"""One training step of a signaling model: a pure function of arrays, to be jitted, scanned and vmapped.

State, adjoint and eigenvectors are carried from step to step, so that a few iterations renew them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxllc.signaling.model import penalties
from jaxllc.signaling.model.neighbour_sums import take
from jaxllc.signaling.model.spectral_radius import Eigenspace, differentiable_radius, improve
from jaxllc.signaling.model.steady_state import Solver, SteadyState, steady_state
from jaxllc.signaling.network.structure import Data, Parameters, Structure, drive_of, outputs_of
from jaxllc.signaling.training.training_state import (
    Best,
    Rates,
    Record,
    Shape,
    TrainingState,
    learning_rate,
    optimizer,
)


def training_step(
    shape: Shape,
    structure: Structure,
    data: Data,
    rates: Rates,
    state: TrainingState,
    anew: bool | jax.Array = True,
) -> tuple[TrainingState, Record]:
    """One step on one batch of conditions.

    anew: whether steady states are found from zero, with more iterations. A network with positive feedback
    may have several steady states: predictions begin at zero, so the states that are carried along must not
    settle elsewhere. It has no effect without a warm start.
    """
    key, order_key, noise_key, gradient_key, condition_key = jax.random.split(state.key, 5)
    part = state.step % shape.steps_per_epoch
    epoch = (state.step // shape.steps_per_epoch).astype(rates.epochs.dtype)
    rate = learning_rate(rates, epoch)
    order, rows = _rows(shape, data, state, part, order_key)
    batch = data if rows is None else jax.tree.map(lambda x: x[rows], data)
    start = state.steady if rows is None else state.steady[:, rows]
    noise = jnp.zeros_like(start)
    if shape.noisy:
        size = rates.input_noise + rates.input_noise_per_rate * rate
        present = jnp.sum(data.present) if shape.filled else None
        noise = size * _unit_noise(noise_key, start.shape, start.dtype, present)

    objective = partial(_objective, shape, structure, data, batch, rates, state, rows, anew)
    # The gradient by the disturbance of the drive is the adjoint, which the next step begins with.
    (loss, (mse, found)), (gradient, adjoint) = jax.value_and_grad(
        objective, argnums=(0, 1), has_aux=True
    )(state.parameters, noise)

    spaces, radii = state.spaces, state.radii
    if shape.spectral:
        value, by_weight, spaces, radii = _spectral(
            structure, batch, rates, state, rows, found.slope, condition_key
        )
        loss = loss + value
        gradient = gradient._replace(weights=gradient.weights + by_weight)

    gradient = gradient._replace(output_scale=gradient.output_scale * rates.train_output_scale)
    if shape.gradient_noise:
        size = rates.gradient_noise + rates.gradient_noise_per_rate * rate
        gradient = _with_noise(gradient, gradient_key, size)
    if structure.real is not None:
        weights = jnp.where(structure.real > 0, gradient.weights, 0)
        gradient = gradient._replace(weights=weights)
    norm = optax.tree.norm(gradient)
    limit = jnp.where(rates.gradient_limit > 0, rates.gradient_limit, jnp.inf)
    gradient = jax.tree.map(lambda g: g * jnp.minimum(1, limit / norm), gradient)

    refused = ~(jnp.isfinite(loss) & jnp.isfinite(norm))
    learned = _updated(state, gradient, rate, rates, epoch, part)
    parameters, moments = jax.tree.map(
        lambda new, old: jnp.where(refused, old, new),
        learned,
        (state.parameters, state.moments),
    )
    steady, adjoint = _finite(found.state), _finite(adjoint)
    if rows is not None:
        steady = state.steady.at[:, rows].set(steady)
        adjoint = state.adjoint.at[:, rows].set(adjoint)
    unsteady = jnp.sum(batch.present * ~_at_rest(found))
    # A condition without a steady state is as bad as one of which everything is wrong.
    score = loss + unsteady / jnp.sum(batch.present)
    best = _best(shape, state, jnp.where(refused, jnp.inf, score), anew, part)
    after = TrainingState(
        parameters, moments, steady, adjoint, spaces, radii, order, key, state.step + 1, best
    )
    known, residual = radii, found.residual
    if shape.filled:
        known, residual = (jnp.where(data.present > 0, x, 0) for x in (radii, residual))
    record = Record(loss, mse, jnp.max(known), jnp.max(residual), rate, unsteady, refused)
    return after, record


def _best(
    shape: Shape, state: TrainingState, score: jax.Array, anew: bool | jax.Array, part: jax.Array
) -> Best:
    """The parameters of the best epoch so far; of those at the begin of its last step, which were seen."""
    best = state.best
    epoch_loss = jnp.where(part == 0, 0, best.epoch_loss) + score / shape.steps_per_epoch
    better = (part == shape.steps_per_epoch - 1) & (epoch_loss < best.loss)
    if shape.warm_start:
        better &= anew
    parameters = jax.tree.map(partial(jnp.where, better), state.parameters, best.parameters)
    return Best(parameters, jnp.where(better, epoch_loss, best.loss), epoch_loss)


def _rows(
    shape: Shape, data: Data, state: TrainingState, part: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
    """The order of the conditions in this epoch, and the conditions of this step, None for all."""
    num_conditions = data.ligands.shape[0]
    if shape.batch_size >= num_conditions:
        return state.order, None
    order = jnp.where(part == 0, jax.random.permutation(key, num_conditions), state.order)
    # The last batch of an epoch is filled up from its beginning.
    index = (part * shape.batch_size + jnp.arange(shape.batch_size)) % num_conditions
    return order, order[index]


def _objective(
    shape: Shape,
    structure: Structure,
    data: Data,
    batch: Data,
    rates: Rates,
    state: TrainingState,
    rows: jax.Array | None,
    anew: bool | jax.Array,
    parameters: Parameters,
    disturbance: jax.Array,
) -> tuple[jax.Array, tuple[jax.Array, SteadyState]]:
    """Misfit and all penalties but the spectral one, with (mse, steady states) beside."""
    steady_start: jax.Array | None = None
    adjoint_start: jax.Array | None = None
    steps: jax.Array | None = None
    if shape.warm_start:
        steady_start, adjoint_start = state.steady, state.adjoint
        if rows is not None:
            steady_start, adjoint_start = steady_start[:, rows], adjoint_start[:, rows]
    if shape.refresh_every and steady_start is not None:
        steady_start = jnp.where(anew, 0, steady_start)
        steps = jnp.where(anew, shape.refresh_iterations, shape.iterations)
    found = steady_state(
        structure.wires,
        parameters.weights,
        drive_of(structure, parameters.bias, batch.ligands) + disturbance,
        shape.activation,
        Solver(shape.iterations, exact=True, adjoint_limit=shape.adjoint_limit),
        start=steady_start,
        adjoint_start=adjoint_start,
        forward_steps=steps,
    )
    # A state that still swings, or grows without bound, says nothing about the fit: it counts again once
    # the spectral penalty has brought it to rest.
    steady = _at_rest(found)
    present = batch.present * steady
    outputs = outputs_of(structure, parameters.output_scale, jnp.where(steady, found.state, 0))
    mse = penalties.mean_squared_error(outputs, batch.activities, batch.observed, present)
    loss = mse + _parameter_penalties(structure, rates, parameters)
    if shape.uniform:
        everything = jnp.where(steady, found.state, 0)
        if rows is not None:
            everything = state.steady.at[:, rows].set(everything)
            present = data.present.at[rows].set(present)
        loss = loss + rates.uniform_penalty * penalties.uniform_penalty(
            everything, present, rates.uniform_high, rates.uniform_silent
        )
    return loss, (mse, found)


def _spectral(
    structure: Structure,
    batch: Data,
    rates: Rates,
    state: TrainingState,
    rows: jax.Array | None,
    slopes: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array, Eigenspace, jax.Array]:
    """The spectral penalty and its gradient by the weights, with what is now known of the conditions.

    It looks at the condition that was last seen nearest to instability, and at a random one: with random ones
    alone, a condition passes 1 between two looks at it.
    """
    weights, wires = state.parameters.weights, structure.wires
    known = state.radii if rows is None else state.radii[rows]
    scores = jnp.stack(
        [known, jax.random.uniform(key, known.shape, jnp.float32).astype(known.dtype)]
    )
    columns = jnp.argmax(jnp.where(batch.present[None] > 0, scores, -1), axis=1)
    conditions = columns if rows is None else rows[columns]
    seen = slopes.T[columns]
    before = jax.tree.map(lambda x: x[conditions], state.spaces)
    after, leading = jax.vmap(partial(improve, wires, weights))(seen, before)

    def penalty(weights: jax.Array) -> jax.Array:
        radius = jax.vmap(partial(differentiable_radius, wires, weights))(seen, leading)
        each = penalties.spectral_penalty(radius, rates.spectral_target, rates.spectral_steepness)
        return rates.spectral_penalty * each.sum()

    value, by_weight = jax.value_and_grad(penalty)(weights)
    spaces = jax.tree.map(lambda x, new: x.at[conditions].set(new), state.spaces, after)
    return value, by_weight, spaces, state.radii.at[conditions].set(leading.radius)


def training_steps(
    shape: Shape,
    structure: Structure,
    data: Data,
    rates: Rates,
    state: TrainingState,
    most_epochs: int,
    epochs: jax.Array,
) -> tuple[TrainingState, Record]:
    """`epochs` epochs, at most `most_epochs`; of the records (most_epochs,) the first `epochs` are filled.

    The record of an epoch is the mean over its steps.
    """
    per_epoch = shape.steps_per_epoch
    empty = Record(*(jnp.zeros(most_epochs, rates.l2.dtype) for _ in Record._fields))

    def step(
        number: jax.Array, carry: tuple[TrainingState, Record]
    ) -> tuple[TrainingState, Record]:
        state, records = carry
        epoch = number // per_epoch
        # By the number in this call, which is one for all members of a vmap, as `state.step` is not: their
        # loops then make the same number of iterations. The last epoch too, to compare it with the best.
        anew = (epoch % max(shape.refresh_every, 1) == 0) | (epoch == epochs - 1)
        state, record = training_step(shape, structure, data, rates, state, anew)
        records = jax.tree.map(
            lambda every, one: every.at[epoch].add(one.astype(every.dtype) / per_epoch),
            records,
            record,
        )
        return state, records

    return jax.lax.fori_loop(0, epochs * per_epoch, step, (state, empty))


def _parameter_penalties(structure: Structure, rates: Rates, parameters: Parameters) -> jax.Array:
    weights, bias, output_scale = parameters
    scale_change = jnp.sum(jnp.square(output_scale - rates.output_scale))
    return (
        rates.sign_penalty * penalties.sign_penalty(weights, structure.signs)
        + rates.l2 * penalties.squares(weights, bias)
        + rates.l1 * jnp.sum(jnp.abs(weights))
        + rates.spread_penalty * penalties.spread_penalty(weights, structure.real)
        + rates.ligand_bias_penalty * jnp.sum(jnp.square(take(bias, structure.inputs)))
        + rates.output_scale_penalty * scale_change
    )


def _updated(
    state: TrainingState,
    gradient: Parameters,
    rate: jax.Array,
    rates: Rates,
    epoch: jax.Array,
    part: jax.Array,
) -> tuple[Parameters, Any]:
    """Parameters and moments after a step of Adam, whose moments begin anew every `reset_every` epochs."""
    reset = (part == 0) & (epoch % jnp.maximum(rates.reset_every, 1) == 0) & (rates.reset_every > 0)
    fresh = optimizer().init(state.parameters)
    moments = jax.tree.map(lambda new, old: jnp.where(reset, new, old), fresh, state.moments)
    direction, moments = optimizer().update(gradient, moments)
    parameters = jax.tree.map(lambda p, d: p - rate * d, state.parameters, direction)
    return parameters, moments


def _unit_noise(
    key: jax.Array, shape: tuple[int, ...], dtype: Any, present: jax.Array | None = None
) -> jax.Array:
    """Uniform noise (N, B), mean 0 and variance 1: normal noise would take a sixth of the time of a step.

    present: with so many conditions before those that fill up, theirs is what (N, present) would draw.
    """
    levels = jax.random.bits(key, shape, jnp.uint16)
    if present is not None:
        # A number depends on its place alone, and not on how many are drawn after it.
        node, condition = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None]
        place = node * present.astype(int) + condition
        levels = jnp.take(levels.ravel(), place, mode="clip")
    return (levels.astype(dtype) - 32767.5) * (3**0.5 / 32768)


def _with_noise(gradient: Parameters, key: jax.Array, size: jax.Array) -> Parameters:
    keys = jax.random.split(key, len(gradient))
    return Parameters(
        *(
            g + size * jax.random.normal(k, g.shape, jnp.float32).astype(g.dtype)
            for g, k in zip(gradient, keys, strict=True)
        )
    )


def _at_rest(found: SteadyState) -> jax.Array:
    """Which conditions (B,) have a state that is bounded and hardly moves any more."""
    return jax.lax.stop_gradient((found.residual < _RESTLESS) & _bounded(found.state))


def _bounded(values: jax.Array) -> jax.Array:
    # A nan is not below the bound.
    return jnp.max(jnp.abs(values), axis=0) < _BOUND


def _finite(values: jax.Array) -> jax.Array:
    """Columns that blew up begin again from zero."""
    return jnp.where(_bounded(values), values, 0)


_RESTLESS = 0.3  # relative change in one iteration
_BOUND = 1e3
