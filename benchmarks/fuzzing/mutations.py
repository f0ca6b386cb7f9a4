"""Small damage to bytes, tables, JSON trees and .npz files, drawn from a seeded random source."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from fuzzing.values import BYTES, CELLS, json_value

Rows = list[list[str]]
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def rows_of(text: str) -> Rows:
    """The cells of a table that is written with commas."""
    return [line.split(",") for line in text.strip("\n").split("\n")]


def damaged_bytes(r: Random, content: bytes) -> bytes:
    """Bits flipped, pieces put in, taken out, copied or cut off."""
    data = bytearray(content)
    for _ in range(r.choice([1, 1, 2, 3, 8])):
        size, kind = len(data), r.randrange(9)
        place = r.randrange(size + 1)
        if kind == 6:
            data[place:place] = r.choice(CELLS).encode("utf-8", "surrogatepass")
        elif kind == 1 or not size:
            data[place:place] = r.choice(BYTES)
        elif kind == 0:
            data[place % size] ^= 1 << r.randrange(8)
        elif kind == 2:
            del data[place : place + r.choice([1, 1, 2, 10, 100])]
        elif kind == 3:
            start = r.randrange(size)
            data[place:place] = data[start : start + r.choice([1, 5, 30, 200])]
        elif kind == 4 and r.random() < 0.3:
            del data[place:]
        elif kind == 5:
            data[place % size] = r.randrange(256)
        elif kind == 7:
            data[place : place + 1] = bytes([data[r.randrange(size)]])
        elif kind == 8 and r.random() < 0.2:
            data[place:place] = r.choice(BYTES) * r.choice([10, 300])
    return bytes(data)


def damaged_rows(r: Random, base: Sequence[Sequence[str]]) -> Rows:
    """A table with cells, rows or columns changed, dropped, doubled or moved; sometimes whole."""
    table = [list(row) for row in base]
    for _ in range(r.choice([0, 0, 1, 1, 1, 2, 4])):
        if not table:
            break
        at, kind = r.randrange(len(table)), r.randrange(18)
        row = table[at]
        cell = r.randrange(len(row)) if row else 0
        if kind == 4:
            table.insert(at, list(row))
        elif kind == 5 and len(table) > 1:
            del table[at]
        elif kind == 6:
            row.append(r.choice(CELLS))
        elif kind == 9:
            table.insert(at, [""] * r.choice([0, 0, 1, 3, 6]))
        elif kind == 10 and table[0]:
            table[0][r.randrange(len(table[0]))] = r.choice(CELLS)
        elif kind == 11:
            table[1:] = r.sample(table[1:], len(table) - 1)
        elif kind == 12 and len({len(q) for q in table}) == 1:
            table = [list(column) for column in zip(*table, strict=True)]
        elif not row:
            continue
        elif kind <= 3:
            row[cell] = r.choice(CELLS)
        elif kind == 7:
            del row[cell]
        elif kind == 8:
            double = r.random() < 0.5
            for other in table:
                if cell < len(other):
                    other[cell : cell + 1] = [other[cell]] * (2 if double else 0)
        elif kind == 13:
            row[cell] = '"' + row[cell] + ('"' if r.random() < 0.7 else "")
        elif kind == 14:
            blanks = [" ", "\t", "\u00a0", "", "\x0b"]
            row[cell] = r.choice(blanks) + row[cell] + r.choice(blanks)
        elif kind == 15:
            row[cell] = row[cell].replace(".", ",")
        elif kind == 16:
            value = r.choice(CELLS)
            for other in table[1:]:
                if cell < len(other):
                    other[cell] = value
        elif kind == 17:
            for n, other in enumerate(table[1:]):
                if cell < len(other):
                    other[cell] = f"2024-01-{n % 40 + 1:02d}"
    return table


def table_bytes(r: Random, base: Sequence[Sequence[str]], separators: str = ",;\t") -> bytes:
    """A damaged table as a file, mostly in UTF-8, sometimes compressed."""
    table = damaged_rows(r, base)
    separator = r.choice(separators)
    if r.random() < 0.1:
        separator = r.choice([" ", "|", ", ", ",,", ":"])
    end = r.choice(["\n"] * 8 + ["\r\n", "\r", "\n\n"])
    text = end.join(separator.join(row) for row in table) + (end if r.random() < 0.8 else "")
    kind = r.random()
    if kind < 0.02:
        content = text.encode(r.choice(["utf-16", "utf-16-le", "utf-32", "utf-7"]), "replace")
    elif kind < 0.04:
        content = text.encode("latin-1", "replace")
    else:
        content = ("\ufeff" * (kind < 0.08) + text).encode("utf-8", "surrogatepass")
    if kind > 0.98:
        content = gzip.compress(content, mtime=0)
    return damaged_bytes(r, content) if r.random() < 0.25 else content


def damaged_json(r: Random, value: Any) -> Any:
    """A copy of a JSON tree with values at random places replaced, dropped or added."""
    box = [json.loads(json.dumps(value))]
    for _ in range(r.choice([1, 1, 2, 3])):
        places = list(_places(box))
        holder, key, old = r.choice(places)
        kind = r.randrange(7)
        if kind == 0 and holder is not box:
            del holder[key]
        elif kind == 1 and isinstance(old, dict):
            old[r.choice([*CELLS, "extra"])] = json_value(r)
        elif kind == 2 and isinstance(old, list):
            old.insert(r.randrange(len(old) + 1), json_value(r))
        elif kind == 3 and isinstance(old, str):
            cut = old[: r.randrange(len(old) + 1)]
            holder[key] = r.choice([old + r.choice(CELLS), cut, old * 2, old.replace("x", "y")])
        elif kind == 4 and isinstance(old, int | float) and not isinstance(old, bool):
            large = old * 10**30 if isinstance(old, int) else old * 1e300
            holder[key] = r.choice([-old, large, str(old), [old], old + 1, 10**400])
        elif kind == 5:
            holder[key] = json.loads(json.dumps(r.choice(places)[2]))
        else:
            holder[key] = json_value(r)
    return box[0]


def _places(holder: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Each place of a tree, as what holds it, its key, and what stands there."""
    for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
        yield holder, key, holder[key]
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key])


