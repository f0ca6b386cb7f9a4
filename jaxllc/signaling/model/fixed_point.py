"""Fixed points x = F(x) of many independent columns at once: plain iteration, or with extrapolation.

Columns are conditions: each has its own residual, and its own mixing of past iterates, so that one slow
condition neither hurries nor holds up the others. The extrapolation is the reduced rank one in cycles:
Smith, Ford and Sidi, "Extrapolation methods for vector sequences", SIAM Review 29 (1987), 199.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxllc.dynamics.small_matrices import solve

# Residual below which a column may be extrapolated.
_NEAR = 1e-3
# States below this are as good as zero: a condition that nothing drives comes to rest too.
_SMALL = 1e-3


class FixedPoint(NamedTuple):
    """point: (N, B). residual: (B,), max_i |F(x)_i - x_i| / max_i |x_i|. steps: evaluations of F."""

    point: jax.Array
    residual: jax.Array
    steps: jax.Array


def iterate(function: Callable, start: jax.Array, steps: int | jax.Array) -> jax.Array:
    """Exactly `steps` applications of `function`, (N, B) -> (N, B)."""
    return jax.lax.fori_loop(0, steps, lambda _, point: function(point), start)


def iterate_to(
    function: Callable, start: jax.Array, tolerance: float | jax.Array, max_steps: int
) -> FixedPoint:
    """Apply `function` until the residual of every column is at most `tolerance`, or `max_steps` times."""

    def apply(carry: tuple) -> tuple:
        point, _, steps = carry
        after = function(point)
        return after, relative_change(after, point), steps + 1

    return _repeat(apply, start, tolerance, max_steps)


def accelerate_to(
    function: Callable,
    start: jax.Array,
    tolerance: float | jax.Array,
    max_steps: int,
    memory: int,
) -> FixedPoint:
    """As `iterate_to`, in cycles of `memory` plain steps and one extrapolation from them.

    A column takes its extrapolated point only where that has a smaller residual, and only once it is
    near a fixed point: further away, an extrapolation may lead to another one than iteration does.
    """
    columns = start.shape[1]
    ridge = 1e-13 if start.dtype == jnp.float64 else 1e-6

    def plain(point: jax.Array, _: None) -> tuple:
        after = function(point)
        return after, (point, after)

    def cycle(carry: tuple) -> tuple:
        point, _, steps = carry
        visited: tuple
        last, visited = jax.lax.scan(plain, point, None, length=memory)
        points, images = visited
        changes = images - points
        residual = relative_change(last, points[-1])
        gram = jnp.einsum("mnb,knb->bmk", changes, changes)
        scale = jnp.trace(gram, axis1=1, axis2=2)[:, None, None] + jnp.finfo(start.dtype).tiny
        system = gram / scale + ridge * jnp.eye(memory, dtype=start.dtype)[None]
        mixture = jax.vmap(solve)(system, jnp.ones((columns, memory), start.dtype))
        mixture = mixture / mixture.sum(1, keepdims=True)
        mixed = jnp.einsum("bm,mnb->nb", mixture, images)
        image = function(mixed)
        mixed_residual = relative_change(image, mixed)
        better = (mixed_residual < residual) & (residual < _NEAR)
        after = jnp.where(better, image, last)
        return after, jnp.where(better, mixed_residual, residual), steps + memory + 1

    return _repeat(cycle, start, tolerance, max_steps)


def _repeat(
    part: Callable, start: jax.Array, tolerance: float | jax.Array, max_steps: int
) -> FixedPoint:
    """Apply `part` to (point, residual, steps) while a residual is above the tolerance and steps are left."""

    def unfinished(carry: tuple) -> jax.Array:
        _, residual, steps = carry
        # A nan is never above the tolerance, and a column that blew up will not come back.
        return (steps < max_steps) & jnp.any(residual > tolerance)

    residual = jnp.full(start.shape[1], jnp.inf, start.dtype)
    return FixedPoint(*jax.lax.while_loop(unfinished, part, (start, residual, jnp.asarray(0))))


def relative_change(after: jax.Array, before: jax.Array) -> jax.Array:
    """max_i |after - before| / max_i |after| of each column, (N, B) -> (B,); states near 0 count as 0.001."""
    return jnp.abs(after - before).max(0) / jnp.maximum(jnp.abs(after).max(0), _SMALL)
