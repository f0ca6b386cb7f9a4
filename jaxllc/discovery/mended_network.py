"""A law on the network that the samples ask for under it, and which nodes follow there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxllc.discovery.followers import Followers, without_what_nodes_do_not_ask_for
from jaxllc.discovery.stages import MOST_PAIRED, Discovery
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.pareto import explained
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_repair import repairable, repaired
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.nodewise.robust_search import RobustSearch
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.single_nodes import single_nodes
from jaxllc.search.laws.sparse_engine import equations_of

# Turns of law and edges; share of the time that searches on a mended network may take.
_TURNS, _NODES = 2, 0.1
# Units of the criterion up to which other laws are fitted there, and how many.
_NEAR, _RIVALS = 30.0, 4
# Share of the nodes that follow on the network as it is given, below which another is tried unasked, and how
# many times as many must follow there.
FEW, MORE = 0.5, 1.5


@dataclass(frozen=True)
class MendedNetwork:
    """A problem on the network of repaired edges, where nodes that do not follow are held.

    table: of the edges; law: with its constants there; follows: (node,) the probability of each, nan where it
    was not asked; searches: of the laws of single nodes there.
    """

    table: EdgeTable
    problem: SearchProblem
    law: CandidateLaw
    follows: np.ndarray
    searches: tuple[RobustSearch, ...]

    @property
    def share(self) -> float:
        """Of the nodes that were asked, those that follow."""
        asked = self.follows[np.isfinite(self.follows)]
        return float(np.mean(asked >= 0.5)) if len(asked) else 0.0


def mended_network(
    given: SearchProblem, law: CandidateLaw, prior: EdgePrior, max_terms: int, seconds: float
) -> MendedNetwork:
    """The network of a problem mended under a law that is `repairable`, and the law there.

    prior: of its edges; seconds: after which searches there begin nothing more.
    """
    deadline = time.perf_counter() + seconds
    repair = repaired(given, law, prior)
    there = replace(given, network=repair.table.network(), held=given.data.held)
    follows, searches = np.full(there.network.num_nodes, np.nan), []
    for variable, terms in enumerate(repair.law.terms):
        search = single_nodes(there, variable, max_terms, deadline)
        found = search.fitted([t for t in terms if not t.family.held])
        kept = search.fitter.kept
        before = np.where(np.isnan(follows[kept]), 1.0, follows[kept])
        follows[kept] = np.minimum(before, found.fit.follows)
        searches.append(search)
    held = tuple(int(node) for node in np.flatnonzero(~(follows >= 0.5)))
    return MendedNetwork(repair.table, there.with_held(held), repair.law, follows, tuple(searches))


class OnMendedNetwork(Discovery):
    """A discovery that may end on another network than the given one."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        # The problem on the network as it was given, where another is tried.
        self.given: SearchProblem | None = None

    def _judged(self, proposals: Sequence[Sequence[ProposedEquation]]) -> tuple[Judge, Judged]:
        """The judge of the search and the best law among some equations."""
        raise NotImplementedError

    def _on_mended(self, judge: Judge, best: Judged) -> tuple[Judge, Judged]:
        """The judge and the best law on the network that the samples ask for, where edges may be wrong and
        more nodes follow the law there; law and edges in turn."""
        for _ in range(_TURNS):
            if not self._may_mend() or not self._edges_show(judge, best):
                break
            with self.clock("edges"):
                mended = self._mended(best.law)
            alike = mended.problem.network == self.search.network
            if alike or self.edges is None:
                self.edges = mended.table
            if alike or not self._follows_more(mended):
                break
            before, self.search = self.search, mended.problem
            with self.clock("refinement"):
                near = judge.near(best, _NEAR, _RIVALS)
                laws = [mended.law, best.law, *(j.law for j in near)]
                other, better = self._judged(equations_of(self.search, laws))
                better = without_what_nodes_do_not_ask_for(other, better, mended.searches)
            if not explained(other, better):
                self.search, self.judge = before, judge
                break
            judge, best, self.edges = other, better, mended.table
            if self.followers is not None:
                self.followers = replace(self.followers, probability=mended.follows)
        return judge, best

    def _with_edges_first(self, found: Followers) -> Followers:
        """The nodes that follow on the network of edges which their law asks for, where these are many more;
        the search is of this network then, and of laws whose edges add up."""
        if repairable(found.law) or self.search.network.num_nodes > MOST_PAIRED:
            return found
        with self.clock("edges"):
            mended = self._mended(found.law)
        if mended.share < MORE * found.share:
            return found
        self.edges, self.search = mended.table, mended.problem.with_sums(False)
        return replace(found, probability=mended.follows, searches=mended.searches)

    def _mended(self, law: CandidateLaw) -> MendedNetwork:
        seconds = _NODES * self.settings.search_seconds
        given = self.given or self.search
        return mended_network(given, law, self.edge_prior, self.settings.max_terms, seconds)

    @property
    def _on_another(self) -> bool:
        """Whether the search is of another network than the given one."""
        return self.given is not None and self.search.network != self.given.network

    def _may_mend(self) -> bool:
        """Whether a law may be that of another network than the given one."""
        few = self.followers is not None and self.followers.share < FEW
        return self.settings.edges == "uncertain" or (
            self.settings.edges == "auto" and (few or self._on_another)
        )

    def _follows_more(self, mended: MendedNetwork) -> bool:
        """Whether enough nodes follow on a mended network to take it for the right one."""
        if self.followers is None:
            return len(mended.problem.held) <= len(self.search.held)
        more = 1.0 if self.settings.edges == "uncertain" or self._on_another else MORE
        return mended.share >= more * self.followers.share
