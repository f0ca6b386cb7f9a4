"""The search for one term: known terms are exact, and units, names and order do not matter."""

import sys
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from scipy.special import expit

from jaxllc.equations.skeletons import as_written
from jaxllc.errors import InputError
from jaxllc.neural.neural_fit import TermSamples
from jaxllc.search.engines.enumeration import EnumerationEngine
from jaxllc.search.forms.grammar import FUNCTION_NAMES, Grammar, operators_in
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.laws import neural_proposals
from jaxllc.search.term.term_search import search_term, term_engine

BOTH = ("x_i", "x_j")


def samples_of(function, names=BOTH, num=200, low=0.0, high=3.0, noise=0.01, seed=0):
    """Values of a function at random points with white noise, relative to their spread."""
    generator = np.random.default_rng(seed)
    points = generator.uniform(low, high, (num, len(names)))
    values = function(*points.T)
    error = noise * np.std(values)
    return Samples.of(names, points, values + error * generator.normal(size=num), error)


def searched(samples, grammar=None, seed=0, **options):
    """A search to its own end, which does not depend on the speed of the machine."""
    found = search_term(samples, ("sparse",), 600.0, seed, grammar, **options)
    assert found.finished
    return found


def values_of(expression, samples, points=None):
    points = samples.points if points is None else points
    symbols = sympy.symbols(samples.names)
    function = sympy.lambdify(symbols, expression, [{"sigmoid": expit}, "numpy"])
    with np.errstate(all="ignore"):
        return np.broadcast_to(function(*points.T), len(points))


# Function, names of its inputs, range of the inputs, number of constants.
TARGETS = {
    "decay": (lambda x: 0.3 + np.exp(-0.7 * x), ("x_j",), (0.0, 3.0), 2),
    "hill": (lambda x: x**2 / (1 + x**2), ("x_j",), (0.0, 3.0), 0),
    "phases": (lambda x, y: np.sin(y - x), BOTH, (-2.0, 2.0), 0),
    "competition": (lambda x, y: x * y / (5 + 0.9 * x + 0.1 * y), BOTH, (0.0, 10.0), 3),
}


@cache
def target(name):
    """Samples of a target and its search, shared because it takes seconds."""
    function, names, (low, high), _ = TARGETS[name]
    samples = samples_of(function, names, low=low, high=high)
    return samples, searched(samples)


@pytest.mark.parametrize(
    "name",
    ["decay", "hill", "phases", pytest.param("competition", marks=pytest.mark.slow)],
)
def test_known_term_is_exact(name):
    function, _, (low, high), num_constants = TARGETS[name]
    samples, found = target(name)
    assert found.best.num_constants == num_constants
    assert found.best.engine == "sparse"
    assert found.best.chi_squared == pytest.approx(1.0, abs=0.3)
    # Exact also where no sample lies.
    beyond = np.random.default_rng(5).uniform(low, 1.5 * high, (200, samples.num_inputs))
    truth = function(*beyond.T)
    values = values_of(found.best.expression, samples, beyond)
    np.testing.assert_allclose(values, truth, atol=0.02 * np.std(truth))


def check_front(samples, found):
    """What holds for every front."""
    assert found.best in found.front
    assert found.best.score == min(c.score for c in found.front)
    sizes = [c.num_constants for c in found.front]
    assert sizes == sorted(sizes)
    misfits = [c.chi_squared for c in found.front if c is not found.best]
    assert np.all(np.diff(misfits) < 0)
    for candidate in found.front:
        rest = samples.values - values_of(candidate.expression, samples)
        assert candidate.chi_squared == pytest.approx(
            np.mean((rest / samples.error) ** 2), rel=1e-5
        )
        assert candidate.residual == pytest.approx(np.sqrt(np.mean(rest**2)), rel=1e-5)
        assert len(candidate.standard_errors) == candidate.num_constants
        assert np.isfinite(candidate.standard_errors).all()
        assert candidate.expression.free_symbols <= set(sympy.symbols(samples.names))


@pytest.mark.parametrize("name", ["decay", "hill", "phases"])
def test_front_is_monotone_and_says_what_its_candidates_leave(name):
    check_front(*target(name))


SMALL = Grammar(("exp",), division=False)


@cache
def small():
    """Samples of a term of two inputs, and its search with few functions, which is quick."""
    samples = samples_of(lambda x, y: 0.5 * y * np.exp(-0.7 * x) + 0.2)
    return samples, searched(samples, SMALL)


def values_are_near(first, other, samples):
    a, b = (values_of(e, samples) for e in (first, other))
    return np.abs(a - b).max() < 1e-3 * np.std(a)


def test_same_seed_gives_the_same_expressions():
    samples, first = small()
    again = searched(samples, SMALL)
    assert [c.expression for c in again.front] == [c.expression for c in first.front]
    assert [c.score for c in again.front] == [c.score for c in first.front]


