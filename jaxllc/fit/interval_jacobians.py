"""Jacobians of all intervals of a time grid: sparse matrices of one pattern that differ in their entries."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse


class IntervalJacobians:
    """One square sparse matrix for each interval.

    entries: (interval, entry); column: (entry,); pointer: (row + 1,) where the entries of each row begin.
    """

    def __init__(self, entries: np.ndarray, column: np.ndarray, pointer: np.ndarray) -> None:
        size = len(pointer) - 1
        self.entries = entries
        self._pointer = pointer
        # Making a sparse matrix costs more than multiplying by it: one serves all intervals.
        self._matrix = sparse.csr_array(
            (np.zeros(entries.shape[1]), column, pointer), shape=(size, size)
        )

    def times(self, interval: int, values: np.ndarray) -> np.ndarray:
        """Product of an interval's matrix with a vector or a matrix."""
        self._matrix.data = self.entries[interval]
        return self._matrix @ values

    def row_sums(self) -> np.ndarray:
        """Sum of the absolute values in each row, (interval, row)."""
        count = self.entries.shape[1]
        owner = sparse.csr_array(
            (np.ones(count), np.arange(count, dtype=self._pointer.dtype), self._pointer),
            shape=(len(self._pointer) - 1, count),
        )
        return (owner @ np.abs(self.entries).T).T

    def scale(self, factors: np.ndarray) -> None:
        """Multiply the diagonal blocks, all of one pattern, by factors (interval, block)."""
        blocks = self.entries.reshape(*factors.shape, -1)
        blocks *= factors[:, :, None]
