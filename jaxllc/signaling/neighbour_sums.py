"""Products of the sparse W (receiver x sender) with many states at once, over neighbour lists.

Nodes are sorted by their number of neighbours and cut into buckets of equal list length, so that one
product is a few dense gathers and sums without any N x N array and without scattered additions: in a
loop on a CPU less than half the time of a sorted segment sum. The lists are arrays, not constants of the
program: networks whose lists have equal shapes share one compilation, and vmap runs over networks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Lengths grow by a third: little padding, and few operations for a network of any size.
_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_UNROLLED = 16


# On the host or on a device: jax.Array has no common type with np.ndarray.
Array = Any


class NeighbourLists(NamedTuple):
    """For each row node its neighbours and the edges to them, in buckets.

    neighbours, edges: for each bucket int32 (rows, length); a neighbour is a position in `order`, and
    an edge number E stands for no edge. order: int32 (N,), the row nodes in the order of the buckets;
    place: int32 (N,), where each node stands in `order`.
    """

    neighbours: tuple[Array, ...]
    edges: tuple[Array, ...]
    order: Array
    place: Array


def neighbour_lists(rows: np.ndarray, columns: np.ndarray, num_nodes: int) -> NeighbourLists:
    """Lists for the product sum_e w_e x[columns_e] into rows_e, from the two ends of each edge (E,)."""
    rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
    num_edges = len(rows)
    degree = np.bincount(rows, minlength=num_nodes)
    lengths = np.asarray(_lengths(int(degree.max(initial=0))))
    bucket = np.searchsorted(lengths, degree)
    order = np.lexsort((np.arange(num_nodes), degree, bucket))
    place = np.empty(num_nodes, np.int64)
    place[order] = np.arange(num_nodes)
    by_row = np.lexsort((columns, place[rows]))
    starts = np.concatenate([[0], np.cumsum(degree[order])])
    position = np.arange(num_edges) - starts[place[rows[by_row]]]
    neighbours, edges = [], []
    for number, length in enumerate(lengths):
        members = np.flatnonzero(bucket[order] == number)
        if len(members) == 0:
            continue
        first, last = members[0], members[-1] + 1
        span = slice(starts[first], starts[last])
        here = by_row[span]
        row = place[rows[here]] - first
        neighbour = np.zeros((len(members), length), np.int32)
        edge = np.full((len(members), length), num_edges, np.int32)
        neighbour[row, position[span]] = place[columns[here]]
        edge[row, position[span]] = here
        neighbours.append(neighbour)
        edges.append(edge)
    return NeighbourLists(
        tuple(neighbours),
        tuple(edges),
        order.astype(np.int32),
        place.astype(np.int32),
    )


def _lengths(largest: int) -> list[int]:
    lengths = [length for length in _LENGTHS if length < largest]
    while lengths and lengths[-1] >= _LENGTHS[-1] and 2 * lengths[-1] < largest:
        lengths.append(2 * lengths[-1])
    return [*lengths, largest]


def padded_weights(lists: NeighbourLists, weights: jax.Array) -> tuple[jax.Array, ...]:
    """The weights (E,) laid out like `lists.edges`, zero where there is no edge."""
    with_zero = jnp.append(weights, jnp.zeros((), weights.dtype))
    return tuple(take(with_zero, edges) for edges in lists.edges)


def sum_neighbours(
    lists: NeighbourLists, padded: tuple[jax.Array, ...], states: jax.Array
) -> jax.Array:
    """sum_j w_ij x_j for states (N, B), both in the order `lists.order`; `padded` from `padded_weights`."""
    sums = []
    for neighbours, weight in zip(lists.neighbours, padded, strict=True):
        length = neighbours.shape[1]
        if length == 0:
            total = jnp.zeros((neighbours.shape[0], states.shape[1]), states.dtype)
        elif length <= _UNROLLED:
            total = weight[:, :1] * take(states, neighbours[:, 0])
            for k in range(1, length):
                total = total + weight[:, k : k + 1] * take(states, neighbours[:, k])
        else:
            # By default a GPU would round float32 to 10 bits here.
            heard = take(states, neighbours)
            total = jnp.einsum("nk,nkb->nb", weight, heard, precision="highest")
        sums.append(total)
    return jnp.concatenate(sums)


def take(values: jax.Array, index: jax.Array) -> jax.Array:
    """values[index] along the first axis, for indices that are known to lie inside."""
    return values.at[index].get(mode="promise_in_bounds")
