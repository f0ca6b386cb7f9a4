"""What a sweep does with a chunk of its points, in whatever process: a function called, a row for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxllc.errors import InputError, check_mapping, quoted
from jaxllc.running.waiting import StalledError
from jaxllc.sweeps.devices.devices import device_name
from jaxllc.sweeps.grids import Point, key_of
from jaxllc.sweeps.records import DIVERGED, DONE, FAILED, Row, check_names, versions


@dataclass(frozen=True)
class Outcome:
    """What a run came to, where its metrics alone do not say it.

    metrics: numbers, text or lists by name. status: "done", or "diverged" with a sentence in `note`.
    settings: everything that the run was told, as plain data. Raises InputError for another status.
    """

    metrics: Mapping[str, Any]
    status: str = DONE
    note: str = ""
    settings: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_mapping("metrics", self.metrics, "{'error': 0.1}")
        if self.settings is not None:
            check_mapping("settings", self.settings, "{'epochs': 1000}")
        if not isinstance(self.status, str) or self.status not in (DONE, DIVERGED):
            raise InputError(
                f"status is {quoted(self.status, 80)}, but it must be {DONE!r} or {DIVERGED!r}; raise an "
                "exception for a run that failed"
            )


@dataclass(frozen=True)
class Work:
    """What a sweep does with its points, here or on a worker: a batched function, and points in a chunk."""

    function: Callable[[list[Point]], Any]
    size: Callable[[Point], int]

    def rows(self, chunk: list[Point]) -> list[Row]:
        """Run a chunk; the row of each of its points."""
        began = time.perf_counter()
        outcomes = _outcomes(self.function, chunk)
        seconds = (time.perf_counter() - began) / len(chunk)
        return [_row(p, o, seconds) for p, o in zip(chunk, outcomes, strict=True)]

    def failed(self, chunk: list[Point], error: Exception) -> list[Row]:
        """The rows of a chunk that could not be run."""
        return [_row(point, error, 0.0) for point in chunk]


def _outcomes(function: Callable[[list[Point]], Any], chunk: list[Point]) -> list[Any]:
    """What became of each point of a chunk: a mapping, an Outcome or an exception."""
    try:
        found = function([dict(point) for point in chunk])
    except StalledError:
        raise  # nothing runs here any more
    except Exception as error:
        if len(chunk) == 1:
            return [error]
        half = len(chunk) // 2
        return [*_outcomes(function, chunk[:half]), *_outcomes(function, chunk[half:])]
    if not isinstance(found, Sequence) or len(found) != len(chunk):
        said = f"{len(found)} results" if isinstance(found, Sequence) else f"{found!r:.40}"
        raise InputError(
            f"the function gave {said} for {len(chunk)} points; give a list with one result for each"
        )
    return list(found)


def _row(point: Point, outcome: Any, seconds: float) -> Row:
    status, note, metrics, settings = DONE, "", outcome, None
    if isinstance(outcome, Exception):
        status, note, metrics = FAILED, sentence_of(outcome), {}
    elif isinstance(outcome, Outcome):
        status, note = outcome.status, outcome.note
        metrics, settings = outcome.metrics, outcome.settings
    elif not isinstance(outcome, Mapping):
        raise InputError(
            f"the function gave {outcome!r:.40} for the point {key_of(point)}; give a dict of metrics"
        )
    check_names(point, metrics)
    return {
        "point": point,
        "seed": point.get("seed"),
        "status": status,
        "note": note,
        "metrics": dict(metrics),
        "settings": None if settings is None else dict(settings),
        "seconds": seconds,
        "device": device_name(),
        "versions": versions(),
    }


def sentence_of(error: Exception) -> str:
    """The kind of an exception and the first line of what it says."""
    lines = str(error).strip().splitlines()
    kind = type(error).__name__
    return f"{kind}: {lines[0]}" if lines else kind
