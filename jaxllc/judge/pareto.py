"""The front of complexity against misfit, with the forecast error of each law on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.fit.trajectory_fit import fit_trajectories
from jaxllc.judge.judge import Judge, Judged
from jaxllc.running.time_limit import current_limit

# The part of every run that a forecast is tested on.
HELD_OUT = 0.2
# Origins of the forecasts where these decide: one alone would leave the choice to chance.
_ORIGINS = (0.5, 0.65, 0.8)
# Ranges of a variable that a law may leave its samples by, run on.
_FARTHEST = 10.0


@dataclass(frozen=True)
class FrontMember:
    """A law on the front.

    chi_squared: per sample, in units of the estimated noise; held_out_error: root mean square
    of forecasts over a fifth of each run by the law fitted to what comes before it, relative to the
    standard deviation; over the last fifth, or, where no law explains the samples, over several; nan where
    there was no time for it.
    """

    judged: Judged
    num_constants: int
    chi_squared: float
    criterion: float
    held_out_error: float


def pareto_front(
    judge: Judge,
    chosen: Judged,
    std: np.ndarray,
    largest: int = 7,
    twins: Callable[[Judged, Judged], bool] | None = None,
) -> list[FrontMember]:
    """Laws that none undercuts in both complexity and misfit, simplest first; always holds the chosen one.

    twins: whether two fitted laws are the same one, which then stands there once.
    """
    ranked = sorted(
        (j for j in judge.seen.values() if np.isfinite(j.criterion)),
        key=lambda j: (j.law.num_constants, judge.merit(j.fit)),
    )
    front: list[Judged] = []
    lowest = np.inf
    for judged in ranked:
        merit = judge.merit(judged.fit)
        if merit < lowest * (1 - 1e-6) or judged is chosen:
            front.append(judged)
            lowest = min(lowest, merit)
    if not any(j is chosen for j in front):
        front.append(chosen)
    if twins is not None:
        front = [j for j in front if j is chosen or not twins(j, chosen)]
    best = sorted(front, key=lambda j: (j is not chosen, j.criterion))[:largest]
    if not explained(judge, chosen):
        # The forecast decides then, and it often favours laws far simpler than the criterion does.
        best += [j for j in front if j not in best][:largest]
    members = []
    origins = (1 - HELD_OUT,) if explained(judge, chosen) else _ORIGINS
    for judged in sorted(best, key=lambda j: j.law.num_constants):
        error = _in_time(judge, judged, std, origins)
        share = judge.merit(judged.fit) / judge.num_samples
        members.append(
            FrontMember(judged, judged.law.num_constants, share, judged.criterion, error)
        )
    return members


def explained(judge: Judge, judged: Judged) -> bool:
    """Whether a law leaves no more than the noise (or the floor)."""
    return judge.at_floor(judged) or judge.merit(judged.fit) < 1.5 * judge.num_samples


def choice(judge: Judge, chosen: Judged, front: list[FrontMember], slack: float = 0.0) -> Judged:
    """The law of the front to report.

    slack: what the criterion may give away for a shorter law, where it is too sure of itself.

    The likelihood decides where a law explains the samples up to their noise.  Where none does, its residuals
    are not independent and the criterion trusts them too much: there the forecast decides, the simpler law
    where it is about as good.
    """
    if explained(judge, chosen):
        near = [m for m in front if m.criterion <= chosen.criterion + slack]
        return min(near, key=lambda m: (m.num_constants, m.criterion)).judged if slack else chosen
    known = [m for m in front if np.isfinite(m.held_out_error)]
    # One that leaves all bounds right after the samples forecasts nothing, however it did within them.
    lasting = [m for m in known if lasts(judge, m.judged)] or known
    if not lasting:
        return chosen
    best = min(m.held_out_error for m in lasting)
    good = [m for m in lasting if m.held_out_error <= 1.05 * best]
    return min(good, key=lambda m: m.num_constants).judged


def lasts(judge: Judge, judged: Judged) -> bool:
    """Whether a law run on from the end of each run, for a fifth of it, stays within ten of its ranges."""
    problem = judge.problem
    states = judged.fit.states.reshape(problem.samples.shape)
    with np.errstate(all="ignore"):
        low = states.min(axis=(1, 2, 3), keepdims=True)
        high = states.max(axis=(1, 2, 3), keepdims=True)
        ahead = problem.ahead(judged.law, states[..., -1], HELD_OUT)
        room = _FARTHEST * (high - low)
        return bool(np.all((ahead >= low - room) & (ahead <= high + room)))


def _in_time(judge: Judge, judged: Judged, std: np.ndarray, origins: Sequence[float]) -> float:
    """`held_out_error`, or nan where the time of the search is over, but for what its last fit needs."""
    limit = current_limit()
    if judge.deadline < time.perf_counter() or (limit is not None and limit.over(limit.last)):
        return float("nan")
    return held_out_error(judge, judged, std, origins)


def held_out_error(
    judge: Judge, judged: Judged, std: np.ndarray, origins: Sequence[float] = (1 - HELD_OUT,)
) -> float:
    """Root mean square forecast error of a law, over the fifth of every run after each origin.

    origins: shares of a run that the law is fitted to; several of them make a rolling-origin evaluation.
    """
    errors = [_forecast_error(judge, judged, std, origin) for origin in origins]
    return float(np.sqrt(np.mean(np.square(errors))))


def _forecast_error(judge: Judge, judged: Judged, std: np.ndarray, origin: float) -> float:
    problem = judge.problem
    early, late = problem.mask.copy(), problem.mask.copy()
    for r in range(problem.num_runs):
        sampled = np.flatnonzero(problem.mask[:, :, r].any(axis=(0, 1)))
        first = int(np.ceil(origin * len(sampled)))
        last = int(np.ceil((origin + HELD_OUT) * len(sampled) - 1e-9))
        if first >= len(sampled) or len(sampled) < 5:
            late[:, :, r] = 0.0
            continue
        early[:, :, r, sampled[first] :] = 0.0
        late[:, :, r, : sampled[first]] = 0.0
        if last < len(sampled):
            late[:, :, r, sampled[last] :] = 0.0
    if not late.any() or not early.any():
        return float("nan")
    known = problem.with_mask(early)
    fit = fit_trajectories(known, judged.law, judged.fit.states, iterations=3)
    # A law that diverges beyond the fitted part has no finite forecast.
    with np.errstate(all="ignore"):
        rest = (problem.samples - fit.states.reshape(problem.samples.shape)) * late
        error = np.sqrt((rest**2).sum(axis=(1, 2, 3)) / np.maximum(late.sum(axis=(1, 2, 3)), 1))
        relative = float(np.sqrt(np.mean((error / std) ** 2)))
    return relative if np.isfinite(relative) else float("inf")
