"""Laws whose constants are fitted through the solver: a vector field whose one leaf is their vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import sympy

from jaxllc.dynamics.terms import SELF, Term, inner_symbol
from jaxllc.dynamics.vector_field import TapeField
from jaxllc.equations.skeletons import constant
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.equations.tapes.instructions import Instructions
from jaxllc.equations.tapes.law_tapes import law_tape
from jaxllc.equations.tapes.unrolled import run


@jax.tree_util.register_pytree_node_class
class CandidateField(TapeField):
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

    def with_vector(self, vector: Any) -> CandidateField:
        """The same law with other constants."""
        return jax.tree.unflatten(jax.tree.structure(self), [vector])

    def outputs(self, number: int, values: dict[str, jax.Array]) -> list[Any]:
        instructions, numbers = self.tapes[number]
        constants = {
            constant(k).name: jnp.exp(self.vector[k]) if log else self.vector[k]
            for k, log in enumerate(self.logarithms)
        }
        return run(instructions, numbers, {**values, **constants}, jnp)


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
