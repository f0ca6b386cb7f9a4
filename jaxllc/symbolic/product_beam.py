"""Products of few columns nearest to a target: all pairs first, then one column more at a time.

Logarithms turn products into sums, but near a zero of any factor they see nothing but errors; here each
product is compared with the target itself, so that waves and small values are no trouble. Two matrix products
tell of all pairs at once what a multiple of each explains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxllc.symbolic.dictionary import Features
from jaxllc.symbolic.subset_beam import mixed

# Columns up to which all pairs are looked at.
_MAX_PAIRED = 3000
_BLOCK = 256
# Products of the same functions with other constants that go on, and that are returned.
_ALIKE = 4
_YIELDED = 2


class Product(NamedTuple):
    """Positions of the factors, and the squared residual that the best multiple of their product leaves."""

    positions: tuple[int, ...]
    residual: float
    score: float


class _Options(NamedTuple):
    """Rows of the features in each product, (product, factor), what it leaves, and its score."""

    rows: np.ndarray
    left: np.ndarray
    score: np.ndarray


@dataclass(frozen=True, eq=False)
class ProductSearch:
    """What products of features explain of a target beside some columns.

    features: values (feature, n); target, weight: (n,); base: columns that are fitted beside the product;
    start: (n,) a factor that every product has. width: products that go on from each size.
    """

    features: Features
    target: np.ndarray
    weight: np.ndarray
    base: Sequence[np.ndarray]
    width: int
    independent: float
    start: np.ndarray | None = None

    def best(self, largest: int, per_size: int) -> Iterator[Product]:
        """The best few products of each size up to `largest`, of factors of different families."""
        columns = [b * self.weight for b in self.base]
        basis = (
            np.linalg.qr(np.stack(columns, axis=1))[0].T if columns else np.zeros((0, self._count))
        )
        weighted = self.target * self.weight
        rest = weighted - (basis @ weighted) @ basis
        # Shares of what is left, so that nothing overflows in single precision.
        whole = float(rest @ rest)
        rest = rest / np.sqrt(whole) if whole > 0 else rest
        # What a multiple of a product explains does not depend on its size.
        scale = np.abs(self.features.values).max(axis=1, keepdims=True)
        values = (self.features.values / np.where(scale > 0, scale, 1.0)).astype(np.float32)
        states: list[tuple[int, ...]] = [()]
        for size in range(1, largest + 1):
            if not states:
                break
            if size == 2 and len(values) <= _MAX_PAIRED:
                options = self._pairs(values, rest, basis, whole)
            else:
                options = self._longer(states, values, rest, basis, whole)
            kept = self._chosen(options)
            of: dict[frozenset[int], int] = {}
            for place in kept:
                rows = options.rows[place]
                families = frozenset(int(f) for f in self.features.family[rows])
                of[families] = of.get(families, 0) + 1
                if of[families] <= _YIELDED and len(of) <= per_size:
                    positions = tuple(int(p) for p in self.features.positions[rows])
                    yield Product(
                        positions, float(options.left[place]), float(options.score[place])
                    )
            states = [tuple(int(r) for r in options.rows[place]) for place in kept]

    @property
    def _count(self) -> int:
        return len(self.target)

    def _scored(
        self, share: np.ndarray, whole: float, cost: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is left where a share of the whole is explained, and the score."""
        left = whole * np.maximum(1.0 - share.astype(float), 0.0)
        return left, 0.5 * self.independent * np.log1p(left / self._count) + cost

    def _longer(
        self, states, values: np.ndarray, rest: np.ndarray, basis: np.ndarray, whole: float
    ) -> _Options:
        """Each state times one feature more."""
        squares = values**2
        family, cost = self.features.family, self.features.cost
        parts = []
        for state in states:
            factor = np.ones(self._count) if self.start is None else self.start
            factor = factor * np.prod(values[list(state)], axis=0)
            gain = _gains(values, squares, _scaled(factor * self.weight), rest, basis)
            gain[np.isin(family, family[list(state)])] = 0.0
            best = _best_of_families(gain, family, self.width)
            paid = cost[best] + sum(float(cost[r]) + 1.0 for r in state)
            rows = np.column_stack([np.tile(state, (len(best), 1)).astype(int), best])
            parts.append(_Options(rows, *self._scored(gain[best], whole, paid)))
        return _Options(*(np.concatenate(p) for p in zip(*parts, strict=True)))

    def _pairs(
        self, values: np.ndarray, rest: np.ndarray, basis: np.ndarray, whole: float
    ) -> _Options:
        """The best of all pairs of features."""
        family, cost = self.features.family, self.features.cost
        scale = _scaled(self.weight if self.start is None else self.weight * self.start)
        squares = values**2
        right = [(values * (scale * d).astype(np.float32)).T for d in (rest, *basis)]
        sizes = (squares * (scale**2).astype(np.float32)).T
        parts = []
        for first in range(0, len(values), _BLOCK):
            rows, later = slice(first, first + _BLOCK), slice(first, None)
            size = squares[rows] @ sizes[:, later]
            own = size.copy()
            for direction in right[1:]:
                own -= (values[rows] @ direction[:, later]) ** 2
            gain = (values[rows] @ right[0][:, later]) ** 2
            with np.errstate(all="ignore"):
                gain /= own
            alike = family[rows, None] == family[later]
            gain[~np.isfinite(gain) | (own <= 1e-3 * size) | alike] = 0.0
            # Each pair once.
            gain[np.tri(*gain.shape) > 0] = 0.0
            left, score = self._scored(gain, whole, cost[rows, None] + cost[later] + 1.0)
            count = min(10 * self.width, gain.size - 1)
            flat = np.unique(
                np.concatenate([np.argpartition(v.ravel(), count)[:count] for v in (left, score)])
            )
            flat = flat[gain.ravel()[flat] > 0]
            pairs = first + np.column_stack(np.divmod(flat, gain.shape[1]))
            parts.append(_Options(pairs, left.ravel()[flat], score.ravel()[flat]))
        return _Options(*(np.concatenate(p) for p in zip(*parts, strict=True)))

    def _chosen(self, options: _Options) -> list[int]:
        """Places of the products that go on: the best by residual and by score, few of the same functions,
        since constants that are best without the next factor are seldom best with it."""
        families: dict[frozenset[int], int] = {}
        seen: set[frozenset[int]] = set()
        kept: list[int] = []
        for place in mixed(options.left, options.score):
            rows = options.rows[place]
            key = frozenset(int(r) for r in rows)
            kind = frozenset(int(f) for f in self.features.family[rows])
            if key in seen or families.get(kind, 0) >= _ALIKE:
                continue
            seen.add(key)
            families[kind] = families.get(kind, 0) + 1
            kept.append(place)
            if len(kept) >= self.width:
                break
        return kept


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values relative to the largest."""
    size = np.abs(values).max()
    return values / size if np.isfinite(size) and size > 0 else values


def _gains(values, squares, scaled: np.ndarray, rest: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The share of the rest that a multiple of each feature times a factor explains, (feature,)."""
    slope = values @ (scaled * rest).astype(np.float32)
    size = squares @ (scaled**2).astype(np.float32)
    own = size.copy()
    for direction in basis:
        own -= (values @ (scaled * direction).astype(np.float32)) ** 2
    # Nearly in the span of the base: what is left of it is rounding.
    good = own > 1e-3 * size
    with np.errstate(all="ignore"):
        gain = np.where(good, slope**2 / np.where(good, own, 1.0), 0.0)
    return np.nan_to_num(gain, nan=0.0, posinf=0.0)


def _best_of_families(gain: np.ndarray, family: np.ndarray, count: int) -> np.ndarray:
    """Rows of the largest gains, at most _ALIKE of each family, of at most `count` families."""
    order = np.lexsort((-gain, family))
    _, first, sizes = np.unique(family[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, sizes)
    good = order[(rank < _ALIKE) & (gain[order] > 0)]
    best = good[np.argsort(-gain[good], kind="stable")]
    leading = np.unique(family[best], return_index=True)[1]
    kept = family[best[np.sort(leading)[:count]]]
    return best[np.isin(family[best], kept)]
