"""What trajectories and a network must be for a discovery, and tables and files of them as such."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxllc.data.batches.united import united
from jaxllc.data.drivers.input_sources import with_inputs
from jaxllc.data.network import Network
from jaxllc.data.readers import read_edges, read_states
from jaxllc.data.trajectories import Trajectories
from jaxllc.data.trajectory_input import TIMES
from jaxllc.errors import InputError, listed
from jaxllc.tables.labels import RECEIVERS, SENDERS, order_of
from jaxllc.tables.real_numbers import is_frame

_ORDER = "discover(data, network) takes the trajectories first and the network second"


def checked_data(data: Any, network: Any, inputs: Any = None) -> tuple[list[Trajectories], Network]:
    """The runs as a list, and the network in the order of their nodes.

    data: `Trajectories`, a table or file as `jaxllc.read_states` reads it, or a list of these. network: a
    `Network`, or a table or file as `jaxllc.read_edges` reads it; or a list with one of these for each entry
    of data, of which the union is made. Names that both know set the order. inputs: {name: source}, see
    `jaxllc.data.drivers.input_sources`.
    Raises InputError where they are something else, or do not fit one another.
    """
    if isinstance(data, Network) or _are_states(network):
        raise InputError(f"data and network look swapped: {_ORDER}")
    if _are_networks(network):
        pairs = _pairs(data, network)
        runs = with_inputs([run for run, _ in pairs], inputs)
        runs, network = united([(run, own) for run, (_, own) in zip(runs, pairs, strict=True)])
    else:
        runs, network = _paired(data, network)
        runs = with_inputs(runs, inputs)
    return checked_runs(runs, network), network


def checked_alone(data: Any) -> list[Trajectories]:
    """The runs as a list, of nodes of which nobody knows who acts on whom.

    Raises InputError for what is no data, or of fewer than two nodes.
    """
    if isinstance(data, Network):
        raise InputError(f"data is a Network, as if both were swapped: {_ORDER}")
    runs = runs_of(data)
    if not runs:
        raise InputError("data holds no trajectories: give at least one")
    runs = _in_one_order(runs)
    count, names = runs[0].num_nodes, runs[0].node_names
    if count < 2:
        raise InputError(
            "the data hold one node: without another there is no network to find; give the states of all "
            "nodes that may act on each other"
        )
    nodes = np.arange(count)
    senders, receivers = np.roll(nodes, 1), nodes
    ring = Network.from_edges(senders, receivers, names=list(names))
    return checked_runs(runs, ring)


def _pairs(data: Any, networks: Sequence[Any]) -> list[tuple[Trajectories, Network]]:
    """Each run with its network, of a list of data and one of networks."""
    if not isinstance(data, list | tuple) or len(data) != len(networks):
        count = len(data) if isinstance(data, list | tuple) else 1
        raise InputError(
            f"network is a list of {len(networks)} networks, and data has {count} entries; give a list of "
            "trajectories and one network for each of them"
        )
    pairs = []
    for one, network in zip(data, networks, strict=True):
        runs, own = _paired(one, network)
        pairs += [(run, own) for run in runs]
    return pairs


def _paired(data: Any, network: Any) -> tuple[list[Trajectories], Network]:
    """The runs as a list, and the network in the order of their nodes."""
    runs = runs_of(data)
    if not runs:
        raise InputError("data holds no trajectories: give at least one")
    runs = _in_one_order(runs)
    from_table = not isinstance(network, Network)
    network = network_of(network)
    if from_table:
        runs, network = match(runs, network)
    else:
        network = _in_order_of(runs[0], network)
    return runs, network


def runs_of(data: Any) -> list[Trajectories]:
    """Trajectories, a table of states, a path of one, or a list of these, as a list of Trajectories."""
    if isinstance(data, Trajectories):
        return [data]
    if is_frame(data) or isinstance(data, str | os.PathLike):
        return read_states(data)
    if isinstance(data, dict) or not isinstance(data, Iterable) or hasattr(data, "__array__"):
        raise InputError(
            f"data must be Trajectories, not {_kind(data)}; make jaxllc.Trajectories(times, states) of arrays"
        )
    runs: list[Trajectories] = []
    for number, part in enumerate(data):
        if not (is_frame(part) or isinstance(part, Trajectories | str | os.PathLike)):
            raise InputError(
                f"entry {number} of data is {_kind(part)}, not Trajectories; make "
                "jaxllc.Trajectories(times, states) of each run"
            )
        runs += runs_of(part)
    return runs


def network_of(network: Any) -> Network:
    """A Network, a table of edges or a path of one, as a Network."""
    if isinstance(network, Network):
        return network
    if isinstance(network, str | os.PathLike):
        return read_edges(network)
    if is_frame(network):
        columns = {str(name).lower() for name in network.columns}
        if columns & set(SENDERS) and columns & set(RECEIVERS):
            return Network.from_frame(network)
    if hasattr(network, "is_directed"):
        mend = "Network.from_networkx(graph) makes one of it"
    elif hasattr(network, "shape") or isinstance(network, list | tuple):
        mend = (
            "Network.from_adjacency(A) makes one of a matrix, A[i, j] the influence of j on i, and "
            "Network.from_edges(senders, receivers) one of lists"
        )
    else:
        mend = "see Network.from_edges and Network.from_adjacency"
    raise InputError(f"network must be a Network, not {_kind(network)}; {mend}")


def _are_networks(value: Any) -> bool:
    """Whether it is a list of networks, or of tables and paths of them; a matrix in a list is none."""
    return isinstance(value, list | tuple) and any(
        isinstance(one, Network | str | os.PathLike) or is_frame(one) for one in value
    )


def _are_states(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(part, Trajectories) for part in value)
    if is_frame(value):
        return not {str(name).lower() for name in value.columns}.isdisjoint(TIMES)
    return isinstance(value, Trajectories)


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    name = "NumPy array" if isinstance(value, np.ndarray) else type(value).__name__
    kind = f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
    return f"{kind} of shape {shape}" if isinstance(shape, tuple) else kind


def _in_one_order(runs: list[Trajectories]) -> list[Trajectories]:
    """Runs that name their nodes, all in the order of the first one that does."""
    names = next((run.names for run in runs if run.names is not None), None)
    ordered = []
    for number, run in enumerate(runs):
        if run.names is not None and run.names != names:
            order_of(run.names, names or (), f"trajectories {number}", "the first ones")
            run = run.select(names or ())
        elif run.names is None and names is not None and run.num_nodes == len(names):
            run = replace(run, names=names)
        ordered.append(run)
    return ordered


def _in_order_of(run: Trajectories, network: Network) -> Network:
    """The network with its nodes in the order of a run; by position where only one of both has names."""
    names = run.names
    if names is None or run.num_nodes != network.num_nodes or names == network.names:
        return network
    unnamed = network.names == tuple(str(n) for n in range(network.num_nodes))
    if unnamed and set(names) != set(network.names):
        note = (
            "The network's nodes have no names; they were taken in the order of the states: "
            f"{listed(names)}."
        )
        return replace(network, names=names, notes=(*network.notes, note))
    order_of(network.names, names, "the network", "the states")
    return network.subnetwork(names)


def checked_runs(runs: list[Trajectories], network: Network) -> list[Trajectories]:
    """The runs; raises InputError where they do not fit the network or one another."""
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
        if set(run.inputs) != set(first.inputs):
            raise InputError(
                f"trajectories {number} have the inputs {listed(list(run.inputs)) or 'none'}, the first ones "
                f"{listed(list(first.inputs)) or 'none'}; all runs must have the same"
            )
        for name, course in run.inputs.items():
            what = f"the input {name!r} of trajectories {number}"
            course.check_covers(float(run.times[0]), float(run.times[-1]), what)
        if run.num_times < 5:
            raise InputError(
                f"trajectories {number} have {run.num_times} samples; a law needs at least 5 in a run"
            )
        if run.time_unit != first.time_unit:
            raise InputError(
                f"trajectories {number} count times in {run.time_unit or 'no unit'}, the first ones in "
                f"{first.time_unit or 'no unit'}; give the times of all runs as numbers in one unit"
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


def match(
    states: Sequence[Trajectories] | Trajectories, network: Network, allow_isolated: bool = False
) -> tuple[list[Trajectories], Network]:
    """The runs, and the network with its nodes in the order of the states.

    Returns a list of runs, also of one, and the network. States without names are matched by position.
    allow_isolated: keep a node without any edge. Raises InputError naming nodes that only one of the two
    knows.
    """
    runs, network = runs_of(states), network_of(network)
    if not runs:
        raise InputError("there are no trajectories")
    for run in runs:
        if run.node_names != runs[0].node_names or run.variables != runs[0].variables:
            raise InputError("all runs must have the same nodes and variables in the same order")
    names = runs[0].names
    if names is None:
        if runs[0].num_nodes != network.num_nodes:
            raise InputError(
                f"the states hold {runs[0].num_nodes} nodes and the network {network.num_nodes}; "
                "give both the same nodes in the same order"
            )
        return runs, network
    in_states = set(names)
    unseen = [name for name in network.names if name not in in_states]
    if unseen:
        raise InputError(
            f"{_nodes(unseen)} in the edges but not in the states: {listed(unseen, names)}; add their "
            "states or drop their edges"
        )
    with_edges = set(np.array(network.names)[np.union1d(network.senders, network.receivers)])
    isolated = [name for name in names if name not in with_edges]
    if isolated and not allow_isolated:
        raise InputError(
            f"{_nodes(isolated)} in the states but in no edge: {listed(isolated, network.names)}; "
            "add their edges, drop their states, or allow isolated nodes with allow_isolated=True"
        )
    known = set(network.names)
    added = tuple(name for name in names if name not in known)
    widened = replace(network, names=(*network.names, *added))
    return runs, widened.subnetwork(names)


def _nodes(names: Sequence[str]) -> str:
    return "1 node is" if len(names) == 1 else f"{len(names)} nodes are"
