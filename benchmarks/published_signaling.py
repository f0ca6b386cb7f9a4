"""The published algorithm for signaling models (LEMBAS) in NumPy and SciPy sparse, float64: a yardstick.

From the paper's description (Nilsson et al., Nature Communications 13, 2022), without jaxllc.signaling:

    u = b;  u[inputs] += s_in ligand;  h_0 = 0;  h <- phi(W h + u);  y = s_out h[outputs]
    g_0 = 0;  g <- phi'(W h + u) (W^T g + dL/dh)        phi'(0) is the slope of the negative side
    dL/dw_e = sum over conditions of g[receiver] h[sender];  dL/db = sum over conditions of g

Two places where the paper leaves room:
- Early stop. With `stop_below`, an iteration ends when its last change, summed (absolute) over conditions and
  nodes, is below that number, but h takes 42 steps and g 22 at least. This reproduces the published numbers.
- Clipping. |g| beyond c becomes c (1 + tanh(|g| / c - 1)): the identity up to c, slope 1 there, at most 2 c.

The spectral radius is that of J = diag(phi'(W h + u)) W, with phi' held constant. With J v = l v and
q^T J = l q^T, d|l|/dw_e = Re(conj(l) / |l| * q[receiver] phi'[receiver] v[sender] / q^T v).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import ArpackError, eigs, splu

FIRST_STOP, FIRST_ADJOINT_STOP = 42, 22  # steps of h, and of g, before an early stop
DENSE_NODES = 20  # ARPACK is not for matrices as small as this


@dataclass
class PublishedModel:
    """Network and parameters; E edges sorted by (receiver, sender), N nodes, each edge once.

    `signs` (E,): +1 or -1 where `sign_known`, 0 elsewhere. `input_index` (I,), `output_index` (O,): unique.
    """

    num_nodes: int
    senders: np.ndarray
    receivers: np.ndarray
    signs: np.ndarray
    sign_known: np.ndarray
    input_index: np.ndarray
    output_index: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    input_scale: np.ndarray
    output_scale: np.ndarray
    activation: str = "MML"
    leak: float = 0.01
    _starts: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        order = self.receivers.astype(np.int64) * self.num_nodes + self.senders
        if np.any(np.diff(order) <= 0):
            raise ValueError("senders, receivers: sort the edges by (receiver, sender), each once")
        if self.activation not in ("MML", "leakyRelu", "sigmoid"):
            raise ValueError(f"activation: {self.activation!r} is not MML, leakyRelu or sigmoid")
        degrees = np.bincount(self.receivers, minlength=self.num_nodes)
        self._starts = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int32)

    def matrix(self, row_factor: np.ndarray | None = None) -> sparse.csr_matrix:
        """W, or diag(row_factor) W, as CSR: row is the receiver, column the sender."""
        data = self.weights if row_factor is None else self.weights * row_factor[self.receivers]
        shape = (self.num_nodes, self.num_nodes)
        return sparse.csr_matrix((data, self.senders.astype(np.int32), self._starts), shape=shape)

    def wrong_sign(self) -> np.ndarray:
        """Bool (E,): the sign is known, and the weight has another one."""
        return self.sign_known & (np.sign(self.weights) != self.signs)


def activate(model: PublishedModel, z: np.ndarray) -> np.ndarray:
    """phi(z) elementwise; MML is leak z below 0, z up to 0.5, and 1 - 0.25 / z above."""
    if model.activation == "sigmoid":
        return 1.0 / (1.0 + np.exp(-z))
    h = np.maximum(z, model.leak * z)
    if model.activation == "MML":
        np.minimum(h, 0.5, out=h)
        h += 0.5 - 0.25 / np.maximum(z, 0.5)
    return h


def slope(model: PublishedModel, z: np.ndarray) -> np.ndarray:
    """phi'(z) elementwise; at exactly 0 the slope of the negative side."""
    if model.activation == "sigmoid":
        h = activate(model, z)
        return h * (1.0 - h)
    above = 1.0 if model.activation == "leakyRelu" else 0.25 / np.maximum(z, 0.5) ** 2
    return np.where(z > 0, above, model.leak)


