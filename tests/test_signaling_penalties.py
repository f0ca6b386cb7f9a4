"""Every term of the loss: plain loops, the independent implementation, and gradients against differences."""

import jax
import numpy as np
import pytest

from jaxllc.signaling.model.penalties import (
    mean_squared_error,
    sign_penalty,
    spectral_penalty,
    spread_penalty,
    squares,
    uniform_penalty,
    wrong_signs,
)
from tests.signaling_problems import differences, in_float64, published


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(0)


def test_mean_squared_error_counts_measured_activities_of_present_conditions(random):
    outputs, activities = random.normal(size=(5, 3)), random.normal(size=(5, 3))
    observed, present = np.ones((5, 3)), np.array([1.0, 1, 1, 1, 0])
    observed[1, 2], observed[0, 0] = 0, 0
    total, count = 0.0, 0
    for b in range(4):
        for k in range(3):
            if observed[b, k]:
                total, count = total + (outputs[b, k] - activities[b, k]) ** 2, count + 1
    found = in_float64(mean_squared_error, outputs, activities, observed, present)
    assert found == pytest.approx(total / count, rel=1e-14)
    # What stands where nothing was measured does not matter, nan neither in the value nor in the gradient.
    spoiled = np.where(observed * present[:, None] > 0, activities, np.nan)
    assert in_float64(mean_squared_error, outputs, spoiled, observed, present) == found
    gradient = in_float64(
        jax.grad(lambda y: mean_squared_error(y, spoiled, observed, present)), outputs
    )
    expected = np.where(observed * present[:, None] > 0, 2 * (outputs - activities) / count, 0)
    np.testing.assert_allclose(gradient, expected, atol=1e-14)


def test_nothing_measured_gives_zero_rather_than_nan():
    zeros = np.zeros((2, 3))
    assert mean_squared_error(zeros, zeros, zeros, np.ones(2)) == 0


def test_sign_penalty_is_the_size_of_weights_that_contradict_a_known_sign(random):
    weights, signs = random.normal(size=40), random.integers(-1, 2, 40).astype(float)
    wrong = [s != 0 and np.sign(w) != s for w, s in zip(weights, signs, strict=True)]
    np.testing.assert_array_equal(wrong_signs(weights, signs), wrong)
    found = in_float64(sign_penalty, weights, signs)
    assert found == pytest.approx(np.abs(weights)[wrong].sum(), rel=1e-14)
    gradient = in_float64(jax.grad(sign_penalty), weights, signs)
    np.testing.assert_array_equal(gradient, np.where(wrong, np.sign(weights), 0))
    # Where the sign is unknown, both signs of the weight are right.
    np.testing.assert_array_equal(wrong_signs(weights, 0 * signs), False)


def test_sizes_of_weights_and_biases(random):
    weights, bias = random.normal(size=9), random.normal(size=4)
    by_loop = sum(float(w) ** 2 for w in (*weights, *bias))
    assert in_float64(squares, weights, bias) == pytest.approx(by_loop, rel=1e-14)
    by_loop = sum(1 / (float(w) ** 2 + 0.5) for w in weights)
    assert in_float64(spread_penalty, weights) == pytest.approx(by_loop, rel=1e-14)


@pytest.mark.parametrize(("high", "silent"), [(0.99, 50.0), (1 / 1.2, 1.0)])
def test_uniform_penalty(random, high, silent):
    """By loops, by the independent implementation, and differences; a row that only fills up is left out."""
    states = random.normal(0.3, 0.5, (7, 5))
    states[:, 2] = -np.abs(states[:, 2])  # a node that is never on
    present = np.array([1.0, 1, 0, 1, 1, 1, 1])
    live = states[present > 0]
    by_loop = 0.0
    for column in live.T:
        mean = sum(column) / len(column)
        variance = sum((column - mean) ** 2) / len(column)
        by_loop += (mean - high / 2) ** 2 + (variance - high**2 / 12) ** 2
        by_loop += (max(column) - high) ** 2 + min(column) ** 2
        if max(column) <= 0:
            by_loop -= silent * max(column)
    value, gradient = published("published_training").uniform_penalty(live, silent, high)
    assert value == pytest.approx(by_loop, rel=1e-12)
    found, slopes = in_float64(
        jax.value_and_grad(lambda h: uniform_penalty(h, present, high, silent)), states.T
    )
    assert found == pytest.approx(by_loop, rel=1e-12)
    expected = np.zeros_like(states)
    expected[present > 0] = gradient
    np.testing.assert_allclose(slopes, expected.T, atol=1e-12)

    def value_at(h):
        return in_float64(uniform_penalty, h, present, high, silent)

    np.testing.assert_allclose(slopes, differences(value_at, states.T), atol=1e-5)


def test_without_a_condition_the_uniform_penalty_and_its_gradient_are_zero(random):
    """As where no state comes to rest: the other terms of the loss must stay finite."""
    states, nobody = random.normal(size=(7, 5)), np.zeros(5)
    value, slopes = in_float64(
        jax.value_and_grad(lambda h: uniform_penalty(h, nobody, 0.99, 50.0)), states
    )
    assert value == 0
    np.testing.assert_array_equal(slopes, 0)


@pytest.mark.parametrize(("steepness", "target"), [(21.0, 0.871), (10.0, 0.9)])
def test_spectral_penalty(steepness, target):
    training = published("published_training")
    for radius in (0.2, 0.5, 0.51, 0.8, 1.0, 1.19):
        value, slope = training.radius_penalty(radius, steepness, target)
        found = in_float64(jax.value_and_grad(spectral_penalty), radius, target, steepness)
        # The exponential of XLA is good to about ten digits.
        np.testing.assert_allclose(found, (value, slope), rtol=1e-9)
    # Beyond 1.2 it is the tangent there.
    at = in_float64(jax.value_and_grad(spectral_penalty), 1.2 - 1e-12, target, steepness)
    for radius in (1.3, 5.0, 1000.0):
        value, slope = in_float64(jax.value_and_grad(spectral_penalty), radius, target, steepness)
        assert slope == pytest.approx(at[1], rel=1e-9)
        assert value == pytest.approx(at[0] + at[1] * (radius - 1.2), rel=1e-9)
