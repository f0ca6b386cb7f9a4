"""An input: what acts on the nodes from outside, known over time.

Between the times at which it is given an input is a straight line, since nothing else is known of it; a time
that stands twice is a jump. No derivative of it is ever taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer

from jaxllc.errors import InputError

# In the place of a table: the input is the time itself.
TIME = "time"
# Share of the span by which an input may end before the samples do: rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class InputCourse:
    """An input over one run.

    times: (knot,), in the unit of the samples; one that stands twice is a jump. values: (row, knot), one row
    for each node, or a single one that is common to all. is_time: it is the time itself; is_shape: it is one
    of the functions that an unknown forcing is a sum of.
    """

    times: Float[np.ndarray, " knot"]
    values: Float[np.ndarray, "row knot"]
    is_time: bool = False
    is_shape: bool = False

    @property
    def common(self) -> bool:
        """Whether all nodes have the same input."""
        return len(self.values) == 1

    @property
    def jumps(self) -> Float[np.ndarray, " jump"]:
        """Times at which it jumps."""
        return np.unique(self.times[1:][np.diff(self.times) == 0])

    def at(
        self, times: Float[np.ndarray, ...], before: bool = False
    ) -> Float[np.ndarray, "row ..."]:
        """Values at some times; at a jump the one after it, or the one before it. Beyond its ends it stays as
        it is there."""
        times = np.asarray(times, dtype=float)
        right = np.searchsorted(self.times, times, side="left" if before else "right")
        right = np.clip(right, 1, len(self.times) - 1)
        start, stop = self.times[right - 1], self.times[right]
        width = np.where(stop > start, stop - start, 1.0)
        share = np.clip((times - start) / width, 0.0, 1.0)
        low, high = self.values[:, right - 1], self.values[:, right]
        return low + (high - low) * share

    def means(
        self, starts: Float[np.ndarray, ...], stops: Float[np.ndarray, ...]
    ) -> Float[np.ndarray, "row ..."]:
        """Mean values from starts to stops, which lie within its times."""
        width = np.where(stops > starts, stops - starts, 1.0)
        mean = (self._integral(stops) - self._integral(starts)) / width
        return np.where(stops > starts, mean, self.at(starts))

    def _integral(self, times: np.ndarray) -> np.ndarray:
        """From the first knot to some times."""
        steps = np.diff(self.times)
        sums = np.cumsum(steps * (self.values[:, 1:] + self.values[:, :-1]) / 2, axis=1)
        sums = np.concatenate([np.zeros((len(self.values), 1)), sums], axis=1)
        right = np.searchsorted(self.times, times, side="right")
        left = np.clip(right, 1, len(self.times) - 1) - 1
        beyond = times - self.times[left]
        return sums[:, left] + beyond * (self.values[:, left] + self.at(times, before=True)) / 2

    def on_grid(self, grid: Float[np.ndarray, " time"]) -> Float[np.ndarray, "row time"]:
        """Values on a grid from which integrals over it are made.

        Beside a jump the mean over what lies nearest to a grid time, so that no integral loses what the jump
        adds.
        """
        values, jumps = self.at(grid), self.jumps
        if not len(jumps):
            return values
        middles = (grid[1:] + grid[:-1]) / 2
        starts = np.concatenate([grid[:1], middles])
        stops = np.concatenate([middles, grid[-1:]])
        inside = np.searchsorted(jumps, stops, "right") > np.searchsorted(jumps, starts, "left")
        values[:, inside] = self.means(starts[inside], stops[inside])
        return values

    def over_steps(
        self,
        starts: Float[np.ndarray, " interval"],
        lengths: Float[np.ndarray, " interval"],
        substeps: int,
    ) -> Float[np.ndarray, "row interval part"]:
        """Values at the ends and in the middle of each of some equal steps within intervals.

        Those in the middle are such that Simpson's rule gives the integral of the input over the step, within
        what the input is there, so that steps over jumps and rough inputs lose nothing. At the ends of an
        interval a jump belongs to the other side.
        """
        places = np.linspace(0.0, 1.0, 2 * substeps + 1)
        times = starts[:, None] + lengths[:, None] * places
        after, before = self.at(times), self.at(times, before=True)
        values = (after + before) / 2
        values[..., 0], values[..., -1] = after[..., 0], before[..., -1]
        left, right, middle = values[..., :-2:2], values[..., 2::2], values[..., 1::2]
        mean = self.means(times[:, :-2:2], times[:, 2::2])
        low = np.minimum(np.minimum(left, right), np.minimum(middle, mean))
        high = np.maximum(np.maximum(left, right), np.maximum(middle, mean))
        values[..., 1::2] = np.clip((6 * mean - left - right) / 4, low, high)
        return values

    def moved(self, start: float, unit: float) -> InputCourse:
        """The same by a clock that starts at `start` and counts in `unit`."""
        return replace(self, times=(self.times - start) / unit)

    def selected(self, nodes: Integer[np.ndarray, " node"]) -> InputCourse:
        """The same of some nodes, in this order."""
        return self if self.common else replace(self, values=self.values[nodes])

    def equals(self, other: InputCourse) -> bool:
        """Whether both are the same numbers."""
        return np.array_equal(self.times, other.times) and np.array_equal(self.values, other.values)

    def check_covers(self, first: float, last: float, what: str) -> None:
        """Raises InputError where it does not reach from a first to a last time."""
        slack = _ROUNDING * (last - first)
        low, high = float(self.times[0]), float(self.times[-1])
        if low <= first + slack and high >= last - slack:
            return
        where = f"begins at {low:g}" if low > first + slack else f"ends at {high:g}"
        raise InputError(
            f"{what} {where}, but it is needed from {first:.6g} to {last:.6g}: give its values over all of "
            "that time"
        )


def joined(courses: Sequence[InputCourse]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The knots of several courses together, and the values of each there, (row, knot)."""
    knots = _united_times(courses)
    first_of_two = np.concatenate([np.diff(knots) == 0, [False]])
    return knots, [
        np.where(first_of_two, course.at(knots, before=True), course.at(knots))
        for course in courses
    ]


