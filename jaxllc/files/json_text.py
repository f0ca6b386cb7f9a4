"""JSON as RFC 8259 has it, from text that may come from anywhere: no endless nesting and no endless numbers.

What Python's own reader lets pass is refused: NaN and Infinity, numbers beyond the range of float64, a name
that stands twice in an object, half a surrogate pair.
"""

from __future__ import annotations

import json
import math
import os
import stat
from typing import Any, NoReturn

from jaxllc.errors import InputError, check_path

_DEEPEST = 64  # levels of lists and objects
_LONGEST_NUMBER = 40  # characters
_SHOWN = 40
LARGEST_FILE = 20_000_000


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text in UTF-8; raises ValueError, with a short reason, for anything else."""
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    try:
        value = json.loads(
            text,
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_no_number,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels") from None
    _check(value)
    return value


def read_json(path: str | os.PathLike, mend: str, largest: int = LARGEST_FILE) -> Any:
    """The value of a JSON file; raises InputError for anything else, with the mend at its end."""
    check_path("a file to read", path)
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > largest:
                raise InputError(f"{path} is larger than {largest} bytes; {mend}")
            content = file.read(largest + 1)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {mend}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {path}: {reason}; {mend}") from None
    if len(content) > largest:
        raise InputError(f"{path} is larger than {largest} bytes; {mend}")
    try:
        return parse_json(content)
    except ValueError as error:  # no UTF-8 too
        raise InputError(f"{path} is not a JSON file ({str(error)[:200]}); {mend}") from None


def _whole_number(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"the number {text[:_SHOWN]}... has {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:_SHOWN]} is beyond the range of numbers")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON; null stands for one that is not known")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:_SHOWN]!r} stands twice in one object")
            seen.add(name)
    return found


def _check(value: Any) -> None:
    """Raises ValueError for nesting that later work may not survive, and for text that cannot be written."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                for name in one:
                    _check_text(name)
                inner += one.values()
            elif isinstance(one, list):
                inner += one
            elif isinstance(one, str):
                _check_text(one)
        level = inner


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("a text holds half a surrogate pair, which is no character") from None
