"""Tables that a researcher has: states over time, edges, node features; each mistake named once.

States are wide (time, then a column per node, or "node.variable" for several variables) or long
(time,node,value and, for several variables, variable). A column `run` tells several runs apart, and
an empty cell was not observed. Edges are sender,receiver[,weight].
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from jaxllc.csv_table import CsvTable
from jaxllc.errors import InputError, listed
from jaxllc.network import Network, build_network, index_names
from jaxllc.trajectories import Trajectories

_TIME = ("time", "t")
_SENDER = ("sender", "source", "from")
_RECEIVER = ("receiver", "target", "to")
_MINIMUM_TIMES = 5
_LARGEST_ARRAY = 500_000_000  # entries, 4 GB


def read_states(path: str | os.PathLike, minimum_times: int = _MINIMUM_TIMES) -> list[Trajectories]:
    """The runs in a table of states, each over all nodes of the file.

    Raises InputError for a cell that is not a number, times that do not increase within a run, fewer
    than `minimum_times` times in a run, states that never change, and a table of another kind.
    """
    table = CsvTable(path)
    _check_states_header(table)
    if _is_long(table):
        table.load(table.find("run"), table.find("node"), table.find("variable"))
        runs = _read_long(table)
    else:
        table.load(table.find("run"))
        runs = _read_wide(table)
    for number, run in enumerate(runs, start=1):
        which = "" if len(runs) == 1 else f"run {number} of "
        if run.num_times < minimum_times:
            raise InputError(
                f"{which}{path} has {run.num_times} sample times, but at least {minimum_times} are "
                "needed to see a change"
            )
    _check_changes(path, runs)
    return runs


def read_edges(
    path: str | os.PathLike, signed: bool = False, names: Sequence[str] | None = None
) -> Network:
    """The network in a table of edges; `names` fixes the nodes and their order.

    Raises InputError for what `Network.from_edges` rejects, with the row, and for a table of another
    kind.
    """
    table = CsvTable(path)
    sender, receiver = _check_edges_header(table)
    table.load(sender, receiver)
    weight = table.find("weight")
    weights = None
    if weight is not None:
        weights = table.numbers(weight, "every edge needs its weight")
    try:
        ordered, senders, receivers = index_names(table.text(sender), table.text(receiver), names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return build_network(
        senders, receivers, weights, ordered, signed, place=lambda e: f"{path}, row {table.rows[e]}"
    )


def read_features(
    path: str | os.PathLike, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Node features {name: float64 (N,)} from a table node,feature,...; in the order of `names`.

    Without `names` the order is that of the file. Raises InputError for a node without a value, a
    node that stands twice, and a node that is not in `names`.
    """
    table = CsvTable(path)
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
    ordered = nodes if names is None else [str(name) for name in names]
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
    runs = [states] if isinstance(states, Trajectories) else list(states)
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
            "add their edges, drop their states, or allow isolated nodes"
        )
    known = set(network.names)
    added = tuple(name for name in names if name not in known)
    widened = replace(network, names=(*network.names, *added))
    return runs, widened.subnetwork(names)


def _nodes(names: Sequence[str]) -> str:
    return "1 node is" if len(names) == 1 else f"{len(names)} nodes are"


def _is_long(table: CsvTable) -> bool:
    return table.find("node") is not None and table.find("value") is not None


def _check_states_header(table: CsvTable) -> None:
    if table.find(*_TIME) is None:
        if table.find(*_SENDER) and table.find(*_RECEIVER):
            raise InputError(
                f"{table.path} is a table of edges ({','.join(table.header[:3])}), not of states: the "
                "two files look swapped, states come first and edges second"
            )
        raise InputError(
            f"{table.path} has no column 'time'; its columns are {listed(table.header, ['time'])}, "
            "rename the one that holds the time"
        )
    known = ("time", "t", "node", "variable", "value", "run")
    odd = [name for name in table.header if name.lower() not in known]
    if _is_long(table) and odd:
        raise InputError(
            f"{table.path} has the column {listed(odd, known)}; "
            "a long table has only time, node, variable, value and run"
        )


def _check_edges_header(table: CsvTable) -> tuple[str, str]:
    """The sender and the receiver column."""
    sender, receiver = table.find(*_SENDER), table.find(*_RECEIVER)
    if sender is None or receiver is None:
        if table.find(*_TIME) is not None:
            raise InputError(
                f"{table.path} is a table of states (it has a column 'time'), not of edges: the two "
                "files look swapped, states come first and edges second"
            )
        columns = listed(table.header, ["sender", "receiver", "weight"])
        raise InputError(
            f"{table.path} must start with the header sender,receiver[,weight], but its columns are "
            f"{columns}"
        )
    extra = [name for name in table.header if name not in (sender, receiver, table.find("weight"))]
    if extra:
        raise InputError(
            f"{table.path} has the column {listed(extra, ['weight'])}, which is not understood; "
            "name it weight if it holds the weights, else remove it"
        )
    return sender, receiver


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


