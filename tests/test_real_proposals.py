"""A proposal whose constants are not real is no proposal, whoever makes it."""

import numpy as np
import pytest
import sympy

from jaxllc import metrics
from jaxllc.equations.expression_building import is_real, real_value
from jaxllc.equations.normal_form import normal_form
from jaxllc.equations.skeletons import Skeleton, as_written, constant
from jaxllc.errors import InputError
from jaxllc.search.forms.skeleton_forms import forms
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term.term_judge import TermJudge

x = sympy.Symbol("x_i")
a, b = constant(0), constant(1)
# Each with constants that make it complex, as a fit may.
COMPLEX = [
    Skeleton(a**b * x, (-0.5, 0.75)),
    Skeleton(x + sympy.log(a), (-0.3,)),
    Skeleton(x ** sympy.log(a), (-0.3,)),
    Skeleton(x * sympy.sqrt(a), (-2.0,)),
    Skeleton(sympy.exp(x * sympy.log(a)), (-2.0,)),
    Skeleton(sympy.sin(x + a ** sympy.Rational(1, 3)), (-2.0,)),
]


@pytest.mark.parametrize("skeleton", COMPLEX)
def test_what_is_not_real_has_no_form_and_no_normal_form(skeleton):
    expression = skeleton.numeric()
    assert not is_real(expression)
    assert list(forms(expression)) == []
    with pytest.raises(InputError):
        normal_form(expression)
    with pytest.raises(InputError):
        metrics.skeleton_equal(expression, x)


@pytest.mark.parametrize(
    "value", [(-8.0) ** (1 / 3), sympy.log(-2), sympy.zoo, sympy.nan, sympy.oo]
)
def test_only_real_numbers_are_taken_for_such(value):
    with pytest.raises(InputError):
        real_value(sympy.sympify(value))
    assert real_value(sympy.sqrt(2) * sympy.exp(1)) == pytest.approx(np.sqrt(2) * np.e)


def test_powers_and_logarithms_of_symbols_are_real_where_their_constants_are():
    for e in (x**0.75, sympy.log(x / 3), sympy.sqrt(1 - x), sympy.pi * x, -x * sympy.sqrt(2)):
        assert is_real(e)
        assert list(forms(e))


def test_the_judge_takes_no_complex_proposal_beside_real_ones():
    points = np.linspace(0.2, 4.0, 60)[:, None]
    values = 2.1 * points[:, 0] ** 0.75
    samples = Samples.of(("x_i",), points, values, 0.01 * np.ones(60))
    proposals = [(s.numeric(), "mine") for s in COMPLEX]
    proposals.append((sympy.Float(2.0) * x ** sympy.Float(0.8), "mine"))
    judged = TermJudge(samples).judge(proposals)
    assert judged
    assert all(is_real(j.skeleton.numeric()) for j in judged)
    assert judged[0].chi_squared < 60


def test_an_exponent_that_is_not_real_ends_in_a_sentence():
    with pytest.raises(InputError, match="real"):
        as_written(x ** sympy.log(sympy.Float(-0.3)))
