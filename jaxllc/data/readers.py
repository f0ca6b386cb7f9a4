"""Tables that a researcher has: states over time, edges, node features; each mistake named once.

States are wide (time, then a column per node, or "node.variable" for several variables) or long
(time,node,value and, for several variables, variable). The time is a number or a date. A column `run` tells
several runs apart, and an empty cell was not observed. Edges are sender,receiver[,weight].
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.edges_table import network_of
from jaxllc.data.network import Network
from jaxllc.data.states_table import runs_of
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError, check_integer, listed
from jaxllc.tables.csv_table import CsvTable
from jaxllc.tables.frame_table import FrameTable, flat_frame
from jaxllc.tables.labels import names_tuple
from jaxllc.tables.states_header import KEYS, RECEIVER, SENDER, check_states_header
from jaxllc.tables.table import Table

if TYPE_CHECKING:
    import pandas

_MINIMUM_TIMES = 5


def read_states(
    source: str | os.PathLike | pandas.DataFrame, minimum_times: int = _MINIMUM_TIMES
) -> list[Trajectories]:
    """The runs in a table of states, each over all nodes of the table.

    source: the path of a file (also a pipe; gzip, bzip2 and xz are unpacked), or a DataFrame of the same
    columns, whose index may hold the time, the run, the node. Dates are counted from the first of them, in a
    unit that the notes of the runs name. Where there is no column run, times that start anew begin a new run.
    Raises InputError for a cell that is not a number, a time that stands twice in a run, rows in no order,
    fewer than `minimum_times` times in a run, states that never change, and a table of another kind.
    """
    check_integer("minimum_times", minimum_times, 0)
    table = _table(
        source, KEYS, "Trajectories(times, states) takes arrays, states (time, node)", time=True
    )
    check_states_header(table)
    named = runs_of(table)
    for name, run in named:
        if run.num_times < minimum_times:
            raise InputError(
                f"{f'{name} of ' if name else ''}{table.path} has {run.num_times} sample times, but at least "
                f"{minimum_times} are needed to see a change"
            )
    runs = [run for _, run in named]
    _check_changes(table.path, runs)
    return runs


def read_edges(
    source: str | os.PathLike | pandas.DataFrame,
    signed: bool = False,
    names: Sequence[str] | None = None,
    undirected: bool = False,
) -> Network:
    """The network in a table of edges, a file or a DataFrame; `names` fixes the nodes and their order.

    signed: negative weights are meant. undirected: each edge acts both ways, though it is listed once. Edges
    of weight 0 are left out, which a note of the network says.
    Raises InputError for what `Network.from_edges` rejects, with the row, and for a table of another
    kind.
    """
    table = _table(
        source,
        (*SENDER, *RECEIVER),
        "Network.from_edges(*zip(*pairs)) takes pairs (sender, receiver), Network.from_adjacency(A) a matrix",
    )
    return network_of(table, signed, names, undirected)


def read_features(
    source: str | os.PathLike | pandas.DataFrame, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Node features {name: float64 (N,)} from a table node,feature,...; in the order of `names`.

    Without `names` the order is that of the table. Raises InputError for a node without a value, a
    node that stands twice, and a node that is not in `names`.
    """
    table = _table(
        source, ("node",), "Trajectories takes arrays, as node_features={'omega': values}"
    )
    path = table.path
    if isinstance(table, CsvTable):
        table.drop_index()
    table.check_header()
    node = table.find("node")
    if node is None or len(table.header) < 2:
        raise InputError(
            f"{path} must have the columns node and one per feature, not {listed(table.header)}"
        )
    table.load(node)
    nodes = list(table.text(node))
    twice = [name for name, count in Counter(nodes).items() if count > 1]
    if twice:
        raise InputError(f"{path} gives the features of {listed(twice)} more than once")
    ordered = nodes if names is None else list(names_tuple(names))
    position, wanted = {name: n for n, name in enumerate(nodes)}, set(ordered)
    for lacking, known, what in (
        ([name for name in ordered if name not in position], nodes, "has no features of"),
        ([name for name in nodes if name not in wanted], ordered, "has features of unknown"),
    ):
        if lacking:
            raise InputError(f"{path} {what} {listed(lacking, known)}")
    order = [position[name] for name in ordered]
    features = {}
    for column in (name for name in table.header if name != node):
        features[column] = table.numbers(column, "every node needs a value")[order]
    return features


def match(
    states: Sequence[Trajectories] | Trajectories, network: Network, allow_isolated: bool = False
) -> tuple[list[Trajectories], Network]:
    """The runs, and the network with its nodes in the order of the states.

    Raises InputError naming nodes that only one of the two knows; with `allow_isolated` a node without
    any edge is kept. States without names are matched by position.
    """
    from jaxllc.data import inputs as discovery_data

    runs, network = discovery_data.runs_of(states), discovery_data.network_of(network)
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


def _table(source: Any, labels: Collection[str], instead: str, time: bool = False) -> Table:
    """A path or a DataFrame as a table whose header is still to be checked. instead: what takes others."""
    if isinstance(source, str | os.PathLike):
        return CsvTable(source, checked=False)
    frame = flat_frame(source, "the DataFrame", labels, time, instead)
    return FrameTable(frame, "the DataFrame", row="row", checked=False)


def _check_changes(path: str | os.PathLike, runs: list[Trajectories]) -> None:
    observed = np.logical_or.reduce([run.observed.any(axis=(0, 2)) for run in runs])
    if not observed.all():
        unseen = [name for name, seen in zip(runs[0].node_names, observed, strict=True) if not seen]
        raise InputError(
            f"{path} has no value at all of {listed(unseen)}; remove the column or fill it"
        )
    for run in runs:
        low = np.where(run.observed, run.states, np.inf).min(axis=0)
        high = np.where(run.observed, run.states, -np.inf).max(axis=0)
        if (high > low).any():
            return
    raise InputError(
        f"every series in {path} is constant, so nothing can be learned; give states that change"
    )
