"""Laws whose constants are fitted through the solver: a vector field whose one leaf is their vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import sympy

from jaxllc.data.message_passing import IN_STRENGTH, Graph, pass_messages, sum_into_receivers
from jaxllc.dynamics.terms import SELF, Term, inner_symbol
from jaxllc.dynamics.vector_field import Features, VectorField
from jaxllc.equations.skeletons import constant
from jaxllc.equations.sum_symbols import SUM_SIDE, sums_in
from jaxllc.equations.tapes.instructions import Instructions
from jaxllc.equations.tapes.law_tapes import law_tape
from jaxllc.equations.tapes.unrolled import run


@jax.tree_util.register_pytree_node_class
class CandidateField(VectorField):
    """dx_i/dt of terms with coefficients, which `vector` holds, and inner constants, some as logarithms.

    logarithms: of each constant, whether the vector holds its logarithm. tapes: of the self terms of all
    variables and of their interactions, each with its own numbers; constants are inputs of both.
    """

    def __init__(
        self,
        variables: tuple[str, ...],
        feature_names: tuple[str, ...],
        tapes: tuple[tuple[Instructions, tuple[float, ...]], ...],
        summed: tuple[str, ...],
        logarithms: tuple[bool, ...],
        vector: Any,
    ):
        self.variables, self.feature_names = variables, feature_names
        self.tapes, self.summed, self.logarithms = tapes, summed, logarithms
        self.vector = vector

    def tree_flatten(self) -> tuple[tuple[Any], tuple[Any, ...]]:
        fixed = (self.variables, self.feature_names, self.tapes, self.summed, self.logarithms)
        return (self.vector,), fixed

    @classmethod
    def tree_unflatten(cls, fixed: Any, leaves: Any) -> CandidateField:
        return cls(*fixed, *leaves)

    def self_term(
        self, x_i: jax.Array, features_i: Features, sums: Mapping[str, jax.Array] | None = None
    ) -> jax.Array:
        """As in `VectorField`; sums: {"x_s": (...,)} of the neighbours, where a self term reads them."""
        return self._outputs(0, self._values("i", x_i, features_i) | dict(sums or {}), x_i)

    def interaction_term(
        self, x_i: jax.Array, x_j: jax.Array, features_i: Features, features_j: Features
    ) -> jax.Array:
        values = self._values("i", x_i, features_i) | self._values("j", x_j, features_j)
        return self._outputs(1, values, x_i)

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        sent = self._values("j", state, graph.nodes)
        sums = {
            f"{name}_{SUM_SIDE}": sum_into_receivers(
                jnp.asarray(sent[f"{name}_j"], state.dtype)[graph.senders], graph
            )
            for name in self.summed
        }
        return self.self_term(state, graph.nodes, sums) + pass_messages(
            self.interaction_term, state, graph
        )

    def _values(self, side: str, x: jax.Array, features: Features) -> dict[str, jax.Array]:
        values = {f"{name}_{side}": x[..., v] for v, name in enumerate(self.variables)}
        names = (n for n in (*self.feature_names, IN_STRENGTH) if n in features)
        return values | {f"{name}_{side}": features[name] for name in names}

    def _outputs(self, number: int, values: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        instructions, numbers = self.tapes[number]
        constants = {
            constant(k).name: jnp.exp(self.vector[k]) if log else self.vector[k]
            for k, log in enumerate(self.logarithms)
        }
        columns = run(instructions, numbers, {**values, **constants}, jnp)
        shape = x.shape[:-1]
        found = [jnp.broadcast_to(jnp.asarray(c, x.dtype), shape) for c in columns]
        return jnp.stack(found, axis=-1)


def candidate_field(
    variables: Sequence[str],
    feature_names: Sequence[str],
    terms: Sequence[Sequence[Term]],
    vector: Any,
) -> CandidateField:
    """The field of the terms of each variable's equation.

    vector: coefficients, but those of held terms, and inner constants, as `CandidateLaw.vector` has them.
    """
    sides: tuple[list[sympy.Expr], list[sympy.Expr]] = ([], [])
    logarithms: list[bool] = []
    summed: set[str] = set()
    for equation in terms:
        own, between = sympy.Integer(0), sympy.Integer(0)
        for term in equation:
            family = term.family
            factor = sympy.Integer(1) if family.held else constant(len(logarithms))
            logarithms += [False] * (not family.held)
            names = {
                inner_symbol(k): constant(len(logarithms) + k) for k in range(family.num_inner)
            }
            logarithms += family.positive
            part = factor * family.expression.xreplace(names)
            if family.side == SELF:
                own += part
                summed |= {
                    symbol.name.rpartition("_")[0] for symbol, _ in sums_in(family.expression)
                }
            else:
                between += part
        sides[0].append(own)
        sides[1].append(between)
    tapes = [law_tape(*side) for side in sides]
    return CandidateField(
        tuple(variables),
        tuple(feature_names),
        tuple((tape.instructions, tape.constants) for tape in tapes),
        tuple(sorted(summed)),
        tuple(logarithms),
        vector,
    )
