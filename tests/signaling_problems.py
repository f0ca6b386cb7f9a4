"""Small signaling networks, their dense matrices, and the independent implementation, which tests share."""

import importlib.util
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.signaling.model.steady_state import Wiring, steady_state, wiring

ACTIVATIONS = ("mml", "leaky_relu", "sigmoid")
PUBLISHED_NAMES = {"mml": "MML", "leaky_relu": "leakyRelu", "sigmoid": "sigmoid"}
REFERENCES = ("toy", "toy_sigmoid", "macrophage_init", "macrophage", "ligand", "ligand_leakyrelu")

_BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

# These programs run for a moment and compile for long, so they are not optimised.
quickly_compiled = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

# One compilation for each activation, solver and set of shapes in the whole test run.
solve = quickly_compiled(steady_state, static_argnames=("activation_name", "solver"))


class Problem(NamedTuple):
    """A network with weights (E,) float64 and a drive (N, B) float64; edges sorted by receiver, sender."""

    num_nodes: int
    senders: np.ndarray
    receivers: np.ndarray
    weights: np.ndarray
    drive: np.ndarray

    @property
    def wires(self) -> Wiring:
        return wiring(self.senders, self.receivers, self.num_nodes)

    @property
    def matrix(self) -> np.ndarray:
        return dense(self.senders, self.receivers, self.weights, self.num_nodes)


def problem(num_nodes=12, degree=3, columns=4, radius=0.8, seed=0) -> Problem:
    """Every node hears and is heard by `degree` random nodes (perhaps itself): quick to compile.

    The weights are scaled so that W has this spectral radius.
    """
    random = np.random.default_rng(seed)
    names, shifts = random.permutation(num_nodes), random.choice(num_nodes, degree, replace=False)
    place = np.arange(num_nodes)
    receivers = np.tile(names, degree)
    senders = names[(place[None, :] + shifts[:, None]) % num_nodes].ravel()
    order = np.lexsort((senders, receivers))
    senders, receivers = senders[order], receivers[order]
    weights = random.normal(0.0, 1.0, len(senders))
    if degree:
        eigenvalues = np.linalg.eigvals(dense(senders, receivers, weights, num_nodes))
        weights *= radius / np.abs(eigenvalues).max()
    drive = random.normal(0.3, 0.6, (num_nodes, columns))
    return Problem(num_nodes, senders, receivers, weights, drive)


def hub_problem(seed=0) -> Problem:
    """70 nodes: one hears all, one acts on all, some hear themselves, the last five are alone."""
    random = np.random.default_rng(seed)
    A = random.random((70, 70)) < 0.04
    A[3, :], A[:, 7] = True, True
    A[np.arange(10, 20), np.arange(10, 20)] = True
    A[65:, :], A[:, 65:] = False, False
    receivers, senders = np.nonzero(A)
    weights = random.normal(0.0, 0.2, len(senders))
    return Problem(70, senders, receivers, weights, random.normal(0.3, 0.6, (70, 3)))


def dense(senders, receivers, weights, num_nodes) -> np.ndarray:
    """W, row receiver, column sender."""
    W = np.zeros((num_nodes, num_nodes))
    np.add.at(W, (receivers, senders), weights)
    return W


def arrays(*values):
    """As JAX arrays of the dtype that floating-point numbers have now."""
    dtype = jnp.zeros(()).dtype
    return jax.tree.map(
        lambda x: jnp.asarray(x, dtype if np.asarray(x).dtype.kind == "f" else None), values
    )


def published(name="published_signaling"):
    """A file of the folder benchmarks as a module; the test is skipped where there is no such folder."""
    if not (_BENCHMARKS / f"{name}.py").is_file():  # a source distribution has no benchmarks
        pytest.skip("needs the folder benchmarks, which is not here", allow_module_level=True)
    if name == "published_training":
        published("published_signaling")  # which it imports by this name
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules[name]


def published_model(given: Problem, activation="mml"):
    """The same network for the independent implementation, with the drive as bias of each condition.

    Every node is an input of scale 1 and bias 0: the ligand levels (B, N) are the drive transposed.
    """
    nodes = np.arange(given.num_nodes)
    unknown = np.zeros(len(given.weights), dtype=int)
    return published().PublishedModel(
        given.num_nodes, given.senders, given.receivers, unknown, unknown != 0, nodes, nodes,
        given.weights.copy(), np.zeros(given.num_nodes), np.ones(given.num_nodes),
        np.ones(given.num_nodes), PUBLISHED_NAMES[activation],
    )  # fmt: skip


def reference_signs(known):
    """The signs of the edges of a reference file, 0 where unknown; both flags set count as inhibition."""
    return np.where(known["moa_inh"], -1, np.where(known["moa_stim"], 1, 0))


def reference_model(known):
    """The model of a reference file in the independent implementation."""
    signs = reference_signs(known)
    return published().PublishedModel(
        num_nodes=len(known["bias"]),
        senders=known["edge_source"],
        receivers=known["edge_target"],
        signs=signs,
        sign_known=signs != 0,
        input_index=known["input_index"],
        output_index=known["output_index"],
        weights=known["weights"],
        bias=known["bias"],
        input_scale=known["input_projection"],
        output_scale=known["output_projection"],
        activation=str(known["activation"]),
        leak=float(known["leak"]),
    )


def differences(function, values, step=1e-6):
    """Central differences of function(values) in every entry of `values`."""
    slopes = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        above, below = values.copy(), values.copy()
        above[index] += step
        below[index] -= step
        slopes[index] = (float(function(above)) - float(function(below))) / (2 * step)
    return slopes


def relative(found, expected):
    """Norm of the difference, in units of the norm expected."""
    return np.linalg.norm(np.asarray(found) - expected) / np.linalg.norm(expected)


def in_float64(function, *values):
    """What `function` gives for these values in float64, as NumPy arrays."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(*values))
