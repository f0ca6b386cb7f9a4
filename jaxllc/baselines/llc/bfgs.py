"""BFGS for the constants of many expressions at once, each from its own start.

Tapes are data, not code, so that one compiled routine fits every expression. The first approximation of the
inverse Hessian is the diagonal of the Gauss-Newton matrix, which takes care of the constants' units; steps
are halved until they descend enough (Armijo).
Source: Nocedal and Wright, Numerical Optimization (2006), algorithm 6.1 and equation 6.17.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxllc.equations.tapes.fitted_tapes import (
    MAX_CONSTANTS,
    MAX_INPUTS,
    Tape,
    in_batches,
)
from jaxllc.equations.tapes.instructions import tape_functions
from jaxllc.equations.tapes.interpreted import with_derivatives
from jaxllc.running.waiting import computed

_ENOUGH_DESCENT = 1e-4
_SHORTEST = 1e-8


class Minimum(NamedTuple):
    """constants: (tape, MAX_CONSTANTS); mean_square: (tape,) of what is left of the values, infinite where an
    expression cannot be evaluated at its start."""

    constants: np.ndarray
    mean_square: np.ndarray


class _State(NamedTuple):
    count: Any
    constants: Any
    loss: Any
    gradient: Any
    inverse: Any
    length: Any
    stalled: Any


def minimised(
    tapes: Sequence[Tape],
    constants: np.ndarray,
    points: np.ndarray,
    values: np.ndarray,
    steps: int = 150,
    tolerance: float = 1e-6,
    error: np.ndarray | None = None,
) -> Minimum:
    """Minimise the mean square of expressions less `values` over their free constants.

    constants: (tape, MAX_CONSTANTS) to start from. points: (n, q) in the order of the tapes' inputs; values:
    (n,); error: (n,) their standard errors, in units of which the rest is squared, 1 by default. steps:
    trials of a step, at most; a fit ends when three steps in a row gain less than the share `tolerance`.
    Runs in double precision.
    """
    with jax.enable_x64(True):
        inputs = np.ones((MAX_INPUTS, len(values)))
        inputs[: points.shape[1]] = points.T
        target = np.asarray(values, float)
        weights = np.ones(len(target)) if error is None else 1.0 / np.asarray(error, float)
        found = in_batches(
            tapes,
            constants,
            lambda *batch: computed(
                _batch,
                *batch,
                inputs,
                target,
                weights,
                steps,
                tolerance,
                functions=tape_functions(),
            ),
        )
    if not found:
        return Minimum(np.zeros((0, MAX_CONSTANTS)), np.zeros(0))
    return Minimum(*found)


@partial(jax.jit, static_argnames=("functions",))
def _batch(tapes, constants, inputs, values, weights, steps, tolerance, functions):
    one = partial(
        _minimised_one,
        inputs=inputs,
        values=values,
        weights=weights,
        steps=steps,
        tolerance=tolerance,
        functions=functions,
    )
    # One after the other: side by side, each instruction of a tape would cost all operations.
    return jax.lax.map(lambda item: one(*item), (tapes, constants))


def _minimised_one(tape, constants, inputs, values, weights, steps, tolerance, functions):
    code, length, free = tape

    def look(c):
        found, slopes = with_derivatives(code, length, c, inputs, functions)
        rest = (found - values) * weights
        slopes = jnp.where(free[:, None], slopes * weights[None], 0.0)
        loss, gradient = jnp.mean(rest**2), 2.0 * slopes @ rest / len(values)
        good = jnp.isfinite(loss) & jnp.all(jnp.isfinite(gradient))
        loss, gradient = jnp.where(good, loss, jnp.inf), jnp.where(good, gradient, 0.0)
        return loss, gradient, slopes

    def proceed(s):
        moving = (s.stalled < 3) & (s.length > _SHORTEST) & jnp.isfinite(s.loss)
        return (s.count < steps) & moving & jnp.any(free) & (s.loss > 0)

    def step(s):
        direction = -s.inverse @ s.gradient
        slope = direction @ s.gradient
        new = s.constants + s.length * direction
        loss, gradient, _ = look(new)
        better = loss <= s.loss + _ENOUGH_DESCENT * s.length * slope
        move, change = new - s.constants, gradient - s.gradient
        curvature = move @ change
        usable = curvature > 1e-300
        rho = jnp.where(usable, 1.0 / jnp.where(usable, curvature, 1.0), 0.0)
        left = jnp.eye(MAX_CONSTANTS) - rho * jnp.outer(move, change)
        inverse = left @ s.inverse @ left.T + rho * jnp.outer(move, move)
        inverse = jnp.where(usable & jnp.all(jnp.isfinite(inverse)), inverse, s.inverse)
        small = s.loss - loss < tolerance * s.loss
        pick = partial(jnp.where, better)
        return _State(
            s.count + 1,
            pick(new, s.constants),
            pick(loss, s.loss),
            pick(gradient, s.gradient),
            pick(inverse, s.inverse),
            pick(1.0, 0.5 * s.length),
            pick(jnp.where(small, s.stalled + 1, 0), s.stalled),
        )

    loss, gradient, slopes = look(constants)
    diagonal = 2.0 * jnp.mean(slopes**2, axis=1)
    usable = free & jnp.isfinite(diagonal) & (diagonal > 0)
    inverse = jnp.diag(jnp.where(usable, 1.0 / jnp.where(usable, diagonal, 1.0), 0.0))
    state = _State(0, constants, loss, gradient, inverse, 1.0, 0)
    end = jax.lax.while_loop(proceed, step, state)
    return end.constants, end.loss
