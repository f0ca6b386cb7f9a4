"""What transcription factors would feel of an edge: only where they feel it does its weight tell anything.

The leverage of j -> i in a model is the root mean square, over conditions, of what a unit of weight changes
in all TFs: the norm of dy / du_i, times how far the state of j is from its mean, whatever the weight is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.running.waiting import computed
from jaxllc.self_pruning.study import SelfPruningStudy
from jaxllc.self_pruning.study_model import StudyModel
from jaxllc.signaling.model.neighbour_sums import take
from jaxllc.signaling.model.signaling_model import TOLERANCE, reachable
from jaxllc.signaling.model.steady_state import steady_state
from jaxllc.signaling.network.structure import Parameters, Structure, drive_of, outputs_of
from jaxllc.signaling.training.side_by_side import COARSE
from jaxllc.signaling.training.signaling_training import dtype

_DIRECTIONS = 12  # random ones, where there are more TFs


def leverage_in(study: SelfPruningStudy) -> Callable[[StudyModel], np.ndarray]:
    """From a model of a study to the leverage of its edges at the end of the training, (E,).

    With more than twelve TFs the norm is estimated from twelve random directions, the same for all models.
    One program serves all networks of the study.
    """
    problem = study.problem
    count = len(problem.conditions.tfs)
    rows = np.eye(count)
    if count > _DIRECTIONS:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (_DIRECTIONS, count))
        rows = signs / np.sqrt(_DIRECTIONS)
    directions = jnp.asarray(rows, dtype())
    ligands = jnp.asarray(problem.data.ligands, dtype())
    tolerance = jnp.asarray(reachable(TOLERANCE, dtype()), dtype())

    def leverage(model: StudyModel) -> np.ndarray:
        shots = model.snapshots
        structure = problem.padded[shots.point["network"]]
        num_edges = shots.weights.shape[1]
        parameters = model.parameters(-1, len(structure.signs))
        activation = study.settings.activation
        arguments = structure, parameters, ligands, directions, tolerance
        found = computed(_leverage, activation, *arguments)
        values = np.asarray(found, np.float64)[:num_edges]
        known = np.isfinite(values)
        # Near an instability; such an edge stands in the middle of the others.
        return np.where(known, values, np.median(values[known]) if known.any() else 1.0)

    return leverage


@partial(jax.jit, static_argnums=0)
def _leverage(
    activation: str,
    structure: Structure,
    parameters: Parameters,
    ligands: jax.Array,
    directions: jax.Array,
    tolerance: jax.Array,
) -> jax.Array:
    def outputs(drive: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = steady_state(
            structure.wires, parameters.weights, drive, activation, COARSE, tolerance
        )
        return outputs_of(structure, parameters.output_scale, found.state), found.state

    values, back, state = jax.vjp(
        outputs, drive_of(structure, parameters.bias, ligands), has_aux=True
    )
    felt = jax.vmap(lambda one: back(jnp.broadcast_to(one, values.shape))[0])(directions)
    felt = jnp.sum(jnp.square(felt), axis=0)
    spread = jnp.square(state - state.mean(axis=1, keepdims=True))
    wires = structure.wires
    each = take(felt, wires.receivers) * take(spread, wires.senders)
    return jnp.sqrt(jnp.mean(each, axis=1))
