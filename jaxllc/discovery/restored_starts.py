"""Samples that were left out because no smoothing bridges them, taken back where a law explains them.

A start in which states leap from one sample to the next misleads the smoothing and with it the first search.
A law that was found without it can be followed through it, and there it is told from others best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxllc.data.trajectories import Trajectories
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.pareto import explained
from jaxllc.smoothing.grid_data import on_grids
from jaxllc.smoothing.smooth import refine_times

# Units of the criterion up to which other laws are fitted to all samples too, and how many of them at most.
_NEAR, _MOST = 12.0, 8
_ITERATIONS = 20


def with_starts(
    judge: Judge, best: Judged, runs: Sequence[Trajectories]
) -> tuple[Judge, Judged] | None:
    """A judge of whole runs and the best law in it; None where that does not explain their starts.

    judge: of the runs without their starts.
    """
    problem = _whole(judge.problem, best, runs).with_substeps_for(best.law)
    whole = replace(judge, problem=problem, seen={}, _restarted={})
    first = whole.fitted(best.law, problem.smoothed, iterations=_ITERATIONS)
    if not explained(whole, first):
        return None
    near = judge.near(best, _NEAR, _MOST)
    found = [first, *(whole.fitted(j.law, first.fit.states) for j in near)]
    return whole, min(found, key=lambda j: j.criterion)


def _whole(
    kept: TrajectoryProblem, best: Judged, runs: Sequence[Trajectories]
) -> TrajectoryProblem:
    """The problem of whole runs, with the fitted states where there are some, and the samples before them."""
    fitted = best.fit.states.reshape(kept.samples.shape)
    grids, states = [], []
    for r, run in enumerate(runs):
        steps = kept.steps[r]
        length = 1 + int(np.count_nonzero(steps))
        skipped = run.num_times - len(kept.sample_index[r])
        end = run.times[skipped] + np.concatenate([[0.0], np.cumsum(steps[: length - 1])])
        parts = int(kept.sample_index[r][1] - kept.sample_index[r][0])
        start = refine_times(run.times[: skipped + 1], parts)
        after = fitted[:, :, r, :length].transpose(2, 1, 0)
        samples = np.concatenate([run.states[:skipped], after[:1]])
        before = np.empty((len(start), *samples.shape[1:]))
        for node in range(samples.shape[1]):
            for v in range(samples.shape[2]):
                seen = np.isfinite(samples[:, node, v])
                before[:, node, v] = np.interp(
                    start, run.times[: skipped + 1][seen], samples[seen, node, v]
                )
        grids.append(np.concatenate([start[:-1], end]))
        states.append(np.concatenate([before[:-1], after]))
    data = on_grids(runs, grids, states, kept.noise)
    return TrajectoryProblem.of(data, kept.network, kept.noise, kept.substeps, held=kept.held)
