"""Senders of every receiver by sparse regression with free strengths, all receivers at once.

Senders are added one by one where all are left out, and left out one by one where all are there; what the
criterion likes best on either way is the answer. Both ways go by sweeps of the normal equations (Goodnight
1979), which price every next step at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

# Columns as short as this beside what they were before others were taken out say nothing of their own.
_DEPENDENT = 1e-7
# Senders of a receiver at most, as a share of its rows, and from none upwards.
_SHARE, _MOST = 1 / 3, 25


class Selected(NamedTuple):
    """Of each receiver: its senders, their strengths, the criterion, and the squares that are left."""

    members: Bool[np.ndarray, "receiver sender"]
    strengths: Float[np.ndarray, "receiver sender"]
    costs: Float[np.ndarray, " receiver"]
    squares: Float[np.ndarray, " receiver"]


def without_own(
    own: Float[np.ndarray, "receiver term row"], *others: np.ndarray
) -> list[np.ndarray]:
    """Columns and samples (receiver, ..., row) without what the own terms of a receiver explain."""
    sizes = np.sqrt((own**2).sum(axis=2, keepdims=True))
    scaled = own / np.where(sizes > 0, sizes, 1.0)
    _, lengths, directions = np.linalg.svd(scaled, full_matrices=False)
    kept = lengths > 1e-10 * lengths.max(axis=1, keepdims=True)
    directions = directions * kept[..., None]
    found = []
    for one in others:
        flat = one.reshape(len(one), -1, one.shape[-1])
        along = np.matmul(flat, directions.transpose(0, 2, 1))
        found.append((flat - np.matmul(along, directions)).reshape(one.shape))
    return found


def selected(
    target: Float[np.ndarray, "receiver row"],
    columns: Float[np.ndarray, "receiver sender row"],
    counts: Float[np.ndarray, " receiver"],
    price: float = 1.0,
) -> Selected:
    """The senders of each receiver.

    target, columns: without what the receivers do by themselves. counts: rows beyond the constants of that.
    price: of a sender, in units of that of the extended information criterion (Chen and Chen 2008).
    """
    receivers, senders, _ = columns.shape
    beside = np.concatenate([columns, target[:, None]], axis=1)
    gram = np.matmul(beside, beside.transpose(0, 2, 1))
    most = np.minimum(np.minimum(counts * _SHARE, senders), _MOST)
    each = price * (np.log(counts) + 2.0 * np.log(max(senders, 2)))
    best = _path(gram, counts, each, most, None)
    full = np.broadcast_to(senders < counts * _SHARE * 2.0, (receivers,))
    if full.any():
        back = _path(gram, counts, each, most, np.ones((receivers, senders), dtype=bool))
        better = full & (back.costs < best.costs)
        best = Selected(
            *(
                np.where(better.reshape(-1, *(1,) * (a.ndim - 1)), b, a)
                for a, b in zip(best, back, strict=True)
            )
        )
    return best


def _path(gram, counts, each, most, start) -> Selected:
    """The best set on the way up from no sender, or down from those of a start."""
    state = gram.copy()
    receivers, size = gram.shape[:2]
    senders = size - 1
    rows = np.arange(receivers)
    first = np.diagonal(gram, axis1=1, axis2=2)[:, :senders]
    members = np.zeros((receivers, senders), dtype=bool)
    if start is not None:
        for k in range(senders):
            independent = _diagonal(state)[:, k] > _DEPENDENT * first[:, k]
            take = start[:, k] & independent & (first[:, k] > 0)
            state = _swept(state, np.full(receivers, k), take, 1.0)
            members[:, k] = take
    best = _now(state, members, counts, each)
    steps = senders if start is not None else int(most.max(initial=0))
    for _ in range(steps):
        slopes, own = state[:, :senders, senders], _diagonal(state)
        if start is None:
            able = ~members & (own > _DEPENDENT * first) & (first > 0)
            able &= (members.sum(axis=1) < most)[:, None]
            change = np.where(able, slopes**2 / np.where(able, own, 1.0), -np.inf)
        else:
            able = members
            change = np.where(able, -(slopes**2) / np.where(able, -own, 1.0), -np.inf)
        place = change.argmax(axis=1)
        moves = able[rows, place]
        if not moves.any():
            break
        state = _swept(state, place, moves, 1.0 if start is None else -1.0)
        members[rows[moves], place[moves]] ^= True
        now = _now(state, members, counts, each)
        allowed = members.sum(axis=1) <= most
        better = allowed & (now.costs < best.costs)
        best = Selected(
            *(
                np.where(better.reshape(-1, *(1,) * (a.ndim - 1)), b, a)
                for a, b in zip(best, now, strict=True)
            )
        )
    return best


def _diagonal(state: np.ndarray) -> np.ndarray:
    return np.diagonal(state, axis1=1, axis2=2)[:, :-1]


def _now(state, members, counts, each) -> Selected:
    squares = np.maximum(state[:, -1, -1], 1e-9 * counts)
    costs = counts * np.log(squares / counts) + members.sum(axis=1) * each
    strengths = np.where(members, state[:, :-1, -1], 0.0)
    return Selected(members.copy(), strengths, costs, squares)


def _swept(state: np.ndarray, place: np.ndarray, moves: np.ndarray, sign: float) -> np.ndarray:
    """Normal equations after a sweep of one place each, where a receiver moves at all."""
    rows = np.arange(len(state))
    pivot = np.where(moves, state[rows, place, place], 1.0)
    column = state[rows, :, place]
    new = state - column[:, :, None] * (column / pivot[:, None])[:, None, :]
    scaled = sign * column / pivot[:, None]
    new[rows, place, :] = scaled
    new[rows, :, place] = scaled
    new[rows, place, place] = -1.0 / pivot
    return np.where(moves[:, None, None], new, state)
