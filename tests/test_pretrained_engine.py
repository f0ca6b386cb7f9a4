"""Constants of true skeletons are found, and the engine keeps to the grammar, the inputs and the samples."""

import time

import numpy as np
import pytest
import sympy

from jaxllc.equations.expression_calculus import evaluate
from jaxllc.errors import InputError
from jaxllc.pretrained.engine import PretrainedEngine, best_inputs
from jaxllc.pretrained.model import ModelSettings, new_model
from jaxllc.pretrained.skeletons.alphabet import KIND, alphabet
from jaxllc.pretrained.skeletons.canonical_form import canonical, empty, identity, renamed
from jaxllc.pretrained.skeletons.starts import fitted
from jaxllc.pretrained.training.corpus import Corpus, CorpusSettings
from jaxllc.pretrained.training.recall import recall
from jaxllc.search.forms.grammar import Grammar, operators_in
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term.term_judge import TermJudge

TINY = ModelSettings(width=16, blocks=1, decoder_width=16, layers=1, heads=2)
SYMBOLS = alphabet(3)


def samples_of(function, names=("x_i", "x_j"), low=0.2, high=3.0, noise=1e-3, num=300):
    rng = np.random.default_rng(0)
    points = rng.uniform(low, high, (num, len(names)))
    values = function(*points.T)
    error = noise * values.std()
    return Samples.of(names, points, values + error * rng.normal(size=num), error)


def skeleton(base, *groups):
    """One canonical skeleton: groups of (outer, (kind, argument), ...), monomials as exponents."""
    one = empty(1, SYMBOLS.num_monomials)
    place = SYMBOLS.index
    one.base[0, [place[e] for e in base]] = True
    for g, (outer, *factors) in enumerate(groups):
        one.outer[0, g, [place[e] for e in outer]] = True
        for f, (kind, argument, *inner) in enumerate(factors):
            one.kind[0, g, f] = KIND[kind]
            one.argument[0, g, f, [place[e] for e in argument]] = True
            for name, inside in inner:
                one.inner_kind[0, g, f] = KIND[name]
                one.inner[0, g, f, [place[e] for e in inside]] = True
    found, good = canonical(one, SYMBOLS)
    assert good.all()
    return found


ONE, X, Y, XY, X2 = (0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (2, 0, 0)
TRUE = {
    "polynomial": (lambda x, y: 1.5 * x - 0.7 * x * y, skeleton([X, XY]), 2),
    "hill": (
        lambda x, y: 0.4 + 2 * y / (1.7 + x**2),
        skeleton([ONE], ([Y], ("reciprocal", [ONE, X2]))),
        3,
    ),
    "phase": (
        lambda x, y: 2 * np.sin(1.3 * y - 1.3 * x + 0.4),
        skeleton([], ([ONE], ("sin", [ONE, X, Y]))),
        4,
    ),
    "gate": (
        lambda x, y: (2 - x) / (1 + np.exp(-4 * (y - 1))),
        skeleton([], ([ONE, X], ("sigmoid", [ONE, Y]))),
        4,
    ),
    "two factors": (
        lambda x, y: x * np.exp(-0.8 * x) * np.tanh(1.4 * y),
        skeleton([], ([X], ("exp", [X]), ("tanh", [Y]))),
        3,
    ),
    "hinge": (lambda x, y: x + np.abs(y - 1.1), skeleton([X], ([ONE], ("abs", [ONE, Y]))), 3),
    "power": (lambda x, y: 1.2 * x**1.6 - y, skeleton([Y], ([ONE], ("power", [X]))), 3),
    "root": (lambda x, y: y * np.sqrt(0.5 + x), skeleton([], ([Y], ("sqrt", [ONE, X]))), 2),
    "nested": (
        lambda x, y: y / (1.4 + np.cos(2.0 * x)),
        skeleton([], ([Y], ("reciprocal", [ONE], ("cos", [X])))),
        3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUE)
def test_the_constants_of_a_true_skeleton_are_found(name):
    function, structure, constants = TRUE[name]
    (found,) = fitted(structure, samples_of(function), SYMBOLS)
    assert found.mean_square < 1.3
    assert len(found.skeleton.values) == constants
    samples = samples_of(function, noise=0.0)
    again = evaluate(found.skeleton.numeric(), samples.columns)
    assert np.abs(again - samples.values).max() < 5e-3 * samples.values.std()


def test_skeletons_are_fitted_in_the_units_of_the_samples():
    function, structure, _ = TRUE["gate"]
    plain = samples_of(function)
    scaled = Samples(plain.names, 50 * plain.points, 1e-3 * plain.values, 1e-3 * plain.error)
    first, second = (fitted(structure, s, SYMBOLS)[0] for s in (plain, scaled))
    assert second.mean_square == pytest.approx(first.mean_square, rel=1e-2)


def test_most_skeletons_of_the_corpus_fit_their_own_samples():
    settings = CorpusSettings(points=(160,), exact=0.0, error=(2e-3, 2e-3))
    batch = Corpus(settings, seed=1).batch(0, 24)
    close = 0
    for k in range(24):
        names = ("a", "b", "c")
        samples = Samples.of(names, batch.points[k].T, batch.values[k], float(batch.error[k]))
        fit = fitted(batch.structures.taken(np.array([k])), samples, SYMBOLS)
        close += bool(fit) and fit[0].mean_square < 2
    assert close >= 19


@pytest.fixture(scope="module")
def engine():
    return PretrainedEngine(new_model(TINY, seed=4), width=12, views=2, search=None)


def test_an_engine_keeps_to_grammar_and_names_and_is_the_same_each_time(engine):
    samples = samples_of(TRUE["hill"][0])
    grammar = Grammar(functions=("sin", "exp"), division=False, largest_power=2)
    found = engine.propose(samples, grammar, 3, np.inf)
    assert len(found) >= 5
    for expression in found:
        assert operators_in(expression) <= {"sin", "exp"}
        assert {s.name for s in expression.free_symbols} <= {"x_i", "x_j"}
        assert np.all(np.isfinite(np.asarray(evaluate(expression, samples.columns), float)))
    assert found == engine.propose(samples, grammar, 3, np.inf)
    counts = [len(e.atoms(sympy.Float)) for e in found]
    assert counts[0] <= min(counts) + 1


def test_what_a_grammar_demands_is_in_every_proposal(engine):
    samples = samples_of(TRUE["polynomial"][0])
    for required in (("sin",), ("max", "min"), ("tanh",)):
        found = engine.propose(samples, Grammar(required=required), 3, np.inf)
        assert found, required
        assert all(operators_in(e) & set(required) for e in found)


def told(structure):
    """In place of what a model writes."""
    return lambda self, targets, grammar=None, seed=0: [structure for _ in targets]


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        ("gate", ("tanh",)),
        ("gate", ("exp",)),
        ("phase", ("cos",)),
        ("nested", ("sin",)),
        ("two factors", ("exp", "sigmoid")),
    ],
)
def test_a_function_is_written_with_those_the_grammar_has(engine, monkeypatch, name, functions):
    function, structure, _ = TRUE[name]
    monkeypatch.setattr(PretrainedEngine, "skeletons_of", told(structure))
    samples = samples_of(function, noise=1e-4)
    (found,) = engine.propose(samples, Grammar(functions), 0, np.inf)
    assert operators_in(found) <= {*functions, "division"}
    rest = evaluate(found, samples.columns) - samples.values
    assert np.abs(rest).max() < 1e-2 * samples.values.std()


