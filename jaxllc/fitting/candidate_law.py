"""A candidate law: terms with coefficients for each variable's equation, and its constants as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.terms import Term


@dataclass(frozen=True)
class CandidateLaw:
    """Terms with coefficients for each variable's equation."""

    terms: tuple[tuple[Term, ...], ...]
    coefficients: tuple[tuple[float, ...], ...]

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
                for value in (coefficient, *term.inner)
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
                    1.0,
                    *(
                        w if p else 1.0
                        for w, p in zip(term.inner, term.family.positive, strict=True)
                    ),
                )
            ]
        )

    def with_vector(self, values: np.ndarray) -> CandidateLaw:
        """The same skeleton with other constants."""
        position = 0
        equations, coefficients = [], []
        for terms in self.terms:
            new_terms, new_coefficients = [], []
            for term in terms:
                new_coefficients.append(float(values[position]))
                free = values[position + 1 : position + 1 + len(term.inner)]
                inner = [
                    float(np.exp(np.clip(w, -60, 60))) if p else float(w)
                    for w, p in zip(free, term.family.positive, strict=True)
                ]
                new_terms.append(term.with_inner(inner))
                position += term.num_constants
            equations.append(tuple(new_terms))
            coefficients.append(tuple(new_coefficients))
        return CandidateLaw(tuple(equations), tuple(coefficients))

    def replaced(
        self, equation: int, terms: Sequence[Term], coefficients: Sequence[float]
    ) -> CandidateLaw:
        """The law with another equation for one variable."""
        all_terms, all_coefficients = list(self.terms), list(self.coefficients)
        all_terms[equation] = tuple(terms)
        all_coefficients[equation] = tuple(float(c) for c in coefficients)
        return CandidateLaw(tuple(all_terms), tuple(all_coefficients))

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
        return CandidateLaw(tuple(equations), tuple(coefficients))

    def owners(self) -> tuple[np.ndarray, np.ndarray]:
        """For each constant of `vector()`: the number of its term, and whether it is the coefficient."""
        owner: list[int] = []
        linear: list[bool] = []
        for count, term in enumerate(t for equation in self.terms for t in equation):
            owner += [count] * term.num_constants
            linear += [True] + [False] * len(term.inner)
        return np.array(owner), np.array(linear)
