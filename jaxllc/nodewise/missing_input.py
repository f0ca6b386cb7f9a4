"""What acts on a node beside a law: the missing input over time, with its band.

A node's samples less the integral of the law, on smoothed states, are offset + noise + integral of what the
law leaves out, h_i(t): hidden neighbours, edges that are lost, inputs that nobody measured. h_i is a level
and a Gaussian process with a Matern kernel (5/2); its size and length are averaged over, by the likelihood of
the node's samples in all runs (Rasmussen and Williams 2006, chapters 4 and 5). Errors of smoothed states are
no part of its band.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.fit.integral_form import integration_matrix
from jaxllc.nodewise.robust_fit import TAUS
from jaxllc.smoothing.grid_data import GridData

# Lengths of the process in units of a run, and points on which its kernel is integrated, for each sample.
_LENGTHS, _FINE = (0.06, 0.12, 0.25, 0.5), 3
# Variance of the level of a process, in units of its own.
_LEVEL = 1.0
# Half the width of a band of 95 %, in standard deviations.
_WIDE = 1.96


class MissingInput(NamedTuple):
    """Of one run: (node, time) value and half the width of its band of 95 %, nan where a node was not seen
    often enough."""

    value: Float[np.ndarray, "node time"]
    half: Float[np.ndarray, "node time"]


class _Samples(NamedTuple):
    """Nodes of a run that were observed at the same samples, and a process of size one in units of the noise.

    left: (node, mode) samples less the law, rotated; sizes: (mode,) variances of the modes; cross: (time,
    mode) their covariances with the process; own: its variance.
    """

    nodes: np.ndarray
    left: Float[np.ndarray, "node mode"]
    sizes: Float[np.ndarray, " mode"]
    cross: Float[np.ndarray, "time mode"]
    own: float


def missing_input(
    data: GridData, rates: Float[np.ndarray, "node time"], variable: int
) -> list[MissingInput]:
    """The missing input of each node in each run, at the times of the samples.

    rates: of the law, on the smoothed states at all grid times of all runs, one after the other.
    """
    noise = max(
        float(data.noise[variable]), 1e-12 * float(np.abs(data.all_states()[variable]).max())
    )
    nodes = rates.shape[0]
    costs = np.zeros((len(_LENGTHS), nodes, len(TAUS)))
    samples: list[list[list[_Samples]]] = []
    for length_place, length in enumerate(_LENGTHS):
        by_run, start = [], 0
        for run in range(data.num_runs):
            stop = start + len(data.grid_times[run])
            own = _samples_of(data, rates[:, start:stop], variable, run, length, noise)
            for some in own:
                variances = 1.0 + TAUS[:, None] ** 2 * some.sizes
                misfit = some.left**2 @ (1.0 / variances).T
                costs[length_place, some.nodes] += misfit + np.log(variances).sum(axis=1)
            by_run.append(own)
            start = stop
        samples.append(by_run)
    weights = np.exp(-0.5 * (costs - costs.min(axis=(0, 2), keepdims=True)))
    weights /= weights.sum(axis=(0, 2), keepdims=True)
    return [
        _averaged([by_run[run] for by_run in samples], weights, len(data.times[run]), noise)
        for run in range(data.num_runs)
    ]


def _samples_of(
    data: GridData, rates: np.ndarray, variable: int, run: int, length: float, noise: float
) -> list[_Samples]:
    """The samples of a run in the modes of a process of this length."""
    times, grid = data.times[run], data.grid_times[run]
    integral = rates @ integration_matrix(grid, times).T
    left = (data.samples[run][variable] - integral) / noise
    observed: Bool[np.ndarray, "node time"] = data.observed[run][variable]
    observed = observed & np.isfinite(left)
    found = []
    for seen in np.unique(observed, axis=0):
        if seen.sum() < 3:
            continue
        nodes = np.flatnonzero((observed == seen).all(axis=1))
        kernel, integrated = _kernel(times[seen], times, length)
        basis = _beside_offset(int(seen.sum()))
        covariance = basis.T @ integrated @ kernel.among @ integrated.T @ basis
        usual = np.trace(covariance) / len(covariance)
        sizes, vectors = np.linalg.eigh(covariance / usual)
        modes = basis @ vectors
        cross = kernel.across @ integrated.T @ modes / usual
        own, rotated = (1.0 + _LEVEL) / usual, left[nodes][:, seen] @ modes
        found.append(_Samples(nodes, rotated, np.maximum(sizes, 0.0), cross, own))
    return found


class _Kernel(NamedTuple):
    among: Float[np.ndarray, "fine fine"]
    across: Float[np.ndarray, "time fine"]


def _kernel(seen: np.ndarray, times: np.ndarray, length: float) -> tuple[_Kernel, np.ndarray]:
    """The kernel among fine times, and of these with all sample times; what integrates from fine times to the
    samples that were seen."""
    fine = np.unique(np.concatenate([seen, np.linspace(seen[0], seen[-1], _FINE * len(seen))]))
    scale = length * (times[-1] - times[0])
    among, across = (_matern(at[:, None] - fine, scale) for at in (fine, times))
    return _Kernel(_LEVEL + among, _LEVEL + across), integration_matrix(fine, seen)


def _matern(apart: np.ndarray, scale: float) -> np.ndarray:
    """The kernel of a process that is twice differentiable."""
    far = np.sqrt(5.0) * np.abs(apart) / scale
    return (1.0 + far + far**2 / 3.0) * np.exp(-far)


def _beside_offset(count: int) -> Float[np.ndarray, "time mode"]:
    """Orthonormal columns that hold all but what is the same at all times."""
    return np.linalg.qr(np.column_stack([np.ones(count), np.eye(count)[:, :-1]]))[0][:, 1:]


def _averaged(
    by_length: list[list[_Samples]],
    weights: Float[np.ndarray, "length node tau"],
    num_times: int,
    noise: float,
) -> MissingInput:
    """Mean and band of the process, averaged over its lengths and sizes."""
    shape = (weights.shape[1], num_times)
    mean, square, asked = np.zeros(shape), np.zeros(shape), np.zeros(shape[0], dtype=bool)
    for own, weight in zip(by_length, weights, strict=True):
        for some in own:
            asked[some.nodes] = True
            for place, tau in enumerate(TAUS):
                shrunk = tau**2 * some.cross / (1.0 + tau**2 * some.sizes)
                value = some.left @ shrunk.T
                left_open = tau**2 * (some.own - (shrunk * some.cross).sum(axis=1))
                share = weight[some.nodes, place][:, None]
                mean[some.nodes] += share * value
                square[some.nodes] += share * (value**2 + np.maximum(left_open, 0.0))
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    mean[~asked] = spread[~asked] = np.nan
    return MissingInput(noise * mean, noise * _WIDE * spread)
