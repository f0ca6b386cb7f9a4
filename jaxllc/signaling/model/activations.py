"""Activation functions phi of h = phi(W h + u) with their slopes, and their names in the settings.

MML is the saturating function of Nilsson et al., Nature Communications 13 (2022): identity between 0
and 1/2, 1 - 1/(4 z) above, which tends to 1 as Michaelis-Menten kinetics do, and a leak below 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxllc.errors import InputError, nearest_match, quoted

LEAK = 0.01


@dataclass(frozen=True)
class Activation:
    """value(z) and slope(z) = phi'(z), each elementwise, for pre-activations z of any shape.

    At the kink z = 0 the slope is that of the leak, as in the published models.
    """

    name: str
    value: Callable[[jax.Array], jax.Array]
    slope: Callable[[jax.Array], jax.Array]


def _mml(z: jax.Array) -> jax.Array:
    # The denominator stays at 1/2 or above where its branch is not taken: no infinities in derivatives.
    saturating = 1 - 0.25 / jnp.maximum(z, 0.5)
    return jnp.where(z < 0, LEAK * z, jnp.where(z > 0.5, saturating, z))


def _mml_slope(z: jax.Array) -> jax.Array:
    return jnp.where(z <= 0, LEAK, 0.25 / jnp.square(jnp.maximum(z, 0.5)))


def _leaky_relu(z: jax.Array) -> jax.Array:
    return jnp.where(z < 0, LEAK * z, z)


def _leaky_relu_slope(z: jax.Array) -> jax.Array:
    return jnp.where(z <= 0, LEAK, 1.0).astype(z.dtype)


def _sigmoid_slope(z: jax.Array) -> jax.Array:
    value = jax.nn.sigmoid(z)
    return value * (1 - value)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("mml", _mml, _mml_slope),
        Activation("leaky_relu", _leaky_relu, _leaky_relu_slope),
        Activation("sigmoid", jax.nn.sigmoid, _sigmoid_slope),
    )
}


def activation(name: str) -> Activation:
    """The activation of this name; raises InputError for another."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise InputError(
            f"there is no activation {quoted(name, 80)}{nearest_match(str(name), ACTIVATIONS)}; "
            f"choose one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]
