"""Small matrices in plain array operations: systems of equations, orthonormal bases, eigenvalues.

On a CPU, jnp.linalg calls LAPACK, which splits a batch over the very threads that run the program: where
programs run side by side, each may wait for ever for work that only another could do. Here nothing leaves
the program. All functions take one matrix; vmap gives batches.
Source: Golub and Van Loan, Matrix Computations (2013), algorithms 3.4.1, 4.2.4, 5.1.1, 7.4.2, section 7.6.1.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

_BLOCK = 16  # rows of a positive definite matrix that are eliminated one by one; what is larger is halved
_SWEEPS = 30  # of the QR iteration for each eigenvalue; two or three are usual
_EXCEPTIONAL = 11  # every so many, another shift, where the usual ones go in circles


def solve(
    matrix: jax.Array, right: jax.Array, unknowns: int | jax.Array | None = None
) -> jax.Array:
    """x with matrix @ x = right: (n, n) and (n,) or (n, k), by elimination with partial pivoting.

    unknowns: where the matrix is the identity beyond its first so many rows and columns, their number, which
    saves time. Differentiable without it. nan or inf where the matrix is singular.
    """
    size = matrix.shape[0]
    unknowns = size if unknowns is None else unknowns
    index = jnp.arange(size)
    columns = right[:, None] if right.ndim == 1 else right

    def eliminate(k: jax.Array, joint: jax.Array) -> jax.Array:
        pivot = jnp.argmax(jnp.where(index >= k, jnp.abs(joint[:, k]), -1))
        best, top = joint[pivot][None], joint[k][None]
        # Selected, not scattered: a scatter of a batch is slow on a CPU.
        joint = jnp.where((index == pivot)[:, None], top, joint)
        joint = jnp.where((index == k)[:, None], best, joint)
        factor = jnp.where(index > k, joint[:, k] / best[0, k], 0)
        return joint - factor[:, None] * best

    def substitute(count: jax.Array, x: jax.Array) -> jax.Array:
        k = unknowns - 1 - count
        value = (x[k] / upper[k, k])[None]
        x = jnp.where((index == k)[:, None], value, x)
        return x - jnp.where(index < k, upper[:, k], 0)[:, None] * value

    joint = jax.lax.fori_loop(0, unknowns, eliminate, jnp.concatenate([matrix, columns], axis=1))
    upper = joint[:, :size]
    x = jax.lax.fori_loop(0, unknowns, substitute, joint[:, size:])
    return x[:, 0] if right.ndim == 1 else x


def definite_solver(matrix: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """From a right side (n,) or (n, k) to x with matrix @ x = right, of a positive definite matrix (n, n).

    By Cholesky's factor, made by halves, so that most of the work is products of matrices. nan where the
    matrix is not positive definite.
    """
    factor, inverse = _cholesky(matrix)

    def solved(right: jax.Array) -> jax.Array:
        # An inverse alone loses digits where the matrix is nearly singular; what it leaves is taken in again.
        half = inverse @ right
        half = half + inverse @ (right - factor @ half)
        x = inverse.T @ half
        return x + inverse.T @ (half - factor.T @ x)

    return solved


def _cholesky(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lower factor of a positive definite matrix, and its inverse."""
    size = matrix.shape[0]
    if size <= _BLOCK:
        return _small_cholesky(matrix)
    half = (size // 2 + _BLOCK - 1) // _BLOCK * _BLOCK
    upper, first = _cholesky(matrix[:half, :half])
    corner = matrix[half:, :half]
    below = corner @ first.T
    below = below + (corner - below @ upper.T) @ first.T
    lower, second = _cholesky(matrix[half:, half:] - below @ below.T)
    nothing = jnp.zeros((half, size - half), matrix.dtype)
    factor = jnp.block([[upper, nothing], [below, lower]])
    inverse = jnp.block([[first, nothing], [-second @ (below @ first), second]])
    return factor, inverse


def _small_cholesky(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same, column by column."""
    size = matrix.shape[0]
    index = jnp.arange(size)

    def eliminate(k: jax.Array, joint: jax.Array) -> jax.Array:
        row = joint[k] / jnp.sqrt(joint[k, k])
        factor = jnp.where(index > k, row[:size], 0)
        return jnp.where((index == k)[:, None], row[None], joint - factor[:, None] * row[None])

    joint = jnp.concatenate([matrix, jnp.eye(size, dtype=matrix.dtype)], axis=1)
    joint = jax.lax.fori_loop(0, size, eliminate, joint)
    lower = index[:, None] >= index[None]
    return jnp.where(lower, joint[:, :size].T, 0), jnp.where(lower, joint[:, size:], 0)


def orthonormal(matrix: jax.Array) -> jax.Array:
    """An orthonormal basis (m, n), n <= m, whose first k columns span those of a real matrix, by reflections.

    It is one whatever the matrix: columns that depend on others are replaced.
    """
    rows = matrix.T  # sums over nodes are faster along the last axis
    count, length = rows.shape
    index = jnp.arange(length)

    def reflect(k: jax.Array, carry: tuple) -> tuple:
        rows, vectors, factors = carry
        vector, factor = _reflection(jnp.where(index >= k, rows[k], 0), index == k)
        rows = rows - (factor * (rows @ vector))[:, None] * vector[None]
        return rows, vectors.at[k].set(vector), factors.at[k].set(factor)

    start = (rows, jnp.zeros_like(rows), jnp.zeros(count, rows.dtype))
    _, vectors, factors = jax.lax.fori_loop(0, count, reflect, start)

    def build(number: jax.Array, basis: jax.Array) -> jax.Array:
        vector, factor = vectors[count - 1 - number], factors[count - 1 - number]
        return basis - (factor * (basis @ vector))[:, None] * vector[None]

    basis = jnp.eye(count, length, dtype=rows.dtype)
    return jax.lax.fori_loop(0, count, build, basis).T


def eigenvalues(matrix: jax.Array) -> jax.Array:
    """All eigenvalues, complex (n,), of a real matrix (n, n), by the QR iteration with Wilkinson's shifts.

    nan where the matrix holds a number that is not finite.
    """
    size = matrix.shape[0]
    if size == 1:
        return matrix[0].astype(_complex(matrix))
    largest = _largest(matrix)
    finite = jnp.isfinite(largest)
    start = _without_small(_hessenberg(matrix / largest).astype(_complex(matrix)))

    def unfinished(carry: tuple) -> jax.Array:
        _, last, count = carry
        return (last > 0) & (count < _SWEEPS * size) & finite

    def sweep(carry: tuple) -> tuple:
        form, last, count = carry
        shift = _shift(jax.lax.dynamic_slice(form, (last - 1, last - 1), (2, 2)))
        aside = form[last, last] + jnp.abs(form[last, last - 1])
        shift = jnp.where(count % _EXCEPTIONAL == _EXCEPTIONAL - 1, aside, shift)
        return *_without_small(_qr_step(form, shift)), count + 1

    form, _, _ = jax.lax.while_loop(unfinished, sweep, (*start, 0))
    return jnp.where(finite, largest * jnp.diagonal(form), jnp.nan)


def eigenvector(matrix: jax.Array, value: jax.Array) -> jax.Array:
    """The vector of length 1, complex (n,), of the eigenvalue of a matrix that is nearest to `value`.

    By inverse iteration, from the unit vector that serves best. Of numbers that are not finite, ones.
    """
    size = matrix.shape[0]
    largest = _largest(matrix)
    scaled = (matrix / largest).astype(_complex(matrix))
    # But for this the shifted matrix is singular; its inverse is as good as the projection on the vector.
    aside = 10 * size * jnp.finfo(matrix.dtype).eps
    identity = jnp.eye(size, dtype=scaled.dtype)
    inverse = solve(scaled - (value / largest + aside) * identity, identity)
    best = inverse[:, jnp.argmax(jnp.max(jnp.abs(inverse), axis=0))]
    vector = _unit(inverse @ _unit(best))
    return jnp.where(jnp.all(jnp.isfinite(vector)), vector, size**-0.5)


def _largest(matrix: jax.Array) -> jax.Array:
    """What to divide by, so that squares neither overflow nor vanish."""
    largest = jnp.max(jnp.abs(matrix))
    return jnp.where(largest == 0, 1, largest)


def _unit(vector: jax.Array) -> jax.Array:
    # By the largest entry first: squares of what an inverse holds overflow.
    vector = vector / jnp.max(jnp.abs(vector))
    return vector / jnp.sqrt(jnp.sum(jnp.square(jnp.abs(vector))))


def _complex(matrix: jax.Array) -> np.dtype:
    return jnp.result_type(matrix.dtype, jnp.complex64)


def _reflection(column: jax.Array, first: jax.Array) -> tuple[jax.Array, jax.Array]:
    """v and b, so that I - b v v^T maps a column on a multiple of the unit vector where `first` is true."""
    largest = jnp.max(jnp.abs(column))
    # A reflection does not depend on the length of v; squares of what is left of dependent columns vanish.
    usable = largest >= jnp.finfo(column.dtype).tiny
    column = jnp.where(usable, column / jnp.where(usable, largest, 1), 0)
    head = jnp.sum(jnp.where(first, column, 0))
    length = jnp.sqrt(jnp.sum(jnp.square(column)))
    vector = column + jnp.where(first, jnp.where(head < 0, -length, length), 0)
    square = length * (length + jnp.abs(head))
    return vector, jnp.where(usable, 1 / jnp.where(usable, square, 1), 0)


def _hessenberg(matrix: jax.Array) -> jax.Array:
    """A similar matrix that is zero below its first subdiagonal, but for rounding."""
    size = matrix.shape[0]
    index = jnp.arange(size)

    def reduce(k: jax.Array, form: jax.Array) -> jax.Array:
        column = jnp.where(index > k, form[:, k], 0)
        vector, factor = _reflection(column, index == k + 1)
        form = form - vector[:, None] * (factor * (vector @ form))[None]
        return form - (factor * (form @ vector))[:, None] * vector[None]

    return jax.lax.fori_loop(0, size - 2, reduce, matrix) if size > 2 else matrix


def _without_small(form: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The form with zeros below the subdiagonal and for what is small on it; the last row with more."""
    size = form.shape[0]
    below = np.subtract.outer(np.arange(size), np.arange(size))
    diagonal, sub = jnp.abs(jnp.diagonal(form)), jnp.abs(jnp.diagonal(form, -1))
    small = jnp.finfo(form.dtype).eps  # the largest entry of the matrix was 1
    left = sub > small * jnp.maximum(diagonal[1:] + diagonal[:-1], small)
    kept = (below <= 0) | ((below == 1) & jnp.pad(left, (1, 0))[:, None])
    return jnp.where(kept, form, 0), jnp.max(jnp.where(left, np.arange(1, size), 0), initial=0)


def _shift(block: jax.Array) -> jax.Array:
    """The eigenvalue of a matrix (2, 2) that is nearest to its last entry."""
    (a, b), (c, d) = block
    half = (a - d) / 2
    root = jnp.sqrt(half * half + b * c)
    far = jnp.where(jnp.real(jnp.conj(half) * root) < 0, half - root, half + root)
    return d - jnp.where(far == 0, 0, b * c / jnp.where(far == 0, 1, far))


def _qr_step(form: jax.Array, shift: jax.Array) -> jax.Array:
    """R Q + shift I of a Hessenberg matrix, where form - shift I = Q R, by rotations of two rows each."""
    size = form.shape[0]
    index = np.arange(size)
    rows = [form[k] - jnp.where(index == k, shift, 0) for k in range(size)]
    rotations = []
    for k in range(size - 1):
        x, y = rows[k][k], rows[k + 1][k]
        length = jnp.sqrt(sum(jnp.square(part(z)) for z in (x, y) for part in (jnp.real, jnp.imag)))
        nothing, divisor = length == 0, jnp.where(length == 0, 1, length)
        c, s = jnp.where(nothing, 1, x / divisor), jnp.where(nothing, 0, y / divisor)
        # Without barriers the compiler repeats the rotations before in each of these after.
        c, s = jax.lax.optimization_barrier((c, s))
        upper = jnp.conj(c) * rows[k] + jnp.conj(s) * rows[k + 1]
        rows[k], rows[k + 1] = jax.lax.optimization_barrier((upper, c * rows[k + 1] - s * rows[k]))
        rotations.append((c, s))
    columns = list(jnp.stack(rows, axis=1))
    for k, (c, s) in enumerate(rotations):
        left = c * columns[k] + s * columns[k + 1]
        columns[k], columns[k + 1] = left, jnp.conj(c) * columns[k + 1] - jnp.conj(s) * columns[k]
    return jnp.stack(columns, axis=1) + jnp.where(np.eye(size, dtype=bool), shift, 0)
