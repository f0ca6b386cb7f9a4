"""What is given to a trajectory problem instead of explained by it: inputs, and states of held nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import make_interp_spline

from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.smoothing.grid_data import GridData


@dataclass(frozen=True, eq=False)
class Given:
    """What is given over grid intervals, at the ends and in the middle of each step.

    held: of held nodes; where there is none they stay where they are. inputs: by name.
    """

    held: Float[np.ndarray, "variable held interval part"] | None
    inputs: Mapping[str, Float[np.ndarray, "node interval part"]]

    def over(self, intervals: slice) -> Given:
        """The same over some of the intervals."""
        held = None if self.held is None else self.held[:, :, intervals]
        return Given(held, {name: values[:, intervals] for name, values in self.inputs.items()})

    def inputs_at(self, part: int) -> dict[str, Float[np.ndarray, "node interval"]]:
        """The inputs at a part of each interval."""
        return {name: values[..., part] for name, values in self.inputs.items()}


@dataclass(frozen=True, eq=False)
class GivenInputs:
    """The inputs of all runs.

    on_grid: at the times of their grids, padded to one length, as the states of a trajectory problem; starts:
    the first times of the grids.
    """

    courses: tuple[Mapping[str, InputCourse], ...]
    starts: tuple[float, ...]
    on_grid: Mapping[str, Float[np.ndarray, "node time"]]

    @classmethod
    def of(cls, data: GridData, count: int) -> GivenInputs:
        """The inputs of the runs of a discovery, with so many grid times each."""
        nodes = data.states[0].shape[1]
        on_grid = {}
        for name in data.input_names:
            values = np.zeros((nodes, data.num_runs, count))
            for r, (run, grid) in enumerate(zip(data.inputs, data.grid_times, strict=True)):
                values[:, r, : len(grid)] = run[name].on_grid(grid)
                values[:, r, len(grid) :] = values[:, r, len(grid) - 1, None]
            on_grid[name] = values.reshape(nodes, -1)
        return cls(data.inputs, tuple(float(grid[0]) for grid in data.grid_times), on_grid)

    def between(
        self, steps: Float[np.ndarray, "run interval"], substeps: int
    ) -> dict[str, Float[np.ndarray, "node interval part"]]:
        """Inputs over each grid interval, those of the first run first; steps are 0 behind the end of a
        run."""
        found = {}
        for name, own in self.on_grid.items():
            parts = []
            for run, start, lengths in zip(self.courses, self.starts, steps, strict=True):
                begins = start + np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
                values = run[name].over_steps(begins, lengths, substeps)
                parts.append(np.broadcast_to(values, (len(own), *values.shape[1:])))
            found[name] = np.concatenate(parts, axis=1)
        return found

    def last(self, substeps: int) -> dict[str, Float[np.ndarray, "node run part"]]:
        """The inputs at the ends of the grids."""
        runs, parts = len(self.courses), 2 * substeps + 1
        last = {
            n: v.reshape(len(v), runs, -1)[..., -1:].repeat(parts, 2)
            for n, v in self.on_grid.items()
        }
        return last


def paths_between(
    states: Float[np.ndarray, "variable node run grid"],
    steps: Float[np.ndarray, "run interval"],
    parts: int,
) -> Float[np.ndarray, "variable node interval part"]:
    """States over each grid interval, those of the first run first, at its ends and between so many equal
    parts.

    By the cubic spline through the states on the grid; steps are 0 behind the end of a run.
    """
    places = np.linspace(0.0, 1.0, parts + 1)
    found = []
    for run, lengths in enumerate(steps):
        times = np.concatenate([[0.0], np.cumsum(lengths)])
        count = int(np.count_nonzero(lengths)) + 1
        spline = make_interp_spline(
            times[:count], states[:, :, run, :count], k=min(3, count - 1), axis=2
        )
        found.append(spline(times[:-1, None] + lengths[:, None] * places))
    return np.concatenate(found, axis=2)


def without_rows(values: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """A copy with zeros in some rows."""
    values = np.array(values)
    values[rows] = 0.0
    return values
