"""A symbolic field as data, so that one compiled program simulates all laws of one number of variables.

Its tapes are padded arrays, and the node features that its terms read are columns of one array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.message_passing import IN_STRENGTH, Graph, pass_messages, sum_into_receivers
from jaxllc.dynamics.vector_field import Features, SymbolicVectorField, VectorField
from jaxllc.equations.function_table import Function
from jaxllc.equations.tapes.instructions import Instructions, tape_functions
from jaxllc.equations.tapes.interpreted import TapeArrays, interpret

COLUMNS = "columns"


class Size(NamedTuple):
    """Of padded arrays: node features that the terms read, constants of a tape, and instructions."""

    features: int
    constants: int
    length: int

    def holds(self, other: Size) -> bool:
        return all(own >= needed for own, needed in zip(self, other, strict=True))


# Nearly all laws are of the first size; those larger than the second are compiled in their own.
_SIZES = (Size(2, 8, 24), Size(8, 32, 96))


class Layout(NamedTuple):
    """Registers of padded tapes: variables and features of a node, the same of its sender, then constants.

    features: the node features that the tapes read, the others of size being padding.
    """

    variables: tuple[str, ...]
    features: tuple[str, ...]
    size: Size

    @classmethod
    def of(
        cls, tapes: Sequence[Instructions], variables: tuple[str, ...], fitted: Sequence[str] = ()
    ) -> Layout:
        """One that holds these tapes. fitted: names of inputs that are constants."""
        read = {name.rpartition("_")[0] for t in tapes for name in t.inputs if name not in fitted}
        features = tuple(sorted(read - set(variables)))
        needed = Size(
            len(features),
            max(
                tape.num_constants + len(tape.numbers) + sum(name in fitted for name in tape.inputs)
                for tape in tapes
            ),
            max(len(tape.code) for tape in tapes),
        )
        size = next((size for size in _SIZES if size.holds(needed)), needed)
        return cls(variables, features, size)

    def placed(self, tape: Instructions, fitted: Iterable[str] = ()) -> TapeArrays:
        """A tape in these registers; constants that are inputs follow on its own constants and numbers."""
        columns = {name: c for c, name in enumerate((*self.variables, *self.features))}
        of_node = len(self.variables) + self.size.features
        own = tape.num_constants + len(tape.numbers)
        last = {name: 2 * of_node + own + n for n, name in enumerate(fitted)}
        inputs = []
        for name in tape.inputs:
            what, _, side = name.rpartition("_")
            inputs.append(
                last[name] if name in last else columns[what] + (0 if side == "i" else of_node)
            )
        code, outputs = tape.placed(inputs, 2 * of_node, self.size.constants, self.size.length)
        return TapeArrays(code, np.int32(len(tape.code)), outputs)

    def padded(self, constants: Sequence[float]) -> np.ndarray:
        """Constants and numbers of a tape, (C,)."""
        return np.pad(np.asarray(constants, float), (0, self.size.constants - len(constants)))

    def with_columns(self, graph: Graph) -> Graph:
        """The graph with the node features that the tapes read in columns of one array."""
        columns = np.zeros((len(graph.nodes[IN_STRENGTH]), self.size.features))
        for c, name in enumerate(self.features):
            columns[:, c] = graph.nodes[name]
        return graph._replace(nodes={IN_STRENGTH: graph.nodes[IN_STRENGTH], COLUMNS: columns})


@jax.tree_util.register_pytree_node_class
class InterpretedField(VectorField):
    """A field whose tapes are leaves: `self_tape` and `interaction_tape`, each (`TapeArrays`, constants).

    Both read, by node, the states and features of a node itself, and then those of its sender, or their sums
    over neighbours in the self term. summed: whether it reads those.
    """

    def __init__(
        self,
        functions: tuple[Function, ...],
        self_tape: Any,
        interaction_tape: Any,
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
        columns = [x_i, features_i[COLUMNS], x_j, features_j[COLUMNS]]
        return self._outputs(self.interaction_tape, columns)

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        own = [state, graph.nodes[COLUMNS]]
        sums = jax.lax.cond(
            self.summed,
            lambda: [sum_into_receivers(x[graph.senders], graph) for x in own],
            lambda: [jnp.zeros_like(x) for x in own],
        )
        return self._outputs(self.self_tape, [*own, *sums]) + pass_messages(
            self.interaction_term, state, graph
        )

    def constants_of(self, tape: Any) -> Any:
        """The constants of a tape of this field, (C,)."""
        return tape[1]

    def _outputs(self, tape: Any, columns: list[jax.Array]) -> jax.Array:
        constants = self.constants_of(tape)
        return interpret(self.functions, tape[0], constants, [column.T for column in columns]).T


def interpreted(field: SymbolicVectorField, graph: Graph) -> tuple[InterpretedField, Graph]:
    """The field as data, and the graph with the node features that it reads in columns."""
    layout = Layout.of(field.tapes, field.variables)
    constants, own = np.asarray(field.constants), field.tapes[0].num_constants
    tapes = [
        (layout.placed(tape), layout.padded([*values, *tape.numbers]))
        for tape, values in zip(field.tapes, (constants[:own], constants[own:]), strict=True)
    ]
    found = InterpretedField(tape_functions(), tapes[0], tapes[1], np.array(bool(field.summed)))
    return found, layout.with_columns(graph)
