"""Readers of files that hold arrays: models, checkpoints, snapshots, weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import damaged_bytes, damaged_json, npz_bytes
from fuzzing.reader import DEAR, Case, Readers
from fuzzing.values import NUMBERS

READERS = Readers()
_Arrays = Mapping[str, np.ndarray]


def _archive(write: Callable[[Path], None]) -> _Arrays:
    """The arrays of an .npz file that a function writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.npz"
        write(path)
        with np.load(path) as file:
            return {name: file[name] for name in file.files}


@cache
def _problem() -> Any:
    import pandas as pd

    from jaxllc.signaling import Conditions, PriorNetwork

    prior = PriorNetwork.from_edges(["L", "A", "B", "A"], ["A", "B", "T", "T"], [1, -1, 0, 1])
    index = ["c1", "c2", "c3"]
    ligands = pd.DataFrame({"L": [0, 1, 0.5]}, index=index)
    return prior, Conditions.from_frames(ligands, pd.DataFrame({"T": [0, 1, np.nan]}, index=index))


@cache
def _model() -> _Arrays:
    from jaxllc.signaling.model.signaling_model import SignalingModel
    from jaxllc.signaling.network.structure import Parameters

    prior, conditions = _problem()
    r = np.random.default_rng(0)
    parameters = Parameters(
        0.1 * r.normal(size=prior.num_edges).astype(np.float32),
        r.normal(size=prior.num_nodes).astype(np.float32),
        np.ones(len(conditions.tfs), np.float32),
    )
    return _archive(SignalingModel(prior, conditions.ligands, conditions.tfs, parameters).save)


@READERS.add(lambda r: {"model.npz": npz_bytes(r, _model()), "use": r.random()})
def model(given: Any) -> str | None:
    from jaxllc.signaling.model.signaling_model import SignalingModel

    found = SignalingModel.load(given["model.npz"])
    repr(found)
    if given["use"] < 0.05:
        found.structure  # noqa: B018
    numbers = np.concatenate([np.ravel(a) for a in found.parameters])
    return None if np.isfinite(numbers).all() else "parameters that are not finite"


@cache
def _training() -> Any:
    from jaxllc.signaling.settings import SignalingSettings
    from jaxllc.signaling.training import checkpoint
    from jaxllc.signaling.training.signaling_training import HISTORY, initial_state, prepare

    prior, conditions = _problem()
    settings = SignalingSettings()
    conditions, structure, data = prepare(prior, conditions, settings)
    mark = checkpoint.fingerprint(structure, data, settings, 0)
    state = initial_state(structure, data, settings, 0)
    history = np.zeros((3, len(HISTORY)))
    history[:, 0] = 1, 2, 3
    return state, mark, _archive(lambda p: checkpoint.write_checkpoint(p, state, history, mark))


@READERS.add(lambda r: {"checkpoint.npz": npz_bytes(r, _training()[2])}, DEAR)
def checkpoint(given: Any) -> str | None:
    import jax

    from jaxllc.signaling.training import checkpoint
    from jaxllc.signaling.training.signaling_training import history_of

    template, mark, _ = _training()
    state, history = checkpoint.read_checkpoint(given["checkpoint.npz"], template, mark)
    history_of(history)
    for new, old in zip(jax.tree.leaves(state), jax.tree.leaves(template), strict=True):
        if new.dtype != old.dtype or new.shape != old.shape:
            return f"an array of {new.dtype} {new.shape} in place of {old.dtype} {old.shape}"
    return None


@cache
def _snapshots() -> _Arrays:
    from jaxllc.signaling.network.structure import Parameters
    from jaxllc.signaling.training.signaling_training import HISTORY, history_of
    from jaxllc.sweeps.snapshots import Snapshots, write_snapshots

    ones = np.ones(3)
    best = Parameters(np.zeros(4), np.zeros(5), np.zeros(2))
    edges = {name: np.arange(4) for name in ("senders", "receivers")}
    member = Snapshots(
        point={"l2": 1e-5, "seed": 1},
        epochs=np.arange(3),
        weights=np.zeros((3, 4)),
        bias=np.zeros((3, 5)),
        output_scale=np.zeros((3, 2)),
        mse=ones,
        held_out_mse=ones,
        best=best,
        signs=np.ones(4, np.int8),
        history=history_of(np.outer(np.arange(1, 6), np.ones(len(HISTORY)))),
        **edges,
    )
    return _archive(lambda path: write_snapshots(path, member))


@READERS.add(lambda r: {"snapshots.npz": npz_bytes(r, _snapshots())}, DEAR)
def snapshots(given: Any) -> str | None:
    from jaxllc.sweeps.snapshots import read_snapshots

    found = read_snapshots(given["snapshots.npz"])
    repr(found)
    edges = len(found.senders)
    shapes = [np.shape(a) for a in (found.receivers, found.signs, found.best.weights)]
    return (
        None if {(edges,)} == set(shapes) else f"{edges} senders beside arrays of shapes {shapes}"
    )


