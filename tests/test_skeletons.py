"""Skeletons: every form has the value of its expression, and keys depend on neither values nor process."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sympy
from scipy.special import expit

from jaxllc.equations.functions import sigmoid
from jaxllc.equations.skeletons import (
    Skeleton,
    as_written,
    constant,
    description_length,
    parts_of,
    rebuilt,
    renumbered,
)
from jaxllc.search.forms.skeleton_forms import forms

X, Y = SYMBOLS = sympy.symbols("x_i x_j")
POINTS = np.random.default_rng(0).uniform(0.5, 2.0, (50, 2))
C = [constant(k) for k in range(6)]
HALF = sympy.Rational(1, 2)


def values_of(expression):
    """Values of an expression with numbers at the points, by numpy."""
    function = sympy.lambdify(SYMBOLS, expression, [{"sigmoid": expit}, "numpy"])
    return np.broadcast_to(function(*POINTS.T), len(POINTS))


def of_numbers(text):
    """An expression whose whole numbers are whole, and whose decimal ones are free."""
    names = {"x": X, "y": Y, "sigmoid": sigmoid}
    return sympy.sympify(text, locals=names)


TEXTS = {
    "ratio": "1.3*x*y/(5.0 + 0.9*x + 0.1*y)",
    "two ratios": "0.4*x/(1.0 + 0.3*x) + 1.2/(2.5 + y)",
    "product": "(1.1 + 0.4*x)*(0.7 + 0.9*y)",
    "tanh": "0.5*tanh(1.2*x - 0.3)",
    "sigmoid": "0.5*sigmoid(1.2*x - 0.3)",
    "cancelling sigmoid": "0.5*x - x*sigmoid(1.2*x - 0.3*y)",
    "decay": "0.3 + 1.2*exp(-0.7*x)",
    "logistic": "0.3/(1.0 + exp(-0.7*x))",
    "two waves": "0.3*sin(1.2*x) + 0.8*cos(1.2*x) + 0.1*y",
    "difference": "0.3*sin(1.2*x - 1.2*y)",
    "minimum": "0.3*Min(x, 1.1*y) + 0.2",
    "maximum": "0.3*Max(1.2*x - 0.2, 1.1*y, 0.4)",
    "distance": "0.3*Abs(x - 1.2)*y",
    "logarithm": "0.3*log(1.2 + x)",
    "hill": "1.3*x**2.3/(1.5 + x**2.3)",
    "power below": "0.4/(1.0 + 1.3*(1.1 + x)**-1.4)",
    "root": "sqrt(0.3 + 1.2*x*y)",
    "bell": "y*exp(-0.4*x**2)",
    "mixture": "0.4*tanh(1.5*x)*sin(1.3*y) + 0.1*exp(-0.2*y)",
}
EXPRESSIONS = {name: of_numbers(text) for name, text in TEXTS.items()}

# To first order in the argument.
EXPANSIONS = {
    sympy.sin: lambda u: u,
    sympy.tanh: lambda u: u,
    sympy.exp: lambda u: 1 + u,
    sigmoid: lambda u: HALF + u / 4,
}


def expanded(expression):
    """The expression with one of its functions taken to first order, for each of them."""
    return [
        expression.subs(part, EXPANSIONS[part.func](part.args[0]))
        for part in expression.atoms(*EXPANSIONS)
    ]


def is_near(a, b, tolerance=1e-9):
    return np.abs(a - b).max() <= tolerance * np.abs(b).max()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_form_has_the_value_of_the_expression(name):
    expression = EXPRESSIONS[name]
    value = values_of(expression)
    linear = [values_of(e) for e in expanded(expression)]
    found = list(forms(expression))
    exact = [s for s in found if is_near(values_of(s.numeric()), value)]
    # The others are the expression in the linear range of one of its functions.
    for skeleton in found:
        if skeleton not in exact:
            assert any(is_near(values_of(skeleton.numeric()), v) for v in linear), skeleton
    assert len(exact) >= 1
    assert len(found) - len(exact) <= len(linear)
    assert len({s.key for s in found}) == len(found)
    few = list(forms(expression, few=True))
    assert 1 <= len(few) <= 2
    assert all(is_near(values_of(s.numeric()), value) for s in few)
    # Numbering starts at nought and leaves nothing out.
    for skeleton in found:
        free = skeleton.expression.free_symbols - set(SYMBOLS)
        assert free == set(skeleton.constants)


@pytest.mark.parametrize(
    ("long", "num_constants"),
    [
        ("0.77 + 0.28*x + 0.99*y + 0.36*x*y", 3),  # (1.1 + 0.4 x)(0.7 + 0.9 y)
        ("0.5 - sigmoid(2.4*x)", 2),
        ("1.0 - 1.0/(1.0 + 2.5*x)", 2),
        ("0.3*sin(1.2*x) + 0.4*cos(1.2*x)", 3),
        ("0.25*x*(1.0 + tanh(0.6*x - 0.2*y))", 3),
        # 1.3 log(1 + 2.5 x) and y times it
        ("1.3*log(x + 0.4) + 1.1911779514364015 + 0.7*y", 3),
        ("1.3*y*log(x + 0.4) + 1.1911779514364015*y", 2),
        ("log((0.5 + 2.5*x)/(1.0 + 2.5*y))", 2),  # log(x + 0.2) - log(y + 0.4)
    ],
)
def test_shortest_form_has_few_constants(long, num_constants):
    expression = of_numbers(long)
    value = values_of(expression)
    exact = [s for s in forms(expression) if is_near(values_of(s.numeric()), value)]
    assert min(len(s.values) for s in exact) == num_constants


def test_a_ratio_and_a_constant_are_one_ratio_with_ones_where_they_nearly_are():
    # (0.56 x - y)/(2.6 + x + y), as a search with errors writes it.
    expression = of_numbers("1.559*(x + 1.668)/(x + y + 2.599) - 1.0")
    truth = values_of(of_numbers("(0.559*x - y)/(2.599 + x + y)"))
    found = [s for s in forms(expression) if len(s.values) == 2]
    assert len(found) == 1
    np.testing.assert_allclose(values_of(found[0].numeric()), truth, rtol=1e-9)


def test_nearly_cancelled_terms_are_left_out_within_their_share():
    # 0.52 x - x sigmoid(u) is 0.02 x - x tanh(u/2)/2, and 0.02 is small beside 0.52.
    expression = of_numbers("0.52*x - x*sigmoid(1.2*x - 0.3*y)")
    short = of_numbers("-0.5*x*tanh(0.6*x - 0.15*y)")
    found = [s for s in forms(expression) if is_near(values_of(s.numeric()), values_of(short))]
    assert len(found) == 1
    assert len(found[0].values) == 3


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_keys_are_equal_for_other_constants(name):
    skeleton = as_written(EXPRESSIONS[name])
    moved = skeleton.with_values([1.003 * v for v in skeleton.values])
    assert moved.key == skeleton.key
    again = as_written(moved.numeric())
    assert again.key == skeleton.key
    np.testing.assert_allclose(again.values, moved.values)


def test_keys_differ_for_other_expressions():
    keys = [as_written(e).key for e in EXPRESSIONS.values()]
    assert len(set(keys)) == len(keys)


def test_whole_numbers_are_no_constants():
    skeleton = as_written(of_numbers("2*x**2.0 + 0.5*y**0.5 + 3"))
    assert skeleton.values == (0.5,)
    assert skeleton.expression == 2 * X**2 + C[0] * sympy.sqrt(Y) + 3


def test_renumbered_constants_keep_their_values():
    expression = C[3] * X + C[1] * sympy.exp(C[3] * Y) + C[4]
    values = dict(zip(C, [9.0, 0.5, 9.0, -0.7, 1.5], strict=False))
    skeleton = renumbered(expression, values)
    assert len(skeleton.values) == 3
    assert set(skeleton.expression.free_symbols) == {X, Y, *C[:3]}
    numeric = expression.subs({c: values[c] for c in values})
    np.testing.assert_allclose(values_of(skeleton.numeric()), values_of(numeric))


def test_replaced_constants_keep_the_values_of_the_others():
    skeleton = as_written(EXPRESSIONS["mixture"])
    for k, symbol in enumerate(skeleton.constants):
        for new in (sympy.Integer(0), sympy.Integer(1), -skeleton.constants[k - 1]):
            smaller = skeleton.replaced({symbol: new})
            number = float(new) if new.is_number else -skeleton.values[k - 1]
            expected = skeleton.with_values(
                [*skeleton.values[:k], number, *skeleton.values[k + 1 :]]
            )
            assert len(smaller.values) < len(skeleton.values)
            np.testing.assert_allclose(
                values_of(smaller.numeric()), values_of(expected.numeric()), atol=1e-12
            )


def test_replaced_gives_none_where_nothing_finite_is_left():
    assert Skeleton(X / C[0], (2.0,)).replaced({C[0]: sympy.Integer(0)}) is None
    assert Skeleton(sympy.log(C[0]) * X, (2.0,)).replaced({C[0]: sympy.Integer(0)}) is None
    assert Skeleton(sympy.sqrt(C[0]) * X, (2.0,)).replaced({C[0]: sympy.Integer(-1)}) is None


def test_rebuilt_expression_equals_sympys_own_replacement():
    for expression in EXPRESSIONS.values():
        changes = {X: X + 2 * Y, Y: sympy.Float(0.3) * X}
        np.testing.assert_allclose(
            values_of(rebuilt(expression, changes)), values_of(expression.xreplace(changes))
        )


def test_parts_are_found_once_in_a_fixed_order():
    expression = sympy.sin(X) * sympy.exp(sympy.sin(X)) + sympy.sin(Y)
    found = parts_of(expression, sympy.sin)
    assert sorted(map(str, found)) == ["sin(x_i)", "sin(x_j)"]


def test_description_is_longer_with_every_constant_and_operation():
    per_constant = 2.5
    chain = [
        as_written(of_numbers(text))
        for text in ("x", "0.5*x", "0.5*x + 0.3", "0.5*x*y + 0.3", "0.5*x*exp(0.7*y) + 0.3")
    ]
    lengths = [description_length(s, per_constant) for s in chain]
    assert lengths == sorted(set(lengths))
    for skeleton in map(as_written, EXPRESSIONS.values()):
        length = description_length(skeleton, per_constant)
        dearer = description_length(skeleton, per_constant + 1)
        assert dearer - length == pytest.approx(len(skeleton.values))
        for symbol in skeleton.constants:
            smaller = skeleton.replaced({symbol: sympy.Integer(1)})
            assert description_length(smaller, per_constant) < length
            # What multiplies an expression comes on top of it.
        more = Skeleton(
            constant(len(skeleton.values)) * skeleton.expression, (*skeleton.values, 2.0)
        )
        assert description_length(more, per_constant) >= length + per_constant


def all_forms():
    """Forms of all expressions as text, with their values."""
    return "\n".join(
        f"{s.expression} {[format(v, '.10g') for v in s.values]}"
        for e in EXPRESSIONS.values()
        for s in forms(e)
    )


def test_forms_do_not_depend_on_the_seed_of_hashing():
    code = "from tests.test_skeletons import all_forms; print(all_forms())"
    other = "1" if os.environ.get("PYTHONHASHSEED") == "2" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": other, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == all_forms()
