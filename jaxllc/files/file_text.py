"""The text of a file that a user names: opened once, unpacked by its content, told apart from other files.

A path may be a pipe, which can be read only once; so the bytes are read first, and all else is decided on
them. A compressed file is unpacked to a size that a table may have, so that a small file cannot fill the
memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import unicodedata
import zlib
from typing import Any

from jaxllc.errors import InputError
from jaxllc.files.file_kinds import kind_of_bytes, kind_of_text

LARGEST = 2**30  # bytes of a file, 1 GiB
LARGEST_UNPACKED = 2**28
_HEAD = 65536
_MARKS = (  # UTF-32 first: its mark begins as that of UTF-16
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_PACKED: tuple[tuple[bytes, str, Any], ...] = (
    (b"\x1f\x8b", "gzip", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", "bzip2", bz2.BZ2File),
    (b"\xfd7zXZ\0", "xz", lzma.LZMAFile),
)


def read_text(path: str | os.PathLike) -> str:
    """The text of a file, pipe or device in UTF-8 or with a byte order mark, perhaps in gzip, bzip2 or xz.

    Lines end in "\\n".
    Raises InputError where it cannot be read, is empty, is damaged, too large or no text, and names files
    of other kinds (Excel, NumPy, HDF5, GraphML, ...) with the way on.
    """
    content = _unpacked(path, _bytes_of(path))
    if not content:
        raise InputError(f"{path} is empty")
    text = _decoded(path, content)
    kind = kind_of_text(text)
    if kind is not None:
        raise InputError(f"{path} is not a table but {kind.name}; {kind.mend}")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    # The same letters may be written as one sign or as two (macOS); names must be equal where they look it.
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _bytes_of(path: str | os.PathLike) -> bytes:
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            _check_kind(path, head)
            # What is no plain file may have no end, and is held twice while it is read.
            limit = LARGEST if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else LARGEST // 2
            content = head + file.read(limit + 1 - len(head))
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the name and the folder") from error
    except IsADirectoryError as error:
        raise InputError(f"cannot read {path}: it is a folder; give the file in it") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{os.fspath(path)!r:.200} is no name of a file: {error}") from error
    if len(content) > limit:
        raise InputError(
            f"{path} holds more than {limit / 2**30:g} GiB; give a part of it, or fewer digits"
        )
    return content


def _check_kind(path: str | os.PathLike, head: bytes) -> None:
    """Refuses what is known by its first bytes, before the rest is read."""
    kind = kind_of_bytes(head)
    if kind is not None:
        verb = "is" if kind.name.startswith("compressed") else "is not a text table but"
        raise InputError(f"{path} {verb} {kind.name}; {kind.mend}")
    marked = head.startswith(tuple(mark for mark, _ in _MARKS))
    packed = head.startswith(tuple(mark for mark, _, _ in _PACKED))
    if b"\0" in head and not marked and not packed:
        if head[:64].count(b"\0") * 3 > len(head[:64]) and head.strip(b"\0"):
            raise InputError(f"{path} is UTF-16 text without a mark; save it as text in UTF-8")
        raise InputError(f"{path} is not a text table; save it as text in UTF-8")


def _unpacked(path: str | os.PathLike, content: bytes) -> bytes:
    for mark, name, opener in _PACKED:
        if not content.startswith(mark):
            continue
        try:
            with opener(io.BytesIO(content)) as file:
                unpacked = file.read(_HEAD)
                _check_kind(path, unpacked)
                unpacked += file.read(LARGEST_UNPACKED + 1 - len(unpacked))
        except InputError:
            raise
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            raise InputError(
                f"{path} is a damaged {name} file ({str(error)[:100]}); copy or download it once more"
            ) from error
        if len(unpacked) > LARGEST_UNPACKED:
            raise InputError(
                f"{path} holds more than {LARGEST_UNPACKED // 2**20} MiB when unpacked; unpack it and "
                "look whether it is meant"
            )
        if unpacked.startswith(mark):
            raise InputError(f"{path} is packed twice with {name}; unpack it once")
        return unpacked
    return content


def _decoded(path: str | os.PathLike, content: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-8"):
            row = content.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{path} is not UTF-8 text; save it in UTF-8 (in Excel: CSV UTF-8), or hand over the "
                f"DataFrame of pandas.read_csv(..., encoding=...): row {row} holds the byte "
                f"{content[error.start]:#04x}, as in Windows-1250, Windows-1252 or Latin-1"
            ) from error
        raise InputError(
            f"{path} is not whole as {encoding.upper()} text; save it in UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(f"{path} is not a text table; save it as text in UTF-8")
    return text
