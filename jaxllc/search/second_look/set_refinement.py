"""What a set of terms leaves with inner constants that stay near a point of their grids.

Searches carry each term's derivative by its inner constants along, which ranks families well, but a
derivative may promise what no value of the constant keeps. Here each inner constant moves by no more than
about half the way to the next grid point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxllc.dynamics.terms import Term
from jaxllc.search.laws.reduced_columns import Reduced
from jaxllc.search.laws.sparse_sets import best_start
from jaxllc.search.second_look.likelihood_columns import Regression

# Largest move of an inner constant, relative to it, or, where it has a sign, to the range of its family.
_RELATIVE, _OF_RANGE = 0.4, 0.1
_ROUNDS = 3


class RefinedSet(NamedTuple):
    """Terms with coefficients in the units of the law, and the chi-squared that they leave."""

    terms: tuple[Term, ...]
    coefficients: tuple[float, ...]
    residual: float


def refined_set(regression: Regression, positions: Sequence[int]) -> RefinedSet:
    """The best grid points of a set of families, and moves of their inner constants from there."""
    reduced, scale = regression.reduced, regression.scale
    positions = best_start(reduced, 0, positions)
    first = reduced.first[positions]
    own = reduced.columns[:, first] * scale[first]
    slopes = [
        reduced.columns[:, f + 1 : f + w] * scale[f + 1 : f + w]
        for f, w in zip(first, reduced.width[positions], strict=True)
    ]
    limits = [_limits(reduced, p) for p in positions]
    moves = [np.zeros(len(limit)) for limit in limits]
    target = reduced.targets[:, 0]
    columns = own
    coefficients = _solved(columns, target)
    best = RefinedSet(
        *_terms(reduced, positions, moves, coefficients), _left(columns, coefficients, reduced)
    )
    for _ in range(_ROUNDS if any(len(m) for m in moves) else 0):
        # Coefficients and moves together; then the moves within their limits, and the coefficients again.
        weighted = [s * c for s, c in zip(slopes, coefficients, strict=True)]
        joint = np.concatenate([columns, *weighted], axis=1)
        step = _solved(joint, target - columns @ coefficients)[len(positions) :]
        parts = np.split(step, np.cumsum([len(m) for m in moves])[:-1])
        moves = [
            np.clip(m + p, -limit, limit) for m, p, limit in zip(moves, parts, limits, strict=True)
        ]
        columns = own + np.stack([s @ m for s, m in zip(slopes, moves, strict=True)], axis=1)
        coefficients = _solved(columns, target)
        left = _left(columns, coefficients, reduced)
        if not left < best.residual:
            break
        best = RefinedSet(*_terms(reduced, positions, moves, coefficients), left)
    return best


def _limits(reduced: Reduced, position: int) -> np.ndarray:
    """Largest move of each inner constant of a candidate."""
    term = reduced.terms[position]
    family = term.family
    limits = []
    for k, (value, positive) in enumerate(zip(term.inner, family.positive, strict=True)):
        low, high = family.bounds[k] if family.bounds else (-abs(value), abs(value))
        limits.append(_RELATIVE * abs(value) if positive else _OF_RANGE * (high - low))
    return np.array(limits)


def _terms(
    reduced: Reduced,
    positions: Sequence[int],
    moves: Sequence[np.ndarray],
    coefficients: np.ndarray,
) -> tuple[tuple[Term, ...], tuple[float, ...]]:
    terms = [reduced.terms[p] for p in positions]
    moved = [
        t.with_inner(np.array(t.inner) + m) if t.inner else t
        for t, m in zip(terms, moves, strict=True)
    ]
    return tuple(moved), tuple(map(float, coefficients))


def _solved(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    length = np.sqrt((columns**2).sum(axis=0))
    length = np.where(length > 0, length, 1.0)
    return np.linalg.lstsq(columns / length, target, rcond=1e-10)[0] / length


def _left(columns: np.ndarray, coefficients: np.ndarray, reduced: Reduced) -> float:
    rest = reduced.targets[:, 0] - columns @ coefficients
    return float(reduced.outside[0] + rest @ rest)
