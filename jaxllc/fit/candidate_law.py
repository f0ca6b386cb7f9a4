"""A candidate law: terms with coefficients for each variable's equation, and its constants as one vector."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxllc.dynamics.terms import Term
from jaxllc.settings.constant_bounds import FREE, UNBOUNDED, ConstantBounds


@dataclass(frozen=True)
class CandidateLaw:
    """Terms with coefficients for each variable's equation.

    bounds: ranges in which the constants of the terms that are not known are kept.
    """

    terms: tuple[tuple[Term, ...], ...]
    coefficients: tuple[tuple[float, ...], ...]
    bounds: ConstantBounds = UNBOUNDED

    @property
    def num_constants(self) -> int:
        return sum(t.num_constants for equation in self.terms for t in equation)

    def key(self) -> tuple:
        """Its skeleton: families without constants."""
        return tuple(frozenset(t.family for t in equation) for equation in self.terms)

    def vector(self) -> np.ndarray:
        """Coefficients and inner constants (logarithms where positive), (constant,)."""
        values: list[float] = []
        for terms, coefficients in zip(self.terms, self.coefficients, strict=True):
            for term, coefficient in zip(terms, coefficients, strict=True):
                if not term.family.held:
                    values.append(coefficient)
                for w, positive in zip(term.inner, term.family.positive, strict=True):
                    values.append(np.log(w) if positive else w)
        return np.array(values)

    def values(self) -> np.ndarray:
        """As `vector()`, but positive inner constants themselves."""
        return np.array(
            [
                value
                for terms, coefficients in zip(self.terms, self.coefficients, strict=True)
                for term, coefficient in zip(terms, coefficients, strict=True)
                for value in (*(() if term.family.held else (coefficient,)), *term.inner)
            ]
        )

    def slopes(self) -> np.ndarray:
        """Derivative of `values()` by `vector()`, (constant,)."""
        return np.array(
            [
                slope
                for terms in self.terms
                for term in terms
                for slope in (
                    *(() if term.family.held else (1.0,)),
                    *(
                        w if p else 1.0
                        for w, p in zip(term.inner, term.family.positive, strict=True)
                    ),
                )
            ]
        )

    def with_vector(self, values: np.ndarray) -> CandidateLaw:
        """The same skeleton with other constants, kept within their bounds."""
        low, high = self.limits()
        values = np.clip(values, low, high)
        position = 0
        equations, coefficients = [], []
        for terms in self.terms:
            new_terms, new_coefficients = [], []
            for term in terms:
                end = position + term.num_constants
                new_coefficients.append(1.0 if term.family.held else float(values[position]))
                free = values[end - len(term.inner) : end]
                inner = [
                    float(np.exp(np.clip(w, -60, 60))) if p else float(w)
                    for w, p in zip(free, term.family.positive, strict=True)
                ]
                new_terms.append(term.with_inner(inner))
                position = end
            equations.append(tuple(new_terms))
            coefficients.append(tuple(new_coefficients))
        return replace(self, terms=tuple(equations), coefficients=tuple(coefficients))

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds that a user set on the constants of `vector()`, low and high, (constant,) each."""
        ranges: list[tuple[float, float]] = []
        for family in (t.family for equation in self.terms for t in equation):
            if not family.held:
                ranges.append(getattr(family, "coefficient_bounds", self.bounds.coefficients))
            bounded = family.known or self.bounds.inner_constants != FREE
            inner = family.bounds if bounded and family.bounds else (FREE,) * family.num_inner
            with np.errstate(divide="ignore"):
                ranges += [
                    (float(np.log(max(a, 0.0))), float(np.log(b))) if positive else (a, b)
                    for (a, b), positive in zip(inner, family.positive, strict=True)
                ]
        low, high = np.array(ranges).reshape(-1, 2).T
        return low, high

    def within_bounds(self) -> CandidateLaw:
        """The law with every constant within its bounds, and held coefficients at one."""
        if self.bounds == UNBOUNDED and not self.known():
            return self
        return self.with_vector(self.vector())

    def known_terms(self) -> tuple[tuple[tuple[Term, float], ...], ...]:
        """The known terms of each equation with their coefficients."""
        return tuple(
            tuple((t, c) for t, c in zip(terms, values, strict=True) if t.family.known)
            for terms, values in zip(self.terms, self.coefficients, strict=True)
        )

    def known(self) -> frozenset[int]:
        """Numbers, through all equations, of the terms that a law must hold."""
        families = (t.family for equation in self.terms for t in equation)
        return frozenset(k for k, family in enumerate(families) if family.known)

    def replaced(
        self, equation: int, terms: Sequence[Term], coefficients: Sequence[float]
    ) -> CandidateLaw:
        """The law with another equation for one variable."""
        all_terms, all_coefficients = list(self.terms), list(self.coefficients)
        all_terms[equation] = tuple(terms)
        all_coefficients[equation] = tuple(float(c) for c in coefficients)
        law = replace(self, terms=tuple(all_terms), coefficients=tuple(all_coefficients))
        return law.within_bounds()

    def with_term(self, equation: int, place: int, term: Term, coefficient: float) -> CandidateLaw:
        """The law with another term at a place of an equation."""
        terms, coefficients = list(self.terms[equation]), list(self.coefficients[equation])
        terms[place], coefficients[place] = term, coefficient
        return self.replaced(equation, terms, coefficients)

    def joined(
        self, equation: int, places: Collection[int], term: Term, coefficient: float
    ) -> CandidateLaw:
        """The law with one term for those at some places of an equation, which comes last."""
        pairs = zip(self.terms[equation], self.coefficients[equation], strict=True)
        kept = [pair for place, pair in enumerate(pairs) if place not in places]
        terms, coefficients = [t for t, _ in kept], [c for _, c in kept]
        return self.replaced(equation, [*terms, term], [*coefficients, coefficient])

    def without(self, dropped: frozenset[int]) -> CandidateLaw:
        """The law without some terms, numbered through all equations."""
        count = 0
        equations, coefficients = [], []
        for terms, values in zip(self.terms, self.coefficients, strict=True):
            pairs = zip(terms, values, strict=True)
            kept = [pair for k, pair in enumerate(pairs) if count + k not in dropped]
            count += len(terms)
            equations.append(tuple(t for t, _ in kept))
            coefficients.append(tuple(c for _, c in kept))
        return replace(self, terms=tuple(equations), coefficients=tuple(coefficients))

    def owners(self) -> tuple[np.ndarray, np.ndarray]:
        """For each constant of `vector()`: the number of its term, and whether it is the coefficient."""
        owner: list[int] = []
        linear: list[bool] = []
        for count, term in enumerate(t for equation in self.terms for t in equation):
            owner += [count] * term.num_constants
            linear += [not term.family.held] * (term.num_constants - len(term.inner))
            linear += [False] * len(term.inner)
        return np.array(owner, dtype=int), np.array(linear, dtype=bool)


@dataclass(frozen=True)
class ProposedEquation:
    """Terms and coefficients for one variable, with the squared residual of the integral form.

    score: information criterion in the integral form, lower is better; only a first order of merit.
    """

    terms: tuple[Term, ...]
    coefficients: tuple[float, ...]
    residual: float
    score: float

    @property
    def num_constants(self) -> int:
        return sum(t.num_constants for t in self.terms)

    def skeleton(self) -> frozenset:
        return frozenset(t.family for t in self.terms)
