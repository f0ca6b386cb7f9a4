"""A training kept in a file: every array of its state, so that it goes on bit for bit; no pickle."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxllc.errors import InputError
from jaxllc.output_file import output_file
from jaxllc.signaling.settings import SignalingSettings
from jaxllc.signaling.structure import Data, Structure
from jaxllc.signaling.training_state import TrainingState

_FORMAT = "jaxllc signaling checkpoint 1"


def fingerprint(structure: Structure, data: Data, settings: SignalingSettings, seed: int) -> str:
    """A hash of what a training is of: network, conditions, settings, seed and number format."""
    digest = hashlib.sha256()
    for array in jax.tree.leaves((structure, data)):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(json.dumps([settings.to_dict(), seed], sort_keys=True).encode())
    digest.update(str(jax.numpy.zeros(()).dtype).encode())
    return digest.hexdigest()


def write_checkpoint(
    path: str | os.PathLike, state: TrainingState, history: np.ndarray, mark: str
) -> None:
    """Write the state, the history so far and the fingerprint `mark`, whole or not at all."""
    arrays = {f"leaf{n}": leaf for n, leaf in enumerate(jax.tree.leaves(_plain_key(state)))}
    with output_file(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            format=np.array(_FORMAT),
            mark=np.array(mark),
            history=history,
            **{name: np.asarray(leaf) for name, leaf in arrays.items()},  # type: ignore[arg-type]
        )


def read_checkpoint(
    path: str | os.PathLike, template: TrainingState, mark: str
) -> tuple[TrainingState, np.ndarray]:
    """The state and history in a file; raises InputError unless it is of this very training."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if str(arrays["format"]) != _FORMAT:
            raise ValueError(f"its format is {arrays['format']}")
        if str(arrays["mark"]) != mark:
            raise InputError(
                f"the checkpoint {path} belongs to another network, other conditions, settings or seed; "
                "remove it or choose another path"
            )
        plain = _plain_key(template)
        leaves, tree = jax.tree.flatten(plain)
        kept = [arrays[f"leaf{n}"] for n in range(len(leaves))]
        for old, new in zip(leaves, kept, strict=True):
            if np.shape(old) != new.shape:
                raise ValueError("its arrays have other shapes")
    except InputError:
        raise
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is not a checkpoint that can be read ({error}); remove it to start anew"
        ) from error
    state = jax.tree.unflatten(tree, [jax.numpy.asarray(leaf) for leaf in kept])
    return state._replace(key=jax.random.wrap_key_data(state.key)), arrays["history"]


def _plain_key(state: TrainingState) -> Any:
    return state._replace(key=jax.random.key_data(state.key))
