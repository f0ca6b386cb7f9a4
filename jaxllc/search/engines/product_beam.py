"""Products of few columns nearest to a target: all pairs first, then one column more at a time.

Logarithms turn products into sums, but near a zero of any factor they see nothing but errors; here each
product is compared with the target itself, so that waves and small values are no trouble. Two matrix products
tell of all pairs at once what a multiple of each explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import sympy

from jaxllc.search.engines.dictionary import Dictionary, Features
from jaxllc.search.engines.subset_beam import fitted_sum, mixed
from jaxllc.search.forms.search_work import spend

# Columns up to which all pairs are looked at.
_MAX_PAIRED = 3000
_BLOCK = 64
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


class _Query(NamedTuple):
    """What is left of a target beside the base, of unit length, and its square before; an orthonormal basis
    of the base, (direction, n); what a product is multiplied by, (n,)."""

    rest: np.ndarray
    whole: float
    basis: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, eq=False)
class ProductSearch:
    """Products of features that explain a target beside some columns.

    features: values (feature, n). width: products that go on from each size; independent: as in the judge.
    """

    features: Features
    width: int
    independent: float

    def best(
        self,
        target: np.ndarray,
        weight: np.ndarray,
        base: Sequence[np.ndarray],
        largest: int,
        per_size: int,
        start: np.ndarray | None = None,
    ) -> Iterator[Product]:
        """The best few products of each size up to `largest`, of factors of different families.

        target, weight: (n,); base: columns that are fitted beside the product; start: (n,) a factor of
        every product.
        """
        query = _query(target, weight, base, start)
        states: list[tuple[int, ...]] = [()]
        for size in range(1, largest + 1):
            if not states:
                break
            paired = size == 2 and len(self._unit) <= _MAX_PAIRED
            options = self._pairs(query) if paired else self._longer(states, query)
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

    @cached_property
    def _unit(self) -> np.ndarray:
        """Each feature relative to its largest value; a multiple explains as much whatever its size."""
        largest = np.abs(self.features.values).max(axis=1, keepdims=True)
        return (self.features.values / np.where(largest > 0, largest, 1.0)).astype(np.float32)

    @cached_property
    def _squares(self) -> np.ndarray:
        return self._unit**2

    def _scored(
        self, share: np.ndarray, query: _Query, cost: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is left where a share of the whole is explained, and the score."""
        left = query.whole * np.maximum(1.0 - share.astype(float), 0.0)
        return left, 0.5 * self.independent * np.log1p(left / len(query.rest)) + cost

    def _roughly_scored(self, share: np.ndarray, query: _Query, cost: np.ndarray) -> np.ndarray:
        """The score in single precision, by which the best of many are chosen."""
        score = np.subtract(1.0, share, dtype=np.float32)
        score *= np.float32(min(query.whole / len(query.rest), 1e30))
        np.log1p(np.maximum(score, 0.0, out=score), out=score)
        score *= np.float32(0.5 * self.independent)
        score += cost
        return score

    def _longer(self, states: Sequence[tuple[int, ...]], query: _Query) -> _Options:
        """Each state times one feature more."""
        family, cost = self.features.family, self.features.cost
        parts = []
        spend("factors", len(states) * self._unit.size * (2 + len(query.basis)))
        scales = np.stack(
            [_scaled(query.scale * np.prod(self._unit[list(state)], axis=0)) for state in states]
        )
        shares = _share(
            (scales * query.rest).astype(np.float32) @ self._unit.T,
            (scales**2).astype(np.float32) @ self._squares.T,
            ((scales * d).astype(np.float32) @ self._unit.T for d in query.basis),
        )
        for state, share in zip(states, shares, strict=True):
            share[np.isin(family, family[list(state)])] = 0.0
            best = _best_of_families(share, family, self.width)
            paid = cost[best] + sum(float(cost[r]) + 1.0 for r in state)
            rows = np.column_stack([np.tile(state, (len(best), 1)).astype(int), best])
            parts.append(_Options(rows, *self._scored(share[best], query, paid)))
        return _Options(*(np.concatenate(p) for p in zip(*parts, strict=True)))

    def _pairs(self, query: _Query) -> _Options:
        """The best of all pairs of features."""
        family, cost = self.features.family, self.features.cost
        spend("pairs", 0.5 * len(self._unit) * self._unit.size * (2 + len(query.basis)))
        scale = _scaled(query.scale)
        target, *base = (
            (self._unit * (scale * d).astype(np.float32)).T for d in (query.rest, *query.basis)
        )
        sizes = (self._squares * (scale**2).astype(np.float32)).T
        parts = []
        for first in range(0, len(self._unit), _BLOCK):
            rows, later = slice(first, first + _BLOCK), slice(first, None)
            share = _share(
                self._unit[rows] @ target[:, later],
                self._squares[rows] @ sizes[:, later],
                (self._unit[rows] @ direction[:, later] for direction in base),
            )
            # Of different families, and each pair once.
            share[family[rows, None] == family[later]] = 0.0
            square = share[:, : len(share)]
            square[np.tri(*square.shape) > 0] = 0.0
            paid = (cost[rows, None] + cost[later] + 1.0).astype(np.float32)
            count = min(4 * self.width, share.size - 1)
            flat = np.unique(
                np.concatenate(
                    [
                        np.argpartition(v.ravel(), count)[:count]
                        for v in (-share, self._roughly_scored(share, query, paid))
                    ]
                )
            )
            share = share.ravel()[flat]
            flat, share = flat[share > 0], share[share > 0]
            left, score = self._scored(share, query, paid.ravel()[flat])
            pairs = first + np.column_stack(np.divmod(flat, len(self._unit) - first))
            parts.append(_Options(pairs, left, score))
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


