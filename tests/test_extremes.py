"""min and max, free exponents and logarithms in the normal form: one law, or another law."""

import math

import numpy as np
import pytest

from jaxllc.equations.expressions import evaluate, parse
from jaxllc.equations.normal_form import combined, normal_form
from jaxllc.equations.term_shape import inner_constants, number_of_constants, symbols_in
from jaxllc.errors import InputError
from jaxllc.metrics import skeleton, skeleton_equal, worst_coefficient_error
from tests.skeleton_pairs import assert_one_skeleton, assert_two_skeletons

SAME = [
    ("max(x_i, y_i)", "3*max(0.5*x_i, 7*y_i)"),
    ("max(x_i, y_i)", "-min(-x_i, -2*y_i)"),
    ("max(x_i, x_j)", "max(2*x_i, 2*x_j)"),
    ("max(x_i, x_j)", "max(x_j, x_i, x_i - 1)"),
    ("max(x_i, max(x_j, y_i))", "max(max(x_i, 2*y_i), x_j)"),
    ("max(x_i, 0.5)", "max(3*x_i, 2)"),
    ("max(0, x_i - 1)", "2*max(3*x_i - 5, 0)"),
    ("1 + max(x_i, y_i)", "max(x_i + 1, y_i + 1)"),
    ("max(max(x_i + 1, y_i + 1), x_j)", "max(x_i + 2, y_i + 2, x_j)"),
    ("max(x_i + 1, 2*x_i)", "max(2*x_i + 1, x_i)"),
    ("abs(x_i)", "max(x_i, -x_i)"),
    ("abs(x_i)", "-min(x_i, -x_i)"),
    ("max(abs(x_i), 1)", "max(2*x_i, -2*x_i, 3)"),
    ("1/(1 + max(x_i, x_j))", "2/(3 + max(4*x_i, 4*x_j))"),
    ("x_j*min(x_i, y_i)", "min(x_i, y_i)*x_j"),
    ("max(x_i, y_i)/max(x_i, y_i)", "1"),
    ("sigmoid(3*(x_j - 1))", "1/(1 + exp(-x_j + 2))"),
    ("1 - sigmoid(3*x_j)", "sigmoid(-x_j)"),
    ("0.5 + 0.5*tanh(x_j)", "sigmoid(x_j)"),
    ("hill(x_j, 2, 2)", "3*x_j**2/(x_j**2 + 5)"),
    ("hill(x_j, 2, 1.7)", "hill(x_j, 0.5, 2.3)"),
    ("hill(x_j, 2, 1.7)", "1/(1 + 2*x_j**-2.3)"),
    ("hill(x_j, 2, 1.7)", "1 - 1/(1 + 3*x_j**2.3)"),
    ("x_i**1.7", "2*x_i**2.3"),
    ("x_i**1.5", "x_i*sqrt(x_i)"),
    ("x_i**3", "x_i**1.3*x_i**1.7"),
    ("exp(x_i)*exp(2*y_i)", "exp(x_i + y_i)"),
    ("log(x_i*y_i)", "log(x_i) + log(y_i)"),
    ("log(2*x_i**2)", "log(x_i) + 1"),
    ("log(x_i + x_i**2)", "log(x_i) + log(1 + 3*x_i)"),
    ("log(y_i*exp(x_i))", "log(y_i) + x_i"),
    ("abs(x_i*y_i + x_i)", "abs(x_i)*abs(1 + 2*y_i)"),
]

DIFFERENT = [
    ("max(x_i, x_j)", "min(x_i, x_j)"),
    ("max(x_i, x_j)", "max(x_i, 1.5*x_j)"),
    ("max(x_i, y_i)", "max(x_i, y_i, x_j)"),
    ("max(x_i, 0.5)", "max(x_i, 0)"),
    ("max(x_i, 0.5)", "x_i"),
    ("max(0, x_i)", "max(0, -x_i)"),
    ("max(0, x_i)", "abs(x_i)"),
    ("max(0, x_j - x_i)", "max(0, x_i - x_j)"),
    ("max(0, x_i - 1)", "max(0, x_i)"),
    ("max(x_i, y_i)", "max(x_i, y_i**2)"),
    ("x_i**1.7", "x_i**2"),
    ("x_i**1.7", "x_i"),
    ("x_i**1.7", "x_i**1.5"),
    ("x_i**1.7", "sqrt(x_i)"),
    ("x_i**1.7", "x_i**1.7 + x_i**2.3"),
    ("x_i**2", "x_i**3"),
    ("hill(x_j, 2, 1.7)", "hill(x_j, 2, 2)"),
    ("log(x_i*y_i)", "log(x_i + y_i)"),
]
TEXTS = sorted({text for pair in SAME + DIFFERENT for text in pair})


