"""Every known law against scipy on dense NumPy formulas, written here independently."""

import logging

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxllc import generators, known_laws
from jaxllc.data.network import Network
from jaxllc.dynamics import integrate
from jaxllc.errors import InputError

N = 12


def _sum(A, pair):
    return (A * pair).sum(axis=1)


def _hill(A, x):
    return A @ (x**2 / (x**2 + 1))


def _sis(A, x, delta):
    return -delta * x + 0.5 * (1 - x) * (A @ x)


def _two_sis(A, x, y, c):
    return (
        -0.2 * x + 0.1 * (1 + c * y) * (1 - x) * (A @ x),
        -0.2 * y + 0.1 * (1 + c * x) * (1 - y) * (A @ y),
    )


def _pull(A, x):
    return 0.5 * _sum(A, np.sin(x[None, :] - x[:, None]))


def _difference(A, x):
    return A @ x - A.sum(1) * x


def _sigmoid(u):
    return 0.5 * (1 + np.tanh(u / 2))


def _mutualistic(A, x):
    pairs = x[:, None] * x[None, :] / (5 + 0.9 * x[:, None] + 0.1 * x[None, :])
    return 0.1 + x * (1 - x / 5) * (x - 1) + _sum(A, pairs)


def _rossler(A, x, y, z, w, coupling):
    return -w * y - z + coupling, w * x + 0.165 * y, 0.2 + z * (x - 5.7)


def _mml(z):
    return np.array([0.01 * v if v < 0 else v if v <= 0.5 else 1 - 0.25 / v for v in z])


# (A, one array per variable, node features) -> one rate per variable
DENSE = {
    "biochemical": lambda A, x: 1 - 0.5 * x - 0.5 * x * (A @ x),
    "gene": lambda A, x: -x + _hill(A, x),
    "gene_quadratic": lambda A, x: -(x**2) + _hill(A, x),
    "mutualistic": _mutualistic,
    "lotka_volterra": lambda A, x: x * (0.5 - 0.8 * x) - x * (A @ x),
    "lotka_volterra_heterogeneous": lambda A, x, alpha, theta: (
        x * (alpha - theta * x) - x * (A @ x)
    ),
    "mutualistic_pairs": lambda A, x, alpha, theta: x * (alpha - theta * x) + x * _hill(A, x),
    "neural": lambda A, x: -x + A @ _sigmoid(5.1 * (x - 1)),
    "neural_smooth": lambda A, x: -x + A @ _sigmoid(x - 1),
    "neural_rates": lambda A, x: -x + np.tanh(0.5 * (A @ x)),
    "fitzhugh_nagumo": lambda A, x, y: (
        x - x**3 - y - _difference(A, x) / A.sum(1),
        0.28 + 0.5 * x - 0.04 * y,
    ),
    "hindmarsh_rose": lambda A, x, y, z: (
        y - x**3 + 3 * x**2 - z + 3.24 + 0.15 * (2 - x) * (A @ _sigmoid(10 * (x - 1))),
        1 - 5 * x**2 - y,
        0.005 * (4 * (x + 1.6) - z),
    ),
    "epidemic": lambda A, x: _sis(A, x, 0.5),
    "epidemic_heterogeneous": lambda A, x, delta: _sis(A, x, delta),
    "coevolving_epidemics": lambda A, x, y: _two_sis(A, x, y, 1.0),
    "coevolving_epidemics_weak": lambda A, x, y: _two_sis(A, x, y, 0.1),
    "coevolving_epidemics_strong": lambda A, x, y: _two_sis(A, x, y, 10.0),
    "population": lambda A, x: -0.5 * x + 0.2 * (A @ x**3),
    "heat": _difference,
    "kuramoto": lambda A, x: 2 + _pull(A, x),
    "kuramoto_heterogeneous": lambda A, x, omega: omega + _pull(A, x),
    "rossler": lambda A, x, y, z: _rossler(A, x, y, z, 1.0, _pull(A, x)),
    "rossler_heterogeneous": lambda A, x, y, z, omega: _rossler(A, x, y, z, omega, _pull(A, x)),
    "rossler_diffusive": lambda A, x, y, z: _rossler(A, x, y, z, 1.0, 0.5 * _difference(A, x)),
    "lorenz": lambda A, x, y, z: (
        10 * (y - x) + 0.2 * _difference(A, x),
        x * (28 - z) - y,
        x * y - 8 / 3 * z,
    ),
    "signaling": lambda A, x, u, b: -x + _mml(A @ x + u + b),
}


