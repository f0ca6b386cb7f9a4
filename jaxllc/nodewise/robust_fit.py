"""Constants of a law from the nodes that follow it.

Each node has a discrepancy tau_i of its own, profiled on a grid. A node follows the law or does not: the
cost of all nodes is that of a mixture in which one that does not pays a fixed price, so that any number of
spoiled nodes leaves the constants alone. The cost has many minima; it is descended from the laws of single
nodes, since a law that nodes share is that of each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer

from jaxllc.nodewise.node_rows import Rows

# Discrepancies over the noise that are tried.
TAUS = np.concatenate([[0.0], np.logspace(-1.0, 3.0, 18)])
# -2 log L at which a node follows as likely as not, for each of its rows.
CAP = 1.4
# Nodes that carry a fit at least; single nodes whose laws are tried as starts, and those they are tried on.
_CARRIERS, _STARTS, _JUDGES = 5, 60, 150
_STEPS, _SETTLED = 10, 0.05
# A column as short as this beside the longest has nothing to say.
_NOTHING = 1e-300


@dataclass(frozen=True)
class RobustFit:
    """Coefficients (column,) of the columns of a law, cost of all nodes, -2 log L of each node, the
    probability of each that it follows, weights (node, row), and the covariance of the coefficients."""

    coefficients: np.ndarray
    cost: float
    by_node: np.ndarray
    follows: np.ndarray
    weights: np.ndarray
    covariance: np.ndarray


class RobustFitter:
    """Fits columns (node, row) to the samples of a variable; see `Rows`. noise: of a sample."""

    def __init__(self, rows: Rows, noise: float) -> None:
        self.kept = np.flatnonzero(rows.counted.any(axis=1))
        self.target = rows.target[self.kept] / noise
        self.noise = noise
        counted = rows.counted[self.kept]
        self.inverse = counted / (1.0 + TAUS[:, None, None] ** 2 * rows.sizes[self.kept])
        # (node, row, tau), so that one product serves all.
        self._by_tau = np.ascontiguousarray(self.inverse.transpose(1, 2, 0))
        with np.errstate(divide="ignore"):
            logs = np.where(counted, np.log(np.where(counted, self.inverse, 1.0)), 0.0)
        self._log_sizes = -logs.sum(axis=2).T  # (node, tau)
        self.cap = CAP * rows.num_rows[self.kept]
        self.num_rows = float(counted.sum())
        self.carriers = min(_CARRIERS, len(self.kept))

    def taken(self, columns: list[np.ndarray]) -> Float[np.ndarray, "node row column"]:
        """Columns of the nodes that count, in units of the noise."""
        return np.stack([c[self.kept] for c in columns], axis=-1) / self.noise

    def likelihoods(
        self, left: Float[np.ndarray, "start node row"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """-2 log L (start, node) of what is left, and the place of each node's tau."""
        squares = np.matmul((left**2).transpose(1, 0, 2), self._by_tau).transpose(1, 0, 2)
        costs = squares + self._log_sizes
        place = costs.argmin(axis=2)
        return np.take_along_axis(costs, place[..., None], axis=2)[..., 0], place

    def whitened(
        self, fit: RobustFit, values: Float[np.ndarray, "node row column"]
    ) -> Float[np.ndarray, "node row column"]:
        """Values as their sums of squares count under a fit."""
        return values * np.sqrt(fit.weights)[..., None]

    def mixed(self, by_node: np.ndarray, wider: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """The cost of all nodes (start,) and the probability of each that it follows (start, node)."""
        cap = wider * self.cap
        away = np.clip((by_node - cap) / 2.0, -700.0, 700.0)
        return (cap - 2.0 * np.logaddexp(-away, 0.0)).sum(axis=-1), 1.0 / (1.0 + np.exp(away))

    def fit(self, columns: list[np.ndarray], start: RobustFit | None = None) -> RobustFit:
        """The best fit of some columns. start: whose weights it starts from; the laws of single nodes by
        default."""
        taken = self.taken(columns)
        sizes = np.sqrt((taken**2).mean(axis=(0, 1)))
        sizes = np.where(sizes > 0, sizes, 1.0)
        taken = taken / sizes
        starts = self._starts(taken) if start is None else start.weights[None]
        found = self._descended(taken, starts)
        return replace(
            found,
            coefficients=found.coefficients / sizes,
            covariance=found.covariance / np.outer(sizes, sizes),
        )

    def _starts(self, taken: np.ndarray) -> np.ndarray:
        """Weights (start, node, row): of the laws of single nodes that cost least, and of all nodes alike."""
        laws = self.single_laws(taken)
        left = self.target - np.matmul(taken, laws.T).transpose(2, 0, 1)
        by_node, place = self.likelihoods(left)
        tries = self.likeliest(by_node)
        alike = (self.inverse[:1] > 0).astype(float)
        return np.concatenate([self._weights(by_node[tries], place[tries]), alike])

    def single_laws(self, taken: np.ndarray) -> Float[np.ndarray, "start column"]:
        """Laws of single nodes by least squares, spread over all, and the median of these."""
        nodes, _, count = taken.shape
        chosen = _spread(nodes, _STARTS)
        own = taken[chosen].transpose(0, 2, 1)
        gram = np.matmul(own, taken[chosen])
        products = np.matmul(own, self.target[chosen][..., None])[..., 0]
        trace = np.trace(gram, axis1=1, axis2=2)[:, None, None] + _NOTHING
        single = np.linalg.solve(gram + 1e-9 * trace * np.eye(count), products[..., None])[..., 0]
        single = single[np.isfinite(single).all(axis=1)]
        return np.concatenate([single, np.median(single, axis=0)[None]])

    def likeliest(self, by_node: np.ndarray) -> Integer[np.ndarray, " _"]:
        """Starts that cost least, by the cap and by a wide one."""
        first = np.argsort(self.mixed(by_node)[0])[:2]
        wide = np.argsort(self.mixed(by_node, 2.0)[0])[:1]
        return np.unique(np.concatenate([first, wide]))

    def _weights(self, by_node: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Weights (start, node, row) by the tau of each node and by whether it follows."""
        nodes = np.arange(by_node.shape[1])
        return self.inverse[place, nodes] * (self.carrying(by_node)[..., None] + 1e-14)

    def carrying(self, by_node: np.ndarray) -> Float[np.ndarray, "start node"]:
        """How much each node counts: the probability that it follows, under a cap that leaves enough nodes to
        carry a fit."""
        least = np.sort(by_node / self.cap, axis=1)[:, self.carriers - 1]
        return np.stack(
            [self.mixed(q, max(1.0, wide))[1] for q, wide in zip(by_node, least, strict=True)]
        )

    def _descended(self, taken: np.ndarray, weights: np.ndarray) -> RobustFit:
        """The best of the minima that some weights (start, node, row) lead to."""
        count = taken.shape[2]
        flat, cost = taken.reshape(-1, count), np.full(len(weights), np.inf)
        beside = np.concatenate([flat, self.target.reshape(-1, 1)], axis=1)
        for _ in range(_STEPS):
            weighted = weights.reshape(len(weights), -1, 1) * flat
            both = np.matmul(weighted.transpose(0, 2, 1), beside)
            gram, products = both[..., :-1], both[..., -1]
            trace = np.trace(gram, axis1=1, axis2=2)[:, None, None] / count + _NOTHING
            steady = gram + 1e-10 * trace * np.eye(count)
            laws = np.linalg.solve(steady, products[..., None])[..., 0]
            left = self.target - np.matmul(taken, laws.T).transpose(2, 0, 1)
            by_node, place = self.likelihoods(left)
            before, (cost, follows) = cost, self.mixed(by_node)
            weights = self._weights(by_node, place)
            if np.all(np.abs(before - cost) < _SETTLED):
                break
        best = int(np.argmin(cost))
        weighted = weights[best].reshape(-1, 1) * flat
        covariance = np.linalg.pinv(weighted.T @ flat)
        return RobustFit(
            laws[best], float(cost[best]), by_node[best], follows[best], weights[best], covariance
        )


def _spread(count: int, most: int) -> np.ndarray:
    """So many of some numbers at most, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
