"""Constants set to the numbers that people write, where the data do not object.

    increase of chi2 by constraints A c = b:   (A c - b)' (A S A')^-1 (A c - b),   S the covariance of c

One constraint after the other is taken, c = nice number or c_a = +- c_b, the one that shortens the law most:
digits that the standard error would need, less the code of the number, less half the chi-squared it costs, in
bits.  The constants that stay free move along, to their conditional mean under the Gaussian of the fit.
A constraint is taken only if

- it saves 3 bits, odds of 8 to 1 for the number (then at most 1 in 20 constants that are no such number is
  taken for one; see tests/test_snapping.py);
- by itself it costs no more than a test at 1 % allows, and all together no more than one at 5 %.

So a constant with a tiny standard error stays as it is: 0.5001 +- 0.00001 is not 1/2.

What is decided does not depend on the units of the data, as far as that can be.  Only constants of one
dimension are tied, which stay equal in any units.  Of a constant with a dimension only the leading digits are
looked at: the law of x in mol/L has the same ones as that of x in nmol/L.  (These units differ by powers of
ten.  In days instead of seconds a rate of 1/2 is another number, and only ties and pure numbers, such as
exponents, are found in both.)  See `constant_dimensions` and `nice_numbers`.

The samples of a law that was discovered were asked: `jaxllc.judge.number_check` refits the law with its
constants set, and what the samples do object to is not set.
Sources: Wald 1943 (the test); Wallace and Freeman 1987 (constants by message length).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
import sympy

from jaxllc.equations.equation import Equation
from jaxllc.equations.expression_building import product_of, replaced
from jaxllc.equations.expressions import evaluate
from jaxllc.errors import InputError
from jaxllc.knowledge.nice_numbers import (
    TIED,
    NiceNumber,
    at_decade,
    free_bits,
    leading_digits,
    misfit_bits,
    nice_numbers,
)
from jaxllc.knowledge.units import Unit
from jaxllc.law.axes import origins_of
from jaxllc.law.constant_dimensions import dimensions
from jaxllc.law.record import Constant, LawRecord, Snapping
from jaxllc.law.writing.term_text import parsed_term
from jaxllc.smoothing.gauge import undetermined_constants

Found = TypeVar("Found", bound=LawRecord)

# Bits a constraint must save.
LEAST_GAIN = 3.0
# Level of the test of all constraints together, and of each.
_TOGETHER, _EACH = 0.05, 0.01


@dataclass(frozen=True)
class _Option:
    gain: float
    row: np.ndarray  # of A
    target: float
    position: int
    exact: sympy.Expr | None
    other: int = -1
    sign: int = 1


def snap_constants(
    values: np.ndarray,
    covariance: np.ndarray,
    roles: list[str] | None = None,
    dimensions: Sequence[Unit] | None = None,
    most: int | None = None,
) -> Snapping:
    """Set constants (constant,) of a covariance (constant, constant) to nice numbers and to one another.

    roles: only constants of one role are tied, a coefficient never to an inner constant. dimensions: only
    those of one dimension are tied, and of all but pure numbers only the leading digits count; by default all
    are pure. most: largest number of constraints.
    """
    values = np.array(values, dtype=float)
    covariance = np.array(covariance, dtype=float)
    kinds = list(
        zip(
            roles or ["coefficient"] * len(values),
            dimensions or [Unit()] * len(values),
            strict=True,
        )
    )
    usable = np.isfinite(values) & np.isfinite(np.diag(covariance))
    # A constant on a bound has no variance (nan), nor covariances with those that have one.
    usable &= np.isfinite(covariance[:, usable]).all(axis=1)
    covariance[~usable], covariance[:, ~usable] = 0.0, 0.0
    state = Snapping(values, covariance, {}, {}, 0.0, 0.0)
    if not len(values):
        return state
    # Coefficients and inner constants of very different sizes stand side by side.
    usable &= ~undetermined_constants(values, np.sqrt(np.maximum(np.diag(covariance), 0.0)))
    while most is None or state.count < most:
        limit = _limit(_TOGETHER, state.count + 1)
        options = sorted(_options(state, usable, kinds), key=lambda o: -o.gain)
        for option in options:
            following = _constrained(state, option, limit)
            if following.chi_squared <= limit:
                state = following
                break
        else:
            break
    return state


def _limit(level: float, count: int) -> float:
    from scipy.special import chdtri

    return float(chdtri(count, level))


def _options(
    state: Snapping, usable: np.ndarray, kinds: list[tuple[str, Unit]]
) -> Iterator[_Option]:
    """Constraints that save enough and cost little each."""
    groups = _groups(state)
    largest = math.sqrt(_limit(_EACH, 1))
    open_ones = [
        k
        for k in range(len(state.values))
        if usable[k] and groups[k] == k and k not in state.exact and state.covariance[k, k] > 0
    ]
    unit = np.eye(len(state.values))
    for k in open_ones:
        value, error = abs(state.values[k]), math.sqrt(state.covariance[k, k])
        numbers = _near(value, kinds[k][1] == Unit())
        deviation = np.minimum(np.abs(numbers.sizes - value) / error, 1e100)
        gain = free_bits(value, error) - numbers.bits - misfit_bits(deviation)
        gain[deviation > largest] = -math.inf
        best = int(np.argmax(gain))
        if gain[best] >= LEAST_GAIN:
            sign = 1 if state.values[k] > 0 else -1
            exact = sign * numbers.exact(best)
            yield _Option(float(gain[best]), unit[k], sign * numbers.sizes[best], k, exact)
    for k in open_ones:
        partners = [j for j in open_ones if j < k and kinds[j] == kinds[k]]
        for j in partners:
            sign = 1 if state.values[k] * state.values[j] > 0 else -1
            row = unit[k] - sign * unit[j]
            error = math.sqrt(max(float(row @ state.covariance @ row), 0.0))
            if error == 0 or (off := abs(float(row @ state.values)) / error) > largest:
                continue
            price = -math.log2(TIED / len(partners)) + misfit_bits(off)
            saved = free_bits(abs(state.values[k]), error) - price
            if saved >= LEAST_GAIN:
                yield _Option(saved, row, 0.0, k, None, j, sign)


class _Numbers(NamedTuple):
    """Numbers that a constant may be set to: their sizes and lengths, and how one of them is written."""

    sizes: np.ndarray
    bits: np.ndarray
    exact: Callable[[int], sympy.Expr]


def _near(value: float, pure: bool) -> _Numbers:
    """The numbers for a constant of a size."""
    if pure:
        sizes, bits = _columns(nice_numbers())
        return _Numbers(sizes, bits, lambda n: nice_numbers()[n].exact)
    digits, bits = _columns(leading_digits())
    # 9.99 may be 10.
    decades = math.floor(math.log10(value)) + np.array([-1, 0, 1])
    sizes = np.array([[float(f"{d:.15g}e{e}") for d in digits] for e in decades])
    count = len(digits)
    return _Numbers(
        sizes.ravel(),
        np.tile(bits, len(decades)),
        lambda n: at_decade(float(digits[n % count]), int(decades[n // count])),
    )


@cache
def _columns(numbers: tuple[NiceNumber, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([n.value for n in numbers]), np.array([n.bits for n in numbers])


def _groups(state: Snapping) -> list[int]:
    """The constant that each one is tied to, or itself."""
    return [state.tied[k][0] if k in state.tied else k for k in range(len(state.values))]


def _constrained(state: Snapping, option: _Option, limit: float) -> Snapping:
    """One more constraint: the rest moves to its conditional mean."""
    row = option.row
    lever = state.covariance @ row
    variance = float(row @ lever)
    off = float(row @ state.values) - option.target
    # In this order, as constants may be of the size of 1e150.
    values = state.values - lever * (off / variance)
    covariance = state.covariance - np.outer(lever / variance, lever)
    exact, tied = dict(state.exact), dict(state.tied)
    k = option.position
    if option.exact is not None:
        exact[k] = option.exact
    else:
        tied[k] = (option.other, option.sign)
        for member, (head, sign) in state.tied.items():
            if head == k:
                tied[member] = (option.other, sign * option.sign)
    # Rounding must not leave what is fixed a little free.
    for j in (*exact, *(m for m, (head, _) in tied.items() if head in exact)):
        covariance[j], covariance[:, j] = 0.0, 0.0
    for j, number in exact.items():
        values[j] = float(number)
    for j, (head, sign) in tied.items():
        values[j] = sign * values[head]
        covariance[j], covariance[:, j] = sign * covariance[head], sign * covariance[:, head]
        covariance[j, j] = covariance[head, head]
    cost = state.chi_squared + off / variance * off
    return Snapping(values, covariance, exact, tied, cost, limit, state.gain + option.gain)


# -- laws --------------------------------------------------------------------------------------------


def snapped(law: Found) -> Found:
    """The law with constants set where the data do not object; see `Law.snapped`."""
    if law.covariance is None:
        raise InputError(
            "this law has no covariance of its constants: it was snapped already, or comes from a file of "
            "an earlier version; discover it again"
        )
    if len(law.covariance) != len(law.constants):
        raise InputError(
            f"the law has {len(law.constants)} constants but a covariance of {len(law.covariance)}; "
            f"discover it again"
        )
    found = law.snapping
    if found is None:
        found = snapping_of(law.constants, law.covariance, law.variables)
    if not found.count:
        return replace(law, covariance=None, snapping=None)
    errors = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))
    errors[np.isnan(np.diag(law.covariance))] = math.nan
    constants = tuple(
        replace(c, value=float(v), standard_error=float(e))
        for c, v, e in zip(law.constants, found.values, errors, strict=True)
    )
    numbers = [sympy.Float(float(v)) for v in found.values]
    for k, exact in found.exact.items():
        numbers[k] = exact
    for k, (head, sign) in found.tied.items():
        numbers[k] = sign * numbers[head]
    before = _sides(law, [sympy.Float(c.value) for c in law.constants])
    after = _sides(law, numbers)
    equations = {}
    for variable, equation in law.equations.items():
        # What is not made of constants of the fit stays as it is.
        self_term, interaction = (
            _without(term, before[variable, side]) + after[variable, side]
            for term, side in zip(equation, ("self", "interaction"), strict=True)
        )
        equations[variable] = Equation(self_term, interaction)
    note = (
        f"{found.count} of {len(law.constants)} constants were set to nice numbers or tied to others; "
        f"together that raises chi-squared by {found.chi_squared:.1f} (a test at 5 % allows "
        f"{found.limit:.1f})."
    )
    return replace(
        law,
        equations=equations,
        constants=constants,
        notes=(*law.notes, note),
        covariance=None,
        confidence=None,
        snapping=None,
    )


def snapping_of(
    constants: Sequence[Constant],
    covariance: np.ndarray,
    variables: Sequence[str],
    most: int | None = None,
) -> Snapping:
    """What the covariance of the constants of a law lets be set, at most so many of them."""
    values = np.array([c.value for c in constants])
    roles = [c.role for c in constants]
    terms = [parsed_term(c.term) for c in constants]
    return snap_constants(values, covariance, roles, dimensions(constants, terms, variables), most)


def _without(term: sympy.Expr, made: sympy.Expr) -> sympy.Expr:
    """A term of an equation less what is made of the law's constants, which may be written otherwise."""
    rest = term - made
    if rest == 0:
        return rest
    generator = np.random.default_rng(0)
    symbols = sorted((term.free_symbols | made.free_symbols), key=str)
    points = {s.name: generator.uniform(0.3, 1.7, 50) for s in symbols}
    with np.errstate(all="ignore"):
        size = 1e-9 * np.max(np.abs(evaluate(term, points)))
        own = [(s, evaluate(s, points)) for s in sympy.Add.make_args(term)]
        written = (*sympy.Add.make_args(made), *sympy.Add.make_args(sympy.expand(made)))
        others = [evaluate(s, points) for s in written]
        # Known terms without constants of the fit are summands of their own.
        kept = [s for s, v in own if not any(np.all(np.abs(v - o) <= size) for o in others)]
        for candidate in (sympy.Integer(0), sympy.Add(*kept)):
            if np.all(np.abs(evaluate(rest - candidate, points)) <= size):
                return candidate
    return rest


