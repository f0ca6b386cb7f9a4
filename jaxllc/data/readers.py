"""Tables that a researcher has: states over time, edges, node features; each mistake named once.

States are wide (time, then a column per node, or "node.variable" for several variables) or long
(time,node,value and, for several variables, variable). The time is a number or a date. A column `run` tells
several runs apart, and an empty cell was not observed. Edges are sender,receiver[,weight].
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.data.edges_table import read_edge_arrays
from jaxllc.data.network import Network
from jaxllc.data.states_table import MINIMUM_TIMES, read_runs
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError, listed
from jaxllc.tables.csv_table import CsvTable
from jaxllc.tables.frame_table import table_of
from jaxllc.tables.labels import names_tuple

if TYPE_CHECKING:
    import pandas


def read_states(
    source: str | os.PathLike | pandas.DataFrame, minimum_times: int = MINIMUM_TIMES
) -> list[Trajectories]:
    """The runs in a table of states, each over all nodes of the table.

    source: the path of a file (also a pipe; gzip, bzip2 and xz are unpacked), or a DataFrame of the same
    columns, whose index may hold the time, the run, the node. Dates are counted from the first of them, in a
    unit that the notes of the runs name. Where there is no column run, times that start anew begin a new run.
    Raises InputError for a cell that is not a number, a time that stands twice in a run, rows in no order,
    fewer than `minimum_times` times in a run, states that never change, and a table of another kind.

    >>> import jaxllc, pandas as pd
    >>> table = pd.DataFrame({"time": range(5), "a": [5.0, 4, 3, 2, 1], "b": [1.0, 2, 3, 4, 5]})
    >>> (run,) = jaxllc.read_states(table)
    >>> run.states.shape, run.names
    ((5, 2, 1), ('a', 'b'))
    """
    return read_runs(source, minimum_times, Trajectories)


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

    >>> import jaxllc, pandas as pd
    >>> table = pd.DataFrame({"sender": ["a", "a"], "receiver": ["b", "c"], "weight": [0.5, 2.0]})
    >>> jaxllc.read_edges(table).num_edges
    2
    """
    return Network(*read_edge_arrays(source, signed, names, undirected))


def read_features(
    source: str | os.PathLike | pandas.DataFrame, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Node features {name: float64 (N,)} from a table node,feature,...; in the order of `names`.

    Without `names` the order is that of the table. Raises InputError for a node without a value, a
    node that stands twice, and a node that is not in `names`.
    """
    table = table_of(
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
