"""Arrays of an .npz file that may come from anywhere: looked at in its headers before anything is read.

A member has to be known by name, be stored or deflated, and hold an array of numbers or text whose size is
that of the member; all together they must not be much larger than the file. No pickle, no expression is read.
Formats: PKWARE's APPNOTE (zip), NumPy enhancement proposal 1 (npy).
"""

from __future__ import annotations

import math
import os
import re
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxllc.errors import InputError

# Bytes of all arrays: at most so many, and at most so many times those of the file and a few more.
_MOST_BYTES = 16 * 2**30
_LARGEST_RATIO = 20
_ALWAYS = 64 * 2**20
_LONGEST_HEADER = 4096
_MAGIC = b"\x93NUMPY"
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[biufU]\d{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \((|\d+,|\d+(?:, \d+)+)\), \} *\n"
)
# What a damaged file makes of zipfile, zlib and NumPy; NotImplementedError is a RuntimeError.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)


class ArrayOf(NamedTuple):
    """What an array must be: kinds of its numbers as in NumPy ("f", "iu", "b", "U"), and its axes.

    axes: for each axis its length, None for any length; or a name, and axes of one name are equally long.
    """

    kinds: str
    axes: tuple[int | str | None, ...]


TEXT = ArrayOf("U", ())


class _Header(NamedTuple):
    kind: np.dtype
    fortran: bool
    shape: tuple[int, ...]
    length: int  # bytes of the header itself

    @property
    def size(self) -> int:
        return self.length + math.prod(self.shape) * self.kind.itemsize


def read_arrays(
    path: str | os.PathLike, wanted: Mapping[str, ArrayOf], what: str, mend: str
) -> dict[str, np.ndarray]:
    """The arrays of a file by name, exactly those that are wanted.

    what: the file should be, such as "a signaling model"; mend: what to do about another. Raises InputError
    for a file that does not exist, is damaged, or holds anything else.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is no plain file")
            with zipfile.ZipFile(file) as archive:
                return _arrays(archive, status.st_size, wanted)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {mend}") from None
    except _DAMAGE as error:
        raise InputError(f"{path} is not {what} ({_reason(error)}); {mend}") from None


def write_arrays(file: BinaryIO, arrays: Mapping[str, Any], compressed: bool = True) -> None:
    """Write what `read_arrays` reads; text as `np.array(text)`."""
    write = np.savez_compressed if compressed else np.savez
    write(file, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return " ".join(str(error).split())[:160] or type(error).__name__


def _arrays(
    archive: zipfile.ZipFile, size: int, wanted: Mapping[str, ArrayOf]
) -> dict[str, np.ndarray]:
    members = archive.infolist()
    names = [member.filename for member in members]
    known = {f"{name}.npy" for name in wanted}
    if len(set(names)) < len(names) or not set(names) <= known:
        unknown = sorted(set(names) - known)
        raise ValueError(
            f"it holds {unknown[0][:40]!r}" if unknown else "a part stands twice in it"
        )
    missing = sorted(known - set(names))
    if missing:
        raise ValueError(f"it has no {missing[0].removesuffix('.npy')}")
    total = 0
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is compressed in another way than NumPy does")
        if member.flag_bits & 1:
            raise ValueError("it is encrypted")
        total += member.file_size
    if total > min(_MOST_BYTES, _ALWAYS + _LARGEST_RATIO * size):
        raise ValueError(f"its {size} bytes claim to hold arrays of {total} bytes")
    headers = {}
    lengths: dict[str, int] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        with archive.open(member) as content:
            header = _header(content.read(_LONGEST_HEADER))
        _check(name, header, member.file_size, wanted[name], lengths)
        headers[name] = header
    return {name: _array(archive, name, header) for name, header in headers.items()}


def _header(start: bytes) -> _Header:
    if not start.startswith(_MAGIC) or len(start) < 12:
        raise ValueError("a part of it is no array of NumPy")
    width = 2 if start[6] == 1 else 4
    first = 8 + width
    length = int.from_bytes(start[8:first], "little")
    match = _HEADER.fullmatch(start[first : first + length])
    if start[6] not in (1, 2, 3) or match is None:
        raise ValueError("the header of an array cannot be read, or it holds objects")
    kind = np.dtype(match.group(1).decode())
    shape = tuple(int(part) for part in match.group(3).replace(b" ", b"").split(b",") if part)
    return _Header(kind, match.group(2) == b"True", shape, first + length)


def _check(name: str, header: _Header, size: int, wanted: ArrayOf, lengths: dict[str, int]) -> None:
    if header.kind.kind not in wanted.kinds:
        raise ValueError(f"{name} is of the type {header.kind}")
    if header.size != size:
        raise ValueError(f"the size of {name} does not fit its shape")
    if len(header.shape) != len(wanted.axes):
        raise ValueError(f"{name} has {len(header.shape)} axes, not {len(wanted.axes)}")
    for length, axis in zip(header.shape, wanted.axes, strict=True):
        expected = lengths.setdefault(axis, length) if isinstance(axis, str) else axis
        if expected is not None and length != expected:
            raise ValueError(
                f"{name} is of the shape {header.shape}, which does not fit the others"
            )


def _array(archive: zipfile.ZipFile, name: str, header: _Header) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        # To its end, so that its checksum is looked at, and no further than it says it is long.
        content = member.read(header.size + 1)
    if len(content) != header.size:
        raise ValueError(f"{name} is cut off")
    flat = np.frombuffer(content, header.kind, offset=header.length)
    turned = header.shape[::-1] if header.fortran else header.shape
    array = flat.astype(header.kind.newbyteorder("=")).reshape(turned)
    array = array.T if header.fortran else array
    if header.kind.kind == "b" and np.any(array.view(np.uint8) > 1):
        raise ValueError(f"{name} holds other values than true and false")
    if header.kind.kind == "U" and np.any(
        np.frombuffer(array.tobytes(), np.uint32) > sys.maxunicode
    ):
        raise ValueError(f"{name} holds what is no letter")
    return array
