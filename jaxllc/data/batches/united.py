"""Runs on several networks as runs on one: the disjoint union of the networks, by `jraph.batch_np`.

No edge joins two parts, so a law of the union is a law of each of them. Runs of the same times on different
networks are laid side by side, as one run of the union; where another network has no such run its nodes are
not observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jaxllc.data.drivers.input_course import InputCourse, side_by_side
from jaxllc.data.network import Network, build_network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError, listed


class Part(NamedTuple):
    """A network and the runs on it; nodes: their places in the union."""

    network: Network
    runs: list[Trajectories]
    nodes: slice


def united(pairs: Sequence[tuple[Trajectories, Network]]) -> tuple[list[Trajectories], Network]:
    """The runs on the union of their networks, and the union.

    Equal networks are one part. Nodes keep their names where no two parts share one; else node a of the
    second network is called "1:a". Raises InputError for runs that do not fit their networks or one another.
    """
    parts = _parts(pairs)
    if len(parts) == 1:
        return parts[0].runs, parts[0].network
    network = _union([part.network for part in parts])
    return [
        _side_by_side(parts, chosen, network.names, pairs[0][0]) for chosen in _groups(parts)
    ], network


def _parts(pairs: Sequence[tuple[Trajectories, Network]]) -> list[Part]:
    first, count = pairs[0][0], 0
    parts: list[Part] = []
    for number, (run, network) in enumerate(pairs):
        if run.num_nodes != network.num_nodes:
            raise InputError(
                f"trajectories {number} have {run.num_nodes} nodes, but their network, number {number} of "
                f"the list, has {network.num_nodes}; give each run its own network, in the same order"
            )
        for what, own, other in (
            ("variables", run.variables, first.variables),
            ("node features", tuple(sorted(run.node_features)), tuple(sorted(first.node_features))),
            ("inputs", tuple(sorted(run.inputs)), tuple(sorted(first.inputs))),
            ("unit of times", run.time_unit, first.time_unit),
        ):
            if own != other:
                raise InputError(
                    f"trajectories {number} have the {what} {own or 'none'}, the first ones "
                    f"{other or 'none'}; runs on several networks must have the same"
                )
        own_part = next((part for part in parts if _equal(part.network, network)), None)
        if own_part is None:
            own_part = Part(network, [], slice(count, count + network.num_nodes))
            count += network.num_nodes
            parts.append(own_part)
        for name, values in run.node_features.items():
            if own_part.runs and not np.array_equal(own_part.runs[0].node_features[name], values):
                raise InputError(
                    f"trajectories {number} have other values of {name} than earlier ones on the same network"
                )
        own_part.runs.append(run)
    return parts


def _equal(one: Network, other: Network) -> bool:
    return one.names == other.names and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("senders", "receivers", "weights")
    )


def _union(networks: Sequence[Network]) -> Network:
    import jraph

    names = [name for network in networks for name in network.names]
    notes: list[str] = [note for network in networks for note in network.notes]
    if len(set(names)) < len(names):
        names = [f"{n}:{name}" for n, network in enumerate(networks) for name in network.names]
        notes.append(
            f"The networks share names of nodes, so each name has the number of its network before it: "
            f"{listed(names)}."
        )
    graph = jraph.batch_np([network.to_graph() for network in networks])
    made = build_network(graph.senders, graph.receivers, graph.edges, names, signed=True)
    return replace(made, notes=tuple(notes))


def _groups(parts: Sequence[Part]) -> list[list[Trajectories | None]]:
    """For each run of the union the run of each part, None where it has none of these times."""
    groups: dict[tuple[bytes, int], list[Trajectories | None]] = {}
    for number, part in enumerate(parts):
        seen: dict[bytes, int] = {}
        for run in part.runs:
            key = run.times.tobytes()
            place = seen[key] = seen.get(key, -1) + 1
            groups.setdefault((key, place), [None] * len(parts))[number] = run
    return list(groups.values())


def _side_by_side(
    parts: Sequence[Part],
    chosen: Sequence[Trajectories | None],
    names: tuple[str, ...],
    first: Trajectories,
) -> Trajectories:
    runs = [run for run in chosen if run is not None]
    states = np.full((runs[0].num_times, len(names), len(first.variables)), np.nan)
    for part, run in zip(parts, chosen, strict=True):
        if run is not None:
            states[:, part.nodes] = run.states
    features = {
        name: np.concatenate([part.runs[0].node_features[name] for part in parts])
        for name in first.node_features
    }
    # Of nodes that were not observed no input is known either; another run's stands in.
    inputs = {
        name: side_by_side(
            [_input_of(run, runs[0], name) for run in chosen],
            [part.network.num_nodes for part in parts],
        )
        for name in first.inputs
    }
    notes = tuple(dict.fromkeys(note for run in runs for note in run.notes))
    return Trajectories(
        runs[0].times, states, first.variables, features, names, notes, first.time_unit, inputs
    )


def _input_of(run: Trajectories | None, first: Trajectories, name: str) -> InputCourse:
    """An input of a run; where there is none, the mean over the nodes of another one."""
    if run is not None:
        return run.inputs[name]
    course = first.inputs[name]
    return replace(course, values=course.values.mean(axis=0, keepdims=True))
