"""Which law of single nodes explains most once a few edges are changed.

On a spoiled network the right law is followed by few, and a wrong one may be followed by more: where edges
are lost, the mean over neighbours changes less than their sum. What tells them apart is the price of the
edges that the others would have to have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.dynamics.terms import INTERACTION
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_search import SetSearch
from jaxllc.nodewise.edges.sender_columns import SenderColumns
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.nodewise.robust_search import RobustLaw, RobustSearch
from jaxllc.running.time_limit import check_time

# Receivers that all laws are tried on, and laws that are then tried on all receivers.
_SOME, _LAWS = 12, 3
# Receivers with the most senders, of which many flips would be tried for little.
_MOST = 0.8
# By how much another law must be better.
_GAIN = 15.0
# Place of the tau of a receiver that follows, as a rule.
_USUAL = 3


def mends_best(
    search: RobustSearch, laws: Sequence[RobustLaw], prior: EdgePrior | None = None
) -> RobustLaw | None:
    """The law of a search that costs least once a few edges are changed, edges that change included; None
    where that is the first of some laws, or nearly.

    laws: the best on the network as it is given; prior: of edges.
    """
    rows = search.rows
    if not isinstance(rows, NodeRows):
        return None
    network = rows.network
    asked = np.flatnonzero(rows.counted.any(axis=1))
    degrees = np.bincount(network.receivers, minlength=network.num_nodes)
    order = asked[np.argsort(degrees[asked], kind="stable")]
    order = order[degrees[order] > 0]
    last = max(0, round(_MOST * len(order)) - 1)
    some = order[np.unique(np.linspace(0, last, _SOME).astype(int))] if len(order) else order
    edges = _Edges(rows, search.fitter.noise, prior or EdgePrior())
    listed = _by_interactions(search.ranked())
    if not len(some) or not listed:
        return None
    costs = [edges.cost(law, some) for law in listed]
    best = [listed[k] for k in np.argsort(costs, kind="stable")[:_LAWS]]
    own = edges.cost(laws[0], asked) if _mendable(laws[0]) else laws[0].criterion
    whole = [own if law is laws[0] else edges.cost(law, asked) for law in best]
    place = int(np.argmin(whole))
    return best[place] if whole[place] < own - _GAIN else None


def _mendable(law: RobustLaw) -> bool:
    """Whether what edges add to a receiver can be told apart."""
    terms = [t.family for t in law.terms]
    adds = any(f.side == INTERACTION for f in terms)
    return adds and not any(sums_in(f.expression) for f in terms)


def _by_interactions(laws: Sequence[RobustLaw]) -> list[RobustLaw]:
    """The first of each set of interactions among laws whose edges add up."""
    first: dict[frozenset, RobustLaw] = {}
    for law in laws:
        if _mendable(law) and np.isfinite(law.criterion):
            key = frozenset(f for f in law.key if f.side == INTERACTION)
            first.setdefault(key, law)
    return list(first.values())


class _Edges:
    """What laws of one variable cost on receivers whose edges may change."""

    def __init__(self, rows: NodeRows, noise: float, prior: EdgePrior) -> None:
        self.rows, self.noise, network = rows, noise, rows.network
        self.odds = prior.log_odds(network)
        self.given = np.zeros(self.odds.shape, dtype=bool)
        self.given[network.receivers, network.senders] = True
        usual = float(np.median(network.weights)) if network.num_edges else 1.0
        self.weights = np.full(self.odds.shape, usual)
        self.weights[network.receivers, network.senders] = network.weights

    def cost(self, law: RobustLaw, receivers: np.ndarray) -> float:
        """The criterion of a law on some receivers with the edges that suit them best, at their price."""
        check_time()
        columns = SenderColumns([self.rows], [self.noise], [law.terms], [law.coefficients.tolist()])
        total = law.criterion - law.fit.cost
        for receiver in receivers:
            senders = columns.of(int(receiver))
            given = self.given[receiver]
            if (~senders.usable & given).any() or not np.isfinite(senders.alone).all():
                total += senders.cap
                continue
            odds = np.where(senders.usable, self.odds[receiver], -np.inf)
            search = SetSearch(senders, self.weights[receiver], odds, _USUAL)
            found = search.near(given)
            price = given[search.free] @ search.odds - found.members[:, search.free] @ search.odds
            best = float((found.costs + 2.0 * price).min())
            total += -2.0 * float(np.logaddexp(-best / 2.0, -senders.cap / 2.0))
        return total
