"""The trajectories of a law: its vector field, and runs of it from initial states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.network import Network
from jaxllc.errors import InputError
from jaxllc.law.axes import moved_to, origins_of
from jaxllc.law.record import LawRecord

if TYPE_CHECKING:
    from jaxllc.dynamics.integrate import Simulation
    from jaxllc.dynamics.vector_field import VectorField


def vector_field_of(law: LawRecord) -> VectorField:
    """The law as a vector field for `jaxllc.simulate`."""
    from jaxllc.dynamics.vector_field import from_equations, measured_from

    field, origins = from_equations(law.equations, law.feature_names), origins_of(law)
    if not origins:
        return field
    moved = from_equations(moved_to(law.equations, origins), law.feature_names)
    return measured_from(field, moved, origins)


def run_law(
    law: LawRecord,
    initial_state: np.ndarray,
    times: Sequence[float] | np.ndarray,
    network: Network | None = None,
    node_features: Mapping[str, np.ndarray] | None = None,
    **options: Any,
) -> Simulation:
    """See `Law.run`."""
    from jaxllc.dynamics.integrate import simulate

    network = law.network if network is None else network
    if network is None:
        raise InputError(
            "this law knows no network: give one, law.simulate(x0, times, network=...)"
        )
    if node_features is None and law.data and network is law.network:
        node_features = law.data[0].node_features
    found = simulate(vector_field_of(law), network, times, initial_state, node_features, **options)
    return found  # type: ignore[return-value]  # a list of them for the states of several runs
