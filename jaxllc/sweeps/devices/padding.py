"""Trainings of unlike size in one shape, to be vmapped over: networks with other edges, fewer conditions.

Networks have the same nodes. Lists of neighbours get a common layout, and edges that lack are added at the
end of the edge arrays: from the last node to itself, of weight 0, in no neighbour list, on no feedback loop,
and marked as not real. Rows of conditions that lack are added at the end too, and marked as not present.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxllc.signaling.model.neighbour_sums import common_layout, neighbour_lists
from jaxllc.signaling.model.steady_state import Wiring
from jaxllc.signaling.network.structure import Parameters, Structure
from jaxllc.signaling.training.training_state import TrainingState

# Of the rows of a program, those that count: where fewer did, filling up would cost more than compiling.
_FILLED = 2 / 3


class Rows(NamedTuple):
    """The rows of the data of a program, and whether some of its members fill them up."""

    number: int
    filled: bool = False


def rows_of(counts: Collection[int]) -> dict[int, Rows]:
    """For each number of conditions, the rows of the program that trains on so many: few sizes serve all."""
    found: dict[int, int] = {}
    largest = 0
    for count in sorted(set(counts), reverse=True):
        if count < _FILLED * largest or not largest:
            largest = count
        found[count] = largest
    sizes = Counter(found.values())
    return {count: Rows(rows, sizes[rows] > 1) for count, rows in found.items()}


def of_one_shape(structures: Sequence[Structure], num_nodes: int) -> list[Structure]:
    """The same networks with arrays of equal shapes, all of `num_nodes` nodes, inputs and outputs alike."""
    receivers = [np.asarray(structure.wires.receivers) for structure in structures]
    senders = [np.asarray(structure.wires.senders) for structure in structures]
    incoming, outgoing = (common_layout(ends, num_nodes) for ends in (receivers, senders))
    num_edges = incoming.num_edges
    alike = all(len(ends) == num_edges for ends in receivers)
    padded = []
    for structure, to, by in zip(structures, receivers, senders, strict=True):
        wires = Wiring(
            neighbour_lists(to, by, num_nodes, incoming),
            neighbour_lists(by, to, num_nodes, outgoing),
            _filled(by, num_edges, num_nodes - 1).astype(np.int32),
            _filled(to, num_edges, num_nodes - 1).astype(np.int32),
            _filled(structure.wires.cyclic, num_edges, False),
        )
        signs = _filled(structure.signs, num_edges, 0)
        real = None if alike else (np.arange(num_edges) < len(to)).astype(signs.dtype)
        padded.append(structure._replace(wires=wires, signs=signs, real=real))
    return padded


def padded_state(state: TrainingState, num_edges: int) -> TrainingState:
    """A fresh state of a network with fewer edges, its new edges of weight 0 and without moments."""

    def padded(parameters: Parameters) -> Parameters:
        missing = num_edges - parameters.weights.shape[0]
        return parameters._replace(weights=jnp.pad(parameters.weights, (0, missing)))

    moments = state.moments._replace(mu=padded(state.moments.mu), nu=padded(state.moments.nu))
    best = state.best._replace(parameters=padded(state.best.parameters))
    return state._replace(parameters=padded(state.parameters), moments=moments, best=best)


def _filled(values: Any, count: int, by: Any) -> np.ndarray:
    """The values, filled up to `count` at the end."""
    values = np.asarray(values)
    return np.concatenate([values, np.full(count - len(values), by, values.dtype)])
