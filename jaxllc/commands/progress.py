"""What a long command is doing, on stderr and only where someone watches a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class StageProgress:
    """A line for each stage with its time; call it with a stage and what happens in it.

    Silent where stderr is not a terminal, and with `quiet`.
    """

    def __init__(self, quiet: bool = False):
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._quiet = quiet

    def __enter__(self) -> StageProgress:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                SpinnerColumn(finished_text="[green]✓[/green]"),
                TextColumn("{task.fields[stage]:<14}", markup=False),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False, style="dim"),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __call__(self, stage: str, what: str = "") -> None:
        if stage == "data" and what and not self._quiet:
            # Worth knowing before the rest is done, whoever watches.
            self._say(what)
            return
        if self._bars is None:
            return
        for name, task in self._tasks.items():
            if name != stage:
                self._finish(task)
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(what, stage=stage, total=None)
        elif what:
            self._bars.update(self._tasks[stage], description=what)

    def _say(self, sentence: str) -> None:
        if self._bars is None:
            say(sentence)
        else:
            self._bars.console.print(
                f"jaxllc: {with_flags(sentence)}", markup=False, highlight=False, soft_wrap=True
            )

    def _finish(self, task: Any) -> None:
        self._bars.update(task, total=1, completed=1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is None:
            return
        if kind is None:
            for task in self._tasks.values():
                self._finish(task)
        self._bars.stop()


# What the library says in Python, and how it is said on a command line.
_FLAGS = {
    "allow_isolated=True": "--allow-isolated",
    "undirected=True": "--undirected",
    "signed=True": "--signed",
    'solver="kvaerno5"': "--solver kvaerno5",
    "(node_features)": "(--features)",
    "inputs={'u': table}": "--input u=FILE.csv",
    "inputs={'t': 'time'}": "--input t=time",
    "a larger rtol": "a larger --rtol",
    "a larger max_steps": "a larger --max-steps",
}


def with_flags(text: str) -> str:
    """A text of the library with its arguments named as flags."""
    for argument, flag in _FLAGS.items():
        text = text.replace(argument, flag)
    return text


def say(sentence: str) -> None:
    """A sentence for the user on stderr, on one line, with arguments named as flags."""
    print("jaxllc:", " ".join(with_flags(sentence).split()), file=sys.stderr)
