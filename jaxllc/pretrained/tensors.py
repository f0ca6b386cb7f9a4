"""Named arrays in a file of the safetensors format: a header in JSON, then the numbers; no code is run.

The format (huggingface/safetensors): 8 bytes little-endian, the length of the header; the header, which gives
each array its type, shape and place, and text under "__metadata__"; the arrays, one after the other.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxllc.errors import InputError
from jaxllc.output_file import output_file

_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U32": "<u4", "U8": "|u1",
    "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(t): name for name, t in _TYPES.items()}
_LONGEST_HEADER = 10**7


def write_tensors(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write arrays and text, whole or not at all; raises InputError where that cannot be."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    chunks, place = [], 0
    for name, value in arrays.items():
        array = np.asarray(value)
        kind = _NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise InputError(
                f"{name} has the type {array.dtype}; it must be one of {', '.join(_TYPES)}"
            )
        data = np.ascontiguousarray(array, _TYPES[kind]).tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [place, place + len(data)],
        }
        chunks.append(data)
        place += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    with output_file(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        file.writelines(chunks)


def read_tensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the text of a file; raises InputError for one that is not in the format, or cut off."""
    path = Path(path)
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        if not 2 <= length <= min(len(content) - 8, _LONGEST_HEADER):
            raise ValueError("its header does not fit")
        header = json.loads(content[8 : 8 + length].decode())
        metadata = header.pop("__metadata__", {})
        data = memoryview(content)[8 + length :]
        return {name: _array(data, entry) for name, entry in header.items()}, dict(metadata)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} cannot be read as safetensors ({reason}); give a file that jaxllc wrote, whole"
        ) from error


def _array(data: memoryview, entry: dict) -> np.ndarray:
    kind = np.dtype(_TYPES[entry["dtype"]])
    shape = tuple(int(k) for k in entry["shape"])
    first, last = map(int, entry["data_offsets"])
    if min((*shape, first), default=0) < 0 or last > len(data):
        raise ValueError("an array lies outside of the file")
    if last - first != math.prod(shape) * kind.itemsize:
        raise ValueError("the size of an array does not fit its shape")
    return np.frombuffer(data[first:last], kind).reshape(shape).copy()
