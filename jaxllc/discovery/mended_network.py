"""A law on the network that the samples ask for under it, and which nodes follow there."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_repair import repaired
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.nodewise.robust_search import RobustSearch
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.single_nodes import single_nodes

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