def test_units_of_the_inputs_do_not_matter():
    samples, first = small()
    factor = np.array([1000.0, 1e-3])
    points = samples.points * factor
    found = searched(Samples(samples.names, points, samples.values, samples.error), SMALL)
    assert as_written(found.best.expression).key == as_written(first.best.expression).key
    symbols = sympy.symbols(samples.names)
    scaled = found.best.expression.xreplace(
        {s: f * s for s, f in zip(symbols, factor, strict=True)}
    )
    assert values_are_near(scaled, first.best.expression, samples)


def test_units_of_the_values_do_not_matter():
    samples, first = small()
    large = Samples(samples.names, samples.points, 1e4 * samples.values, 1e4 * samples.error)
    found = searched(large, SMALL)
    assert found.best.num_constants == first.best.num_constants
    assert values_are_near(found.best.expression / 1e4, first.best.expression, samples)


def test_names_of_the_inputs_do_not_matter():
    samples, first = small()
    names = ("z", "a")  # in another order of the alphabet
    found = searched(Samples(names, samples.points, samples.values, samples.error), SMALL)
    renamed = dict(zip(sympy.symbols(names), sympy.symbols(samples.names), strict=True))
    expression = found.best.expression.xreplace(renamed)
    assert as_written(expression).key == as_written(first.best.expression).key
    assert values_are_near(expression, first.best.expression, samples)


def test_order_of_the_samples_does_not_matter():
    samples, first = small()
    order = np.random.default_rng(3).permutation(len(samples.values))
    rows = (samples.points[order], samples.values[order], samples.error[order])
    found = searched(Samples(samples.names, *rows), SMALL)
    assert as_written(found.best.expression).key == as_written(first.best.expression).key
    assert values_are_near(found.best.expression, first.best.expression, samples)


def test_fewer_independent_samples_give_no_longer_expressions():
    samples, first = small()
    found = searched(samples, SMALL, independent=30.0)
    assert found.independent == 30.0
    assert found.best.num_constants <= first.best.num_constants


# --- what the grammar says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "grammar"),
    [
        (np.sqrt, Grammar((), division=False)),
        (lambda x: x**0.7, Grammar(("tanh",), division=False)),
        (lambda x: expit(4 * x - 6), Grammar(("exp",))),
        (lambda x: np.exp(-0.7 * x), Grammar(("log",), division=False)),
    ],
)
def test_forbidden_function_is_never_on_the_front(function, grammar):
    samples = samples_of(function, ("x_j",), low=0.2, num=100)
    found = searched(samples, grammar)
    check_front(samples, found)
    allowed = {*grammar.functions, *(["division"] if grammar.division else [])}
    assert all(operators_in(c.expression) <= allowed for c in found.front)


def test_required_function_is_always_on_the_front():
    samples = samples_of(lambda x: 1 / (1 + x), ("x_j",), num=100)
    grammar = Grammar(("tanh", "exp"), required=("exp",))
    found = searched(samples, grammar)
    assert all("exp" in operators_in(c.expression) for c in found.front)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x**2 + 3*x", set()),
        ("1/x", {"division"}),
        ("x**-0.5", {"sqrt", "division"}),
        ("x**1.3", {"power"}),
        ("x**y", {"power"}),
        ("sin(x)*Max(x, y)", {"sin", "max"}),
        ("exp(2)*Min(x, 3)", {"min"}),
        ("Abs(x) + sqrt(2)", {"abs"}),
    ],
)
def test_operators_of_an_expression(text, expected):
    assert operators_in(sympy.sympify(text)) == expected


def test_grammar_allows_what_it_names():
    x = sympy.Symbol("x")
    assert Grammar().allows(sympy.sin(x) / x**1.3)
    assert not Grammar(("sin",)).allows(x**1.3)
    assert not Grammar(division=False).allows(1 / x)
    assert not Grammar(required=("sin", "cos")).allows(sympy.exp(x))
    assert Grammar(required=("sin", "cos")).allows(sympy.cos(x))
    assert Grammar(required=("division",)).allows(1 / x)


def test_unknown_function_in_a_grammar_is_a_sentence():
    with pytest.raises(InputError, match=r"'tahn' \(did you mean 'tanh'\?\).*choose from exp, log"):
        Grammar(("exp", "tahn"))
    with pytest.raises(InputError, match="'cos' is required but not allowed"):
        Grammar(("exp",), required=("cos",))


# --- samples with little to find -----------------------------------------------------------------


@pytest.mark.parametrize("number", [2.5, 0.0, -1e-8])
def test_constant_values_give_a_constant(number):
    points = np.random.default_rng(0).uniform(0.0, 3.0, 60)
    samples = Samples.of(("x_j",), points, np.full(60, number))
    found = searched(samples, Grammar(("sin", "exp")))
    assert not found.best.expression.free_symbols
    assert float(found.best.expression) == pytest.approx(number)


@pytest.mark.parametrize("other", ["constant", "the same"])
def test_input_that_says_nothing_does_not_matter(other):
    samples = samples_of(lambda x, y: np.sin(1.3 * x), num=100)
    points = samples.points.copy()
    points[:, 1] = 2.0 if other == "constant" else points[:, 0]
    found = searched(Samples(BOTH, points, samples.values, samples.error), Grammar(("sin",)))
    value = values_of(found.best.expression, samples, points)
    np.testing.assert_allclose(value, np.sin(1.3 * points[:, 0]), atol=0.01)


