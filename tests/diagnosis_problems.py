"""Simulated networks for the tests of diagnosis, by Runge-Kutta in NumPy: nothing is compiled."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories

NODES = 16
TIMES = np.linspace(0.0, 6.0, 61)


def directed(seed: int = 0, share: float = 0.15) -> Network:
    """A random directed network in which no edge has its reverse."""
    rng = np.random.default_rng(seed)
    joined = np.triu(rng.random((NODES, NODES)) < 2 * share, 1)
    turned = rng.random((NODES, NODES)) < 0.5
    A = np.where(turned, joined, 0) + np.where(turned, 0, joined).T
    return Network.from_adjacency(A)


def simulated(
    rate: Callable[[float, np.ndarray, np.ndarray], np.ndarray],
    network: Network,
    low: float = 0.0,
    high: float = 1.0,
    seed: int = 0,
    times: np.ndarray = TIMES,
    noise: float = 0.0,
) -> Trajectories:
    """dx/dt = rate(t, x, A) from random states between low and high, with white noise of size `noise`."""
    rng = np.random.default_rng(seed)
    A = network.to_adjacency().toarray()
    x = rng.uniform(low, high, network.num_nodes)
    states = [x]
    for start, stop in pairwise(times):
        step = (stop - start) / 10
        for t in start + step * np.arange(10):
            k1 = rate(t, x, A)
            k2 = rate(t + step / 2, x + step / 2 * k1, A)
            k3 = rate(t + step / 2, x + step / 2 * k2, A)
            k4 = rate(t + step, x + step * k3, A)
            x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        states.append(x)
    samples = np.array(states)
    return Trajectories(times, samples + noise * rng.standard_normal(samples.shape))


def epidemic(t, x, A):
    return -0.5 * x + 0.6 * (1 - x) * (A @ x)


def gene(t, x, A):
    return -x + A @ (x**2 / (1 + x**2))


def tanh_rates(t, x, A):
    return -x + np.tanh(2 * (A @ x) - 1)


def phases(t, x, A):
    return 1.0 + 0.6 * (A * np.sin(x[None, :] - x[:, None])).sum(axis=1)


LAWS = {"epidemic": epidemic, "gene": gene, "tanh": tanh_rates, "phases": phases}
