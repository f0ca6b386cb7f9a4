"""The seconds that a command took: of its stages, and in all since its process began."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

IN_ALL = "in all"


def process_age() -> float:
    """Seconds since this process began, imports and all; those it has worked where no more is known."""
    try:
        # The name of the program stands in parentheses and may hold anything.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begun = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - begun
    except (OSError, ValueError, IndexError, AttributeError):
        return time.process_time()
    return max(age, 0.0)


def seconds_line(seconds: Mapping[str, float]) -> str:
    """Such as "law 1.7 s, figures and report 9.0 s, in all 19.2 s"."""
    return ", ".join(f"{stage} {spent:.1f} s" for stage, spent in seconds.items())


def with_total(seconds: Mapping[str, float], begun: float) -> dict[str, float]:
    """The seconds of the stages with those since `begun`, of time.perf_counter(), as the last entry."""
    return {**seconds, IN_ALL: time.perf_counter() - begun}
