"""Fewer inputs where a term needs no more: known symmetries, and none invented."""

import numpy as np
import pytest
import sympy

from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term.input_reduction import reduced
from jaxllc.search.term.term_search import search_term

X, Y, Z = sympy.symbols("x_i x_j y_i")


def _samples(function, count=400, noise=0.0, seed=0, low=0.3, high=3.0):
    random = np.random.default_rng(seed)
    points = random.uniform(low, high, (count, 3))
    values = function(*points.T)
    error = noise * np.std(values)
    return Samples.of(
        ["x_i", "x_j", "y_i"], points, values + error * random.normal(size=count), error or None
    )


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x, y, z: np.sin(2 * (y - x)), {X - Y}),
        (lambda x, y, z: np.exp(-x * y), {X * Y}),
        (lambda x, y, z: np.tanh(x / y), {X / Y}),
        (lambda x, y, z: z**2 / (1 + z**2), {Z}),
        (lambda x, y, z: z * np.cos(x - y), {X - Y, Z}),
        (lambda x, y, z: np.log(x + y + z), {X + Y + Z}),
    ],
)
def test_a_symmetry_is_found(function, inputs, noise):
    found = reduced(_samples(function, noise=noise), Grammar())
    assert found is not None
    assert {found.restored(sympy.Symbol(n)) for n in found.samples.names} == inputs


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_inputs_that_are_needed_stay(noise):
    found = reduced(_samples(lambda x, y, z: x * y**2 + np.sin(2 * z) * x, noise=noise), Grammar())
    assert found is None


def test_a_ratio_is_not_tried_where_division_is_forbidden():
    samples = _samples(lambda x, y, z: np.tanh(x / y))
    found = reduced(samples, Grammar(division=False))
    assert found is None or (X / Y) not in {
        found.restored(sympy.Symbol(n)) for n in found.samples.names
    }


def test_the_columns_are_what_they_stand_for():
    samples = _samples(lambda x, y, z: np.sin(y - x) + 0 * z)
    found = reduced(samples, Grammar())
    at = dict(zip(samples.names, samples.points.T, strict=True))
    for name, column in zip(found.samples.names, found.samples.points.T, strict=True):
        meaning = found.restored(sympy.Symbol(name))
        expected = sympy.lambdify(list(at), meaning)(*at.values())
        np.testing.assert_allclose(column, expected, rtol=1e-12)


def test_an_input_may_bear_the_name_of_a_combination():
    random = np.random.default_rng(1)
    points = random.uniform(0, 3, (300, 2))
    samples = Samples.of(["combined", "x_j"], points, np.sin(points[:, 0] - points[:, 1]))
    found = reduced(samples, Grammar())
    combined = sympy.Symbol("combined")
    assert {found.restored(sympy.Symbol(n)) for n in found.samples.names} == {combined - Y}


@pytest.mark.parametrize("power", [2, 0])
def test_a_constant_term_and_constant_inputs_do_not_fail(power):
    points = np.ones((50, 2))
    points[:, 0] = np.linspace(0.1, 1, 50)
    samples = Samples.of(["x_i", "x_j"], points, 2 * points[:, 0] ** power)
    found = reduced(samples, Grammar())
    assert found is None or np.isfinite(found.left)
    best = search_term(samples, seconds=60).best.expression
    assert best.free_symbols <= {X}


def test_a_search_uses_it_and_writes_the_law_in_the_first_inputs():
    samples = _samples(lambda x, y, z: np.sin(1.3 * (y - x) + 0.4), noise=0.005)
    best = search_term(samples, seconds=60).best.expression
    assert best.free_symbols == {X, Y}
    rest = sympy.lambdify([X, Y], best)(*samples.points[:, :2].T) - samples.values
    assert np.sqrt(np.mean((rest / samples.error) ** 2)) < 1.2
