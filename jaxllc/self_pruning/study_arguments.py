"""What is wrong with the arguments of a study in themselves, whatever the network and the conditions are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from numbers import Real
from typing import Any

from jaxllc.errors import InputError, check_seed, listing, quoted
from jaxllc.signaling.settings import SignalingSettings


def checked_seeds(seeds: Iterable[int]) -> list[int]:
    """The seeds; InputError where there is none, or one that is no seed."""
    found = listing("seeds", seeds, "them", "range(10)")
    if not found:
        raise InputError("seeds is empty; give at least one, such as range(10)")
    for seed in found:
        check_seed("a seed of seeds", seed)
    return [int(seed) for seed in found]


def checked_penalties(
    name: str, values: Iterable[float], settings: SignalingSettings
) -> list[float]:
    """The penalties; InputError where there is none, or one that the settings cannot have."""
    found = [values] if isinstance(values, Real) else listing(name, values, "penalties", "[1e-5]")
    if not found:
        raise InputError(f"{name} is empty; give at least one penalty, such as 1e-5")
    for value in found:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise InputError(f"{name} holds {quoted(value, 80)}; give numbers, such as 1e-5")
        changed: dict[str, Any] = {name: float(value)}
        replace(settings, **changed)  # which checks it
    return [float(value) for value in found]


def check_part(part: float) -> None:
    """Raises InputError for a part of the conditions to hold out that is none."""
    if isinstance(part, bool) or not isinstance(part, Real) or not 0 <= part < 1:
        raise InputError(
            f"held_out is {quoted(part, 80)}; give a part of the conditions, from 0 to below 1"
        )
