"""How long the stages of some work take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stage_clock(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds of a block to those of its stage, however the block ends."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - begun
