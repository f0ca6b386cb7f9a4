"""Network and law from samples alone: a form for the start, then law and edges in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import gammaln

from jaxllc.discovery.followers import followers_of
from jaxllc.discovery.without_network.pair_problem import PairProblem, network_of
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_repair import repairable, repaired
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.running.time_limit import TimeLimit
from jaxllc.unknown_network.edge_check import Rank, come_back, rank_of_form
from jaxllc.unknown_network.form_ranking import RankedForm
from jaxllc.unknown_network.free_strengths import free_strengths

# Share of the time of a discovery for the network, and seconds of it for the laws of one network.
_SHARE, _NODES = 0.5, 0.05
# Forms, and shares of the usual strength from which on a sender is one, that law and edges start from.
_FORMS, _FROM = 3, (0.5, 0.7, 0.35)
# Rounds of law and edges; share of nodes that follow at which no other start is tried, where the courses of
# all senders are told apart and where they are not.
_ROUNDS, _ENOUGH, _SURELY = 4, 0.7, 0.95
# Share of nodes that must follow for edges to be told.
_HALF = 0.5
# Kinds of strengths.
EQUAL, SHARES, FREE = "equal", "shares", "free"
# Belief in an edge of a start, and the least and largest one in any other.
_BELIEVED, _LEAST, _LARGEST = 0.5, 1e-3, 0.5


@dataclass(frozen=True, eq=False)
class Found:
    """Edges that a law asks for.

    weights: (receiver, sender), zero where there is no edge, of mean size one; law: with the constants of
    single nodes; kind: of strengths, `EQUAL`, `FREE`, or `SHARES` where the edges into a node share one
    strength, the same for all nodes; cost: of all nodes, with a price for edges and constants; follows: share
    of the nodes that follow the law.
    """

    weights: Float[np.ndarray, "receiver sender"]
    law: CandidateLaw
    kind: str
    cost: float
    follows: float

    @property
    def equal(self) -> bool:
        """Whether all edges are of one strength."""
        return self.kind == EQUAL

    @property
    def over_degree(self) -> bool:
        """Whether the law divides by the number of edges into a node, which changes with every edge."""
        symbols = {
            s.name
            for terms in self.law.terms
            for t in terms
            for s in t.family.expression.free_symbols
        }
        return "k_i" in symbols

    @property
    def present(self) -> Bool[np.ndarray, "receiver sender"]:
        """Whether there is an edge."""
        return self.weights != 0


@dataclass(frozen=True, eq=False)
class Finding:
    """What was found, None where no law of several nodes was. forms: of the variable that edges show in best,
    the best first; rank: of its columns; wrong: share of wrong pairs over edges when edges known beforehand
    are searched in samples made of them, nan where that was not asked."""

    found: Found | None
    variable: int
    forms: list[RankedForm]
    rank: Rank
    wrong: float


class Finder:
    """Finds a network and a law. strengths: "equal", "free" or "auto"."""

    def __init__(self, problem: PairProblem, limit: TimeLimit, say: Callable[[str], None]) -> None:
        self.problem, self.limit, self.say = problem, limit, say
        self.strengths = problem.settings.strengths
        self.seconds = _NODES * problem.settings.search_seconds
        self.enough = _ENOUGH

    def finding(self) -> Finding:
        """Form, edges and law, and whether edges can be told."""
        variables = range(self.problem.data.num_variables)
        ranked = []
        for v in variables:
            self.say(f"{self.problem.data.variables[v]}: forms of single nodes")
            ranked.append(self.problem.ranked(v))
        variable = max(variables, key=lambda v: max(form.gain for form in ranked[v]))
        forms = ranked[variable]
        pairs = self.problem.pairs(variable, np.arange(self.problem.num_nodes))
        rank = rank_of_form(pairs, forms[0])
        if not forms[0].gain > 0:
            return Finding(None, variable, forms, rank, np.nan)
        found, self.enough = None, _ENOUGH if rank.full else _SURELY
        if self.strengths != "free":
            found = self._equal(forms)
        if self.strengths == "free" or (
            self.strengths == "auto"
            and (found is None or found.follows < self.enough or found.over_degree)
        ):
            self.say("edges of a strength each")
            free = self._free(forms)
            if free is not None and (found is None or free.cost < found.cost):
                found = free
        if found is not None and found.follows < _HALF:
            found = None
        wrong = np.nan
        if found is not None and found.equal and not rank.full:
            self.say("edges of samples made for the purpose")
            columns = self.problem.columns(found.law, found.weights)
            wrong = come_back(columns, found.present, self.problem.seed)
        return Finding(found, variable, forms, rank, wrong)

    # -- edges of one strength --------------------------------------------------------------------

    def _equal(self, forms: Sequence[RankedForm]) -> Found | None:
        best: Found | None = None
        tried: list[np.ndarray] = []
        for start in self._starts(forms):
            if self.limit.share_over(_SHARE) and best is not None:
                break
            if any(np.array_equal(start, other) for other in tried):
                continue
            tried.append(start)
            self.say(f"law and {int(start.sum())} edges in turn")
            found = self._in_turn(start)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
            if best is not None and best.follows >= self.enough:
                break
        return best

    def _starts(self, forms: Sequence[RankedForm]) -> Iterator[np.ndarray]:
        """Networks to start from: senders whose strength is near that of most."""
        for share in _FROM:
            for form in forms[:_FORMS]:
                chosen = form.selection
                if chosen.members.any():
                    usual = np.median(chosen.strengths[chosen.members])
                    if usual:
                        yield chosen.strengths / usual > share

    def _in_turn(self, present: np.ndarray) -> Found | None:
        """Law and edges in turn from a network."""
        best, seen = None, []
        for _ in range(_ROUNDS):
            law = self.law_on(present.astype(float))
            if law is None or repairable(law) or self.limit.share_over(_SHARE):
                break
            density = _density(present)
            problem = self.problem.on(present.astype(float))
            prior = EdgePrior(given=_BELIEVED, other=density)
            hurried = partial(self.limit.share_over, _SHARE)
            done = repaired(problem, law, prior, hurried=hurried)
            seen.append(present)
            present = done.table.present
            if present.any():
                best = self._found(present.astype(float), done.law, EQUAL)
            if not present.any() or any(np.array_equal(present, other) for other in seen):
                break
        return best

    def law_on(self, weights: np.ndarray) -> CandidateLaw | None:
        """The best law of single nodes on a network; None where no law of several nodes is found."""
        if not weights.any():
            return None
        problem = self.problem.on(weights)
        max_terms = self.problem.settings.max_terms
        found = followers_of(problem, max_terms, self.seconds, sums=False)
        if found is None:
            return None
        terms, coefficients = [], []
        for variable, laws in enumerate(found.laws):
            fixed = self.problem.prior.fixed(variable)
            terms.append((*fixed, *laws[0].terms))
            coefficients.append((*(1.0 for _ in fixed), *laws[0].coefficients.tolist()))
        return CandidateLaw(tuple(terms), tuple(coefficients), self.problem.prior.bounds)

    # -- edges of a strength each -----------------------------------------------------------------

    def _free(self, forms: Sequence[RankedForm]) -> Found | None:
        best = None
        for form in forms[:_FORMS]:
            if self.limit.share_over(_SHARE) and best is not None:
                break
            found = self._free_in_turn(form)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
            if best is not None and best.follows >= self.enough:
                break
        return best

    def _free_in_turn(self, form: RankedForm) -> Found | None:
        weights, best = _of_mean_one(form.selection.strengths), None
        for _ in range(_ROUNDS):
            law = self.law_on(weights)
            if law is None or repairable(law) or self.limit.share_over(_SHARE):
                break
            columns = self.problem.columns(law, weights)
            strengths = free_strengths(columns, self.problem.num_nodes)
            before, weights = weights, _of_mean_one(np.nan_to_num(strengths.values))
            if not weights.any():
                break
            found = self._found(weights, law, FREE)
            best = found if best is None or found.cost < best.cost else best
            if np.array_equal(before != 0, weights != 0):
                break
        return best if best is None or self.strengths == "free" else self._shared(best)

    def _shared(self, found: Found) -> Found:
        """The same edges with one strength for all edges into a node together, where that serves as well."""
        degrees = found.present.sum(axis=1, keepdims=True)
        weights = _of_mean_one(np.where(found.present, 1.0 / np.maximum(degrees, 1), 0.0))
        law = self.law_on(weights)
        if law is None or repairable(law):
            return found
        shared = self._found(weights, law, SHARES)
        return shared if shared.cost < found.cost else found

    # -- what they cost ---------------------------------------------------------------------------

    def _found(self, weights: np.ndarray, law: CandidateLaw, kind: str) -> Found:
        """Edges and law with their cost. Edges of a strength each are priced as a constant each."""
        columns = self.problem.columns(law, weights)
        total, asked, following = 0.0, 0, 0.0
        rows = 0.0
        for receiver in range(len(weights)):
            if not columns.counts(receiver):
                continue
            senders = columns.of(receiver)
            own = weights[receiver] != 0
            left = senders.alone - weights[receiver, own] @ senders.columns[own]
            cost = senders.likelihoods(left[None])[0][0]
            away = np.clip((cost - senders.cap) / 2.0, -700.0, 700.0)
            total += senders.cap - 2.0 * np.logaddexp(-away, 0.0)
            following += 1.0 / (1.0 + np.exp(away))
            count = float(np.count_nonzero(senders.inverse[0]))
            asked, rows = asked + 1, rows + count
            total += 2.0 * _log_choices(len(weights) - 1, int(own.sum()))
            total += np.log(count) * own.sum() if kind == FREE else 0.0
        total += law.num_constants * np.log(max(rows, 1.0))
        return Found(weights, law, kind, float(total), following / max(asked, 1))

    def table(self, found: Found) -> EdgeTable:
        """Every pair with its probability, all else being as it was found, and what each edge is by itself.

        Probabilities begin at one belief for all pairs: a network that the same samples have chosen is no
        reason to believe in it.
        """
        nobody = network_of(np.zeros(found.weights.shape), self.problem.names)
        columns = self.problem.columns(found.law, found.weights)
        if not found.equal:
            own = free_strengths(columns, len(found.weights))
            values = np.nan_to_num(own.values)
            if found.kind == SHARES:
                degrees = own.present.sum(axis=1, keepdims=True)
                values = _of_mean_one(np.where(own.present, 1.0 / np.maximum(degrees, 1), 0.0))
            return EdgeTable(
                nobody, own.probability, own.present, values, own.follows, own.low, own.high
            )
        density = _density(found.present)
        prior = EdgePrior(given=density, other=density)
        done = repaired(self.problem.on(found.weights), found.law, prior, rounds=1).table
        own = free_strengths(columns, len(found.weights), done.present)
        return EdgeTable(
            nobody, done.probability, done.present, done.weights, done.follows, own.low, own.high
        )


def _density(present: np.ndarray) -> float:
    pairs = max(present.size - len(present), 1)
    return float(np.clip(present.sum() / pairs, _LEAST, _LARGEST))


def _of_mean_one(strengths: np.ndarray) -> np.ndarray:
    """Strengths over their mean size, most of them positive."""
    there = strengths != 0
    if not there.any():
        return strengths
    usual = np.abs(strengths[there]).mean()
    return strengths / (usual if np.median(strengths[there]) > 0 else -usual)


def _log_choices(count: int, chosen: int) -> float:
    return float(gammaln(count + 1) - gammaln(chosen + 1) - gammaln(count - chosen + 1))
