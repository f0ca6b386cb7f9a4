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
from jaxllc.search.laws.sparse_sets import Proposal, criterion_of_sets

# Terms of a set at most, beside those of every set; pairs of a set of plain terms and a candidate at most,
# larger sets are left out beyond them; sets of plain terms at a time.
_LARGEST, _MOST, _AT_ONCE = 4, 8e6, 500
# Sets of each size that are kept for each family of functions, and of plain terms.
_PER_FAMILY, _PER_SIZE = 1, 6
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
    # Each candidate's own column, and after these the first derivatives by an inner constant.
    slopes = np.flatnonzero(reduced.width[members] > 1)
    first = reduced.first[members]
    columns = reduced.columns[:, np.concatenate([first, first[slopes] + 1])]
    target = reduced.targets[:, 0]
    paid = int(sum(reduced.width[p] for p in base))
    if len(base):
        basis, _ = reduced.span(base)
        columns = columns - basis @ (basis.T @ columns)
        target = target - basis @ (basis.T @ target)
    products, aims = columns.T @ columns, columns.T @ target
    width = reduced.width[members]
    plain = np.flatnonzero(width == 1)
    total = float(reduced.outside[0] + target @ target)
    rows = int(reduced.num_rows[0])
    best = _Best(np.flatnonzero(np.diff(family, prepend=-1)), plain)
    for some in _subsets(plain, len(members), min(_LARGEST, max_terms) - 1):
        check_time()
        left, own, both = _gains(products, aims, some, slopes)
        constants = paid + some.shape[1] + width
        for near, gain in enumerate((own, both)):
            residual = np.maximum(total - left[:, None] - gain, 0.0)
            score = criterion_of_sets(residual, rows, constants, floor)
            score[~(gain > 0)] = np.inf
            best.add(some, score, residual, near)
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
    products: np.ndarray, aims: np.ndarray, some: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What sets explain, (set,), and what each candidate explains beside them, (set, candidate).

    The latter by itself, and together with its derivative by an inner constant, which stands for values
    between the points of its grid. slopes: candidates that have one; their columns come last.
    """
    num = len(aims) - len(slopes)
    at = num + np.arange(len(slopes))
    lengths = np.diag(products)
    left, norm, slope, cross = (
        np.zeros(len(some)),
        lengths[None],
        aims[None],
        products[slopes, at][None],
    )
    if some.shape[1]:
        own = products[some[:, :, None], some[:, None, :]]
        # A set of nearly dependent terms explains nothing in particular.
        ridge = 1e-12 * np.eye(some.shape[1])
        right = np.concatenate([products[some], aims[some][:, :, None]], axis=2)
        solved = np.linalg.solve(own + ridge, right)
        left = (aims[some] * solved[:, :, -1]).sum(axis=1)
        right, of_target, solved = right[:, :, :-1], solved[:, :, -1], solved[:, :, :-1]
        norm = norm - (right * solved).sum(axis=1)
        slope = slope - np.einsum("nsm,ns->nm", right, of_target)
        cross = cross - (right[:, :, slopes] * solved[:, :, at]).sum(axis=1)
    good = norm[:, :num] > _SMALLEST
    gain = np.where(good, slope[:, :num] ** 2 / np.maximum(norm[:, :num], _SMALLEST), 0.0)
    both = gain.copy()
    length = np.where(good[:, slopes], norm[:, slopes], 1.0)
    rest = norm[:, at] - cross**2 / length
    further = slope[:, at] - cross * slope[:, slopes] / length
    fine = good[:, slopes] & (rest > _SMALLEST)
    both[:, slopes] += np.where(fine, further**2 / np.maximum(rest, _SMALLEST), 0.0)
    return left, gain, both


class _Best:
    """The best sets of each family of functions and of plain terms, of each size.

    first: of each family its first candidate; plain: candidates without inner constants.
    """

    def __init__(self, first: np.ndarray, plain: np.ndarray) -> None:
        self.first = first
        self.is_plain = np.isin(first, plain)
        self.found: dict[tuple, dict[tuple[int, ...], tuple]] = {}

    def add(self, some: np.ndarray, score: np.ndarray, residual: np.ndarray, near: int) -> None:
        """Sets with one candidate more; near: whether values between the points of the grids count."""
        best = np.minimum.reduceat(score, self.first, axis=1)
        last = np.append(self.first[1:], score.shape[1])
        for f, (start, end) in enumerate(zip(self.first, last, strict=True)):
            plain = bool(self.is_plain[f])
            if plain and near:
                continue
            most = _PER_SIZE if plain else _PER_FAMILY
            kept = self.found.setdefault((-1 if plain else f, some.shape[1], near), {})
            for n in np.argsort(best[:, f], kind="stable")[:most]:
                if not np.isfinite(best[n, f]):
                    break
                member = int(start + np.argmin(score[n, start:end]))
                positions = tuple(sorted((*some[n].tolist(), member)))
                kept[positions] = (float(score[n, member]), positions, float(residual[n, member]))

    def sets(self) -> Iterator[tuple[tuple[int, ...], float, float]]:
        for (family, *_), sets in self.found.items():
            most = _PER_SIZE if family < 0 else _PER_FAMILY
            for score, positions, left in sorted(sets.values())[:most]:
                yield positions, score, left
