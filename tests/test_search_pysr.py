"""The PySR engine: its arguments are PySR's own, and its front comes back in our symbols and units."""

import ast
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import sympy

from jaxllc.errors import InputError
from jaxllc.search.engines.pysr import PySREngine
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples

X_I, X_J = sympy.symbols("x_i x_j")


def interaction_samples(num=60):
    points = np.random.default_rng(0).uniform(0.5, 30.0, (num, 2))
    error = np.where(np.arange(num) < num // 2, 0.1, 0.2)
    return Samples.of(
        ("x_i", "x_j"), points, 3.0 * points[:, 1] * np.exp(-0.1 * points[:, 0]), error
    )


def pysr_parameters(method):
    """Parameters of a method of PySRRegressor, read from the source: importing PySR starts Julia."""
    spec = importlib.util.find_spec("pysr")
    if spec is None or spec.origin is None:
        pytest.skip("pysr is not installed")
    source = (Path(spec.origin).parent / "sr.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "PySRRegressor":
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == method:
                    return {a.arg for a in (*part.args.args, *part.args.kwonlyargs)}
    raise AssertionError(f"PySRRegressor.{method} is not in {spec.origin}")


@pytest.fixture
def fake_pysr(monkeypatch):
    """A pysr module whose regressor keeps what it was given and answers with a fixed front."""

    class PySRRegressor:
        def __init__(self, **arguments):
            if "populatons" in arguments:
                raise TypeError("populatons is not a valid keyword argument for PySRRegressor.")
            module.arguments = arguments

        def fit(self, X, y, *, weights, variable_names):
            module.data = X, y, weights
            v0, v1 = (sympy.Symbol(name) for name in variable_names)
            unit = sympy.Float(0.5, precision=24)
            product = sympy.Mul(v1, sympy.exp(-unit * v0), evaluate=False)
            front = [
                product,
                sympy.Float(0.3),
                sympy.tan(v0),
                v1,
                sympy.log(sympy.Float(-2) * v1**0),
            ]
            self.equations_ = pd.DataFrame(
                {
                    "complexity": [6, 1, 2, 1, 3],
                    "loss": [0.1, 0.9, 0.8, 0.7, 0.7],
                    "sympy_format": front,
                }
            )

    module = ModuleType("pysr")
    module.PySRRegressor = PySRRegressor
    monkeypatch.setitem(sys.modules, "pysr", module)
    return module


def test_front_is_in_our_symbols_and_units_simplest_first(fake_pysr):
    samples = interaction_samples()
    plain, product = PySREngine().propose(samples, Grammar(), 3, np.inf)
    size = np.sqrt((samples.points**2).mean(0))
    spread = samples.values.std()
    assert plain.free_symbols == {X_J}
    assert product.free_symbols == {X_I, X_J}
    at = {X_I: 2.0, X_J: 5.0}
    assert float(plain.subs(at)) == pytest.approx(spread * 5.0 / size[1], rel=1e-12)
    expected = spread * 5.0 / size[1] * np.exp(-0.5 * 2.0 / size[0])
    assert float(product.subs(at)) == pytest.approx(expected, rel=1e-12)


def test_scaled_samples_and_weights_reach_pysr(fake_pysr):
    samples = interaction_samples()
    PySREngine().propose(samples, Grammar(), 3, np.inf)
    points, values, weights = fake_pysr.data
    np.testing.assert_allclose((points**2).mean(0), 1.0)
    assert values.std() == pytest.approx(1.0)
    np.testing.assert_allclose(weights, np.where(np.arange(60) < 30, 1.0, 0.25))


def test_seed_settings_and_options_reach_pysr(fake_pysr):
    engine = PySREngine(
        niterations=7, populations=3, maxsize=11, elementwise_loss="f(p, t, w) = w * abs(p - t)",
        options={"parsimony": 0.01, "maxsize": 12},
    )  # fmt: skip
    engine.propose(interaction_samples(), Grammar(), 5, np.inf)
    given = fake_pysr.arguments
    assert given["random_state"] == 5
    assert given["deterministic"] is True
    assert given["parallelism"] == "serial"
    assert (given["niterations"], given["populations"], given["maxsize"]) == (7, 3, 12)
    assert given["parsimony"] == 0.01
    assert given["elementwise_loss"].startswith("f(p, t, w)")
    assert given["timeout_in_seconds"] is None


def test_operators_are_those_of_the_grammar(fake_pysr):
    grammar = Grammar(functions=("sin", "max", "sigmoid"), division=False)
    PySREngine().propose(interaction_samples(), grammar, 0, np.inf)
    assert fake_pysr.arguments["binary_operators"] == ["+", "-", "*", "max"]
    unary = fake_pysr.arguments["unary_operators"]
    assert [name.split("(")[0] for name in unary] == ["sin", "square", "sigmoid"]


def test_past_deadline_nothing_is_searched(fake_pysr):
    assert PySREngine().propose(interaction_samples(), Grammar(), 0, 0.0) == []
    assert not hasattr(fake_pysr, "arguments")


def test_every_argument_is_one_of_pysr():
    parameters = pysr_parameters("__init__")
    given = PySREngine(elementwise_loss="L2DistLoss()").arguments(Grammar(), 0, 10.0)
    assert given.keys() <= parameters
    assert {"weights", "variable_names"} <= pysr_parameters("fit")
    assert "pysr" not in sys.modules


def test_unknown_option_is_a_sentence(fake_pysr):
    with pytest.raises(InputError, match="populatons is not a valid keyword"):
        PySREngine(options={"populatons": 3}).propose(interaction_samples(), Grammar(), 0, np.inf)


def test_missing_package_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysr", None)
    with pytest.raises(InputError, match=r"pip install 'jaxllc\[pysr\]'"):
        PySREngine().propose(interaction_samples(), Grammar(), 0, np.inf)


def test_julia_that_does_not_start_is_a_sentence(monkeypatch):
    class NoJulia(ModuleType):
        def __getattr__(self, name):
            raise Exception("could not find Julia =1.10.0")

    module = NoJulia("pysr")
    module.__spec__ = None
    module.__path__ = []
    monkeypatch.setitem(sys.modules, "pysr", module)
    with pytest.raises(InputError, match=r"could not start Julia \(could not find Julia"):
        PySREngine().propose(interaction_samples(), Grammar(), 0, np.inf)


def why_no_julia():
    """Why PySR cannot run here, found without importing it; an empty text where it may."""
    if importlib.util.find_spec("pysr") is None:
        return "pysr is not installed"
    projects = [Path(sys.prefix, "julia_env"), Path.home() / ".julia/environments/pyjuliapkg"]
    if os.environ.get("PYTHON_JULIAPKG_PROJECT"):
        projects.append(Path(os.environ["PYTHON_JULIAPKG_PROJECT"]))
    if any((project / "Manifest.toml").exists() for project in projects):
        return ""
    if shutil.which("julia") or os.environ.get("PYTHON_JULIAPKG_EXE"):
        return ""
    return "there is no julia on PATH and no juliapkg project"


@pytest.mark.julia
@pytest.mark.slow
@pytest.mark.skipif(bool(why_no_julia()), reason=why_no_julia())
@pytest.mark.filterwarnings("default")
def test_pysr_finds_a_known_interaction():
    samples = interaction_samples(200)
    engine = PySREngine(niterations=20, populations=8, maxsize=12)
    front = engine.propose(samples, Grammar(functions=("exp",)), 0, np.inf)
    misfits = []
    for expression in front:
        value = sympy.lambdify([X_I, X_J], expression, "numpy")(*samples.points.T)
        misfits.append(np.sqrt(np.mean((value - samples.values) ** 2)) / samples.values.std())
    assert min(misfits) < 1e-3
