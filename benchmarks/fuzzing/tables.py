"""Readers of the tables that a discovery starts from."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import Rows, rows_of, table_bytes
from fuzzing.plain_tables import names, numbers, plain_columns
from fuzzing.reader import DEAR, Case, Readers

READERS = Readers()
_EXAMPLE = Path(__file__).resolve().parents[2] / "docs/example"


def _wide(columns: list[str], times: int) -> Rows:
    r = Random(len(columns) * times)
    rows = [[f"{t / 10}", *(f"{r.gauss(0, 1):.6g}" for _ in columns)] for t in range(times)]
    return [["time", *columns], *rows]


def _long(runs: str, times: int, nodes: tuple[str, ...], variables: str) -> Rows:
    head = ["run"] * bool(runs) + ["time", "node"] + ["variable"] * bool(variables) + ["value"]
    rows = [
        [run] * bool(runs)
        + [str(t), node]
        + [variable] * bool(variables)
        + [str(t * t + len(node))]
        for run in runs or " "
        for t in range(times)
        for node in nodes
        for variable in variables or " "
    ]
    return [head, *rows]


def _cut(name: str, rows: int, columns: int) -> Rows:
    """The first rows and columns of a table of docs/example."""
    return [row[:columns] for row in rows_of((_EXAMPLE / name).read_text("utf-8"))[:rows]]


WIDE = [
    _cut("states.csv", 9, 7),
    _wide(["n0", "n1", "n2"], 6),
    _wide(["a.x", "a.y", "b.x", "b.y"], 5),
    [["run", *row] if n == 0 else [str(1 + n // 6), *row] for n, row in enumerate(_wide(["a", "b"], 11))],
    _wide(["a", "b"], 5) + _wide(["a", "b"], 5)[1:],
    [["date", "a", "b"], *([f"2024-01-0{t}", str(t), str(t * t)] for t in range(1, 9))],
]  # fmt: skip
LONG = [
    _long("", 5, ("a", "bb"), ""),
    _long("", 5, ("a", "bb"), "xy"),
    _long("AB", 5, ("a", "bb"), "xy"),
]
EDGES = [
    _cut("edges.csv", 8, 3),
    rows_of("sender,receiver\na,b\nb,c\nc,a"),
    rows_of("sender,receiver,weight\na,b,1\nb,c,0.5\nc,a,2e3"),
    rows_of("source,target\n1,2\n2,3\n10,1"),
    rows_of("from,to,weight\nx,y,-1\ny,x,2\nz,x,0"),
    rows_of(",a,b,c\na,0,1,0\nb,1,0,0\nc,0,2,0"),
]
FEATURES = [
    rows_of("node,omega\na,1\nb,2\nc,3"),
    rows_of("node,omega,mu\na,1,2\nb,2,3\nc,0.1,4"),
]


def _states(bases: list[Rows]) -> Any:
    return lambda r: {"states.csv": table_bytes(r, r.choice(bases))}


def _runs_of(path: Path) -> tuple[Any, str | None]:
    from jaxllc.data.readers import read_states

    runs = read_states(path)
    for run in runs:
        if not (np.isfinite(run.times).all() and (np.diff(run.times) > 0).all()):
            return runs, f"times that do not increase: {run.times[:8]}"
        if np.isinf(run.states).any() or len(set(run.node_names)) < run.num_nodes:
            return runs, "states that are infinite, or nodes of one name"
    return runs, None


@READERS.add(_states(WIDE))
def states_wide(given: Any) -> str | None:
    runs, complaint = _runs_of(given["states.csv"])
    columns = plain_columns(given["states.csv"])
    if complaint or columns is None or next(iter(columns)) != "time":
        return complaint
    if {"t", "run", "node", "value", "variable"} & {name.lower() for name in columns}:
        return None
    table = {name: numbers(cells) for name, cells in columns.items()}
    if None in table.values() or np.any(np.diff(table["time"]) <= 0):
        return None
    found = {"time": runs[0].times} | dict(
        zip(runs[0].node_names, runs[0].states[..., 0].T, strict=True)
    )
    same = found.keys() == table.keys() and all(np.array_equal(found[k], table[k]) for k in table)
    return None if same else "other numbers than the table holds"


@READERS.add(_states(LONG))
def states_long(given: Any) -> str | None:
    runs, complaint = _runs_of(given["states.csv"])
    columns = plain_columns(given["states.csv"])
    if complaint or columns is None or set(columns) != {"time", "node", "value"}:
        return complaint
    times, values = numbers(columns["time"]), numbers(columns["value"])
    nodes = names(columns["node"])
    if times is None or values is None or nodes is None or len(runs) != 1:
        return None
    frame = {}
    for time, node, value in zip(times, nodes, values, strict=True):
        frame[time, node] = value
    run = runs[0]
    found = {
        (time, node): run.states[t, n, 0]
        for t, time in enumerate(run.times.tolist())
        for n, node in enumerate(run.node_names)
        if run.observed[t, n, 0]
    }
    return None if found == frame else "other numbers than the table holds"


@READERS.add(lambda r: {"edges.csv": table_bytes(r, r.choice(EDGES)), "signed": r.random() < 0.5})
def edges(given: Any) -> str | None:
    from jaxllc.data.readers import read_edges

    network = read_edges(given["edges.csv"], signed=given["signed"])
    if not np.isfinite(network.weights).all() or (network.weights == 0).any():
        return "an edge of weight 0, or one that is not finite"
    columns = plain_columns(given["edges.csv"])
    if columns is None or list(columns) not in (
        ["sender", "receiver", "weight"],
        ["sender", "receiver"],
    ):
        return None
    weights = numbers(columns.get("weight", ["1"] * len(columns["sender"])))
    if weights is None or names([*columns["sender"], *columns["receiver"]]) is None:
        return None
    listed = zip(columns["sender"], columns["receiver"], weights, strict=True)
    wanted = sorted((u, v, w) for u, v, w in listed if w != 0)
    called = network.names
    pairs = zip(network.senders, network.receivers, network.weights.tolist(), strict=True)
    found = sorted((called[u], called[v], w) for u, v, w in pairs)
    return None if found == wanted else "other edges than the table holds"


@READERS.add(lambda r: {"features.csv": table_bytes(r, r.choice(FEATURES))})
def features(given: Any) -> str | None:
    from jaxllc.data.readers import read_features

    found = read_features(given["features.csv"])
    return None if len(found) else "no feature, and no word"


def _matched(r: Random) -> Case:
    states = [
        rows_of("time,a,b,c\n0,1,2,3\n1,2,3,4\n2,3,4,5\n3,4,5,7\n4,5,6,9"),
        _long("", 5, ("a", "b", "c"), ""),
    ]
    which = r.randrange(4)
    files = {"states.csv": states, "edges.csv": EDGES[1:3], "features.csv": FEATURES}
    case: dict[str, Any] = {"alone": r.random() < 0.5}
    for n, (name, bases) in enumerate(files.items()):
        base = r.choice(bases)
        whole = "\n".join(",".join(row) for row in base).encode()
        case[name] = table_bytes(r, base) if which in (n, 3) else whole
    return case


@READERS.add(_matched, DEAR)
def tables_together(given: Any) -> None:
    from jaxllc.data.inputs import match
    from jaxllc.data.readers import read_edges, read_features, read_states

    runs = read_states(given["states.csv"])
    runs, network = match(runs, read_edges(given["edges.csv"]), allow_isolated=given["alone"])
    for run in runs:
        run.with_features(read_features(given["features.csv"], names=network.names))
