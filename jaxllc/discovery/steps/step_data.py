"""Data of steps from one sample to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError
from jaxllc.smoothing.grid_data import GridData, on_grids
from jaxllc.transitions.transition_rows import usable_steps

# How far from whole a number of steps may be, and how many missing steps there may be for each sample.
_WHOLE, _MOST_MISSING = 1e-3, 50
# Steps that a node must have made in all.
_FEWEST = 10


def step_of(runs: Sequence[Trajectories]) -> float:
    """The step of a map: the least that two sample times are apart.

    Raises InputError where others are no multiples of it.
    """
    apart = np.concatenate([np.diff(run.times) for run in runs])
    if not len(apart):
        raise InputError("every run has one sample only: a map needs states at two times at least")
    step = float(apart.min())
    for number, run in enumerate(runs):
        counts = (run.times - run.times[0]) / step
        off = np.abs(counts - np.rint(counts)) > _WHOLE
        if off.any():
            k = int(off.argmax())
            raise InputError(
                f'dynamics="map" takes samples at whole steps, but times[{k}] = {run.times[k]:g} of run '
                f"{number} lies {counts[k]:.6g} steps of {step:g} after its first; give the number of each "
                "step as its time, 0, 1, 2 ..."
            )
        if counts[-1] > _MOST_MISSING * run.num_times:
            raise InputError(
                f"run {number} has {run.num_times} samples in {counts[-1]:.0f} steps of {step:g}: a map "
                "needs samples that follow one another; give the number of each step as its time"
            )
    return step


def whole_steps(run: Trajectories, step: float) -> np.ndarray:
    """The number of the step that each sample stands at."""
    return np.rint((run.times - run.times[0]) / step).astype(int)


def by_whole_steps(runs: Sequence[Trajectories], step: float) -> list[Trajectories]:
    """The runs at times 0, 1, 2 ..., with samples that are missing as nan."""
    found = []
    for run in runs:
        places = whole_steps(run, step)
        states = np.full((places[-1] + 1, *run.states.shape[1:]), np.nan)
        states[places] = run.states
        times = np.arange(len(states), dtype=float)
        found.append(replace(run, times=times, states=states, time_unit=""))
    return found


def step_data(runs: Sequence[Trajectories]) -> GridData:
    """Runs whose grid are their samples, with states between samples on straight lines."""
    means = np.nanmean(np.concatenate([run.states for run in runs]), axis=(0, 1))
    states = [_filled(run, means) for run in runs]
    return on_grids(runs, [run.times for run in runs], states, np.zeros(len(means)))


def _filled(run: Trajectories, means: np.ndarray) -> np.ndarray:
    states = np.array(run.states)
    for node, v in zip(*np.nonzero(~run.observed.all(axis=0)), strict=True):
        seen = run.observed[:, node, v]
        known = states[seen, node, v]
        states[:, node, v] = (
            np.interp(run.times, run.times[seen], known) if len(known) else means[v]
        )
    return states


def check_steps(data: GridData, network: Network, is_map: bool) -> None:
    """Raises InputError where hardly any node was observed at two samples in a row."""
    for v, name in enumerate(data.variables):
        total = sum(
            int(usable_steps(data, network, v, run, is_map).sum()) for run in range(data.num_runs)
        )
        if total < _FEWEST:
            raise InputError(
                f"{total} steps of {name} were observed, from one sample of a node to the next one, with "
                f"what acts on it: at least {_FEWEST} are needed; give runs of more samples, in which nodes "
                "are observed at the same times"
            )
