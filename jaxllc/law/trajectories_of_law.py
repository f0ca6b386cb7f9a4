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
    if node_features is None:
        node_features = known_features(law, network)
    found = simulate(vector_field_of(law), network, times, initial_state, node_features, **options)
    return found  # type: ignore[return-value]  # a list of them for the states of several runs


def known_features(law: LawRecord, network: Network) -> dict[str, np.ndarray] | None:
    """The features of the data and the constants of the nodes, where a network can be that of the law; None
    where there are none."""
    own = {one.name: one.values for one in law.node_constants}
    if law.data and network is law.network:
        return {**law.data[0].node_features, **own}
    fits = all(len(values) == network.num_nodes for values in own.values())
    same_names = not own or network.names in (None, law.node_constants[0].nodes)
    return own if own and fits and same_names and law.network in (None, network) else None
