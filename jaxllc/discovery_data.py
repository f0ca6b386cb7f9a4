"""What trajectories and a network must be for a discovery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.errors import InputError
from jaxllc.trajectories import Trajectories

if TYPE_CHECKING:
    from jaxllc.network import Network


def checked_runs(
    data: Trajectories | Sequence[Trajectories], network: Network
) -> list[Trajectories]:
    """The runs as a list; raises InputError where they do not fit the network or one another."""
    runs = [data] if isinstance(data, Trajectories) else list(data)
    if not runs:
        raise InputError("data holds no trajectories: give at least one")
    if network.num_edges == 0:
        raise InputError("the network has no edges: there is no interaction to find")
    first = runs[0]
    for number, run in enumerate(runs):
        if run.num_nodes != network.num_nodes:
            raise InputError(
                f"trajectories {number} have {run.num_nodes} nodes but the network has {network.num_nodes}; "
                f"jaxllc.match() brings both into one order"
            )
        if run.variables != first.variables:
            raise InputError(
                f"trajectories {number} have the variables {run.variables}, "
                f"the first ones {first.variables}; all must have the same"
            )
        if set(run.node_features) != set(first.node_features) or any(
            not np.array_equal(run.node_features[k], first.node_features[k])
            for k in first.node_features
        ):
            raise InputError(f"trajectories {number} have other node features than the first ones")
        if run.num_times < 5:
            raise InputError(
                f"trajectories {number} have {run.num_times} samples; a law needs at least 5 in a run"
            )
        names = run.names
        if names is not None and tuple(names) != tuple(network.names):
            raise InputError(
                f"the nodes of trajectories {number} are not in the order of the network's; "
                f"jaxllc.match() brings both into one order"
            )
    for v, name in enumerate(first.variables):
        values = np.concatenate([r.states[..., v].ravel() for r in runs])
        if not np.isfinite(values).any() or np.nanmax(values) == np.nanmin(values):
            raise InputError(
                f"variable {name} is constant over all nodes and times: there is no law to find"
            )
    return runs
