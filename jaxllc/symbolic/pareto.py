"""The front of complexity against misfit, with the forecast error of each law on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxllc.fitting.trajectory_fit import fit_trajectories
from jaxllc.symbolic.judge import Judge, Judged

# The last part of every run that the forecast is tested on.
HELD_OUT = 0.2


@dataclass(frozen=True)
class FrontMember:
    """A law on the front.

    chi_squared: per sample, in units of the estimated noise; held_out_error: root mean square of the
    forecast over the last fifth of each run when the law is fitted to the first four fifths, relative to
    the standard deviation.
    """

    judged: Judged
    num_constants: int
    chi_squared: float
    criterion: float
    held_out_error: float


def pareto_front(
    judge: Judge, chosen: Judged, std: np.ndarray, largest: int = 7
) -> list[FrontMember]:
    """Laws that none undercuts in both complexity and misfit, simplest first; always holds the chosen one."""
    ranked = sorted(
        (j for j in judge.seen.values() if j.fit.finite),
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
    best = sorted(front, key=lambda j: (j is not chosen, j.criterion))[:largest]
    if not explained(judge, chosen):
        # The forecast decides then, and it often favours laws far simpler than the criterion does.
        best += [j for j in front if j not in best][:largest]
    members = []
    for judged in sorted(best, key=lambda j: j.law.num_constants):
        skipped = judge.late and judged is not chosen and explained(judge, chosen)
        error = float("nan") if skipped else held_out_error(judge, judged, std)
        share = judge.merit(judged.fit) / judge.num_samples
        members.append(
            FrontMember(judged, judged.law.num_constants, share, judged.criterion, error)
        )
    return members


def explained(judge: Judge, judged: Judged) -> bool:
    """Whether a law leaves no more than the noise (or the floor)."""
    return judge.at_floor(judged) or judge.merit(judged.fit) < 1.5 * judge.num_samples


def choice(judge: Judge, chosen: Judged, front: list[FrontMember]) -> Judged:
    """The law of the front to report.

    The likelihood decides where a law explains the samples up to their noise.  Where none does, its residuals
    are not independent and the criterion trusts them too much: there the forecast decides, the simpler law
    where it is about as good.
    """
    if explained(judge, chosen):
        return chosen
    errors = [m.held_out_error for m in front if np.isfinite(m.held_out_error)]
    if not errors:
        return chosen
    good = [m for m in front if m.held_out_error <= 1.05 * min(errors)]
    return min(good, key=lambda m: m.num_constants).judged


def held_out_error(judge: Judge, judged: Judged, std: np.ndarray) -> float:
    """Forecast error over the last part of every run of a law fitted to what comes before."""
    problem = judge.problem
    mask = problem.mask
    early = mask.copy()
    for r in range(problem.num_runs):
        sampled = np.flatnonzero(mask[:, :, r].any(axis=(0, 1)))
        cut = (
            sampled[int(np.ceil((1 - HELD_OUT) * len(sampled)))]
            if len(sampled) > 4
            else len(sampled)
        )
        early[:, :, r, cut:] = 0.0
    late = mask - early
    if not late.any() or not early.any():
        return float("nan")
    with problem.masked(early):
        fit = fit_trajectories(problem, judged.law, judged.fit.states, iterations=3)
    # A law that diverges beyond the fitted part has no finite forecast.
    with np.errstate(all="ignore"):
        rest = (problem.samples - fit.states.reshape(problem.samples.shape)) * late
        error = np.sqrt((rest**2).sum(axis=(1, 2, 3)) / np.maximum(late.sum(axis=(1, 2, 3)), 1))
        relative = float(np.sqrt(np.mean((error / std) ** 2)))
    return relative if np.isfinite(relative) else float("inf")
