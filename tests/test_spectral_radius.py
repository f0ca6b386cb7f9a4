"""The spectral radius and its gradient: all eigenvalues of the dense matrix, and differences."""

from functools import partial

import jax
import numpy as np
import pytest
import scipy.sparse.linalg

from jaxllc.signaling.model.spectral_radius import (
    Eigenspace,
    _orthonormal_bases,
    differentiable_radius,
    improve,
    radius_of_weights,
    random_eigenspace,
    spectral_radius,
)
from jaxllc.signaling.model.steady_state import wiring
from jaxllc.signaling.model.synthetic import synthetic_problem
from tests.signaling_problems import (
    dense,
    differences,
    in_float64,
    problem,
    quickly_compiled,
    relative,
)

jitted_improve = quickly_compiled(improve)


@partial(quickly_compiled, static_argnums=0)
def improved(sweeps, wires, weights, slope, space):
    """The bases after some sweeps, and the leading eigenvalue seen in them."""
    space = jax.lax.fori_loop(0, sweeps, lambda _, s: improve(wires, weights, slope, s)[0], space)
    return improve(wires, weights, slope, space)


@quickly_compiled
def radius_and_gradient(wires, weights, slope, leading):
    return jax.value_and_grad(lambda w: differentiable_radius(wires, w, slope, leading))(weights)


def eigenvalues(given, slope, weights=None):
    weights = given.weights if weights is None else weights
    W = dense(given.senders, given.receivers, weights, given.num_nodes)
    values = np.linalg.eigvals(slope[:, None] * W)
    return values[np.argsort(-np.abs(values))]


def slope_of(given, seed=0):
    return np.random.default_rng(seed).uniform(0.2, 1.0, given.num_nodes)


def kind_of(leading):
    if abs(leading.imag) > 1e-9:
        return "complex"
    return "positive" if leading.real > 0 else "negative"


@pytest.fixture(scope="module")
def cases():
    """Matrices whose leading eigenvalue is complex, negative and positive, well apart from the next."""
    found = {}
    for seed in range(100):
        given = problem(40, seed=seed)
        values = eigenvalues(given, slope_of(given))
        kind = kind_of(values[0])
        following = values[2 if kind == "complex" else 1]
        if abs(following) < 0.93 * abs(values[0]) and kind not in found:
            found[kind] = given
    assert len(found) == 3
    return found


@pytest.mark.parametrize("size", [5, 24, 60])
def test_radius_equals_that_of_the_dense_matrix(size):
    """With several conditions at once, by ARPACK or densely for a small network."""
    for seed in range(6):
        given = problem(size, seed=seed)
        slopes = np.stack([slope_of(given, n) for n in range(3)], axis=1)
        found = spectral_radius(given.wires, given.weights, slopes, 1e-10)
        for slope, radius, value in zip(slopes.T, found.radius, found.eigenvalue, strict=True):
            spectrum = eigenvalues(given, slope)
            assert radius == pytest.approx(abs(spectrum[0]), rel=1e-9)
            assert np.abs(spectrum - value).min() < 1e-8 * radius
        assert np.all(found.residual < 1e-8)


def test_the_leading_eigenvalue_is_complex_negative_and_positive_now_and_then(cases):
    for kind, given in cases.items():
        found = spectral_radius(given.wires, given.weights, slope_of(given)[:, None])
        assert kind_of(found.eigenvalue[0]) == kind


@pytest.mark.parametrize("size", [3, 10, 200])
def test_a_network_without_feedback_has_the_radius_zero(size):
    """A chain with shortcuts: every eigenvalue is 0, though rounding would show others."""
    senders = np.append(np.arange(size - 1), np.arange(size - 2))
    receivers = np.append(np.arange(1, size), np.arange(2, size))
    order = np.lexsort((senders, receivers))
    wires = wiring(senders[order], receivers[order], size)
    found = spectral_radius(wires, np.full(len(senders), 3.0), np.ones((size, 2)))
    np.testing.assert_array_equal(found.radius, 0)


def test_silent_nodes_and_no_edges_have_the_radius_zero():
    given = problem(30)
    found = spectral_radius(given.wires, given.weights, np.zeros((30, 2)))
    np.testing.assert_array_equal(found.radius, 0)
    no_edges = wiring(np.zeros(0, int), np.zeros(0, int), 4)
    assert spectral_radius(no_edges, np.zeros(0), np.ones((4, 1))).radius[0] == 0


def test_a_node_that_excites_itself_beside_a_chain():
    """The eigenvalue of a self loop is its weight."""
    senders, receivers = np.append(np.arange(29), 10), np.append(np.arange(1, 30), 10)
    order = np.lexsort((senders, receivers))
    weights = np.append(np.full(29, 2.0), -0.7)[order]
    wires = wiring(senders[order], receivers[order], 30)
    found = spectral_radius(wires, weights, np.ones((30, 1)))
    np.testing.assert_allclose(found.eigenvalue, -0.7, rtol=1e-12)


def test_an_edge_of_weight_zero_closes_no_loop():
    """As after a knock-out: the ring of 50 nodes is a chain, whose eigenvalues rounding must not blur."""
    wires = wiring((np.arange(50) - 1) % 50, np.arange(50), 50)
    weights = np.full(50, 2.0)
    assert spectral_radius(wires, weights, np.ones((50, 1))).radius[0] == pytest.approx(2.0)
    weights[20] = 0.0
    assert spectral_radius(wires, weights, np.ones((50, 1))).radius[0] == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_radius_of_a_large_random_network_is_good_to_a_percent(monkeypatch, seed):
    """On 10,000 edges, taken for a large network: weights as at the start of a training, and of a truth."""
    truth = synthetic_problem(2_000, 10_000, 100, 200, seed)
    start = np.random.default_rng(seed).uniform(0.1, 0.2, 10_000) * truth.prior.signs
    for weights in (truth.parameters.weights, start):
        exact = radius_of_weights(truth.structure.wires, weights)
        ones = np.ones((2_000, 1))
        assert exact == spectral_radius(truth.structure.wires, weights, ones).radius[0]
        with monkeypatch.context() as patch:
            patch.setattr("jaxllc.signaling.model.spectral_radius._LARGE", 0)
            rough = radius_of_weights(truth.structure.wires, weights)
        assert rough != exact
        assert rough == pytest.approx(exact, rel=0.01)


