"""The smallest case found that fails in the same way."""

from __future__ import annotations

import time
from collections.abc import Callable

from fuzzing.reader import Case


def smallest(case: Case, fails: Callable[[Case], bool], seconds: float = 10.0) -> Case:
    """Take pieces out of every file and text of a case, as long as it still fails."""
    best = dict(case)
    end = time.process_time() + seconds
    for name in best:
        if not isinstance(best[name], bytes | str):
            continue
        size = max(1, len(best[name]) // 2)
        while time.process_time() < end:
            start, before = 0, len(best[name])
            while start < len(best[name]) and time.process_time() < end:
                shorter = best[name][:start] + best[name][start + size :]
                if fails({**best, name: shorter}):
                    best[name] = shorter
                else:
                    start += size
            if size == 1 and len(best[name]) == before:
                break
            size = max(1, size // 2)
    return best
