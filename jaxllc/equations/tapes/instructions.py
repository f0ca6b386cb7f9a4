"""Instructions of tapes: what they can be, and how they are written down.

Registers are numbered: inputs first, then constants, then numbers that belong to the structure, then one
result for each instruction (operation, register, register).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxllc.equations.function_table import TABLE, Function, searchable

# Besides the functions that expressions hold.
ARITHMETIC = ("copy", "add", "multiply", "divide", "reciprocal", "power", "square")
_SIDES = 2  # registers that an instruction reads


def tape_functions() -> tuple[Function, ...]:
    """The functions that a tape holds, all that expressions do, in the order of their operations.

    A static argument of what is compiled: another table of functions is another program.
    """
    return tuple(TABLE[name] for name in searchable())


def operations() -> tuple[str, ...]:
    """Names of what an instruction can be, in the order of their numbers."""
    return (*ARITHMETIC, *searchable())


@dataclass(frozen=True)
class Instructions:
    """A tape as structure: hashable, of its exact size, and without the values of its constants.

    inputs: names, in the order of their registers. num_constants: how many registers follow for constants;
    numbers: values of the registers after those. code: (operation, register, register) for each instruction,
    the second register without meaning where the operation takes one argument. outputs: registers.
    """

    inputs: tuple[str, ...]
    num_constants: int
    numbers: tuple[float, ...]
    code: tuple[tuple[str, int, int], ...]
    outputs: tuple[int, ...]

    @property
    def num_given(self) -> int:
        """Registers that hold no result."""
        return len(self.inputs) + self.num_constants + len(self.numbers)

    @cached_property
    def last_read(self) -> tuple[tuple[int, ...], ...]:
        """For each instruction the registers that nothing after it reads."""
        last: dict[int, int] = {}
        for k, (_, *read) in enumerate(self.code):
            last.update(dict.fromkeys(read, k))
        found: list[list[int]] = [[] for _ in self.code]
        for register, k in last.items():
            if register not in self.outputs:
                found[k].append(register)
        return tuple(map(tuple, found))

    def placed(
        self, inputs: Iterable[int], num_inputs: int, num_constants: int, length: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Code (length, 3) with operations by number, and outputs, in the registers of a padded tape.

        inputs: the register of each input there, of num_inputs. num_constants: of registers for constants and
        numbers together.
        """
        results = num_inputs + num_constants + np.arange(len(self.code))
        given = num_inputs + np.arange(self.num_constants + len(self.numbers))
        register = np.concatenate([np.array(tuple(inputs), int), given, results])
        number_of = {name: k for k, name in enumerate(operations())}
        padded = np.zeros((length, 1 + _SIDES), np.int32)
        if self.code:
            names, *read = zip(*self.code, strict=True)
            padded[: len(self.code), 0] = [number_of[name] for name in names]
            for side, registers in enumerate(read):
                padded[: len(self.code), 1 + side] = register[list(registers)]
        return padded, register[list(self.outputs)].astype(np.int32)


# Kinds of registers, in their order.
_INPUT, _CONSTANT, _NUMBER, _RESULT = range(4)
Register = tuple[int, int]


class Writer:
    """Writes instructions; equal parts are written once. Registers are (kind, number) until the end."""

    def __init__(self) -> None:
        self.code: list[tuple[str, Register, Register]] = []
        self.numbers: list[float] = []
        self.known: dict[Any, Register] = {}

    def input(self, number: int) -> Register:
        return _INPUT, number

    def constant(self, number: int) -> Register:
        return _CONSTANT, number

    def number(self, value: float) -> Register:
        """The register of a number that belongs to the structure."""
        key = ("number", value)
        if key not in self.known:
            self.known[key] = _NUMBER, len(self.numbers)
            self.numbers.append(value)
        return self.known[key]

    def emit(self, name: str, a: Register, b: Register | None = None) -> Register:
        key = (name, a, b)
        if key not in self.known:
            self.known[key] = _RESULT, len(self.code)
            self.code.append((name, a, a if b is None else b))
        return self.known[key]

    def chain(self, name: str, registers: Iterable[Register]) -> Register:
        """One operation, that does not mind the order of two, over all registers from the left."""
        first, *others = registers
        for other in others:
            first = self.emit(name, min(first, other), max(first, other))
        return first

    def written(
        self, inputs: tuple[str, ...], num_constants: int, outputs: Iterable[Register]
    ) -> Instructions:
        """All that was written."""
        sizes = len(inputs), num_constants, len(self.numbers)
        first = [sum(sizes[:kind]) for kind in range(4)]

        def place(register: Register) -> int:
            kind, number = register
            return first[kind] + number

        return Instructions(
            inputs,
            num_constants,
            tuple(self.numbers),
            tuple((name, place(a), place(b)) for name, a, b in self.code),
            tuple(map(place, outputs)),
        )
