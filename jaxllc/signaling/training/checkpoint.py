"""A training kept in a file: every array of its state, so that it goes on bit for bit; no pickle."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import jax
import numpy as np

from jaxllc.errors import InputError
from jaxllc.files.array_file import TEXT, ArrayOf, read_arrays, write_arrays
from jaxllc.files.output_file import output_file
from jaxllc.signaling.network.structure import Data, Structure
from jaxllc.signaling.settings import SignalingSettings
from jaxllc.signaling.training.training_state import HISTORY, TrainingState

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
    leaves = jax.tree.leaves(_plain_key(state))
    arrays = {
        "format": _FORMAT,
        "mark": mark,
        "history": history,
        **{f"leaf{n}": leaf for n, leaf in enumerate(leaves)},
    }
    with output_file(path) as temporary, temporary.open("wb") as file:
        write_arrays(file, arrays, compressed=False)


def read_checkpoint(
    path: str | os.PathLike, template: TrainingState, mark: str
) -> tuple[TrainingState, np.ndarray]:
    """The state and history in a file; raises InputError unless it is of this very training."""
    leaves, tree = jax.tree.flatten(_plain_key(template))
    wanted = {f"leaf{n}": ArrayOf("fiub", (None,) * np.ndim(leaf)) for n, leaf in enumerate(leaves)}
    wanted |= {"format": TEXT, "mark": TEXT, "history": ArrayOf("f", (None, len(HISTORY)))}
    what, mend = "a checkpoint that can be read", "remove it to start anew"
    arrays = read_arrays(path, wanted, what, mend)
    if str(arrays["format"]) != _FORMAT:
        raise InputError(
            f"{path} is not {what} (its format is {str(arrays['format'])[:60]}); {mend}"
        )
    if str(arrays["mark"]) != mark:
        raise InputError(
            f"the checkpoint {path} belongs to another network, other conditions, settings or seed; "
            "remove it or choose another path"
        )
    kept = [arrays[f"leaf{n}"] for n in range(len(leaves))]
    for old, new in zip(leaves, kept, strict=True):
        if np.shape(old) != new.shape or old.dtype != new.dtype:
            raise InputError(f"{path} is not {what} (its arrays have other shapes); {mend}")
    history = arrays["history"]
    if not np.array_equal(history[:, 0], np.arange(1, len(history) + 1)):
        raise InputError(f"{path} is not {what} (its epochs are not those of a training); {mend}")
    state = jax.tree.unflatten(tree, [jax.numpy.asarray(leaf) for leaf in kept])
    return state._replace(key=jax.random.wrap_key_data(state.key)), history


def _plain_key(state: TrainingState) -> Any:
    return state._replace(key=jax.random.key_data(state.key))
