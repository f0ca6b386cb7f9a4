"""The table of what acts on nodes beside a law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.stage import Stage
from jaxllc.dynamics.terms import INTERACTION, SELF, TermFamily
from jaxllc.errors import InputError, listed, nearest_match
from jaxllc.law.record import LawRecord
from jaxllc.nodewise.missing_input import missing_input
from jaxllc.smoothing.grid_data import GridData, grid_data
from jaxllc.smoothing.smooth import smooth

if TYPE_CHECKING:
    import pandas

# Points of the grid in an interval between samples.
_REFINE = 4


def missing_input_table(
    law: LawRecord,
    data: Trajectories | Sequence[Trajectories] | None,
    network: Network | None,
    nodes: Sequence[str] | None,
) -> pandas.DataFrame:
    """See `Law.missing_input_table`."""
    import pandas

    if law.by_steps:
        raise InputError(
            "this law is that of steps between samples, which tell of no input over time; a law of flows "
            "without process noise does"
        )
    runs = [data] if isinstance(data, Trajectories) else list(law.data if data is None else data)
    network = law.network if network is None else network
    if not runs or network is None:
        raise InputError(
            "this law holds no data or no network (a loaded law does not): give both, "
            "law.missing_input_table(data, network)"
        )
    names = runs[0].node_names
    if len(names) != network.num_nodes:
        raise InputError(
            f"the data hold {len(names)} nodes and the network {network.num_nodes}; give those that belong "
            "together"
        )
    places = _places(law, names, nodes)
    grids = grid_data(runs, smooth(runs, refine=_REFINE))
    frames = []
    for variable, name in enumerate(grids.variables):
        found = missing_input(grids, _rates(law, grids, network, name), variable)
        for number, (run, one) in enumerate(zip(runs, found, strict=True)):
            count = len(run.times)
            value, half = one.value[places].ravel(), one.half[places].ravel()
            frames.append(
                pandas.DataFrame(
                    {
                        "run": np.full(len(value), number),
                        "node": np.repeat(np.array(names, dtype=object)[places], count),
                        "variable": name,
                        "time": np.tile(run.times, len(places)),
                        "value": value,
                        "lower": value - half,
                        "upper": value + half,
                    }
                )
            )
    return pandas.concat(frames, ignore_index=True)


def _places(law: LawRecord, names: Sequence[str], nodes: Sequence[str] | None) -> list[int]:
    """Places of the nodes that are asked for: by default those that do not follow the law."""
    if nodes is None:
        if law.follows is None or len(law.follows) != len(names):
            return list(range(len(names)))
        return [int(n) for n in np.flatnonzero(~(np.asarray(law.follows) >= 0.5))]
    place = {name: n for n, name in enumerate(names)}
    unknown = [str(name) for name in nodes if str(name) not in place]
    if unknown:
        raise InputError(
            f"there is no node {listed(unknown, names)}{nearest_match(unknown[0], names)}; nodes takes names"
        )
    return [place[str(name)] for name in nodes]


def _rates(law: LawRecord, data: GridData, network: Network, variable: str) -> np.ndarray:
    """The rate (node, time) of a variable by the law, on the smoothed states of all grid times."""
    named: dict[str, Any] = data.named()
    equation = law.equations[variable]
    forced = {one.name: one for one in law.forcing if one.name not in named}
    sides = {SELF: equation.self_term, INTERACTION: equation.interaction_term}
    grid = np.concatenate(data.grid_times)
    rates = np.zeros((network.num_nodes, len(grid)))
    for one in forced.values():
        symbol = sympy.Symbol(one.name)
        factor = sides[SELF].coeff(symbol)
        sides[SELF] = sides[SELF].subs(symbol, 0)
        rates += np.nan_to_num(float(factor) * one.at(grid))
    symbols = {s.name for side in sides.values() for s in side.free_symbols}
    there = {*named, *data.features, "k"}
    if lacking := sorted(s for s in symbols if s not in there and s[:-2] not in there):
        raise InputError(
            f"the law reads {listed(lacking)}, which the data do not hold; give data with these features and "
            "inputs, such as law.data"
        )
    at = Stage(network, named, data.features).evaluator(())
    for side, expression in sides.items():
        if expression != 0:
            rates = rates + at.value(TermFamily(side, expression))
    return rates
