"""Small sets of columns whose combination is nearest to a target: a beam over orthogonal matching pursuits.

All states of the beam are advanced together by two matrix products with all columns, so that tens of
thousands of columns cost milliseconds. At most one column of a family is taken into a set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from jaxllc.search.forms.search_work import spend

_SMALLEST_SHARE = 1e-5
# Columns up to which all pairs are looked at.
MAX_PAIRED = 1500


@dataclass(frozen=True)
class Subset:
    """Positions of columns, and the squared residual that the best combination of them leaves."""

    positions: tuple[int, ...]
    residual: float
    score: float


class Columns:
    """Weighted columns of unit length, sorted by family, ready for searches.

    values: (column, n); family, cost: (column,); positions: what each column is called outside.
    """

    def __init__(
        self,
        values: np.ndarray,
        family: np.ndarray,
        cost: np.ndarray,
        positions: np.ndarray,
        weight: np.ndarray | float,
    ) -> None:
        order = np.argsort(family, kind="stable")
        # In single precision, so in units of the largest weight lest a square overflows.
        relative = np.asarray(weight / np.abs(weight).max(), np.float32)
        unit = values.astype(np.float32)[order]
        unit *= relative
        size = np.sqrt(np.einsum("cn,cn->c", unit, unit))
        good = np.isfinite(size) & (size > 0)
        if not good.all():
            order, unit, size = order[good], unit[good], size[good]
        unit /= size[:, None]
        self.unit = unit
        self.positions = positions[order]
        _, first, counts = np.unique(family[order], return_index=True, return_counts=True)
        self.first, self.counts = first, counts
        self.cost = cost[order][first]
        self.family = np.repeat(np.arange(len(first)), counts)


@dataclass(frozen=True, eq=False)
class _State:
    """A set of columns: an orthonormal basis of them, what they leave, and each column's share in them, but
    for the last: of those the shares are formed together, and only where the set goes on."""

    columns: tuple[int, ...]
    families: tuple[int, ...]
    basis: np.ndarray
    rest: np.ndarray
    before: np.ndarray
    paid: float

    @property
    def residual(self) -> float:
        return float((self.rest.astype(float) ** 2).sum())


def _taken(states: Sequence[_State], columns: Columns) -> np.ndarray:
    """Each column's share in the span of each set, (set, column)."""
    before = np.stack([s.before for s in states])
    if not states[0].columns:
        return before
    return before + (np.stack([s.basis[-1] for s in states]) @ columns.unit.T) ** 2


def _extended(
    state: _State, column: int, columns: Columns, per_constant: float, taken: np.ndarray
) -> _State | None:
    """The set with one more column; None where that is nearly in its span. taken: by the set so far."""
    direction = columns.unit[column].astype(float)
    for _ in range(2):
        direction = direction - (state.basis @ direction) @ state.basis
    length = np.linalg.norm(direction)
    if length < 1e-3:
        return None
    unit = (direction / length).astype(np.float32)
    family = int(columns.family[column])
    return _State(
        (*state.columns, column),
        (*state.families, family),
        np.concatenate([state.basis, unit[None]]),
        state.rest - (state.rest @ unit) * unit,
        taken,
        state.paid + float(columns.cost[family]) + per_constant,
    )


def beam(
    columns: Columns,
    target: np.ndarray,
    largest: int,
    width: int,
    independent: float,
    per_constant: float,
    per_size: int = 12,
    base: np.ndarray | None = None,
) -> list[Subset]:
    """The best few sets of each size up to `largest`, best first within a size.

    All pairs are looked at where there are at most MAX_PAIRED columns: a pair that explains much together may
    explain nothing one by one.
    target: (n,) weighted. base: (n, k) orthonormal directions that every set has for nothing.
    independent, per_constant: as in the judge's score, by which sets are compared.
    """
    count = len(target)
    rest: np.ndarray = target.astype(np.float32)
    taken = np.zeros(len(columns.unit), dtype=np.float32)
    basis = np.zeros((0, count), dtype=np.float32)
    if base is not None and base.size:
        basis = base.T.astype(np.float32)
        rest = rest - (rest @ basis.T) @ basis
        taken = ((columns.unit @ basis.T) ** 2).sum(axis=1)
    empty = _State((), (), basis, rest, taken, 0.0)
    states = [empty]
    found: list[Subset] = []
    for size in range(1, largest + 1):
        following = _following(columns, states, width, per_size, independent, per_constant)
        if size == 2 and len(columns.unit) <= MAX_PAIRED:
            known = {frozenset(s.families) for s in following}
            for first, second in _best_pairs(columns, empty, width, independent, per_constant):
                one = _extended(empty, first, columns, per_constant, taken)
                if one is None:
                    continue
                shares = _taken([one], columns)[0]
                both = _extended(one, second, columns, per_constant, shares)
                if both is not None and frozenset(both.families) not in known:
                    following.append(both)
        if not following:
            break
        states = following
        residuals = np.array([s.residual for s in states])
        paid = np.array([s.paid for s in states])
        scores = 0.5 * independent * np.log1p(residuals / count) + paid
        for k in mixed(residuals, scores)[:per_size]:
            positions = tuple(int(columns.positions[c]) for c in states[k].columns)
            found.append(Subset(positions, float(residuals[k]), float(scores[k])))
    return found


