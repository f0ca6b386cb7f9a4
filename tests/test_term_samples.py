"""Samples of a term: thinned, cleared of what is not finite, and refused in a sentence."""

import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.search.forms.term_samples import Samples

BOTH = ("x_i", "x_j")
GOOD = np.ones((8, 2)), np.arange(8.0)


def test_thinned_samples_are_rows_of_the_samples():
    points = np.random.default_rng(0).uniform(0.0, 3.0, (200, 2))
    samples = Samples.of(BOTH, points, points.sum(axis=1), 0.01)
    few = samples.thinned(50, seed=1)
    rows = {tuple(row) for row in np.column_stack([samples.points, samples.values])}
    assert {tuple(row) for row in np.column_stack([few.points, few.values])} <= rows
    assert len(few.values) == 50
    assert samples.thinned(500, seed=1) is samples


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((BOTH, np.ones((8, 3)), GOOD[1]), r"points have the shape \(8, 3\).*x_i, x_j.*\(n, 2\)"),
        ((BOTH, np.ones(8), GOOD[1]), r"points have the shape \(8,\)"),
        ((BOTH, GOOD[0], np.arange(7.0)), r"values have the shape \(7,\).*8 points.*\(8,\)"),
        ((("x", "x"), *GOOD), "names must differ"),
        (((), np.ones((8, 0)), GOOD[1]), "names are empty"),
        ((BOTH, *GOOD, -0.1), "error must not be negative"),
        ((BOTH, *GOOD, np.nan), "error must not be negative or nan"),
        ((BOTH, *GOOD, np.ones(3)), r"error has the shape \(3,\)"),
        ((BOTH, *(part[:4] for part in GOOD)), "only 4 of 4 samples are finite"),
        ((BOTH, GOOD[0], np.where(np.arange(8) < 4, np.nan, 1.0)), "only 4 of 8 samples"),
    ],
)
def test_samples_that_cannot_be_used_are_a_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        Samples.of(*arguments)
    assert "\n" not in str(caught.value)


def test_rows_that_are_not_finite_are_left_out():
    points = np.random.default_rng(0).normal(size=(10, 2))
    values = points.sum(axis=1)
    points[2, 0], values[5] = np.nan, np.inf
    error = np.full(10, 0.1)
    error[7] = np.inf
    samples = Samples.of(BOTH, points, values, error)
    kept = [k for k in range(10) if k not in (2, 5, 7)]
    np.testing.assert_array_equal(samples.points, points[kept])
    np.testing.assert_array_equal(samples.values, values[kept])