_HEADER = {
    "__metadata__": {"version": "v", "a": "b"},
    "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "F16", "shape": [3], "data_offsets": [16, 22]},
    "z": {"dtype": "I64", "shape": [], "data_offsets": [22, 30]},
}
_SHAPES = [
    [0, 2**63], [2**62, 4], [1e300], [float("nan")], ["4"], "22", [2, 2, 1, 1] * 10, [1] * 70, [0] * 40,
    [-1, -4],
    [2**31, 0], [True, 4], None, 4, [[4]], [4.7], {"4": 0}, [1] * 100_000,
]  # fmt: skip
_OFFSETS = [
    [0, 0], [5, 5], [0, 4], [16, 0], [-16, 0], [0, 10**30], ["0", "0"], [0], [0, 0, 0], [0.5, 0.9],
    [float("inf"), 0], [30, 30], [29, 30],
]  # fmt: skip


def tensor_bytes(header: Any, body: bytes) -> bytes:
    """A file in the format of safetensors, whether or not header and numbers fit."""
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + body


def _tensors(r: Random) -> Case:
    header = damaged_json(r, _HEADER) if r.random() < 0.6 else json.loads(json.dumps(_HEADER))
    if isinstance(header, dict) and header and r.random() < 0.3:
        entry = r.choice(list(header.values()))
        if isinstance(entry, dict) and "shape" in entry:
            entry["shape"] = r.choice(_SHAPES)
            if r.random() < 0.5:
                entry["data_offsets"] = r.choice(_OFFSETS)
    content = tensor_bytes(header, bytes(range(30)))
    if r.random() < 0.02:
        opening = r.choice([b"[", b'{"a":']) * r.choice([1000, 100_000])
        content = len(opening).to_bytes(8, "little") + opening
    if r.random() < 0.3:
        content = damaged_bytes(r, content)
    if r.random() < 0.1:
        length = r.choice([0, 1, 2, 2**63, 2**64 - 1, len(content), 10**7, 10**8])
        content = length.to_bytes(8, "little") + content[8:]
    return {"weights.safetensors": content}


@READERS.add(_tensors)
def tensors(given: Any) -> None:
    from jaxllc.pretrained.tensors import read_tensors

    read_tensors(given["weights.safetensors"])


@cache
def _small_model() -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from jaxllc.pretrained.model import ModelSettings, new_model
    from jaxllc.pretrained.tensors import read_tensors
    from jaxllc.pretrained.weights import save_model

    sizes = {"width": 8, "blocks": 1, "decoder_width": 8, "layers": 1, "heads": 2, "memory": 1}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_model(path, new_model(ModelSettings(num_variables=1, **sizes)), {"steps": 3})
        arrays, metadata = read_tensors(path)
    return {name: arrays[name] for name in sorted(arrays)}, dict(sorted(metadata.items()))


def _weights(r: Random) -> Case:
    """A file whose hash is right and whose settings or arrays are not."""
    from jaxllc.pretrained.weights import digest

    arrays, metadata = _small_model()
    settings, kind = json.loads(metadata["model"]), r.random()
    if kind < 0.3:
        settings = damaged_json(r, settings)
    elif kind < 0.7:
        odd = [*NUMBERS, 3, 10**6, 10**9, 10**12, 2**40, "x", "transformer", [], 7]
        settings[r.choice(list(settings))] = r.choice(odd)
    names = sorted(arrays) if r.random() < 0.8 else r.sample(sorted(arrays), r.choice([0, 1, 2]))
    kept = {name: arrays[name] for name in names}
    if names and r.random() < 0.2:
        name = r.choice(names)
        kinds = ["f8", "i4", "u1", "?"]
        kept[name] = r.choice(
            [kept[name][:1], kept[name].astype(r.choice(kinds)), kept[name] * np.nan]
        )
    told = {**metadata, "model": json.dumps(settings), "sha256": digest(kept)}
    if r.random() < 0.1:
        told["about"] = r.choice(["null", "[]", "x", "[" * 100_000, "9" * 5000])
    if r.random() < 0.05:
        del told[r.choice(list(told))]
    if r.random() < 0.1:
        told["model"] = damaged_bytes(r, json.dumps(settings).encode()).decode("utf-8", "replace")
    content = _whole_tensors(kept, told)
    return {"weights.safetensors": damaged_bytes(r, content) if r.random() < 0.1 else content}


_TYPES = {"f2": "F16", "f4": "F32", "f8": "F64", "i4": "I32", "u1": "U8", "b1": "BOOL"}


def _whole_tensors(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A right file, whose order does not change from run to run as that of the package does."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    body = b""
    for name, array in arrays.items():
        place = [len(body), len(body) + array.nbytes]
        kind = _TYPES[array.dtype.str[1:]]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        body += np.ascontiguousarray(array).tobytes()
    return tensor_bytes(header, body)


@READERS.add(_weights, DEAR)
def weights(given: Any) -> None:
    from jaxllc.pretrained.weights import load_model

    load_model(given["weights.safetensors"])
