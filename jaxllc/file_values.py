"""Values of a JSON file that must be of one kind. What is not raises TypeError; the reader names the file."""

from __future__ import annotations

import math
from typing import Any


def text(value: Any) -> str:
    """The value, where it is text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def number(value: Any) -> float:
    """The value, where it is a number; nan for null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
