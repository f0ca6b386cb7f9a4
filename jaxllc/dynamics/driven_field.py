"""A field that inputs drive: what they are at a time takes the place of node features; and one in which some
nodes are held: what their states are at a time is given.

The solver's steps end where an input jumps or bends, so that its order is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.data.drivers.input_course import InputCourse, joined
from jaxllc.data.message_passing import Graph
from jaxllc.dynamics.interpreted_field import COLUMNS, Layout
from jaxllc.dynamics.vector_field import SymbolicVectorField, VectorField

# Values of inputs that differ between nodes, (N, input, knot), beside the other features of the nodes.
_COURSES = "courses"
# Bends of inputs up to which steps end at each of them.
_MOST_BENDS = 4000


@jax.tree_util.register_pytree_node_class
class DrivenField(VectorField):
    """A field with inputs. knots (K,): their times, those of jumps twice; common (input, K): those that all
    nodes have in common; bends, jumps: the knots between the ends at which steps end.

    names: of the common inputs and then of the others; places: their columns, where the field reads columns.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        places: tuple[int, ...],
        field: Any,
        knots: Any,
        common: Any,
        bends: Any,
        jumps: Any,
    ):
        self.names, self.places, self.field = names, places, field
        self.knots, self.common, self.bends, self.jumps = knots, common, bends, jumps

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        leaves = (self.field, self.knots, self.common, self.bends, self.jumps)
        return leaves, (self.names, self.places)

    @classmethod
    def tree_unflatten(cls, fixed: Any, leaves: Any) -> DrivenField:
        return cls(*fixed, *leaves)

    def derivative_at(self, time: Any, state: jax.Array, graph: Graph) -> jax.Array:
        nodes = dict(graph.nodes)
        own = nodes.pop(_COURSES, None)
        values = _at(self.knots, self.common, time, state)
        values = jnp.broadcast_to(values, (state.shape[0], len(self.common)))
        if own is not None:
            values = jnp.concatenate([values, _at(self.knots, own, time, state)], axis=1)
        if COLUMNS in nodes:
            nodes[COLUMNS] = nodes[COLUMNS].at[:, jnp.array(self.places)].set(values)
        else:
            nodes.update({name: values[:, n] for n, name in enumerate(self.names)})
        return self.field.derivative(state, graph._replace(nodes=nodes))


@jax.tree_util.register_pytree_node_class
class HeldField(VectorField):
    """A field in which the states (H, d, K) of some nodes (H,) are given at knots (K,)."""

    def __init__(self, field: Any, nodes: Any, knots: Any, states: Any, bends: Any, jumps: Any):
        self.field, self.nodes, self.knots, self.states = field, nodes, knots, states
        self.bends, self.jumps = bends, jumps

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        return (self.field, self.nodes, self.knots, self.states, self.bends, self.jumps), None

    @classmethod
    def tree_unflatten(cls, _: None, leaves: Any) -> HeldField:
        return cls(*leaves)

    def derivative_at(self, time: Any, state: jax.Array, graph: Graph) -> jax.Array:
        given = state.at[self.nodes].set(_at(self.knots, self.states, time, state))
        return self.field.derivative_at(time, given, graph).at[self.nodes].set(0.0)


def _at(knots: jax.Array, courses: jax.Array, time: Any, state: jax.Array) -> jax.Array:
    """Courses (..., K) at a time, after a jump there."""
    right = jnp.clip(jnp.searchsorted(knots, time, side="right"), 1, len(knots) - 1)
    start, stop = knots[right - 1], knots[right]
    share = jnp.clip((time - start) / jnp.where(stop > start, stop - start, 1.0), 0.0, 1.0)
    low, high = courses[..., right - 1], courses[..., right]
    return (low + (high - low) * share).astype(state.dtype)


def breaks_of(field: Any) -> tuple[list[Any], list[Any]]:
    """Where steps must end since inputs and held nodes bend there, and where since they jump."""
    bends, jumps = [], []
    while field is not None:
        if isinstance(field, DrivenField | HeldField):
            bends += [field.bends] if len(field.bends) else []
            jumps += [field.jumps] if len(field.jumps) else []
        field = getattr(field, "field", None)
    return bends, jumps


def _breaks(knots: np.ndarray, first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
    """Bends and jumps between two times."""
    inside = np.unique(knots[(knots > first) & (knots < last)])
    jumps = np.intersect1d(inside, knots[1:][np.diff(knots) == 0])
    bends = np.setdiff1d(inside, jumps)
    return bends if len(bends) <= _MOST_BENDS else bends[:0], jumps


def holding(
    field: Any,
    states: Mapping[int, InputCourse],
    origin: np.ndarray,
    first: float,
    last: float,
) -> HeldField:
    """A field in which the states (variable, knot) of some nodes are given; origin: of the variables."""
    knots, values = joined(list(states.values()))
    nodes = np.array(list(states), dtype=np.int32)
    moved = np.stack(values) - origin[:, None]
    return HeldField(field, nodes, knots, moved, *_breaks(knots, first, last))


def driven(
    law: SymbolicVectorField,
    field: Any,
    graph: Graph,
    inputs: Mapping[str, InputCourse],
    first: float,
    last: float,
) -> tuple[Any, Graph]:
    """A field with those inputs that it reads, and the graph that goes with it.

    law: the field of the equations; field: itself, or as data; graph: with any features in the places of the
    inputs; first, last: times between which it is solved.
    """
    features = Layout.of(law.tapes, law.variables).features
    read = [name for name in inputs if name in features]
    if not read:
        return field, graph
    names = [n for n in read if inputs[n].common] + [n for n in read if not inputs[n].common]
    places = tuple(features.index(name) for name in names) if COLUMNS in graph.nodes else ()
    knots, values = joined([inputs[name] for name in names])
    common = [v[0] for v in values if len(v) == 1]
    own = [v for v in values if len(v) > 1]
    if own:
        graph = graph._replace(nodes={**graph.nodes, _COURSES: np.stack(own, axis=1)})
    found = DrivenField(
        tuple(names),
        places,
        field,
        knots,
        np.array(common, dtype=float).reshape(len(common), len(knots)),
        *_breaks(knots, first, last),
    )
    return found, graph
