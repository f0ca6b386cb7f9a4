"""After which epochs a sweep keeps weights, and the folder that they go to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxllc.errors import InputError, check_integer, check_path, listing
from jaxllc.files.output_file import made_folder
from jaxllc.sweeps.members import Member


def checked_snapshots(
    snapshots: Sequence[int], folder: str | os.PathLike | None, members: Mapping[str, Member]
) -> Path | None:
    """The folder, made if need be, or None where no snapshots are asked for."""
    snapshots = listing("snapshots", snapshots, "epochs", "[0, 100]")
    if not snapshots:
        return None
    if folder is None:
        raise InputError("snapshot_folder is left out; name the folder that the snapshots go to")
    check_path("snapshot_folder", folder)
    shortest = min((member.settings.epochs for member in members.values()), default=0)
    for epoch in snapshots:
        check_integer("an epoch of snapshots", epoch, 0)
        if epoch > shortest:
            raise InputError(
                f"snapshots holds {epoch}, but a training of the grid ends after {shortest} epochs; leave "
                "it out or train longer"
            )
    # Absolute: a worker of a cluster may be in another folder.
    return made_folder(Path(folder).absolute(), "snapshot_folder")