def _following(
    columns: Columns,
    states: Sequence[_State],
    width: int,
    per_size: int,
    independent: float,
    per_constant: float,
) -> list[_State]:
    """The best sets with one column more."""
    rest = np.stack([s.rest for s in states])
    spend("beam", len(states) * columns.unit.size)
    taken = _taken(states, columns)
    left = np.array([s.residual for s in states])
    share = np.maximum(1.0 - taken, _SMALLEST_SHARE)
    gains = np.where(taken < 1 - 1e-4, (rest @ columns.unit.T) ** 2 / share, 0.0)
    best = np.maximum.reduceat(gains, columns.first, axis=1).astype(float)
    for k, state in enumerate(states):
        best[k, list(state.families)] = 0.0
    remaining = np.maximum(left[:, None] - best, 1e-12 * left[:, None])
    cost = np.array([s.paid for s in states])[:, None] + columns.cost + per_constant
    score = 0.5 * independent * np.log1p(remaining / rest.shape[1]) + cost
    families = [s.families for s in states]
    found = []
    for place, family in _select(remaining, score, families, width, per_size):
        span = slice(columns.first[family], columns.first[family] + columns.counts[family])
        column = int(columns.first[family] + np.argmax(gains[place, span]))
        longer = _extended(states[place], column, columns, per_constant, taken[place])
        if longer is not None:
            found.append(longer)
    return found


def _best_pairs(
    columns: Columns, empty: _State, width: int, independent: float, per_constant: float
) -> list[tuple[int, int]]:
    """The best pairs of columns by residual and by score, each pair of families once."""
    unit, family = columns.unit, columns.family
    if len(empty.basis):
        unit = unit - (unit @ empty.basis.T) @ empty.basis
        size = np.sqrt((unit**2).sum(axis=1))
        unit = np.where(size[:, None] > 1e-3, unit / np.maximum(size, 1e-3)[:, None], 0.0)
    spend("pairs", len(unit) * unit.size)
    slope = unit @ empty.rest
    left, count = empty.residual, len(empty.rest)
    cost = columns.cost[family]
    chosen: dict[str, list[tuple[float, int, int]]] = {"residual": [], "score": []}
    step = 256
    for start in range(0, len(unit), step):
        rows = slice(start, start + step)
        alike = unit[rows] @ unit.T
        apart = 1.0 - alike**2
        gain = slope[rows, None] ** 2 + slope**2 - 2 * alike * slope[rows, None] * slope
        gain = np.where(
            (apart > 1e-3) & (family[rows, None] < family), gain / np.maximum(apart, 1e-3), 0.0
        )
        remaining = np.maximum(left - gain, 1e-9 * left)
        score = 0.5 * independent * np.log1p(remaining / count) + cost[rows, None] + cost
        for name, values in (("residual", remaining), ("score", score)):
            flat = values.ravel()
            best = np.argpartition(flat, min(3 * width, flat.size - 1))[: 3 * width]
            chosen[name] += [
                (float(flat[k]), start + int(k) // len(unit), int(k) % len(unit)) for k in best
            ]
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for name in chosen:
        room = width // 2
        for _, first, second in sorted(chosen[name]):
            key = (int(family[first]), int(family[second]))
            if room and key[0] != key[1] and key not in found:
                found[key] = (first, second)
                room -= 1
    return list(found.values())


def mixed(residuals: np.ndarray, scores: np.ndarray) -> list[int]:
    """Places ordered alternately by residual and by score."""
    orders = [np.argsort(v, kind="stable") for v in (residuals, scores)]
    both = np.stack(orders, axis=1).ravel()
    first = np.unique(both, return_index=True)[1]
    return both[np.sort(first)].tolist()


def _select(remaining, score, families, width: int, per_size: int) -> list[tuple[int, int]]:
    """(state, family) of the next sets: the best by residual and by score, each set of families once."""
    seen: set[frozenset[int]] = set()
    chosen: list[tuple[int, int]] = []
    num = remaining.shape[1]
    for values, quota in ((remaining, width // 2), (score, width)):
        flat = values.ravel()
        best = np.argpartition(flat, min(4 * width, flat.size - 1))[: 4 * width]
        for place in best[np.argsort(flat[best], kind="stable")]:
            state, family = divmod(int(place), num)
            key = frozenset((*families[state], family))
            if len(chosen) >= quota:
                break
            if len(key) == len(families[state]) + 1 and key not in seen:
                seen.add(key)
                chosen.append((state, family))
    return chosen


def combine(columns: Sequence[np.ndarray], target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Coefficients of the best weighted combination of some columns, (column,)."""
    spend("sums", 1)
    matrix = np.stack(columns, axis=1) * weight[:, None]
    size = np.sqrt((matrix**2).sum(axis=0))
    size = np.where(size > 0, size, 1.0)
    return np.linalg.lstsq(matrix / size, target * weight, rcond=1e-10)[0] / size


def fitted_sum(
    parts: Sequence[sympy.Expr],
    columns: Sequence[np.ndarray],
    target: np.ndarray,
    weight: np.ndarray,
) -> sympy.Expr:
    """The best weighted combination of columns as a sum of what they are columns of."""
    numbers = combine(columns, target, weight)
    return sympy.Add(*(sympy.Float(float(c)) * e for c, e in zip(numbers, parts, strict=True)))
