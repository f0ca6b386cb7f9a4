"""Products of the sparse W (receiver x sender) with many states at once, over neighbour lists.

Nodes are sorted by their number of neighbours and cut into buckets of equal list length, so that one
product is a few dense gathers and sums without any N x N array and without scattered additions: in a
loop on a CPU less than half the time of a sorted segment sum. The lists are arrays, not constants of the
program: networks whose lists have equal shapes share one compilation, and vmap runs over networks.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class Layout(NamedTuple):
    """The shapes of neighbour lists: the length and the number of rows of each bucket, and E."""

    lengths: tuple[int, ...]
    sizes: tuple[int, ...]
    num_edges: int


def common_layout(rows: Sequence[np.ndarray], num_nodes: int) -> Layout:
    """The smallest layout for several networks of these nodes, each given by one end of its edges (E,)."""
    degrees = np.stack([np.bincount(ends, minlength=num_nodes) for ends in rows])
    lengths = np.asarray(_lengths(int(degrees.max(initial=0))))
    bucket = np.searchsorted(lengths, degrees)
    # A node may stand in a longer list than it needs: of each length, as many as any network asks for.
    asked = [int((bucket >= n).sum(axis=1).max()) for n in range(len(lengths))]
    sizes = -np.diff([*asked, 0])
    return Layout(tuple(lengths.tolist()), tuple(sizes.tolist()), max(len(ends) for ends in rows))


def neighbour_lists(
    rows: np.ndarray, columns: np.ndarray, num_nodes: int, layout: Layout | None = None
) -> NeighbourLists:
    """Lists for the product sum_e w_e x[columns_e] into rows_e, from the two ends of each edge (E,).

    layout: a common one, so that the lists of several networks have equal shapes.
    """
    rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
    layout = layout or common_layout([rows], num_nodes)
    degree = np.bincount(rows, minlength=num_nodes)
    order = np.lexsort((np.arange(num_nodes), degree))
    place = np.empty(num_nodes, np.int64)
    place[order] = np.arange(num_nodes)
    by_row = np.lexsort((columns, place[rows]))
    starts = np.concatenate([[0], np.cumsum(degree[order])])
    position = np.arange(len(rows)) - starts[place[rows[by_row]]]
    neighbours, edges = [], []
    last = 0
    for length, size in zip(layout.lengths, layout.sizes, strict=True):
        if size == 0:
            continue
        first, last = last, last + size
        span = slice(starts[first], starts[last])
        here = by_row[span]
        row = place[rows[here]] - first
        neighbour = np.zeros((size, length), np.int32)
        edge = np.full((size, length), layout.num_edges, np.int32)
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
