"""The commands of `jaxllc`, one file each: what it is for, its arguments, and what it does.

A command is a module with `add_arguments(parser)` and `run(options) -> exit code`; the first line of
its docstring is its help. A group of commands, as `jaxllc signaling`, is a module with COMMANDS of its own.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import NamedTuple


class Command(NamedTuple):
    """A command by its name; its module is loaded where the command is chosen, so that help comes at once.

    help: the first line of the module's docstring.
    """

    name: str
    path: str
    help: str

    def module(self) -> ModuleType:
        """What does it; loading takes as long as JAX does."""
        return importlib.import_module(self.path)


# In the order of the help.
COMMANDS = (
    Command(
        "demo",
        "jaxllc.commands.demo",
        "The main job on made-up data: an epidemic on a network, and the way back to its law.",
    ),
    Command(
        "discover",
        "jaxllc.commands.discover",
        "Find the law that moves the nodes of a network, from two CSV files.",
    ),
    Command(
        "simulate",
        "jaxllc.commands.simulate",
        "Run a law on a network and write its states over time.",
    ),
    Command(
        "signaling",
        "jaxllc.commands.signaling.group",
        "Train, validate and use models of signaling on a signed prior network.",
    ),
)
