"""The arrays of a signaling model: what never changes (structure, data) and what is learned (parameters).

    u = b;  u[inputs] += s_in * ligand;  h = phi(W h + u);  y = s_out * h[outputs]

Nilsson et al., Nature Communications 13 (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.errors import InputError, listed
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.model.neighbour_sums import Array
from jaxllc.signaling.model.steady_state import Solver, SteadyState, Wiring, steady_state, wiring
from jaxllc.signaling.network.prior_network import PriorNetwork


class Parameters(NamedTuple):
    """What is learned: weights (E,), bias (N,), output_scale (outputs,), in the orders of the names."""

    weights: Array
    bias: Array
    output_scale: Array


class Structure(NamedTuple):
    """What stays: wiring, signs (E,) with 0 for unknown, nodes of inputs and outputs, s_in (inputs,).

    real: (E,), 0 for an edge that only fills up the shape, else 1; None where all edges are real. Such an
    edge stands in no neighbour list, begins with the weight 0 and keeps it.
    """

    wires: Wiring
    signs: Array
    inputs: Array
    outputs: Array
    input_scale: Array
    real: Array | None = None


class Data(NamedTuple):
    """Conditions as arrays: ligands (B, inputs); activities (B, outputs), 0 where not measured;
    observed (B, outputs), 1 or 0; present (B,), 0 for a row that only fills up the shape."""

    ligands: Array
    activities: Array
    observed: Array
    present: Array


def structure_of(
    prior: PriorNetwork, ligands: Sequence[str], tfs: Sequence[str], input_scale: float = 3.0
) -> Structure:
    """The structure of a prior network with these input and output nodes, which must be nodes of it."""
    for kind, names in (("ligand", ligands), ("TF", tfs)):
        unknown = [name for name in names if name not in prior.position]
        if unknown:
            raise InputError(
                f"the prior network has no node for the {kind} {listed(unknown, prior.names)}; leave it "
                "out, as Conditions.matched does"
            )
    signs = np.where(prior.sign_known, prior.signs, 0).astype(np.float32)
    return Structure(
        wiring(prior.senders, prior.receivers, prior.num_nodes),
        signs,
        np.array([prior.position[name] for name in ligands], np.int32),
        np.array([prior.position[name] for name in tfs], np.int32),
        np.full(len(ligands), input_scale, np.float32),
    )


def data_of(conditions: Conditions) -> Data:
    """Conditions as arrays; an activity that was not measured is masked, not taken as zero."""
    observed = np.isfinite(conditions.tf_activities)
    return Data(
        conditions.ligand_levels,
        np.where(observed, conditions.tf_activities, 0.0),
        observed.astype(float),
        np.ones(conditions.num_conditions),
    )


def drive_of(structure: Structure, bias: jax.Array, ligands: jax.Array) -> jax.Array:
    """u (N, B) from the bias (N,) and the ligand levels (B, inputs)."""
    levels = (structure.input_scale.astype(bias.dtype)[None, :] * ligands.astype(bias.dtype)).T
    drive = jnp.broadcast_to(bias[:, None], (bias.shape[0], ligands.shape[0]))
    return drive.at[structure.inputs].add(levels)


def outputs_of(structure: Structure, output_scale: jax.Array, state: jax.Array) -> jax.Array:
    """y (B, outputs) from the state (N, B)."""
    return (output_scale[:, None] * state[structure.outputs]).T


@partial(jax.jit, static_argnums=(0, 1))
def settle(
    activation: str,
    solver: Solver,
    structure: Structure,
    parameters: Parameters,
    ligands: jax.Array,
    tolerance: float | jax.Array,
) -> tuple[SteadyState, jax.Array]:
    """The steady states for ligand levels (B, inputs), and the outputs there (B, outputs)."""
    drive = drive_of(structure, parameters.bias, ligands)
    found = steady_state(structure.wires, parameters.weights, drive, activation, solver, tolerance)
    return found, outputs_of(structure, parameters.output_scale, found.state)


def initial_parameters(
    structure: Structure, key: jax.Array, output_scale: float = 1.2, dtype: Any = jnp.float32
) -> Parameters:
    """Parameters to start from, before the weights are scaled to a spectral radius.

    Weights uniform in 0.1 to 0.2, negative for inhibition; bias 0.001, or 1 for a node whose incoming edges
    are all known to inhibit.
    """
    signs, receivers = np.asarray(structure.signs), np.asarray(structure.wires.receivers)
    num_nodes = len(structure.wires.incoming.order)
    # Drawn alike whatever the precision, so that a run in float64 tells what float32 costs.
    size = jax.random.uniform(key, signs.shape, jnp.float32, 0.1, 0.2).astype(dtype)
    weights = jnp.where(signs < 0, -size, size)
    incoming = np.bincount(receivers, minlength=num_nodes)
    negative = np.bincount(receivers, weights=signs < 0, minlength=num_nodes)
    bias = jnp.where((incoming > 0) & (negative == incoming), 1.0, 1e-3).astype(dtype)
    return Parameters(weights, bias, jnp.full(len(structure.outputs), output_scale, dtype))