def json_bytes(r: Random, value: Any) -> bytes:
    """A damaged JSON tree as a file, sometimes with damaged bytes or nested far too deep."""
    content = json.dumps(damaged_json(r, value)).encode("utf-8", "surrogatepass")
    kind = r.random()
    if kind < 0.25:
        return damaged_bytes(r, content)
    if kind < 0.26:
        opening = r.choice([b"[", b'{"a":', b'[{"x_i":['])
        return opening * r.choice([500, 2000, 100_000])
    return content


def member_bytes(value: np.ndarray) -> bytes:
    """An array as a member of an .npz file; objects as a pickle, which no reader may open."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, value, allow_pickle=True)
    return buffer.getvalue()


def packed(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of these members, the same whenever it is made."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, member in members.items():
            entry = zipfile.ZipInfo(name)  # of the year 1980
            entry.compress_type = compression
            archive.writestr(entry, member)
    return file.getvalue()


def members_of(arrays: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """The members of an .npz file that holds these arrays."""
    return {f"{name}.npy": member_bytes(np.asarray(value)) for name, value in arrays.items()}


def npz_bytes(r: Random, arrays: Mapping[str, np.ndarray]) -> bytes:
    """A damaged .npz file: flipped bytes, or members changed, dropped, or of other shapes and types."""
    members = members_of(arrays)
    if r.random() < 0.35:
        return damaged_bytes(r, packed(members))
    for _ in range(r.choice([1, 1, 2, 3])):
        name = r.choice(list(arrays))
        changed = r.choice(_MEMBERS)(r, np.asarray(arrays[name]), members.get(f"{name}.npy", b""))
        if changed is None:
            members.pop(f"{name}.npy", None)
        else:
            members[f"{name}.npy"] = changed
    if r.random() < 0.05:
        members[r.choice(["../evil.npy", "x.txt", "a/b.npy", "leaf0"])] = b"hello"
    whole = packed(members, r.choice(_COMPRESSIONS))
    return damaged_bytes(r, whole) if r.random() < 0.1 else whole


def _other_type(r: Random, old: np.ndarray, member: bytes) -> bytes:
    if old.dtype.kind in "US":
        texts = [*CELLS, "{}", "[]", "null", '{"format": 1}', "[" * 100_000]
        return member_bytes(np.array(r.choice(texts)))
    kinds = ["f2", "f4", "f8", "c16", "i1", "i8", "u8", "?", "U5", "S3", "M8[s]", "m8[s]", ">f8"]
    with np.errstate(all="ignore"):
        return member_bytes(old.astype(r.choice(kinds), casting="unsafe"))


def _filled(r: Random, old: np.ndarray, member: bytes) -> bytes:
    value = r.choice([np.nan, np.inf, -1, 2**31 - 1, 10**9, 0, 1e300])
    with np.errstate(all="ignore"):
        return member_bytes(np.full(old.shape, value).astype(old.dtype))


def _evil_header(r: Random, old: np.ndarray, member: bytes) -> bytes:
    kind = r.choice(["<f8", "|O", "<U100000000", "<c16", "|V9", "<i4", "(3,)f8"])
    shape = r.choice(["3", "10**10", "99999999999", "-1", "0", "1,2", "1" * 50, "2,"])
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape},), }}".ljust(127)
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 24


def _description(r: Random, old: np.ndarray, member: bytes) -> bytes:
    try:
        tree = json.loads(str(old))
    except ValueError:
        return member_bytes(old[None])
    return member_bytes(np.array(json.dumps(damaged_json(r, tree))))


_MEMBERS: tuple[Callable[[Random, np.ndarray, bytes], bytes | None], ...] = (
    lambda r, old, member: None,
    lambda r, old, member: damaged_bytes(r, member),
    lambda r, old, member: member_bytes(np.array(r.choice(CELLS))),
    lambda r, old, member: member_bytes(np.array([{"a": 1}, None], dtype=object)),
    lambda r, old, member: member_bytes(old.reshape(-1)[: r.randrange(3)]),
    lambda r, old, member: member_bytes(old[None]),
    lambda r, old, member: b"",
    _other_type,
    _filled,
    _evil_header,
    _description,
)