def _runs(table: CsvTable) -> list[np.ndarray]:
    """The rows of each run, in order of first appearance."""
    run = table.find("run")
    if run is None:
        return [np.arange(len(table.rows))]
    codes, found = pd.factorize(table.text(run))
    return [np.flatnonzero(codes == code) for code in range(len(found))]


def _times(table: CsvTable) -> np.ndarray:
    return table.numbers(table.find(*_TIME) or "", "every row needs a time")


def _check_increasing(table: CsvTable, times: np.ndarray, rows: np.ndarray, of: str = "") -> None:
    """Times of the data rows `rows` must increase from each to the next."""
    steps = np.diff(times[rows])
    if (steps <= 0).any():
        s = int((steps <= 0).argmax())
        before, after = rows[s], rows[s + 1]
        what = "repeats" if steps[s] == 0 else "comes after the later"
        raise InputError(
            f"{table.path}, row {table.rows[after]}: the time {times[after]:g}{of} {what} time "
            f"{times[before]:g} of row {table.rows[before]}; sort the rows by time and keep one for "
            "each time"
        )


def _read_wide(table: CsvTable) -> list[Trajectories]:
    reserved = {table.find(*_TIME), table.find("run")}
    columns = [name for name in table.header if name not in reserved]
    if not columns:
        raise InputError(f"{table.path} has a time but no column of states")
    nodes, variables, order = _split_columns(table, columns)
    times = _times(table)
    states = np.stack([table.numbers(name) for name in order], axis=1)
    states = states.reshape(len(times), len(nodes), len(variables))
    runs = []
    for rows in _runs(table):
        _check_increasing(table, times, rows)
        runs.append(Trajectories(times[rows], states[rows], variables, names=nodes))
    return runs


def _split_columns(table: CsvTable, columns: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Nodes, variables, and the columns ordered by node, then variable.

    Columns are "node.variable" if each ends in a dot and a name, and they make a full table of nodes
    and variables; else each column is a node.
    """
    parts = [re.fullmatch(r"(.+)\.([A-Za-z][A-Za-z0-9_]*)", name) for name in columns]
    pairs = [(part[1], part[2]) for part in parts if part]
    nodes = list(dict.fromkeys(node for node, _ in pairs))
    variables = list(dict.fromkeys(variable for _, variable in pairs))
    several = len(nodes) < len(pairs)
    if len(pairs) < len(columns) or not (several or len(variables) == 1):
        return columns, ["x"], columns
    order = [f"{node}.{variable}" for node in nodes for variable in variables]
    given = set(columns)
    missing = [name for name in order if name not in given]
    if missing:
        raise InputError(
            f"{table.path} has no column {listed(missing, columns)}; every node needs every variable"
        )
    return nodes, variables, order


def _read_long(table: CsvTable) -> list[Trajectories]:
    times, values = _times(table), table.numbers(table.find("value") or "")
    node_codes, nodes = pd.factorize(table.text(table.find("node") or ""))
    variable = table.find("variable")
    variable_codes, variables = np.zeros_like(node_codes), np.array(["x"], dtype=object)
    if variable is not None:
        variable_codes, variables = pd.factorize(table.text(variable))
    series = node_codes * len(variables) + variable_codes
    runs = []
    for rows in _runs(table):
        in_order = rows[np.argsort(series[rows], kind="stable")]
        for start, stop in _stretches(series[in_order]):
            if (np.diff(times[in_order[start:stop]]) <= 0).any():
                node = nodes[node_codes[in_order[start]]]
                _check_increasing(table, times, in_order[start:stop], of=f" of node {node!r}")
        run_times, time_codes = np.unique(times[rows], return_inverse=True)
        shape = (len(run_times), len(nodes), len(variables))
        if np.prod(shape, dtype=float) > _LARGEST_ARRAY:
            raise InputError(
                f"{table.path} has {len(run_times)} different times for {len(nodes)} nodes, too many "
                "for one table; sample the nodes at common times"
            )
        states = np.full(shape, np.nan)
        states[time_codes, node_codes[rows], variable_codes[rows]] = values[rows]
        runs.append(Trajectories(run_times, states, list(variables), names=list(nodes)))
    return runs


def _stretches(codes: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of each stretch of equal codes."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    return list(zip([0, *edges], [*edges, len(codes)], strict=True))
