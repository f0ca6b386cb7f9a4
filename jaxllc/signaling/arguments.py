"""What callers may give for the arguments that signaling functions share; InputError says what to give.

What else may stand for a network, conditions or folds, such as a path, is read beside their classes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxllc.errors import InputError, check_seed, listing, quoted


def seeds_of(value: Any, argument: str = "seeds") -> tuple[int, ...]:
    """Several seeds, each once; raises InputError for a single number and for what is no seed."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        raise InputError(f"{argument} is {value}; give a list of seeds, such as [{value}]")
    found = listing(argument, value, "seeds", "range(10)")
    for one in found:
        check_seed("a seed", one)
    seeds = tuple(int(one) for one in found)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(
            f"{argument} must be different numbers, at least one, not {quoted(seeds, 80)}"
        )
    return seeds


def names_of(value: Any, argument: str, example: str = "['STAT1']") -> list[str]:
    """Names in a list, or one name as text."""
    names = [value] if isinstance(value, str) else listing(argument, value, "names", example)
    return [str(name) for name in names]


def check_kind(argument: str, value: Any, kind: type, source: str) -> None:
    """Raises InputError where an argument is not an object of a class; source: what makes one."""
    if not isinstance(value, kind):
        raise InputError(
            f"{argument} is {kind_of(value)}; give the {kind.__name__} that {source} returns"
        )


def check_parts(argument: str, value: Any, parts: Sequence[str], source: str) -> None:
    """Raises InputError where an argument is not what `source` returns, known by some of its parts."""
    if isinstance(value, type) or not all(hasattr(value, part) for part in parts):
        raise InputError(f"{argument} is {kind_of(value)}; give what {source} returns")


def check_frame(argument: str, value: Any, columns: Sequence[str] = ()) -> None:
    """Raises InputError for what is no DataFrame, and for one without some of the columns."""
    if not is_frame(value):
        raise InputError(f"{argument} is {kind_of(value)}; give a pandas DataFrame")
    if value.columns.nlevels > 1:
        raise InputError(f"{argument} has columns of {value.columns.nlevels} levels; give it one")
    missing = [name for name in columns if name not in value]
    if missing:
        has = ", ".join(str(name) for name in value.columns)
        raise InputError(f"{argument} has no column {missing[0]!r}; its columns are {has:.200}")


def is_frame(value: Any) -> bool:
    """Whether a value is a pandas DataFrame."""
    pandas = sys.modules.get("pandas")  # who gives a DataFrame has imported it
    return pandas is not None and isinstance(value, pandas.DataFrame)


def kind_of(value: Any) -> str:
    """What a value is: itself where it is short, else its class."""
    plain = value is None or isinstance(value, bool | int | float | str | os.PathLike)
    return quoted(value, 80) if plain else f"a {type(value).__name__}"
