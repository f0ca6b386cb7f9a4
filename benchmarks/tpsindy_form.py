"""TPSINDy's form for real epidemics, refitted: a x_i + b sum_j A_ij / (1 + exp(-s (x_j - x_i))).

Least squares through the trajectory, over a, b and the initial state of every node; s is given: 1 per case as
published, or 1 per unit of the state. Fixed-step Runge-Kutta; the Jacobian by finite differences, all of them
in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.special import expit

STEPS_PER_UNIT = 2
# Starts: a times the duration, b over the largest state.
RATES = np.linspace(-5.0, 5.0, 21)
COUPLINGS = np.geomspace(1e-5, 1.0, 11)
LARGEST = 1e6  # times the largest observed state: what grows beyond is held there


@dataclass(frozen=True, eq=False)
class RefittedForm:
    """a, b, the slope s that was given, and the root mean square misfit of the fitted part."""

    a: float
    b: float
    slope: float
    misfit: float
    network: Any

    def simulate(self, initial_state: np.ndarray, times: np.ndarray) -> np.ndarray:
        """States (T, N) from initial_state (N,) at times[0]."""
        parameters = np.array([[self.a, self.b]])
        return _integrate(parameters, initial_state[None], times, self.network, self.slope)[:, 0]

    def __str__(self) -> str:
        slope = "" if self.slope == 1 else f"{self.slope:g}*"
        return (
            f"dx_i/dt = {self.a:.4g}*x_i + sum_j A_ij {self.b:.4g}/(1 + exp(-{slope}(x_j - x_i)))"
        )


def refit(run: Any, network: Any, initial_state: np.ndarray, slope: float) -> RefittedForm:
    """Fit to one run of one variable, unobserved entries left out."""
    from scipy.optimize import least_squares

    states, seen = run.states[:, :, 0], run.observed[:, :, 0]
    scale = float(np.nanmax(np.abs(states)))

    def simulated(thetas: np.ndarray) -> np.ndarray:
        found = _integrate(thetas[:, :2], thetas[:, 2:], run.times, network, slope)
        return np.clip(found, -LARGEST * scale, LARGEST * scale).transpose(1, 0, 2)

    def misfit(theta: np.ndarray) -> np.ndarray:
        return (simulated(theta[None])[0] - states)[seen]

    def jacobian(theta: np.ndarray) -> np.ndarray:
        step = 1e-6 * np.maximum(np.abs(theta), 1e-2)
        moved = simulated(np.vstack([theta[None], theta[None] + np.diag(step)]))
        return ((moved[1:] - moved[:1]) / step[:, None, None])[:, seen].T

    # A steep sigmoid gives the misfit steps, so the start comes from a grid over a and b.
    rates = RATES / (run.times[-1] - run.times[0])
    couplings = np.concatenate([-scale * COUPLINGS, [0.0], scale * COUPLINGS])
    grid = np.array([[a, b, *initial_state] for a in rates for b in couplings])
    squares = [np.sum((found - states)[seen] ** 2) for found in simulated(grid)]
    start = grid[int(np.argmin(squares))]
    best = least_squares(misfit, start, jac=jacobian, x_scale="jac", max_nfev=60)
    theta = best.x if best.cost <= 0.5 * min(squares) else start
    rms = float(np.sqrt(np.mean(misfit(theta) ** 2)))
    return RefittedForm(float(theta[0]), float(theta[1]), slope, rms, network)


def _integrate(
    parameters: np.ndarray, initial: np.ndarray, times: np.ndarray, network: Any, slope: float
) -> np.ndarray:
    """States (T, P, N) of P members with parameters (P, 2) from initial states (P, N)."""
    a, b = parameters[:, :1], parameters[:, 1:]
    # A row for each receiver: it adds up the messages of its edges.
    edges = np.arange(len(network.senders))
    gather = sparse.csr_array(
        (network.weights, (network.receivers, edges)), shape=(network.num_nodes, len(edges))
    )

    def slopes(state: np.ndarray) -> np.ndarray:
        messages = expit(slope * (state[:, network.senders] - state[:, network.receivers]))
        return a * state + b * (gather @ messages.T).T

    states, state = [initial], initial
    with np.errstate(all="ignore"):
        for start, stop in pairwise(times):
            number = max(1, round(STEPS_PER_UNIT * (stop - start)))
            h = (stop - start) / number
            for _ in range(number):
                k1 = slopes(state)
                k2 = slopes(state + 0.5 * h * k1)
                k3 = slopes(state + 0.5 * h * k2)
                k4 = slopes(state + h * k3)
                state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            states.append(state)
    return np.nan_to_num(np.stack(states), nan=np.inf, posinf=np.inf, neginf=-np.inf)
