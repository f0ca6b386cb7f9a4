"""The likelihood of samples under a law with process and measurement noise: a filter of each node's state.

An extended Kalman filter in which the errors of two nodes are independent: what a sender's error brings into
a node counts as variance there, but is not remembered as a correlation. The mean state is carried along the
coupled law. So a step costs no more than a step of the law, and each node of a run has a likelihood of its
own.
Source: Sarkka, Bayesian Filtering and Smoothing (2013), chapter 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.smoothing.grid_data import GridData
from jaxllc.transitions.batched_law import BatchedLaw

# Variance of a state that was not observed yet, over that of all states.
_UNKNOWN = 1.0


class Segments(NamedTuple):
    """Samples in pieces of about one length, which the filter takes side by side.

    samples: (variable, node, piece, time), filled in where they were not observed; steps: durations, zero
    after the end of a piece; runs, starts, lengths: run of each piece, the place of its first sample there,
    and its steps; held: nodes that are given, not explained; spread: standard deviation of all samples.
    """

    samples: np.ndarray
    observed: Bool[np.ndarray, "variable node piece time"]
    steps: Float[np.ndarray, "piece step"]
    runs: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    held: Bool[np.ndarray, " node"]
    spread: Float[np.ndarray, " variable"]


def segments(
    data: GridData, longest: int, held: Sequence[int] = (), unit: bool = False
) -> Segments:
    """The runs in pieces of no more than `longest` steps; a piece ends with the sample that the next one
    begins with. unit: steps of the duration one, as of maps; a missing sample stands in its place."""
    pieces = []
    for run, times in enumerate(data.times):
        count = len(times) - 1
        parts = max(1, -(-count // longest))
        ends = np.linspace(0, count, parts + 1).round().astype(int)
        pieces += [(run, a, b) for a, b in pairwise(ends.tolist()) if b > a]
    most = max(b - a for _, a, b in pieces) + 1
    count, nodes = len(data.variables), data.samples[0].shape[1]
    samples = np.zeros((count, nodes, len(pieces), most))
    observed = np.zeros(samples.shape, dtype=bool)
    steps = np.zeros((len(pieces), most - 1))
    for n, (run, a, b) in enumerate(pieces):
        samples[:, :, n, : b - a + 1] = data.states[run][:, :, a : b + 1]
        observed[:, :, n, : b - a + 1] = data.observed[run][:, :, a : b + 1]
        durations = np.diff(data.times[run][a : b + 1])
        steps[n, : b - a] = 1.0 if unit else durations
    away = np.zeros(nodes, dtype=bool)
    away[list(held)] = True
    return Segments(
        samples,
        observed,
        steps,
        np.array([p[0] for p in pieces]),
        np.array([p[1] for p in pieces]),
        np.array([p[2] - p[1] for p in pieces]),
        away,
        data.all_states().std(axis=(1, 2)),
    )


class Filtered(NamedTuple):
    """What the filter says, (time, variable, node, member); members are sets of constants times pieces.

    errors: samples minus what was expected of them, zero where there was none; variances: of these;
    expected: the states before a sample; means: the states after it.
    """

    errors: np.ndarray
    variances: np.ndarray
    expected: np.ndarray
    means: np.ndarray


def filtered(
    law: BatchedLaw,
    data: Segments,
    constants: Float[np.ndarray, "member constant"],
    measurement: Float[np.ndarray, "member variable"],
    process: Float[np.ndarray, "member variable"],
    substeps: int,
    is_map: bool = False,
) -> Filtered:
    """Runs the filter for several sets of constants and of the variances sigma^2 and q^2."""
    count, nodes, pieces, times = data.samples.shape
    sets = len(constants)
    values = np.repeat(constants.T, pieces, axis=1)
    noise, drive = (np.repeat(v.T, pieces, axis=1) for v in (measurement, process))
    steps = np.tile(data.steps.T, (1, sets))
    state = np.tile(data.samples[..., 0], (1, 1, sets))
    covariance = np.zeros((count, count, nodes, sets * pieces))
    # The first sample is where a piece begins: its error is that of the state.
    for v in range(count):
        seen = np.tile(data.observed[v, :, :, 0], (1, sets))
        covariance[v, v] = np.where(seen, noise[v], _UNKNOWN * data.spread[v] ** 2 + noise[v])
    shape = (times, count, nodes, sets * pieces)
    errors, variances = np.zeros(shape), np.ones(shape)
    expected, means = np.zeros(shape), np.zeros(shape)
    expected[0] = means[0] = state
    held = data.held
    for t in range(1, times):
        step = steps[t - 1]
        with np.errstate(all="ignore"):
            if is_map:
                state, covariance = _mapped(law, state, covariance, values, drive, step)
            else:
                state, covariance = _carried(law, state, covariance, values, drive, step, substeps)
        if held.any():
            # Nodes that are given go wherever their samples are.
            for v in range(count):
                covariance[v, v][held] = data.spread[v] ** 2
        expected[t] = state
        for v in range(count):
            seen = np.tile(data.observed[v, :, :, t], (1, sets))
            error = np.where(seen, np.tile(data.samples[v, :, :, t], (1, sets)) - state[v], 0.0)
            variance = np.where(seen, covariance[v, v] + noise[v], 1.0)
            errors[t, v], variances[t, v] = error, variance
            gain = np.where(seen, covariance[:, v] / variance, 0.0)
            state = state + gain * error
            covariance = covariance - gain[:, None] * covariance[v][None]
        state[:, held] = np.tile(data.samples[..., t][:, held], (1, 1, sets))
        means[t] = state
    return Filtered(errors, variances, expected, means)


def _carried(law, state, covariance, values, drive, step, substeps):
    """Mean and covariance over a step of a flow, by Runge-Kutta steps of fourth order."""
    part = step / substeps
    for _ in range(substeps):
        first = law.at(state, values).rates()
        middle = law.at(state + 0.5 * part * first, values)
        second = middle.rates()
        third = law.at(state + 0.5 * part * second, values).rates()
        last = law.at(state + part * third, values).rates()
        jacobian = middle.own_jacobian() * part
        through = middle.from_senders(covariance) * part**2
        covariance = _moved(covariance, jacobian) + through + _driven(drive * part, jacobian)
        state = state + part / 6.0 * (first + 2.0 * second + 2.0 * third + last)
    return state, covariance


def _mapped(law, state, covariance, values, drive, step):
    """Mean and covariance over a step of a map; states stay where a piece has ended."""
    at = law.at(state, values)
    jacobian = at.own_jacobian()
    moved = np.einsum("abnm,bcnm,dcnm->adnm", jacobian, covariance, jacobian)
    moved = moved + at.from_senders(covariance)
    for v in range(len(state)):
        moved[v, v] += drive[v]
    going = step > 0
    return np.where(going, at.rates(), state), np.where(going, moved, covariance)


def _moved(covariance, jacobian):
    """F P F^T with F the exponential of the Jacobian to second order."""
    if len(covariance) == 1:
        factor = 1.0 + jacobian + 0.5 * jacobian**2
        return covariance * factor**2
    squared = np.einsum("abnm,bcnm->acnm", jacobian, jacobian)
    factor = jacobian + 0.5 * squared
    for v in range(len(covariance)):
        factor[v, v] += 1.0
    left = np.einsum("abnm,bcnm->acnm", factor, covariance)
    return np.einsum("abnm,cbnm->acnm", left, factor)


def _driven(variance, jacobian):
    """Process noise over a substep, to second order: the integral of exp(J s) Q exp(J s)^T."""
    result = np.zeros_like(jacobian)
    for v in range(len(jacobian)):
        result[v, v] = variance[v]
        for a in range(len(jacobian)):
            result[a, v] += 0.5 * jacobian[a, v] * variance[v]
            result[v, a] += 0.5 * jacobian[a, v] * variance[v]
    return result
