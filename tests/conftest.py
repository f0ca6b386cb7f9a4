"""What every test stands on: strict JAX settings and a small network."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxllc import generators
from jaxllc.network import Network

jax.config.update("jax_numpy_rank_promotion", "raise")

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped without it."""
    folder = _ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the data folder ../shared, which is not here")
    return folder


@pytest.fixture(scope="session")
def small_network() -> Network:
    """Barabasi-Albert, 20 nodes, 2 attachments: hubs and leaves, yet quick to simulate."""
    return generators.barabasi_albert(20, 2, seed=0)


@pytest.fixture(scope="session")
def epidemic_runs(small_network):
    """Two runs of the epidemic on the small network, 41 times, noise at 45 dB."""
    from jaxllc import known_laws

    known = known_laws.get("epidemic")
    initial = np.stack([known.sample_initial_state(20, seed) for seed in range(2)])
    runs = known.simulate(small_network, np.linspace(0.0, 3.0, 41), initial)
    return [run.with_noise(45.0, seed) for seed, run in enumerate(runs)]


@pytest.fixture(scope="session")
def found_law(epidemic_runs, small_network):
    """The law discovered from these runs, shared because a discovery takes seconds."""
    import jaxllc

    return jaxllc.discover(epidemic_runs, small_network, seed=0, max_terms=3)
