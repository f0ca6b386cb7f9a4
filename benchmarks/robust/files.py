"""Whether what a command left is whole, and whether two folders hold the same."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

# Fields that differ from run to run though the result is the same.
_CLOCKS = ("seconds", "device", "versions", "started", "models_per_hour")


def not_whole(folder: Path) -> dict[str, str]:
    """Every file of a folder that is cut off, unreadable or temporary, with the reason."""
    if not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            reason = _fault(path)
            if reason:
                found[str(path.relative_to(folder))] = reason
    return found


def _fault(path: Path) -> str:
    if path.name.startswith("."):
        return "temporary"
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".npz":
            with np.load(path) as file:
                for name in file.files:
                    file[name]
        elif path.suffix == ".png":
            return "" if content.startswith(b"\x89PNG") and b"IEND" in content[-12:] else "cut off"
        elif path.suffix == ".html":
            return "" if content.rstrip().endswith(b"</html>") else "cut off"
        elif path.suffix in (".csv", ".tsv"):
            return "" if content.endswith(b"\n") else "cut off"
        elif path.suffix == ".jsonl":
            whole = content[: content.rfind(b"\n") + 1]
            for line in whole.splitlines():
                json.loads(line)
            return "" if whole == content else "last row cut off"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:80]
    return ""


def differences(one: Path, other: Path) -> list[str]:
    """What two folders hold that is not the same, but for times and figures."""
    names = {p.relative_to(f) for f in (one, other) for p in f.rglob("*") if p.is_file()}
    found = []
    for name in sorted(names):
        if name.suffix in (".png", ".html") or name.name.startswith("."):
            continue
        paths = one / name, other / name
        if not all(path.exists() for path in paths):
            found.append(f"{name} is in one alone")
        elif _content(paths[0]) != _content(paths[1]):
            found.append(str(name))
    return found


def _content(path: Path) -> Any:
    if path.suffix == ".npz":
        with np.load(path) as file:
            return {name: file[name].tobytes() for name in file.files}
    if path.suffix == ".json":
        return _without_clocks(json.loads(path.read_bytes()))
    if path.suffix == ".jsonl":
        rows = [_without_clocks(json.loads(line)) for line in path.read_bytes().splitlines()]
        return sorted(json.dumps(row, sort_keys=True) for row in rows)
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        kept = [n for n, name in enumerate(rows[0]) if name not in _CLOCKS]
        return [[row[n] for n in kept] for row in rows]
    return path.read_bytes()


def _without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_clocks(v) for k, v in value.items() if k not in _CLOCKS}
    if isinstance(value, list):
        return [_without_clocks(v) for v in value]
    return value


def told(faults: dict[str, str]) -> str:
    """Faults of files in a few words."""
    return "; ".join(f"{name}: {reason}" for name, reason in list(faults.items())[:3])


def is_link_or_device(path: Path) -> bool:
    """Whether a path is still what it was: no plain file of its own."""
    return path.is_symlink() or (not path.is_file() and os.path.lexists(path))
