"""Numbers that people write into laws, with the length of a code in bits for each.

A constant is an integer p (probability 1 / p(p + 1)), a fraction p/q with q up to 6, one or two digits times
a power of ten, or a multiple of pi; or it is none of these, and then it needs the digits that its standard
error leaves: its logarithm is uniform over six decades, and the evidence for it is its density there.
The difference of two lengths is the logarithm of a Bayes factor.
That holds for a pure number, such as an exponent.  The value of a constant with a unit depends on the scale
that people chose, mol/L or nmol/L, so that no decade is nearer than another: of it only the leading digits
are coded as above, and its decade is one of six.
Source: Rissanen 1983 (codes of integers and of constants of limited precision).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import sympy

# Probability of each kind of constant; they add up to one.
FREE, TIED = 0.30, 0.10
_INTEGER, _FRACTION, _ONE_DIGIT, _TWO_DIGITS, _OF_PI = 0.20, 0.13, 0.15, 0.10, 0.02
# Natural logarithm of the range of a constant that is none of them: six decades.
_DECADES = 6
_RANGE = _DECADES * math.log(10)
_LARGEST = 100
_DENOMINATORS = (2, 3, 4, 5, 6)
_OVER_PI = {1: 0.5, 2: 0.2, 3: 0.1, 4: 0.1, 6: 0.1}
_EXPONENTS = range(-4, 4)


@dataclass(frozen=True)
class NiceNumber:
    """A positive number, its exact form, and the length of its code in bits (the sign left out)."""

    value: float
    exact: sympy.Expr
    bits: float


@cache
def nice_numbers() -> tuple[NiceNumber, ...]:
    """All of them, each with its shortest code, smallest first."""
    shortest: dict[float, NiceNumber] = {}
    for exact, probability in _coded():
        number = NiceNumber(float(exact), exact, -math.log2(probability))
        key = float(f"{number.value:.12g}")
        if key not in shortest or number.bits < shortest[key].bits:
            shortest[key] = number
    return tuple(sorted(shortest.values(), key=lambda n: n.value))


@cache
def leading_digits() -> tuple[NiceNumber, ...]:
    """The leading digits, from 1 to below 10, of all of them, each with its shortest code, smallest first."""
    shortest: dict[float, NiceNumber] = {}
    decimals = ((sympy.Integer(d), _ONE_DIGIT / 9) for d in range(1, 10))
    finer = ((sympy.Rational(d, 10), _TWO_DIGITS / 90) for d in range(10, 100))
    for exact, probability in (*_ratios(), *decimals, *finer):
        value = float(exact)
        value /= 10.0 ** math.floor(math.log10(value) + 1e-12)
        key, bits = float(f"{value:.12g}"), -math.log2(probability / _DECADES)
        if key not in shortest or bits < shortest[key].bits:
            shortest[key] = NiceNumber(value, exact, bits)
    return tuple(sorted(shortest.values(), key=lambda n: n.value))


def at_decade(digits: float, exponent: int) -> sympy.Expr:
    """Leading digits times a power of ten as people write it: 1/2, 8/3, 28, 0.3 or 5e8."""
    value = float(f"{digits:.15g}e{exponent}")
    written = _by_value().get(float(f"{value:.12g}"))
    return sympy.Float(value) if written is None else written


@cache
def _by_value() -> dict[float, sympy.Expr]:
    return {float(f"{n.value:.12g}"): n.exact for n in nice_numbers()}


def _coded() -> Iterator[tuple[sympy.Expr, float]]:
    yield from _ratios()
    for e in _EXPONENTS:
        for digits in range(1, 10):
            yield _decimal(digits, e), _ONE_DIGIT / 9 / len(_EXPONENTS)
        for digits in range(10, 100):
            yield _decimal(digits, e - 1), _TWO_DIGITS / 90 / len(_EXPONENTS)


def _ratios() -> Iterator[tuple[sympy.Expr, float]]:
    weights = {q: 1 / (q * (q - 1)) for q in _DENOMINATORS}
    for p in range(1, _LARGEST + 1):
        size = 1 / (p * (p + 1))
        yield sympy.Integer(p), _INTEGER * size
        for q, weight in weights.items():
            if math.gcd(p, q) == 1:
                yield sympy.Rational(p, q), _FRACTION * size * weight / sum(weights.values())
        for q, weight in _OVER_PI.items():
            if math.gcd(p, q) == 1:
                yield sympy.pi * sympy.Rational(p, q), _OF_PI * size * weight


def _decimal(digits: int, exponent: int) -> sympy.Expr:
    exact = sympy.Rational(digits) * sympy.Rational(10) ** exponent
    return exact if exact.is_Integer else sympy.Float(f"{digits}e{exponent}")


def free_bits(value: float, error: float) -> float:
    """Length of a constant with a standard error, where nothing but its own digits will do."""
    density = 1 / (abs(value) * _RANGE)
    return -math.log2(FREE * density * error * math.sqrt(2 * math.pi))


def misfit_bits(deviation: float) -> float:
    """What a deviation, in standard errors, costs."""
    return 0.5 * deviation**2 / math.log(2)
