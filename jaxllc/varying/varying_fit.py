"""Constants of a law in which one coefficient is another number for each node.

The coefficient of a node is the mean plus an effect, drawn from a normal distribution whose standard
deviation, the spread, is estimated; several coefficients may vary together, each by the same share of itself.
The effect is integrated out: it adds a rank of one to the covariance of a node's rows. Nodes follow or not,
and have a discrepancy of their own, as in `RobustFitter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxllc.nodewise.robust_fit import RobustFit, RobustFitter

# Steps of a descent; change of the cost at which it rests.
_STEPS, _SETTLED = 20, 0.05
# Spread of the start over the size of the coefficient; least and largest spread over it.
_WIDE, _LEAST, _MOST = 1.0, 1e-6, 1e3
# A column as short as this beside the longest has nothing to say.
_NOTHING = 1e-300
# -2 log L of a node of which a law makes no finite number.
_WORST = 1e9


@dataclass(frozen=True)
class VaryingFit(RobustFit):
    """A fit in which the coefficients of the columns at some places differ from node to node.

    mean: length of these coefficients, or the coefficient where there is one; effect, error: (node,) by
    what a node exceeds the mean, shrunk to it, and the standard error of that; spread: standard deviation
    of the effects over nodes; column: (node, row), what they multiply, in units of the noise.
    """

    places: tuple[int, ...]
    mean: float
    effect: np.ndarray
    error: np.ndarray
    spread: float
    column: np.ndarray


class _Effects(NamedTuple):
    """Under some laws, of each node: -2 log L, the place of its tau, its effect and the variance of that;
    each (start, node)."""

    cost: np.ndarray
    tau: np.ndarray
    effect: np.ndarray
    variance: np.ndarray


class _Start(NamedTuple):
    """Weights (start, node, row), how much each node carries (start, node), spreads (start,), and laws
    (start, column) that tell in which shares coefficients vary together."""

    weights: np.ndarray
    carrying: np.ndarray
    spread: np.ndarray
    laws: np.ndarray


class VaryingFitter(RobustFitter):
    """Fits columns (node, row) of which one has another coefficient at each node."""

    def fit_varying(
        self, columns: list[np.ndarray], places: Sequence[int], start: RobustFit | None = None
    ) -> VaryingFit:
        """The best fit of some columns; places: of those that vary together. start: a fit beside it."""
        taken = self.taken(columns)
        sizes = np.sqrt((taken**2).mean(axis=(0, 1)))
        sizes = np.where(sizes > 0, sizes, 1.0)
        # What varies together keeps its shares.
        sizes[list(places)] = sizes[list(places)].max()
        taken, size = taken / sizes, float(sizes[places[0]])
        if start is None:
            first = self._varying_starts(taken, places)
        else:
            spread = start.spread * size if isinstance(start, VaryingFit) else np.inf
            carrying = start.follows[None] + 1e-14
            law = self._plain_law(taken, start.weights)
            first = _Start(start.weights[None], carrying, np.array([spread]), law[None])
        found = self._descended_varying(taken, places, first)
        return replace(
            found,
            coefficients=found.coefficients / sizes,
            covariance=found.covariance / np.outer(sizes, sizes),
            mean=found.mean / size,
            effect=found.effect / size,
            error=found.error / size,
            spread=found.spread / size,
            column=found.column * size,
        )

    def whitened(
        self, fit: RobustFit, values: Float[np.ndarray, "node row column"]
    ) -> Float[np.ndarray, "node row column"]:
        """Values as their sums of squares count under a fit, the effect integrated out."""
        plain = super().whitened(fit, values)
        if not isinstance(fit, VaryingFit):
            return plain
        root = np.sqrt(fit.weights) * fit.column
        length = (root**2).sum(axis=1) + _NOTHING
        # The square root of the inverse of 1 + s^2 z z'.
        certain = np.clip(fit.follows, 1e-14, None)
        share = 1.0 - 1.0 / np.sqrt(1.0 + fit.spread**2 * length / certain)
        along = np.einsum("nr,nrk->nk", root, plain) * (share / length)[:, None]
        return plain - root[..., None] * along[:, None]

    def _effects(
        self,
        left: Float[np.ndarray, "start node row"],
        column: Float[np.ndarray, "start node row"],
        spread: np.ndarray,
    ) -> _Effects:
        """What is left of each node by its likeliest tau, the effect integrated out."""
        along = np.matmul((left * column).transpose(1, 0, 2), self._by_tau).transpose(1, 0, 2)
        squares = np.matmul((left**2).transpose(1, 0, 2), self._by_tau).transpose(1, 0, 2)
        length = np.matmul((column**2).transpose(1, 0, 2), self._by_tau).transpose(1, 0, 2)
        prior = spread[:, None, None] ** 2
        gain = prior / (1.0 + prior * length)
        costs = squares - gain * along**2 + self._log_sizes + np.log1p(prior * length)
        tau = costs.argmin(axis=2)

        def chosen(values: np.ndarray) -> np.ndarray:
            return np.take_along_axis(values, tau[..., None], axis=2)[..., 0]

        return _Effects(chosen(costs), tau, chosen(gain * along), chosen(gain))

    def _plain_law(self, taken: np.ndarray, weights: np.ndarray) -> Float[np.ndarray, " column"]:
        """The law of some weights, all nodes alike."""
        flat = taken.reshape(-1, taken.shape[2])
        weighted = weights.reshape(-1, 1) * flat
        gram = weighted.T @ flat
        steady = gram + (1e-10 * np.trace(gram) / len(gram) + _NOTHING) * np.eye(len(gram))
        return np.linalg.solve(steady, weighted.T @ self.target.ravel())

    def _varying_starts(self, taken: np.ndarray, places: Sequence[int]) -> _Start:
        """Of the laws of single nodes that cost least, and of all nodes alike."""
        single = self.single_laws(taken)
        left = self.target - np.matmul(taken, single.T).transpose(2, 0, 1)
        mean, column = _together(taken, places, single)
        wide = np.full(len(single), _WIDE * float(np.median(np.abs(mean))))
        found = self._effects(left, column, wide)
        tries = self.likeliest(found.cost)
        alike = (self.inverse[:1] > 0).astype(float)
        return _Start(
            np.concatenate([self._weights(found.cost[tries], found.tau[tries]), alike]),
            np.concatenate([self.carrying(found.cost[tries]), np.ones((1, len(taken)))]),
            np.full(len(tries) + 1, wide[0]),
            single[[*tries, -1]],
        )

    def _descended_varying(
        self, taken: np.ndarray, places: Sequence[int], start: _Start
    ) -> VaryingFit:
        """The best of the minima that some starts lead to."""
        count = taken.shape[2]
        beside = np.concatenate([taken, self.target[..., None]], axis=2)
        cost, at = np.full(len(start.weights), np.inf), start
        for step in range(_STEPS):
            mean, column = _together(taken, places, at.laws)
            size = np.abs(mean) + _NOTHING
            spread = np.where(np.isfinite(at.spread), at.spread, _WIDE * size)
            spread = np.clip(spread, _LEAST * size, _MOST * size)
            both, scale = _products(beside, column, at, spread)
            gram, products = both[:, :-1, :-1], both[:, :-1, -1]
            trace = np.trace(gram, axis1=1, axis2=2)[:, None, None] / count + _NOTHING
            # What the effects take out leaves rounding errors of the whole.
            steady = gram + (1e-10 * np.abs(trace) + 1e-14 * scale) * np.eye(count)
            laws = np.linalg.solve(steady, products[..., None])[..., 0]
            left = self.target - np.matmul(taken, laws.T).transpose(2, 0, 1)
            mean, column = _together(taken, places, laws)
            found = self._effects(left, column, spread)
            found = found._replace(cost=np.where(np.isfinite(found.cost), found.cost, _WORST))
            before, cost = cost, self.mixed(found.cost)[0]
            carrying = self.carrying(found.cost) + 1e-14
            squares = carrying * (found.effect**2 + found.variance)
            following = np.sqrt(squares.sum(axis=1) / carrying.sum(axis=1))
            at = _Start(self._weights(found.cost, found.tau), carrying, following, laws)
            if step and np.all(np.abs(before - cost) < _SETTLED):
                break
        best = int(np.argmin(cost))
        both = _products(beside, column, at, spread)[0]
        return VaryingFit(
            coefficients=laws[best],
            cost=float(cost[best]),
            by_node=found.cost[best],
            follows=self.mixed(found.cost)[1][best],
            weights=at.weights[best],
            covariance=np.linalg.pinv(np.nan_to_num(both[best, :-1, :-1])),
            places=tuple(places),
            mean=float(mean[best]),
            effect=found.effect[best],
            error=np.sqrt(found.variance[best]),
            spread=float(spread[best]),
            column=column[best],
        )


def _together(
    taken: np.ndarray, places: Sequence[int], laws: Float[np.ndarray, "start column"]
) -> tuple[np.ndarray, Float[np.ndarray, "start node row"]]:
    """Length of the coefficients that vary together (start,), and what a change of it multiplies."""
    some = laws[:, list(places)]
    if len(places) == 1:
        return some[:, 0], np.broadcast_to(taken[..., places[0]], (len(laws), *taken.shape[:2]))
    length = np.linalg.norm(some, axis=1) + _NOTHING
    return length, np.matmul(taken[..., list(places)], (some / length[:, None]).T).transpose(
        2, 0, 1
    )


def _products(
    beside: Float[np.ndarray, "node row column"],
    column: Float[np.ndarray, "start node row"],
    at: _Start,
    spread: np.ndarray,
) -> tuple[Float[np.ndarray, "start column column"], np.ndarray]:
    """Products of columns under some weights, the effect of each node integrated out; and the mean square of
    the columns, (start, 1, 1)."""
    flat = beside.reshape(-1, beside.shape[2])
    weighted = at.weights.reshape(len(at.weights), -1, 1) * flat
    along = np.matmul((at.weights * column)[:, :, None], beside)[:, :, 0]
    length = (at.weights * column**2).sum(axis=2) + _NOTHING
    share = 1.0 / (at.carrying / np.maximum(spread[:, None] ** 2, _NOTHING) + length)
    taken_out = np.matmul((along * share[..., None]).transpose(0, 2, 1), along)
    whole = np.matmul(weighted.transpose(0, 2, 1), flat)
    scale = np.trace(whole[:, :-1, :-1], axis1=1, axis2=2)[:, None, None] / (beside.shape[2] - 1)
    return whole - taken_out, scale
