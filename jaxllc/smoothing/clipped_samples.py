"""Samples of noisy states that were cut off at a bound, as fractions are at 0 and 1.

Near the bound half of the noise is gone: what is left is no longer centred on the state, and a search
explains the difference by terms that are not there.  A cut sample says "at most this": it is replaced by a
draw of what may have been there, from a normal distribution around the smoothed state, beyond the bound (data
augmentation, Tanner and Wong 1987).  The draws keep the noise of the samples what it was before the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from jaxllc.data.trajectories import Trajectories
from jaxllc.smoothing.smooth import smooth

# Samples on a bound, and their share of all, below which nothing is concluded.
_FEWEST = 10
_SMALLEST_SHARE = 0.01
# Steps on or off the bound for each sample on it: noise goes to and fro, a state that rests there does not.
_FEWEST_STEPS = 0.2
# How far samples beside the bound lie from it, relative to the spread of all: noise, not a jump.
_LARGEST_EXCURSION = 0.5
# Different values among those samples: counts and rounded values have few.
_FEWEST_VALUES = 0.5
_ROUNDS = 6


@dataclass(frozen=True)
class Cut:
    """One bound of a variable at which samples were cut off.

    sign: 1 for the least value, -1 for the greatest; on: per run (time, node), True on the bound;
    scatter: median distance of the samples beside it.
    """

    variable: int
    bound: float
    sign: int
    on: list[np.ndarray]
    scatter: float

    @property
    def count(self) -> int:
        return int(sum(on.sum() for on in self.on))


def cuts(runs: Sequence[Trajectories]) -> list[Cut]:
    """The bounds at which samples were cut off; none in clean data, counts, or states at rest."""
    found = []
    for variable in range(len(runs[0].variables)):
        values = [run.states[..., variable] for run in runs]
        finite = np.concatenate([x[np.isfinite(x)] for x in values])
        if len(finite) == 0:
            continue
        for sign, bound in ((1, finite.min()), (-1, finite.max())):
            cut = _cut(variable, values, float(bound), sign, finite)
            if cut is not None:
                found.append(cut)
    return found


def _cut(
    variable: int, values: Sequence[np.ndarray], bound: float, sign: int, finite: np.ndarray
) -> Cut | None:
    on = [x == bound for x in values]
    count = int(sum(o.sum() for o in on))
    if count < max(_FEWEST, _SMALLEST_SHARE * len(finite)):
        return None
    beside = []
    for x, o in zip(values, on, strict=True):
        for node in range(x.shape[1]):
            seen = np.isfinite(x[:, node])
            course, here = x[seen, node], o[seen, node]
            steps = np.flatnonzero(here[1:] != here[:-1])
            beside.append(course[np.where(here[steps], steps + 1, steps)])
    distances = np.abs(np.concatenate(beside) - bound)
    if len(distances) < max(_FEWEST, _FEWEST_STEPS * count):
        return None
    scatter = float(np.median(distances))
    if scatter > _LARGEST_EXCURSION * np.std(finite):
        return None
    if len(np.unique(distances)) < _FEWEST_VALUES * len(distances):
        return None
    return Cut(variable, bound, sign, on, scatter)


def without_cuts(runs: Sequence[Trajectories], seed: int) -> tuple[list[Trajectories], list[str]]:
    """Runs in which cut samples are draws of what was there, and a sentence on each bound.

    The runs themselves, and no sentence, where nothing was cut off. The draws depend on the seed alone.
    """
    runs = list(runs)
    found = cuts(runs)
    if not found:
        return runs, []
    generator = np.random.default_rng([seed, 0xC1])
    chances = [[np.log(generator.uniform(size=int(on.sum()))) for on in cut.on] for cut in found]
    filled = runs
    for _ in range(_ROUNDS):
        smoothed = smooth(filled)
        states = [run.states.copy() for run in runs]
        for cut, chance in zip(found, chances, strict=True):
            noise = max(float(smoothed.noise[cut.variable]), cut.scatter)
            for r, (on, log_chance) in enumerate(zip(cut.on, chance, strict=True)):
                centre = smoothed.states[r][smoothed.sample_index[r]][..., cut.variable][on]
                # Samples were cut because states cannot be beyond the bound: only their noise was.
                centre = cut.sign * np.maximum(cut.sign * centre, cut.sign * cut.bound)
                # The inverse of the normal distribution function, cut at the bound, far tails included.
                beyond = log_ndtr(cut.sign * (cut.bound - centre) / noise)
                drawn = ndtri_exp(log_chance + beyond)
                states[r][..., cut.variable][on] = centre + cut.sign * noise * drawn
        filled = [replace(run, states=s) for run, s in zip(runs, states, strict=True)]
    return filled, [_sentence(runs, cut) for cut in found]


def _sentence(runs: Sequence[Trajectories], cut: Cut) -> str:
    name = runs[0].variables[cut.variable]
    total = int(sum(np.isfinite(run.states[..., cut.variable]).sum() for run in runs))
    which, what = ("least", "at most") if cut.sign == 1 else ("greatest", "at least")
    return (
        f"{cut.count} of {total} samples of {name} lie exactly on {cut.bound:g}, its {which} value, beside "
        f"samples that scatter by about {cut.scatter:.2g}: noise was cut off there. They were taken as "
        f"{what} {cut.bound:g}; give the samples as they were measured if you have them."
    )
