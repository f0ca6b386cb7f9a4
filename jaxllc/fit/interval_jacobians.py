"""Partial derivatives of a law, and the Jacobians of all intervals of a time grid that are made of them:
sparse matrices of one pattern that differ in their entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import no_type_check

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float, Integer

from jaxllc.fit.given_states import without_rows


@dataclass
class Partials:
    """A law's derivative and its partial derivatives at every grid point.

    own, edge: {(equation, variable): values} by the receiver's and, on edges, by the sender's state.
    equation_of: the equation of each constant.
    """

    value: Float[np.ndarray, "variable node time"]
    own: dict[tuple[int, int], Float[np.ndarray, "node time"]]
    edge: dict[tuple[int, int], Float[np.ndarray, "edge time"]]
    by_constant: Float[np.ndarray, "constant node time"]
    equation_of: Integer[np.ndarray, " constant"]

    def at_rest(self, nodes: Sequence[int], receivers: Integer[np.ndarray, " edge"]) -> Partials:
        """The same where nothing moves some nodes; receivers: of the edges."""
        held, into = list(nodes), np.flatnonzero(np.isin(receivers, nodes))
        own = {key: without_rows(values, held) for key, values in self.own.items()}
        edge = {key: without_rows(values, into) for key, values in self.edge.items()}
        by_constant = self.by_constant.copy()
        by_constant[:, held] = 0.0
        return replace(self, own=own, edge=edge, by_constant=by_constant)


class IntervalJacobians:
    """One square sparse matrix for each interval.

    pointer: where the entries of each row begin, and of the last one end.
    """

    def __init__(
        self,
        entries: Float[np.ndarray, "interval entry"],
        column: Integer[np.ndarray, " entry"],
        pointer: Integer[np.ndarray, " ends"],
    ) -> None:
        size = len(pointer) - 1
        self.entries = entries
        self._column, self._pointer = column, pointer
        # Making a sparse matrix costs more than multiplying by it: one serves all intervals.
        self._matrix = sparse.csr_array(
            (np.zeros(entries.shape[1]), column, pointer), shape=(size, size)
        )

    @no_type_check  # called so often that looking at its arrays each time would take longer
    def times(
        self, interval: int, values: Float[np.ndarray, "row ..."]
    ) -> Float[np.ndarray, "row ..."]:
        """Product of an interval's matrix with a vector or a matrix."""
        self._matrix.data = self.entries[interval]
        return self._matrix @ values

    def row_sums(self) -> Float[np.ndarray, "interval row"]:
        """Sum of the absolute values in each row."""
        count = self.entries.shape[1]
        owner = sparse.csr_array(
            (np.ones(count), np.arange(count, dtype=self._pointer.dtype), self._pointer),
            shape=(len(self._pointer) - 1, count),
        )
        return (owner @ np.abs(self.entries).T).T

    def scaled(self, factors: Float[np.ndarray, "interval block"]) -> IntervalJacobians:
        """The diagonal blocks, all of one pattern, times factors."""
        blocks = self.entries.reshape(*factors.shape, -1) * factors[:, :, None]
        return IntervalJacobians(blocks.reshape(self.entries.shape), self._column, self._pointer)


def mean_jacobians(
    partials: Partials,
    shape: tuple[int, int, int],
    size: int,
    edges: tuple[Integer[np.ndarray, " edge"], Integer[np.ndarray, " edge"]] | None,
) -> IntervalJacobians:
    """Mean Jacobian over each interval, block diagonal over runs, (run * state, run * state).

    shape: nodes, runs and grid times; size: numbers in the state of a run; edges: receivers and senders, None
    to leave out what they bring.
    """
    n, runs, length = shape
    rows, columns, data = [], [], []
    for (o, v), values in partials.own.items():
        rows.append(o * n + np.arange(n))
        columns.append(v * n + np.arange(n))
        data.append(values)
    for (o, v), values in partials.edge.items() if edges is not None else ():
        receivers, senders = edges  # type: ignore[misc]
        rows.append(o * n + receivers)
        columns.append(v * n + senders)
        data.append(values)
    if not data:
        nothing = np.zeros(0, dtype=np.int32)
        pointer = np.zeros(runs * size + 1, dtype=np.int32)
        return IntervalJacobians(np.zeros((length - 1, 0)), nothing, pointer)
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((column, row))
    row, column = row[order], column[order]
    entries = np.concatenate(data)[order].reshape(len(row), runs, length)
    entries = 0.5 * (entries[..., 1:] + entries[..., :-1])
    intervals = entries.shape[2]
    rates = np.ascontiguousarray(entries.transpose(2, 1, 0)).reshape(intervals, -1)
    offset = size * np.arange(runs)
    column = (column[None] + offset[:, None]).ravel().astype(np.int32)
    row = (row[None] + offset[:, None]).ravel()
    pointer = np.searchsorted(row, np.arange(runs * size + 1)).astype(np.int32)
    return IntervalJacobians(rates, column, pointer)
