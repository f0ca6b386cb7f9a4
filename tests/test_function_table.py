"""The table of functions: each record agrees with itself, and one more is one more function everywhere."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import metrics
from jaxllc.equations import functions
from jaxllc.equations.equation import Equation
from jaxllc.equations.expression_calculus import derivative
from jaxllc.equations.expression_calculus import evaluate as evaluate_columns
from jaxllc.equations.expressions import evaluate, parse, to_text
from jaxllc.equations.function_table import (
    TABLE,
    Function,
    OnArrays,
    bounded_exp,
    largest_exponent,
)
from jaxllc.equations.normal_form import normal_form
from jaxllc.equations.skeletons import as_written, from_sum
from jaxllc.equations.tapes.fitted_tapes import write_tape
from jaxllc.errors import InputError
from jaxllc.law.writing.term_text import parsed_term, term_text
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.refit import in_blocks, refit
from jaxllc.search.forms.term_samples import Samples
from tests.prior_problems import runs_of, small_network

X = sympy.Symbol("x_i")
SOFTPLUS = Function(
    "softplus",
    derivatives=(lambda u, c, f: f.sigmoid(u),),
    value=lambda u, xp: xp.logaddexp(u, 0.0),
    definition=lambda u, f: f.log(1 + f.exp(u)),
    positive=True,
    linear=(math.log(2.0), 0.5),
    pysr="softplus(u) = log(1 + exp(u))",
)


@pytest.fixture
def softplus():
    functions.register(SOFTPLUS)
    yield functions.FUNCTIONS["softplus"]
    functions.forget("softplus")


# --- every record --------------------------------------------------------------------------------

ONE_ARGUMENT = [name for name, record in TABLE.items() if record.whole and not record.more]


def inside(name):
    return np.linspace(0.3 if TABLE[name].lowest == 0 else -1.4, 1.4, 30)


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_values_of_a_record_agree_with_sympy(name):
    record, u = TABLE[name], inside(name)
    expected = [float(functions.FUNCTIONS[name](sympy.Float(v, 30)).evalf(20)) for v in u]
    for value in (record.of(np, u), record.exact_value(u), record.tape_value(np, u)):
        np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-15)
    with jax.enable_x64(True):
        for value in (record.of(jnp, jnp.asarray(u)), record.tape_value(jnp, jnp.asarray(u))):
            np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-15)
    if name != "sqrt":
        assert [record.of_number(v) for v in u] == pytest.approx(expected)


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_what_a_record_says_of_its_function_holds(name):
    record, u = TABLE[name], inside(name)
    value = record.exact_value
    slope = record.derivatives[0](u, value(u), OnArrays(np))
    numeric = (value(u + 1e-6) - value(u - 1e-6)) / 2e-6
    np.testing.assert_allclose(np.broadcast_to(slope, u.shape), numeric, rtol=1e-7, atol=1e-9)
    if record.parity:
        np.testing.assert_allclose(value(-u), record.parity * value(u), rtol=1e-14)
    if record.positive:
        assert value(u).min() >= 0
    if record.lowest > -np.inf:
        with np.errstate(invalid="ignore"):
            assert np.isnan(value(record.lowest - 0.1))
    if record.linear is not None:
        at, slope = map(float, record.linear)
        np.testing.assert_allclose(value(1e-6 * u), at + slope * 1e-6 * u, rtol=0, atol=3e-12)
    if record.definition is not None:
        by_numpy = record.definition(u, OnArrays(np))
        np.testing.assert_allclose(value(u), by_numpy, rtol=1e-13)


@pytest.mark.parametrize("name", ["min", "max"])
def test_slopes_of_the_extremes_are_those_of_the_argument_taken(name):
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 4.0])
    record = TABLE[name]
    value = record.of(np, a, b)
    by_a, by_b = (by(a, b, value, OnArrays(np)) for by in record.derivatives)
    np.testing.assert_array_equal(by_a, value == a)
    np.testing.assert_array_equal(by_b, value == b)


def test_exp_is_clamped_in_one_way_just_below_overflow():
    u = np.linspace(-700.0, largest_exponent(), 2001)
    np.testing.assert_array_equal(bounded_exp(u, np), np.exp(u))
    assert bounded_exp(np.array(1e5), np) == np.exp(largest_exponent())
    single = bounded_exp(jnp.asarray(1e5, jnp.float32), jnp)
    assert np.isfinite(single)
    assert single > 1e37
    # A law, a tape and the normal form agree on where it is.
    tape, start = write_tape(sympy.exp(sympy.Symbol("$0") * X), ("x_i",), [sympy.Symbol("$0")])
    start[0] = 1.0
    points = np.array([[640.0], [660.0]])
    samples = in_blocks(points, np.exp(points[:, 0]), 1e-280 * np.ones(2))
    found = refit([tape], start[None], samples, steps=0)
    assert found.chi_squared[0] < 1e-12
    assert evaluate(parse("exp(x_i)"), {"x_i": np.array([705.0])}) == np.exp(705.0)
    assert list(normal_form(parse("exp(x_i + 705)")).values()) == [pytest.approx(np.exp(705.0))]
    with pytest.raises(InputError, match="range of a double"):
        normal_form(parse("exp(x_i + 709)"))


def test_functions_beyond_the_usual_are_searched_on_request_only():
    assert "tan" not in Grammar().functions
    assert Grammar(("tan", "sinh")).allows(parse("tan(2*x_i) + sinh(x_i)"))
    with pytest.raises(InputError, match=r"no function 'sinhh' \(did you mean 'sinh'"):
        Grammar(("sinhh",))


@pytest.mark.parametrize(
    ("engine", "name", "rate", "shift"),
    [("sparse", "sinh", 1.4, 0.5), ("operon", "tan", 0.9, -0.1)],
)
def test_a_function_beyond_the_usual_is_found(engine, name, rate, shift):
    from jaxllc.search.term.term_search import search_term

    if engine == "operon":
        pytest.importorskip("pyoperon", reason="pyoperon has no wheel for this platform")
    points = np.random.default_rng(0).uniform(-1.3, 1.3, (200, 1))
    values = 1.7 * getattr(np, name)(rate * points[:, 0] + shift)
    samples = Samples.of(("x_i",), points, values)
    best = search_term(samples, (engine,), 5.0, 0, Grammar(("exp", "sin", name))).best
    assert best.expression.has(getattr(sympy, name))
    assert best.num_constants == 3
    found = evaluate(best.expression, {"x_i": points[:, 0]})
    np.testing.assert_allclose(found, values, atol=1e-9)


@pytest.mark.parametrize(
    ("record", "part"),
    [
        (Function("sin", "sin", (lambda u, c, f: f.cos(u),)), "already"),
        (Function("softplus", derivatives=SOFTPLUS.derivatives), "a definition"),
        (Function("softplus", "exp"), "one derivative"),
    ],
)
def test_a_record_that_cannot_be_entered_is_refused_with_a_sentence(record, part):
    with pytest.raises(InputError, match=part):
        functions.register(record)
    assert "softplus" not in TABLE
    with pytest.raises(InputError, match="registered"):
        functions.forget("sin")


# --- one more ------------------------------------------------------------------------------------


def test_a_function_that_was_forgotten_is_not_read(softplus):
    assert parse("softplus(x_i)").func is softplus
    functions.forget("softplus")
    with pytest.raises(InputError, match="Unknown function 'softplus'"):
        parse("softplus(x_i)")
    with pytest.raises(InputError, match="no function 'softplus'"):
        Grammar(("softplus",))
    functions.register(SOFTPLUS)


def test_a_new_function_is_read_and_written(softplus):
    text = "softplus(x_i) + 2.5*softplus(0.7*x_i - x_j)**2"
    expression = parse(text)
    assert to_text(expression) == text
    assert parse(to_text(expression)) == expression
    assert parsed_term(term_text(expression)) == expression
    assert r"\operatorname{softplus}{\left(x_{i} \right)}" in sympy.latex(expression)
    assert parse("softplus(0.5)") == pytest.approx(math.log1p(math.exp(0.5)))


def test_a_new_function_may_have_a_latex_command_of_its_own():
    functions.register(
        Function(
            "bent",
            derivatives=SOFTPLUS.derivatives,
            value=SOFTPLUS.value,
            definition=SOFTPLUS.definition,
            latex=r"\zeta",
        )
    )
    try:
        expression = parse("3*bent(x_i)**2")
        assert sympy.latex(expression) == r"3 \zeta^{2}\left(x_{i}\right)"
        assert sympy.latex(parse("bent(x_i)")) == r"\zeta\left(x_{i}\right)"
    finally:
        functions.forget("bent")


def test_a_new_function_has_values_and_derivatives(softplus):
    expression = parse("softplus(1.3*x_i)*x_i")
    u = np.linspace(-3.0, 3.0, 21)
    expected = np.log1p(np.exp(1.3 * u)) * u
    np.testing.assert_allclose(evaluate(expression, {"x_i": u}), expected, rtol=1e-14)
    np.testing.assert_allclose(evaluate_columns(expression, {X: u}), expected, rtol=1e-14)
    slope = np.log1p(np.exp(1.3 * u)) + 1.3 * u / (1 + np.exp(-1.3 * u))
    written = evaluate_columns(derivative(expression, X), {X: u})
    np.testing.assert_allclose(written, slope, rtol=1e-13)
    step = 1e-6
    moved = [evaluate_columns(expression, {X: u + s}) for s in (step, -step)]
    np.testing.assert_allclose(written, (moved[0] - moved[1]) / (2 * step), atol=1e-8)
    with jax.enable_x64(True):
        value, of_grad = jax.vmap(
            jax.value_and_grad(lambda x: evaluate(expression, {"x_i": x}, jnp))
        )(jnp.asarray(u))
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    np.testing.assert_allclose(of_grad, slope, rtol=1e-13)
    far = {"x_i": jnp.asarray(1e4)}
    assert np.isfinite(evaluate(expression, far, jnp))


def test_a_new_function_has_a_normal_form(softplus):
    form = normal_form(parse("2*softplus(x_i - 0.5)*(x_j + 1) + softplus(0)"))
    assert sorted(form.values()) == pytest.approx([math.log(2.0), 2.0, 2.0])
    written = from_sum(form).numeric()
    at = {"x_i": 0.7, "x_j": 1.1}
    expected = 2 * math.log1p(math.exp(0.2)) * 2.1 + math.log(2.0)
    assert evaluate(written, at) == pytest.approx(expected)
    # abs of what is positive is itself.
    assert normal_form(parse("abs(softplus(x_i))")) == normal_form(parse("softplus(x_i)"))


def test_a_tape_holds_a_new_function(softplus):
    skeleton = as_written(parse("1.5*softplus(2.0*x_i - 0.8)"))
    points = np.linspace(-2.0, 2.0, 200)[:, None]
    values = 0.9 * np.log1p(np.exp(1.4 * points[:, 0] - 0.3))
    tape, start = write_tape(skeleton.expression, ("x_i",), skeleton.constants)
    start[: len(skeleton.values)] = skeleton.values
    found = refit([tape], start[None], in_blocks(points, values, np.ones(200)), steps=60)
    fitted = skeleton.with_values(found.constants[0, :3]).numeric()
    np.testing.assert_allclose(evaluate(fitted, {"x_i": points[:, 0]}), values, atol=1e-8)
    assert found.chi_squared[0] < 1e-12


def test_engines_are_handed_a_new_function(softplus):
    from jaxllc.search.engines.operon import FUNCTION_SETS, _function_sets
    from jaxllc.search.engines.pysr import PySREngine

    grammar = Grammar(("exp", "softplus", "tan"))
    arguments = PySREngine().arguments(grammar, 0, 5.0)
    assert SOFTPLUS.pysr in arguments["unary_operators"]
    assert arguments["extra_sympy_mappings"]["softplus"] is softplus
    # Operon has a tan, and no way to be told of another function.
    assert ("tan",) in _function_sets(FUNCTION_SETS, grammar)
    assert not any("softplus" in s for s in _function_sets(FUNCTION_SETS, grammar))


def test_a_search_of_a_term_finds_a_new_function(softplus):
    from jaxllc.search.term.term_search import search_term

    points = np.random.default_rng(0).uniform(-2.0, 2.0, (200, 1))
    values = 1.7 * np.log1p(np.exp(2.5 * points[:, 0] - 1.0))
    samples = Samples.of(("x_i",), points, values)
    grammar = Grammar(("exp", "tanh", "softplus"))
    best = search_term(samples, ("sparse",), 5.0, 0, grammar).best.expression
    assert best.has(softplus), best
    np.testing.assert_allclose(evaluate(best, {"x_i": points[:, 0]}), values, atol=1e-6)


def test_a_law_with_a_new_function_is_discovered_end_to_end(softplus, tmp_path):
    def rate(x, A):
        return -x + 0.4 * (A @ np.logaddexp(0.0, 3.0 - 2.0 * x))

    runs, network = runs_of(small_network(), rate, 0.0, 4.0), small_network()
    names = ("exp", "tanh", "sigmoid", "softplus")
    law = jaxllc.discover(runs, network, functions=names, neural="never", moves=1)
    truth = {"x": Equation.from_text("-x_i", "0.4*softplus(3 - 2*x_j)")}
    assert metrics.skeleton_equal(law, truth), str(law)
    found = law.equations["x"].interaction_term
    u = np.linspace(0.0, 4.0, 20)
    expected = 0.4 * np.logaddexp(0.0, 3.0 - 2.0 * u)
    np.testing.assert_allclose(evaluate(found, {"x_j": u}), expected, rtol=1e-4)
    law.save(tmp_path / "law.json")
    assert jaxllc.load_law(tmp_path / "law.json").equations == law.equations
    assert "softplus" in str(law)
    assert "softplus" in law.latex()
