"""Weights of edges that are known: a normal number for each edge, about a mean that all share.

The samples of a node are linear in self terms, in the mean weight times what all its senders add, and in what
each weight is beyond the mean. The last are random effects with a spread of their own: they are projected
out of every node, and the forms of an interaction are compared by the marginal likelihood (Harville 1977).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.dynamics.terms import Term
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.nodewise.robust_fit import TAUS
from jaxllc.running.time_limit import check_time
from jaxllc.unknown_network.pair_columns import PairColumns

# Rounds of constants, spread and discrepancies; of inner constants, and the change at which these rest.
_ROUNDS, _STEPS, _RESTS = 6, 6, 1e-3
# Spread of the weights over their mean at the start, and the least one.
_SPREAD, _LEAST = 0.3, 0.01
# Forms whose inner constants are moved, and those whose self terms are left out one by one.
_MOVED, _SHORTENED = 8, 3


class WeightedLaw(NamedTuple):
    """An equation with weights of its own for each edge.

    own, pair: its self terms and its interaction; coefficients: of the self terms; weights, errors:
    (receiver, sender) of the interaction, its coefficient included; criterion: -2 log marginal likelihood and
    a price for each constant.
    """

    own: tuple[Term, ...]
    pair: Term
    coefficients: np.ndarray
    weights: Float[np.ndarray, "receiver sender"]
    errors: Float[np.ndarray, "receiver sender"]
    criterion: float


class _Fit(NamedTuple):
    """A law, steps of the inner constants of its interaction where these were asked for, and the covariance
    of the coefficients of its self terms, its mean weight and its inner constants."""

    law: WeightedLaw
    steps: np.ndarray
    covariance: np.ndarray


class UnknownWeights:
    """Searches the equation of one variable. present: the edges, (receiver, sender)."""

    def __init__(
        self,
        rows: NodeRows,
        noise: float,
        own: Sequence[Term],
        pairs: Sequence[Term],
        present: Bool[np.ndarray, "receiver sender"],
    ) -> None:
        self.rows, self.noise, self.own, self.library = rows, noise, tuple(own), list(pairs)
        self.nodes = np.flatnonzero(rows.counted.any(axis=1))
        self.columns = PairColumns(rows, noise, own, self.nodes)
        self.present = present
        most = max(int(present[self.nodes].sum(axis=1).max(initial=0)), 1)
        self.places = np.zeros((len(self.nodes), most), dtype=int)
        self.real = np.zeros((len(self.nodes), most), dtype=bool)
        for place, node in enumerate(self.nodes):
            senders = np.flatnonzero(present[node])
            self.places[place, : len(senders)] = senders
            self.real[place, : len(senders)] = True
        counted = rows.counted[self.nodes]
        variances = 1.0 + TAUS[:, None, None] ** 2 * rows.sizes[self.nodes]
        self.inverse = counted / variances
        self.logs = (np.log(variances) * counted).sum(axis=2)
        self.count = float(counted.sum())

    def best(self) -> list[WeightedLaw]:
        """The best laws, each family once, the very best first."""
        found = []
        for term in self.library:
            check_time()
            found.append(self.fitted(self.own, term))
        found = _distinct(found)
        found = _distinct([self.moved(law) for law in found[:_MOVED]])
        return _distinct([self.shortened(law) for law in found[:_SHORTENED]])

    def _pair(self, columns: np.ndarray) -> np.ndarray:
        taken = np.take_along_axis(columns, self.places[..., None], axis=1)
        return np.where(self.real[..., None], taken, 0.0)

    @property
    def none(self) -> float:
        """The criterion of all self terms without any interaction."""
        c, y, nodes = self.columns.own, self.columns.target, np.arange(len(self.nodes))
        tau = np.zeros(len(y), dtype=int)
        for _ in range(_ROUNDS):
            cw = c * self.inverse[tau, nodes][:, None]
            gram, right = np.einsum("npr,nqr->pq", cw, c), np.einsum("npr,nr->p", cw, y)
            constants = np.linalg.pinv(gram, hermitian=True, rcond=1e-12) @ right
            left = y - np.einsum("p,npr->nr", constants, c)
            costs = np.einsum("gnr,nr->gn", self.inverse, left**2) + self.logs
            tau = costs.argmin(axis=0)
        return float(costs[tau, nodes].sum() + c.shape[1] * np.log(self.count))

    def fitted(self, own: Sequence[Term], pair: Term) -> WeightedLaw:
        """The law of some self terms and an interaction."""
        return self._fit(own, pair, False).law

    def standard_errors(self, law: WeightedLaw) -> np.ndarray:
        """Of the coefficients of the self terms, the mean weight and the inner constants."""
        covariance = self._fit(law.own, law.pair, True).covariance
        return np.sqrt(np.maximum(np.diag(covariance), 0.0))

    def _fit(self, own: Sequence[Term], pair: Term, slopes: bool) -> _Fit:
        kept = [self.own.index(t) for t in own]
        fixed = self.columns.own[:, kept]
        z = self._pair(self.columns.of(pair))
        y, mean, spread = self.columns.target, 1.0, None
        tilted = [
            self._pair(self.columns.slope(pair, k)) for k in range(len(pair.inner) if slopes else 0)
        ]
        deviations = np.zeros(self.real.shape)
        tau = np.zeros(len(y), dtype=int) + 3
        nodes = np.arange(len(y))
        for _ in range(_ROUNDS):
            w = self.inverse[tau, nodes]
            weights = mean + deviations
            beside = [np.einsum("nk,nkr->nr", weights * self.real, t) for t in tilted]
            c = np.concatenate(
                [fixed, z.sum(axis=1)[:, None], *(b[:, None] for b in beside)], axis=1
            )
            zw, cw = z * w[:, None], c * w[:, None]
            inner = np.matmul(zw, z.transpose(0, 2, 1))
            if spread is None:
                spread = _SPREAD * max(abs(self._plain_mean(c, cw, y)), 1e-12)
            inner += np.eye(z.shape[1]) / spread**2
            both = np.matmul(zw, np.concatenate([c, y[:, None]], axis=1).transpose(0, 2, 1))
            solved = np.linalg.solve(inner, both)
            gram = np.einsum("npr,nqr->pq", cw, c) - np.einsum(
                "nkp,nkq->pq", both[..., :-1], solved[..., :-1]
            )
            right = np.einsum("npr,nr->p", cw, y) - np.einsum(
                "nkp,nk->p", both[..., :-1], solved[..., -1]
            )
            scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
            gram = gram / np.outer(scale, scale) + 1e-10 * np.eye(len(scale))
            constants = np.linalg.solve(gram, right / scale) / scale
            deviations = solved[..., -1] - solved[..., :-1] @ constants
            mean = constants[len(kept)]
            left = y - np.einsum("p,npr->nr", constants, c) - np.einsum("nk,nkr->nr", deviations, z)
            costs = np.einsum("gnr,nr->gn", self.inverse, left**2) + self.logs
            own_cost = costs[tau, nodes].sum()
            posterior = np.diagonal(np.linalg.inv(inner), axis1=1, axis2=2)
            marginal = (
                own_cost
                + (deviations[self.real] ** 2).sum() / spread**2
                + np.linalg.slogdet(inner)[1].sum()
                + self.real.size * np.log(spread**2)
            )
            tau = costs.argmin(axis=0)
            second = (deviations**2 + posterior)[self.real].mean()
            spread = max(float(np.sqrt(second)), _LEAST * abs(mean), 1e-12)
        price = (len(kept) + 2 + len(pair.inner)) * np.log(self.count)
        full = np.zeros(self.present.shape)
        errors = np.zeros(self.present.shape)
        at = self.nodes[np.nonzero(self.real)[0]], self.places[self.real]
        full[at], errors[at] = (mean + deviations)[self.real], np.sqrt(posterior[self.real])
        law = WeightedLaw(
            tuple(own), pair, constants[: len(kept)], full, errors, float(marginal + price)
        )
        covariance = np.linalg.pinv(gram, hermitian=True) / np.outer(scale, scale)
        return _Fit(law, constants[len(kept) + 1 :], covariance)

    def _plain_mean(self, c: np.ndarray, cw: np.ndarray, y: np.ndarray) -> float:
        gram = np.einsum("npr,nqr->pq", cw, c)
        right = np.einsum("npr,nr->p", cw, y)
        return float((np.linalg.pinv(gram, hermitian=True, rcond=1e-12) @ right)[-1])

    def moved(self, law: WeightedLaw) -> WeightedLaw:
        """The law after steps of the inner constants of its interaction."""
        for _ in range(_STEPS if law.pair.inner else 0):
            check_time()
            steps = self._fit(law.own, law.pair, True).steps
            inner = np.array(law.pair.inner)
            reach = 0.5 * np.abs(inner) + 1e-12
            new = law.pair.with_inner((inner + np.clip(steps, -reach, reach)).tolist())
            better = self.fitted(law.own, new)
            change = np.max(np.abs(np.array(new.inner) / inner - 1.0))
            if not better.criterion < law.criterion:
                break
            law = better
            if change < _RESTS:
                break
        return law

    def shortened(self, law: WeightedLaw) -> WeightedLaw:
        """The law without self terms that do not pay for themselves."""
        while law.own:
            shorter = [
                self.moved(self.fitted([t for t in law.own if t is not term], law.pair))
                for term in law.own
            ]
            best = min(shorter, key=lambda one: one.criterion)
            if best.criterion >= law.criterion:
                break
            law = best
        return law


def _distinct(laws: Sequence[WeightedLaw]) -> list[WeightedLaw]:
    found: dict = {}
    for law in sorted(laws, key=lambda one: one.criterion):
        found.setdefault((law.pair.family, frozenset(law.own)), law)
    return list(found.values())
