"""How far a training or a validation is, as a bar on stderr and only where someone watches a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

_SHOWN = {"loss": "loss", "radius": "spectral radius"}


class ProgressBar:
    """A bar; call it with what is done, what there is to do, and a sentence or the last numbers.

    Silent where stderr is not a terminal, and with `quiet`.
    """

    def __init__(self, quiet: bool = False, what: str = "epochs"):
        self._quiet, self._what = quiet, what
        self._bars: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn(self._what, markup=False),
                TimeElapsedColumn(),
                TextColumn("left:", style="dim"),
                TimeRemainingColumn(),
                TextColumn("{task.description}", markup=False, style="dim"),
                console=Console(stderr=True),
            )
            self._bars.start()
            self._task = self._bars.add_task("", total=None)
        return self

    def __call__(self, done: int, total: int, now: Mapping[str, float] | str = "") -> None:
        if self._bars is None:
            return
        if not isinstance(now, str):
            shown = {text: now[name] for name, text in _SHOWN.items() if name in now}
            now = ", ".join(f"{text} {x:.3g}" for text, x in shown.items() if math.isfinite(x))
        self._bars.update(self._task, completed=done, total=total, description=now)

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
