"""Constants by BFGS and formulas for nets, as the published road has them."""

import numpy as np
import pytest
import sympy
from scipy.optimize import minimize

from jaxllc.baselines.llc.bfgs import minimised
from jaxllc.baselines.llc.formulas import best_formula, listed_constants
from jaxllc.equations.skeletons import constant
from jaxllc.equations.tapes.fitted_tapes import write_tape
from jaxllc.pretrained.engine import PretrainedEngine
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples
from tests.small_pretrained import small_model

# --- constants and formulas -----------------------------------------------------------------------


def tape_of(text, names, count):
    from jaxllc.equations.expressions import parse

    symbols = {sympy.Symbol(f"c{k}"): constant(k) for k in range(count)}
    return write_tape(parse(text).xreplace(symbols), names, tuple(symbols.values()))


def test_bfgs_recovers_known_constants_from_exact_samples():
    x = np.random.default_rng(0).uniform(0.1, 3.0, (256, 2))
    cases = [
        ("c0*x/(c1 + x)", [2.0, 0.7], [1.0, 2.0]),
        ("c0*sin(c1*x + c2*y)", [0.5, 1.0, -1.0], [0.3, 0.8, -0.7]),
        ("c0*exp(c1*x) + c2*y", [300.0, -1.5, 0.02], [200.0, -1.0, 0.1]),
    ]
    for text, true, start in cases:
        tape, fixed = tape_of(text, ("x", "y"), len(true))
        values = VALUES[text](*x.T, *true)
        fixed[: len(true)] = start
        found = minimised([tape], fixed[None], x, values, steps=400, tolerance=1e-12)
        np.testing.assert_allclose(found.constants[0, : len(true)], true, rtol=1e-4)


VALUES = {
    "c0*x/(c1 + x)": lambda x, y, a, b: a * x / (b + x),
    "c0*sin(c1*x + c2*y)": lambda x, y, a, b, c: a * np.sin(b * x + c * y),
    "c0*exp(c1*x) + c2*y": lambda x, y, a, b, c: a * np.exp(b * x) + c * y,
}


def test_bfgs_reaches_the_minimum_that_scipy_reaches():
    random = np.random.default_rng(3)
    x = random.uniform(0.1, 3.0, (256, 1))
    values = 1.3 * x[:, 0] / (0.4 + x[:, 0]) + 0.1 * random.normal(size=256)
    tape, fixed = tape_of("c0*x/(c1 + x)", ("x",), 2)
    fixed[:2] = [1.0, 1.0]

    def loss(c):
        return np.mean((c[0] * x[:, 0] / (c[1] + x[:, 0]) - values) ** 2)

    expected = minimize(loss, [1.0, 1.0], method="BFGS", options={"gtol": 1e-9})
    found = minimised([tape], fixed[None], x, values, steps=300, tolerance=1e-13)
    assert found.mean_square[0] == pytest.approx(expected.fun, rel=1e-9)
    np.testing.assert_allclose(found.constants[0, :2], expected.x, rtol=1e-4)


def test_bfgs_weighs_each_value_by_its_error():
    random = np.random.default_rng(5)
    x, error = random.uniform(0.1, 3.0, 256), 10.0 ** random.uniform(-2, 0, 256)
    values = 0.8 * x + error * random.normal(size=256)
    tape, fixed = tape_of("c0*x", ("x",), 1)
    found = minimised([tape], fixed[None], x[:, None], values, error=error)
    (expected,), (square,) = np.linalg.lstsq((x / error)[:, None], values / error)[:2]
    assert found.constants[0, 0] == pytest.approx(expected, rel=1e-6)
    assert found.mean_square[0] == pytest.approx(square / 256, rel=1e-9)


def test_an_expression_that_cannot_be_evaluated_is_infinitely_wrong():
    tape, fixed = tape_of("c0*log(x)", ("x",), 1)
    fixed[0] = 1.0
    found = minimised([tape], fixed[None], -np.ones((256, 1)), np.ones(256))
    assert np.isinf(found.mean_square[0])


def test_a_term_below_the_error_of_a_net_is_nought():
    x = np.random.default_rng(0).uniform(0.0, 1.0, (256, 1))
    engine = PretrainedEngine(small_model(), width=4)
    values = 1e-3 * (2 + np.sin(9 * x[:, 0]))

    def found(error):
        samples = Samples.of(("x_i",), x, values, error)
        return best_formula(engine, samples, Grammar(), restarts=1, seed=0).expression

    assert found(1e-2) == 0
    assert found(1e-6) != 0


def test_of_formulas_as_good_as_each_other_the_shortest_is_taken(monkeypatch):
    x = sympy.Symbol("x_i")
    written = [(sympy.sin(x) + x**2, 2, 0.1), (x + 1, 2, 0.15), (x, 1, 3.0)]
    monkeypatch.setattr("jaxllc.baselines.llc.formulas._of_beam", lambda *_: iter(written))
    points = np.linspace(1.0, 2.0, 20)[:, None]
    samples = Samples.of(("x_i",), points, 10 * points[:, 0], 0.01)
    assert best_formula(None, samples, Grammar(), restarts=1, seed=0).expression == x + 1


def test_constants_are_listed_by_term():
    from jaxllc.equations.expressions import parse

    listed = list(listed_constants(parse("-0.5*x_i + 2.5*x_j/(0.75 + x_j) + 3.5")))
    assert sorted(listed) == sorted(
        [
            ("x_i", "coefficient", -0.5),
            ("x_j/(w0 + x_j)", "coefficient", 2.5),
            ("x_j/(w0 + x_j)", "w0", 0.75),
            ("1", "coefficient", 3.5),
        ]
    )
    assert list(listed_constants(sympy.Integer(0))) == []
