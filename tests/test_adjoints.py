"""Gradients of chi-squared through the solver: by each adjoint, against differences and each other."""

import jax
import numpy as np
import pytest

from tests.benchmark_modules import benchmark_module

adjoints = benchmark_module("adjoints")


@pytest.fixture(scope="module")
def law():
    """The model of a law with an inner constant, a point, and directions with their slopes."""
    with jax.enable_x64(True):
        model = adjoints.law_model(adjoints.case("gene", 8, 10, 1, 30.0))
        point = np.concatenate([model.parameters, model.initial.ravel()])
        ways = np.random.default_rng(1).standard_normal((3, len(point)))
        yield model, point, ways, adjoints.differences(model, point, ways)


def gradient(name, model, point):
    return np.asarray(jax.jit(adjoints.ADJOINTS[name](model))(point)[1])


def test_forward_and_backward_gradients_are_those_of_differences(law):
    model, point, ways, slopes = law
    found = [gradient(name, model, point) for name in ("forward (Jacobian)", "checkpoints")]
    for one in found:
        np.testing.assert_allclose(ways @ one, slopes, rtol=1e-6, atol=1e-6 * np.abs(slopes).max())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-9 * np.abs(found[0]).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all steps", "back in time"])
def test_the_adjoints_that_are_not_used_agree_with_those_that_are(law, name):
    """Exactly the same steps where all are kept; other steps, of the same tolerance, back in time."""
    model, point, ways, slopes = law
    found = gradient(name, model, point)
    tolerance = 1e-6 if name == "all steps" else 1e-4
    np.testing.assert_allclose(
        ways @ found, slopes, rtol=tolerance, atol=tolerance * np.abs(slopes).max()
    )
