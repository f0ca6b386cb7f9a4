"""Python objects in the place of files: arrays, DataFrames, graphs, grids."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import damaged_json, damaged_rows
from fuzzing.reader import DEAR, Case, Readers
from fuzzing.signaling import LIGANDS, NETWORKS, TFS
from fuzzing.tables import EDGES
from fuzzing.values import CELLS, NUMBERS, array, plain_object

READERS = Readers()


def labels(r: Random, count: int) -> Any:
    """Names of some nodes, mostly as many as asked for."""
    plain = [f"n{k}" for k in range(count)]
    if r.random() < 0.6:
        return r.choice([plain, plain, tuple(plain), np.array(plain), None])
    odd = [
        plain[::-1], plain[:-1], [*plain, "z"], plain[:1] * count, list(range(count)), [*plain[1:], None],
        [*plain[1:], ""], [*plain[1:], 1.5], "abc"[:count], plain_object(r),
    ]  # fmt: skip
    return r.choice(odd)


def frame(r: Random, values: Any, rows: Any = None, columns: Any = None) -> Any:
    """A DataFrame of these values, sometimes with labels of another kind; the values where there is none."""
    import pandas as pd

    try:
        return _odd_frame(r, pd.DataFrame(values, index=rows, columns=columns))
    except Exception:
        return values


def _odd_frame(r: Random, found: Any) -> Any:
    import pandas as pd

    kind, (height, width) = r.randrange(16), found.shape
    if kind == 0:
        return found.iloc[:, r.sample(range(width), width)]
    if kind == 1:
        return found.iloc[::-1]
    if kind == 2 and width > 1:
        return found.set_index(list(found.columns[:2]))
    if kind == 3:
        found.columns = pd.MultiIndex.from_product([["a"], list(range(width))])
    if kind == 4:
        found.index = pd.to_datetime(["2024-01-01"] * height)
    if kind == 5:
        return found.astype(r.choice(["category", "string", "object"]))
    if kind == 6:
        return found.iloc[: r.randrange(2)]
    if kind == 7:
        return pd.concat([found, found], axis=r.randrange(2))
    if kind == 8 and found.size:
        found = found.astype(object)
        found.iat[r.randrange(height), r.randrange(width)] = r.choice([*CELLS, None, [], {}, 1j])
    if kind == 9 and found.columns.is_unique:
        return found.to_dict(r.choice(["list", "records", "split"]))
    return found


def _trajectories(r: Random) -> Case:
    times, nodes, variables = r.choice([5, 6, 9]), r.choice([1, 2, 3]), r.choice([1, 1, 2])
    shape = (times, nodes, variables) if r.random() < 0.5 or variables > 1 else (times, nodes)
    t: Any = r.choice([np.linspace(0, 1, times), np.arange(times), list(range(times))])
    if r.random() < 0.3:
        t = array(r, (times,))
    elif r.random() < 0.1:
        t = np.datetime64("2024-01-01") + np.arange(times) * np.timedelta64(
            1, r.choice(["D", "h", "s"])
        )
    states = array(r, shape)
    if r.random() < 0.2 and getattr(states, "ndim", 0) == 2:
        states = frame(r, states, columns=labels(r, nodes))
    features = r.choice([None, None, {}, {"w": array(r, (nodes,))}, plain_object(r)])
    called = r.choice(
        [["x"], ["x", "y"][:variables], ["x", "y"][:variables], None, "x", plain_object(r)]
    )
    return {
        "times": t,
        "states": states,
        "variables": called,
        "node_features": features,
        "names": labels(r, nodes),
    }


@READERS.add(_trajectories)
def trajectories(given: Any) -> str | None:
    from jaxllc.data.trajectories import Trajectories

    if given["variables"] is None:
        given = {name: value for name, value in given.items() if name != "variables"}
    run = Trajectories(**given)
    repr(run)
    run.to_frame()
    if not (np.isfinite(run.times).all() and (np.diff(run.times) > 0).all()):
        return f"times that do not increase: {run.times[:8]}"
    if np.isinf(run.states).any():
        return "states that are infinite"
    masked = np.ma.getmaskarray(given["states"]) if np.ma.isMaskedArray(given["states"]) else None
    if masked is not None and run.observed[masked.reshape(run.states.shape)].any():
        return "what was masked counts as observed"
    return None


def _network(r: Random) -> Case:
    import networkx

    how = r.choice(["edges", "edges", "adjacency", "networkx"])
    count = r.choice([2, 3, 4])
    case: dict[str, Any] = {"how": how, "signed": r.random() < 0.5, "names": labels(r, count)}
    if how == "edges":
        pairs = [(u, v) for u in range(count) for v in range(count) if u != v]
        chosen = r.sample(pairs, min(4, len(pairs))) if r.random() < 0.8 else r.choices(pairs, k=4)
        ends = [[pair[side] for pair in chosen] for side in (0, 1)]
        if r.random() < 0.5:
            ends = [[f"n{k}" for k in end] for end in ends]
        case["senders"], case["receivers"] = (
            r.choice([end, np.array(end), plain_object(r) if r.random() < 0.3 else end])
            for end in ends
        )
        case["weights"] = r.choice(
            [None, None, [1.0] * len(chosen), array(r, (len(chosen),)), plain_object(r)]
        )
    elif how == "adjacency":
        values = array(r, (count, count))
        if r.random() < 0.5:
            values = np.array(
                [[r.choice([0, 1, 0.5]) * (u != v) for u in range(count)] for v in range(count)]
            )
        if r.random() < 0.5 and getattr(values, "ndim", 0) == 2:
            values = frame(r, values, labels(r, count), labels(r, count))
        case["A"] = values
    else:
        kinds = [networkx.Graph, networkx.DiGraph, networkx.MultiDiGraph]
        graph = r.choice(kinds)()
        for _ in range(4):
            graph.add_edge(
                r.randrange(count), r.choice([r.randrange(count), "a", None, (1, 2)]) or 0
            )
        for edge in graph.edges(data=True):
            edge[2].update(r.choice([{}, {"weight": r.choice([*NUMBERS, "x", None])}]))
        case["graph"] = r.choice([graph, graph, graph, plain_object(r)])
    return case


@READERS.add(_network)
def network_objects(given: Any) -> str | None:
    from jaxllc.data.network import Network

    how, signed = given["how"], given["signed"]
    if how == "edges":
        ends = (given[name] for name in ("senders", "receivers", "weights"))
        network = Network.from_edges(*ends, names=given["names"], signed=signed)
    elif how == "adjacency":
        named = hasattr(given["A"], "index") and hasattr(given["A"], "columns")
        network = Network.from_adjacency(
            given["A"], names=None if named else given["names"], signed=signed
        )
        if named and all(isinstance(n, str) for n in (*given["A"].index, *given["A"].columns)):
            return _of_labels(network, given["A"])
    else:
        network = Network.from_networkx(given["graph"], signed=signed)
    repr(network)
    return None if np.isfinite(network.weights).all() else "weights that are not finite"


def _of_labels(network: Any, table: Any) -> str | None:
    """Each edge must be that of the cell in the row of its receiver and the column of its sender."""
    cells = {}
    for row, values in zip(table.index, table.to_numpy(), strict=True):
        for column, value in zip(table.columns, values, strict=True):
            if float(value) != 0:
                cells[str(column).strip(), str(row).strip()] = float(value)
    names = network.names
    pairs = zip(network.senders, network.receivers, network.weights.tolist(), strict=True)
    found = {(names[u], names[v]): w for u, v, w in pairs}
    return None if found == cells else "other edges than the labels of rows and columns say"


def _prior_frame(r: Random) -> Case:
    rows = damaged_rows(r, r.choice([*NETWORKS, EDGES[2]]))
    width = len(rows[0]) if rows else 0
    cells = [(row + [""] * width)[:width] for row in rows[1:]]
    values: Any = [[_number_or_text(cell) for cell in row] for row in cells]
    return {"frame": frame(r, values, columns=rows[0] if rows else None)}


def _number_or_text(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


@READERS.add(_prior_frame, DEAR)
def network_frames(given: Any) -> None:
    from jaxllc.signaling import PriorNetwork

    found = PriorNetwork.from_frame(given["frame"])
    found.describe()
    found.to_frame()


def _condition_frames(r: Random) -> Case:
    case = {}
    for name, bases in (("ligands", LIGANDS[:3]), ("tfs", TFS[:3])):
        rows = r.choice(bases)
        values: Any = [[_number_or_text(cell) for cell in row[1:]] for row in rows[1:]]
        if r.random() < 0.3:
            values = array(r, (len(values), len(values[0])))
        table = frame(r, values, [row[0] for row in rows[1:]], rows[0][1:])
        case[name] = plain_object(r) if r.random() < 0.03 else table
    return case | {
        "which": r.choice([[0], [0, 1], ["c1"], [99], ["z"], [True, False], "c1", plain_object(r)])
    }


@READERS.add(_condition_frames, DEAR)
def condition_frames(given: Any) -> str | None:
    from jaxllc.signaling import Conditions

    found = Conditions.from_frames(given["ligands"], given["tfs"])
    found.describe()
    found.to_frames()
    part = found.select(given["which"])
    if not np.isfinite(found.ligand_levels).all() or np.isinf(found.tf_activities).any():
        return "levels that are not finite"
    return None if set(part.names) <= set(found.names) else "conditions that were not asked for"


def _grid(r: Random) -> Case:
    axis = lambda: r.choice(  # noqa: E731
        [[1, 2], (1e-5, 1e-6), np.logspace(-6, -5, 2), range(3), [], ["a", "b"], [1, 1], [None], [[1]],
        plain_object(r)]
    )  # fmt: skip
    names = ["l2", "seed", "epochs", "prior", "", "status", "x y"]
    axes = {name: axis() for name in r.sample(names, r.choice([0, 1, 1, 2, 3]))}
    return {
        "how": r.choice(["grid", "zipped", "points", "draws"]),
        "axes": axes,
        "odd": plain_object(r),
    }


@READERS.add(_grid, DEAR)
def grids(given: Any) -> str | None:
    from jaxllc.sweeps import grids

    how, axes, odd = given["how"], given["axes"], given["odd"]
    if how == "points":
        found = grids.points([axes, axes] if odd is None else odd)
    elif how == "draws":
        shapes = [grids.Uniform, grids.LogUniform, grids.Integers]
        choices = {name: grids.Choice(axis) for name, axis in axes.items()}
        found = grids.random_draws(3, 0, u=shapes[len(axes) % 3](1, odd), **choices)
    else:
        found = getattr(grids, how)(**axes)
    repr(found)
    return None if len(found.keys) == len(set(found.keys)) == len(found) else "points that repeat"


@cache
def _presets() -> list[dict[str, Any]]:
    from jaxllc.signaling.settings import PRESETS

    return [json.loads(json.dumps(found.to_dict())) for found in PRESETS.values()]


def _setting_values(r: Random) -> Case:
    values = damaged_json(r, r.choice(_presets()))
    if isinstance(values, dict) and values and r.random() < 0.5:
        values[r.choice(list(values))] = plain_object(r)
    return {"values": values}


@READERS.add(_setting_values, DEAR)
def setting_objects(given: Any) -> None:
    from jaxllc.signaling.settings import SignalingSettings

    SignalingSettings.from_dict(given["values"])
