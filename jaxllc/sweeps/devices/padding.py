"""Networks with different edges between the same nodes, as structures of one shape, to be vmapped over.

Lists of neighbours get a common layout, and edges that lack are added at the end of the edge arrays: from the
last node to itself, of weight 0, in no neighbour list, on no feedback loop, and marked as not real.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxllc.signaling.model.neighbour_sums import common_layout, neighbour_lists
from jaxllc.signaling.model.steady_state import Wiring
from jaxllc.signaling.network.structure import Parameters, Structure
from jaxllc.signaling.training.training_state import TrainingState


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
