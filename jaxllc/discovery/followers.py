"""Nodes that follow one law, where not all do.

The ideal reading asks every node to follow, on the network as it is given. Where the best law so far leaves
more than the noise, each node is asked by itself (see `jaxllc.nodewise`): wrong and lost edges, hidden
neighbours and nodes of another kind spoil some of them. The search then goes on with those that follow; the
others are given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.equations.sum_symbols import sums_in
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.judge.judge import Judge, Judged
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.nodewise.edges.mended_laws import mends_best
from jaxllc.nodewise.robust_search import RobustLaw, RobustSearch
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.single_nodes import single_nodes
from jaxllc.search.laws.sparse_engine import refined

# Nodes and gain of -2 log L beyond the price of the constants that it takes for a law of some nodes, and the
# share of followers above which there is nothing to leave out.
_FEWEST, _GAIN, _ALL = 4, 15.0, 0.97
# Laws of each variable that are proposed.
_PROPOSED = 8
# Names that a note lists.
_LISTED = 8


@dataclass(frozen=True)
class Followers:
    """What the nodes say one by one.

    probability: (node,) that a node follows in all its variables, nan where it was not asked. laws: of each
    variable, the best first; searches: that found them; mended: whether a law stands first for what it
    explains once edges are changed.
    """

    probability: np.ndarray
    laws: tuple[tuple[RobustLaw, ...], ...]
    searches: tuple[RobustSearch, ...]
    mended: bool = False

    @property
    def law(self) -> CandidateLaw:
        """The best law of each variable."""
        first = [laws[0] for laws in self.laws]
        return CandidateLaw(
            tuple(law.terms for law in first), tuple(tuple(law.coefficients) for law in first)
        )

    @property
    def held(self) -> tuple[int, ...]:
        """Nodes that do not follow, and those that could not be asked: a node that was never observed acts on
        these alone."""
        return tuple(int(node) for node in np.flatnonzero(~(self.probability >= 0.5)))

    @property
    def finished(self) -> bool:
        """Whether all searches came to their ends."""
        return all(search.finished for search in self.searches)

    @property
    def sums(self) -> bool:
        """Whether a law holds functions of sums over neighbours."""
        return any(sums_in(t.family.expression) for laws in self.laws for t in laws[0].terms)

    @property
    def share(self) -> float:
        """Of the nodes that were asked, those that follow."""
        asked = self.probability[np.isfinite(self.probability)]
        return float(np.mean(asked >= 0.5)) if len(asked) else 0.0

    @property
    def some(self) -> bool:
        """Whether there are enough nodes that follow, and others that do not."""
        return int(np.sum(self.probability >= 0.5)) >= _FEWEST and self.share < _ALL

    def note(self, names: Sequence[str]) -> str:
        """How the law was read, for people."""
        held = np.flatnonzero(self.probability < 0.5)
        asked = int(np.isfinite(self.probability).sum())
        which = ", ".join(names[node] for node in held[:_LISTED])
        which += ", ..." if len(held) > _LISTED else ""
        return (
            f"{asked - len(held)} of {asked} nodes follow the law. The others ({which}) do not: edges into "
            "them may be wrong, lost or of other weights, nodes that were not seen may act on them, or they "
            "are of another kind. The law was fitted to those that follow, with the states of the others as "
            "they were measured; law.follows holds the probability of each node."
        )


def followers_of(
    problem: SearchProblem,
    max_terms: int,
    seconds: float,
    sums: bool = True,
    prior: EdgePrior | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Followers | None:
    """The nodes that follow one law; None where no law of several nodes is found.

    seconds: for each variable, about; sums: functions of sums over neighbours are searched, too; prior:
    of edges.
    """
    probability = np.full(problem.network.num_nodes, np.nan)
    laws, searches, mended = [], [], False
    for variable, name in enumerate(problem.variables):
        say(f"{name}: laws of single nodes")
        deadline = time.perf_counter() + seconds
        search = single_nodes(problem, variable, max_terms, deadline, sums)
        if len(search.fitter.kept) < _FEWEST:
            return None
        found = search.best()
        if not found:
            return None
        best = found[0]
        found = _mended_first(search, found, prior)
        mended |= found[0] is not best
        best = found[0]
        if search.fitter.cap.sum() - best.criterion < _GAIN:
            return None
        kept = search.fitter.kept
        before = np.where(np.isnan(probability[kept]), 1.0, probability[kept])
        probability[kept] = np.minimum(before, best.fit.follows)
        laws.append(tuple(found[:_PROPOSED]))
        searches.append(search)
    return Followers(probability, tuple(laws), tuple(searches), mended)


def _mended_first(
    search: RobustSearch, found: list[RobustLaw], prior: EdgePrior | None
) -> list[RobustLaw]:
    """The best laws, with that first which explains the most by far once a few edges are changed, where many
    nodes do not follow the one that was first."""
    if np.mean(found[0].fit.follows >= 0.5) >= _ALL:
        return found
    mended = mends_best(search, found, prior)
    if mended is None:
        return found
    mended = search.shortened(mended)
    return [mended, *(law for law in found if law is not mended)]


def without_what_nodes_do_not_ask_for(
    judge: Judge, best: Judged, searches: Sequence[RobustSearch]
) -> Judged:
    """The best law without terms that the likelihood of single nodes has no need of.

    Given states are smoothed samples: their errors act on the nodes that follow and look like small terms, of
    which a coupled fit knows nothing.
    """
    law = best.law
    for variable, search in enumerate(searches):
        terms = law.terms[variable]
        fixed = tuple(t for t in terms if t.family.held)
        if any(t.inner for t in fixed):  # a coefficient that is held beside constants that are not
            continue
        whole = search.fitted([t for t in terms if not t.family.held])
        needed = search.shortened(whole)
        if len(needed.terms) < len(whole.terms):
            coefficients = (*(1.0 for _ in fixed), *needed.coefficients.tolist())
            law = law.replaced(variable, (*fixed, *needed.terms), coefficients)
    if law is best.law:
        return best
    shorter = judge.fitted(law)
    judge.seen = {
        key: one for key, one in judge.seen.items() if not one.criterion < shorter.criterion
    }
    return shorter


def edge_note(table: EdgeTable, fitted: bool = False) -> str:
    """What the law says of the edges, for people. fitted: it was fitted on the network of these."""
    was, now = table.was, table.present
    added, removed = int(np.sum(now & ~was)), int(np.sum(was & ~now))
    return (
        f"Under this law the samples ask for {added} edges that were not given, and have no use for "
        f"{removed} that were; law.network_table() holds the probability of each, law.repaired_network() the "
        "network"
        + (
            ", on which the law was fitted; edges='given' would keep to the one that was given."
            if fitted
            else "."
        )
    )


def robust_proposals(problem: SearchProblem, found: Followers) -> list[list[ProposedEquation]]:
    """The laws of single nodes as equations for the nodes that follow."""
    proposals = []
    for variable, laws in enumerate(found.laws):
        options = [refined(problem, variable, law.terms) for law in laws]
        proposals.append([option for option in options if np.isfinite(option.residual)])
    return proposals
