"""Sets of senders of one receiver, the best first.

The senders of a receiver share a common course, which fixes how many act on it long before it tells which:
one flip at a time makes a set of senders worse. Sets are therefore varied by one and two flips at a time, a
beam of them, and where that leaves more than the noise by any two pairs of flips at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.nodewise.edges.flip_sums import FlipSums
from jaxllc.nodewise.edges.sender_columns import Senders
from jaxllc.nodewise.robust_fit import TAUS

# States of a beam, those that follow from each, and rounds.
_WIDTH, _MOVES, _ROUNDS = 12, 48, 5
# Rounds where only some flips are looked for.
_NEARBY = 2
# States that are scored with tau profiled, for each tau of a beam.
_SCORED = 300
# A beam ends where its best is so much below the best of all.
_BELOW = 30.0
# Senders that a beam flips, at most.
_POOL = 100
# Flips at once, in two halves, out of so many that are the likeliest; states that are kept of them.
_HALVES = ((60, (1, 2)), (60, (2, 2)), (60, (2, 3)), (60, (3, 3)), (32, (3, 4)), (32, (4, 4)))
_KEPT = 2000
# What is so near to following may be as good as it gets: one more size is tried, unless it falls.
_NEAR = 1.3


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of senders that were visited, the best first.

    members: (state, sender); score: (state,) log likelihood with tau profiled plus log prior; costs: (state,)
    -2 log likelihood; places: (state, variable) of tau.
    """

    members: Bool[np.ndarray, "state sender"]
    score: Float[np.ndarray, " state"]
    costs: Float[np.ndarray, " state"]
    places: np.ndarray


