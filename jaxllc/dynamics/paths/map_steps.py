"""Trajectories of maps, x_i(k+1) = self term + sum over j of A_ij interaction term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxllc.data.message_passing import graph_of
from jaxllc.data.network import Network
from jaxllc.dynamics.paths.outcome import Simulation, simulations
from jaxllc.dynamics.paths.stochastic import keys_of_runs, process_values
from jaxllc.dynamics.simulation_input import (
    checked_features,
    checked_initial_state,
    checked_network,
    checked_times,
)
from jaxllc.errors import InputError, check_number

if TYPE_CHECKING:
    from jaxllc.dynamics.vector_field import VectorField

# Steps of a run at most; how far from whole a number of steps may be.
_MOST_STEPS, _WHOLE = 10_000_000, 1e-6


def iterate(
    law: VectorField,
    network: Network,
    times: Sequence[float] | np.ndarray,
    initial_state: np.ndarray,
    node_features: Mapping[str, np.ndarray] | None = None,
    *,
    step: float = 1.0,
    process_noise: Any = None,
    seed: int = 0,
) -> Simulation | list[Simulation]:
    """States of a map from initial_state at times[0], whose right side is that of a vector field.

    times: (T,), apart by whole multiples of `step`. initial_state: (N, d), (N,) for one variable, or
    (R, N, d) for R runs, which give a list. process_noise: standard deviation of what is added to each new
    state, one number or {variable: number}; seed: of it. States that leave the numbers are nan from there on.
    Raises InputError for input that does not fit.
    """
    checked_network(network)
    points = checked_times(times)
    check_number("step", step, 0.0, above=True)
    places = (points - points[0]) / step
    whole = np.rint(places)
    if np.abs(places - whole).max() > _WHOLE * max(1.0, float(whole[-1])):
        raise InputError(
            f"a map is known at whole steps only: times must be apart by multiples of its step {step:g}, "
            f"such as {points[0]:g}, {points[0] + step:g}, {points[0] + 2 * step:g}"
        )
    if whole[-1] > _MOST_STEPS or len(np.unique(whole)) < len(whole):
        raise InputError(
            f"times ask for {whole[-1]:g} steps of {step:g}; give times at least a step apart, and at most "
            f"{_MOST_STEPS} steps"
        )
    features = checked_features(law, network, node_features)
    states0, is_batch = checked_initial_state(law, network, initial_state)
    process = process_values(process_noise, law.variables)
    graph = graph_of(network, {name: features[name] for name in law.feature_names})
    with jax.enable_x64(True):
        keys = keys_of_runs(seed, len(states0))
        drive = np.zeros(len(law.variables)) if process is None else process
        program = _program(int(whole[-1]), process is not None)
        states = np.asarray(program(law, graph, jnp.asarray(states0), jnp.asarray(drive), keys))
    states = states[:, whole.astype(int)]
    good = np.isfinite(states).all(axis=(2, 3))
    states = np.where(np.logical_and.accumulate(good, axis=1)[:, :, None, None], states, np.nan)
    messages = [_said(points, one) for one in good]
    given = {"variables": law.variables, "node_features": features or None}
    found = simulations(points, states, good.all(axis=1), messages, network, given)
    return found if is_batch else found[0]


def _said(times: np.ndarray, good: np.ndarray) -> str:
    if good.all():
        return f"Reached t = {times[-1]:g}."
    return (
        f"Diverged before t = {times[int(np.argmin(good))]:.6g} of {times[-1]:g}: a state grew without bound "
        "or is not a number; check the constants, or stop earlier."
    )


@lru_cache(maxsize=32)
def _program(steps: int, noisy: bool) -> Any:
    def one(law, graph, state0: Float[Array, "node variable"], process, key):
        def step(state: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
            new = law.derivative(state, graph)
            if noisy:
                drawn = jax.random.normal(jax.random.fold_in(key, number), state.shape, state.dtype)
                new = new + process[None] * drawn
            return new, new

        _, states = jax.lax.scan(step, state0, jnp.arange(steps))
        return jnp.concatenate([state0[None], states])

    return jax.jit(jax.vmap(one, in_axes=(None, None, 0, None, 0)))
