"""The information criterion: a likelihood, with a floor, and the share of what lies below the error."""

import numpy as np
import pytest
from scipy.stats import norm

from jaxllc.fit.criterion import information_criterion


def test_it_is_the_bic_of_gaussian_errors_of_fitted_variance():
    rng = np.random.default_rng(0)
    rests = [rng.normal(0, size, 50) for size in (0.3, 1.1)]
    found, expected = [], []
    for constants, rest in zip((7, 2), rests, strict=True):
        mean_square = np.mean(rest**2)
        found.append(information_criterion(mean_square, 50, constants * np.log(50)))
        likelihood = norm.logpdf(rest, scale=np.sqrt(mean_square)).sum()
        expected.append(constants * np.log(50) - 2 * likelihood)
    assert found[0] - found[1] == pytest.approx(expected[0] - expected[1], rel=1e-12)


def test_fits_far_below_the_floor_differ_by_their_cost():
    exact, rough = (information_criterion(m, 1000, 3.0, floor=1.0) for m in (0.0, 1e-9))
    assert rough - exact == pytest.approx(0.0, abs=1e-5)
    assert information_criterion(-1e-20, 1000, 0.0, floor=1.0) == 0.0  # rounding of a zero


@pytest.mark.parametrize("below", [0.0, 0.1, 1.0])
def test_a_share_counts_of_what_is_gained_below_a_variance_of_one(below):
    """The slope by the logarithm of the variance is n above one, and so much of it below."""
    mean_square, step = np.array([0.2, 0.6, 1.7, 30.0]), 1e-6
    ends = [
        information_criterion(mean_square * np.exp(s), 10, 0.0, below=below) for s in (-step, step)
    ]
    np.testing.assert_allclose(
        (ends[1] - ends[0]) / (2 * step), [10 * below, 10 * below, 10, 10], atol=1e-8
    )
    assert information_criterion(1.0, 10, 0.5, below=below) == 0.5