def test_pure_noise_is_not_explained():
    generator = np.random.default_rng(4)
    samples = Samples.of(
        BOTH, generator.uniform(0.0, 3.0, (100, 2)), generator.normal(size=100), 1.0
    )
    assert searched(samples, Grammar(("exp",), division=False)).best.num_constants <= 1


# --- the enumeration engine ----------------------------------------------------------------------


KINDS = {
    "sum": (lambda x, y: 0.4 * x + 0.7 * x * y, Grammar((), division=False)),
    "inverse": (lambda x, y: 1 / (0.5 + x + 0.4 * x * y**2), Grammar(())),
    "root": (lambda x, y: np.sqrt(0.5 + x + 0.4 * y**2), Grammar()),
    "exponential": (lambda x, y: np.exp(0.4 * x - 0.3 * x * y), Grammar(("exp",), False)),
    "product": (lambda x, y: 0.3 * (x + y) * (1.5 - x) * y**2, Grammar((), division=False)),
    "ratio": (lambda x, y: (0.5 + x * y) / (1 + 0.3 * x + 0.8 * y), Grammar(())),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_term_is_proposed(kind):
    function, grammar = KINDS[kind]
    samples = samples_of(function, num=150)
    found = EnumerationEngine().propose(samples, grammar, 0, np.inf)
    rests = [(samples.values - values_of(e, samples)) / samples.error for e in found]
    assert np.nanmin([np.mean(rest**2) for rest in rests]) < 2.0


def test_proposals_hold_only_what_the_grammar_allows():
    samples = samples_of(lambda x, y: np.sqrt(x) / (1 + y), num=80)
    engine = EnumerationEngine(largest=2)
    for grammar in (
        Grammar(("abs",), division=False),
        Grammar(("sin", "max"), required=("max",)),
        Grammar(("sigmoid", "log")),
    ):
        found = engine.propose(samples, grammar, 0, np.inf)
        assert found
        assert all(grammar.allows(e) for e in found)
        assert all(e.free_symbols <= set(sympy.symbols(BOTH)) for e in found)


def test_past_deadline_only_sums_are_proposed():
    samples = samples_of(lambda x, y: 1 / (1 + x + y), num=80)
    grammar = Grammar((), division=False)
    engine = EnumerationEngine(largest=2)
    few = engine.propose(samples, grammar, 0, 0.0)
    assert few
    assert len(few) <= len(engine.propose(samples, grammar, 0, np.inf))


# --- wrong input ---------------------------------------------------------------------------------


def test_unknown_engine_is_a_sentence_with_the_nearest_match():
    samples = samples_of(lambda x, y: x, num=20)
    with pytest.raises(InputError, match=r"'sparce' \(did you mean 'sparse'\?\)"):
        search_term(samples, engines=("sparce",))
    assert [term_engine(name).name for name in ("sparse", "pysr")] == ["sparse", "pysr"]


def test_search_without_engines_is_a_sentence():
    with pytest.raises(InputError, match="no engine proposed"):
        search_term(samples_of(lambda x, y: x, num=20), engines=())


def test_functions_of_the_grammar_are_all_known():
    assert Grammar(FUNCTION_NAMES) == Grammar()


def test_a_missing_package_is_said_where_the_neural_terms_are_searched(monkeypatch):
    """Not taken for a search that found nothing."""
    monkeypatch.setitem(sys.modules, "pyoperon", None)
    x = np.linspace(0.1, 2.0, 40)
    samples = TermSamples(("x_i",), x[:, None], {"x": x**2}, {"x": np.full(40, 1e-3)})
    problem = SimpleNamespace(seed=0, grammar=Grammar())
    with pytest.raises(InputError, match=r"jaxllc\[operon\]"):
        neural_proposals._expressions(
            problem, neural_proposals.Reading(samples), "x", "self", ("operon",), 5.0
        )


class Fixed:
    """An engine that proposes one expression and counts how often it is asked."""

    def __init__(self, name, text):
        self.name, self.text, self.asked = name, text, 0

    def propose(self, samples, grammar, seed, deadline):
        self.asked += 1
        return [sympy.sympify(self.text)]


@pytest.mark.parametrize(("noise", "asked"), [(0.0, 0), (0.01, 1)])
def test_what_can_only_be_the_term_itself_ends_the_search(monkeypatch, noise, asked):
    first = Fixed("first", "1.4*x_i*exp(-0.6*x_i) + 0.6*x_j")
    first.plain = 1
    second = Fixed("second", "0.1*x_i")
    monkeypatch.setattr(
        "jaxllc.search.term.term_search.term_engine", {"first": first, "second": second}.get
    )
    samples = samples_of(lambda x, y: 1.5 * x * np.exp(-0.7 * x) + 0.5 * y, noise=noise)
    found = search_term(samples, ("first", "second"), 600.0, grammar=SMALL)
    assert found.best.num_constants == 3
    assert second.asked == asked