class SetSearch:
    """Searches the sets of senders of one receiver.

    weights: (sender,) of an edge where there is one; log_odds: (sender,) of the prior, -inf or inf where
    an edge is forbidden or sure; usual: place of the tau of a receiver that follows.
    """

    def __init__(
        self, senders: Senders, weights: np.ndarray, log_odds: np.ndarray, usual: int
    ) -> None:
        self.senders, self.usual = senders, usual
        self.free = np.flatnonzero(np.isfinite(log_odds))
        sure = np.flatnonzero(log_odds == np.inf)
        self._sure = sure
        self._count = len(log_odds)
        columns = np.where(log_odds == -np.inf, 0.0, senders.columns.T * weights).T
        self.alone = senders.alone - columns[sure].sum(axis=0)
        self.columns, self.odds = columns[self.free], log_odds[self.free]
        self._kept_sums: dict[tuple[int, int], FlipSums] = {}

    def found(
        self,
        given: Bool[np.ndarray, " sender"],
        known: Bool[np.ndarray, "state sender"] | None = None,
        far: bool = True,
    ) -> Sets:
        """The best sets that lead off from the given one, and from those that are known, the best first.

        far: whether many flips at once are tried where that leaves more than the noise.
        """
        given = given[self.free][None]
        known = given if known is None else known[:, self.free]
        starts = _distinct(np.concatenate([given, known[:2]]))
        costs, places = self._costs(starts)
        own = int(places[np.argmin(costs)].max())
        levels = [self.usual, min(self.usual + 3, len(TAUS) - 1), (self.usual + own) // 2]
        levels = list(dict.fromkeys(levels))
        members = [given, known, *(self._beam(starts, level) for level in levels)]
        found = self._scored(np.concatenate(members))
        if far and self._costs(known[:1])[0][0] > self.senders.cap:
            found = self._leapt(found, given[0], levels)
        return self._whole(found)

    def near(self, given: Bool[np.ndarray, " sender"]) -> Sets:
        """The best sets that a few flips of the given one lead to, by the tau of a receiver that follows."""
        given = given[self.free][None]
        beam = self._beam(given, self.usual, _NEARBY)
        return self._whole(self._scored(np.concatenate([given, beam])))

    def _whole(self, found: Sets) -> Sets:
        """The same sets among all senders."""
        whole = np.zeros((len(found.members), self._count), dtype=bool)
        whole[:, self.free] = found.members
        whole[:, self._sure] = True
        return Sets(whole, found.score, found.costs, found.places)

    def single_flips(self, members: Bool[np.ndarray, " sender"], places: np.ndarray) -> np.ndarray:
        """Log odds (sender,) of each edge, given all others of a set and the tau of each variable."""
        weights = self.senders.weights(places)
        own = members[self.free]
        left = self._left(own[None])[0]
        sizes = self.columns**2 @ weights
        odds = (self.columns * weights) @ left + (own - 0.5) * sizes + self.odds
        found = np.full(self._count, -np.inf)
        found[self._sure] = np.inf
        found[self.free] = odds
        return found

    def _left(self, states: np.ndarray) -> np.ndarray:
        return self.alone - states @ self.columns

    def _costs(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.senders.likelihoods(self._left(states))

    def _scored(self, states: np.ndarray) -> Sets:
        states = _distinct(states)
        costs, places = self._costs(states)
        score = -0.5 * costs + states @ self.odds
        order = np.argsort(-score, kind="stable")
        return Sets(states[order], score[order], costs[order], places[order])

    def _beam(self, starts: np.ndarray, level: int, rounds: int = _ROUNDS) -> np.ndarray:
        """States (state, sender) that one and two flips, round after round, lead to at a tau."""
        weights = self.senders.weights([level] * len(self.senders.parts))
        pool = np.arange(len(self.odds))
        if len(pool) > _POOL:
            pool = np.sort(self._likely(starts[0])[:_POOL])
        columns, odds = self.columns[pool], self.odds[pool]
        gram = (columns * weights) @ columns.T
        first, second = np.triu_indices(len(pool), 1)
        between = gram[first, second]
        seen = front = starts
        best = -np.inf
        for _ in range(rounds):
            signs = 1.0 - 2.0 * front[:, pool]
            single = signs * ((self._left(front) * weights) @ columns.T + odds)
            single -= 0.5 * np.diag(gram)
            pairs = single[:, first] + single[:, second]
            pairs -= signs[:, first] * signs[:, second] * between
            two = _largest(pairs, _MOVES)
            one = _largest(single, _WIDTH)
            new = [
                _flipped(front, np.stack([pool[first[two]], pool[second[two]]], axis=-1)),
                _flipped(front, pool[one][..., None]),
            ]
            before = len(seen)
            seen = _distinct(np.concatenate([seen, *new]))
            if len(seen) == before:
                break
            score = self._at(seen[before:], weights)
            order = np.argsort(-score, kind="stable")
            front = seen[before:][order[:_WIDTH]]
            best = max(best, score[order[0]])
            if score[order[0]] < best - _BELOW:
                break
        return seen[np.argsort(-self._at(seen, weights), kind="stable")[:_SCORED]]

    def _at(self, states: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Log likelihood plus log prior (state,) at given weights, up to a constant."""
        return -0.5 * (self._left(states) ** 2 @ weights) + states @ self.odds

    def _leapt(self, found: Sets, start: np.ndarray, levels: list[int]) -> Sets:
        """What is found by many flips of a start at once, fewer first, until it reaches the noise."""
        rests = False
        order = self._likely(start)
        for most, halves in _HALVES:
            new = [found.members]
            flipped = order[:most]
            for level in levels[:2]:
                flips = flipped[self._sums(start, level, flipped).sets(*halves)]
                new.append(_flipped(start[None], flips[None]))
            before = found.score[0]
            found = self._cut(self._scored(np.concatenate(new)))
            if rests:
                break
            near = found.costs[0] <= _NEAR * self.senders.cap and found.score[0] == before
            rests = near or found.costs[0] <= self.senders.cap
        self._kept_sums.clear()
        around = self._beam(found.members[:_WIDTH], self.usual)
        return self._scored(np.concatenate([found.members, around]))

    def _sums(self, start: np.ndarray, level: int, flipped: np.ndarray) -> FlipSums:
        key = level, len(flipped)
        if key not in self._kept_sums:
            weights = np.sqrt(self.senders.weights([level] * len(self.senders.parts)))
            steps = ((1.0 - 2.0 * start)[:, None] * self.columns * weights)[flipped]
            self._kept_sums[key] = FlipSums(steps, self._left(start[None])[0] * weights)
        return self._kept_sums[key]

    def _likely(self, start: np.ndarray) -> np.ndarray:
        """Flips of a start, the likeliest first, as if edges were normal numbers of the prior's spread."""
        weights = np.sqrt(self.senders.weights([self.usual] * len(self.senders.parts)))
        steps = (1.0 - 2.0 * start)[:, None] * self.columns * weights
        share = 1.0 / (1.0 + np.exp(np.where(start, self.odds, -self.odds)))
        spread = np.sqrt(share * (1.0 - share))
        scaled = steps * spread[:, None]
        left = self._left(start[None])[0] * weights - share @ steps
        within = np.eye(len(share)) + scaled @ scaled.T
        return np.argsort(-np.linalg.solve(within, scaled @ left), kind="stable")

    def _cut(self, found: Sets) -> Sets:
        """The best of them."""
        return Sets(*(v[:_KEPT] for v in (found.members, found.score, found.costs, found.places)))


def _largest(values: np.ndarray, most: int) -> np.ndarray:
    """Places (row, place) of so many of the largest values of each row at most."""
    most = min(most, values.shape[1])
    if most == values.shape[1]:
        return np.broadcast_to(np.arange(most), values.shape)
    return np.argpartition(-values, most - 1, axis=1)[:, :most]


def _flipped(states: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """Every state (state, sender) with each of its sets of flips (state, set, flip), one after the other."""
    new = np.repeat(states, flips.shape[1], axis=0)
    flips = flips.reshape(len(new), flips.shape[-1])
    np.put_along_axis(new, flips, ~np.take_along_axis(new, flips, axis=1), axis=1)
    return new


def _distinct(states: np.ndarray) -> np.ndarray:
    """States without those that were there before, in their order."""
    packed = np.ascontiguousarray(np.packbits(states, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    places = np.unique(keys, return_index=True)[1]
    return states[np.sort(places)]