def test_hinges_are_proposed_as_extremes(engine, monkeypatch):
    structure = skeleton([ONE, X, Y], ([ONE], ("abs", [ONE, Y])))
    monkeypatch.setattr(PretrainedEngine, "skeletons_of", told(structure))
    samples = samples_of(lambda x, y: 1.5 * np.maximum(y - 1.2, 0) - 0.5 * x, noise=1e-4)
    first, second = engine.propose(samples, Grammar(), 0, np.inf)
    assert operators_in(first) == {"max"}
    assert operators_in(second) == {"abs"}
    for expression in (first, second):
        rest = evaluate(expression, samples.columns) - samples.values
        assert np.abs(rest).max() < 1e-2 * samples.values.std()
    found = engine.propose(samples, Grammar(("max",)), 0, np.inf)
    assert found[0] == first
    assert all(operators_in(e) == {"max"} for e in found)


def test_the_judge_takes_what_an_engine_proposes(engine):
    samples = samples_of(TRUE["polynomial"][0])
    proposals = engine.propose(samples, Grammar(), 0, np.inf)
    judged = TermJudge(samples).judge([(e, engine.name) for e in proposals])
    assert judged[0].engine == "pretrained"


def test_views_are_led_back_to_the_order_of_the_inputs(engine):
    """Shown in each order of the inputs, the same skeletons come out, renamed."""
    samples = samples_of(TRUE["hill"][0])
    turned = Samples(samples.names, samples.points[:, ::-1], samples.values, samples.error)
    both = PretrainedEngine(engine.model, width=12, views=6)
    first, second = both.skeletons(samples), both.skeletons(turned)
    swapped = SYMBOLS.renaming([1, 0, 2])
    assert set(identity(first)) == set(identity(second, swapped))


def test_of_many_inputs_those_that_matter_are_looked_at(engine):
    names = ("x_i", "y_i", "z_i", "x_j", "y_j", "z_j")
    samples = samples_of(lambda a, b, c, d, e, f: d - a * np.tanh(c), names)
    first, second = best_inputs(samples, 3)
    assert first == [0, 2, 3]
    assert second != first
    used = {s.name for e in engine.propose(samples, Grammar(), 0, np.inf) for s in e.free_symbols}
    assert {"x_i", "z_i", "x_j"} <= used
    begun = time.perf_counter()
    assert engine.propose(samples, Grammar(), 0, begun - 1.0)


def test_recall_counts_the_true_skeleton(engine, monkeypatch):
    untrained = recall(engine, "seen", 6)
    assert 0 <= untrained.written <= untrained.sets == 6
    batches = []
    plain = Corpus.batch
    monkeypatch.setattr(Corpus, "batch", lambda *a: batches.append(plain(*a)) or batches[-1])
    # An engine that always writes the truth, in the inputs' own numbering.
    truth = iter(range(6))

    def told(self, samples, grammar=None, seed=0):
        k = next(truth)
        inputs = np.flatnonzero(batches[0].present[k])
        rest = [v for v in range(3) if v not in inputs]
        order = np.argsort([*inputs, *rest])
        return renamed(batches[0].structures.taken(np.array([k])), SYMBOLS.renaming(order))

    monkeypatch.setattr(PretrainedEngine, "skeletons", told)
    found = recall(engine, "seen", 6)
    assert found.written == 1.0
    assert found.fitted == 1.0
    with pytest.raises(InputError, match="sets"):
        recall(engine, "seen", 0)
