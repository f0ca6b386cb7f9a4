"""What the benchmarks share: device and versions, time spent compiling, medians, tables, JSON files."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

# Stages of discover(), as `Law.seconds` names them, in their order.
STAGES = (
    "smoothing",
    "search",
    "refinement",
    "sums over neighbours",
    "neural terms",
    "expressions",
)
PACKAGES = ("jax", "diffrax", "flax", "numpy", "scipy", "sympy", "pysindy", "pyoperon", "gplearn")


def environment() -> dict[str, Any]:
    """Device, cores and versions that the numbers of a benchmark belong to."""
    import jax

    import jaxllc

    versions = {"python": platform.python_version(), "jaxllc": jaxllc.__version__}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    devices = jax.devices()
    return {
        "device": f"{len(devices)} x {devices[0].device_kind} ({jax.default_backend()})",
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def print_environment(record: dict[str, Any]) -> None:
    """Two lines: the device, the versions."""
    print(f"device: {record['device']}, {record['cores']} {record['processor']} cores")
    print("versions: " + ", ".join(f"{k} {v}" for k, v in record["versions"].items()), flush=True)


class CompileClock:
    """Seconds that JAX spends tracing and compiling; stages that contain each other count once."""

    _intervals: list[tuple[float, float]] = []  # noqa: RUF012 - one list, as JAX has one listener
    _listening = False

    def __init__(self) -> None:
        if not CompileClock._listening:
            import jax.monitoring

            jax.monitoring.register_event_duration_secs_listener(CompileClock._record)
            CompileClock._listening = True

    @staticmethod
    def _record(event: str, duration: float, **_: Any) -> None:
        if event.startswith("/jax/core/compile/"):
            now = time.perf_counter()
            CompileClock._intervals.append((now - duration, now))

    def since(self, start: float) -> float:
        """Seconds of compilation after `start`, a time of `time.perf_counter`."""
        total, end = 0.0, start
        for low, high in sorted(self._intervals):
            if high > end:
                total += high - max(low, end)
                end = high
        return total


def kept_rows(
    rows: Iterable[dict[str, Any]],
    record: dict[str, Any],
    path: str | None,
    row_text: Callable[[dict[str, Any]], str],
    summary: Callable[[list[dict[str, Any]]], Any],
) -> list[dict[str, Any]]:
    """All rows; each is printed as soon as it is there, and a file holds those so far with their summary."""
    found: list[dict[str, Any]] = []
    for row in rows:
        found.append(row)
        print(row_text(row), flush=True)
        if path:
            write_json(path, {**record, "rows": found, "summary": summary(found)})
    return found


def median(values: Iterable[float | None]) -> float:
    """Median of the numbers that are there; nan of none."""
    numbers = [v for v in values if v is not None and not math.isnan(v)]
    return float(np.median(numbers)) if numbers else math.nan


def comma_list(text: str) -> list[str]:
    """Parts of a comma-separated option."""
    return [part.strip() for part in text.split(",") if part.strip()]


def integers(text: str) -> list[int]:
    """Integers of a comma-separated option."""
    return [int(part) for part in comma_list(text)]


def one_line(law: Any) -> str:
    """The equations of a law on one line."""
    return "; ".join(str(law).splitlines())


def write_json(path: str | os.PathLike, record: Any) -> None:
    """Write a record whole or not at all; nan and infinity become null."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(_plain(record), indent=1, allow_nan=False) + "\n")


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path that takes the place of `path`, whose folder is made, when the block ends well."""
    from jaxllc.files.output_file import output_file

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with output_file(path) as temporary:
        yield temporary


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
