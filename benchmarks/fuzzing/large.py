"""Files that are small on the disk and could be large in memory, and tables of uncommon shapes."""

from __future__ import annotations

import gzip
import io
import zipfile
from random import Random
from typing import Any

import numpy as np

from fuzzing.mutations import member_bytes
from fuzzing.reader import Case, Readers

READERS = Readers()
_FEW = 60


def _wide(r: Random) -> bytes:
    columns, rows = r.choice([(100_000, 6), (30_000, 20), (3, 200_000), (200_000, 5)])
    line = ",".join(str(r.randrange(99)) for _ in range(columns))
    header = "time," + ",".join(f"n{k}" for k in range(columns))
    return "\n".join([header, *(f"{t},{line}{t}" for t in range(rows))]).encode()


def _long(r: Random) -> bytes:
    """Each row a time, a node and perhaps a run of its own: the full table would be huge."""
    rows = r.choice([20_000, 40_000])
    own = [r.choice([1, 1, rows]) for _ in range(3)]
    lines = (f"{k % own[0]},{k},n{k % own[1]},v{k % own[2] % 3},{k}" for k in range(rows))
    return ("run,time,node,variable,value\n" + "\n".join(lines)).encode()


def _odd(r: Random) -> bytes:
    """Endless cells, lines, quotes or numbers."""
    much = r.choice([300_000, 3_000_000])
    return r.choice(
        [
            b"time,a\n0," + b"9" * much + b"\n1,2\n2,3\n3,4\n4,5",
            b"time," + b"a" * much + b"\n0,1\n1,2",
            b'time,a\n0,"' + b"x\n" * much,
            b"\n" * much + b"time,a\n0,1",
            b"time,a\n" + b",\n" * much,
            b'"' * much,
            b"," * much,
            b"\0" * much,
            b"time,a\n" + b"0,1\n" * much,
        ]
    )


def _packed(r: Random, content: bytes) -> bytes:
    kind = r.random()
    if kind < 0.2:
        return gzip.compress(content, 1, mtime=0)
    if kind < 0.3:
        bomb = gzip.compress(b"time,a\n" + b"0" * 300_000_000, 1, mtime=0)
        return r.choice([bomb, gzip.compress(bomb, 1, mtime=0)])
    return content


def _table(r: Random) -> Case:
    content = r.choice([_wide, _long, _odd])(r)
    readers = ["states", "states", "edges", "features", "network", "conditions"]
    return {"table.csv": _packed(r, content), "reader": r.choice(readers)}


@READERS.add(_table, _FEW)
def large_tables(given: Any) -> None:
    from jaxllc.data import readers as tables
    from jaxllc.signaling import Conditions, PriorNetwork

    path, reader = given["table.csv"], given["reader"]
    if reader == "network":
        PriorNetwork.read(path)
    elif reader == "conditions":
        Conditions.read(path, path)
    else:
        getattr(tables, f"read_{reader}")(path)


def _bomb(r: Random) -> Case:
    """Members of zeros, gigabytes each; under the names that a reader looks for, or others."""
    name = r.choice(["weights", "description", "history", "epochs", "leaf0", "other", "senders"])
    file = io.BytesIO()
    count = r.choice([10_000_000, 400_000_000])
    head = member_bytes(np.zeros(0))[:-1].replace(b"(0,)", f"({count},)".encode())
    length = 128 - len(head) - 1
    head = head + b" " * max(0, length) + b"\n"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo(f"{name}.npy")
        entry.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(entry, "w", force_zip64=True) as member:
            member.write(head[:128])
            zeros = bytes(1 << 24)
            for _ in range(min(count * 8, 1 << 30) >> 24):
                member.write(zeros)
    return {"file.npz": file.getvalue(), "reader": r.choice(["model", "snapshots"])}


@READERS.add(_bomb, 10)
def large_archives(given: Any) -> None:
    from jaxllc.signaling.model.signaling_model import SignalingModel
    from jaxllc.sweeps.snapshots import read_snapshots

    if given["reader"] == "model":
        SignalingModel.load(given["file.npz"])
    else:
        read_snapshots(given["file.npz"])


def _text(r: Random) -> Case:
    much = r.choice([1000, 20_000, 1_000_000])
    part = r.choice(
        [
            "(",
            "-",
            "x_i+",
            "x_i*",
            "x_i**",
            "9",
            "exp(",
            "max(x_i,",
            "x_i/(1+",
            ".",
            " ",
            "sin(x_i)*",
            "é",
        ]
    )
    many = "+".join(f"x_i*{k}" for k in range(much // 8))
    roots = "+".join(f"{10**60 + k * 7919}**(1/3)" for k in range(300))
    factors = "*".join(f"(x_i+{k})" for k in range(min(much // 9, 2000)))
    return {
        "text": r.choice(
            [part * (much // len(part)), part * 30 + "x_i" + ")" * 30, many, roots, factors]
        )
    }


@READERS.add(_text, _FEW)
def large_expressions(given: Any) -> str | None:
    from jaxllc.equations.expressions import parse, to_text

    found = parse(given["text"])
    return None if parse(to_text(found)) == found else "its text is read as another expression"


def _json(r: Random) -> Case:
    deep = r.choice([100, 10_000, 1_000_000])
    opening = r.choice(["[", '{"a":', '{"equations":{"x":'])
    wide = '{"format": "jaxllc law", "version": 1, "equations": {' + ",".join(
        f'"v{k}": {{"self_term": "-v{k}_i", "interaction_term": "0"}}'
        for k in range(r.choice([100, 1500]))
    )
    texts = [
        opening * deep,
        wide + "}}",
        "9" * deep,
        "[" + "1," * deep + "1]",
        '"' + "a" * deep + '"',
    ]
    return {
        "law.json": r.choice(texts).encode(),
        "reader": r.choice(["law", "settings", "records"]),
    }


@READERS.add(_json, _FEW)
def large_json(given: Any) -> None:
    from jaxllc.law.law import load_law
    from jaxllc.signaling.settings import SignalingSettings
    from jaxllc.sweeps.records import read_records

    readers = {"law": load_law, "settings": SignalingSettings.read, "records": read_records}
    readers[given["reader"]](given["law.json"])
