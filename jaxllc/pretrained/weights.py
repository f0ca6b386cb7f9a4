"""A model in a file: its settings as text, its numbers as arrays; reading runs no code."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxllc.errors import InputError
from jaxllc.files.json_text import parse_json
from jaxllc.pretrained.model import ModelSettings, SkeletonModel, blank_model
from jaxllc.pretrained.tensors import read_tensors, write_tensors

VERSION = "jaxllc skeleton model 1"


def named_arrays(tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a tree by the paths to them."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def with_arrays(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The tree with other arrays, of the types it has; raises InputError where one is missing or misfit."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    found = []
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path)
        array = arrays.get(name)
        if array is None or array.shape != leaf.shape:
            shape = "missing" if array is None else f"of the shape {array.shape}"
            raise InputError(
                f"the array {name} is {shape} and should be of the shape {leaf.shape}; "
                "give a file of the same settings"
            )
        found.append(array.astype(leaf.dtype))
    # All at once: turned into arrays of JAX one by one, each shape would be compiled for.
    return jax.tree_util.tree_unflatten(structure, jax.device_put(found))


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """A hash of names and numbers, whatever their order."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def half_precision(model: SkeletonModel) -> dict[str, np.ndarray]:
    """The numbers of a model as they are written."""
    arrays = named_arrays(nnx.state(model))
    return {name: array.astype(np.float16) for name, array in arrays.items()}


def save_model(
    path: str | os.PathLike, model: SkeletonModel, about: Mapping[str, Any] | None = None
) -> None:
    """Write a model in half precision; about: what else a reader should know, such as the corpus."""
    arrays = half_precision(model)
    metadata = {
        "version": VERSION,
        "model": json.dumps(model.settings.to_dict()),
        "about": json.dumps(dict(about or {})),
        "sha256": digest(arrays),
    }
    write_tensors(path, arrays, metadata)


def load_model(path: str | os.PathLike) -> tuple[SkeletonModel, dict[str, Any]]:
    """A model and what was written about it.

    Raises InputError for a file that cannot be read, is of another version, or was changed.
    """
    arrays, metadata = read_tensors(path)
    if metadata.get("version") != VERSION:
        raise InputError(
            f"{path} is of the version {metadata.get('version', 'unknown')!r:.60}, and this jaxllc reads "
            f"{VERSION!r}; give weights of that version"
        )
    if metadata.get("sha256") != digest(arrays):
        raise InputError(f"{path} is damaged: its numbers do not fit their hash; get the file anew")
    try:
        settings = ModelSettings(**parse_json(metadata["model"]))
        about = dict(parse_json(metadata["about"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} has settings that cannot be read ({str(error)[:200]}); get the file anew"
        ) from error
    graph, state = nnx.split(blank_model(settings))
    return nnx.merge(graph, with_arrays(state, arrays)), about
