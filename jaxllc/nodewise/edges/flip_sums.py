"""All sets of a few flips whose steps add up to a wanted vector, up to the noise.

Sets of up to eight flips are too many to try, but each is two sets of up to four: the sums of one half are
looked up among what the other half leaves, in a k-d tree (the meeting in the middle of Horowitz and Sahni
1974). Only the directions in which the steps say more than the noise count.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from jaxtyping import Float, Integer
from scipy.spatial import cKDTree

# Directions in which all steps together are as long as this are searched, at most so many.
_LEAST, _DIRECTIONS = 1.0, 7
# Radii that are tried, in units of what noise leaves; hits at most, and points by which they are counted.
_RADII = (1.7, 1.3, 1.0, 0.75, 0.5, 0.3)
_HITS, _SOME = 40_000, 200


class FlipSums:
    """Sets of flips of one receiver. steps: what each adds; wanted: what they are to explain; both in units
    of the noise of a row."""

    def __init__(
        self, steps: Float[np.ndarray, "flip row"], wanted: Float[np.ndarray, " row"]
    ) -> None:
        basis, sizes, directions = np.linalg.svd(steps, full_matrices=False)
        rank = min(int(np.sum(sizes > _LEAST)), _DIRECTIONS)
        self._steps = basis[:, :rank] * sizes[:rank]
        self._wanted = directions[:rank] @ wanted
        self._sums: dict[int, np.ndarray] = {}
        self._trees: dict[tuple[int, bool], cKDTree] = {}
        self._noise = np.sqrt(rank + 3.0 * np.sqrt(2.0 * rank))

    def sets(self, first: int, second: int) -> Integer[np.ndarray, "set flip"]:
        """Sets of first + second flips that leave no more than the noise, or the nearest of them."""
        count = len(self._steps)
        if count < first + second or not self._steps.shape[1]:
            return np.zeros((0, first + second), dtype=int)
        one, two = self._tree(first, False), self._tree(second, True)
        radii = self._noise * np.array(_RADII)
        some = one.data[:: max(1, one.n // _SOME)]
        hits = cKDTree(some).count_neighbors(two, radii) * (one.n / len(some))
        fitting = radii[hits <= _HITS]
        if not len(fitting):
            return np.zeros((0, first + second), dtype=int)
        near = one.sparse_distance_matrix(two, fitting[0], output_type="ndarray")
        found = np.hstack([_sets(count, first)[near["i"]], _sets(count, second)[near["j"]]])
        found = np.sort(found, axis=1)
        found = found[np.all(np.diff(found, axis=1) > 0, axis=1)]
        return np.unique(found, axis=0)

    def _tree(self, size: int, left: bool) -> cKDTree:
        if (size, left) not in self._trees:
            if size not in self._sums:
                self._sums[size] = self._steps[_sets(len(self._steps), size)].sum(axis=1)
            sums = self._sums[size]
            self._trees[size, left] = cKDTree(self._wanted - sums if left else sums)
        return self._trees[size, left]


@lru_cache(maxsize=8)
def _sets(count: int, size: int) -> Integer[np.ndarray, "set flip"]:
    """All sets of so many of some numbers."""
    return np.array(list(combinations(range(count), size)), dtype=np.int16).reshape(-1, size)