def _drive(
    model: PublishedModel, ligands: np.ndarray, noise: np.ndarray | None = None
) -> np.ndarray:
    """u, nodes by conditions."""
    u = np.repeat(model.bias[:, None], len(ligands), axis=1)
    u[model.input_index] += model.input_scale[:, None] * ligands.T
    return u if noise is None else u + noise.T


def _steady(W, model, u, steps, stop_below, tolerance=None):
    """h (N, B); with a tolerance, None unless it was met."""
    h = np.zeros_like(u)
    for step in range(1, steps + 1):
        z = W @ h
        z += u
        new = activate(model, z)
        if tolerance is not None and np.max(np.abs(new - h)) <= tolerance:
            return new
        stop = stop_below is not None and step >= FIRST_STOP and np.abs(new - h).sum() < stop_below
        h = new
        if stop:
            break
    return h if tolerance is None else None


def steady_state(
    model: PublishedModel,
    ligands: np.ndarray,
    steps: int,
    *,
    stop_below: float | None = None,
    noise: np.ndarray | None = None,
) -> np.ndarray:
    """States (B, N) after exactly `steps` iterations from zero, fewer only with `stop_below`.

    `ligands` is (B, I); `noise` (B, N) is added to the input of every node.
    """
    return _steady(model.matrix(), model, _drive(model, ligands, noise), steps, stop_below).T


def steady_state_converged(
    model: PublishedModel, ligands: np.ndarray, tolerance: float = 1e-12, max_steps: int = 100_000
) -> np.ndarray:
    """States (B, N) that an iteration changes by at most `tolerance`; ArithmeticError if there are none."""
    u = _drive(model, ligands)
    h = _steady(model.matrix(), model, u, max_steps, None, tolerance)
    if h is None:
        raise ArithmeticError(f"no steady state within {tolerance:g} after {max_steps} steps")
    return h.T


def clipped(g: np.ndarray, bound: float) -> np.ndarray:
    """g up to `bound`, then bound (1 + tanh(|g| / bound - 1)) with the sign of g."""
    size = np.abs(g)
    if size.max(initial=0.0) <= bound:
        return g
    return np.where(size <= bound, g, np.sign(g) * bound * (1.0 + np.tanh(size / bound - 1.0)))


def adjoint(
    model: PublishedModel,
    slopes: np.ndarray,
    pull: np.ndarray,
    steps: int,
    *,
    clip: float | None = None,
    stop_below: float | None = None,
) -> np.ndarray:
    """g (B, N) after `steps` published iterations; `slopes` is phi', `pull` dL/dh, both (B, N)."""
    slopes, pull = np.ascontiguousarray(slopes.T), np.ascontiguousarray(pull.T)
    transposed = model.matrix().T.tocsr()  # sums over receivers; CSR multiplies faster than CSC
    g = np.zeros_like(pull)
    for step in range(1, steps + 1):
        new = transposed @ g
        new += pull
        new *= slopes
        if clip is not None:
            new = clipped(new, clip)
        late = stop_below is not None and step >= FIRST_ADJOINT_STOP
        stop = late and np.abs(new - g).sum() < stop_below
        g = new
        if stop:
            break
    return g.T


