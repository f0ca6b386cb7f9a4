"""What a term of the normal form looks like without its constants, and what the constants are.

A sum is {monomial: coefficient}; a monomial is a sorted tuple of (factor, power); a factor is
("symbol", name), or (kind, argument) with an argument that is a sum, frozen into a tuple; the kinds
are "sum" (under a power), "sigmoid", and the named functions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

Factor = tuple[str, Any]
Monomial = tuple[tuple[Factor, float], ...]
Frozen = tuple[tuple[Monomial, float], ...]
Sum = dict[Monomial, float]

ONE: Monomial = ()
TIE_TOLERANCE = 1e-6  # x_j - x_i has ratio -1, not a constant of its own


def freeze(terms: Sum) -> Frozen:
    """A sum as a sorted tuple, coefficients to twelve digits, so that equal arguments are equal."""
    rounded = ((m, float(f"{c:.12g}")) for m, c in terms.items())
    return tuple(sorted(rounded, key=lambda item: order(item[0])))


def thaw(frozen: Frozen) -> Sum:
    """The sum that was frozen."""
    return dict(frozen)


def sorted_monomial(powers: dict[Factor, float]) -> Monomial:
    items = [(f, int(p) if float(p).is_integer() else p) for f, p in powers.items()]
    return tuple(sorted(items, key=lambda item: (_factor_shape(item[0]), repr(item))))


@lru_cache(maxsize=8192)
def order(monomial: Monomial) -> tuple[str, str]:
    return shape(monomial), repr(monomial)


def reference_monomial(terms: Sum) -> Monomial:
    """The first monomial that is not a constant."""
    return min((m for m in terms if m != ONE), key=order)


@lru_cache(maxsize=8192)
def shape(monomial: Monomial) -> str:
    """The term with every inner constant hidden as C, without its coefficient."""
    if not monomial:
        return "1"
    return "*".join(_factor_shape(factor) + (f"**{p}" if p != 1 else "") for factor, p in monomial)


@lru_cache(maxsize=8192)
def _factor_shape(factor: Factor) -> str:
    return _describe(factor)[0]


def inner_constants(monomial: Monomial) -> tuple[float, ...]:
    """The constants inside a term, in the order of its shape; sigmoids as (tau, ..., mu)."""
    return tuple(c for factor, _ in monomial for c in factor_constants(factor))


def factor_constants(factor: Factor) -> tuple[float, ...]:
    """The constants inside one factor."""
    return _describe(factor)[1]


@lru_cache(maxsize=8192)
def _describe(factor: Factor) -> tuple[str, tuple[float, ...]]:
    kind, argument = factor
    if kind == "symbol":
        return argument, ()
    terms = thaw(argument)
    constants: list[float] = []
    if kind in ("sum", "log", "abs"):
        # Already scaled: the first coefficient is 1 or -1, and belongs to the shape.
        reference = ONE if ONE in terms else reference_monomial(terms)
        ordered = [reference, *(m for m, _ in argument if m != reference)]
        parts = []
        for monomial in ordered:
            first = monomial == reference
            parts.append(shape(monomial) if first else f"C*{shape(monomial)}")
            constants += [*([] if first else [terms[monomial]]), *inner_constants(monomial)]
        sign = "-" if terms[reference] < 0 else ""
        return f"{'' if kind == 'sum' else kind}({sign}{' + '.join(parts)})", tuple(constants)
    reference = reference_monomial(terms)
    size = terms[reference]
    constants += [size, *inner_constants(reference)]
    text = shape(reference)
    for monomial, coefficient in argument:
        if monomial in (reference, ONE):
            continue
        ratio = coefficient / size
        if _are_sides_of_one_variable(reference, monomial) and abs(abs(ratio) - 1) < TIE_TOLERANCE:
            text += f" {'+' if ratio > 0 else '-'} {shape(monomial)}"
        else:
            text += f" + C*{shape(monomial)}"
            constants += [ratio, *inner_constants(monomial)]
    if ONE in terms:
        text += " + C"
        constants.append(-terms[ONE] / size if kind == "sigmoid" else terms[ONE])
    return f"{kind}(C*({text}))", tuple(constants)


def _are_sides_of_one_variable(m: Monomial, n: Monomial) -> bool:
    names = []
    for monomial in (m, n):
        if len(monomial) != 1 or monomial[0][0][0] != "symbol" or monomial[0][1] != 1:
            return False
        names.append(monomial[0][0][1])
    return names[0][:-1] == names[1][:-1] and {names[0][-1], names[1][-1]} == {"i", "j"}


def symbols_in(monomial: Monomial) -> set[str]:
    """Names of all symbols in a term."""
    found: set[str] = set()
    for (kind, argument), _ in monomial:
        if kind == "symbol":
            found.add(argument)
        else:
            found.update(*(symbols_in(m) for m, _ in argument))
    return found


def number_of_constants(terms: Sum) -> int:
    """Coefficients plus constants inside factors, a factor that recurs counted once."""
    factors = {factor for monomial in terms for factor, _ in monomial}
    return len(terms) + sum(len(factor_constants(factor)) for factor in factors)
