"""The spectral radius of J = diag(phi') W, warm-started, also where the leading eigenvalues are complex.

A small orthonormal basis is multiplied by J and by its transpose, and the eigenvalues of the projected
p x p matrices (Rayleigh-Ritz) tell the leading one with its right and left vector. A complex pair is two
real directions of the basis, so it needs no complex arithmetic on nodes and converges like a real
eigenvalue: by the ratio of the (p+1)-th to the first. A power iteration sees neither. Source: Stewart,
"Simultaneous iteration for computing invariant subspaces", Numerische Mathematik 25 (1976).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.dynamics.small_matrices import eigenvalues, eigenvector, orthonormal
from jaxllc.signaling.model.neighbour_sums import Array, take
from jaxllc.signaling.model.steady_state import Wiring, edges_on_loops, product, transposed_product

# Basis vectors: a complex pair, and others to push the next eigenvalues away.
BASIS = 6
# One eigenvalue alone converges to a smaller one in a trained model now and then.
_ASKED, _KRYLOV = 6, 40
_LARGE, _ROUGH = 20_000, 0.1  # nodes, and the tolerance beyond


class Eigenspace(NamedTuple):
    """Orthonormal bases of the leading right and left invariant subspaces of J, each (N, p)."""

    right: jax.Array
    left: jax.Array


class LeadingEigenvalue(NamedTuple):
    """value: complex eigenvalue of largest modulus. right, left: its vectors, complex (N,), with
    J v = value v and J^T u = value u (no conjugation). residual: |J v - value v| / |value| of a unit v."""

    value: jax.Array
    right: jax.Array
    left: jax.Array
    residual: jax.Array

    @property
    def radius(self) -> jax.Array:
        """The modulus of the eigenvalue."""
        return jnp.abs(self.value)


def random_eigenspace(key: jax.Array, num_nodes: int, size: int = BASIS, dtype=None) -> Eigenspace:
    """Bases to start from."""
    size = min(size, num_nodes)
    bases = jax.random.normal(key, (2, num_nodes, size), jnp.float32).astype(dtype or jnp.float32)
    return Eigenspace(*_orthonormal_bases(bases))


# Made once: a program made in each call would be compiled in each call.
_orthonormal_bases = jax.jit(jax.vmap(orthonormal))


def improve(
    wires: Wiring, weights: jax.Array, slope: jax.Array, space: Eigenspace
) -> tuple[Eigenspace, LeadingEigenvalue]:
    """The leading eigenvalue seen in the bases, and the bases after one product with J.

    slope: phi' at the steady state of one condition, (N,).
    """
    right, left = space
    # Other edges add nothing to the radius but rounding errors, which a chain of edges magnifies.
    weights = jnp.where(wires.cyclic, weights, 0)
    right_image = slope[:, None] * product(wires, weights, right)
    left_image = transposed_product(wires, weights, slope[:, None] * left)
    seen = jnp.stack([right.T @ right_image, left.T @ left_image])
    values, left_values = jax.vmap(eigenvalues)(seen)
    value = values[jnp.argmax(jnp.abs(values))]
    nearest = left_values[jnp.argmin(jnp.abs(left_values - value))]
    inner, left_inner = jax.vmap(eigenvector)(seen, jnp.stack([value, nearest]))
    v, u = right @ inner, left @ left_inner
    residual = jnp.linalg.norm(right_image @ inner - value * v)
    residual = residual / jnp.maximum(jnp.abs(value), jnp.finfo(weights.dtype).tiny)
    improved = jax.vmap(_orthonormal)(jnp.stack([right_image, left_image]), jnp.stack(space))
    return Eigenspace(*improved), LeadingEigenvalue(value, v, u, residual)


def _orthonormal(image: jax.Array, basis: jax.Array) -> jax.Array:
    # Directions that J maps to zero would leave the new basis without full rank.
    found = orthonormal(image + jnp.finfo(basis.dtype).eps * basis)
    return jnp.where(jnp.all(jnp.isfinite(found)), found, basis)


def differentiable_radius(
    wires: Wiring, weights: jax.Array, slope: jax.Array, leading: LeadingEigenvalue
) -> jax.Array:
    """The spectral radius as a function of the weights, with phi' and the vectors held constant.

    Its gradient is d|value|/dw of the edge j -> i: Re(conj(value) / |value| u_i phi'_i v_j / (u^T v)).
    """
    value, v, u, _ = jax.lax.stop_gradient(leading)
    slope = jax.lax.stop_gradient(slope)
    overlap = jnp.sum(u * v)
    tiny = jnp.finfo(weights.dtype).eps
    # A defective eigenvalue has no derivative; its vectors are nearly orthogonal.
    usable = (jnp.abs(overlap) > tiny) & (jnp.abs(value) > tiny)
    turn = jnp.conj(value) / jnp.maximum(jnp.abs(value), tiny)
    factor = jnp.where(usable, turn / jnp.where(usable, overlap, 1), 0)
    receivers, senders = wires.receivers, wires.senders
    per_edge = jnp.real(factor * take(u, receivers) * take(v, senders)) * take(slope, receivers)
    change = weights - jax.lax.stop_gradient(weights)
    return jnp.abs(value) + jnp.sum(per_edge * change)


class SpectralRadius(NamedTuple):
    """For each condition: radius (B,), eigenvalue complex (B,), residual |J v - value v| / |value| (B,)."""

    radius: np.ndarray
    eigenvalue: np.ndarray
    residual: np.ndarray


def spectral_radius(
    wires: Wiring, weights: Array, slopes: Array, tolerance: float = 1e-8
) -> SpectralRadius:
    """The spectral radius at the steady state of each condition, by ARPACK in float64 on the host.

    slopes: phi' at the steady states, (N, B). Several eigenvalues are asked for, because the one of
    largest modulus is easily missed alone; where ARPACK fails, all eigenvalues are computed densely.
    """
    import scipy.sparse

    W, nodes = _between_loops(wires, weights, slopes.shape[0])
    found = [
        _leading(scipy.sparse.diags_array(slope) @ W, tolerance)
        for slope in np.asarray(slopes, np.float64)[nodes].T
    ]
    value = np.array([value for value, _ in found], dtype=complex)
    return SpectralRadius(np.abs(value), value, np.array([residual for _, residual in found]))


def radius_of_weights(wires: Wiring, weights: Array, tolerance: float = 1e-8) -> float:
    """The spectral radius of W, which random weights are scaled by.

    Beyond 20,000 nodes it is good to half a percent, whatever the tolerance (the largest error of 44 random
    networks of 10^4 to 10^5 edges): their eigenvalues lie so close together that more digits take minutes.
    """
    num_nodes = len(wires.incoming.order)
    if num_nodes > _LARGE:
        W, _ = _between_loops(wires, weights, num_nodes)
        return float(abs(_leading(W.astype(np.float32), _ROUGH, asked=1)[0]))
    return float(spectral_radius(wires, weights, np.ones((num_nodes, 1)), tolerance).radius[0])


def _between_loops(wires: Wiring, weights: Array, num_nodes: int) -> tuple[Any, np.ndarray]:
    """W, sparse, between the nodes that lie on a feedback loop, and these nodes.

    They alone have eigenvalues beside 0. The other nodes would only blur the eigenvalues by rounding: of a
    chain of 50 nodes by 0.5.
    """
    import scipy.sparse

    weights = np.asarray(weights, np.float64)
    there = weights != 0  # a knock-out leaves edges of weight 0
    receivers, senders = np.asarray(wires.receivers)[there], np.asarray(wires.senders)[there]
    nodes = np.unique(receivers[edges_on_loops(senders, receivers, num_nodes)])
    W = scipy.sparse.csr_array((weights[there], (receivers, senders)), shape=(num_nodes, num_nodes))
    return W[nodes][:, nodes], nodes


def _leading(J: Any, tolerance: float, asked: int = _ASKED) -> tuple[complex, float]:
    """The eigenvalue of largest modulus of a sparse matrix among as many as asked for, and its residual."""
    import scipy.sparse.linalg

    num_nodes = J.shape[0]
    if num_nodes == 0:
        return 0j, 0.0
    if num_nodes > 4 * asked:
        start = np.random.default_rng(0).standard_normal(num_nodes).astype(J.dtype)
        try:
            values, vectors = scipy.sparse.linalg.eigs(
                J, k=asked, ncv=min(_KRYLOV, num_nodes - 1), tol=tolerance / 10, v0=start
            )
        except (
            scipy.sparse.linalg.ArpackError
        ):  # also a multiple eigenvalue, as 0 of a network without cycles
            values, vectors = np.linalg.eig(J.toarray())
    else:
        values, vectors = np.linalg.eig(J.toarray())
    leading = int(np.argmax(np.abs(values)))
    value, vector = values[leading], vectors[:, leading]
    size = max(abs(value), np.finfo(float).tiny)
    return value, float(np.linalg.norm(J @ vector - value * vector) / size)
