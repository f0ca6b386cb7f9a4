"""Small matrices in plain array operations, beside those of NumPy, which calls LAPACK."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from jaxllc.dynamics.small_matrices import (
    definite_solver,
    eigenvalues,
    eigenvector,
    orthonormal,
    solve,
)
from tests.signaling_problems import in_float64, quickly_compiled

quick_basis = quickly_compiled(orthonormal)
RANDOM = np.random.default_rng(0)
SIZES = [1, 2, 6]


def matrices(size, count=20):
    return RANDOM.normal(size=(count, size, size))


@pytest.mark.parametrize("size", SIZES)
def test_systems_are_solved_as_by_numpy(size):
    many, right = matrices(size), RANDOM.normal(size=(20, size, 2))
    found = in_float64(jax.jit(jax.vmap(solve)), many, right)
    np.testing.assert_allclose(found, np.linalg.solve(many, right), rtol=1e-9, atol=1e-9)
    one = in_float64(solve, many[0], right[0, :, 0])
    np.testing.assert_allclose(one, np.linalg.solve(many[0], right[0, :, 0]), rtol=1e-9)
    turned = many + 1j * many.swapaxes(1, 2)
    found = in_float64(jax.vmap(solve), turned, right + 0j)
    np.testing.assert_allclose(found, np.linalg.solve(turned, right), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("size", [1, 16, 17, 60])
def test_positive_definite_systems_leave_the_residual_of_lapack(size):
    """Up to a condition of 1e12, as of Gram matrices that a small ridge alone keeps regular."""
    run = jax.jit(lambda matrix, right: definite_solver(matrix)(right))
    for lowest in (1.0, 1e-6, 1e-12):
        basis = np.linalg.qr(RANDOM.normal(size=(size, size)))[0]
        matrix = (basis * np.geomspace(lowest, 1.0, size)) @ basis.T
        matrix = (matrix + matrix.T) / 2
        right = matrix @ RANDOM.normal(size=(size, 2))
        left = matrix @ in_float64(run, matrix, right) - right
        assert np.abs(left).max() < 1e-14 * max(1.0, np.abs(right).max()) * size
    with_a_negative = np.diag(np.where(np.arange(size) == size - 1, -1.0, 1.0))
    assert not np.isfinite(in_float64(run, with_a_negative, np.ones((size, 2)))).all()


def test_a_pivot_of_zero_is_passed_over():
    ring = np.roll(np.eye(5), 1, axis=0)
    np.testing.assert_allclose(solve(jnp.asarray(ring), jnp.arange(5.0)), ring.T @ np.arange(5.0))
    assert not np.isfinite(solve(jnp.zeros((3, 3)), jnp.ones(3))).any()


def test_ill_conditioned_systems_leave_the_residual_of_lapack():
    """As from extrapolations and Gauss-Newton matrices: symmetric, and nearly singular."""
    for power in (6, 9, 12):
        basis = np.linalg.qr(matrices(8, 1)[0])[0]
        matrix = basis * 10.0 ** -np.linspace(0, power, 8) @ basis.T
        right = matrix @ np.ones(8)
        left, wanted = (
            np.abs(matrix @ x - right).max()
            for x in (in_float64(solve, matrix, right), np.linalg.solve(matrix, right))
        )
        assert left < 10 * max(wanted, 1e-16)


def test_unknowns_beyond_those_named_are_left_as_they_are():
    matrix, right = np.eye(8), np.zeros(8)
    matrix[:3, :3], right[:3] = matrices(3, 1)[0], RANDOM.normal(size=3)
    found = in_float64(jax.jit(solve), matrix, right, 3)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-12)


def test_the_gradient_of_a_solution_is_that_of_differences():
    matrix, right = matrices(4, 1)[0], RANDOM.normal(size=4)
    wanted = np.linalg.solve(matrix, right)

    def squares(matrix, right):
        return jnp.sum(solve(matrix, right) ** 2)

    by_matrix, by_right = in_float64(jax.grad(squares, argnums=(0, 1)), matrix, right)
    # d x = A^-1 (d b - d A x)
    back = 2 * np.linalg.solve(matrix.T, wanted)
    np.testing.assert_allclose(by_right, back, rtol=1e-8)
    np.testing.assert_allclose(by_matrix, -np.outer(back, wanted), rtol=1e-8)


def special(size):
    ring = np.roll(np.eye(size), 1, axis=0)
    turn = np.eye(size)
    turn[:2, :2] = [[0, 1], [-1, 0]]
    return {
        "nothing": np.zeros((size, size)),
        "a ring, all of one modulus": 2 * ring,
        "a chain": np.diag(np.ones(size - 1), 1),
        "a chain upwards": np.diag(np.ones(size - 1), -1),
        "the identity": np.eye(size),
        "a turn": turn,
        "tiny": 1e-20 * matrices(size, 1)[0],
        "huge": 1e15 * matrices(size, 1)[0],
    }


@pytest.mark.parametrize(
    ("size", "dtype"), [(1, np.float64), (2, np.float64), (6, np.float64), (6, np.float32)]
)
def test_eigenvalues_are_those_of_numpy(size, dtype):
    many = [*matrices(size), *(special(size).values() if size > 2 else ())]
    many = np.array(many, dtype)
    found = in_float64(quickly_compiled(jax.vmap(eigenvalues)), many)
    assert found.dtype == np.result_type(dtype, np.complex64)
    limit = 100 * np.finfo(dtype).eps
    for matrix, values in zip(many, np.asarray(found), strict=True):
        wanted = np.linalg.eigvals(matrix.astype(float))
        apart = np.abs(values[:, None] - wanted[None])
        size_of = np.abs(matrix).max()
        # Those of a chain, nilpotent, are as far from 0 as rounding throws them, in LAPACK too.
        if np.abs(wanted).max() > 1e-3 * size_of:
            assert apart[linear_sum_assignment(apart)].max() <= limit * size_of


def test_eigenvalues_of_what_is_not_finite_are_nan():
    assert np.isnan(eigenvalues(jnp.full((4, 4), jnp.nan))).all()
    assert np.isnan(eigenvalues(jnp.full((4, 4), jnp.inf))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_eigenvectors_are_eigenvectors_of_length_one(dtype):
    many = np.array([*matrices(6), *special(6).values()], dtype)
    values = np.array([x[np.argmax(np.abs(x))] for x in np.linalg.eigvals(many)])
    values = values.astype(np.result_type(dtype, np.complex64))
    vectors = in_float64(quickly_compiled(jax.vmap(eigenvector)), many, values)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for matrix, value, vector in zip(many, values, np.asarray(vectors), strict=True):
        size = max(np.abs(matrix).max(), 1e-30)
        left = np.abs(matrix @ vector - value * vector).max() / size
        assert left < (300 if abs(value) > 1e-3 * size else 3000) * np.finfo(dtype).eps


@pytest.mark.parametrize("shape", [(3, 3), (40, 6)])
def test_a_basis_is_orthonormal_and_spans_the_columns_in_their_order(shape):
    matrix = RANDOM.normal(size=shape)
    basis = in_float64(orthonormal, matrix)
    np.testing.assert_allclose(basis.T @ basis, np.eye(shape[1]), atol=1e-12)
    upper = basis.T @ matrix
    np.testing.assert_allclose(basis @ upper, matrix, atol=1e-12)
    np.testing.assert_allclose(np.tril(upper, -1), 0, atol=1e-12)


def test_a_basis_is_orthonormal_whatever_the_matrix():
    same = np.repeat(RANDOM.normal(size=(9, 1)), 4, axis=1)
    powers = same * 10.0 ** -np.arange(0, 40, 10) + 1e-8 * np.eye(9, 4)
    cases = [np.zeros((9, 4)), same, np.eye(9)[:, [2, 2, 0, 5]], 1e-30 * same, powers, powers**3]
    for matrix in cases:
        for dtype, limit in ((np.float32, 1e-6), (np.float64, 1e-12)):
            basis = in_float64(quick_basis, matrix.astype(dtype))
            np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=limit)
            first = basis[:, :1] @ (basis[:, :1].T @ matrix[:, :1])
            np.testing.assert_allclose(first, matrix[:, :1], atol=limit * np.abs(matrix).max())


def test_products_with_a_matrix_of_low_rank_lead_to_its_leading_eigenvalues():
    """As of a network whose only loop has two nodes: all other directions are mapped to zero."""
    matrix = np.zeros((8, 8), np.float32)
    matrix[[1, 2, 3, 4, 5], [2, 1, 2, 3, 4]] = [1.5, 6.0, 4.0, -3.0, 2.0]
    basis = quick_basis(jnp.asarray(matrices(8, 1)[0][:, :6], jnp.float32))
    for _ in range(12):
        basis = quick_basis(matrix @ basis + np.finfo(np.float32).eps * basis)
        np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-5)
    leading = np.sort(np.abs(eigenvalues(basis.T @ matrix @ basis)))[-2:]
    np.testing.assert_allclose(leading, 3, rtol=1e-4)
