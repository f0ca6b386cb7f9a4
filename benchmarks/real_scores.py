"""Forecasts of held-out parts of real runs, their errors, and the table of these."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# States (T, N) at `times` from the state (N,) at times[0].
Simulator = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """A method of the table: its errors by column, seconds of a processor for the fit, what it found."""

    method: str
    errors: Mapping[str, float]
    seconds: float
    text: str = ""


class Clock:
    """Seconds of a processor since it was made."""

    def __init__(self) -> None:
        self._start = time.process_time()

    def seconds(self) -> float:
        return time.process_time() - self._start


def misses(simulate: Simulator, run: Any, starts: Sequence[int], ahead: int) -> np.ndarray:
    """Forecast minus what was observed `ahead` samples after each start, (S, N); nan where not observed.

    A forecast that blew up is infinitely wrong.
    """
    states = run.states[:, :, 0]
    found = []
    for start in starts:
        times = run.times[start : start + ahead + 1]
        with np.errstate(all="ignore"):
            forecast = np.asarray(simulate(states[start], times))[-1]
        found.append(np.where(np.isfinite(forecast), forecast, np.inf) - states[start + ahead])
    return np.array(found)


def course_misses(simulate: Simulator, run: Any) -> np.ndarray:
    """Forecast of the whole run from its first state minus what was observed after it, (T - 1, N)."""
    states = run.states[:, :, 0]
    with np.errstate(all="ignore"):
        forecast = np.asarray(simulate(states[0], run.times))[1:]
    return np.where(np.isfinite(forecast), forecast, np.inf) - states[1:]


def rms(parts: Sequence[np.ndarray]) -> float:
    """Root mean square of all misses that are there; infinite where a forecast blew up."""
    values = np.concatenate([np.ravel(part) for part in parts])
    values = values[~np.isnan(values)]
    return float(np.sqrt(np.mean(values**2))) if len(values) else math.nan


def no_change(state: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The last value stays."""
    return np.broadcast_to(state, (len(times), len(state)))


def constant(values: np.ndarray) -> Simulator:
    """One value of each node at all times."""
    return lambda state, times: np.broadcast_to(values, (len(times), len(values)))


def table_text(rows: Sequence[Row]) -> str:
    """The table: methods, their errors, seconds; then what each found."""
    columns = list(dict.fromkeys(name for row in rows for name in row.errors))
    wide = max(len(row.method) for row in rows)
    lines = [f"  {'':{wide}s} " + " ".join(f"{name:>16s}" for name in columns) + "   seconds"]
    for row in rows:
        cells = " ".join(f"{row.errors.get(name, math.nan):16.4g}" for name in columns)
        lines.append(f"  {row.method:{wide}s} {cells} {row.seconds:9.1f}")
    lines += [f"  {row.method}: {row.text}" for row in rows if row.text]
    return "\n".join(lines)


def comparisons(rows: Sequence[Row], laws: Sequence[str]) -> list[tuple[str, Row, Row]]:
    """(column, best law, best other method) of each column that both have."""
    found = []
    for column in dict.fromkeys(name for row in rows for name in row.errors):
        have = [row for row in rows if column in row.errors]
        mine = [row for row in have if row.method in laws]
        others = [row for row in have if row.method not in laws]
        if mine and others:
            best = (min(side, key=lambda row: row.errors[column]) for side in (mine, others))
            found.append((column, *best))
    return found


def wins(rows: Sequence[Row], laws: Sequence[str]) -> int:
    """In how many columns the best law has a smaller error than the best other method."""
    return sum(law.errors[c] < other.errors[c] for c, law, other in comparisons(rows, laws))


def verdict(rows: Sequence[Row], laws: Sequence[str]) -> str:
    """One sentence: in which columns the best of the laws wins or loses, and against what."""
    parts = []
    for column, law, other in comparisons(rows, laws):
        mine, best = law.errors[column], other.errors[column]
        how = "wins" if mine < best else "loses"
        parts.append(
            f"{column}: the {law.method} {how}, {mine:.3g} beside {best:.3g} of {other.method}"
        )
    return "; ".join(parts) + "."
