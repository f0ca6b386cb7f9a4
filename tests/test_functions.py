"""Named functions: one value in text, numpy, jax and sympy; exact round trips; correct slopes."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.equations.expression_calculus import derivative
from jaxllc.equations.expression_calculus import evaluate as evaluate_term
from jaxllc.equations.expressions import constants, evaluate, parse, to_text
from jaxllc.equations.functions import sigmoid
from jaxllc.equations.normal_form import normal_form
from jaxllc.equations.tapes.law_tapes import law_tape
from jaxllc.errors import InputError
from jaxllc.law.law import Law
from tests.counted_calls import at_most_calls
from tests.random_texts import random_text

x, y = sympy.symbols("x_i x_j")
MOST_CALLS = 2_000_000  # a second or two
RANDOM = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]


def point(seed, size=7):
    rng = np.random.default_rng(1000 + seed)
    return {"x_i": rng.uniform(0.2, 2.0, size), "x_j": rng.uniform(0.2, 2.0, size)}


def by_sympy(expression, values):
    numbers = zip(values["x_i"], values["x_j"], strict=True)
    return [
        float(expression.subs({x: sympy.Float(p, 30), y: sympy.Float(q, 30)}).evalf(20))
        for p, q in numbers
    ]


# --- reading and writing ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", RANDOM)
def test_text_round_trips_exactly(seed):
    expression = parse(random_text(seed))
    assert parse(to_text(expression)) == expression


@pytest.mark.parametrize("seed", RANDOM)
def test_what_sympy_made_of_it_round_trips_too(seed):
    """Sympy drops arguments that it knows to be smaller; the parser leaves them."""
    expression = parse(random_text(seed)).subs({x: x + y, y: 2 * x})
    assert parse(to_text(expression)) == expression


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("max(x_j, 2, x_i)", "max(2, x_i, x_j)"),
        ("max(x_j, max(1, x_i), 2)", "max(2, x_i, x_j)"),
        ("-min(x_i, max(x_j, 1.5))**2", "-min(x_i, max(1.5, x_j))**2"),
        ("min(1.5, 2)", "1.5"),
        ("max(x_i, x_i)", "x_i"),
        ("sigmoid(2*x_i)", "sigmoid(2*x_i)"),
        ("1/(1 + exp(-x_i))", "1/(1 + exp(-x_i))"),
        ("hill(x_j, 2, 2)", "x_j**2/(x_j**2 + 4)"),
        ("hill(x_j, k_i, 1.5)", "x_j**1.5/(k_i**1.5 + x_j**1.5)"),
        ("hill(x_j, 1, -1)", "1/x_j/(1 + 1/x_j)"),
    ],
)
def test_what_is_written(text, written):
    assert to_text(parse(text)) == written


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("max(x_i)", "'max' takes two or more arguments, not 1"),
        ("min()", "'min' needs an argument"),
        ("sin()", "'sin' needs an argument"),
        ("sin(x_i, x_j)", "'sin' takes 1 argument, not 2"),
        ("sigmoid(x_i, 1)", "'sigmoid' takes 1 argument, not 2"),
        ("hill(x_i, 2)", "'hill' takes 3 arguments, not 2"),
        ("hill(x_i, 2, x_j)", "not a number"),
        ("hill(x_i, 2, 200)", "exponent"),
        ("hill(0, 0, 2)", "real number"),
        ("hill(1, -1, 3)", "real number"),
        ("max", "needs an argument"),
        ("hill + 1", "needs an argument"),
        ("(x_i, x_j)", "Unexpected ','"),
        ("x_i, x_j", "Unexpected ','"),
        ("max(x_i,, x_j)", "found ','"),
        ("max(x_i, x_j", "parenthesis is missing"),
        ("max(1/0, x_i)", "real number"),
        ("max(a, b, c, d, e, f, g, h, i, j, k)", "More than 10"),
        ("Max(x_i, x_j)", "Unknown function 'Max'"),
    ],
)
def test_a_wrong_call_is_refused_with_a_sentence(text, part):
    with pytest.raises(InputError) as error:
        parse(text)
    assert part in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "max(" + ",".join(["x_i"] * 6000) + ")",
        "max(" + ",".join(f"abs(x{n})" for n in range(1500)) + ")",
        "abs(" + "max(abs(x_i), min(x_j, 2*" * 18 + "x_i" + "))" * 18 + ")",
        "abs(" * 15 + "max(abs(a), b, c, d, e, min(abs(f), g, h))" + ")" * 15,
        "max(" * 39 + "x_i" + ", x_j)" * 39,
        "+".join(["max(min(x_i, a), min(x_j, b))"] * 600),
        "hill(" * 30 + "x_i" + ", 2, 99)" * 30,
        "sigmoid(" * 39 + "x_i" + ")" * 39,
        "sigmoid(exp(exp(9)))",
        "max(9**9**9, x_i)",
        "," * 20_000,
    ],
    ids=range(11),
)
def test_no_text_takes_long(text):
    with at_most_calls(MOST_CALLS), contextlib.suppress(InputError):
        parse(text)


def test_a_law_with_these_functions_survives_a_file(tmp_path):
    equation = Equation.from_text("-max(x_i, 0.5)*abs(x_i)", "sigmoid(3.5*x_j) + hill(x_j, 2, 1.7)")
    Law(equations={"x": equation}).save(tmp_path / "law.json")
    loaded = jaxllc.load_law(tmp_path / "law.json")
    assert loaded.equations == {"x": equation}
    assert "-abs(x_i)*max(0.5, x_i)" in str(loaded)
    assert r"\max" in loaded.latex()


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", RANDOM)
def test_values_agree_with_sympy_and_with_jax(seed):
    expression, values = parse(random_text(seed)), point(seed)
    expected = by_sympy(expression, values)
    found = evaluate(expression, values)
    np.testing.assert_allclose(np.broadcast_to(found, 7), expected, rtol=1e-12, atol=1e-13)
    memo = {sympy.Symbol(name): value for name, value in values.items()}
    np.testing.assert_allclose(
        np.broadcast_to(evaluate_term(expression, memo), 7), expected, rtol=1e-12, atol=1e-13
    )
    with jax.enable_x64(True):
        found = evaluate(expression, {n: jnp.asarray(v) for n, v in values.items()}, jnp)
    np.testing.assert_allclose(np.broadcast_to(found, 7), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("seed", RANDOM)
def test_gradients_equal_finite_differences(seed):
    expression, values = parse(random_text(seed)), point(seed, 1)
    for name, symbol in (("x_i", x), ("x_j", y)):
        moved = [{**values, name: values[name] + step} for step in (1e-6, -1e-6)]
        above, below = (float(np.sum(evaluate(expression, v))) for v in moved)
        expected = (above - below) / 2e-6
        with jax.enable_x64(True):
            slope = jax.grad(lambda v: evaluate(expression, {**values, name: v}, jnp).sum())  # noqa: B023
            found = float(slope(jnp.asarray(values[name]))[0]) if expression.free_symbols else 0.0
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)
        memo = {sympy.Symbol(n): v for n, v in values.items()}
        written = np.sum(evaluate_term(derivative(expression, symbol), memo))
        assert written == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_on_a_tie_the_slopes_add_up_to_one():
    tie = {x: np.array([1.5]), y: np.array([1.5])}
    slopes = [evaluate_term(derivative(parse("max(x_i, x_j)"), s), dict(tie)) for s in (x, y)]
    np.testing.assert_array_equal(slopes, [[0.5], [0.5]])


def test_a_second_derivative_is_that_of_almost_everywhere():
    second = derivative(derivative(parse("x_i*max(x_i, x_j) + abs(x_i)"), x), x)
    memo = {x: np.array([2.0, 0.5]), y: np.array([1.0, 1.0])}
    np.testing.assert_array_equal(evaluate_term(second, memo), [2.0, 0.0])


def test_a_square_root_is_evaluated_as_one():
    for text in ("sqrt(x_i)", "1/sqrt(x_i)", "x_i**1.5", "x_i**(-3/2)", "x_i**1.7"):
        found = evaluate_term(parse(text), {x: np.array([4.0])})
        assert found == pytest.approx(by_sympy(parse(text), {"x_i": [4.0], "x_j": [1.0]})[0])


def test_the_logistic_function_saturates_without_overflow():
    values = np.array([-1e4, -50.0, 0.0, 50.0, 1e4])
    expected = [0.0, 1.9287498479639178e-22, 0.5, 1.0, 1.0]
    found = evaluate(parse("sigmoid(x_i)"), {"x_i": values})
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-300)
    slope = jax.vmap(jax.grad(lambda v: evaluate(parse("sigmoid(x_i)"), {"x_i": v}, jnp)))
    np.testing.assert_allclose(
        slope(jnp.asarray(values)), [0.0, 0.0, 0.25, 0.0, 0.0], rtol=1e-6, atol=1e-20
    )


def test_a_sigmoid_of_a_number_has_a_value():
    assert float(sigmoid(sympy.Float(0.3))) == pytest.approx(1 / (1 + np.exp(-0.3)))
    ((_, value),) = normal_form(parse("sigmoid(2)")).items()
    assert value == pytest.approx(1 / (1 + np.exp(-2)))
    assert evaluate(parse("max(sigmoid(2), pi)"), {}) == pytest.approx(np.pi)


def test_laws_that_differ_in_constants_only_share_their_instructions():
    first, second = (
        parse("max(x_i, 2*x_j, 0.5) + sigmoid(3*x_i)"),
        parse("max(7*x_j, 9.5, x_i) + sigmoid(0.25*x_i)"),
    )
    assert law_tape(first).instructions == law_tape(second).instructions
    assert sorted(constants(first)) == [0.5, 2.0, 3.0]
    least, most = law_tape(parse("min(x_i, 2)")), law_tape(parse("max(x_i, 2)"))
    assert least.instructions != most.instructions
