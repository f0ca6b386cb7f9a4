"""Senders with a strength each, under a law whose self terms and constants all receivers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.nodewise.edges.sender_columns import SenderColumns, Senders
from jaxllc.running.time_limit import check_time
from jaxllc.unknown_network.selection import selected

# Rounds of senders and of the discrepancy of a receiver.
_ROUNDS = 3
# By how much evidence is tempered, as in `edge_repair`: smoothed states are taken for true ones.
_HEAT = 1.7
# Normal quantile of an interval of 95 %.
_WIDE = 1.96


@dataclass(frozen=True, eq=False)
class Strengths:
    """Of every pair (receiver, sender), in units of the law's own interaction.

    present: whether there is an edge; values, errors: of its strength, nan where there is none; probability:
    that there is one; costs: (receiver,) -2 log likelihood; follows: (receiver,) the probability that it
    follows, nan where it was not asked.
    """

    present: Bool[np.ndarray, "receiver sender"]
    values: Float[np.ndarray, "receiver sender"]
    errors: Float[np.ndarray, "receiver sender"]
    probability: Float[np.ndarray, "receiver sender"]
    costs: Float[np.ndarray, " receiver"]
    follows: Float[np.ndarray, " receiver"]

    @property
    def low(self) -> Float[np.ndarray, "receiver sender"]:
        """Lower ends of intervals of 95 %."""
        return self.values - _WIDE * self.errors

    @property
    def high(self) -> Float[np.ndarray, "receiver sender"]:
        """Upper ends of intervals of 95 %."""
        return self.values + _WIDE * self.errors


def free_strengths(
    columns: SenderColumns, num_nodes: int, present: np.ndarray | None = None
) -> Strengths:
    """The strength of every edge under a law.

    present: the edges, (receiver, sender); chosen by the extended information criterion where None.
    """
    given = present
    shape = (num_nodes, num_nodes)
    present = np.zeros(shape, dtype=bool)
    values, errors = np.full(shape, np.nan), np.full(shape, np.nan)
    probability = np.full(shape, 0.0)
    costs, follows = np.full(num_nodes, np.nan), np.full(num_nodes, np.nan)
    asked = [n for n in range(num_nodes) if columns.counts(n)]
    chosen: dict[int, tuple[Senders, np.ndarray, np.ndarray]] = {}
    for receiver in asked:
        check_time()
        senders = columns.of(receiver)
        able = senders.usable & (np.arange(num_nodes) != receiver)
        if not np.isfinite(senders.alone).all():
            continue
        usable = np.where(able[:, None], senders.columns, 0.0)
        places = np.zeros(len(senders.parts), dtype=int)
        for _ in range(_ROUNDS):
            root = np.sqrt(senders.weights(places))
            if given is None:
                count = np.array([np.count_nonzero(root)], dtype=float)
                own = selected((senders.alone * root)[None], (usable * root)[None], count, _HEAT)
                members = own.members[0]
            else:
                members = given[receiver] & able
            found = _fitted(senders.alone * root, usable[members] * root)
            left = senders.alone - found[0] @ usable[members]
            cost, new = senders.likelihoods(left[None])
            if np.array_equal(new[0], places):
                break
            places = new[0]
        present[receiver] = members
        values[receiver, members], errors[receiver, members] = found
        costs[receiver] = cost[0]
        away = float(np.clip((cost[0] - senders.cap) / 2.0, -700.0, 700.0))
        follows[receiver] = 1.0 / (1.0 + float(np.exp(away)))
        chosen[receiver] = senders, usable, places
    density = float(np.clip(present.sum() / max(len(asked) * (num_nodes - 1), 1), 1e-3, 0.5))
    for receiver, (senders, usable, places) in chosen.items():
        root = np.sqrt(senders.weights(places))
        gains = _gains(senders.alone * root, usable * root, present[receiver])
        price = float(np.log(max(int(np.count_nonzero(root)), 2))) / _HEAT
        odds = 0.5 * (gains / _HEAT - price) + np.log(density / (1 - density))
        probability[receiver] = 1.0 / (1.0 + np.exp(-np.clip(odds, -300, 300)))
        probability[receiver, receiver] = 0.0
    return Strengths(present, values, errors, probability, costs, follows)


def _fitted(target: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of columns (column, row), and standard errors in noise of one."""
    if not len(own):
        return np.zeros(0), np.zeros(0)
    covariance = np.linalg.pinv(own @ own.T, hermitian=True, rcond=1e-12)
    return covariance @ (own @ target), np.sqrt(np.maximum(np.diag(covariance), 0.0))


def _gains(
    target: np.ndarray, columns: np.ndarray, members: Sequence[bool] | np.ndarray
) -> Float[np.ndarray, " sender"]:
    """By how much each sender lowers the squares that are left, all other members being there."""
    members = np.asarray(members)
    gains = np.zeros(len(columns))
    own = columns[members]
    basis = _basis(own)
    left = target - (target @ basis) @ basis.T
    apart = columns - (columns @ basis) @ basis.T
    sizes = (apart**2).sum(axis=1)
    whole = (columns**2).sum(axis=1)
    able = ~members & (sizes > 1e-7 * whole) & (whole > 0)
    gains[able] = (apart[able] @ left) ** 2 / sizes[able]
    if len(own):
        values, errors = _fitted(target, own)
        gains[members] = (values / np.maximum(errors, 1e-300)) ** 2
    return gains


def _basis(own: np.ndarray) -> np.ndarray:
    """An orthonormal basis (row, direction) of some columns (column, row)."""
    if not len(own):
        return np.zeros((own.shape[1], 0))
    directions, sizes, _ = np.linalg.svd(own.T, full_matrices=False)
    return directions[:, sizes > 1e-10 * max(sizes.max(initial=0.0), 1e-300)]
