"""The usual models of real data, fitted by ridge regression: generalised Lotka-Volterra, and linear steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

PENALTIES = np.geomspace(1e-4, 1e4, 17)
LARGEST_LOG = 4.0  # ln abundance beyond which no mouse is: what grows on is held there


def ridge(columns: np.ndarray, target: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Coefficients (P, K) of centred ridge regression, intercept first; target (R, K), columns (R, P - 1).

    Columns are scaled by their spread; the penalty, one for each target, is that with the smallest error on
    groups (R,) held out one by one.
    """
    errors = np.zeros((len(PENALTIES), target.shape[1]))
    for group in np.unique(groups):
        inside = groups != group
        for k, penalty in enumerate(PENALTIES):
            found = _ridge(columns[inside], target[inside], np.full(target.shape[1], penalty))
            errors[k] += np.sum((target[~inside] - found[0] - columns[~inside] @ found[1:]) ** 2, 0)
    return _ridge(columns, target, PENALTIES[np.argmin(errors, axis=0)])


def _ridge(columns: np.ndarray, target: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    centre, mean = columns.mean(axis=0), target.mean(axis=0)
    spread = columns.std(axis=0)
    spread[spread == 0] = 1.0
    scaled = (columns - centre) / spread
    left, values, right = np.linalg.svd(scaled, full_matrices=False)
    filtered = values[:, None] / (values[:, None] ** 2 + penalties)
    found = (right.T @ (filtered * (left.T @ (target - mean)))) / spread[:, None]
    return np.vstack([mean - centre @ found, found])


def lotka_volterra(runs: Sequence[Any], drugs: Sequence[Any]) -> Callable[[Any], Any]:
    """Generalised Lotka-Volterra of ln abundances, d ln x_i / dt = r_i + sum_j a_ij x_j + e_i u, by ridge.

    Rates are differences between samples, abundances and the drug means of an interval, as Stein and others
    (2013) have it. Returns simulator_of(drug), of a mouse with that drug.
    """
    rates, columns, groups = [], [], []
    for number, (run, drug) in enumerate(zip(runs, drugs, strict=True)):
        logs, times = run.states[:, :, 0], run.times
        amounts = np.exp(logs)
        rates.append(np.diff(logs, axis=0) / np.diff(times)[:, None])
        given = [_mean_of(drug, a, b) for a, b in pairwise(times)]
        columns.append(np.column_stack([(amounts[1:] + amounts[:-1]) / 2, given]))
        groups.append(np.full(len(given), number))
    found = ridge(np.concatenate(columns), np.concatenate(rates), np.concatenate(groups))
    growth, pairs, effect = found[0], found[1:-1].T, found[-1]

    def simulator_of(drug: Any) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        def slopes(t: float, logs: np.ndarray) -> np.ndarray:
            held = logs > LARGEST_LOG  # no growth there
            rate = growth + pairs @ np.exp(np.minimum(logs, LARGEST_LOG)) + effect * _at(drug, t)
            return np.where(held, np.minimum(rate, 0.0), rate)

        def simulate(state: np.ndarray, times: np.ndarray) -> np.ndarray:
            solved = solve_ivp(
                slopes, (times[0], times[-1]), state, t_eval=times, method="LSODA", max_step=0.5
            )
            found = np.full((len(times), len(state)), np.nan)
            found[: solved.y.shape[1]] = solved.y.T
            return found

        return simulate

    return simulator_of


def _at(drug: Any, t: float) -> float:
    times, values = drug
    return float(values[0]) if t < times[1] else float(values[-1])


def _mean_of(drug: Any, start: float, stop: float) -> float:
    """Mean of the drug between two times: a first value up to times[1], the last one after it."""
    times, values = drug
    share = max(0.0, min(stop, times[1]) - start) / (stop - start)
    return share * float(values[0]) + (1 - share) * float(values[-1])


def linear_steps(
    run: Any, drivers: Callable[[np.ndarray, np.ndarray], np.ndarray], blocks: int = 5
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """x_i(k+1) - x_i(k) by ridge on drivers(state (N,), time) -> (N, P), coefficients of each node its own.

    Steps are those between samples that follow each other; a forecast takes one for each unit of time.
    """
    states = run.states[:, :, 0]
    rows = np.array([drivers(x, t) for x, t in zip(states[:-1], run.times[:-1], strict=True)])
    steps = np.diff(states, axis=0) / np.diff(run.times)[:, None]
    groups = np.arange(len(steps)) * blocks // len(steps)
    found = np.array(
        [ridge(rows[:, n], steps[:, [n]], groups)[:, 0] for n in range(states.shape[1])]
    )

    def simulate(state: np.ndarray, times: np.ndarray) -> np.ndarray:
        course = [np.asarray(state, float)]
        for start, stop in pairwise(times):
            now, step = course[-1], stop - start
            rate = found[:, 0] + np.einsum("np,np->n", drivers(now, start), found[:, 1:])
            course.append(now + step * rate)
        return np.array(course)

    return simulate
