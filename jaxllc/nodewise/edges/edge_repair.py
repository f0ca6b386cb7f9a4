"""Edges of a network under a law: the probability that each is there, and law and edges in turn.

Whether a sender acts on a receiver is read off the receiver's own samples, given the smoothed states of all
nodes (see `node_rows`). The prior of an edge is learned from the receivers that follow the law after repair,
beginning with what the user believes. Where no set of senders takes a receiver to the noise, its evidence is
tempered: the right set was not among those that were tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float

from jaxllc.data.network import Network
from jaxllc.dynamics.terms import INTERACTION, Term
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_search import Sets, SetSearch
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.nodewise.edges.sender_columns import SenderColumns
from jaxllc.nodewise.map_rows import rows_of
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.nodewise.robust_fit import RobustFitter
from jaxllc.nodewise.robust_search import RobustLaw, RobustSearch
from jaxllc.running.time_limit import check_time
from jaxllc.smoothing.grid_data import GridData

# Rounds of law and edges, and those in which many flips are tried at once; sets of a receiver that are taken
# from one round to the next.
_ROUNDS, _FAR, _KEPT = 4, 2, 200
# By how much all evidence is tempered, since the likelihood takes smoothed states for true ones, how fast
# more where a receiver is above the noise, and how fast the prior is mixed in there: chosen by calibration.
_HEAT, _TEMPERED, _MIXED = 1.7, 3.0, 2.0
# Share of sets that is no disagreement, and log odds beyond which nothing is more certain.
_AGREED, _CERTAIN = 1e-6, 300.0
# Receivers that follow at least, to tell the discrepancy of one that does.
_FEWEST = 3


class Problem(Protocol):
    """What edges are read from, such as a `SearchProblem`: data, the network as it was given, and the noise
    (variable,) of a sample."""

    @property
    def data(self) -> GridData: ...

    @property
    def network(self) -> Network: ...

    @property
    def noise(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Repair:
    """A law and the edges that go with it.

    table: every pair of nodes with its probability; network: repaired; law: its constants fitted on the
    repaired network; costs: -2 log of likelihood and prior of the given and of the repaired network, each
    with constants of its own; rounds: of law and edges.
    """

    table: EdgeTable
    network: Network
    law: CandidateLaw
    costs: tuple[float, float]
    rounds: int


class _Fitted(NamedTuple):
    """A law on a network: its rows, cost of all nodes and place of the tau of one that follows."""

    law: CandidateLaw
    rows: list[NodeRows]
    cost: float
    usual: int


def repairable(law: CandidateLaw) -> str:
    """Why the edges of a law cannot be read off single receivers; empty where they can."""
    terms = [t for equation in law.terms for t in equation]
    if not any(t.family.side == INTERACTION for t in terms):
        return "the law has no interaction, so that no edge shows in the samples"
    if any(sums_in(t.family.expression) for t in terms):
        return "the law holds functions of the sum over neighbours, in which edges do not add up"
    return ""


def repaired(
    problem: Problem,
    law: CandidateLaw,
    prior: EdgePrior | None = None,
    rounds: int = _ROUNDS,
    hurried: Callable[[], bool] = lambda: False,
) -> Repair:
    """The edges of the network of a problem under a law that is `repairable`, and the law on that network.

    prior: what is believed of edges beforehand; rounds: of law and edges, at most; hurried: whether many
    flips of a receiver's edges at once, which take longest, are left out from now on. The same problem gives
    the same result: nothing is drawn at random.
    """
    noise = [float(n) for n in problem.noise]
    prior = prior or EdgePrior()
    return _Repairing(problem.data, problem.network, noise, law, prior, hurried).run(rounds)


class _Repairing:
    """Law and edges in turn; arrays of edges are (receiver, sender)."""

    def __init__(
        self,
        data: GridData,
        network: Network,
        noise: Sequence[float],
        law: CandidateLaw,
        prior: EdgePrior,
        hurried: Callable[[], bool],
    ) -> None:
        self.hurried = hurried
        self.data, self.given, self.noise, self.law, self.prior = data, network, noise, law, prior
        given = np.zeros((network.num_nodes, network.num_nodes), dtype=bool)
        given[network.receivers, network.senders] = True
        usual = float(np.median(network.weights)) if network.num_edges else 1.0
        self.weights = np.full(given.shape, usual)
        self.weights[network.receivers, network.senders] = network.weights
        self.odds = prior.log_odds(network)
        # The samples say nothing of what a node sends whose states were never observed.
        seen = np.all([np.asarray(o.any(axis=2).all(axis=0)) for o in data.observed], axis=0)
        self.asked = np.broadcast_to(seen, given.shape)
        self.odds[~self.asked] = np.where(given[~self.asked], np.inf, -np.inf)
        self.start = (given | (self.odds == np.inf)) & (self.odds > -np.inf)
        self.kept: dict[int, np.ndarray] = {}

    def run(self, rounds: int) -> Repair:
        """Law and edges in turn, until both rest."""
        fitted = first = self._fitted(self.start, self.law)
        best, current, believed = (first.cost, self.start, first), self.start, self.odds
        probability, follows, done = _sigmoid(self.odds), np.full(len(self.odds), np.nan), 0
        for _ in range(rounds):
            done += 1
            state, probability, follows = self._edges(fitted, believed, done <= _FAR)
            believed = self._learned(probability, follows)
            fitted, rests = self._fitted(state, fitted.law), np.array_equal(state, current)
            current = state
            if self._price(fitted, current) < best[0]:
                best = self._price(fitted, current), current, fitted
            if rests:
                break
        asked = np.isfinite(follows)[:, None]
        likeliest = np.where(asked, probability > 0.5, self.start)
        if not np.array_equal(likeliest, best[1]):
            fitted = self._fitted(likeliest, best[2].law)
            if self._price(fitted, likeliest) <= first.cost:
                best = self._price(fitted, likeliest), likeliest, fitted
        probability = np.where(self.odds == np.inf, 1.0, probability)
        table = EdgeTable(self.given, probability, best[1], self.weights, follows)
        return Repair(table, table.network(), best[2].law, (first.cost, best[0]), done)

    def _fitted(self, state: np.ndarray, law: CandidateLaw) -> _Fitted:
        """The law with its constants on a network."""
        table = EdgeTable(self.given, state, state, self.weights, np.zeros(len(state)))
        network = table.network()
        rows, cost, places = [], 0.0, []
        for variable, (terms, noise) in enumerate(zip(law.terms, self.noise, strict=True)):
            own = rows_of(self.data, network, variable)
            refitted = _refitted(own, noise, terms, law.coefficients[variable])
            law = law.replaced(variable, *refitted)
            terms, values = law.terms[variable], np.array(law.coefficients[variable])
            fitter = RobustFitter(own, noise)
            columns = fitter.taken([own.column(t) for t in terms])
            by_node, place = fitter.likelihoods((fitter.target - columns @ values)[None])
            total, follows = fitter.mixed(by_node[0])
            with_law = place[0][follows > 0.5]
            enough = len(with_law) >= _FEWEST
            places.append(np.median(with_law) if enough else np.quantile(place[0], 0.1))
            rows.append(own)
            cost += float(total) if np.isfinite(total) else np.inf
        return _Fitted(law, rows, cost, round(float(np.mean(places))))

    def _price(self, fitted: _Fitted, state: np.ndarray) -> float:
        """-2 log of likelihood and prior, beside that of the network as it was given."""
        changed = state != self.start
        signs = np.where(state[changed], 1.0, -1.0)
        return fitted.cost - 2.0 * float(signs @ self.odds[changed])

    def _learned(self, probability: np.ndarray, follows: np.ndarray) -> np.ndarray:
        asked = self.asked & (follows > 0.5)[:, None]
        believed = self.prior.learned(self.given, probability, asked)
        return np.where(np.isfinite(self.odds), believed, self.odds)

    def _edges(
        self, fitted: _Fitted, odds: np.ndarray, far: bool
    ) -> tuple[
        Bool[np.ndarray, "receiver sender"],
        Float[np.ndarray, "receiver sender"],
        Float[np.ndarray, " receiver"],
    ]:
        """The best set of senders of every receiver, the probability of each edge, and whether a receiver
        follows the law with its best set."""
        law = fitted.law
        columns = SenderColumns(fitted.rows, self.noise, law.terms, law.coefficients)
        state, probability = self.start.copy(), _sigmoid(odds)
        follows = np.full(len(odds), np.nan)
        for receiver in range(len(odds)):
            check_time()
            if not columns.counts(receiver):
                continue
            senders = columns.of(receiver)
            unusable = ~senders.usable
            if (unusable & self.start[receiver]).any() or not np.isfinite(senders.alone).all():
                continue
            own = np.where(unusable, -np.inf, odds[receiver])
            search = SetSearch(senders, self.weights[receiver], own, fitted.usual)
            found = search.found(
                self.start[receiver], self.kept.get(receiver), far and not self.hurried()
            )
            self.kept[receiver] = found.members[:_KEPT]
            follows[receiver] = _sigmoid((senders.cap - found.costs[0]) / 2.0)
            probability[receiver] = _probabilities(search, found, own)
            if follows[receiver] > 0.5:
                state[receiver] = found.members[0]
        return state, probability, follows


def _probabilities(
    search: SetSearch, found: Sets, prior: Float[np.ndarray, " sender"]
) -> Float[np.ndarray, " sender"]:
    """The probability of each edge into a receiver, over all sets that were found.

    A pair that all sets agree on is decided by a single flip of the best set. Evidence is tempered, the more
    the farther the best set is above the noise; there the right set may not have been found, and the prior
    is mixed in.
    """
    above = max(1.0, found.costs[0] / search.senders.cap)
    heat = _HEAT * above**_TEMPERED
    score = found.score + 0.5 * (1.0 - 1.0 / heat) * found.costs
    weights = np.exp(score - score.max())
    share = (weights / weights.sum()) @ found.members
    single = search.single_flips(found.members[0], found.places[0])
    free = np.isfinite(prior)
    believed = np.where(free, prior, 0.0)
    single = np.clip(believed + (single - believed) / heat, -_CERTAIN, _CERTAIN)
    divided = (share > _AGREED) & (share < 1.0 - _AGREED)
    told = np.where(divided, share, _sigmoid(single))
    trusted = above**-_MIXED
    mixed = trusted * told + (1.0 - trusted) * _sigmoid(believed)
    return np.where(free, mixed, prior == np.inf)


def _refitted(
    rows: NodeRows, noise: float, terms: Sequence[Term], coefficients: Sequence[float]
) -> tuple[list[Term], list[float]]:
    """Terms and coefficients of an equation as the receivers that follow it have them; a term whose
    coefficient is held stays as it is."""
    free = [t for t in terms if not t.family.held]
    whole = rows.target
    for term, c in zip(terms, coefficients, strict=True):
        if term.family.held:
            rows.target = rows.target - np.where(rows.counted, c * rows.column(term), 0.0)
    try:
        search = RobustSearch(rows, noise, free, len(free))
        found = search.fitted(free) if free else None
        if found is None or not np.isfinite(found.criterion):
            return list(terms), list(coefficients)
        own, constants = _polished(search, found)
    finally:
        rows.target = whole
    places = [k for k, t in enumerate(terms) if not t.family.held]
    new, values = list(terms), list(coefficients)
    for place, term, c in zip(places, own, constants, strict=True):
        new[place], values[place] = term, c
    return new, values


def _polished(search: RobustSearch, found: RobustLaw) -> tuple[Sequence[Term], list[float]]:
    """Terms and coefficients after one more step of the inner constants, which a search leaves where they
    are good enough to compare laws."""
    rows, fitter = search.rows, search.fitter
    unmoved = found.terms, found.coefficients.tolist()
    if not any(t.inner for t in found.terms):
        return unmoved
    blocks = [rows.columns(t) for t in found.terms]
    slopes = [c for block in blocks for c in block[1:]]
    fit = fitter.fit([b[0] for b in blocks] + slopes, found.fit)
    terms, place = [], len(blocks)
    for term, c in zip(found.terms, fit.coefficients, strict=False):
        steps = fit.coefficients[place : place + len(term.inner)]
        place += len(term.inner)
        inner = np.array(term.inner) + steps / (c or np.inf)
        if not np.all(
            np.isfinite(inner) & (np.abs(inner - term.inner) <= 0.5 * np.abs(term.inner))
        ):
            return unmoved
        terms.append(term.with_inner(inner.tolist()) if term.inner else term)
    moved = fitter.fit([rows.column(t) for t in terms], fit)
    return (terms, moved.coefficients.tolist()) if moved.cost < found.fit.cost else unmoved


def _sigmoid(odds):
    return 1.0 / (1.0 + np.exp(-np.clip(odds, -700.0, 700.0)))
