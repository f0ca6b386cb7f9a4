"""Comparison of equations: what is one law written in two ways, and what is another law."""

import math

import numpy as np
import pytest
import sympy

from jaxllc import known_laws
from jaxllc.data.trajectories import Trajectories
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse
from jaxllc.equations.normal_form import combined, normal_form
from jaxllc.equations.term_shape import inner_constants
from jaxllc.errors import InputError
from jaxllc.metrics import (
    adjusted_r2,
    coefficient_error,
    normalized_estimation_error,
    skeleton,
    skeleton_equal,
    term_recall,
    worst_coefficient_error,
)
from tests.skeleton_pairs import assert_one_skeleton, assert_two_skeletons

SAME = [
    ("x_i", "3.7*x_i"),
    ("-x_i", "x_i"),
    ("2", "0.1"),
    ("x_i**2", "1.5*x_i**2.0"),
    ("x_i**2", "1.5*x_i**2.0000000001"),
    ("x_i*x_j - x_j", "(2 - 3*x_i)*x_j"),
    ("x_j - x_i", "0.5*(x_j - x_i)"),
    ("x_i*(1 - x_i/5)*(x_i - 1)", "2*x_i**3 - x_i**2 + 0.5*x_i"),
    ("x_j**2/(x_j**2 + 1)", "3*x_j**2/(2*x_j**2 + 5)"),
    ("x_j**2/(x_j**2 + 1)", "1/(1 + 2*x_j**(-2))"),
    ("x_j**2/(x_j**2 + 1)", "2 - 2/(1 + 3*x_j**2)"),
    ("x_i*x_j/(5 + 0.9*x_i + 0.1*x_j)", "x_i*x_j/(0.1*x_j + 2*x_i + 1)"),
    ("x_i*x_j/(5 + 0.9*x_i + 0.1*x_j)", "2*x_i/(1 + 50/x_j + 9*x_i/x_j)"),
    ("sin(x_j - x_i)", "sin(2*(x_j - x_i))"),
    ("sin(x_j - x_i)", "0.3*sin(x_i - x_j)"),
    ("sin(x_j - x_i)", "sin(0.5*x_j - 0.5*x_i)"),
    ("sin(x_j - x_i)", "-cos(x_j - x_i + 1.5707963267948966)"),
    ("sin(x_j - x_i)", "sin(x_i - x_j + 3.141592653589793)"),
    ("cos(x_i - x_j)", "4*cos(x_j - x_i)"),
    ("tanh(x_j - x_i)", "tanh(2*x_i - 2*x_j)"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "1/(1 + exp(-x_j + 3))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "1/(1 + 20*exp(-2*x_j))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "exp(2*x_j - 1)/(1 + exp(2*x_j - 1))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "exp(2*x_j)/(3 + exp(2*x_j))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "1 - 1/(1 + exp(2*x_j - 1))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "0.5 + 0.5*tanh(2.5*(x_j - 1))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "0.5*(1 + tanh(x_j - 3))"),
    ("(2 - x_i)/(1 + exp(-10*(x_j - 1)))", "1/(1 + exp(2 - x_j)) - x_i/(1 + exp(2 - x_j))"),
    ("(2 - x_i)/(1 + exp(-10*(x_j - 1)))", "(2 - x_i)*(1 - 1/(1 + exp(10*(x_j - 1))))"),
    ("exp(-x_i)*x_i", "x_i*exp(2 - 3*x_i)"),
    ("exp(x_i - x_j)", "exp(x_i)/exp(x_j)"),
    ("log(x_i + 1)", "log(x_i + 3) - log(3)"),
    ("sqrt(x_i + 1)", "sqrt(2*x_i + 5)"),
    ("abs(x_i - x_j)", "abs(2*x_j - 2*x_i)"),
    ("x_i/(1 + x_i)", "x_i**2/(x_i + x_i**2)"),
    ("1/(1 + x_i)", "(3 + x_i)/((1 + x_i)*(3 + x_i))"),
    ("1/((1 + x_i)*(2 + x_j))", "1/((3 + x_i)*(1 + 4*x_j))"),
    ("1/(1 + x_i/(1 + x_j))", "(1 + x_j)/(1 + x_j + x_i)"),
    ("x_j**3", "x_j*x_j*x_j"),
    ("0", "x_i - x_i"),
]

