"""Tapes run instruction by instruction in Python, on arrays of numpy or jax.numpy.

Nothing is padded, and under jit each law is a program of its own: for large networks, and for whatever
differentiates a field as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxllc.equations.function_table import TABLE
from jaxllc.equations.tapes.instructions import Instructions
from jaxllc.errors import InputError

ARITHMETIC_VALUES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "copy": lambda xp, a, b: a,
    "add": lambda xp, a, b: a + b,
    "multiply": lambda xp, a, b: a * b,
    "divide": lambda xp, a, b: a / b,
    "reciprocal": lambda xp, a, b: 1.0 / a,
    "power": lambda xp, a, b: xp.power(a, b),
    "square": lambda xp, a, b: a * a,
}


def run(
    instructions: Instructions, constants: Any, values: Mapping[str, Any], xp: Any = np
) -> list[Any]:
    """The outputs of a tape.

    constants: indexable; values: an array (or number) for each input by its name, of shapes that broadcast
    together. Raises InputError where one is missing.
    """
    registers: list[Any] = []
    for name in instructions.inputs:
        if name not in values:
            raise InputError(f"No value is given for {name!r}; given: {', '.join(sorted(values))}.")
        registers.append(values[name])
    registers += [constants[k] for k in range(instructions.num_constants)]
    registers += instructions.numbers
    steps = zip(instructions.code, instructions.last_read, strict=True)
    for (name, a, b), done in steps:
        registers.append(_value(name, registers[a], registers[b], xp))
        for register in done:
            registers[register] = None  # the memory of a large network
    return [registers[output] for output in instructions.outputs]


def _value(name: str, a: Any, b: Any, xp: Any) -> Any:
    if name in ARITHMETIC_VALUES:
        return ARITHMETIC_VALUES[name](xp, a, b)
    record = TABLE[name]
    return record.of(xp, a, b) if record.more else record.of(xp, a)
