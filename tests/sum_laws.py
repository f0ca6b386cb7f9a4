"""Networks, runs solved by scipy and equations for the tests of laws with functions of sums."""

import numpy as np
from scipy.integrate import solve_ivp

from jaxllc import generators
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.equations.equation import Equation

NUM_NODES = 24


def signed_network(num_nodes=NUM_NODES, seed=1, share=0.2):
    """Directed, of random weights of both signs, unequal in-degrees, some nodes without a sender."""
    rng = np.random.default_rng(seed)
    A = rng.normal(0.0, 1.0 / np.sqrt(share * num_nodes), (num_nodes, num_nodes))
    A = np.where(rng.random(A.shape) < share, A, 0.0)
    np.fill_diagonal(A, 0.0)
    return Network.from_adjacency(A, signed=True)


def hub_network(num_nodes=NUM_NODES):
    return generators.barabasi_albert(num_nodes, 3, seed=1)


def runs_of(network, rate, low, high, horizon, features=None, num_runs=3, num_times=50):
    """Runs of dx/dt = rate(x, s, **features), s = A x by a dense product, solved by scipy."""
    A = network.to_adjacency().toarray()
    times = np.linspace(0.0, horizon, num_times)
    features = features or {}
    runs = []
    for seed in range(num_runs):
        start = np.random.default_rng(seed).uniform(low, high, network.num_nodes)
        states = solve_ivp(
            lambda t, x: rate(x, A @ x, **features),
            (0.0, horizon), start, t_eval=times, method="DOP853", rtol=1e-11, atol=1e-12,
        ).y.T  # fmt: skip
        runs.append(Trajectories(times, states, ("x",), features, network.names))
    return runs


def law_of(self_term, interaction_term="0", variable="x"):
    return {variable: Equation.from_text(self_term, interaction_term)}