def adjoint_exact(model: PublishedModel, slopes: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """g (B, N) that solves g = phi' (W^T g + dL/dh), one sparse LU per condition."""
    identity = sparse.identity(model.num_nodes, format="csc")
    return np.stack(
        [
            splu((identity - model.matrix(d).T).tocsc()).solve(p) * d
            for d, p in zip(slopes, pull, strict=True)
        ]
    )


class Gradients(NamedTuple):
    """Mean squared error over what was measured, and its gradients; `adjoint` is g (B, N)."""

    error: float
    weights: np.ndarray
    bias: np.ndarray
    output_scale: np.ndarray
    adjoint: np.ndarray


def slopes_at(
    model: PublishedModel, states: np.ndarray, ligands: np.ndarray, noise: np.ndarray | None = None
) -> np.ndarray:
    """phi'(W h + u), (B, N): one product beyond the states, which matters where they have not converged."""
    return slope(model, model.matrix() @ states.T + _drive(model, ligands, noise)).T


def gradients(
    model: PublishedModel,
    states: np.ndarray,
    ligands: np.ndarray,
    activities: np.ndarray,
    steps: int | None,
    *,
    clip: float | None = None,
    stop_below: float | None = None,
    slopes: np.ndarray | None = None,
    pull: np.ndarray | float = 0.0,
) -> Gradients:
    """Gradients of the mean squared error at `states` (B, N); `steps` None solves the adjoint exactly.

    `activities` is (B, O), nan where not measured; `pull` (B, N) adds dL/dh of other terms.
    """
    if slopes is None:
        slopes = slopes_at(model, states, ligands)
    residual = model.output_scale * states[:, model.output_index] - activities
    measured = np.isfinite(residual)
    residual = np.where(measured, residual, 0.0)
    dy = 2.0 * residual / max(measured.sum(), 1)
    dh = np.zeros_like(states) + pull
    dh[:, model.output_index] += dy * model.output_scale
    if steps is None:
        g = adjoint_exact(model, slopes, dh)
    else:
        g = adjoint(model, slopes, dh, steps, clip=clip, stop_below=stop_below)
    h_rows, g_rows = np.ascontiguousarray(states.T), np.ascontiguousarray(g.T)
    return Gradients(
        error=float(np.sum(residual**2) / max(measured.sum(), 1)),
        weights=np.einsum("eb,eb->e", g_rows[model.receivers], h_rows[model.senders]),
        bias=g.sum(axis=0),
        output_scale=np.sum(dy * states[:, model.output_index], axis=0),
        adjoint=g,
    )


class SpectralRadius(NamedTuple):
    """|largest eigenvalue| of J, its gradient in the edge weights (E,), and the method: arpack or dense."""

    value: float
    weights: np.ndarray
    method: str


def _arpack_pair(J: sparse.csr_matrix, tolerance: float) -> tuple[complex, np.ndarray, np.ndarray]:
    # One eigenvalue asked for is silently not the largest in up to 4 of 10 conditions of a trained model.
    start = np.random.default_rng(0).uniform(0.5, 1.5, J.shape[0])
    asked = {"k": min(6, J.shape[0] - 2), "ncv": min(40, J.shape[0]), "v0": start, "tol": tolerance}
    values, rights = eigs(J, **asked)
    largest = int(np.argmax(np.abs(values)))
    value = complex(values[largest])
    values, lefts = eigs(J.T.tocsr(), **asked)
    nearest = int(np.argmin(np.abs(values - value)))
    if abs(values[nearest] - value) > max(1e-8, 10 * tolerance) * abs(value):
        raise ArpackError(-1, {-1: "left and right eigenvectors belong to different eigenvalues"})
    return value, rights[:, largest], lefts[:, nearest]


def _dense_pair(J: np.ndarray) -> tuple[complex, np.ndarray, np.ndarray]:
    values, left, right = scipy.linalg.eig(J, left=True, right=True)
    largest = int(np.argmax(np.abs(values)))
    return complex(values[largest]), right[:, largest], left[:, largest].conj()


def spectral_radius_of(
    model: PublishedModel, slopes: np.ndarray, tolerance: float = 0.0
) -> SpectralRadius:
    """Spectral radius of diag(slopes) W, `slopes` (N,) held constant; ARPACK, dense where that fails.

    The gradient is nan where there is none: the eigenvalue is 0, or its two eigenvectors are orthogonal.
    """
    J = model.matrix(slopes)
    method = "arpack" if model.num_nodes > DENSE_NODES else "dense"
    if method == "arpack":
        try:
            value, right, left = _arpack_pair(J, tolerance)
        except ArpackError:
            warnings.warn("ARPACK failed; the eigenvalues are found densely", stacklevel=2)
            method = "dense"
    if method == "dense":
        value, right, left = _dense_pair(J.toarray())
    overlap = left @ right
    if value == 0 or abs(overlap) <= 1e-13 * np.linalg.norm(left) * np.linalg.norm(right):
        return SpectralRadius(abs(value), np.full(len(model.weights), np.nan), method)
    change = left[model.receivers] * slopes[model.receivers] * right[model.senders] / overlap
    gradient = (value.conjugate() / abs(value) * change).real
    return SpectralRadius(abs(value), gradient, method)
