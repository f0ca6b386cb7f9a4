"""The data of one discovery in the axes that everything inside it shares: variable, node, time.

Trajectories come as people keep them, (time, node, variable), and so do smoothed states. They are turned
here, once: search, nets, fits and judge take what this makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Integer

from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.data.trajectories import Trajectories
from jaxllc.smoothing.smooth import SmoothedStates

# Of one run; times are those of its samples, or of its grid, which holds them.
Times = Float[np.ndarray, " _"]
Values = Float[np.ndarray, "variable node _"]


@dataclass(frozen=True, eq=False)
class GridData:
    """Samples of all runs, and smoothed states on a grid that holds the times of the samples.

    features: of the nodes. times, samples, observed, grid_times, states, sample_index: an array for each run;
    samples: 0 where nothing was observed. sample_index: places of the samples in the grid.
    noise: standard deviation of a sample of each variable; state_error: of a smoothed state. inputs: those of
    each run. held: nodes that are given, of which no law is asked. discrete: the law leads from each sample
    to the next, and noise is that of a step.
    """

    variables: tuple[str, ...]
    features: dict[str, Float[np.ndarray, " node"]]
    times: tuple[Times, ...]
    samples: tuple[Values, ...]
    observed: tuple[Bool[np.ndarray, "variable node _"], ...]
    grid_times: tuple[Times, ...]
    states: tuple[Values, ...]
    sample_index: tuple[Integer[np.ndarray, " _"], ...]
    noise: Float[np.ndarray, " variable"]
    state_error: Float[np.ndarray, " variable"]
    inputs: tuple[Mapping[str, InputCourse], ...] = ()
    held: tuple[int, ...] = ()
    discrete: bool = False

    @property
    def num_runs(self) -> int:
        return len(self.times)

    @property
    def num_times(self) -> int:
        """Sample times of all runs."""
        return sum(len(times) for times in self.times)

    @property
    def num_variables(self) -> int:
        return len(self.variables)

    def all_states(self) -> Float[np.ndarray, "variable node time"]:
        """Smoothed states of all runs, one after the other along the time axis."""
        return np.concatenate(self.states, axis=2)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(self.inputs[0]) if self.inputs else ()

    def named(self) -> dict[str, Float[np.ndarray, "node time"]]:
        """Smoothed states and inputs at all grid times of all runs, one after the other, by name."""
        return dict(zip(self.variables, self.all_states(), strict=True)) | self.named_inputs()

    def named_inputs(self) -> dict[str, Float[np.ndarray, "node time"]]:
        """Inputs at the same times, of all nodes."""
        nodes = self.states[0].shape[1]

        def values(name: str) -> np.ndarray:
            runs = zip(self.inputs, self.grid_times, strict=True)
            on_grids = [run[name].on_grid(grid) for run, grid in runs]
            rows = max(map(len, on_grids))
            parts = [np.broadcast_to(v, (rows, v.shape[1])) for v in on_grids]
            # What is common to all nodes is kept once.
            joined = np.concatenate(parts, axis=1)
            return np.broadcast_to(joined, (nodes, joined.shape[1]))

        return {name: values(name) for name in self.input_names}

    def coarser(self, stride: int) -> GridData:
        """Every so manieth time of the grid; a stride that divides its intervals keeps the samples."""
        grids = tuple(g[::stride] for g in self.grid_times)
        return replace(
            self,
            grid_times=grids,
            states=tuple(s[..., ::stride] for s in self.states),
            sample_index=tuple(map(_places, grids, self.times)),
        )


def grid_data(runs: Sequence[Trajectories], smoothed: SmoothedStates) -> GridData:
    """Runs and their smoothed states, (time, node, variable), in the axes (variable, node, time)."""
    return on_grids(
        runs, smoothed.grid_times, smoothed.states, smoothed.noise, smoothed.state_error
    )


def on_grids(
    runs: Sequence[Trajectories],
    grid_times: Sequence[np.ndarray],
    states: Sequence[np.ndarray],
    noise: np.ndarray,
    state_error: np.ndarray | None = None,
) -> GridData:
    """Runs with states (time, node, variable) on grids that hold the times of their samples.

    noise, state_error: of each variable; states that are no smoothed samples err by nothing.
    """
    first = runs[0]
    return GridData(
        variables=first.variables,
        features={k: np.asarray(v, dtype=float) for k, v in first.node_features.items()},
        times=tuple(run.times for run in runs),
        samples=tuple(_turned(np.nan_to_num(run.states)) for run in runs),
        observed=tuple(_turned(run.observed) for run in runs),
        grid_times=tuple(grid_times),
        states=tuple(map(_turned, states)),
        sample_index=tuple(map(_places, grid_times, (run.times for run in runs))),
        noise=np.asarray(noise, dtype=float),
        state_error=np.zeros(len(noise)) if state_error is None else np.asarray(state_error, float),
        inputs=tuple(run.inputs for run in runs),
    )


def _turned(values: np.ndarray) -> np.ndarray:
    return values.transpose(2, 1, 0)


def _places(grid: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Places of times in a grid that holds them, up to rounding."""
    return np.searchsorted(grid, times - 1e-10 * (grid[-1] - grid[0]))
