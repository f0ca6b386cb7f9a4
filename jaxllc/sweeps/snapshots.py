"""The weights of one member of a sweep at several epochs of its training, in an .npz file without pickle."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_path
from jaxllc.files.array_file import TEXT, ArrayOf, read_arrays, write_arrays
from jaxllc.files.json_text import parse_json
from jaxllc.files.output_file import output_file
from jaxllc.signaling.network.structure import Parameters
from jaxllc.signaling.training.signaling_training import history_of
from jaxllc.signaling.training.training_state import HISTORY
from jaxllc.sweeps.grids import Point, key_of

if TYPE_CHECKING:
    import pandas as pd

_FORMAT = "jaxllc sweep snapshots 2"
_ARRAYS = ("epochs", "weights", "bias", "output_scale", "mse", "held_out_mse")
_EDGES = ("senders", "receivers", "signs")
_WANTED = {
    "description": TEXT,
    "epochs": ArrayOf("iu", ("epochs",)),
    "weights": ArrayOf("f", ("epochs", "edges")),
    "bias": ArrayOf("f", ("epochs", "nodes")),
    "output_scale": ArrayOf("f", ("epochs", "TFs")),
    "mse": ArrayOf("f", ("epochs",)),
    "held_out_mse": ArrayOf("f", ("epochs",)),
    "senders": ArrayOf("iu", ("edges",)),
    "receivers": ArrayOf("iu", ("edges",)),
    "signs": ArrayOf("fiu", ("edges",)),
    "best_weights": ArrayOf("f", ("edges",)),
    "best_bias": ArrayOf("f", ("nodes",)),
    "best_output_scale": ArrayOf("f", ("TFs",)),
    "history": ArrayOf("f", (None, len(HISTORY))),
}


@dataclass(frozen=True, eq=False, repr=False)
class Snapshots:
    """A member of a sweep on its way.

    point: its point of the grid. epochs: (S,). weights (S, E), bias (S, N), output_scale (S, TFs): after so
    many epochs. mse, held_out_mse: (S,), their errors on the conditions of the training and on those held
    out, nan if none are. best: the parameters that the training kept, as its figures are of. senders,
    receivers, signs: (E,), the edges that the weights are of, 0 for an unknown sign. history: DataFrame, a
    row per epoch, as that of a SignalingFit.
    """

    point: Point
    epochs: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    output_scale: np.ndarray
    mse: np.ndarray
    held_out_mse: np.ndarray
    best: Parameters
    senders: np.ndarray
    receivers: np.ndarray
    signs: np.ndarray
    history: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"Snapshots({key_of(self.point)}, {len(self.epochs)} of {self.weights.shape[1]} edges)"
        )


def snapshot_name(point: Point) -> str:
    """The file name of a point's snapshots: a hash of its key."""
    return f"{hashlib.sha256(key_of(point).encode()).hexdigest()[:20]}.npz"


def write_snapshots(path: str | os.PathLike, snapshots: Snapshots) -> None:
    """Write what `read_snapshots` reads, whole or not at all."""
    arrays: dict[str, Any] = {
        name: np.asarray(getattr(snapshots, name)) for name in (*_ARRAYS, *_EDGES)
    }
    arrays["history"] = snapshots.history[list(HISTORY)].to_numpy(np.float64)
    for name, values in zip(Parameters._fields, snapshots.best, strict=True):
        arrays[f"best_{name}"] = np.asarray(values)
    content = json.dumps({"format": _FORMAT, "point": snapshots.point})
    with output_file(path) as temporary, temporary.open("wb") as file:
        write_arrays(file, {"description": content, **arrays})


def read_snapshots(path: str | os.PathLike) -> Snapshots:
    """Read the file at a path, which a sweep wrote; raises InputError for any other.

    Example: `read_snapshots(folder / table["snapshots"].iloc[0]).weights`.
    """
    check_path("path", path)
    what, mend = (
        "a file of snapshots",
        "give one that train_sweep wrote, of its folder of snapshots",
    )
    arrays = read_arrays(path, _WANTED, what, mend)
    try:
        content = parse_json(str(arrays["description"]))
        if content["format"] != _FORMAT:
            raise ValueError(f"its format is {content['format']!r:.60}")
        point = content["point"]
        if not isinstance(point, dict):
            raise TypeError("its point is no object")
    except (ValueError, KeyError, TypeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path} is not {what} ({reason}); {mend}") from None
    counted = arrays["history"][:, 0]
    if not np.isfinite(counted).all() or np.any(np.diff(counted) <= 0):
        raise InputError(f"{path} is not {what} (its epochs are not those of a training); {mend}")
    values = {name: arrays[name] for name in (*_ARRAYS, *_EDGES)}
    best = Parameters(*(arrays[f"best_{name}"] for name in Parameters._fields))
    return Snapshots(point=point, best=best, history=history_of(arrays["history"]), **values)
