"""The public names are these and no more, and importing them is light."""

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import pytest

import jaxllc
from jaxllc.settings.discover_settings import DiscoverChoices

PUBLIC = [
    "DiscoverSettings",
    "InputError",
    "Law",
    "Network",
    "Trajectories",
    "VectorField",
    "__version__",
    "discover",
    "generators",
    "known_laws",
    "load_law",
    "match",
    "metrics",
    "plotting",
    "read_edges",
    "read_features",
    "read_states",
    "self_pruning",
    "signaling",
    "simulate",
    "sweeps",
    "symbolic",
]
SIGNALING = [
    "Conditions",
    "CrossValidation",
    "GroundTruth",
    "PRESETS",
    "Prediction",
    "PriorNetwork",
    "SignalingFit",
    "SignalingModel",
    "SignalingSettings",
    "add_spurious_edges",
    "cross_validate",
    "is_spurious",
    "leave_out_folds",
    "preset",
    "published_folds",
    "read_folds",
    "self_pruning_study",
    "simulate_conditions",
    "simulate_signaling",
    "train",
]
SWEEPS = [
    "Choice",
    "Grid",
    "Integers",
    "LogUniform",
    "NetEnsemble",
    "Outcome",
    "Snapshots",
    "SweepResult",
    "TermSpread",
    "TrainedMember",
    "Uniform",
    "grid",
    "log_range",
    "net_ensemble",
    "points",
    "random_draws",
    "read_records",
    "read_snapshots",
    "sweep",
    "train_sweep",
    "zipped",
]
SELF_PRUNING = [
    "EdgeScores",
    "SelfPruningStudy",
    "edge_scores",
    "plot_distributions",
    "plot_errors",
    "plot_removal",
    "plot_scores",
    "plot_shares",
    "removable",
    "removal_curves",
    "retrained_curves",
    "self_pruning_study",
    "summary_of",
]
HEAVY = [
    "optax",
    "flax",
    "diffrax",
    "sympy",
    "pandas",
    "matplotlib",
    "networkx",
    "scipy.sparse",
    "juliacall",
    "dask",
    "distributed",
]


def test_public_names_are_pinned():
    assert sorted(jaxllc.__all__) == sorted(PUBLIC)
    assert dir(jaxllc) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name):
    value = getattr(jaxllc, name)
    assert isinstance(value, ModuleType) == (
        name
        in (
            "generators",
            "known_laws",
            "metrics",
            "plotting",
            "self_pruning",
            "signaling",
            "sweeps",
            "symbolic",
        )
    )


def test_public_names_of_signaling_are_pinned():
    assert sorted(jaxllc.signaling.__all__) == SIGNALING
    assert dir(jaxllc.signaling) == SIGNALING
    for name in SIGNALING:
        assert getattr(jaxllc.signaling, name) is not None


def test_public_names_of_sweeps_are_pinned():
    assert sorted(jaxllc.sweeps.__all__) == SWEEPS
    assert dir(jaxllc.sweeps) == SWEEPS
    for name in SWEEPS:
        assert callable(getattr(jaxllc.sweeps, name))


def test_public_names_of_self_pruning_are_pinned():
    assert sorted(jaxllc.self_pruning.__all__) == SELF_PRUNING
    assert dir(jaxllc.self_pruning) == SELF_PRUNING
    for name in SELF_PRUNING:
        assert callable(getattr(jaxllc.self_pruning, name))
    with pytest.raises(AttributeError, match="self_pruning' has no attribute 'edge_score'"):
        jaxllc.self_pruning.edge_score  # noqa: B018


def test_public_names_of_symbolic_are_pinned():
    names = ["Candidate", "Grammar", "Samples", "TermSearch", "search_term"]
    assert sorted(jaxllc.symbolic.__all__) == names
    assert dir(jaxllc.symbolic) == names
    for name in names:
        assert callable(getattr(jaxllc.symbolic, name))


@pytest.mark.parametrize("package", ["", ".signaling", ".sweeps", ".self_pruning", ".symbolic"])
def test_editors_are_told_the_names_that_are_loaded_when_asked_for(package):
    module = importlib.import_module(f"jaxllc{package}")
    told = set()
    for node in ast.parse(Path(module.__file__).read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            told |= {alias.name for line in node.body for alias in line.names}
    # The study stands above signaling, where it is named too.
    assert {*module.__all__} - told <= {"self_pruning_study"}
    assert told <= {*module.__all__}


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'discovr'"):
        jaxllc.discovr  # noqa: B018


def test_the_version_is_that_of_pyproject():
    pyproject = Path(__file__).resolve().parent.parent / "pyproject.toml"
    try:
        version("jaxllc")
    except PackageNotFoundError:
        pytest.skip("jaxllc is not installed here, so it has no version")
    assert jaxllc.__version__ == tomllib.loads(pyproject.read_text())["project"]["version"]


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_jaxllc_loads_no_heavy_library():
    program = "import jaxllc, sys; print([name for name in {} if name in sys.modules])"
    assert run_python(program.format(HEAVY)) == "[]"


def test_modules_and_the_version_are_loaded_when_asked_for():
    program = (
        "import jaxllc, sys; names = ['jaxllc.generators', 'jaxllc.version']; "
        "before = [name in sys.modules for name in names]; "
        "print(before, jaxllc.generators is sys.modules[names[0]], type(jaxllc.__version__).__name__, "
        "type(jaxllc.lazy_names).__name__)"
    )
    assert run_python(program) == "[False, False] True str module"


def test_sweeps_load_no_cluster_library_before_one_is_asked_for():
    program = (
        "import sys, jaxllc.self_pruning.study; from jaxllc.sweeps import *; "
        "print([name for name in ('dask', 'distributed') if name in sys.modules])"
    )
    assert run_python(program) == "[]"


def test_every_choice_of_discover_is_named_where_people_and_editors_look():
    names = [f.name for f in fields(jaxllc.DiscoverSettings)]
    assert list(DiscoverChoices.__annotations__) == names
    assert list(inspect.signature(jaxllc.discover).parameters)[-len(names) :] == names
