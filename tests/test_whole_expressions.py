"""Expressions stay as they are written: no value is lost, and a saved law reads back."""

import mpmath
import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.dynamics.terms import SELF, Term, TermFamily, inner_symbol
from jaxllc.equations.equation import Equation
from jaxllc.equations.expression_building import representable, sum_of
from jaxllc.equations.expressions import evaluate, parse, to_text
from jaxllc.equations.functions import sigmoid
from jaxllc.errors import InputError
from jaxllc.law.law import Law
from jaxllc.law.writing.law_text import equation_line, rounded
from tests.counted_calls import at_most_calls

x, y = sympy.symbols("x_i x_j")


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        ("exp(-(x_i - 100000)/2)", 100001.0, np.exp(-0.5)),
        ("exp(x_i + 1e5)", -1e5 + 1, np.e),
        ("1/(1 + exp(-3*(x_i - 1e9)))", 1e9 + 1, 1 / (1 + np.exp(-3.0))),
        ("0.7123*(x_i - 1e9)*(x_j - 1e9)", 1e9 + 0.5, 0.7123 * 0.25),
        ("2**(x_i - 2000)", 2001.0, 2.0),
        ("tanh(1000*(x_i - 0.001) - 800)", 0.801, np.tanh(0.0)),
    ],
)
def test_a_sum_with_a_large_number_stays_whole(text, at, value):
    """Also where it is read, rounded, printed and read again."""
    expression = parse(text)
    for e in (expression, parse(to_text(expression)), parse(str(rounded(expression)))):
        got = evaluate(e, {"x_i": np.array(at), "x_j": np.array(at)})
        np.testing.assert_allclose(got, value, rtol=1e-6, atol=1e-9)
    assert representable(rounded(expression))


def test_inner_constants_of_a_term_do_not_leave_the_range_of_a_double():
    for function in (sympy.exp, sigmoid):
        family = TermFamily(SELF, function(inner_symbol(0) * x + inner_symbol(1)), (False, False))
        term = Term(family, (1.0, -1e5)).sympy()
        assert representable(term)
        assert evaluate(parse(to_text(term)), {"x_i": 1e5}) == pytest.approx(
            float(function(sympy.Integer(0)).evalf())
        )


