"""Rates of change of every node at the samples, by local polynomials in time.

Where samples are clean, the polynomial of degree 4 through 5 of them is taken, which is the five-point
stencil; under noise a cubic is fitted to more of them (Savitzky and Golay 1964), and smooths the states too.
The window is the one that best predicts each sample from the others. Steps need not be equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxllc.errors import InputError
from jaxllc.smoothing.smooth import noise_by_differences, smooth

if TYPE_CHECKING:
    from jaxllc.data.trajectories import Trajectories

STENCIL, STENCIL_DEGREE = 5, 4
WINDOWS = (5, 7, 9, 11, 15, 21, 31, 45)
DEGREE = 3
# Noise, relative to the spread of a variable, below which nothing is smoothed.
CLEAN = 1e-3


class Rates(NamedTuple):
    """states, rates: per run (time, node, variable), the states smoothed where they are noisy; known: whether
    the sample was observed; window: (variable,) samples that a polynomial is fitted to; error: (variable,)
    root mean square error of the rates, as far as it can be told."""

    states: list[np.ndarray]
    rates: list[np.ndarray]
    known: list[np.ndarray]
    window: tuple[int, ...]
    error: np.ndarray


class LocalPolynomial(NamedTuple):
    """For each time: the samples of its window, (T, w), and their weights in the value and in the slope."""

    place: np.ndarray
    value: np.ndarray
    slope: np.ndarray

    def states(self, columns: np.ndarray) -> np.ndarray:
        """Smoothed columns (T, M)."""
        return np.einsum("tw,twm->tm", self.value, columns[self.place])

    def rates(self, columns: np.ndarray) -> np.ndarray:
        """Slopes of columns (T, M)."""
        return np.einsum("tw,twm->tm", self.slope, columns[self.place])

    def left_out(self, columns: np.ndarray) -> np.ndarray:
        """What each sample of columns (T, M) differs by from the polynomial fitted without it."""
        own = self.value[self.place == np.arange(len(self.place))[:, None]]
        return (columns - self.states(columns)) / (1.0 - own)[:, None]


def local_polynomial(times: np.ndarray, window: int, degree: int) -> LocalPolynomial:
    """Least-squares polynomials over the `window` samples around each of the times (T,), at that time."""
    first = np.clip(np.arange(len(times)) - window // 2, 0, len(times) - window)
    place = first[:, None] + np.arange(window)
    offset = times[place] - times[:, None]
    width = np.abs(offset).max(axis=1, keepdims=True)
    powers = (offset / width)[..., None] ** np.arange(degree + 1)
    weights = np.linalg.pinv(powers)
    return LocalPolynomial(place, weights[:, 0], weights[:, 1] / width)


def rates_of(runs: Sequence[Trajectories]) -> Rates:
    """States and rates of all runs at their samples.

    Samples that are missing are filled by `fitting.smoothing`, and marked.
    Raises InputError where a node was never observed.
    """
    known = [np.isfinite(run.states) for run in runs]
    samples = [np.asarray(run.states, float) for run in runs]
    if not all(k.all() for k in known):
        samples = _filled(runs, known)
    times = [np.asarray(run.times, float) for run in runs]
    states, rates = [s.copy() for s in samples], [np.empty_like(s) for s in samples]
    window, error = [], []
    for v in range(samples[0].shape[2]):
        found = of_columns(times, [s[..., v] for s in samples])
        for r, (state, rate) in enumerate(zip(found.states, found.rates, strict=True)):
            states[r][..., v], rates[r][..., v] = state, rate
        window.append(found.window)
        error.append(found.error)
    return Rates(states, rates, known, tuple(window), np.array(error))


class ColumnRates(NamedTuple):
    """states, rates: per run (T, M); window: samples that a polynomial is fitted to; error: of the rates."""

    states: list[np.ndarray]
    rates: list[np.ndarray]
    window: int
    error: float


def of_columns(times: Sequence[np.ndarray], columns: Sequence[np.ndarray]) -> ColumnRates:
    """States and rates of one variable: time courses (T, M) without gaps at the times (T,) of each run."""
    spread = float(np.std(np.concatenate([c.ravel() for c in columns])))
    noise = [noise_by_differences(t, c) for t, c in zip(times, columns, strict=True)]
    clean = np.sqrt(np.mean(np.square(noise))) < CLEAN * spread
    size, degree = (STENCIL, STENCIL_DEGREE) if clean else (_window(times, columns), DEGREE)
    states, rates, squares = [], [], []
    for t, c, scatter in zip(times, columns, noise, strict=True):
        local = local_polynomial(t, min(size, len(t)), degree)
        states.append(c if clean else local.states(c))
        rates.append(local.rates(c))
        finer = (
            local_polynomial(t, min(size, len(t)) + 2, degree + 2) if len(t) > size + 1 else local
        )
        bias = finer.rates(c) - rates[-1] if clean else np.zeros(1)
        # Of white noise, and, where there is next to none, of the degree.
        squares.append(np.mean(bias**2) + scatter**2 * np.mean(np.sum(local.slope**2, axis=1)))
    return ColumnRates(states, rates, size, float(np.sqrt(np.mean(squares))))


def _window(times: Sequence[np.ndarray], columns: Sequence[np.ndarray]) -> int:
    shortest = min(len(t) for t in times)
    left = {}
    for size in WINDOWS:
        if size <= shortest:
            rest = [
                local_polynomial(t, size, DEGREE).left_out(c).ravel()
                for t, c in zip(times, columns, strict=True)
            ]
            left[size] = float(np.mean(np.square(np.concatenate(rest))))
    return min(left, key=lambda size: left[size])


def _filled(runs: Sequence[Trajectories], known: Sequence[np.ndarray]) -> list[np.ndarray]:
    for number, (run, seen) in enumerate(zip(runs, known, strict=True)):
        never = np.argwhere(~seen.any(axis=0))
        if len(never):
            node, variable = never[0]
            raise InputError(
                f"{run.variables[variable]} of node {int(node)} was never observed in trajectories {number}; "
                "the preset 'llc' needs samples of every node, and runs on several networks at the same "
                "times: use the default preset"
            )
    smoothed = smooth(runs)
    return [
        np.where(seen, run.states, states[index])
        for run, seen, states, index in zip(
            runs, known, smoothed.states, smoothed.sample_index, strict=True
        )
    ]
