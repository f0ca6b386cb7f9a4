"""Bounds of constants: kept by every fit, met at the best law within them, and told where they are met."""

import numpy as np
import pytest

import jaxllc
from jaxllc.dynamics.terms import Term
from jaxllc.fit.bounded_step import bounded_minimum, on_bound
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import fit_trajectories
from tests.fit_problems import X_I, X_J, epidemic_problem, pair
from tests.prior_problems import by_role, epidemic, families, noisy, runs_of, small_network


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def epidemic_data(network):
    return runs_of(network, epidemic, 0.0, 1.0)


def test_a_constant_stays_within_its_bounds_and_the_law_says_where_it_meets_one(
    epidemic_data, network
):
    runs = noisy(epidemic_data)
    known, settings = {"x": ("-delta*x_i", "")}, {"neural": "never", "moves": 1}
    law = jaxllc.discover(runs, network, known=known, bounds={"delta": (0, 0.45)}, **settings)
    delta = by_role(law)["delta"]
    assert delta.value == 0.45
    assert np.isnan(delta.standard_error)
    assert "(on its bound)" in law.summary()
    assert any("constant delta" in n and "lies on its bound (0.45)" in n for n in law.notes)
    others = [c.standard_error for c in law.constants if c.role != "delta"]
    assert np.all(np.isfinite(others))


def test_bounds_that_are_wide_enough_change_nothing(epidemic_data, network):
    runs, known = noisy(epidemic_data), {"x": ("-delta*x_i", "")}
    choices = {"neural": "never", "moves": 1}
    wide = jaxllc.discover(runs, network, known=known, bounds={"delta": (0, 2)}, **choices)
    delta = by_role(wide)["delta"]
    assert abs(delta.value - 0.5) < 4 * delta.standard_error
    assert not any("bound" in n for n in wide.notes)


def test_no_coefficient_of_a_law_leaves_the_bounds_of_all_coefficients(epidemic_data, network):
    law = jaxllc.discover(
        noisy(epidemic_data),
        network,
        bounds={"coefficients": (-0.4, 0.4)},
        neural="never",
        sums=False,
        moves=1,
    )
    found = [c.value for c in law.constants if c.role == "coefficient"]
    assert found
    assert np.abs(found).max() <= 0.4
    assert any("lies on its bound" in n for n in law.notes)


def test_inner_constants_of_found_terms_are_bounded(network):
    def saturating(x, A):
        return -x + A @ (x / (1.3 + x))

    runs = noisy(runs_of(network, saturating, 0.1, 3.0))
    choices = {"neural": "never", "sums": False, "moves": 1}
    narrow = jaxllc.discover(runs, network, bounds={"inner_constants": (1.5, 5)}, **choices)
    inner = [c.value for c in narrow.constants if c.role != "coefficient"]
    assert inner
    assert all(1.5 <= w <= 5 for w in inner)


def test_a_bounded_fit_ends_at_the_best_law_within_the_bounds():
    """Independently: the free constants fitted with the bounded one written as a number."""
    problem = epidemic_problem(num_nodes=10, noise=0.01, level=0.01)
    (family,) = families("-delta*x_i", bounds={"delta": (0.0, 0.4)})
    law = CandidateLaw(((Term(family), pair(X_J), pair(X_I * X_J)),), ((0.2, 0.3, -0.3),))
    bounded = fit_trajectories(problem, law, iterations=30, tolerance=1e-9, exact=True)
    (family,) = families("-0.4*x_i")
    law = CandidateLaw(((Term(family), pair(X_J), pair(X_I * X_J)),), ((1.0, 0.3, -0.3),))
    fixed = fit_trajectories(problem, law, iterations=30, tolerance=1e-9, exact=True)
    assert bounded.converged
    assert bounded.law.vector()[0] == 0.4
    assert on_bound(bounded.law).tolist() == [True, False, False]
    np.testing.assert_allclose(bounded.law.vector()[1:], fixed.law.vector(), rtol=2e-4)
    np.testing.assert_allclose(bounded.squared_residual, fixed.squared_residual, rtol=1e-5)
    # The bounded constant is taken as given, so the others have the errors of that fit.
    ratio = np.sqrt(np.diag(bounded.covariance)[1:] / np.diag(fixed.covariance))
    np.testing.assert_allclose(ratio, 1.0, rtol=0.01)


def test_the_bounded_minimum_is_the_best_of_all_active_sets():
    import itertools

    random = np.random.default_rng(3)
    for _ in range(20):
        root = random.standard_normal((5, 3))
        matrix, gradient = root.T @ root, random.standard_normal(3)
        low, high = -random.uniform(0, 0.3, 3), random.uniform(0, 0.3, 3)
        best = np.inf
        for sides in itertools.product((None, 0, 1), repeat=3):
            free = np.array([s is None for s in sides])
            c = np.array([0.0 if s is None else (low, high)[s][k] for k, s in enumerate(sides)])
            if free.any():
                right = gradient[free] - matrix[np.ix_(free, ~free)] @ c[~free]
                c[free] = np.linalg.solve(matrix[np.ix_(free, free)], right)
            if np.all(c >= low - 1e-12) and np.all(c <= high + 1e-12):
                best = min(best, c @ matrix @ c / 2 - gradient @ c)
        found = bounded_minimum(matrix, gradient, low, high)
        assert np.all(found >= low - 1e-12)
        assert np.all(found <= high + 1e-12)
        assert found @ matrix @ found / 2 - gradient @ found == pytest.approx(best, abs=1e-10)
