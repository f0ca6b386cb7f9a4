"""What a command of signaling goes on from, and what it leaves behind."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jaxllc.commands.progress import say
from jaxllc.errors import InputError
from jaxllc.files.output_file import output_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def going_on_from(path: Path, options: argparse.Namespace) -> Iterator[None]:
    """Work that goes on from what a file holds, which --fresh removes before; an error about it says so."""
    if options.fresh:
        path.unlink(missing_ok=True)
    elif path.exists() and not options.quiet:
        say(f"going on from {path}; --fresh starts anew")
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise InputError(f"{error}; --fresh removes {path.name} and starts anew") from error
        raise


def interrupted_line(path: Path, options: argparse.Namespace) -> str:
    """What to say of an interrupt after which a file holds what the command goes on from."""
    again = "the same command without --fresh" if options.fresh else "the same command"
    return f"interrupted: {path} holds what is done; {again} goes on"


def write_figures(folder: Path, figures: Mapping[str, Callable[[], Figure]]) -> list[Path]:
    """A PNG for each figure, drawn one after the other, each whole or not at all."""
    written = []
    for name, draw in figures.items():
        path = folder / name
        with output_file(path) as temporary:
            draw().savefig(temporary, dpi=150)
        written.append(path)
    return written


def files_line(folder: Path, files: Sequence[Path]) -> str:
    """The line that says what was written where."""
    return f"Written to {folder}: {', '.join(path.name for path in files)}"
