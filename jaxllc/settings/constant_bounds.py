"""Bounds that a user knows of the constants of a law, by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from jaxllc.errors import InputError, check_mapping, nearest_match

# Bounds of all found terms at once; no known constant may have these names.
COEFFICIENTS = "coefficients"
INNER_CONSTANTS = "inner_constants"
GENERAL = (COEFFICIENTS, INNER_CONSTANTS)

Range = tuple[float, float]
FREE: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class ConstantBounds:
    """Ranges in which the constants of the found terms are kept; those of known terms know their own."""

    coefficients: Range = FREE
    inner_constants: Range = FREE


UNBOUNDED = ConstantBounds()


def checked_bounds(bounds: Mapping[str, Any] | None) -> dict[str, Range]:
    """Bounds as pairs of floats; raises InputError for what is not {name: (low, high)} with low < high."""
    if bounds is None:
        return {}
    check_mapping("bounds", bounds, "{'delta': (0, 1)}")
    return {str(name): _range(name, pair) for name, pair in bounds.items()}


def _range(name: object, pair: Any) -> Range:
    if isinstance(pair, list | tuple) and len(pair) == 2:
        # In a saved law an open end is None.
        pair = tuple(e if v is None else v for v, e in zip(pair, FREE, strict=True))
    if not isinstance(pair, tuple) or not all(
        isinstance(v, Real) and not isinstance(v, bool) for v in pair
    ):
        raise InputError(f"the bounds of {name} must be two numbers (low, high), not {pair!r}")
    low, high = (float(v) for v in pair)
    if not low < high:
        raise InputError(
            f"the bounds of {name} are {low:g} and {high:g}; the low one must be below the high one "
            f"(a constant of known value is written as a number)"
        )
    return low, high


def check_names(bounds: Mapping[str, Range], names: Iterable[str]) -> None:
    """Raises InputError for bounds of a constant that no known term holds."""
    known = [*names, *GENERAL]
    for name in bounds:
        if name not in known:
            raise InputError(
                f"bounds are given for {name!r}{nearest_match(name, known)}, which is no constant of a known "
                f"term; there are {', '.join(known)}"
            )


def bounds_of(bounds: Mapping[str, Range]) -> ConstantBounds:
    """The ranges of the found terms' constants."""
    return ConstantBounds(bounds.get(COEFFICIENTS, FREE), bounds.get(INNER_CONSTANTS, FREE))
