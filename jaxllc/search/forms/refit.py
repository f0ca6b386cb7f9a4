"""Refits of many expressions at once: the constants of tapes by Levenberg-Marquardt on the same samples.

Tapes and blocks of samples have padded sizes, so that one compiled routine serves every batch of expressions
and every number of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.dynamics.small_matrices import solve
from jaxllc.equations.function_table import Function
from jaxllc.equations.tapes.fitted_tapes import (
    MAX_CONSTANTS,
    MAX_INPUTS,
    Tape,
    blank_tape,
    in_batches,
)
from jaxllc.equations.tapes.instructions import tape_functions
from jaxllc.equations.tapes.interpreted import with_derivatives
from jaxllc.fit.levenberg import Damping, State, judged
from jaxllc.running.time_limit import check_time
from jaxllc.running.waiting import computed
from jaxllc.search.forms.search_work import spend

_DAMPING = Damping(1e-3, eased_by=10.0, raised_by=8.0, smallest=1e-12, largest=1e9)
BLOCK = 256
MAX_BLOCKS = 16


class Points(NamedTuple):
    """Samples in blocks: inputs (MAX_BLOCKS, MAX_INPUTS, BLOCK), values and weights (MAX_BLOCKS, BLOCK)."""

    inputs: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    num_blocks: int


def in_blocks(points: np.ndarray, values: np.ndarray, weights: np.ndarray) -> Points:
    """Samples padded to blocks, at most MAX_BLOCKS of them; the padding repeats samples at weight zero.

    points: (n, q); values, weights: (n,). More samples than fit are thinned evenly.
    """
    if len(values) > MAX_BLOCKS * BLOCK:
        kept = np.linspace(0, len(values) - 1, MAX_BLOCKS * BLOCK).astype(int)
        points, values, weights = points[kept], values[kept], weights[kept]
    count, size = len(values), MAX_BLOCKS * BLOCK
    place = np.arange(size) % count
    inputs = np.ones((MAX_INPUTS, size))
    inputs[: points.shape[1]] = points[place].T
    padded = np.where(np.arange(size) < count, weights[place], 0.0)
    return Points(
        inputs.reshape(MAX_INPUTS, MAX_BLOCKS, BLOCK).transpose(1, 0, 2),
        values[place].reshape(MAX_BLOCKS, BLOCK),
        padded.reshape(MAX_BLOCKS, BLOCK),
        -(-count // BLOCK),
    )


class Refit(NamedTuple):
    """Constants after Levenberg-Marquardt, sum of squared weighted residuals, the Gauss-Newton matrix, and
    how many steps that took."""

    constants: Any
    chi_squared: Any
    information: Any
    steps: Any


def _refit_one(tape, constants, samples, steps, tolerance, functions):
    """Levenberg-Marquardt (Marquardt 1963, scaled by the diagonal) on one tape."""
    code, length, free = tape
    dtype = samples.values.dtype
    mask = free.astype(dtype)
    floor = jnp.asarray(1e-12, dtype)
    unknowns = jnp.max(jnp.where(free, jnp.arange(1, MAX_CONSTANTS + 1), 0))

    def look(c):
        def block(k, sums):
            f, slopes = with_derivatives(code, length, c, samples.inputs[k], functions)
            rest = (f - samples.values[k]) * samples.weights[k]
            slopes = slopes * samples.weights[k][None] * mask[:, None]
            joint = jnp.concatenate([slopes, rest[None]])
            return sums + joint @ joint.T

        sums = jnp.zeros((MAX_CONSTANTS + 1, MAX_CONSTANTS + 1), dtype)
        sums = jax.lax.fori_loop(0, samples.num_blocks, block, sums)
        good = jnp.all(jnp.isfinite(sums))
        sums = jnp.where(good, sums, 0.0)
        chi = jnp.where(good, sums[-1, -1], jnp.inf)
        return chi, sums[:-1, :-1], sums[:-1, -1]

    def proceed(carried):
        k, state, stalled = carried
        return (k < steps) & (stalled < 2) & _DAMPING.allows(state.damping) & jnp.any(free)

    def step(carried):
        k, state, stalled = carried
        c, chi, matrix, gradient = state.point
        scale = jnp.diagonal(matrix)
        scale = jnp.maximum(scale, floor * jnp.max(scale) + 1e-300)
        root = jnp.sqrt(scale)
        system = matrix / root[:, None] / root[None] + state.damping * jnp.diag(mask)
        system = system + jnp.diag(1.0 - mask)
        move = -solve(system, gradient / root, unknowns) / root * mask
        new = c + move
        new_chi, *rest = look(new)
        better = new_chi < chi
        small = chi - new_chi < tolerance * chi
        stalled = jnp.where(better & small, stalled + 1, jnp.where(better, 0, stalled))
        return k + 1, judged(state, (new, new_chi, *rest), better, _DAMPING, _where), stalled

    start = State((constants, *look(constants)), jnp.asarray(_DAMPING.start, dtype))
    taken, state, _ = jax.lax.while_loop(proceed, step, (0, start, 0))
    return Refit(*state.point[:3], taken)


def _where(condition: Any, first: Any, other: Any) -> Any:
    """Whichever of two a traced condition says, each an array or a tuple of them."""
    return jax.tree.map(partial(jnp.where, condition), first, other)


@partial(jax.jit, static_argnames=("functions", "one_by_one"))
def _refit_batch(tapes, constants, samples, steps, tolerance, functions, one_by_one):
    def one(tape, start):
        return _refit_one(tape, start, samples, steps, tolerance, functions)

    # One after the other, a tape runs only its own operations and stops when it is done; side by side each
    # instruction costs all operations, which only an accelerator has to spare.
    if one_by_one:
        return jax.lax.map(lambda item: one(*item), (tapes, constants))
    return jax.vmap(one)(tapes, constants)


def prepare() -> None:
    """Compile what refits, once in a process, so that no search has to wait for it."""
    _prepared(tape_functions())


@lru_cache(maxsize=4)
def _prepared(functions: tuple[Function, ...]) -> None:
    one = np.ones((1, 1))
    refit([blank_tape()], np.zeros((1, MAX_CONSTANTS)), in_blocks(one, one[0], one[0]), steps=1)


def refit(
    tapes: Sequence[Tape],
    constants: np.ndarray,
    samples: Points,
    steps: int = 30,
    tolerance: float = 1e-5,
) -> Refit:
    """Fit the constants of many tapes to the same samples at once.

    constants: (tape, MAX_CONSTANTS) to start from. steps: of Levenberg-Marquardt, at most; a fit ends when
    two steps in a row gain less than the share `tolerance`. What cannot be evaluated comes back with an
    infinite sum of squares. Runs in double precision where the platform has it.
    """
    check_time()
    with jax.enable_x64(True):
        one_by_one = jax.default_backend() == "cpu"
        found = in_batches(
            tapes,
            constants,
            lambda *batch: computed(
                _refit_batch,
                *batch,
                samples,
                steps,
                tolerance,
                functions=tape_functions(),
                one_by_one=one_by_one,
            ),
        )
    if not found:
        size = (0, MAX_CONSTANTS)
        nothing = np.zeros(0)
        return Refit(np.zeros(size), nothing, np.zeros((*size, MAX_CONSTANTS)), nothing)
    fit = Refit(*found)
    lengths = np.array([tape.length for tape in tapes])
    spend("tapes", len(tapes))
    spend("steps", float((fit.steps + 1.0) @ lengths) * samples.num_blocks)
    return fit
