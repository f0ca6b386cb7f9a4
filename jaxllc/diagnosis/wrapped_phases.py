"""Angles that were kept within one turn: they jump by a whole period where they pass its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxllc.data.trajectories import Trajectories

# Periods of angles in use, and how they are written.
_PERIODS = ((2 * math.pi, "2 pi"), (360.0, "360"), (1.0, "1"))
# Values of an angle lie within one period, a little noise aside.
_WIDEST, _NARROWEST = 1.05, 0.8
# A step of at least so much of a period is a jump; steps between these two are neither one nor the other.
_JUMP, _STEP = 0.75, 0.4
# Steps in doubt for each jump.
_DOUBTFUL = 0.1
# Share of jumps whose direction is against that of the steps around them.
_AGAINST = 0.7


@dataclass(frozen=True)
class WrappedPhases:
    """Jumps of a variable: how many, of what period, and the first of them.

    node, before, after: where the first one is, and the times of the samples around it.
    """

    variable: str
    period: float
    written: str
    count: int
    node: str
    before: float
    after: float


def wrapped_phases(runs: Sequence[Trajectories]) -> list[WrappedPhases]:
    """Variables that jump by a whole period, at most one period each."""
    found = []
    for v, name in enumerate(runs[0].variables):
        values = np.concatenate([run.states[:, :, v].ravel() for run in runs])
        if not np.isfinite(values).any():
            continue
        width = float(np.nanmax(values) - np.nanmin(values))
        for period, written in _PERIODS:
            if _NARROWEST * period <= width <= _WIDEST * period:
                phases = _jumps(runs, v, name, period, written)
                if phases is not None:
                    found.append(phases)
                    break
    return found


def _jumps(
    runs: Sequence[Trajectories], variable: int, name: str, period: float, written: str
) -> WrappedPhases | None:
    count = doubtful = against = judged = 0
    places: list[tuple[int, float, str, float]] = []
    for number, run in enumerate(runs):
        for node, node_name in enumerate(run.node_names):
            course = run.states[:, node, variable]
            seen = np.flatnonzero(np.isfinite(course))
            steps = np.diff(course[seen]) / period
            jumps = np.flatnonzero(np.abs(steps) >= _JUMP)
            count += len(jumps)
            doubtful += int(((np.abs(steps) > _STEP) & (np.abs(steps) < _JUMP)).sum())
            for j in jumps:
                around = [
                    steps[k] for k in (j - 1, j + 1) if 0 <= k < len(steps) and k not in jumps
                ]
                judged += bool(around)
                # A phase goes on in its direction; a state that switches rests before and after.
                against += bool(around) and np.sum(around) * steps[j] < 0
            if len(jumps):
                before, after = run.times[seen[jumps[0] : jumps[0] + 2]]
                places.append((number, float(before), node_name, float(after)))
    if not places or doubtful > _DOUBTFUL * count or against < _AGAINST * judged:
        return None
    _, before, node_name, after = min(places)
    return WrappedPhases(name, period, written, count, node_name, before, after)


def wrapped_sentence(phases: WrappedPhases) -> str:
    """The jumps in words, with the way to undo them."""
    how = "" if phases.written == "2 pi" else f", period={phases.written}"
    turns = "once" if phases.count == 1 else f"{phases.count} times"
    jump = f"{phases.period:.3g} ({phases.written})" if phases.written == "2 pi" else phases.written
    return (
        f"{phases.variable} jumps by {jump} from one sample to the next, {turns}, first in node "
        f"{phases.node!r} between t = {phases.before:g} and {phases.after:g}: these look like angles kept "
        f"within one turn, which no law explains; unwrap them first, numpy.unwrap(states, axis=0{how})."
    )
