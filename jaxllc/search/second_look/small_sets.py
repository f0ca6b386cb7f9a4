"""Every small set of candidates with at most one function, at the points of the grids.

A beam goes from good sets to better ones, and misses terms that explain little one by one; sets of plain
terms and one more candidate are few enough to be looked at without exception.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice

import numpy as np

from jaxllc.running.time_limit import check_time
from jaxllc.search.laws.reduced_columns import Reduced
from jaxllc.search.laws.sparse_sets import Proposal, information_criterion

# Terms of a set at most, beside those of every set; pairs of a set of plain terms and a candidate at most,
# larger sets are left out beyond them; sets of plain terms at a time.
_LARGEST, _MOST, _AT_ONCE = 4, 8e6, 500
# Sets that are kept for each family of functions, and of plain terms for each size.
_PER_FAMILY, _PER_SIZE = 3, 6
# Squared length that is left of a column of unit length when it counts as in the span of others.
_SMALLEST = 1e-8


def small_sets(
    reduced: Reduced, floor: float, max_terms: int, base: Sequence[int] = ()
) -> list[Proposal]:
    """The best sets of plain terms by size, and of plain terms with one function by its family, best first.

    floor: as in `beam_search`; all sets hold `base`, and at most max_terms more.
    """
    others = [k for k, t in enumerate(reduced.terms) if k not in base and not t.family.known]
    family = reduced.family[others]
    order = np.argsort(family, kind="stable")
    members, family = np.array(others, dtype=int)[order], family[order]
    if not len(members):
        return []
    columns, target = reduced.columns[:, reduced.first[members]], reduced.targets[:, 0]
    paid = int(sum(reduced.width[p] for p in base))
    if len(base):
        basis, _ = reduced.span(base)
        columns = columns - basis @ (basis.T @ columns)
        target = target - basis @ (basis.T @ target)
    products, aims = columns.T @ columns, columns.T @ target
    first = np.flatnonzero(np.diff(family, prepend=-1))
    width = reduced.width[members]
    plain = np.flatnonzero(width == 1)
    total = float(reduced.outside[0] + target @ target)
    rows = int(reduced.num_rows[0])
    best = _Best(len(first), plain, first)
    for some in _subsets(plain, len(members), min(_LARGEST, max_terms) - 1):
        check_time()
        left, gain = _gains(products, aims, some)
        residual = np.maximum(total - left[:, None] - gain, 0.0)
        constants = paid + some.shape[1] + width
        score = information_criterion(residual, rows, constants, floor)
        score[~(gain > 0)] = np.inf
        best.add(some, score, residual)
    found = [
        Proposal(
            tuple(sorted([*map(int, base), *(int(members[m]) for m in positions)])), score, left
        )
        for positions, score, left in best.sets()
    ]
    return sorted(found, key=lambda p: p.score)


def _subsets(plain: np.ndarray, num_members: int, largest: int) -> Iterator[np.ndarray]:
    """Sets of plain terms, (set, size), as many sizes as may be looked at."""
    looked = 0.0
    for size in range(largest + 1):
        count = 1.0
        for k in range(size):
            count *= (len(plain) - k) / (k + 1)
        looked += count * num_members
        if looked > _MOST or count < 1:
            return
        sets = combinations(plain.tolist(), size)
        while block := list(islice(sets, _AT_ONCE)):
            yield np.array(block, dtype=int).reshape(len(block), size)


def _gains(
    products: np.ndarray, aims: np.ndarray, some: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What sets explain, (set,), and what each candidate explains beside them, (set, candidate)."""
    lengths = np.diag(products)
    if not some.shape[1]:
        return np.zeros(len(some)), (aims**2 / np.maximum(lengths, _SMALLEST))[None]
    own = products[some[:, :, None], some[:, None, :]]
    # A set of nearly dependent terms explains nothing in particular.
    ridge = 1e-12 * np.eye(some.shape[1])
    cross = np.concatenate([products[some], aims[some][:, :, None]], axis=2)
    solved = np.linalg.solve(own + ridge, cross)
    left = (aims[some] * solved[:, :, -1]).sum(axis=1)
    norm = lengths - (cross[:, :, :-1] * solved[:, :, :-1]).sum(axis=1)
    slope = aims - np.einsum("nsm,ns->nm", cross[:, :, :-1], solved[:, :, -1])
    gain = np.where(norm > _SMALLEST, slope**2 / np.maximum(norm, _SMALLEST), 0.0)
    return left, gain


class _Best:
    """The best sets of each family of functions, and of plain terms of each size."""

    def __init__(self, num_families: int, plain: np.ndarray, first: np.ndarray) -> None:
        self.first = first
        self.is_plain = np.isin(first, plain)
        self.by_family: list[list[tuple]] = [[] for _ in range(num_families)]
        self.by_size: dict[int, dict[tuple[int, ...], tuple]] = {}

    def add(self, some: np.ndarray, score: np.ndarray, residual: np.ndarray) -> None:
        best = np.minimum.reduceat(score, self.first, axis=1)
        last = np.append(self.first[1:], score.shape[1])
        for f, (start, end) in enumerate(zip(self.first, last, strict=True)):
            for n in np.argsort(best[:, f], kind="stable")[:_PER_SIZE]:
                if not np.isfinite(best[n, f]):
                    break
                member = int(start + np.argmin(score[n, start:end]))
                positions = tuple(sorted((*some[n].tolist(), member)))
                item = (float(score[n, member]), positions, float(residual[n, member]))
                if self.is_plain[f]:
                    self.by_size.setdefault(len(positions), {})[positions] = item
                else:
                    self.by_family[f].append(item)

    def sets(self) -> Iterator[tuple[tuple[int, ...], float, float]]:
        for items in self.by_family:
            for score, positions, left in sorted(items)[:_PER_FAMILY]:
                yield positions, score, left
        for sets in self.by_size.values():
            for score, positions, left in sorted(sets.values())[:_PER_SIZE]:
                yield positions, score, left
