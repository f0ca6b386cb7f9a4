"""Graphs of unlike size in one compiled program: filled up to classes of size by `jraph.pad_with_graphs`.

What is filled in stands beside the graph: nodes that no edge joins to it, and that do not move.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from jaxllc.data.message_passing import Graph, num_nodes_of
from jaxllc.dynamics.vector_field import VectorField

_SMALLEST = 16


def size_class(count: int) -> int:
    """The smallest of 16, 24, 32, 48, 64, 96 ... that is not below a count."""
    size = _SMALLEST
    while size < count:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


@jax.tree_util.register_pytree_node_class
class PaddedField(VectorField):
    """A field on a padded graph. real: (N,), which nodes move; the others stay where they are."""

    def __init__(self, field: Any, real: Any):
        self.field, self.real = field, real

    def tree_flatten(self) -> tuple[tuple[Any, Any], None]:
        return (self.field, self.real), None

    @classmethod
    def tree_unflatten(cls, _: Any, leaves: Any) -> PaddedField:
        return cls(*leaves)

    def derivative(self, state: jax.Array, graph: Graph) -> jax.Array:
        return self._of_real(self.field.derivative(state, graph))

    def derivative_at(self, time: Any, state: jax.Array, graph: Graph) -> jax.Array:
        return self._of_real(self.field.derivative_at(time, state, graph))

    def _of_real(self, rates: jax.Array) -> jax.Array:
        # Chosen, not multiplied: a law need not be finite at what is filled in.
        return jnp.where(self.real[:, None], rates, 0)

    @property
    def norm(self) -> Any:
        """Root mean square over the nodes that move, which the size of a step follows."""
        return jax.tree_util.Partial(_root_mean_square, self.real)


def _root_mean_square(real: jax.Array, values: jax.Array) -> jax.Array:
    count = jnp.sum(real) * (values.size // values.shape[0])
    return jnp.sqrt(jnp.sum(jnp.square(values)) / count)


def padded(field: Any, graph: Graph, states: np.ndarray) -> tuple[PaddedField, Graph, np.ndarray]:
    """A field, a graph and states (run, node, variable) in the size of their class."""
    count = num_nodes_of(graph)
    # One node more at least, which the edges that are filled in are of.
    size, edges = size_class(count + 1), size_class(len(graph.senders))
    with jax.enable_x64(True):
        filled = jax.tree.map(np.asarray, jraph.pad_with_graphs(graph, size, edges))
    states = np.pad(states, ((0, 0), (0, size - count), (0, 0)))
    return PaddedField(field, np.arange(size) < count), filled, states
