"""Skill of a prediction: what it explains beyond a forecast that knows no law.

    skill = 1 - sum (y - prediction)^2 / sum (y - reference)^2     over all observed samples of a variable

1 is perfect, 0 no better than the reference, and below 0 worse. Two references: "no_change" holds a value
that was seen, the first one of each node in a run (the last one before a forecast), as dx/dt = 0 would;
"constant" is the mean of each node in each run, the best that dx/dt = 0 can do. R2 compares with one mean for
all nodes, so that a law which gets nothing right but the level of each node may have an R2 near 1; its skill
is 0.
Source: Murphy 1988 (skill scores based on the mean squared error).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxllc.data.trajectories import Trajectories

NO_CHANGE, CONSTANT = "no_change", "constant"
Skill = dict[str, dict[str, float]]
# Share of a variable's size below which a reference leaves nothing.
_NOTHING = 1e-12


def skill(
    predicted: Sequence[np.ndarray],
    observed: Sequence[Trajectories],
    before: Sequence[Trajectories] | None = None,
) -> Skill:
    """{variable: {"no_change": skill, "constant": skill}} of predictions (time, node, variable) of each run.

    before: the part of each run that comes before a forecast, from which the references are taken; by default
    they are taken from the observed samples themselves. -inf where a prediction is not finite, nan where a
    reference leaves nothing to be explained.
    """
    known = observed if before is None else before
    held = [(first_seen if before is None else last_seen)(run) for run in known]
    mean = [mean_seen(run) for run in known]
    found: Skill = {}
    for v, name in enumerate(observed[0].variables):
        actual = [run.states[..., v] for run in observed]
        seen = np.concatenate([a[~np.isnan(a)] for a in actual])
        size = float(np.abs(seen).max(initial=0.0)) or 1.0
        left = _left([p[..., v] for p in predicted], actual, size)
        found[name] = {}
        for reference, values in ((NO_CHANGE, held), (CONSTANT, mean)):
            other = _left([h[None, :, v] for h in values], actual, size)
            if not math.isfinite(left):
                found[name][reference] = -math.inf
            elif not math.isfinite(other) or other <= _NOTHING**2 * max(len(seen), 1):
                found[name][reference] = math.nan
            else:
                found[name][reference] = 1.0 - left / other
    return found


def step_skill(predicted: Sequence[np.ndarray], observed: Sequence[Trajectories]) -> Skill:
    """As `skill`, of forecasts from each sample to the next, (time, node, variable), nan where there is none:
    "no_change" holds the last value that was seen before each sample."""
    found: Skill = {}
    for v, name in enumerate(observed[0].variables):
        guesses, actual, held, mean = [], [], [], []
        for run, guess in zip(observed, predicted, strict=True):
            values = np.where(np.isnan(guess[..., v]), np.nan, run.states[..., v])
            values[0] = np.nan
            actual.append(values)
            guesses.append(guess[..., v])
            held.append(_last_before(run.states[..., v]))
            mean.append(np.broadcast_to(mean_seen(run)[None, :, v], values.shape))
        seen = np.concatenate([a[~np.isnan(a)] for a in actual])
        size = float(np.abs(seen).max(initial=0.0)) or 1.0
        left = _left(guesses, actual, size)
        found[name] = {}
        for reference, known in ((NO_CHANGE, held), (CONSTANT, mean)):
            other = _left(known, actual, size)
            nothing = not np.isfinite(other) or other <= _NOTHING**2 * max(len(seen), 1)
            found[name][reference] = math.nan if nothing else 1.0 - left / other
    return found


def _last_before(values: np.ndarray) -> np.ndarray:
    """The last value seen before each time, (time, node); nan where there was none."""
    places = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(places, axis=0)
    filled = np.take_along_axis(values, last, axis=0)
    return np.concatenate([np.full((1, values.shape[1]), np.nan), filled[:-1]])


def _left(guesses: Sequence[np.ndarray], actual: Sequence[np.ndarray], size: float) -> float:
    """Sum of squared errors over what was observed, in units of size**2; infinite if a guess is so."""
    total = 0.0
    for guess, values in zip(guesses, actual, strict=True):
        miss = (np.broadcast_to(guess, values.shape) / size - values / size)[~np.isnan(values)]
        if not np.isfinite(miss).all():
            return math.inf
        total += float(np.sum(np.minimum(np.abs(miss), 1e150) ** 2))
    return total


def first_seen(run: Trajectories) -> np.ndarray:
    """The first observed value of each node and variable (N, d); the mean where none was."""
    return _seen(run, run.observed.argmax(axis=0))


def last_seen(run: Trajectories) -> np.ndarray:
    """The last observed value of each node and variable (N, d); the mean where none was."""
    return _seen(run, run.num_times - 1 - run.observed[::-1].argmax(axis=0))


def mean_seen(run: Trajectories) -> np.ndarray:
    """The mean of what was observed of each node and variable (N, d); that of all nodes where nothing was."""
    count = run.observed.sum(axis=0)
    total = np.where(run.observed, run.states, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), _mean_of_all(run)[None, :])


def _seen(run: Trajectories, index: np.ndarray) -> np.ndarray:
    values = np.take_along_axis(run.states, index[None], axis=0)[0]
    return np.where(np.isnan(values), _mean_of_all(run)[None, :], values)


def _mean_of_all(run: Trajectories) -> np.ndarray:
    """(d,), nan where a variable was not observed at all in this run."""
    count = run.observed.sum(axis=(0, 1))
    total = np.where(run.observed, run.states, 0.0).sum(axis=(0, 1))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def skill_lines(found: Skill) -> list[str]:
    """One line for each variable, to be read beside R2."""
    return [
        f"skill of {name}: {_short(both[NO_CHANGE])} against no change, {_short(both[CONSTANT])} against a "
        f"constant for each node and run"
        for name, both in found.items()
    ]


def _short(value: float) -> str:
    if math.isnan(value):
        return "not defined"
    if value == -math.inf:
        return "none (it diverges)"
    # All but one: what is left shows.
    return f"{value:.6f}" if value > 0.99 else f"{value:.3g}"
