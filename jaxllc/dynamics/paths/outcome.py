"""What came of a simulation: states, whether it ended well, and if not when and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories

SUCCESS, DIVERGED, TOO_MANY_STEPS, STEP_TOO_SMALL, OTHER_FAILURE = range(5)


class Solution(NamedTuple):
    """states (T, N, d), not finite after the stop; stop_time and code (see SUCCESS...), scalars.

    beside (B, N, d): states at the times `beside`, of which no derivatives are carried along.
    """

    states: jax.Array
    stop_time: jax.Array
    code: jax.Array
    num_steps: jax.Array
    beside: jax.Array | None = None


@dataclass(frozen=True)
class Simulation:
    """One run, as `simulate` found it.

    trajectories: nan after a failure. message: a sentence that says when and why the run stopped.
    """

    trajectories: Trajectories
    success: bool
    message: str


def simulations(
    times: np.ndarray,
    states: Float[np.ndarray, "run time node variable"],
    well: Sequence[bool] | np.ndarray,
    messages: Sequence[str],
    network: Network,
    given: Mapping[str, Any],
) -> list[Simulation]:
    """A Simulation for each run, with states that are not finite as nan. given: what else its `Trajectories`
    are made of."""
    found = []
    for run_states, ended_well, message in zip(states, well, messages, strict=True):
        finite = np.where(np.isfinite(run_states), run_states, np.nan).astype(float)
        run = Trajectories(times, finite, names=network.names, **given)
        found.append(Simulation(run, bool(ended_well), message))
    return found


def outcome_sentence(code: int, stop: float, end: float, solver: str, max_steps: int) -> str:
    """What the code of a solution says, as a sentence with the time it stopped at and the mend."""
    if code == SUCCESS:
        return f"Reached t = {end:g}."
    advice = (
        'try solver="kvaerno5", a larger rtol or a larger max_steps'
        if solver != "kvaerno5"
        else "try a larger rtol, a larger max_steps or earlier times"
    )
    return {
        DIVERGED: f"Diverged at t = {stop:.6g} of {end:g}: a state grew without bound or is not a "
        "number; check the constants, or stop earlier.",
        TOO_MANY_STEPS: f"Stalled at t = {stop:.6g} of {end:g}: {max_steps} steps were not enough "
        f"(a stiff law, or a very long time); {advice}.",
        STEP_TOO_SMALL: f"Stalled at t = {stop:.6g} of {end:g}: the step became too small, as "
        f"where a state grows without bound or jumps; stop earlier, or {advice}.",
    }.get(code, f"Stopped at t = {stop:.6g} of {end:g}: the solver {solver!r} failed; {advice}.")
