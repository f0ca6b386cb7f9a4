"""What a set of terms leaves with inner constants that stay near a point of their grids.

Searches carry each term's derivative by its inner constants along, which ranks families well, but a
derivative may promise what no value of the constant keeps. Here each inner constant moves by no more than
about half the way to the next grid point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.search.laws.reduced_columns import Reduced
from jaxllc.search.laws.sparse_sets import best_beside, best_start
from jaxllc.search.second_look.likelihood_columns import Regression

# Largest move of an inner constant, relative to it, or, where it has a sign, to the range of its family.
_RELATIVE, _OF_RANGE = 0.4, 0.1
_ROUNDS = 3
# Parts of the way between two neighbouring points of a grid.
_PARTS = 4


class RefinedSet(NamedTuple):
    """Terms with coefficients in the units of the law, and the chi-squared that they leave."""

    terms: tuple[Term, ...]
    coefficients: tuple[float, ...]
    residual: float


def refined_set(regression: Regression, positions: Sequence[int]) -> RefinedSet:
    """The best grid points of a set of families, and moves of their inner constants from there."""
    reduced, target = regression.reduced, regression.reduced.targets[:, 0]
    positions = best_start(reduced, 0, positions)
    parts = _nearest([_points(regression, p) for p in positions], target[:, None])
    terms = [part.term(0) for part in parts]
    own = np.stack([part.columns[:, 0] for part in parts], axis=1)
    slopes = [part.slopes[:, 0] for part in parts]
    limits = [_limits(term) for term in terms]
    moves = [np.zeros(len(limit)) for limit in limits]
    columns = own
    coefficients = _solved(columns, target)
    best = RefinedSet(*_moved(terms, moves, coefficients), _left(columns, coefficients, reduced))
    for _ in range(_ROUNDS if any(len(m) for m in moves) else 0):
        # Coefficients and moves together; then the moves within their limits, and the coefficients again.
        weighted = [s * c for s, c in zip(slopes, coefficients, strict=True)]
        joint = np.concatenate([columns, *weighted], axis=1)
        step = _solved(joint, target - columns @ coefficients)[len(positions) :]
        shares = np.split(step, np.cumsum([len(m) for m in moves])[:-1])
        moves = [
            np.clip(m + p, -limit, limit) for m, p, limit in zip(moves, shares, limits, strict=True)
        ]
        columns = own + np.stack([s @ m for s, m in zip(slopes, moves, strict=True)], axis=1)
        coefficients = _solved(columns, target)
        left = _left(columns, coefficients, reduced)
        if not left < best.residual:
            break
        best = RefinedSet(*_moved(terms, moves, coefficients), left)
    return best


class _Points(NamedTuple):
    """A candidate with other values of its inner constants.

    inner: (point, constant); columns: (row, point); slopes: (row, point, constant), by the constants.
    """

    family: TermFamily
    inner: np.ndarray
    columns: np.ndarray
    slopes: np.ndarray

    def term(self, point: int) -> Term:
        return Term(self.family, tuple(map(float, self.inner[point])))

    def at(self, point: int) -> _Points:
        some = slice(point, point + 1)
        return _Points(self.family, self.inner[some], self.columns[:, some], self.slopes[:, some])


def _points(regression: Regression, position: int) -> _Points:
    """A candidate, and where it has one positive constant also values between it and the next grid points.

    Columns between two points of a grid are cubic in the logarithm of the constant, by the columns and slopes
    at both: a grid is as wide as three to one, over which a slope alone says little.
    """
    reduced, scale = regression.reduced, regression.scale
    term, first, width = reduced.terms[position], reduced.first[position], reduced.width[position]
    all_columns = reduced.columns[:, first : first + width] * scale[first : first + width]
    points = _Points(
        term.family,
        np.array(term.inner, dtype=float).reshape(1, -1),
        all_columns[:, :1],
        all_columns[:, None, 1:],
    )
    if term.family.positive != (True,):
        return points
    members = np.flatnonzero(reduced.family == reduced.family[position])
    values = np.array([reduced.terms[m].inner[0] for m in members])
    order = np.argsort(values, kind="stable")
    place = int(np.flatnonzero(members[order] == position)[0])
    found = [points]
    for low in (place - 1, place):
        # Bounds that a user gave may put several points of a grid on one place.
        if 0 <= low < len(order) - 1 and values[order[low]] < values[order[low + 1]]:
            found.append(_between(regression, *members[order[low : low + 2]]))
    return _Points(
        term.family,
        np.concatenate([f.inner for f in found]),
        np.concatenate([f.columns for f in found], axis=1),
        np.concatenate([f.slopes for f in found], axis=1),
    )


def _between(regression: Regression, low: int, high: int) -> _Points:
    """Points between two neighbouring candidates of a family with one constant."""
    reduced, scale = regression.reduced, regression.scale
    family = reduced.terms[low].family
    ends = np.array([reduced.terms[m].inner[0] for m in (low, high)])
    step = np.log(ends[1] / ends[0])
    columns = [reduced.columns[:, [c]] * scale[c] for c in reduced.first[[low, high]]]
    slopes = [
        reduced.columns[:, [c + 1]] * scale[c + 1] * w * step
        for c, w in zip(reduced.first[[low, high]], ends, strict=True)
    ]
    t = np.arange(1, _PARTS) / _PARTS
    inner = ends[0] * np.exp(step * t)
    between = (
        columns[0] * (2 * t**3 - 3 * t**2 + 1)
        + slopes[0] * (t**3 - 2 * t**2 + t)
        + columns[1] * (3 * t**2 - 2 * t**3)
        + slopes[1] * (t**3 - t**2)
    )
    turned = (
        (columns[1] - columns[0]) * (6 * t - 6 * t**2)
        + slopes[0] * (3 * t**2 - 4 * t + 1)
        + slopes[1] * (3 * t**2 - 2 * t)
    )
    return _Points(family, inner[:, None], between, (turned / (step * inner))[:, :, None])


def _nearest(parts: Sequence[_Points], target: np.ndarray) -> list[_Points]:
    """One point of each candidate, one after the other the best beside the others. target: (row, 1)."""
    chosen = [part.at(0) for part in parts]
    open_ones = [k for k, part in enumerate(parts) if len(part.inner) > 1]
    for _ in range(2 if len(open_ones) > 1 else 1):
        for k in open_ones:
            others = [target[:, :0], *(c.columns for i, c in enumerate(chosen) if i != k)]
            beside = np.concatenate(others, axis=1)
            chosen[k] = parts[k].at(best_beside(target[:, 0], beside, parts[k].columns))
    return chosen


def _limits(term: Term) -> np.ndarray:
    """Largest move of each inner constant of a candidate."""
    family = term.family
    limits = []
    for k, (value, positive) in enumerate(zip(term.inner, family.positive, strict=True)):
        low, high = family.bounds[k] if family.bounds else (-abs(value), abs(value))
        limits.append(_RELATIVE * abs(value) if positive else _OF_RANGE * (high - low))
    return np.array(limits)


def _moved(
    terms: Sequence[Term], moves: Sequence[np.ndarray], coefficients: np.ndarray
) -> tuple[tuple[Term, ...], tuple[float, ...]]:
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
