"""Rates of change at the samples, which nets are fitted to in place of integrals where the data are clean."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxllc.neural.neural_rows import clear_share
from jaxllc.smoothing.local_polynomials import local_polynomial

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.smoothing.grid_data import GridData

# Noise, relative to the spread of a variable, below which rates are as good as integrals.
CLEAN = 3e-4
# Share of clean samples without holes around them from which rates say more than integrals.
CLEAR = 0.3
_STENCILS = (5, 7, 9)


class SampleRates(NamedTuple):
    """What nets are fitted to in place of integrals.

    data: on the grid of its samples alone. rates: of each run, (variable, node, sample). error: (variable,)
    root mean square error of the rates.
    """

    data: GridData
    rates: list[np.ndarray]
    error: np.ndarray


def rates_serve(data: GridData, network: Network) -> bool:
    """Whether rates of the samples are as good as integrals: clean, and with few holes."""
    clean = bool(np.all(data.noise < CLEAN * data.all_states().std(axis=(1, 2))))
    return clean and clear_share(data, network) > CLEAR


def rates_at_samples(data: GridData) -> SampleRates:
    """Rates of clean data at their samples.

    Rates are those of polynomials through 5, 7 or 9 samples; two of them that agree are nearest to the truth.
    """
    filled = [
        np.where(seen, samples, states[..., where])
        for seen, samples, states, where in zip(
            data.observed, data.samples, data.states, data.sample_index, strict=True
        )
    ]
    rates, error = [np.empty_like(f) for f in filled], np.empty(data.num_variables)
    ends = np.cumsum([len(times) for times in data.times])
    for v in range(data.num_variables):
        orders = [
            np.concatenate(
                [_rates_through(c, t, f[v].T) for t, f in zip(data.times, filled, strict=True)]
            )
            for c in _STENCILS
        ]
        apart = [np.sqrt(np.mean((a - b) ** 2)) for a, b in itertools.pairwise(orders)]
        best = int(np.argmin(apart))
        error[v] = apart[best]
        for run, rate in zip(rates, np.split(orders[best + 1], ends[:-1]), strict=True):
            run[v] = rate.T
    places = tuple(np.arange(len(times)) for times in data.times)
    at = replace(data, grid_times=data.times, states=tuple(filled), sample_index=places)
    return SampleRates(at, rates, error)


def _rates_through(count: int, times: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Rates (T, M) of columns by polynomials through so many samples, or all where there are fewer."""
    count = min(count, len(times))
    return local_polynomial(times, count, count - 1).rates(columns)