def side_by_side(courses: Sequence[InputCourse], counts: Sequence[int]) -> InputCourse:
    """One input of all nodes of several groups of so many nodes each, out of that of each group."""
    first = courses[0]
    if all(course.common and course.equals(first) for course in courses):
        return first
    knots, values = joined(courses)
    rows = [np.broadcast_to(v, (n, len(knots))) for v, n in zip(values, counts, strict=True)]
    return InputCourse(knots, np.concatenate(rows))


def _united_times(courses: Sequence[InputCourse]) -> np.ndarray:
    """All knots, those twice at which any course jumps."""
    jumps = np.unique(np.concatenate([course.jumps for course in courses]))
    knots = np.unique(np.concatenate([course.times for course in courses]))
    return np.sort(np.concatenate([knots, jumps]))


def stepped(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots and values (row, knot) of an input that holds each value until the next time."""
    changes = [k for k in range(1, len(times)) if (values[:, k] != values[:, k - 1]).any()]
    knots, columns = [times[0]], [values[:, 0]]
    for k in changes:
        knots += [times[k], times[k]]
        columns += [values[:, k - 1], values[:, k]]
    if knots[-1] < times[-1]:
        knots.append(times[-1])
        columns.append(values[:, -1])
    return np.array(knots), np.stack(columns, axis=1)


def are_steps(times: np.ndarray, values: np.ndarray) -> bool:
    """Whether samples (row, knot) are those of steps: of two values, or of few that mostly stay."""
    if (np.diff(times) == 0).any() or len(times) < 2:
        return False  # jumps are given as such
    return all(_steps_of(row) for row in values)


def _steps_of(row: np.ndarray) -> bool:
    count = len(np.unique(row))
    changes = sum(a != b for a, b in itertools.pairwise(row.tolist()))
    return count == 1 or (count <= 2 and len(row) > 2) or (count <= 5 and 4 * changes <= len(row))
