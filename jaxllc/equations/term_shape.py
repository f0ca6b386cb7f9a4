"""What a term of the normal form looks like without its constants, and what the constants are.

A sum is {monomial: coefficient}; a monomial is a sorted tuple of (factor, power); a factor is
("symbol", name), or (kind, argument) with an argument that is a sum, frozen into a tuple; the kinds
are "sum" (under a power), "sigmoid", and the named functions; of "min" and "max" the argument is a
tuple of frozen sums.

Whole and half exponents, which square roots leave, belong to the shape; any other is a constant.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jaxllc.equations.function_table import TABLE

Factor = tuple[str, Any]
Monomial = tuple[tuple[Factor, float], ...]
Frozen = tuple[tuple[Monomial, float], ...]
Sum = dict[Monomial, float]

ONE: Monomial = ()
TOLERANCE = 1e-9
TIE_TOLERANCE = 1e-6  # x_j - x_i has ratio -1, not a constant of its own


def is_extreme(kind: str) -> bool:
    """Whether a factor is a min or max, whose argument is several frozen sums."""
    return kind in TABLE and TABLE[kind].more


def add(*sums: Sum) -> Sum:
    """The sum of sums; what cancels up to rounding is dropped."""
    total: Sum = {}
    largest: Sum = {}
    for terms in sums:
        for monomial, coefficient in terms.items():
            total[monomial] = total.get(monomial, 0.0) + coefficient
            largest[monomial] = max(largest.get(monomial, 0.0), abs(coefficient))
    return {m: c for m, c in total.items() if abs(c) > TOLERANCE * largest[m]}


def scale(terms: Sum, by: float) -> Sum:
    """Every coefficient times a number."""
    return {m: c * by for m, c in terms.items()} if by else {}


def freeze(terms: Sum) -> Frozen:
    """A sum as a sorted tuple, coefficients to twelve digits, so that equal arguments are equal."""
    rounded = ((m, float(f"{c:.12g}")) for m, c in terms.items())
    return tuple(sorted(rounded, key=lambda item: order(item[0])))


def thaw(frozen: Frozen) -> Sum:
    """The sum that was frozen."""
    return dict(frozen)


def exact_power(p: float) -> float:
    """An exponent without its rounding error where it is whole, then an int, or a half."""
    twice = round(2 * p)
    if abs(2 * p - twice) > TOLERANCE:
        return p
    return twice / 2 if twice % 2 else twice // 2


def _is_free(p: float) -> bool:
    return not float(2 * p).is_integer()


def sorted_monomial(powers: dict[Factor, float]) -> Monomial:
    items = [(f, exact_power(p)) for f, p in powers.items()]
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
    return "*".join(_factor_shape(factor) + _power_shape(p) for factor, p in monomial)


def _power_shape(p: float) -> str:
    return "**C" if _is_free(p) else f"**{p}" if p != 1 else ""


@lru_cache(maxsize=8192)
def _factor_shape(factor: Factor) -> str:
    return _describe(factor)[0]


def inner_constants(monomial: Monomial) -> tuple[float, ...]:
    """The constants inside a term, in the order of its shape; sigmoids as (tau, ..., mu)."""
    constants: list[float] = []
    for factor, p in monomial:
        constants += [*factor_constants(factor), *([p] if _is_free(p) else [])]
    return tuple(constants)


def factor_constants(factor: Factor) -> tuple[float, ...]:
    """The constants inside one factor."""
    return _describe(factor)[1]


@lru_cache(maxsize=8192)
def _describe(factor: Factor) -> tuple[str, tuple[float, ...]]:
    kind, argument = factor
    if kind == "symbol":
        return argument, ()
    if is_extreme(kind):
        return _describe_extreme(kind, argument)
    terms = thaw(argument)
    constants: list[float] = []
    if kind == "sum" or TABLE[kind].scaled:
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
        if _is_tied(reference, monomial, ratio):
            text += f" {'+' if ratio > 0 else '-'} {shape(monomial)}"
        else:
            text += f" + C*{shape(monomial)}"
            constants += [ratio, *inner_constants(monomial)]
    if ONE in terms:
        text += " + C"
        constants.append(-terms[ONE] / size if TABLE[kind].middle else terms[ONE])
    return f"{kind}(C*({text}))", tuple(constants)


def _describe_extreme(name: str, arguments: tuple[Frozen, ...]) -> tuple[str, tuple[float, ...]]:
    # Already scaled: the first coefficient that is not of a constant is 1.
    reference: Monomial | None = None
    texts: list[str] = []
    constants: list[float] = []
    for frozen in arguments:
        terms = thaw(frozen)
        parts = []
        if set(terms) - {ONE}:
            leading = reference_monomial(terms)
            for monomial in [leading, *(m for m in terms if m not in (leading, ONE))]:
                ratio = terms[monomial]
                if reference is None:
                    reference = monomial
                    constants += inner_constants(monomial)
                elif not _is_tied(reference, monomial, ratio):
                    constants += [ratio, *inner_constants(monomial)]
                    parts.append(f"C*{shape(monomial)}")
                    continue
                parts.append(("-" if ratio < 0 else "") + shape(monomial))
        if ONE in terms:
            parts.append("C")
            constants.append(terms[ONE])
        texts.append(" + ".join(parts).replace("+ -", "- ") or "0")
    return f"{name}({', '.join(texts)})", tuple(constants)


def _is_tied(reference: Monomial, monomial: Monomial, ratio: float) -> bool:
    """Whether a coefficient is 1 or -1 by structure, as in max(x_i, x_j) and max(x_i, -x_i, C)."""
    alike = monomial == reference or _are_sides_of_one_variable(reference, monomial)
    return alike and abs(abs(ratio) - 1) < TIE_TOLERANCE


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
        elif is_extreme(kind):
            found.update(*(symbols_in(m) for terms in argument for m, _ in terms))
        else:
            found.update(*(symbols_in(m) for m, _ in argument))
    return found


def number_of_constants(terms: Sum) -> int:
    """Coefficients plus constants inside factors, a factor that recurs counted once."""
    factors = {factor for monomial in terms for factor, _ in monomial}
    exponents = {item for monomial in terms for item in monomial if _is_free(item[1])}
    inside = sum(len(factor_constants(factor)) for factor in factors)
    return len(terms) + inside + len(exponents)
