"""Tapes as data: one compiled routine evaluates any of them, with derivatives.

Registers are rows of an array: inputs, constants, then one result each. Derivatives come from one sweep
backwards over the tape, at about the price of two evaluations however many inputs and constants there are.
A tape must not be batched: `switch` would run all operations and choose among their results.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxllc.equations.function_table import Function, OnArrays, bounded_exp
from jaxllc.equations.tapes.instructions import ARITHMETIC
from jaxllc.equations.tapes.unrolled import ARITHMETIC_VALUES

# In fits: of the same value up to rounding, and finite where it can be.
_FITTED_VALUES = {**ARITHMETIC_VALUES, "power": lambda xp, a, b: bounded_exp(b * xp.log(a), xp)}
_ON_ARRAYS = OnArrays(jnp)


def _values(functions: tuple[Function, ...], fitted: bool):
    """What each operation makes of two registers."""
    arithmetic = _FITTED_VALUES if fitted else ARITHMETIC_VALUES

    def of(record):
        value = record.tape_value if fitted else record.of
        if record.arguments == 1:
            return lambda a, b: value(jnp, a)
        return lambda a, b: value(jnp, a, b)

    return (*(partial(arithmetic[name], jnp) for name in ARITHMETIC), *map(of, functions))


# Derivatives by both arguments, from the arguments and the result c.
def _none(a, b, c):
    return jnp.zeros_like(a)


def _ones(a, b, c):
    return jnp.ones_like(a)


_PARTIALS = {
    "copy": (_ones, _none),
    "add": (_ones, _ones),
    "multiply": (lambda a, b, c: b, lambda a, b, c: a),
    "divide": (lambda a, b, c: 1.0 / b, lambda a, b, c: -c / b),
    "reciprocal": (lambda a, b, c: -c * c, _none),
    "power": (
        lambda a, b, c: b * jnp.power(a, jnp.where(b == 0, 1.0, b - 1.0)),
        lambda a, b, c: c * jnp.log(jnp.where(a == 0, 1.0, a)),
    ),
    "square": (lambda a, b, c: 2.0 * a, _none),
}
_FITTED_PARTIALS = {
    **_PARTIALS,
    "power": (lambda a, b, c: b * c / a, lambda a, b, c: c * jnp.log(a)),
}


def _partials(functions: tuple[Function, ...], fitted: bool):
    """Derivatives of each operation by its first argument, by its second, and so on."""
    arithmetic = _FITTED_PARTIALS if fitted else _PARTIALS

    def of(record):
        if record.arguments == 1:
            (by_first,) = record.derivatives
            return (lambda a, b, c: by_first(a, c, _ON_ARRAYS)), _none
        return tuple(lambda a, b, c, by=by: by(a, b, c, _ON_ARRAYS) for by in record.derivatives)

    pairs = (*(arithmetic[name] for name in ARITHMETIC), *map(of, functions))
    return tuple(one for pair in pairs for one in pair)


# Slices in place; general indexing would copy all registers at each instruction.
def _row(rows, k):
    return jax.lax.dynamic_index_in_dim(rows, k, keepdims=False)


def _with_row(rows, row, k):
    return jax.lax.dynamic_update_index_in_dim(rows, row, k, 0)


def _registers(code, length, constants, columns, operations):
    """All registers of a tape, (register, n): inputs, constants, results."""
    size, first = columns.shape[1], len(columns) + len(constants)
    start = jnp.concatenate(
        [
            columns,
            jnp.broadcast_to(constants, (len(constants), size)),
            jnp.zeros((len(code), size), columns.dtype),
        ]
    )

    # Rows are taken inside the branches: outside they would be copied first.
    def branch(operation):
        return lambda k, registers: operation(
            _row(registers, code[k, 1]), _row(registers, code[k, 2])
        )

    branches = [branch(operation) for operation in operations]

    def step(k, registers):
        return _with_row(registers, jax.lax.switch(code[k, 0], branches, k, registers), first + k)

    return jax.lax.fori_loop(0, length, step, start)


def _adjoints(code, length, registers, output, partials):
    """Derivatives of one register by all registers, (register, n)."""
    first = len(registers) - len(code)
    adjoint = jnp.zeros_like(registers).at[output].set(1.0)
    has_second = jnp.array([by_second is not _none for by_second in partials[1::2]])

    # One argument in each turn: two updates in one would copy all adjoints.
    def step(k, adjoint):
        place, second = length - 1 - k // 2, k % 2
        op, a, b = code[place]
        own, into = first + place, jnp.where(second, b, a)
        partial_ = jax.lax.switch(
            2 * op + second, partials, _row(registers, a), _row(registers, b), _row(registers, own)
        )
        share = _row(adjoint, own)
        # What has no share in the result must not spread an infinite derivative.
        none = (share == 0) | ((second == 1) & ~has_second[op])
        added = jnp.where(none, 0.0, share * partial_)
        return _with_row(adjoint, _row(adjoint, into) + added, into)

    return jax.lax.fori_loop(0, 2 * length, step, adjoint)


def with_derivatives(code, length, constants, points, functions):
    """Values (n,) of a tape whose constants are fitted, and derivatives by them (constant, n).

    code, length: of a `Tape`; constants: (constant,); points: (input, n); functions: those of
    `tape_functions`.
    """
    registers = _registers(code, length, constants[:, None], points, _values(functions, True))
    first = len(points) + len(constants)
    last = first + length - 1
    adjoint = _adjoints(code, length, registers, last, _partials(functions, True))
    return registers[last], adjoint[len(points) : first]


class TapeArrays(NamedTuple):
    """A law's tape as arrays: code (L, 3), how many instructions count, registers of the D outputs."""

    code: Any
    length: Any
    outputs: Any


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def interpret(functions, tape, constants, columns):
    """Values (D, n) of a law's tape, differentiable once by constants and inputs, forward and in reverse.

    functions: those of `tape_functions`; tape: `TapeArrays`; constants: (C,), the tape's own numbers after
    the others; columns: arrays (input, n), one below the other. Of an array that is not moved no derivative
    is asked, which may be infinite.
    """
    return _outputs_of(functions, False)(tape, constants[:, None], jnp.concatenate(columns))


