"""Samples too coarse to follow: an unresolved start is left out; no spline leaves its samples' range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxllc.data.trajectories import Trajectories
from jaxllc.smoothing.smooth import SmoothedStates

# Change of a node between two samples, relative to its variable's range, that no smoothing can bridge.
_LARGEST_CHANGE = 0.2
# Share of a run that may be left out at its start, and how much calmer the rest must be.
_LARGEST_SHARE = 0.2
_CALMER = 0.5


def without_unresolved_start(runs: Sequence[Trajectories]) -> tuple[list[Trajectories], list[str]]:
    """Runs without a first part in which states leap from one sample to the next, and sentences that say so.

    A run that leaps all along is left as it is: there the samples, not their start, are too few.
    """
    everything = np.concatenate([r.states.reshape(-1, r.num_variables) for r in runs])
    ranges = np.nanmax(everything, axis=0) - np.nanmin(everything, axis=0)
    kept, notes = [], []
    for number, run in enumerate(runs):
        with np.errstate(invalid="ignore"):
            leaps = np.abs(np.diff(run.states, axis=0)) / np.maximum(ranges, 1e-300)
        worst = np.nan_to_num(leaps).max(axis=(1, 2))
        allowed = min(int(_LARGEST_SHARE * run.num_times), run.num_times - 5)
        skip = 0
        while skip < allowed and worst[skip] > _LARGEST_CHANGE:
            skip += 1
        if skip and worst[skip:].max() < _CALMER * worst[:skip].max():
            kept.append(run.window(start=float(run.times[skip])))
            notes.append(
                f"The first {skip} sample{'s' if skip > 1 else ''} of run {number + 1} were left out: "
                f"states change by up to {worst[:skip].max():.0%} of their range from one sample to the "
                f"next there; sample the start more finely to make use of it."
            )
        else:
            kept.append(run)
    return kept, notes


def refinement(runs: Sequence[Trajectories]) -> int:
    """Grid intervals in a sampling interval that states are smoothed on for a search."""
    longest = max(run.num_times for run in runs)
    return 4 if longest <= 60 else 2 if longest <= 250 else 1


def within_samples(smoothed: SmoothedStates, runs: Sequence[Trajectories]) -> SmoothedStates:
    """Smoothed states kept near the samples around them.

    Between two samples a spline of high degree can swing far beyond both where a node moves faster than it
    is sampled; here it may leave their range by half their distance, and by four times the noise.
    """
    states = []
    for grid, values, run in zip(smoothed.grid_times, smoothed.states, runs, strict=True):
        after = np.clip(np.searchsorted(run.times, grid, side="left"), 1, run.num_times - 1)
        first, second = run.states[after - 1], run.states[after]
        slack = 0.5 * np.abs(second - first) + 4 * smoothed.noise
        low, high = np.minimum(first, second) - slack, np.maximum(first, second) + slack
        known = np.isfinite(low)
        states.append(np.where(known, np.clip(values, low, high), values))
    return replace(smoothed, states=states)
