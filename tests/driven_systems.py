"""Networks that inputs drive, integrated by scipy from bend to bend."""

import itertools

import numpy as np
from scipy.integrate import solve_ivp

from jaxllc import Trajectories


def integrated(rate, initial, times, bends=()):
    """States (time, node) of dx/dt = rate(t, x); rate may bend or jump at some times."""
    ends = np.unique([*times, *(b for b in bends if times[0] < b < times[-1])])
    state, found = np.asarray(initial, float), [np.asarray(initial, float)]
    for start, stop in itertools.pairwise(ends):
        last = np.nextafter(stop, start)

        def before(t, x, last=last):
            return rate(min(t, last), x)

        state = solve_ivp(before, (start, stop), state, rtol=1e-10, atol=1e-12).y[:, -1]
        if np.isclose(times, stop).any():
            found.append(state)
    return np.array(found)


def driven_runs(network, drive, times, runs=2, bends=(), db=None):
    """Runs of dx/dt = -x + .8 drive(t) + .06 sum_j A_ij x_j."""
    A = network.to_adjacency()
    found = []
    for run in range(runs):
        initial = np.random.default_rng(run).uniform(0, 1, network.num_nodes)

        def rate(t, x):
            return -x + 0.8 * drive(t) + 0.06 * (A @ x)

        data = Trajectories(times, integrated(rate, initial, times, bends))
        found.append(data if db is None else data.with_noise(db, run))
    return found