def test_where_arpack_fails_the_eigenvalues_are_found_densely(monkeypatch):
    given = problem(60)

    def fails(*_, **__):
        raise scipy.sparse.linalg.ArpackError(-1)

    expected = spectral_radius(given.wires, given.weights, slope_of(given)[:, None]).radius
    monkeypatch.setattr(scipy.sparse.linalg, "eigs", fails)
    found = spectral_radius(given.wires, given.weights, slope_of(given)[:, None]).radius
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def space_of(given, seed=0):
    return in_float64(
        lambda: random_eigenspace(jax.random.key(seed), given.num_nodes, dtype=np.float64)
    )


@pytest.mark.parametrize("kind", ["complex", "negative", "positive"])
def test_the_warm_started_eigenvalue_converges_and_has_the_gradient_of_differences(cases, kind):
    given = cases[kind]
    slope = slope_of(given)
    space, leading = in_float64(improved, 400, given.wires, given.weights, slope, space_of(given))
    expected = eigenvalues(given, slope)[0]
    assert abs(leading.value) == pytest.approx(abs(expected), rel=1e-10)
    assert leading.residual < 1e-8
    for basis in space:
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    J = slope[:, None] * given.matrix
    np.testing.assert_allclose(J @ leading.right, leading.value * leading.right, atol=1e-8)
    np.testing.assert_allclose(J.T @ leading.left, leading.value * leading.left, atol=1e-8)

    radius, gradient = in_float64(radius_and_gradient, given.wires, given.weights, slope, leading)
    by_differences = differences(lambda w: abs(eigenvalues(given, slope, w)[0]), given.weights)
    assert radius == pytest.approx(abs(expected), rel=1e-10)
    np.testing.assert_allclose(gradient, by_differences, rtol=0, atol=1e-6)


def test_a_network_smaller_than_the_basis():
    given = problem(3, 2)
    slope = slope_of(given)
    space, leading = in_float64(improved, 300, given.wires, given.weights, slope, space_of(given))
    assert space.right.shape == (3, 3)
    assert abs(leading.value) == pytest.approx(abs(eigenvalues(given, slope)[0]), rel=1e-8)


def test_without_feedback_the_gradient_is_finite_and_no_basis_is_lost():
    """J is nilpotent: products turn every basis into zeros, and no eigenvalue has a derivative."""
    given = problem(8)
    wires = wiring(np.arange(7), np.arange(1, 8), 8)
    weights, slope = np.full(7, 0.5), np.ones(8)
    space, leading = in_float64(improved, 50, wires, weights, slope, space_of(given))
    assert all(np.all(np.isfinite(basis)) for basis in space)
    assert abs(leading.value) < 0.5, "rounding alone must not call for the spectral penalty"
    _, gradient = in_float64(radius_and_gradient, wires, weights, slope, leading)
    assert np.all(np.isfinite(gradient))


def test_one_product_per_step_follows_weights_that_change_slowly(cases):
    """As in a training, in which weights move by about a thousandth from step to step."""
    given = cases["complex"]
    slope = slope_of(given)
    random = np.random.default_rng(5)
    drift = 1e-3 * random.normal(size=len(given.weights)) * np.abs(given.weights)
    space, _ = in_float64(improved, 400, given.wires, given.weights, slope, space_of(given))
    errors = []
    for step in range(150):
        weights = given.weights + step * drift
        space, leading = in_float64(jitted_improve, given.wires, weights, slope, space)
        errors.append(abs(abs(leading.value) / abs(eigenvalues(given, slope, weights)[0]) - 1))
    assert max(errors) < 1e-3


def test_bases_to_start_from_are_compiled_once():
    """Each member of a study draws its own."""
    for seed in range(2):
        random_eigenspace(jax.random.key(seed), 7)
    before = _orthonormal_bases._cache_size()
    random_eigenspace(jax.random.key(2), 7)
    assert _orthonormal_bases._cache_size() == before


def test_single_precision_and_vmap_over_conditions(cases):
    given = cases["complex"]
    slopes = np.stack([slope_of(given), np.ones(given.num_nodes)]).astype(np.float32)
    space = random_eigenspace(jax.random.key(1), given.num_nodes)
    spaces = Eigenspace(*(np.stack([basis, basis]) for basis in space))
    weights = given.weights.astype(np.float32)
    run = jax.vmap(partial(improved, 200), in_axes=(None, None, 0, 0))
    _, leading = run(given.wires, weights, slopes, spaces)
    assert leading.radius.dtype == np.float32
    expected = abs(eigenvalues(given, slopes[0].astype(float))[0])
    assert float(leading.radius[0]) == pytest.approx(expected, rel=1e-3)
    first = jax.tree.map(lambda x: x[0], leading)
    _, gradient = radius_and_gradient(given.wires, weights, slopes[0], first)
    exact = differences(
        lambda w: abs(eigenvalues(given, slopes[0].astype(float), w)[0]), given.weights
    )
    assert relative(gradient, exact) < 1e-2
