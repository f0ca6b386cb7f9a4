"""Process noise: dx_i = (law) dt + q dW_i, with a Brownian motion for each node and variable.

The noise does not hang on the state: Ito and Stratonovich integrals are one, and a solver for additive
noise of strong order 1.5 serves (ShARK; Foster, dos Reis and Strange, arXiv:2210.17543). Its steps are of one
length between two samples, some part of those that the law without noise takes: steps that follow an error
need paths that can be asked for anew, which are compiled and run many times longer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxllc.errors import InputError, check_integer, nearest_match
from jaxllc.tables.real_numbers import real_numbers

# Tolerance at which the law without noise says how fast it is, and steps of a noisy path for one of its own.
LOOSE, _FINER = 1e-3, 16
# Steps between two samples at most.
_MOST_BETWEEN = 2**16


class Drive(NamedTuple):
    """Process noise q of each variable, the key of the path, and the times of all steps."""

    process: Float[Array, " variable"]
    key: PRNGKeyArray
    steps: Float[Array, " step"]


def noisy_terms(drift: Callable[..., Any], drive: Drive, state0: jax.Array) -> tuple[Any, Any]:
    """The terms of a stochastic equation and its solver."""
    import diffrax
    import lineax

    path = diffrax.UnsafeBrownianPath(
        shape=jax.ShapeDtypeStruct(state0.shape, state0.dtype),
        key=drive.key,
        levy_area=diffrax.SpaceTimeLevyArea,
    )
    sizes = jnp.broadcast_to(drive.process, state0.shape)
    noise = diffrax.ControlTerm(lambda t, state, args: lineax.DiagonalLinearOperator(sizes), path)
    return diffrax.MultiTerm(diffrax.ODETerm(drift), noise), diffrax.ShARK()


def fine_steps(times: Float[np.ndarray, " time"], num_steps: int) -> Float[np.ndarray, " step"]:
    """The times of the steps of a noisy path, as many between any two samples, a power of two, so that few
    programs are compiled. num_steps: of the law without noise over all times."""
    span = times[-1] - times[0]
    between = _FINER * num_steps * float(np.diff(times).max()) / span
    count = int(min(2.0 ** np.ceil(np.log2(max(between, 4.0))), _MOST_BETWEEN))
    parts = np.arange(count) / count
    steps = times[:-1, None] + np.diff(times)[:, None] * parts
    return np.append(steps.ravel(), times[-1])


def process_values(
    process_noise: Any, variables: Sequence[str], what: str = "process_noise"
) -> np.ndarray | None:
    """Process noise (variable,) out of one number or {variable: number}; None where there is none.

    Raises InputError for unknown variables and for what is no number from 0.
    """
    if process_noise is None or process_noise is False:
        return None
    if process_noise is True:
        raise InputError(
            f"{what}=True takes the process noise of a law, and this one has none: give its size, "
            f"{what}=0.1, or one for each variable, {what}={{{variables[0]!r}: 0.1}}"
        )
    given: Mapping[str, Any] = (
        process_noise
        if isinstance(process_noise, Mapping)
        else dict.fromkeys(variables, process_noise)
    )
    for name in given:
        if name not in variables:
            raise InputError(
                f"{what} names {name!r}{nearest_match(str(name), variables)}, which is none of the variables "
                f"{', '.join(variables)}"
            )
    found = np.zeros(len(variables))
    for n, name in enumerate(variables):
        if name not in given:
            continue
        number = real_numbers(given[name], what)
        if number.ndim or not 0 <= number < np.inf:
            raise InputError(f"{what} of {name} must be a number from 0, not {given[name]!r:.60}")
        found[n] = float(number)
    return found if found.any() else None


def keys_of_runs(seed: Any, count: int) -> jax.Array:
    """A key for each run, which do not hang on how many there are."""
    check_integer("seed", seed, 0)
    first = jax.random.key(int(seed))
    return jax.vmap(lambda run: jax.random.fold_in(first, run))(jnp.arange(count))
