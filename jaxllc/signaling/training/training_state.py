"""What a training of a signaling model carries, is told and reports, and its learning-rate schedule.

What may differ between the members of a sweep (penalties, rates, noise) is a number in `Rates`; what shapes
the program is in `Shape`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxllc.signaling.model.spectral_radius import Eigenspace
from jaxllc.signaling.network.structure import Parameters
from jaxllc.signaling.settings import SignalingSettings

# The columns of the history of a training: the number of an epoch, and what its steps report.
HISTORY = ("epoch", "loss", "mse", "radius", "residual", "learning_rate", "unsteady", "refused")


class Shape(NamedTuple):
    """What shapes the program of a step; hashable.

    filled: whether there may be rows that only fill up the shape, of which nothing may depend: the noise and
    the records are then those of a training without them. Only where a batch holds all conditions.
    """

    activation: str
    iterations: int
    adjoint_limit: float
    warm_start: bool
    refresh_every: int
    refresh_iterations: int
    batch_size: int
    steps_per_epoch: int
    uniform: bool
    spectral: bool
    noisy: bool
    gradient_noise: bool
    filled: bool = False

    @classmethod
    def of(cls, settings: SignalingSettings, num_conditions: int, filled: bool = False) -> Shape:
        """The shape of a training of these settings on this many conditions, or rows."""
        batch = min(settings.batch_size or num_conditions, num_conditions)
        return cls(
            settings.activation,
            settings.iterations,
            settings.adjoint_limit,
            settings.warm_start,
            settings.refresh_every if settings.warm_start else 0,
            settings.refresh_iterations,
            batch,
            -(-num_conditions // batch),
            settings.uniform_penalty > 0,
            settings.spectral_penalty > 0,
            settings.input_noise > 0 or settings.input_noise_per_rate > 0,
            settings.gradient_noise > 0 or settings.gradient_noise_per_rate > 0,
            filled,
        )


class Rates(NamedTuple):
    """The numbers of the settings, each a scalar that a sweep may turn into an array."""

    epochs: Any
    learning_rate_start: Any
    learning_rate: Any
    learning_rate_end: Any
    peak_at: Any
    end_at: Any
    reset_every: Any
    input_noise: Any
    input_noise_per_rate: Any
    gradient_noise: Any
    gradient_noise_per_rate: Any
    gradient_limit: Any
    train_output_scale: Any
    output_scale: Any
    sign_penalty: Any
    l2: Any
    l1: Any
    spread_penalty: Any
    ligand_bias_penalty: Any
    output_scale_penalty: Any
    uniform_penalty: Any
    uniform_silent: Any
    uniform_high: Any
    spectral_penalty: Any
    spectral_target: Any
    spectral_steepness: Any

    @classmethod
    def of(cls, settings: SignalingSettings, dtype: Any = jnp.float32) -> Rates:
        """The numbers of these settings."""
        return cls(*(jnp.asarray(getattr(settings, name), dtype) for name in cls._fields))


class Best(NamedTuple):
    """The best parameters so far, their loss, and the loss of this epoch so far.

    A step that moves few parameters a little may carry a condition into another steady state, and the end of
    the training may be such a moment. Only epochs that find the states anew from zero, as predictions do,
    are compared.
    """

    parameters: Parameters
    loss: jax.Array
    epoch_loss: jax.Array


class TrainingState(NamedTuple):
    """Everything that a training carries; saved and loaded, it goes on bit for bit.

    steady, adjoint: h and dL/du of all conditions, (N, B). spaces: eigenspaces of all conditions,
    (B, N, p). radii: the spectral radius of each condition when last looked at, (B,). order: the
    conditions in the order of this epoch, (B,).
    """

    parameters: Parameters
    moments: Any
    steady: jax.Array
    adjoint: jax.Array
    spaces: Eigenspace
    radii: jax.Array
    order: jax.Array
    key: jax.Array
    step: jax.Array
    best: Best


class Record(NamedTuple):
    """What a step reports.

    loss: with all penalties. mse. radius: largest spectral radius of the conditions, as last seen. residual:
    largest relative change of a steady state. rate: learning rate. unsteady: conditions left out of the
    misfit because their state does not come to rest. refused: whether the step was left out because a
    number was not finite.
    """

    loss: jax.Array
    mse: jax.Array
    radius: jax.Array
    residual: jax.Array
    rate: jax.Array
    unsteady: jax.Array
    refused: jax.Array


def optimizer() -> optax.GradientTransformation:
    """Adam without its learning rate, which a schedule multiplies in."""
    return optax.scale_by_adam()


def learning_rate(rates: Rates, epoch: jax.Array) -> jax.Array:
    """Half cosines from start to peak to end: peak at `peak_at`, end from `end_at` of the epochs on."""
    progress = epoch / rates.epochs
    peak_at = jnp.maximum(rates.peak_at, 1e-9)
    rise = jnp.clip(progress / peak_at, 0, 1)
    fall = jnp.clip((progress - peak_at) / jnp.maximum(rates.end_at - peak_at, 1e-9), 0, 1)

    def half_cosine(low: jax.Array, high: jax.Array, part: jax.Array) -> jax.Array:
        return low + (high - low) * (1 - jnp.cos(jnp.pi * part)) / 2

    rising = half_cosine(rates.learning_rate_start, rates.learning_rate, rise)
    falling = half_cosine(rates.learning_rate, rates.learning_rate_end, fall)
    return jnp.where(progress < peak_at, rising, falling)
