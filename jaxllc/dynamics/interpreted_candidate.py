"""A candidate law as data, so that one compiled program fits all laws of one number of variables.

As in `interpreted_field`; a constant of a tape is a number of its own or an entry of the vector that is
fitted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.message_passing import Graph
from jaxllc.dynamics.candidate_field import CandidateField
from jaxllc.dynamics.interpreted_field import InterpretedField, Layout
from jaxllc.equations.function_table import Function
from jaxllc.equations.skeletons import constant
from jaxllc.equations.tapes.instructions import tape_functions
from jaxllc.equations.tapes.interpreted import TapeArrays

# Lengths that vectors of fitted constants are padded to.
_LENGTHS = (8, 16, 32, 64)


class CandidateTape(NamedTuple):
    """numbers (C,): of the tape; places (C,): in the vector, of those that are fitted, else its length."""

    arrays: TapeArrays
    numbers: Any
    places: Any


@jax.tree_util.register_pytree_node_class
class InterpretedCandidate(InterpretedField):
    """An `InterpretedField` of a vector (P,), which is padded; logarithms (P,): where it holds them."""

    def __init__(
        self,
        functions: tuple[Function, ...],
        self_tape: CandidateTape,
        interaction_tape: CandidateTape,
        summed: Any,
        logarithms: Any,
        vector: Any,
    ):
        # No call of super(): leaves may be anything while a pytree is taken apart.
        self.functions = functions
        self.self_tape, self.interaction_tape = self_tape, interaction_tape
        self.summed, self.logarithms, self.vector = summed, logarithms, vector

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Function, ...]]:
        tapes = (self.self_tape, self.interaction_tape)
        return (*tapes, self.summed, self.logarithms, self.vector), self.functions

    @classmethod
    def tree_unflatten(cls, functions: Any, leaves: Any) -> InterpretedCandidate:
        return cls(functions, *leaves)

    def constants_of(self, tape: CandidateTape) -> Any:
        # An exponential that is not taken must not overflow: its derivative would be none.
        powers = jnp.exp(jnp.where(self.logarithms, self.vector, 0.0))
        values = jnp.where(self.logarithms, powers, self.vector)
        return tape.numbers + jnp.append(values, 0.0)[tape.places]

    def with_vector(self, vector: Any) -> InterpretedCandidate:
        """The same law with other constants, padded."""
        *leaves, _ = self.tree_flatten()[0]
        return InterpretedCandidate(self.functions, *leaves, vector)  # type: ignore[call-arg]


def interpreted_candidate(
    field: CandidateField, graph: Graph
) -> tuple[InterpretedCandidate, Graph]:
    """The law as data, and the graph with the node features that it reads in columns."""
    count = len(field.logarithms)
    length = next((n for n in _LENGTHS if n >= count), count)
    names = [constant(k).name for k in range(count)]
    layout = Layout.of([instructions for instructions, _ in field.tapes], field.variables, names)
    tapes: list[CandidateTape] = []
    for tape, numbers in field.tapes:
        fitted = [name for name in tape.inputs if name in names]
        own = [*numbers, *tape.numbers]
        places = np.full(layout.size.constants, length, np.int32)
        places[len(own) :][: len(fitted)] = [names.index(name) for name in fitted]
        tapes.append(CandidateTape(layout.placed(tape, fitted), layout.padded(own), places))
    logarithms = np.pad(np.array(field.logarithms, bool), (0, length - count))
    vector = np.pad(np.asarray(field.vector, float), (0, length - count))
    summed = np.array(bool(field.summed))
    found = InterpretedCandidate(tape_functions(), tapes[0], tapes[1], summed, logarithms, vector)
    return found, layout.with_columns(graph)
