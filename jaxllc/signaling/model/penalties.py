"""The terms of the loss beside the misfit, each a pure function of arrays.

Source of every formula: Nilsson et al., Nature Communications 13 (2022).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def mean_squared_error(
    outputs: jax.Array, activities: jax.Array, observed: jax.Array, present: jax.Array
) -> jax.Array:
    """The mean of (y - Y)^2 over measured activities of the rows that are present; all (B, outputs)."""
    mask = observed * present[:, None]
    error = jnp.where(mask > 0, outputs - activities, 0)
    return jnp.sum(mask * jnp.square(error)) / jnp.maximum(jnp.sum(mask), 1)


def wrong_signs(weights: jax.Array, signs: jax.Array) -> jax.Array:
    """Which edges (E,) have a known sign, +1 or -1, and a weight of the other sign."""
    return weights * signs < 0


def sign_penalty(weights: jax.Array, signs: jax.Array) -> jax.Array:
    """The sum of |w| over edges whose weight has the wrong sign."""
    return jnp.sum(jnp.maximum(-weights * signs, 0))


def squares(weights: jax.Array, bias: jax.Array) -> jax.Array:
    """sum w^2 + sum b^2."""
    return jnp.sum(jnp.square(weights)) + jnp.sum(jnp.square(bias))


def spread_penalty(weights: jax.Array, real: jax.Array | None = None) -> jax.Array:
    """sum 1 / (w^2 + 1/2): keeps weights from all fading away. real: (E,), 0 for edges that do not count."""
    each = 1 / (jnp.square(weights) + 0.5)
    return jnp.sum(each if real is None else each * real)


def uniform_penalty(
    state: jax.Array, present: jax.Array, high: float | jax.Array, silent: float | jax.Array
) -> jax.Array:
    """Every node should use the range 0 to `high` over the conditions; state (N, B).

    Sum over nodes of (mean - high/2)^2 + (var - high^2/12)^2 + (max - high)^2 + min^2, minus `silent`
    times the sum of max over nodes whose max is 0 or less; 0 where no condition is present.
    """
    count = jnp.maximum(present.sum(), 1)
    there = present[None, :] > 0
    mean = jnp.sum(jnp.where(there, state, 0), axis=1) / count
    variance = jnp.sum(jnp.where(there, jnp.square(state - mean[:, None]), 0), axis=1) / count
    largest = jnp.max(jnp.where(there, state, -jnp.inf), axis=1)
    smallest = jnp.min(jnp.where(there, state, jnp.inf), axis=1)
    # Infinite where no condition is present, and 0 times infinity is no gradient.
    anyone = jnp.any(present > 0)
    largest, smallest = jnp.where(anyone, largest, 0), jnp.where(anyone, smallest, 0)
    shape = jnp.square(mean - high / 2) + jnp.square(variance - high**2 / 12)
    ends = jnp.square(largest - high) + jnp.square(smallest)
    total = jnp.sum(shape + ends) - silent * jnp.sum(jnp.where(largest <= 0, largest, 0))
    return jnp.where(anyone, total, 0)


def spectral_penalty(
    radius: jax.Array, target: float | jax.Array, steepness: float | jax.Array
) -> jax.Array:
    """exp(-a tau) (exp(a rho) - 1) above a radius of 1/2, else 0; tau: target, a: steepness.

    Above a radius of 1.2 it goes on as a straight line, so that a bad start cannot overflow.
    """
    bound = 1.2
    inner = jnp.minimum(radius, bound)
    value = jnp.exp(steepness * (inner - target)) - jnp.exp(-steepness * target)
    beyond = steepness * jnp.exp(steepness * (bound - target)) * (radius - inner)
    return jnp.where(radius > 0.5, value + beyond, 0)
