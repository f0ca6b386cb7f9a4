"""States that are no states: nodes that were held, and variables that look like inputs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.errors import listed

if TYPE_CHECKING:
    from jaxllc.data.trajectories import Trajectories

# Spread between nodes, relative to the spread of all values, below which a variable is common to all.
_COMMON = 1e-3
# Values that a switched input takes at most, and samples for each from which that means something.
_FEW_VALUES = 4
_SAMPLES_EACH = 10


@dataclass(frozen=True)
class LikelyInput:
    """A variable that looks like an input: the same in every node, or switched between a few values."""

    variable: str
    common: bool
    values: tuple[float, ...]


def likely_inputs(runs: Sequence[Trajectories]) -> list[LikelyInput]:
    """Variables that look like inputs; none where no variable differs between nodes."""
    found, differing = [], False
    for v, name in enumerate(runs[0].variables):
        states = [run.states[:, :, v] for run in runs]
        everything = np.concatenate([s.ravel() for s in states])
        everything = everything[np.isfinite(everything)]
        spread = _spread(everything)
        if spread == 0.0:
            continue
        values = np.unique(everything)
        few = len(values) <= _FEW_VALUES and len(everything) >= _SAMPLES_EACH * len(values)
        common = runs[0].num_nodes > 1 and _between_nodes(states) <= _COMMON * spread
        differing |= not (common or few)
        if common or few:
            found.append(LikelyInput(name, common, tuple(map(float, values)) if few else ()))
    return found if differing else []


def _spread(values: np.ndarray) -> float:
    """The standard deviation, also of values whose squares are beyond all floats; 0 of no values."""
    if not len(values):
        return 0.0
    exponent = int(np.frexp(np.abs(values).max())[1])
    return float(np.ldexp(np.std(np.ldexp(values, -exponent)), exponent))


def _between_nodes(states: Sequence[np.ndarray]) -> float:
    """Largest distance of two nodes at one time."""
    widest = 0.0
    for values in states:
        seen = np.isfinite(values)
        low = np.where(seen, values, np.inf).min(axis=1)
        high = np.where(seen, values, -np.inf).max(axis=1)
        whole = seen.any(axis=1)
        if whole.any():
            widest = max(widest, float((high - low)[whole].max()))
    return widest


def input_sentence(found: LikelyInput) -> str:
    """An input in words."""
    reasons = []
    if found.common:
        reasons.append("has the same value in every node at each time")
    if found.values:
        reasons.append(f"takes only the values {', '.join(f'{x:g}' for x in found.values)}")
    return (
        f"{found.variable} {' and '.join(reasons)}: it looks like an input from outside, which no law of the "
        f"states moves. A law that must explain {found.variable} too fails; leave it out of the states, and "
        f"keep to the samples in which it is constant."
    )


def held_nodes(runs: Sequence[Trajectories]) -> dict[str, list[str]]:
    """{variable: nodes that never change in any run, where others do}."""
    found: dict[str, list[str]] = {}
    for v, name in enumerate(runs[0].variables):
        still = np.ones(runs[0].num_nodes, dtype=bool)
        for run in runs:
            values = run.states[:, :, v]
            seen = np.isfinite(values)
            low = np.where(seen, values, np.inf).min(axis=0)
            high = np.where(seen, values, -np.inf).max(axis=0)
            still &= (low == high) & (seen.sum(axis=0) > 1)
        if still.any() and not still.all():
            found[name] = [runs[0].node_names[n] for n in np.flatnonzero(still)]
    return found


def held_sentence(variable: str, nodes: Sequence[str]) -> str:
    """Held nodes in words."""
    one = len(nodes) == 1
    return (
        f"{variable} never changes in the node{'' if one else 's'} {listed(list(nodes))}: "
        f"{'it was' if one else 'they were'} perhaps held (knocked out or clamped). No law for all nodes "
        f"explains a node that does not move; the constants are pulled towards "
        f"{'it' if one else 'them'}."
    )