@partial(interpret.defjvp, symbolic_zeros=True)
def _interpret_jvp(functions, primals, tangents):
    tape, constants, columns = primals
    _, by_constants, by_columns = tangents
    values, slopes = _outputs_of(functions, True)(
        tape, constants[:, None], jnp.concatenate(columns)
    )
    moved, first = jnp.zeros_like(values), 0
    for given, move in zip((*columns, constants), (*by_columns, by_constants), strict=True):
        own = slopes[:, first : first + len(given)]
        first += len(given)
        if not isinstance(move, SymbolicZero):
            moved += jnp.sum(own * (move if move.ndim == 2 else move[:, None])[None], axis=1)
    return values, moved


@lru_cache(maxsize=16)
def _outputs_of(functions, with_slopes):
    """Values of a tape, (output, n), and if asked derivatives by inputs and constants, (output, those, n)."""

    @_side_by_side
    def outputs(tape, constants, columns):
        registers = _registers(
            tape.code, tape.length, constants, columns, _values(functions, False)
        )
        values = jnp.stack([_row(registers, output) for output in tape.outputs])
        if not with_slopes:
            return values
        given, partials = len(columns) + len(constants), _partials(functions, False)

        def slopes(output):
            return _adjoints(tape.code, tape.length, registers, output, partials)[:given]

        return values, jax.lax.map(slopes, tape.outputs)

    return outputs


def _side_by_side(work):
    """A function of a tape, constants (C, 1 or n) and columns (input, n), which under vmap runs once on all.

    Batched, the registers would be copied at each instruction. Tapes that are batched themselves are run one
    after the other, where `switch` would run every operation.
    """
    run = jax.custom_batching.custom_vmap(work)

    @run.def_vmap
    def batched(size, in_batched, tape, constants, columns):
        length = columns.shape[-1]

        def repeated(x, is_batched):
            return x if is_batched else jnp.broadcast_to(x, (size, *jnp.shape(x)))

        def merged(x, is_batched):
            x = jnp.broadcast_to(repeated(x, is_batched), (size, x.shape[-2], length))
            return jnp.moveaxis(x, 0, 1).reshape(-1, size * length)

        of_tape, of_constants, of_columns = in_batched
        if any(jax.tree.leaves(of_tape)):
            each = jax.tree.map(repeated, (tape, constants, columns), tuple(in_batched))
            found = jax.lax.map(lambda one: run(*one), each)
        else:
            alike = constants.shape[-1] == 1 and not of_constants
            constants = constants if alike else merged(constants, of_constants)
            found = jax.tree.map(
                lambda x: jnp.moveaxis(x.reshape(*x.shape[:-1], size, length), -2, 0),
                run(tape, constants, merged(columns, of_columns)),
            )
        return found, jax.tree.map(lambda _: True, found)

    return run
