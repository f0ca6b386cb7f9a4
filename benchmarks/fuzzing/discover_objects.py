"""What `discover` is given as Python objects: states, networks and choices, up to where the search begins."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import damaged_rows, rows_of
from fuzzing.objects import frame
from fuzzing.reader import DEAR, Case, Readers
from fuzzing.tables import EDGES, LONG, WIDE
from fuzzing.values import array, plain_object

READERS = Readers()
_STATES = [
    rows_of("time,a,b,c\n0,1,2,3\n1,2,3,4\n2,3,4,5\n3,4,5,7\n4,5,6,9\n5,5,6,9"),
    rows_of("time,c,a,b\n0,1,2,3\n1,2,3,4\n2,3,4,5\n3,4,5,7\n4,5,6,9\n5,5,6,9"),
]


def _table(r: Random, bases: list[Any]) -> Any:
    rows = r.choice(bases)
    if r.random() < 0.3:
        rows = damaged_rows(r, rows)
    width = len(rows[0]) if rows else 0
    cells = [(row + [""] * width)[:width] for row in rows[1:]]
    values: Any = [[_number_or_text(cell) for cell in row] for row in cells]
    return frame(r, values, columns=rows[0] if rows else None)


def _number_or_text(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


def _data(r: Random) -> Case:
    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories

    names = [f"n{k}" for k in range(3)]
    times, states = (
        np.arange(6.0),
        np.array([[t + 0.1 * t * k for k in range(3)] for t in range(6)]),
    )
    run = Trajectories(times, states, names=r.choice([names, names[::-1], None, ["a", "b", "c"]]))
    table = _table(r, [*_STATES, *_STATES, *WIDE[:3], *LONG])
    data = r.choice([run, [run], [run, run], table, table, [table, run], states, plain_object(r)])
    network = Network.from_edges(
        [0, 1, 2], [1, 2, 0], names=r.choice([names, ["c", "a", "b"], None])
    )
    edges = _table(r, EDGES[1:])
    matrix = array(r, (3, 3))
    return {
        "data": data,
        "network": r.choice([network, network, edges, edges, matrix, plain_object(r)]),
    }


@READERS.add(_data, DEAR)
def discover_data(given: Any) -> str | None:
    from jaxllc.data.inputs import checked_data
    from jaxllc.diagnosis import data_notes

    runs, network = checked_data(given["data"], given["network"])
    data_notes(runs, network)
    for run in runs:
        if run.num_nodes != network.num_nodes:
            return f"{run.num_nodes} nodes beside a network of {network.num_nodes}"
        if run.names is not None and tuple(run.names) != tuple(network.names):
            return f"the nodes {run.names} beside {network.names}"
    return None


def _discover(r: Random) -> Case:
    odd = {
        "functions": [("exp",), "exp", ("foo",), (), plain_object(r)],
        "engines": [("sparse",), "sparse", (), ("x",), plain_object(r)],
        "known": [{"x": ("-a*x_i", "")}, {"x": ("x_j", "")}, {"z": ("", "")}, {"x": "a"}, plain_object(r)],
        "bounds": [{"a": (0, 1)}, {"coefficients": (1, 0)}, {"coefficients": 3}, plain_object(r)],
        "units": [{"x": "m", "t": "s"}, {"x": 1}, {"q": "m"}, plain_object(r)],
        "demand": [("exp",), "exp", ("division",), plain_object(r)],
        "max_terms": [3, 0, plain_object(r)], "num_fits": [2, -1, plain_object(r)], "moves": [0,
        plain_object(r)],
        "search_seconds": [10.0, -1, plain_object(r)], "neural": ["auto", plain_object(r)],
        "sums": [True, plain_object(r)],
        "division": [False, plain_object(r)], "preset": ["default", "llc", plain_object(r)], "foo": [1],
    }  # fmt: skip
    return {name: r.choice(odd[name]) for name in r.sample(list(odd), r.choice([0, 1, 1, 2, 3]))}


@READERS.add(_discover, DEAR)
def discover_choices(given: Any) -> None:
    from jaxllc.knowledge.prior_knowledge import PriorKnowledge
    from jaxllc.settings.checks import checked_settings

    settings = checked_settings(None, given)
    PriorKnowledge.of(settings, ("x", "y"), ("w",))