@pytest.mark.parametrize(("a", "b"), SAME)
def test_one_skeleton_written_in_two_ways(a, b):
    assert_one_skeleton(a, b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_two_skeletons(a, b):
    assert_two_skeletons(a, b)


def value_of(terms, point):
    """The value of a normal form, by its definition."""
    functions = {"sum": float, "sigmoid": lambda v: 1 / (1 + math.exp(-v)), "abs": abs}
    total = 0.0
    for monomial, coefficient in terms.items():
        product = coefficient
        for (kind, argument), power in monomial:
            if kind == "symbol":
                value = point[argument]
            elif kind in ("min", "max"):
                values = [value_of(dict(part), point) for part in argument]
                value = min(values) if kind == "min" else max(values)
            else:
                function = functions.get(kind) or getattr(math, kind)
                value = function(value_of(dict(argument), point))
            product *= value**power
        total += product
    return total


@pytest.mark.parametrize("text", TEXTS)
def test_the_normal_forms_have_the_values_of_the_expression(text):
    rng = np.random.default_rng(0)
    terms = normal_form(parse(text))
    for _ in range(5):
        point = {name: rng.uniform(0.2, 2.5) for name in ("x_i", "x_j", "y_i")}
        expected = float(evaluate(parse(text), point))
        assert value_of(terms, point) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert value_of(combined(terms), point) == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_an_extreme_keeps_its_skeleton_and_value_however_it_is_written(seed):
    rng = np.random.default_rng(seed)
    names = ["x_i", "x_j", "y_i", "x_i*y_i", "x_j**2", "sin(x_i)"]
    count = int(rng.integers(2, 5))

    def argument():
        chosen = rng.choice(names, size=rng.integers(0, 3), replace=False)
        parts = [f"{rng.uniform(-2, 2):.4f}*{name}" for name in chosen]
        return " + ".join([*parts, *([f"{rng.uniform(-1, 1):.4f}"] if rng.random() < 0.5 else [])])

    arguments = [argument() or "0" for _ in range(count)]
    size = round(rng.uniform(0.1, 4), 3)
    order = rng.permutation(count)
    first = f"max({', '.join(arguments)})"
    scaled = f"max({', '.join(f'{size}*({arguments[n]})' for n in order)})/{size}"
    negated = f"-min({', '.join(f'-({arguments[n]})' for n in order)})"
    nested = f"max({arguments[0]}, max({', '.join(arguments[::-1])}))"
    shifted = f"max({', '.join(f'{a} + 3*x_j**3' for a in arguments)}) - 3*x_j**3"
    reference = normal_form(parse(first))
    for text in (scaled, negated, nested, shifted):
        other = parse(text)
        assert skeleton_equal(other, parse(first)), text
        assert skeleton(other) == skeleton(parse(first))
        assert worst_coefficient_error(other, parse(first)) < 1e-6
        assert number_of_constants(normal_form(other)) == number_of_constants(reference)
    for _ in range(5):
        point = {name: rng.uniform(-2, 2) for name in ("x_i", "x_j", "y_i")}
        expected = float(evaluate(parse(first), point))
        assert value_of(reference, point) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "shown", "inside"),
    [
        ("3*max(x_i, 2*y_i)", "max(x_i, C*y_i)", (2.0,)),
        ("max(2*x_i, 2*x_j)", "max(x_i, x_j)", ()),
        ("max(x_i, 3.5)", "max(C, x_i)", (3.5,)),
        ("max(0, 2*x_i - 3)", "max(0, x_i + C)", (-1.5,)),
        ("min(0, x_i - x_j)", "min(0, x_i - x_j)", ()),
        ("x_i**1.7", "x_i**C", (1.7,)),
        ("x_i**2.5", "x_i**2.5", ()),
        ("x_i**-3", "x_i**-3", ()),
    ],
)
def test_the_text_and_the_constants_of_a_skeleton(text, shown, inside):
    assert skeleton(parse(text)) == shown
    ((monomial, _),) = normal_form(parse(text)).items()
    assert inner_constants(monomial) == pytest.approx(inside)
    assert number_of_constants({monomial: 1.0}) == 1 + len(inside)


def test_constants_inside_are_compared():
    assert worst_coefficient_error(parse("max(x_i, 2.1)"), parse("max(x_i, 2)")) == pytest.approx(
        0.05
    )
    assert worst_coefficient_error(parse("x_i**1.73"), parse("x_i**1.7")) == pytest.approx(
        0.03 / 1.7
    )


def test_a_number_is_left_of_numbers():
    assert normal_form(parse("max(2, sigmoid(0.5), pi) + min(1, 2)")) == pytest.approx(
        {(): math.pi + 1}
    )
    assert normal_form(parse("max(x_i + 1, x_i + 2) - x_i")) == pytest.approx({(): 2.0})


def test_the_symbols_of_an_extreme():
    ((monomial, _),) = normal_form(parse("max(x_i, sin(x_j), 2)")).items()
    assert symbols_in(monomial) == {"x_i", "x_j"}


def test_too_many_arguments_are_refused():
    sums = [" + ".join(f"max(a{m}_i, b{n}{m}_i)" for m in range(9)) for n in range(2)]
    with pytest.raises(InputError, match="more than 200"):
        normal_form(parse(f"max({', '.join(sums)})"))
