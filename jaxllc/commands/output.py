"""What a command leaves behind: folders checked before the long work, states, settings, JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxllc.errors import InputError
from jaxllc.files.file_values import plain
from jaxllc.files.output_file import (
    is_standard_output,
    is_stream,
    made_folder,
    output_file,
    remove_leftovers,
)
from jaxllc.files.output_lock import LOCK, locked

if TYPE_CHECKING:
    from jaxllc.data.trajectories import Trajectories


@contextmanager
def output_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A folder that can be written to, made if need be, and removed again if it stays empty.

    It is locked for the block, and what killed runs left on its way is removed. Raises InputError at once
    where it cannot be made or written to, and where another run writes to it.
    """
    folder = Path(path)
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        made_folder(folder, "with --out")
        _check_writable(folder)
        mend = "wait for its end, stop it, or choose another folder with --out"
        with locked(folder / LOCK, f"the folder {folder}", mend):
            remove_leftovers(folder)
            yield folder
    finally:
        for empty in made:
            try:
                empty.rmdir()
            except OSError:
                break


def check_output_file(path: str | os.PathLike, as_json: bool = False) -> Path:
    """The path, once it is clear that a file can be written there; raises InputError.

    as_json: whether a JSON object is printed too.
    """
    target = Path(path)
    if as_json and is_standard_output(target):
        raise InputError(f"--json and --out {target} both go to stdout; give --out another file")
    if target.is_dir():
        raise InputError(f"{target} is a folder; give --out the name of a file")
    if is_stream(target):
        return target
    folder = Path(os.path.realpath(target)).parent  # that of what a link leads to
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist; make it or choose another")
    _check_writable(folder)
    return target


def print_of(target: Path) -> Callable[[str], None]:
    """How to say what was written to a path: on stdout, or on stderr where the file itself went there."""
    return partial(print, file=sys.stderr if is_standard_output(target) else None)


def _check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {folder}: {error.strerror}; choose another with --out"
        ) from error


def write_settings(settings: Mapping[str, Any], folder: Path) -> Path:
    """settings.json: what a run was told, its seed included."""
    path = folder / "settings.json"
    with output_file(path) as temporary:
        written = json.dumps(plain(settings), indent=1, allow_nan=False)
        temporary.write_text(written + "\n", encoding="utf-8")
    return path


def write_states(runs: Sequence[Trajectories], path: Path) -> None:
    """A wide table of states, with a column `run` where there are several."""
    if len(runs) == 1:
        runs[0].to_csv(path)
        return
    import pandas as pd

    frames = [run.to_frame() for run in runs]
    for number, frame in enumerate(frames, start=1):
        frame.insert(0, "run", number)
    with output_file(path) as temporary:
        pd.concat(frames).to_csv(temporary, index=False)


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on stdout; what is not a finite number becomes null."""
    print(json.dumps(plain(content), indent=1, allow_nan=False))
