"""Values of JSON files: those that must be of one kind, and what JSON holds in place of others.

What is not of its kind raises TypeError; the reader names the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxllc.errors import InputError


def text(value: Any) -> str:
    """The value, where it is text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is not text")
    return value


def number(value: Any) -> float:
    """The value, where it is a number; nan for null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r:.60} is not a number")
    return float(value)


def finite(value: Any) -> float:
    """The value, where it is a number and not null."""
    found = number(value)
    if not math.isfinite(found):
        raise TypeError("null is not a number")
    return found


def count(value: Any) -> int:
    """The value, where it is a whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r:.60} is not a whole number from 0")
    return value


def flag(value: Any) -> bool:
    """The value, where it is true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.60} is neither true nor false")
    return value


def texts(values: Any) -> tuple[str, ...]:
    """The values, where they are a list of text."""
    if not isinstance(values, list):
        raise TypeError(f"{values!r:.60} is not a list")
    return tuple(text(value) for value in values)


def plain(value: Any) -> Any:
    """The value as JSON holds it: arrays as lists, None for a number that is not finite.

    Raises InputError for an object that JSON cannot hold.
    """
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, str | bool) or value is None:
        return value
    if hasattr(value, "tolist"):  # arrays and scalars of NumPy and JAX
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Iterable):
        return [plain(one) for one in value]
    raise InputError(f"{value!r:.60} cannot be recorded; give numbers, text, lists or arrays")