@pytest.fixture(scope="module")
def network():
    """Directed and weighted, so that a transposed matrix or a lost weight shows."""
    rng = np.random.default_rng(5)
    A = np.where(rng.random((N, N)) < 0.3, rng.uniform(0.3, 1.5, (N, N)), 0.0)
    A[np.arange(N), (np.arange(N) + 1) % N] = 0.8
    np.fill_diagonal(A, 0.0)
    return Network.from_adjacency(A)


def test_the_catalogue_is_the_table():
    assert set(known_laws.names()) == set(DENSE)


def times_of(known):
    return np.linspace(0.0, min(known.horizon, 1.0), 11)


@pytest.fixture(scope="module")
def simulated(network):
    """A run of each law, the programs that were compiled for them, and those that integrate among these."""
    compiled = []
    handler = logging.Handler()
    handler.emit = lambda record: compiled.append(record.getMessage())
    logger, max_steps = logging.getLogger("jax"), 19_999  # as nobody else asks for
    logger.addHandler(handler)
    try:
        with jax.log_compiles():
            laws = {name: known_laws.get(name) for name in DENSE}
            runs = {
                name: known.simulate(network, times_of(known), seed=3, max_steps=max_steps)
                for name, known in laws.items()
            }
    finally:
        logger.removeHandler(handler)
    programs = [message for message in compiled if message.startswith("Compiling ")]
    return runs, programs, integrate._compiled("tsit5", max_steps)._cache_size()


def test_all_laws_together_compile_six_programs_at_most(simulated):
    """One for each number of variables, and some that prepare arrays."""
    _, programs, num_integrations = simulated
    assert num_integrations == len({len(known_laws.get(name).variables) for name in DENSE})
    assert num_integrations <= len(programs) <= 6


@pytest.mark.parametrize("name", DENSE)
def test_a_law_is_its_formula(name, network, simulated):
    known = known_laws.get(name)
    A = network.to_adjacency().toarray()
    times = times_of(known)
    start = known.sample_initial_state(N, seed=3)
    features = known.sample_features(N, seed=3)

    def rate(t, flat):
        rates = DENSE[name](A, *flat.reshape(-1, N), **features)
        return np.concatenate(np.atleast_2d(rates))

    reference = solve_ivp(
        rate, (0.0, times[-1]), start.T.ravel(), t_eval=times, rtol=1e-11, atol=1e-12,
        method="DOP853",
    )  # fmt: skip
    expected = reference.y.T.reshape(len(times), -1, N).transpose(0, 2, 1)
    run = simulated[0][name]
    np.testing.assert_array_equal(run.states[0], start)
    np.testing.assert_allclose(run.states, expected, rtol=1e-6, atol=1e-7)
    assert run.variables == known.variables
    assert set(run.node_features) == set(features)


@pytest.mark.parametrize("name", DENSE)
def test_ranges_and_horizon_are_those_of_its_samples(name):
    known = known_laws.get(name)
    start = known.sample_initial_state(500, seed=0)
    assert start.shape == (500, len(known.variables))
    for v, variable in enumerate(known.variables):
        low, high = known.initial_range[variable]
        assert low <= start[:, v].min() < start[:, v].max() <= high
    assert not np.array_equal(start, known.sample_initial_state(500, seed=1))
    times = known.default_times(num_times=50)
    assert (len(times), times[0], times[-1]) == (50, 0.0, known.horizon)
    assert known.source
    assert str(known).startswith(f"d{known.variables[0]}_i/dt = ")


def test_changed_parameters_and_a_batch(network):
    known = known_laws.get("epidemic")
    assert str(known.with_parameters(R=0.25)["x"].interaction_term) == "0.25*x_j*(1 - x_i)"
    with pytest.raises(InputError, match="did you mean 'delta'"):
        known.with_parameters(detla=1.0)
    starts = np.stack([known.sample_initial_state(N, seed=s) for s in range(2)])
    runs = known.simulate(network, np.linspace(0.0, 1.0, 11), starts)
    assert [run.states.shape for run in runs] == [(11, N, 1)] * 2


def test_a_law_that_diverges_warns_and_ends_in_nan():
    known = known_laws.get("population")
    network = generators.barabasi_albert(10, 3, seed=0)
    with pytest.warns(RuntimeWarning, match="Diverged at t = "):
        run = known.simulate(network, initial_state=np.full((10, 1), 5.0))
    assert np.isnan(run.states[-1]).all()


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(InputError, match="did you mean 'kuramoto'"):
        known_laws.get("kuromoto")
