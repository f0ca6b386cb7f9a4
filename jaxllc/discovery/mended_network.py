"""A law on the network that the samples ask for under it, and which nodes follow there."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.nodewise.edges.edge_repair import repaired
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.single_nodes import single_nodes

# Share of the nodes that follow on the network as it is given, below which another is tried unasked, and how
# many times as many must follow there.
FEW, MORE = 0.5, 1.5


@dataclass(frozen=True)
class MendedNetwork:
    """A problem on the network of repaired edges, where nodes that do not follow are held.

    table: of the edges; law: without terms that its followers have no use for; follows: (node,) the
    probability of each, nan where it was not asked.
    """

    table: EdgeTable
    problem: SearchProblem
    law: CandidateLaw
    follows: np.ndarray

    @property
    def share(self) -> float:
        """Of the nodes that were asked, those that follow."""
        asked = self.follows[np.isfinite(self.follows)]
        return float(np.mean(asked >= 0.5)) if len(asked) else 0.0


def mended_network(
    given: SearchProblem, law: CandidateLaw, max_terms: int, seconds: float
) -> MendedNetwork:
    """The network of a problem mended under a law that is `repairable`, and the law there. seconds: after
    which no terms are left out any more."""
    deadline = time.perf_counter() + seconds
    repair = repaired(given, law)
    there = replace(given, network=repair.table.network(), held=given.data.held)
    follows = np.full(there.network.num_nodes, np.nan)
    for variable, terms in enumerate(law.terms):
        search = single_nodes(there, variable, max_terms, deadline)
        fixed = tuple(t for t in terms if t.family.held)
        found = search.fitted([t for t in terms if not t.family.held])
        if not any(t.inner for t in fixed):
            needed = search.shortened(found)
            if len(needed.terms) < len(found.terms):
                values = (*(1.0 for _ in fixed), *needed.coefficients.tolist())
                law, found = law.replaced(variable, (*fixed, *needed.terms), values), needed
        kept = search.fitter.kept
        before = np.where(np.isnan(follows[kept]), 1.0, follows[kept])
        follows[kept] = np.minimum(before, found.fit.follows)
    held = tuple(int(node) for node in np.flatnonzero(~(follows >= 0.5)))
    return MendedNetwork(repair.table, there.with_held(held), law, follows)