def value(e, at):
    """An expression's value by walking its tree, in 40 digits."""
    if e.is_Symbol:
        return at[e.name]
    if e.is_Rational:
        return mpmath.mpf(e.p) / e.q
    if e.is_Number:
        return mpmath.mpf(e._mpf_)
    if e.is_NumberSymbol:
        return +getattr(mpmath, {"Exp1": "e", "Pi": "pi"}[type(e).__name__])
    parts = [value(a, at) for a in e.args]
    if e.is_Add or e.is_Mul:
        return (mpmath.fsum if e.is_Add else mpmath.fprod)(parts)
    if e.is_Pow:
        return parts[0] ** parts[1]
    known = {"Min": min, "Max": max, "Abs": abs, "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u))}
    name = type(e).__name__
    return known.get(name, getattr(mpmath, name, None))(*parts)


def drawn(random, depth, evaluated):
    if depth == 0 or random.random() < 0.12:
        leaves = [
            x,
            y,
            sympy.pi,
            sympy.Float(random.normal()),
            sympy.Float(random.choice([-1, 1]) * 10.0 ** random.uniform(-320, 308)),
            sympy.Float(1e5),
            sympy.Integer(int(random.integers(-5, 6))),
            sympy.Integer(10) ** int(random.integers(1, 130)),
            sympy.Rational(int(random.integers(-9, 9)), int(random.integers(1, 9))),
        ]
        return leaves[random.integers(len(leaves))]
    parts = [drawn(random, depth - 1, evaluated) for _ in range(random.integers(2, 4))]
    kind = random.integers(8)
    if kind < 2:
        return sympy.Add(*parts, evaluate=evaluated)
    if kind < 4:
        return sympy.Mul(*parts, evaluate=evaluated)
    if kind == 4:
        exponents = [-1, 2, -3, sympy.Rational(1, 2), sympy.Rational(-2, 3), sympy.Float(0.7)]
        return sympy.Pow(parts[0], exponents[random.integers(len(exponents))], evaluate=evaluated)
    if kind == 5:
        return sympy.Max(x, parts[0], evaluate=False)
    functions = [sympy.exp, sympy.log, sympy.tanh, sympy.cosh, sigmoid, sympy.Abs]
    return functions[random.integers(len(functions))](parts[0], evaluate=evaluated)


def test_what_is_saved_is_read_with_the_same_values_or_refused(tmp_path):
    """Random trees with huge, tiny and exact constants, as sympy makes them and as they stand."""
    compared = 0
    mpmath.mp.dps = 40
    for seed in range(250):
        random = np.random.default_rng(seed)
        try:
            e = drawn(random, 3, bool(seed % 2))
        except (ValueError, TypeError, OverflowError):
            continue  # sympy makes no such tree
        try:
            Law({"x": Equation(sympy.Integer(0), e)}).save(tmp_path / "law.json")
        except InputError:
            continue
        read = jaxllc.load_law(tmp_path / "law.json").equations["x"].interaction_term
        assert representable(read)
        for a, b in (("0.7", "1.3"), ("-1.1", "0.4")):
            at = {"x_i": mpmath.mpf(a), "x_j": mpmath.mpf(b)}
            try:
                expected = value(e, at)
            except (ZeroDivisionError, ValueError, OverflowError, TypeError):
                continue
            if isinstance(expected, mpmath.mpc) or not mpmath.isfinite(expected):
                continue
            assert abs(value(read, at) - expected) <= 1e-9 * abs(expected), (seed, e)
            compared += 1
    assert compared > 150


@pytest.mark.parametrize(
    "e",
    [
        sympy.oo,
        sympy.zoo * x,
        sympy.nan,
        x + sympy.I,
        sympy.exp(x + 1e5),
        sympy.Float("1e-400") * x,
        sympy.Integer(10) ** 400,
        x ** sympy.Integer(200),
        sympy.Symbol("__import__('os')"),
        sympy.Symbol("exp"),
        sympy.Function("f")(x),
    ],
)
def test_what_is_no_finite_number_is_not_written(e, tmp_path):
    with pytest.raises(InputError):
        Law({"x": Equation(e, sympy.Integer(0))}).save(tmp_path / "law.json")
    assert not (tmp_path / "law.json").exists()


@pytest.mark.parametrize("depth", [8, 19, 80])
@pytest.mark.parametrize(
    "outer", ["tanh(exp({}))", "sinh(abs({}))", "max(exp({}), x_j)", "log(abs({}))"]
)
def test_nested_functions_are_read_with_little_work(outer, depth):
    text = "x_i"
    for _ in range(depth):
        text = outer.format(text)
    with at_most_calls(200_000):
        if depth == 80:
            with pytest.raises(InputError, match="nested"):
                parse(text)
        else:
            assert parse(to_text(parse(text))) == parse(text)
            assert equation_line("x", Equation(parse(text), sympy.Integer(0)))


@pytest.mark.parametrize(
    "text", ["x_i**60*x_i**60", "exp(500)*exp(500)*x_i", "1/(x_i - x_i)", "0.0**-1"]
)
def test_what_is_put_together_is_checked_too(text):
    with pytest.raises(InputError):
        parse(text)


def test_sums_within_sums_keep_their_parentheses():
    text = "(x_i - 100000) + 0.25 - 3*(x_j - 100000)"
    expression = parse(text)
    assert str(expression) == "(x_i - 100000) - 3*(x_j - 100000) + 0.25"
    assert parse(to_text(expression)) == expression
    assert sum_of([x, y, x, sympy.Integer(2), -y]) == 2 * x + 2


def test_a_power_of_zero_is_one_whatever_wrote_the_zero():
    text = to_text(parse("hill(tanh(1)**0.5, cos(.25), (0**0.5)**100)"))
    assert to_text(parse(text)) == text
    assert evaluate(parse(text), {}) == pytest.approx(0.5)
