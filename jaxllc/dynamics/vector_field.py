"""The vector field of a network, one contract for neural terms, symbolic terms and known laws:

    dx_i/dt = self_term(x_i) + sum_j A_ij interaction_term(x_i, x_j)

The self term of equations may also read the sums x_s = sum_j A_ij x_j over neighbours.

A field is a pytree: its parameters are leaves, its structure is static. So it passes through jit,
grad and vmap, and two symbolic laws that differ only in constants share one compilation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy

from jaxllc.data.message_passing import IN_STRENGTH, Graph, pass_messages, sum_into_receivers
from jaxllc.equations.expressions import symbol_names
from jaxllc.equations.sum_symbols import SUM_SIDE
from jaxllc.equations.tapes.law_tapes import law_tape
from jaxllc.equations.tapes.unrolled import run
from jaxllc.errors import InputError, nearest_match

if TYPE_CHECKING:
    from jaxllc.equations.equation import Equation
    from jaxllc.equations.tapes.instructions import Instructions

Features = Mapping[str, jax.Array]


class VectorField:
    """What every field offers; a subclass gives both terms and is a pytree.

    variables: names of the d variables of a node. feature_names: node features that the terms
    read, besides the in-strength "k", which is always there.
    """

    variables: tuple[str, ...]
    feature_names: tuple[str, ...]

    def self_term(self, x_i: jax.Array, features_i: Features) -> jax.Array:
        """States (..., d) and node features {name: (...,)} -> rates of change (..., d)."""
        raise NotImplementedError

    def interaction_term(
        self, x_i: jax.Array, x_j: jax.Array, features_i: Features, features_j: Features
    ) -> jax.Array:
        """States of receiver and sender (..., d) and their features -> message (..., d)."""
        raise NotImplementedError

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        """State (N, d) and a graph (see aggregation.graph_of) -> dx/dt (N, d)."""
        return self.self_term(state, graph.nodes) + pass_messages(
            self.interaction_term, state, graph
        )

    def derivative_at(self, time: Any, state: jax.Array, graph: Graph) -> jax.Array:
        """The same at a time, which matters where inputs drive the field."""
        return self.derivative(state, graph)


class TapeField(VectorField):
    """A field whose terms are tapes; a subclass says what these make of the values of symbols.

    summed: variables and features whose sum over neighbours a self term reads.
    """

    summed: tuple[str, ...]

    def outputs(self, number: int, values: dict[str, jax.Array]) -> list[Any]:
        """What the self terms (0) or the interaction terms (1) of all variables are."""
        raise NotImplementedError

    def self_term(
        self, x_i: jax.Array, features_i: Features, sums: Mapping[str, jax.Array] | None = None
    ) -> jax.Array:
        """As in `VectorField`; sums: {"x_s": (...,)} of the neighbours, where a self term reads them."""
        values = self._values("i", x_i, features_i) | dict(sums or {})
        return _stacked(self.outputs(0, values), x_i)

    def interaction_term(
        self, x_i: jax.Array, x_j: jax.Array, features_i: Features, features_j: Features
    ) -> jax.Array:
        values = self._values("i", x_i, features_i) | self._values("j", x_j, features_j)
        return _stacked(self.outputs(1, values), x_i)

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        if not self.summed:
            return super().derivative(state, graph)
        sent = self._values("j", state, graph.nodes)
        columns = [jnp.asarray(sent[f"{name}_j"], state.dtype) for name in self.summed]
        totals = sum_into_receivers(jnp.stack(columns, axis=-1)[graph.senders], graph)
        sums = {f"{name}_{SUM_SIDE}": totals[:, n] for n, name in enumerate(self.summed)}
        return self.self_term(state, graph.nodes, sums) + pass_messages(
            self.interaction_term, state, graph
        )

    def _values(self, side: str, x: jax.Array, features: Features) -> dict[str, jax.Array]:
        values = {f"{name}_{side}": x[..., v] for v, name in enumerate(self.variables)}
        for name in (*self.feature_names, IN_STRENGTH):
            if name in features:
                values[f"{name}_{side}"] = features[name]
        return values


def _stacked(columns: list[Any], x: jax.Array) -> jax.Array:
    """One value for each variable, (..., d) as the states x."""
    shape = x.shape[:-1]
    return jnp.stack([jnp.broadcast_to(jnp.asarray(c, x.dtype), shape) for c in columns], axis=-1)


@jax.tree_util.register_pytree_node_class
class SymbolicVectorField(TapeField):
    """A field made from equations; its only leaf is `constants`, the numbers in the equations."""

    def __init__(
        self,
        variables: tuple[str, ...],
        feature_names: tuple[str, ...],
        tapes: tuple[Instructions, Instructions],
        summed: tuple[str, ...],
        constants: Any,
    ):
        # tapes: the self terms of all variables, and their interaction terms; constants: those of the first,
        # then of the second.
        self.variables, self.feature_names = variables, feature_names
        self.tapes, self.summed = tapes, summed
        self.constants = constants
        # The same field of x - origin, for steps whose size does not follow that of the origin.
        self.origin: tuple[float, ...] | None = None
        self.moved: SymbolicVectorField | None = None

    def tree_flatten(self) -> tuple[tuple[Any], tuple[Any, ...]]:
        return (self.constants,), (self.variables, self.feature_names, self.tapes, self.summed)

    @classmethod
    def tree_unflatten(cls, structure: Any, leaves: Any) -> SymbolicVectorField:
        return cls(*structure, *leaves)

    def outputs(self, number: int, values: dict[str, jax.Array]) -> list[Any]:
        own = self.tapes[0].num_constants
        constants = self.constants[own:] if number else self.constants[:own]
        return run(self.tapes[number], constants, values, jnp)


def measured_from(
    field: SymbolicVectorField, moved: SymbolicVectorField, origins: Mapping[str, float]
) -> SymbolicVectorField:
    """The field, which `simulate` integrates as that of x - origin, `moved`, for its steps to be fine."""
    field.moved = moved
    field.origin = tuple(origins.get(v, 0.0) for v in field.variables)
    return field


def from_equations(
    equations: Mapping[str, Equation],
    feature_names: Sequence[str] = (),
    plain: Sequence[str] = (),
) -> SymbolicVectorField:
    """The field of `equations`, {variable: Equation} in the order of the variables.

    feature_names: node features the equations may use; left empty, every symbol that is not a
    variable is taken for one. plain: those that stand in the equations without a side, as the time t does.
    Raises InputError for a symbol that is none of these.
    """
    variables = tuple(equations)
    if not variables:
        raise InputError("equations is empty; give one Equation for each variable.")
    terms = [equation.self_term for equation in equations.values()]
    terms += [equation.interaction_term for equation in equations.values()]
    sides_of = {sympy.Symbol(name): sympy.Symbol(f"{name}_i") for name in plain}
    terms = [term.xreplace(sides_of) for term in terms] if plain else terms
    found: dict[str, None] = {}
    summed: dict[str, None] = {}
    for n, term in enumerate(terms):
        sides = f"i{SUM_SIDE}" if n < len(variables) else "ij"
        for symbol in sorted(symbol_names(term)):
            match = re.fullmatch(rf"(\w+)_([{sides}])", symbol)
            if match is None:
                where = "a self term" if n < len(variables) else "an interaction term"
                raise InputError(
                    f"{symbol!r} cannot stand in {where}; use names such as "
                    f"{' or '.join(f'{variables[0]}_{side}' for side in sides)}."
                )
            found[match[1]] = None
            if match[2] == SUM_SIDE:
                summed[match[1]] = None
    used = [name for name in found if name not in variables and name != IN_STRENGTH]
    known = tuple(feature_names) or tuple(used)
    for name in used:
        if name not in known:
            raise InputError(
                f"The equations use {name!r}, which is neither a variable "
                f"({', '.join(variables)}) nor a node feature ({', '.join(known)})"
                f"{nearest_match(name, [*variables, *known])}."
            )
    own, between = law_tape(*terms[: len(variables)]), law_tape(*terms[len(variables) :])
    return SymbolicVectorField(
        variables,
        known,
        (own.instructions, between.instructions),
        tuple(sorted(summed)),
        np.array([*own.constants, *between.constants], dtype=float),
    )
