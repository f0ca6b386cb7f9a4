"""Data and helpers that the tests of what a user knows beforehand share."""

import numpy as np

from jaxllc import generators
from jaxllc.data.trajectories import Trajectories
from jaxllc.knowledge.known_terms import known_families
from tests.fit_problems import solved

NUM_NODES = 20


def small_network():
    return generators.barabasi_albert(NUM_NODES, 2, seed=1)


def runs_of(network, rate, low, high, num_runs=2, horizon=3.0, num_times=41):
    A, times = network.to_adjacency().toarray(), np.linspace(0.0, horizon, num_times)
    starts = [np.random.default_rng(s).uniform(low, high, NUM_NODES) for s in range(num_runs)]
    states = [solved(lambda t, x: rate(x, A), start, times) for start in starts]
    return [Trajectories(times, s, names=network.names) for s in states]


def epidemic(x, A):
    return -0.5 * x + 0.5 * (1 - x) * (A @ x)


def noisy(runs, decibel=30.0):
    return [run.with_noise(decibel, seed) for seed, run in enumerate(runs)]


def by_role(law):
    return {c.role: c for c in law.constants}


def families(self_term="", interaction_term="", bounds=None):
    texts = {"x": (self_term, interaction_term)}
    return known_families(texts, ("x", "y"), ("omega",), bounds or {})[0]
