"""Sparse enumeration for one term: small sets from a dictionary of features, also for 1/y, y^2 and ln|y|.

Sums of few features are found by a beam; a sum in a denominator, under a root or a product of many factors
becomes such a sum when the values are transformed; a ratio of two polynomials is linear in both when the
denominator is multiplied out. All of these only propose: the judge refits each on the values as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy

from jaxllc.search.engines.dictionary import (
    Dictionary,
    Features,
    build_dictionary,
    factor_features,
    monomial_columns,
    single_functions,
)
from jaxllc.search.engines.interpolated_pairs import pair_sums
from jaxllc.search.engines.product_beam import ProductSearch, product_sums
from jaxllc.search.engines.subset_beam import Columns, beam, combine, fitted_sum
from jaxllc.search.forms.function_atoms import GROUPS, varies
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.search_work import work_is_over
from jaxllc.search.forms.term_samples import Samples, scale_of

# A set's coefficient on a logarithm, if this close to a half, is the power of a factor.
_POWER_TOLERANCE = 0.2
# Of e in values that are taken for logarithms.
_LARGEST_EXPONENT = 15.0
# Products of each size that are proposed beside a polynomial.
_BESIDE = 4
# Constants that two functions hold between them, and one more, which may be dropped.
_PAIRED = 5
# How far from it a power is tried as it is, too.
_POWER_ERROR = 0.05


@dataclass(frozen=True)
class EnumerationEngine:
    """Sets of at most `largest` features, the best `per_size` of each size.

    width: states of the beam; points: samples at most that the beam looks at. constants: decimal numbers that
    a proposal may hold, any by default.
    """

    largest: int = 4
    per_size: int = 14
    width: int = 24
    points: int = 200
    independent: float = 60.0
    name: str = "sparse"
    constants: int = 1000

    def below(self, constants: int) -> EnumerationEngine:
        """The engine where only expressions with fewer constants are asked for: proposals may hold a few more
        than these, which are tied or dropped when they are refitted."""
        return replace(
            self,
            largest=max(min(self.largest, constants - 1), 1),
            per_size=max(self.per_size // 2, 1),
            constants=constants + 1,
        )

    def propose(
        self, samples: Samples, grammar: Grammar, seed: int, deadline: float
    ) -> list[sympy.Expr]:
        """Candidate expressions, from the plain sums to the transformed ones."""
        some = samples.thinned(self.points, seed)
        found: list[sympy.Expr] = []
        dictionary = build_dictionary(some, grammar)
        for proposals in (
            self._sums(some, dictionary),
            self._pairs(some, grammar),
            self._rational(some, grammar),
            self._inverse(some, dictionary, grammar),
            self._products(some, dictionary, grammar),
            self._factors(some, grammar),
            self._roots(some, dictionary, grammar),
            self._exponentials(some, dictionary, grammar),
            self._logarithms(some, dictionary, grammar),
        ):
            if found and work_is_over(deadline):
                break
            found += proposals
        few = (e for e in found if len(e.atoms(sympy.Float)) <= self.constants)
        return [e for e in few if grammar.allows(e)]

    def _beam(self, columns: Columns, target: np.ndarray, largest: int, per_size: int):
        return beam(columns, target, largest, self.width, self.independent, 2.5, per_size)

    def _short(self, dictionary: Dictionary, positions: Sequence[int]) -> bool:
        """Whether a sum of features holds few enough numbers to be asked for."""
        return len(positions) + dictionary.constants(positions) <= self.constants

    def _sums(self, samples: Samples, dictionary: Dictionary) -> Iterator[sympy.Expr]:
        weight = 1.0 / samples.error
        seen: set[tuple[int, ...]] = set()
        for group in ("none", *GROUPS, None):
            columns = Columns(*dictionary.columns(group), weight)
            largest = self.largest + 2 * (group == "none")
            per_size = self.per_size if group is None else self.per_size // 3
            for subset in self._beam(columns, samples.values * weight, largest, per_size):
                if subset.positions not in seen and self._short(dictionary, subset.positions):
                    seen.add(subset.positions)
                    yield _combination(dictionary, subset.positions, samples.values, weight)

    def _transformed(
        self, samples: Samples, dictionary: Dictionary, target: np.ndarray, weight: np.ndarray
    ) -> Iterator[sympy.Expr]:
        """Sums for transformed values, of monomials alone and of all features."""
        seen: set[tuple[int, ...]] = set()
        for group in ("none", None):
            columns = Columns(*dictionary.columns(group), weight)
            for subset in self._beam(columns, target * weight, 3, self.per_size // 2):
                if subset.positions not in seen and self._short(dictionary, subset.positions):
                    seen.add(subset.positions)
                    yield _combination(dictionary, subset.positions, target, weight)

    def _inverse(self, samples: Samples, dictionary: Dictionary, grammar: Grammar):
        """y = 1 / sum."""
        y, error = samples.values, samples.error
        if not grammar.division or np.abs(y).min() < 2 * np.median(error):
            return
        weight = y**2 / error
        for inside in self._transformed(samples, dictionary, 1.0 / y, weight):
            yield 1 / inside

    def _roots(self, samples: Samples, dictionary: Dictionary, grammar: Grammar):
        """y = sqrt(sum)."""
        y, error = samples.values, samples.error
        if "sqrt" not in grammar.functions or y.min() < -2 * np.median(error):
            return
        weight = 0.5 / (np.maximum(np.abs(y), error) * error)
        for inside in self._transformed(samples, dictionary, y**2, weight):
            yield sympy.sqrt(inside)

    def _exponentials(self, samples: Samples, dictionary: Dictionary, grammar: Grammar):
        """y = +-exp(sum)."""
        y, error = samples.values, samples.error
        sign = float(np.sign(np.median(y)))
        if "exp" not in grammar.functions or (sign * y).min() < 2 * np.median(error):
            return
        weight = np.abs(y) / error
        logarithm = np.log(np.abs(y))
        for inside in self._transformed(samples, dictionary, logarithm, weight):
            yield sympy.Float(sign) * sympy.exp(inside)

    def _logarithms(self, samples: Samples, dictionary: Dictionary, grammar: Grammar):
        """y = ln(sum) and y = ln(P/Q)."""
        y, error = samples.values, samples.error
        if "log" not in grammar.functions or np.abs(y).max() > _LARGEST_EXPONENT:
            return
        raised = np.exp(y)
        other = Samples(samples.names, samples.points, raised, raised * error)
        for inside in self._transformed(samples, dictionary, raised, 1.0 / other.error):
            yield sympy.log(inside)
        for inside in self._rational(other, grammar):
            yield sympy.log(inside)

    def _products(
        self, samples: Samples, dictionary: Dictionary, grammar: Grammar
    ) -> Iterator[sympy.Expr]:
        """y = c times powers of features: ln|y| is a sum of their logarithms."""
        y = samples.values
        scale = scale_of(y)
        usable = np.abs(y) > np.maximum(3 * samples.error, 1e-3 * scale)
        if usable.sum() < 30:
            return
        logarithm = np.log(np.abs(y[usable]))
        weight = np.abs(y[usable]) / samples.error[usable]
        sums = factor_features(samples, grammar)
        values, family, cost, places = _joined(dictionary.columns(), sums.columns())
        # Products of several functions come out of the sum by themselves.
        plain = cost < 12.0
        values, family, cost, places = values[plain], family[plain], cost[plain], places[plain]
        with np.errstate(all="ignore"):
            logs = np.log(np.abs(values[:, usable]))
        good = np.isfinite(logs).all(axis=1)
        good[good] = np.std(logs[good], axis=1) > 1e-9
        columns = Columns(logs[good], family[good], cost[good], places[good], weight)
        ones = weight / np.linalg.norm(weight)
        subsets = beam(
            columns,
            logarithm * weight,
            4,
            self.width,
            self.independent,
            2.5,
            self.per_size,
            base=ones[:, None],
        )
        at = {int(p): k for k, p in enumerate(places)}
        for subset in subsets:
            rows = [logs[at[p]] for p in subset.positions]
            powers = combine([np.ones(len(logarithm)), *rows], logarithm, weight)[1:]
            nearest = np.round(2 * powers) / 2
            close = (nearest != 0) & (np.abs(powers - nearest) < _POWER_TOLERANCE)
            rounded = np.where(close, nearest, powers)
            features = [_feature(dictionary, sums, p) for p in subset.positions]
            own = [values[at[p]] for p in subset.positions]
            free = np.abs(powers - rounded).max() > _POWER_ERROR
            for used in (rounded, powers) if free else (rounded,):
                product = _power_product(features, own, used, y)
                if product is not None:
                    yield product

    def _factors(self, samples: Samples, grammar: Grammar) -> Iterator[sympy.Expr]:
        """y = c times a product of functions, alone, beside a constant and beside a short polynomial."""
        dictionary = single_functions(samples, grammar)
        search = ProductSearch(dictionary.columns(), 4 * self.width, self.independent)
        target, weight = samples.values, 1.0 / samples.error
        one = (sympy.Integer(1), np.ones(len(target)))
        for base in ([], [one]):
            columns = [column for _, column in base]
            products = search.best(target, weight, columns, 3, self.per_size)
            yield from product_sums(
                dictionary, products, target, weight, base, constants=self.constants
            )
        for base in _short_polynomials(samples, one):
            if len(base) >= self.constants:
                continue
            columns = [column for _, column in base]
            products = search.best(target, weight, columns, 2, _BESIDE)
            yield from product_sums(
                dictionary, products, target, weight, base, constants=self.constants
            )

    def _pairs(self, samples: Samples, grammar: Grammar) -> Iterator[sympy.Expr]:
        """y = a sum of two functions, alone and beside a constant."""
        if self.constants < _PAIRED:
            return
        for base in ([], [sympy.Integer(1)]):
            yield from pair_sums(samples, grammar, base, self.per_size, self.independent)

    def _rational(self, samples: Samples, grammar: Grammar) -> Iterator[sympy.Expr]:
        """y = P/Q with the constant of Q one: y = P - y (Q - 1)."""
        if not grammar.division:
            return
        monomials, values = monomial_columns(samples, grammar)
        count, y = len(monomials), samples.values
        joint = np.concatenate([values, -y * values[1:]])
        weight = 1.0 / samples.error
        cost = np.array([1.0 + sympy.count_ops(m) for m in monomials], float)
        columns = Columns(
            joint,
            np.arange(len(joint)),
            np.concatenate([cost, cost[1:] + 1]),
            np.arange(len(joint)),
            weight,
        )
        for subset in self._beam(columns, y * weight, 5, self.per_size // 2):
            if all(p < count for p in subset.positions):
                continue
            coefficients = combine([joint[p] for p in subset.positions], y, weight)
            above, below = sympy.Integer(0), sympy.Integer(1)
            for p, c in zip(subset.positions, coefficients, strict=True):
                if p < count:
                    above += sympy.Float(float(c)) * monomials[p]
                else:
                    below += sympy.Float(float(c)) * monomials[p - count + 1]
            if above != 0:
                yield above / below


def _power_product(
    features: list[sympy.Expr], columns: list[np.ndarray], powers: np.ndarray, y: np.ndarray
) -> sympy.Expr | None:
    """Powers of features with the best coefficient; None where they are not real."""
    expression, size = sympy.Integer(1), np.ones(len(y))
    for feature, column, power in zip(features, columns, map(float, powers), strict=True):
        if not power.is_integer() and column.min() <= 0:
            return None
        half = float(2 * power).is_integer()
        expression *= feature ** (sympy.Rational(round(2 * power), 2) if half else power)
        with np.errstate(all="ignore"):
            size = size * np.power(column, power)
    with np.errstate(all="ignore"):
        coefficient = float(size @ y / (size @ size))
    return sympy.Float(coefficient) * expression if np.isfinite(coefficient) else None


def _short_polynomials(
    samples: Samples, one: tuple[sympy.Expr, np.ndarray]
) -> Iterator[list[tuple[sympy.Expr, np.ndarray]]]:
    """All inputs, and all of degree two with a constant, with their values at the samples."""
    inputs = [(symbol, values) for symbol, values in samples.columns.items() if varies(values)]
    pairs = itertools.combinations_with_replacement(inputs, 2)
    squares = [(a * b, v * w) for (a, v), (b, w) in pairs]
    yield inputs
    if len(inputs) <= 3:
        yield [one, *inputs, *squares]


def _combination(dictionary, positions, target, weight) -> sympy.Expr:
    features = [dictionary.expression(p) for p in positions]
    return fitted_sum(features, [dictionary.values(p) for p in positions], target, weight)


def _joined(first: Features, second: Features) -> Features:
    """Features of two dictionaries; positions in the second follow those in the first."""
    family = second.family + first.family.max() + 1
    positions = second.positions + _SECOND
    parts = zip(first, (second.values, family, second.cost, positions), strict=True)
    return Features(*(np.concatenate(pair) for pair in parts))


# Added to positions in a second dictionary.
_SECOND = 10**9


def _feature(first: Dictionary, second: Dictionary, position: int) -> sympy.Expr:
    if position >= _SECOND:
        return second.expression(position - _SECOND)
    return first.expression(position)
