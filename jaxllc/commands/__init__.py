"""The commands of `jaxllc`, one file each: what it is for, its arguments, and what it does.

A command is a module with `add_arguments(parser)` and `run(options) -> exit code`; the first line of
its docstring is its help. A group of commands, as `jaxllc signaling`, is a module with `modules()`.
"""

from __future__ import annotations

from types import ModuleType


def modules() -> list[tuple[str, ModuleType]]:
    """Name and module of every command, in the order of the help."""
    from jaxllc.commands import demo, discover, simulate
    from jaxllc.commands.signaling import group as signaling

    return [
        ("demo", demo),
        ("discover", discover),
        ("simulate", simulate),
        ("signaling", signaling),
    ]
