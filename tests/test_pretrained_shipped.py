"""The model that comes with jaxllc: its file, the engine it makes, and that this keeps to the grammar."""

import pickle
import subprocess
import sys
import time
from importlib import resources

import numpy as np
import pytest
import sympy

from jaxllc.equations.expression_calculus import evaluate
from jaxllc.errors import InputError
from jaxllc.pretrained import decoding, shipped
from jaxllc.pretrained.engine import PretrainedEngine
from jaxllc.pretrained.skeletons.canonical_form import identity
from jaxllc.pretrained.tensors import read_tensors
from jaxllc.pretrained.training.corpus import CorpusSettings
from jaxllc.pretrained.weights import VERSION, digest, load_model
from jaxllc.search.engines.enumeration import EnumerationEngine
from jaxllc.search.forms.grammar import Grammar, operators_in
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term import term_search
from jaxllc.search.term.term_search import search_term, term_engine
from tests.counted_calls import at_most_calls

FILE = resources.files("jaxllc.pretrained") / shipped.WEIGHTS


def samples_of(function, names=("x_i", "x_j"), num=300, noise=2e-3):
    rng = np.random.default_rng(0)
    points = rng.uniform(0.2, 3.0, (num, len(names)))
    values = function(*points.T)
    error = noise * values.std()
    return Samples.of(names, points, values + error * rng.normal(size=num), error)


def test_the_file_is_small_whole_and_of_this_version():
    assert FILE.stat().st_size <= 15e6
    arrays, metadata = read_tensors(FILE)
    assert metadata["version"] == VERSION
    assert metadata["sha256"] == digest(arrays)
    assert {str(a.dtype) for a in arrays.values()} == {"float16"}
    model, about = shipped.shipped_model()
    assert about["corpus"]["num_variables"] == model.settings.num_variables
    assert set(about["corpus"]) == set(CorpusSettings.__dataclass_fields__)
    assert about["steps"] > 0
    assert shipped.shipped_model()[0] is model


def test_reading_needs_no_pickle_and_little_work(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a pickle was read")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    with at_most_calls(1_000_000):
        load_model(FILE)


def test_missing_weights_are_a_sentence(monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", "nowhere.safetensors")
    shipped.shipped_model.cache_clear()
    with pytest.raises(InputError, match=r"nowhere\.safetensors, are missing; install"):
        shipped.shipped_model()


def test_nothing_is_loaded_before_the_engine_is_asked():
    code = (
        "import sys; from jaxllc.search.term.term_search import term_engine; "
        "print([term_engine(name).name for name in ('sparse', 'pretrained')], "
        "[m for m in sys.modules if m.startswith('jaxllc.pretrained') or m == 'flax'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['sparse', 'pretrained'] []"


def test_a_search_with_this_engine_alone_finds_a_hill_term():
    samples = samples_of(lambda x, y: 0.4 + 2 * y / (1.7 + x**2))
    found = search_term(samples, engines=("pretrained",), seconds=30)
    assert found.best.engine == "pretrained"
    assert found.best.chi_squared < 1.2
    assert {"pretrained", "preparation"} <= set(found.seconds)
    x, y = sympy.symbols("x_i x_j")
    grid = {x: np.linspace(0.3, 2.9, 40), y: np.linspace(2.8, 0.4, 40)}
    truth = 0.4 + 2 * grid[y] / (1.7 + grid[x] ** 2)
    assert np.abs(evaluate(found.best.expression, grid) - truth).max() < 0.01


def test_the_judge_takes_the_proposals_of_all_engines(monkeypatch):
    """Where the first engine finds nothing that explains the samples, the next one is asked."""
    x = sympy.Symbol("x_i")
    monkeypatch.setattr(EnumerationEngine, "propose", lambda *_: [sympy.Float(0.7) * x])
    samples = samples_of(lambda x, y: np.sin(y - x))
    found = search_term(samples, engines=("sparse", "pretrained"), seconds=30)
    assert found.best.engine == "pretrained"
    assert {"sparse", "pretrained"} <= set(found.seconds)


def test_what_an_engine_prepares_is_no_part_of_its_time(monkeypatch):
    """What is loaded and compiled once in a process does not shorten the first search."""

    class Slow:
        name = "slow"

        def prepare(self):
            time.sleep(0.4)
            Slow.prepared = time.perf_counter()

        def propose(self, samples, grammar, seed, deadline):
            assert deadline > Slow.prepared + 0.3
            return [sympy.Float(2.0) * sympy.Symbol("x_i")]

    monkeypatch.setattr(term_search, "term_engine", lambda name: Slow())
    found = search_term(samples_of(lambda x, y: 2 * x), engines=("slow",), seconds=0.35)
    assert found.best.engine == "slow"
    assert found.seconds["preparation"] > 0.4


def test_the_engine_keeps_to_the_grammar():
    engine = term_engine("pretrained")
    samples = samples_of(lambda x, y: 1.5 * np.maximum(y - 1.2, 0) - 0.5 * x)
    narrow = Grammar(functions=("sin", "max"), division=False, largest_power=2)
    found = engine.propose(samples, narrow, 0, np.inf)
    assert found
    assert set().union(*map(operators_in, found)) <= {"sin", "max"}
    powers = [p for e in found for p in e.atoms(sympy.Pow)]
    assert all(abs(float(p.exp)) <= 2 for p in powers)
    for required in ({"sin", "exp"}, {"division"}):
        wanted = engine.propose(samples, Grammar(required=tuple(required)), 0, np.inf)
        assert wanted
        assert all(operators_in(e) & required for e in wanted)


def test_one_compilation_serves_all_numbers_of_inputs_and_targets():
    engine = PretrainedEngine(shipped.shipped_model()[0], width=7)
    engine.prepare()
    compiled = decoding._decode._cache_size()
    targets = [
        samples_of(lambda x: np.sin(x), ("x_i",), num=120),
        samples_of(lambda x, y: x * y),
        samples_of(lambda x, y, z: z - x * y, ("x_i", "y_i", "x_j"), num=90),
    ]
    together = engine.skeletons_of(targets)
    for samples, skeletons in zip(targets, together, strict=True):
        np.testing.assert_array_equal(identity(engine.skeletons(samples)), identity(skeletons))
    many = samples_of(lambda a, b, c, d: d - a, ("x_i", "y_i", "x_j", "y_j"))
    assert engine.propose(many, Grammar(), 0, np.inf)
    assert decoding._decode._cache_size() == compiled