def _sides(law: LawRecord, numbers: list[sympy.Expr]) -> dict[tuple[str, str], sympy.Expr]:
    """The terms of a law with other numbers for its constants, {(variable, side): expression}."""
    sums: dict[tuple[str, str], sympy.Expr] = {
        (v, side): sympy.Integer(0) for v in law.equations for side in ("self", "interaction")
    }
    far = bool(origins_of(law))
    groups: list[tuple[Constant, dict[sympy.Symbol, sympy.Expr]]] = []
    for constant, number in zip(law.constants, numbers, strict=True):
        role = sympy.Symbol(constant.role)
        if not groups or role in groups[-1][1] or not _of_one_term(constant, groups[-1][0]):
            groups.append((constant, {}))
        groups[-1][1][role] = number
    for first, named in groups:
        expression = parsed_term(first.term)
        # The text of a known term holds its coefficient by name.
        coefficient = sympy.Symbol("coefficient")
        if coefficient in named and coefficient not in expression.free_symbols:
            expression = product_of((coefficient, expression))
        # Sympy would spread a number over x_i - 100000.
        filled = replaced(expression, named) if far else expression.xreplace(named)
        sums[first.variable, first.side] += filled
    return sums


def _of_one_term(a: Constant, b: Constant) -> bool:
    return (a.variable, a.side, a.term) == (b.variable, b.side, b.term)
