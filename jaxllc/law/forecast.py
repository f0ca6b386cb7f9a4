"""How far a law can be trusted: its forecast of samples that it was not fitted to, beside "no change".

The law starts from its own state at the last sample it was fitted to, or, where it does not explain
the samples up to their noise, from the last value that was observed of each node. "No change" keeps
that last value. Errors are root mean squares relative to the standard deviation of
the observed states, so that 0 is perfect and 1 is as good as the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxllc.data.inputs import runs_of
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.simulation_input import without_advice
from jaxllc.errors import InputError, check_number
from jaxllc.law.record import LawRecord
from jaxllc.law.skill import Skill, last_seen, skill, skill_lines
from jaxllc.law.trajectories_of_law import run_law
from jaxllc.smoothing.smooth import smooth

_FEWEST_FITTED = 5
# Chi-squared per sample above which a law does not explain the samples.
_EXPLAINED = 1.5


@dataclass(frozen=True, eq=False)
class Forecast:
    """Held-out samples and what the law says of them, one entry for each run.

    error, no_change: {variable: relative root mean square error}, infinite where the law diverged.
    messages: when and why a simulation stopped early.
    """

    early: tuple[Trajectories, ...]
    observed: tuple[Trajectories, ...]
    predicted: tuple[Trajectories, ...]
    error: dict[str, float]
    no_change: dict[str, float]
    messages: tuple[str, ...] = ()

    @property
    def skill(self) -> Skill:
        """{variable: {"no_change": value, "constant": value}}: what the law explains of the held-out samples
        beyond the last value of each node, and beyond its mean in the early part (`jaxllc.law.skill`)."""
        return skill([p.states for p in self.predicted], self.observed, self.early)

    def __str__(self) -> str:
        lines = [
            f"{v}: relative error of the law {self.error[v]:.3g}, of no change {self.no_change[v]:.3g}"
            for v in self.error
        ]
        return "\n".join([*lines, *skill_lines(self.skill), *self.messages])


def hold_out(
    runs: Sequence[Trajectories], fraction: float
) -> tuple[list[Trajectories], list[Trajectories]]:
    """Each run without the last `fraction` of its samples, and that last part.

    Raises InputError for a fraction not between 0 and 1, and where too few samples are left.
    """
    check_number("the held-out fraction", fraction)
    runs = runs_of(runs)
    if not 0 < fraction < 1:
        raise InputError(f"the held-out fraction is {fraction:g}, but it must lie between 0 and 1")
    early, late = [], []
    for number, run in enumerate(runs, start=1):
        cut = math.ceil((1 - fraction) * run.num_times)
        cut = min(cut, run.num_times - 1)
        if cut < _FEWEST_FITTED:
            raise InputError(
                f"holding out {fraction:g} of run {number} leaves {cut} of its {run.num_times} samples, "
                f"but at least {_FEWEST_FITTED} are needed to fit a law; hold out less"
            )
        early.append(replace(run, times=run.times[:cut], states=run.states[:cut]))
        late.append(replace(run, times=run.times[cut:], states=run.states[cut:]))
    return early, late


def start_state(run: Trajectories, sample: int = 0, law: LawRecord | None = None) -> np.ndarray:
    """The state (N, d) at one sample of a run, without most of the noise and without gaps.

    Of a run that the law was fitted to, the law's own state, which rests on all samples.
    """
    if law is not None and law.fitted_states:
        for data, fitted in zip(law.data, law.fitted_states, strict=True):
            if data is run or (
                data.states.shape[1:] == run.states.shape[1:]
                and data.times[sample] == run.times[sample]
                and np.array_equal(data.states[sample], run.states[sample], equal_nan=True)
            ):
                own = np.asarray(fitted[sample])
                # Nodes that do not follow the law have no state of it.
                return (
                    own
                    if np.isfinite(own).all()
                    else np.where(np.isnan(own), start_state(run, sample), own)
                )
    state = run.states[sample]
    if run.num_times < _FEWEST_FITTED:
        known = np.nanmean(run.states, axis=(0, 1))
        return np.where(np.isnan(state), known[None, :], state)

    return np.asarray(smooth([run]).states[0][sample])


def forecast(
    law: LawRecord,
    early: Sequence[Trajectories],
    late: Sequence[Trajectories],
    network: Network | None = None,
) -> Forecast:
    """The law run on from the end of each early part over the times of the late part."""
    predicted, kept, messages = [], [], []
    for before, after in zip(early, late, strict=True):
        times = np.concatenate([before.times[-1:], after.times])
        result = run_law(
            law,
            _forecast_start(law, before),
            times,
            network,
            before.node_features or None,
            before.inputs or None,
            held_through(law, before, after),
        )
        predicted.append(replace(after, states=result.trajectories.states[1:]))
        kept.append(np.broadcast_to(last_seen(before)[None], after.states.shape))
        if not result.success:
            messages.append(without_advice(result.message))
    together = [np.concatenate([a.states, b.states]) for a, b in zip(early, late, strict=True)]
    spread = np.nanstd(np.concatenate(together), axis=(0, 1))
    states = [p.states for p in predicted]
    return Forecast(
        tuple(early),
        tuple(late),
        tuple(predicted),
        relative_error(states, late, spread),
        relative_error(kept, late, spread),
        tuple(messages),
    )


def held_through(law: LawRecord, *runs: Trajectories) -> Trajectories | None:
    """One run out of parts that follow one another, where the law holds nodes that these know."""
    if not law.held:
        return None
    times = np.concatenate([run.times for run in runs])
    return replace(runs[0], times=times, states=np.concatenate([run.states for run in runs]))


def _forecast_start(law: LawRecord, run: Trajectories) -> np.ndarray:
    if law.by_steps:  # whose own states are forecasts from the samples before
        return last_seen(run)
    chosen = [row.chi_squared for row in law.front if row.chosen]
    if chosen and chosen[0] > _EXPLAINED:
        return last_seen(run)
    return start_state(run, -1, law)


def relative_error(
    predicted: Sequence[np.ndarray],
    observed: Sequence[Trajectories],
    spread: np.ndarray | None = None,
) -> dict[str, float]:
    """{variable: root mean square error over its standard deviation}; infinite for a prediction of nan.

    predicted: states (T, N, d) for each run. spread: standard deviations (d,), else those of `observed`.
    """
    actual = np.concatenate([run.states.reshape(-1, run.num_variables) for run in observed])
    guess = np.concatenate([np.asarray(p).reshape(-1, actual.shape[1]) for p in predicted])
    scale = np.nanstd(actual, axis=0) if spread is None else spread
    errors = {}
    for v, name in enumerate(observed[0].variables):
        seen = ~np.isnan(actual[:, v])
        miss = (guess - actual)[seen, v]
        if miss.size == 0:
            errors[name] = math.nan
        elif not np.isfinite(miss).all():
            errors[name] = math.inf
        else:
            errors[name] = float(np.sqrt(np.mean(miss**2)) / max(float(scale[v]), 1e-300))
    return errors