DIFFERENT = [
    ("x_i", "x_j"),
    ("x_i", "x_i + 1"),
    ("x_i", "0"),
    ("x_i**2", "x_i**3"),
    ("x_i**2", "x_i**1.9"),
    ("x_j**2/(x_j**2 + 1)", "x_j/(x_j + 1)"),
    ("x_j**2/(x_j**2 + 1)", "x_j**2/(x_j**2 + x_j + 1)"),
    ("x_j**2/(x_j**2 + 1)", "2 - 1/(1 + 3*x_j**2)"),
    ("x_i*x_j/(5 + 0.9*x_i + 0.1*x_j)", "x_i*x_j/(5 + 0.9*x_i)"),
    ("sin(x_j - x_i)", "sin(x_j - 0.98*x_i)"),
    ("sin(x_j - x_i)", "sin(x_j + x_i)"),
    ("sin(x_j - x_i)", "sin(x_j - x_i + 0.1)"),
    ("sin(x_j - x_i)", "cos(x_j - x_i)"),
    ("sin(x_j - x_i)", "x_j - x_i"),
    ("sin(x_i)", "sin(x_i) + sin(2*x_i)"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "1/(1 + exp(-5.1*x_j))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "0.7 - 1/(1 + exp(5.1*(x_j - 1)))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "1/(1 - exp(-5.1*(x_j - 1)))"),
    ("1/(1 + exp(-5.1*(x_j - 1)))", "tanh(x_j - 1)"),
    ("(2 - x_i)/(1 + exp(-10*(x_j - 1)))", "2/(1 + exp(-10*(x_j - 1)))"),
    ("x_i + 1/(1 + x_i)", "x_i**2/(1 + x_i) + 3*x_i/(1 + x_i) + 2/(1 + x_i)"),
    ("omega_i*x_i", "x_i"),
    ("1/(1 + x_i)", "1/(1 + x_i)**2"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_one_skeleton_written_in_two_ways(a, b):
    assert_one_skeleton(a, b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_two_skeletons(a, b):
    assert_two_skeletons(a, b)


@pytest.mark.parametrize("text", sorted({text for pair in SAME + DIFFERENT for text in pair}))
def test_the_normal_forms_have_the_values_of_the_expression(text):
    rng = np.random.default_rng(0)
    point = {"x_i": rng.uniform(0.2, 2), "x_j": rng.uniform(0.2, 2), "omega_i": 0.7}
    expected = float(parse(text).subs(point))
    terms = normal_form(parse(text))
    assert _value(terms, point) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert _value(combined(terms), point) == pytest.approx(expected, rel=1e-8, abs=1e-9)


def _value(terms, point):
    functions = {"sum": lambda v: v, "sigmoid": lambda v: 1 / (1 + math.exp(-v)), "abs": abs}
    total = 0.0
    for monomial, coefficient in terms.items():
        product = coefficient
        for (kind, argument), power in monomial:
            if kind == "symbol":
                value = point[argument]
            else:
                function = functions.get(kind) or getattr(math, kind)
                value = function(_value(dict(argument), point))
            product *= value**power
        total += product
    return total


def test_the_text_of_a_skeleton():
    assert skeleton(parse("2 - 3*x_i*x_j + 0.1*x_i")) == "1 + x_i + x_i*x_j"
    assert skeleton(parse("0")) == "0"
    law = {"x": Equation.from_text("-0.5*x_i", "0.5*(1 - x_i)*x_j")}
    assert skeleton(law) == {("x", "self"): "x_i", ("x", "interaction"): "x_i*x_j + x_j"}


# --- constants ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "true", "error"),
    [
        ("1.01*x_i", "x_i", 0.01),
        ("-x_i", "x_i", 2.0),
        ("3*x_j**2/(3*x_j**2 + 3)", "x_j**2/(x_j**2 + 1)", 0.0),
        ("x_j**2/(1.1*x_j**2 + 1)", "x_j**2/(x_j**2 + 1)", 0.1),
        ("1/(1 + exp(-5.202*(x_j - 1)))", "1/(1 + exp(-5.1*(x_j - 1)))", 0.02),
        ("1/(1 + exp(-5.1*(x_j - 1.03)))", "1/(1 + exp(-5.1*(x_j - 1)))", 0.03),
        ("exp(5.1*x_j - 5.1)/(1 + exp(5.1*x_j - 5.1))", "1/(1 + exp(-5.1*(x_j - 1)))", 0.0),
        ("0.5 + 0.5*tanh(2.55*(x_j - 1))", "1/(1 + exp(-5.1*(x_j - 1)))", 0.0),
        ("1 - 1/(1 + exp(5.1*(x_j - 1)))", "1/(1 + exp(-5.1*(x_j - 1)))", 0.0),
        ("0.5*sin(1.02*x_j - 1.02*x_i)", "-0.5*sin(x_i - x_j)", 0.02),
        ("sin(2.1*x_i) + 3*sin(x_i)", "3*sin(x_i) + sin(2*x_i)", 0.05),
        ("2 - 2/(1 + x_j**2)", "2*x_j**2/(x_j**2 + 1)", 0.0),
        ("x_i*x_j/(5 + 0.9*x_i + 0.101*x_j)", "x_i*x_j/(5 + 0.9*x_i + 0.1*x_j)", 0.01),
        ("x_i + 7*x_j", "x_i", 0.0),
        ("x_j", "x_i", math.inf),
        ("0", "0", 0.0),
    ],
)
def test_the_worst_coefficient(found, true, error):
    assert worst_coefficient_error(parse(found), parse(true)) == pytest.approx(error, abs=1e-7)


def test_a_sigmoid_gives_slope_and_midpoint():
    ((monomial, coefficient),) = normal_form(parse("3/(2 + 2*exp(-5*(x_j - 1.5)))")).items()
    assert coefficient == pytest.approx(1.5)
    assert inner_constants(monomial) == pytest.approx((5.0, 1.5))


@pytest.mark.parametrize(
    ("found", "true", "recall"),
    [
        ("x_i + x_j", "x_i + x_j", 1.0),
        ("x_i", "x_i + x_j", 0.5),
        ("x_i + x_j + x_i*x_j", "x_i + x_j", 1.0),
        ("x_i**2", "x_i + x_j", 0.0),
        ("sin(x_i)", "sin(x_i) + sin(2*x_i)", 0.5),
        ("x_i", "0", 1.0),
        ("1 - 1/(1 + x_j**2) + x_i", "x_j**2/(x_j**2 + 1)", 1.0),
    ],
)
def test_the_recall_of_terms(found, true, recall):
    assert term_recall(parse(found), parse(true)) == pytest.approx(recall)


def test_the_coefficient_error_is_a_mean_over_the_union():
    found, true = parse("1.5*x_i + x_j**2"), parse("0.5*x_i + 2*x_j")
    assert coefficient_error(found, true) == pytest.approx((1.0 / 2.0 + 1 + 1) / 3)
    assert coefficient_error(true, true) == 0.0


# --- whole laws ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", known_laws.names())
def test_a_known_law_is_itself_whatever_its_constants(name):
    known = known_laws.get(name)
    rng = np.random.default_rng(0)

    def changed(expression):
        floats = {f: sympy.Float(float(f) * rng.uniform(0.9, 1.1)) for f in
                  expression.atoms(sympy.Float)}  # fmt: skip
        return sympy.expand(expression.xreplace(floats))

    found = {v: Equation(*(changed(term) for term in e)) for v, e in known.equations.items()}
    assert skeleton_equal(found, known)
    assert term_recall(known, found) == 1.0
    assert worst_coefficient_error(found, known) < 0.5
    assert worst_coefficient_error(known, known) == 0.0
    assert coefficient_error(known, known) == 0.0


def test_different_known_laws_are_different():
    laws = [known_laws.get(name) for name in known_laws.names()]
    one_form = [
        {"neural", "neural_smooth"},
        {name for name in known_laws.names() if name.startswith("coevolving")},
    ]
    for a in laws:
        for b in laws:
            if a.name < b.name:
                together = any({a.name, b.name} <= form for form in one_form)
                assert skeleton_equal(a, b) == together, (a.name, b.name)


def test_terms_of_the_receiver_move_between_both_sides():
    heat = Equation.from_text("0", "0.5*(x_j - x_i)")
    moved = Equation.from_text("-0.51*k_i*x_i", "0.5*x_j")
    assert skeleton_equal(moved, heat)
    assert worst_coefficient_error(moved, heat) == pytest.approx(0.02)
    divided = Equation.from_text("x_i", "-(x_j - x_i)/k_i")
    assert skeleton_equal(Equation.from_text("2*x_i", "-x_j/k_i"), divided)
    assert worst_coefficient_error(Equation.from_text("2*x_i", "-x_j/k_i"), divided) == 0.0


def test_a_term_on_the_wrong_side_or_variable_is_another_law():
    law = {"x": Equation.from_text("-x_i", "x_j"), "y": Equation.from_text("x_i", "0")}
    assert not skeleton_equal({"x": law["x"], "y": Equation.from_text("0", "x_j")}, law)
    assert not skeleton_equal({"x": law["y"], "y": law["x"]}, law)
    assert not skeleton_equal({"x": law["x"]}, law)
    assert term_recall({"x": law["x"]}, law) == pytest.approx(2 / 3)
    assert skeleton_equal({"y": law["y"], "x": law["x"]}, law)


def test_what_is_not_a_law_is_refused():
    with pytest.raises(InputError, match="sympy expression"):
        skeleton("x_i")
    with pytest.raises(InputError, match="multiplies out"):
        skeleton(parse("*".join(f"(a{n}_i + b{n}_i)" for n in range(20))))


# --- predicted states ---------------------------------------------------------------------------


def test_adjusted_r2_against_its_formula():
    rng = np.random.default_rng(0)
    observed = rng.normal(size=(30, 4))
    predicted = observed + 0.1 * rng.normal(size=(30, 4))
    r2 = 1 - ((predicted - observed) ** 2).sum() / ((observed - observed.mean()) ** 2).sum()
    expected = 1 - (1 - r2) * 119 / (119 - 5)
    assert adjusted_r2(predicted, observed, 5) == pytest.approx(expected)
    assert adjusted_r2(observed, observed, 5) == 1.0
    seen = observed.copy()
    seen[3, 2] = np.nan
    assert adjusted_r2(observed, seen, 5) == 1.0
    predicted[0, 0] = np.nan
    assert adjusted_r2(predicted, observed, 5) == -math.inf
    with pytest.raises(InputError, match="more than"):
        adjusted_r2(observed[:1], observed[:1], 5)
    with pytest.raises(InputError, match="shape"):
        adjusted_r2(observed, observed[:-1], 5)


def test_variables_of_different_size_count_alike():
    times = np.arange(5.0)
    states = np.random.default_rng(1).normal(size=(5, 3, 2)) * np.array([1.0, 1000.0])
    off = states + np.array([0.1, 100.0])
    data, prediction = (Trajectories(times, s, variables=("x", "y")) for s in (states, off))
    alone = [normalized_estimation_error(off[..., v], states[..., v]) for v in range(2)]
    assert normalized_estimation_error(prediction, data) == pytest.approx(np.mean(alone))
    assert normalized_estimation_error(data, data) == 0.0
    off[0, 0, 0] = np.nan
    assert normalized_estimation_error(off, states) == math.inf
