"""What every test stands on: strict JAX settings, a small network, and a fixed part of the slow tests."""

import gc
import hashlib
import os
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

# In tests every call of these is checked against the axes that its types name; so before they are imported.
_CHECKED = ("bounded_step", "candidate_law", "condensing", "contributions", "integral_form",
            "interval_jacobians", "normal_equations", "trajectory_fit", "trajectory_problem")  # fmt: skip
install_import_hook(
    ["jaxllc.smoothing.grid_data", *(f"jaxllc.fit.{name}" for name in _CHECKED)],
    "beartype.beartype",
)

from jaxllc import generators  # noqa: E402
from jaxllc.data.network import Network  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
# Equinox, which is loaded later, raises errors by calls back into Python, and JAX keeps no program with such
# calls on disk. What diffrax would raise jaxllc has checked before. For its users the setting stays as it is:
# it holds for all of equinox in a process.
os.environ.setdefault("EQX_ON_ERROR", "nan")

_ROOT = Path(__file__).resolve().parent.parent


# One slow test in so many is run each time, always the same ones; `make test-all` runs them all.
_PARTS = 4


def pytest_configure(config) -> None:
    """Keep compiled programs from one run of the tests to the next, beside what pytest keeps."""
    cache = getattr(config, "cache", None)
    if cache is not None and jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache.mkdir("compiled_programs")))


# Mapped pieces of memory from which on compiled programs are let go: each takes several, a process may have
# 65530 by the default of Linux, and the compiler aborts where it gets no more.
_MANY_MAPS = 20_000


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs():
    """Let compiled programs go between files of tests where a process holds many; they are on disk."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > _MANY_MAPS:
        jax.clear_caches()
        gc.collect()


def pytest_addoption(parser) -> None:
    parser.addoption(
        "--slow",
        choices=("some", "all", "none"),
        default="some",
        help="slow tests to run: a fixed quarter of them, all, or none",
    )


def pytest_collection_modifyitems(config, items) -> None:
    """Leave out most slow tests; one that is named, or chosen by -m or -k, is run."""
    chosen = config.option.slow
    asked = config.option.markexpr or config.option.keyword or config.args_source.name == "ARGS"
    if chosen == "all" or (asked and chosen == "some"):
        return

    def runs(item) -> bool:
        if item.get_closest_marker("slow") is None:
            return True
        part = hashlib.sha256(item.nodeid.encode()).digest()[0] % _PARTS
        return chosen == "some" and part == 0

    kept = [item for item in items if runs(item)]
    config.hook.pytest_deselected(items=[item for item in items if not runs(item)])
    items[:] = kept


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


@pytest.fixture(scope="session")
def tables(tmp_path_factory, epidemic_runs, small_network):
    """A folder with states.csv and edges.csv of the small epidemic."""
    from jaxllc.commands.output import write_states

    folder = tmp_path_factory.mktemp("tables")
    write_states(epidemic_runs, folder / "states.csv")
    small_network.to_csv(folder / "edges.csv")
    return folder


@pytest.fixture(scope="session")
def toy_tables(tmp_path_factory):
    """A folder with network.tsv, ligands.tsv and tfs.tsv of a small signaling network."""
    from tests.signaling_commands import write_tables

    folder = tmp_path_factory.mktemp("toy")
    write_tables(folder)
    return folder


@pytest.fixture(scope="session")
def reference_arrays(shared_folder):
    """Name of a reference file of the published signaling models -> its arrays, read once."""

    @cache
    def read(name):
        with np.load(shared_folder / "data" / "lembas" / "reference" / f"{name}.npz") as file:
            return dict(file)

    return read


@pytest.fixture
def bad(tmp_path, capsys):
    """Runs a command that must fail for bad input, and returns the one sentence."""
    from jaxllc.commands.command_line import main

    def sentence(words):
        assert main([str(word) for word in words]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("jaxllc: ")
        assert printed.err.count("\n") == 1
        assert "Traceback" not in printed.err
        return printed.err

    return sentence
