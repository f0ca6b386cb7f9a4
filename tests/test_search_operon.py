"""The Operon engine: known terms are among its proposals, whatever the units, the same for a seed."""

import sys

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.errors import InputError
from jaxllc.search.engines.operon import OperonEngine, expression_of
from jaxllc.search.forms.grammar import Grammar, operators_in
from jaxllc.search.forms.term_samples import Samples

QUICK = OperonEngine(population_size=250, generations=12)


@pytest.fixture
def operon():
    return pytest.importorskip("pyoperon", reason="pyoperon has no wheel for this platform")


def samples_of(function, low=0.0, high=3.0, num=200, seed=0, factor=1.0):
    generator = np.random.default_rng(seed)
    points = generator.uniform(low, high, (num, 2))
    values = function(*points.T)
    error = 0.005 * values.std()
    noisy = values + error * generator.normal(size=num)
    return Samples.of(("x_i", "x_j"), points * factor, noisy, error)


def smallest_misfit(expressions, samples):
    """Root mean square of the residuals in standard errors, of the expression that fits best."""
    symbols = sympy.symbols(samples.names)
    values = [sympy.lambdify(symbols, e, "numpy")(*samples.points.T) for e in expressions]
    return min(np.sqrt(np.mean(((v - samples.values) / samples.error) ** 2)) for v in values)


def of_form(expressions, form):
    """Whether an expression is of a form, whose wild symbols stand for numbers, up to an offset."""
    return any(e.match(form) or e.match(form + OFFSET) for e in expressions)


A, B, OFFSET = (sympy.Wild(name, properties=[lambda e: e.is_Float]) for name in "abc")
X_I, X_J = sympy.symbols("x_i x_j")
TERMS = {
    "exp": (lambda x, y: x * np.exp(-0.7 * y), A * X_I * sympy.exp(B * X_J)),
    "sqrt": (lambda x, y: np.sqrt(x) + 0.3 * y, A * sympy.sqrt(X_I) + B * X_J),
    "tanh": (lambda x, y: 0.6 * np.tanh(1.2 * x), A * sympy.tanh(B * X_I)),
}


@pytest.mark.parametrize("name", TERMS)
def test_known_term_is_proposed(operon, name):
    function, form = TERMS[name]
    samples = samples_of(function)
    found = QUICK.propose(samples, Grammar(functions=(name,)), 0, np.inf)
    assert smallest_misfit(found, samples) < 1.2
    assert of_form(found, form)


def test_same_seed_gives_the_same_expressions(operon):
    samples = samples_of(lambda x, y: x / (1 + 0.5 * y))
    engine = OperonEngine(population_size=50, generations=5)
    first = engine.propose(samples, Grammar(), 7, np.inf)
    assert first == engine.propose(samples, Grammar(), 7, np.inf)
    assert first != engine.propose(samples, Grammar(), 8, np.inf)
    assert len(first) > 5


def test_units_of_the_inputs_do_not_matter(operon):
    # Powers of two leave the scaled samples the same to the last bit.
    grammar = Grammar(functions=("exp",))
    small = samples_of(TERMS["exp"][0])
    large = samples_of(TERMS["exp"][0], factor=1024.0)
    for_small = QUICK.propose(small, grammar, 1, np.inf)
    for_large = QUICK.propose(large, grammar, 1, np.inf)
    assert of_form(for_large, TERMS["exp"][1])
    expected = smallest_misfit(for_small, small)
    assert smallest_misfit(for_large, large) == pytest.approx(expected, rel=1e-3)


def test_only_what_the_grammar_allows_is_proposed(operon):
    samples = samples_of(lambda x, y: np.sin(x) / (1 + y))
    engine = OperonEngine(population_size=50, generations=5)
    for grammar in (
        Grammar(functions=("abs",), division=False),
        Grammar(functions=("exp", "tanh"), required=("tanh",)),
        Grammar(functions=("min", "sigmoid")),
        Grammar(functions=("sin", "cos"), required=("cos",)),
        Grammar(required=("sigmoid",)),
    ):
        found = engine.propose(samples, grammar, 0, np.inf)
        assert found
        for expression in found:
            assert operators_in(expression) <= {*grammar.functions, "division"}
            assert grammar.allows(expression)
            assert expression.free_symbols <= {X_I, X_J}


def test_samples_with_large_errors_count_less(operon):
    generator = np.random.default_rng(3)
    points = generator.uniform(0.0, 3.0, (400, 1))
    rough = np.arange(400) % 2 == 0
    error = np.where(rough, 30.0, 0.01)
    values = 2.0 * points[:, 0] ** 2 + error * generator.normal(size=400)
    samples = Samples.of(("x_i",), points, values, error)
    found = OperonEngine(population_size=50, generations=5).propose(
        samples, Grammar(functions=()), 0, np.inf
    )
    good = Samples.of(("x_i",), points[~rough], values[~rough], 0.01)
    assert smallest_misfit(found, good) < 1.5


def test_past_deadline_nothing_is_searched(operon):
    samples = samples_of(lambda x, y: x * y)
    assert OperonEngine().propose(samples, Grammar(), 0, 0.0) == []


def test_expression_of_a_tree_has_the_values_of_operon(operon):
    points = np.random.default_rng(0).uniform(0.5, 2.0, (8, 2))
    dataset = operon.Dataset(np.asfortranarray(np.column_stack([points, points[:, 0]])))
    variables = sorted(dataset.Variables, key=lambda variable: variable.Index)
    column = {variables[0].Hash: 0, variables[1].Hash: 1}
    names = (
        "+",
        "-",
        "*",
        "/",
        "fmin",
        "fmax",
        "exp",
        "log",
        "sqrt",
        "sin",
        "tanh",
        "abs",
        "square",
    )
    kinds = {operon.Node(kind).Name: kind for kind in operon.NodeType}
    for name in names:
        function = operon.Node(kinds[name])
        leaves = []
        for k in range(function.Arity):
            leaf = operon.Node.Variable(1.5 + k)
            leaf.HashValue = variables[k].Hash
            leaves.append(leaf)
        tree = operon.Tree([*leaves, function]).UpdateNodes()
        expression = expression_of(tree, [X_I, X_J], column)
        ours = sympy.lambdify([X_I, X_J], expression, "numpy")(*points.T)
        table, rows = operon.DispatchTable(), operon.Range(0, 8)
        theirs = operon.Evaluate(table, tree, dataset, rows).reshape(-1)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=name)


def test_missing_package_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoperon", None)
    with pytest.raises(InputError, match=r"pip install 'jaxllc\[operon\]'"):
        OperonEngine().propose(samples_of(lambda x, y: x), Grammar(), 0, np.inf)


def test_a_missing_package_is_named_before_anything_is_searched(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoperon", None)
    runs = jaxllc.Trajectories(np.arange(9.0), np.ones((9, 3)))
    network = jaxllc.Network.from_edges([0, 1], [1, 2])
    with pytest.raises(InputError, match=r"pip install 'jaxllc\[operon\]'"):
        jaxllc.discover(runs, network, engines=("sparse", "operon"))