def product_sums(
    dictionary: Dictionary,
    products: Iterable[Product],
    target: np.ndarray,
    weight: np.ndarray,
    base: Sequence[tuple[sympy.Expr, np.ndarray]] = (),
    start: tuple[sympy.Expr, np.ndarray] | None = None,
    constants: int | None = None,
) -> Iterator[sympy.Expr]:
    """Each product with its best coefficient, beside those of the base; base, start: with their values;
    constants: decimal numbers up to which one is wanted, any by default."""
    first, values = (sympy.Integer(1), np.ones(len(target))) if start is None else start
    for product in products:
        numbers = dictionary.constants(product.positions) + len(base) + 1
        if constants is not None and numbers > constants:
            continue
        parts = [first * sympy.Mul(*(dictionary.expression(p) for p in product.positions))]
        columns = [values * np.prod([dictionary.values(p) for p in product.positions], axis=0)]
        parts += [e for e, _ in base]
        columns += [v for _, v in base]
        yield fitted_sum(parts, columns, target, weight)


def _query(
    target: np.ndarray,
    weight: np.ndarray,
    base: Sequence[np.ndarray],
    start: np.ndarray | None,
) -> _Query:
    columns = [b * weight for b in base]
    basis = np.linalg.qr(np.stack(columns, axis=1))[0].T if columns else np.zeros((0, len(target)))
    weighted = target * weight
    rest = weighted - (basis @ weighted) @ basis
    # Of unit length, so that nothing overflows in single precision.
    whole = float(rest @ rest)
    rest = rest / np.sqrt(whole) if whole > 0 else rest
    return _Query(rest, whole, basis, weight if start is None else weight * start)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values relative to the largest."""
    size = np.abs(values).max()
    return values / size if np.isfinite(size) and size > 0 else values


def _share(slope: np.ndarray, size: np.ndarray, in_base: Iterable[np.ndarray]) -> np.ndarray:
    """The share of the rest that multiples of products explain, from their products with the rest, their
    squares and their products with each direction of the base; all of them are written over."""
    least = 1e-3 * size
    for part in in_base:
        size -= np.square(part, out=part)
    with np.errstate(all="ignore"):
        share = np.square(slope, out=slope)
        share /= size
    # Nearly in the span of the base: what is left of it is rounding; false also for what is not finite.
    share[~((size > least) & (share < np.inf))] = 0.0
    return share


def _best_of_families(share: np.ndarray, family: np.ndarray, count: int) -> np.ndarray:
    """Rows of the largest shares, at most _ALIKE of each family, of at most `count` families."""
    falling = np.argsort(-share, kind="stable")
    falling = falling[: np.count_nonzero(share > 0)]
    order = np.argsort(family[falling], kind="stable")
    sizes = np.bincount(family[falling])
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    best = falling[rank < _ALIKE]
    leading = np.unique(family[best], return_index=True)[1]
    kept = family[best[np.sort(leading)[:count]]]
    return best[np.isin(family[best], kept)]
