"""The two neural terms: a self term f(x_i) and an interaction term g(x_i, x_j), each one hidden
layer wide.

    term(z) = readout^T [tanh(kernel^T z + bias), z, 1],      z: standardised states and node features

The readout is linear in the basis, so it is the solution of a linear least-squares problem while
the hidden layer is fitted (variable projection, Golub & Pereyra 1973).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxllc.data.message_passing import IN_STRENGTH
from jaxllc.dynamics.vector_field import Features, VectorField
from jaxllc.neural.structures import EITHER_END, Structure, times_factors

HIDDEN_SCALE = 2.0  # of the random kernel, over the root of the number of inputs


class FixedWeights(nnx.Variable):
    """An array of the field that is not fitted."""


class _Term(nnx.Module):
    """One hidden tanh layer beside the inputs and a one; the last layer is linear."""

    def __init__(
        self, num_inputs: int, width: int, num_outputs: int, key: jax.Array, copies: int = 1
    ):
        kernel_key, bias_key = jax.random.split(key)
        scale = HIDDEN_SCALE / np.sqrt(num_inputs)
        self.kernel = nnx.Param(scale * jax.random.normal(kernel_key, (num_inputs, width)))
        self.bias = nnx.Param(jax.random.normal(bias_key, (width,)))
        self.readout = nnx.Param(jnp.zeros((copies * (width + num_inputs + 1), num_outputs)))

    def basis(self, inputs: jax.Array) -> jax.Array:
        """Standardised inputs (..., q) -> (..., width + q + 1)."""
        return basis(self.kernel[...], self.bias[...], inputs)

    def __call__(self, inputs: jax.Array, factors: jax.Array | None = None) -> jax.Array:
        """Standardised inputs (..., q) -> (..., d); factors: (..., m) that the basis is multiplied by."""
        columns = self.basis(inputs)
        if factors is not None:
            columns = times_factors(columns, factors)
        return columns @ self.readout[...]


class SelfTerm(_Term):
    """f: inputs are the states and features of the node."""


class InteractionTerm(_Term):
    """g: inputs are the states and features of the receiver, then those of the sender."""


def basis(kernel: jax.Array, bias: jax.Array, inputs: jax.Array) -> jax.Array:
    """Columns that the readout combines, (..., q) -> (..., width + q + 1)."""
    before = inputs @ kernel
    hidden = jnp.tanh(before + bias.reshape((1,) * (before.ndim - 1) + (-1,)))
    return jnp.concatenate([hidden, inputs, jnp.ones_like(inputs[..., :1])], axis=-1)


class StandardisedField(nnx.Module, VectorField):
    """A field of two terms that read standardised inputs, receiver before sender.

    A subclass sets variables, feature_names, input_mean, input_std, self_part and interaction_part.
    """

    input_mean: FixedWeights
    input_std: FixedWeights
    self_part: Any
    interaction_part: Any

    def standardise(self, x: jax.Array, features: Features) -> jax.Array:
        """States (..., d) and features {name: (...,)} -> standardised inputs (..., d + F)."""
        columns = [jnp.asarray(features[name], x.dtype)[..., None] for name in self.feature_names]
        inputs = jnp.concatenate([x, *columns], axis=-1)
        shape = (1,) * (inputs.ndim - 1) + (-1,)
        mean, std = self.input_mean[...].reshape(shape), self.input_std[...].reshape(shape)
        return (inputs - mean.astype(x.dtype)) / std.astype(x.dtype)

    def self_term(self, x_i: jax.Array, features_i: Features) -> jax.Array:
        return self.self_part(self.standardise(x_i, features_i))

    def interaction_term(
        self, x_i: jax.Array, x_j: jax.Array, features_i: Features, features_j: Features
    ) -> jax.Array:
        receiver, sender = self.standardise(x_i, features_i), self.standardise(x_j, features_j)
        return self.interaction_part(jnp.concatenate([receiver, sender], axis=-1))


class NeuralVectorField(StandardisedField):
    """Both neural terms as a vector field: a pytree whose parameters are the leaves.

    variables, feature_names: the inputs, in order; "k" among the features stands for the in-
    strength.
    input_mean, input_std: (d + F,), which standardise states and features. structure: whether the interaction
    is over the receiver's in-strength, and features that terms are multiplied by.
    """

    def __init__(
        self,
        variables: Sequence[str],
        feature_names: Sequence[str],
        input_mean: np.ndarray,
        input_std: np.ndarray,
        width: int,
        key: jax.Array,
        structure: Structure = EITHER_END,
    ):
        self.structure = structure
        self.variables = tuple(variables)
        self.feature_names = tuple(feature_names)
        self.input_mean = FixedWeights(jnp.asarray(input_mean))
        self.input_std = FixedWeights(jnp.asarray(input_std))
        self_key, interaction_key = jax.random.split(key)
        num_inputs, num_outputs = len(input_mean), len(self.variables)
        copies = [
            structure.factors(n, np.zeros((1 + n) * num_inputs), num_outputs).size for n in range(2)
        ]
        self.self_part = SelfTerm(num_inputs, width, num_outputs, self_key, copies[0])
        self.interaction_part = InteractionTerm(
            2 * num_inputs, width, num_outputs, interaction_key, copies[1]
        )

    def self_term(self, x_i: jax.Array, features_i: Features) -> jax.Array:
        inputs = self.standardise(x_i, features_i)
        return self.self_part(inputs, self.structure.factors(0, inputs, len(self.variables)))

    def interaction_term(
        self, x_i: jax.Array, x_j: jax.Array, features_i: Features, features_j: Features
    ) -> jax.Array:
        receiver, sender = self.standardise(x_i, features_i), self.standardise(x_j, features_j)
        inputs = jnp.concatenate([receiver, sender], axis=-1)
        message = self.interaction_part(
            inputs, self.structure.factors(1, inputs, len(self.variables))
        )
        if not self.structure.normalised:
            return message
        return message / jnp.asarray(features_i[IN_STRENGTH], message.dtype)[..., None]
