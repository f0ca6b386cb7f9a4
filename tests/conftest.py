"""What every test stands on: strict JAX settings and a small network."""

from pathlib import Path

import jax
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
