"""Signaling as an ODE: the sum over neighbours is the argument of a function, not a term.

    dx_i/dt = -x_i + phi(sum_j w_ij x_j + u_i + b_i)

phi is the MML function of LEMBAS (Nilsson et al., Nature Communications 13, 2022): leaky below 0,
linear up to 1/2, and saturating towards 1 above, as Michaelis-Menten kinetics do.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxllc.aggregation import Graph, pass_messages
from jaxllc.known_laws.law import KnownLaw
from jaxllc.vector_field import Features, VectorField

LEAK = 0.01


def mml(z: jax.Array) -> jax.Array:
    """0.01 z below 0; z up to 1/2; 1 - 1/(4 z) above."""
    saturated = 1.0 - 0.25 / jnp.maximum(z, 0.5)
    return jnp.where(z < 0.0, LEAK * z, jnp.where(z <= 0.5, z, saturated))


@jax.tree_util.register_pytree_node_class
class SignalingVectorField(VectorField):
    """The field of the law above; node features u (input) and b (bias), weights w on the edges."""

    variables = ("x",)
    feature_names = ("u", "b")

    def self_term(self, x_i: jax.Array, features_i: Features) -> jax.Array:
        return -x_i

    def interaction_term(
        self, x_i: jax.Array, x_j: jax.Array, features_i: Features, features_j: Features
    ) -> jax.Array:
        return x_j

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        drive = pass_messages(self.interaction_term, state, graph)
        offset = graph.nodes["u"] + graph.nodes["b"]
        return self.self_term(state, graph.nodes) + mml(drive + offset[:, None])

    def tree_flatten(self) -> tuple[tuple[()], None]:
        return (), None

    @classmethod
    def tree_unflatten(cls, structure: None, leaves: tuple[()]) -> SignalingVectorField:
        return cls()


class SignalingLaw(KnownLaw):
    """A known law whose interaction terms are summed inside phi; `equations` holds the parts."""

    def vector_field(self) -> VectorField:
        """The field -x_i + phi(sum_j w_ij x_j + u_i + b_i)."""
        return SignalingVectorField()

    def __str__(self) -> str:
        return "dx_i/dt = -x_i + phi(sum_j A_ij x_j + u_i + b_i)"


LAWS = (
    SignalingLaw(
        name="signaling",
        terms={"x": ("-x_i", "x_j")},
        parameters={},
        initial_range={"x": (0.0, 1.0)},
        feature_ranges={"u": (0.0, 1.0), "b": (-0.5, 0.1)},
        horizon=5.0,
        source="MML signaling model of LEMBAS as an ODE (this project)",
        additive=False,
    ),
)
