"""Expressions with magnitudes and their forms with min and max have the same values."""

import numpy as np
import pytest
import sympy

from jaxllc.equations.expression_calculus import evaluate
from jaxllc.pretrained.skeletons.hinges import with_extremes

X, Y = sympy.symbols("x y", real=True)


def magnitude(inside):
    return sympy.Abs(inside, evaluate=False)


def at_points(expression):
    rng = np.random.default_rng(0)
    columns = {X: rng.normal(size=200), Y: rng.normal(size=200)}
    return np.broadcast_to(evaluate(expression, columns), 200)


SAVED = {
    "larger than a number": (0.75 * X + 0.4 + 0.75 * magnitude(X - 1.2), sympy.Max, 1),
    "rectified": (0.6 * X - 0.3 + 0.6 * magnitude(X - 0.5), sympy.Max, 2),
    "smaller than a number": (2.0 * Y + 0.5 - 2.0 * magnitude(Y + 0.25) - 3 * X, sympy.Min, 2),
    "larger of two": (0.5 * X + 0.5 * Y + 0.5 * magnitude(X - Y), sympy.Max, 2),
    "beside a factor": (X * Y - 0.3 * Y + magnitude(X - 0.3) * Y, sympy.Max, 2),
    "beside more terms": (
        X**2 - X + 0.3 + magnitude(X - 0.3) + 2 * sympy.sin(Y),
        sympy.Max,
        2,
    ),
    "as many constants either way": ((1.5 * X + 0.5) * magnitude(Y - 1) + 1.5 * X * Y, sympy.Max, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_the_form_with_extremes_is_the_same_function_with_fewer_constants(name):
    expression, function, saved = SAVED[name]
    found = with_extremes(expression)
    if not saved:
        assert found is None
        return
    other, fewer = found
    assert other.has(function)
    assert not other.has(sympy.Abs)
    assert fewer == saved
    np.testing.assert_allclose(at_points(other), at_points(expression), atol=1e-12)


def test_coefficients_that_nearly_cancel_do_and_others_do_not():
    nearly = 0.63 * X - 0.31 + 0.6 * magnitude(X - 0.5)
    assert with_extremes(nearly)[1] == 2
    for expression in (
        0.2 * X - 0.8 + 0.6 * magnitude(X - 0.5),
        magnitude(X - 0.5) + Y,
        X + 1,
        magnitude(X) * magnitude(Y) + X,
    ):
        assert with_extremes(expression) is None
