"""A symbolic field as data, so that one compiled program simulates all laws of one number of variables.

Its tapes are padded arrays, and the node features that its terms read are columns of one array.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.message_passing import IN_STRENGTH, Graph, pass_messages, sum_into_receivers
from jaxllc.dynamics.vector_field import Features, SymbolicVectorField, VectorField
from jaxllc.equations.function_table import Function
from jaxllc.equations.tapes.instructions import Instructions, tape_functions
from jaxllc.equations.tapes.interpreted import TapeArrays, interpret

_COLUMNS = "columns"


class _Size(NamedTuple):
    """Of padded arrays: node features that the terms read, constants of a tape, and instructions."""

    features: int
    constants: int
    length: int

    def holds(self, other: _Size) -> bool:
        return all(own >= needed for own, needed in zip(self, other, strict=True))


# Nearly all laws are of the first size; those larger than the second are compiled in their own.
_SIZES = (_Size(2, 8, 24), _Size(8, 32, 96))


@jax.tree_util.register_pytree_node_class
class InterpretedField(VectorField):
    """A field whose tapes are leaves: `self_tape` and `interaction_tape`, each with its constants.

    Both read, by node, the states and features of a node itself, and then those of its sender, or their sums
    over neighbours in the self term. summed: whether it reads those.
    """

    def __init__(
        self,
        functions: tuple[Function, ...],
        self_tape: tuple[TapeArrays, Any],
        interaction_tape: tuple[TapeArrays, Any],
        summed: Any,
    ):
        self.functions = functions
        self.self_tape, self.interaction_tape, self.summed = self_tape, interaction_tape, summed

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Function, ...]]:
        return (self.self_tape, self.interaction_tape, self.summed), self.functions

    @classmethod
    def tree_unflatten(cls, functions: Any, leaves: Any) -> InterpretedField:
        return cls(functions, *leaves)

    def interaction_term(
        self, x_i: jax.Array, x_j: jax.Array, features_i: Features, features_j: Features
    ) -> jax.Array:
        columns = [x_i, features_i[_COLUMNS], x_j, features_j[_COLUMNS]]
        return self._outputs(self.interaction_tape, columns)

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        own = [state, graph.nodes[_COLUMNS]]
        sums = jax.lax.cond(
            self.summed,
            lambda: [sum_into_receivers(x[graph.senders], graph) for x in own],
            lambda: [jnp.zeros_like(x) for x in own],
        )
        return self._outputs(self.self_tape, [*own, *sums]) + pass_messages(
            self.interaction_term, state, graph
        )

    def _outputs(self, tape: tuple[TapeArrays, Any], columns: list[jax.Array]) -> jax.Array:
        return interpret(self.functions, *tape, [column.T for column in columns]).T


def interpreted(field: SymbolicVectorField, graph: Graph) -> tuple[InterpretedField, Graph]:
    """The field as data, and the graph with the node features that it reads in columns."""
    variables = field.variables
    read = [name.rpartition("_")[0] for tape in field.tapes for name in tape.inputs]
    features = sorted({name for name in read if name not in variables})
    needed = _Size(
        len(features),
        max(tape.num_constants + len(tape.numbers) for tape in field.tapes),
        max(len(tape.code) for tape in field.tapes),
    )
    size = next((size for size in _SIZES if size.holds(needed)), needed)
    columns = np.zeros((len(graph.nodes[IN_STRENGTH]), size.features))
    for c, name in enumerate(features):
        columns[:, c] = graph.nodes[name]
    places = {name: c for c, name in enumerate((*variables, *features))}
    of_node = len(variables) + size.features

    def arrays(tape: Instructions, constants: np.ndarray) -> tuple[TapeArrays, np.ndarray]:
        inputs = []
        for name in tape.inputs:
            what, _, side = name.rpartition("_")
            inputs.append(places[what] + (0 if side == "i" else of_node))
        code, outputs = tape.placed(inputs, 2 * of_node, size.constants, size.length)
        numbers = np.zeros(size.constants)
        numbers[: tape.num_constants] = constants
        numbers[tape.num_constants :][: len(tape.numbers)] = tape.numbers
        return TapeArrays(code, np.int32(len(tape.code)), outputs), numbers

    constants, own = np.asarray(field.constants), field.tapes[0].num_constants
    found = InterpretedField(
        tape_functions(),
        arrays(field.tapes[0], constants[:own]),
        arrays(field.tapes[1], constants[own:]),
        np.array(bool(field.summed)),
    )
    return found, graph._replace(nodes={IN_STRENGTH: graph.nodes[IN_STRENGTH], _COLUMNS: columns})
