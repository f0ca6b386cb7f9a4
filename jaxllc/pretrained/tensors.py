"""Named arrays and text in a file of the safetensors format; reading runs no code and needs no trust."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxllc.errors import InputError
from jaxllc.files.output_file import output_file

_TYPES = ("f8", "f4", "f2", "i8", "i4", "u4", "u1", "b1")


def write_tensors(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write arrays and text, whole or not at all; raises InputError where that cannot be."""
    from safetensors.numpy import save_file

    given = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.str[1:] not in _TYPES:
            raise InputError(
                f"{name} has the type {array.dtype}; it must be one of {', '.join(_TYPES)}"
            )
        given[name] = array.copy(order="C")
    with output_file(path) as temporary:
        save_file(given, temporary, dict(metadata))


def read_tensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the text of a file; raises InputError for one that is not in the format, or cut off."""
    from safetensors import SafetensorError, safe_open

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is no plain file")
        # What the package has no type of NumPy for it tells by whatever error NumPy has.
        with safe_open(path, framework="numpy") as file:
            arrays: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
        for name, array in arrays.items():
            if array.dtype.str[1:] not in _TYPES:
                raise ValueError(f"{name[:60]!r} has the type {array.dtype}")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
        raise InputError(
            f"{path} cannot be read as safetensors ({reason[:200]}); give a file that jaxllc wrote, whole"
        ) from error
    return arrays, metadata
