"""Whether edges can be told from these samples at all.

A node that is explained down to the noise is no certificate: where runs are few, many sets of senders explain
it as well. What the samples tell apart is the number of directions in which the courses of all senders differ
by more than the noise; and whether edges that are known come back, from samples made for the purpose.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from jaxllc.nodewise.edges.edge_search import SetSearch
from jaxllc.nodewise.edges.sender_columns import SenderColumns
from jaxllc.running.time_limit import check_time
from jaxllc.unknown_network.form_ranking import RankedForm
from jaxllc.unknown_network.pair_columns import PairColumns
from jaxllc.unknown_network.selection import selected, without_own

# Receivers whose edges are drawn anew, at most.
_ASKED = 24
# A sender is one where its strength is beyond this share of what edges have.
_FROM = 0.5
# Sets of senders that the second search of a receiver begins with.
_KEPT = 200


class Rank(NamedTuple):
    """Senders of a receiver, and directions in which their courses differ by more than the noise: the median
    over receivers."""

    senders: int
    directions: int

    @property
    def full(self) -> bool:
        """Whether the courses of all senders can be told apart."""
        return self.directions >= self.senders


def rank_of_form(pairs: PairColumns, form: RankedForm) -> Rank:
    """The rank of the columns of a form at its usual strength, beside what receivers do by themselves."""
    chosen = form.selection
    usual = np.median(np.abs(chosen.strengths[chosen.members])) if chosen.members.any() else 0.0
    (columns,) = without_own(pairs.own, usual * pairs.of(form.term))
    noise = np.sqrt(np.maximum(chosen.squares / np.maximum(pairs.counts, 1.0), 1.0))
    sizes = np.linalg.svd(columns / noise[:, None, None], compute_uv=False)
    return Rank(pairs.num_senders - 1, int(np.median((sizes > 1.0).sum(axis=1))))


def come_back(
    columns: SenderColumns, edges: Bool[np.ndarray, "receiver sender"], seed: int
) -> float:
    """Share of wrong pairs, over edges, when samples are made of some edges of weight one under a law and the
    edges are searched anew, from none; of a few receivers."""
    random = np.random.default_rng([seed, 7])
    asked = [n for n in range(len(edges)) if columns.counts(n)]
    places = np.linspace(0, len(asked) - 1, min(_ASKED, len(asked))).round().astype(int)
    density = float(np.clip(edges.sum() / max(edges.size - len(edges), 1), 1e-3, 0.5))
    wrong = count = 0
    for receiver in (asked[k] for k in np.unique(places)):
        check_time()
        senders = columns.of(receiver)
        counted = senders.inverse[0] > 0
        able = senders.usable & (np.arange(len(edges)) != receiver)
        own = edges[receiver] & able
        steps = np.where(able[:, None], senders.columns, 0.0)
        noise = random.standard_normal(len(counted)) * counted
        made = replace(senders, columns=steps, alone=steps[own].sum(axis=0) + noise)
        odds = np.where(able, np.log(density / (1.0 - density)), -np.inf)
        rows = np.array([float(counted.sum())])
        start = selected((made.alone * counted)[None], (steps * counted)[None], rows)
        search = SetSearch(made, np.ones(len(edges)), odds, 0)
        found = search.found(start.strengths[0] > _FROM)
        found = search.found(found.members[0], found.members[:_KEPT])
        wrong += int(np.sum(found.members[0] != own))
        count += int(own.sum())
    return wrong / max(count, 1)
