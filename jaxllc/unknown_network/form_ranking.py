"""Forms of an interaction, ranked by how well every receiver is explained by a few senders of its choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.running.time_limit import check_time
from jaxllc.unknown_network.pair_columns import PairColumns
from jaxllc.unknown_network.selection import Selected, selected, without_own

# Forms whose inner constants are moved; steps of these, and the change at which they rest.
_MOVED, _STEPS, _RESTS = 8, 6, 2e-3


@dataclass(frozen=True, eq=False)
class RankedForm:
    """An interaction of one variable, the senders that it asks for, and its criterion: that of all receivers
    and the price of its inner constants. gain: over no interaction at all, a price for choosing the form of
    every edge out of a library included."""

    term: Term
    selection: Selected
    criterion: float
    gain: float


class FormRanking:
    """Ranks interactions of one variable; none: (receiver,) criterion without any."""

    def __init__(self, pairs: PairColumns, library: Sequence[Term]) -> None:
        self.pairs, self.library = pairs, list(library)
        self.counts = np.maximum(pairs.counts - pairs.own.shape[1], 1.0)
        (self._target,) = without_own(pairs.own, pairs.target)
        squares = np.maximum((self._target**2).sum(axis=1), 1e-9 * self.counts)
        self.none = self.counts * np.log(squares / self.counts)
        # What it costs that the form of an edge may be any of so many.
        self._choice = 2.0 * np.log(max(len({t.family for t in self.library}), 1))

    def ranked(self) -> list[RankedForm]:
        """The best of each family, the very best first."""
        found: dict[TermFamily, RankedForm] = {}
        for term in self.library:
            check_time()
            self._keep(found, self.form(term))
        for form in self._sorted(found)[:_MOVED]:
            self._keep(found, self.moved(form))
        return self._sorted(found)

    def form(self, term: Term) -> RankedForm:
        """A term with the senders that it asks for."""
        (columns,) = without_own(self.pairs.own, self.pairs.of(term))
        chosen = selected(self._target, columns, self.counts)
        price = len(term.inner) * np.log(self.counts.sum())
        criterion = float(chosen.costs.sum() + price)
        edges = int(chosen.members.sum())
        gain = float(self.none.sum()) - criterion - self._choice * edges
        return RankedForm(term, chosen, criterion, gain)

    def moved(self, form: RankedForm) -> RankedForm:
        """A form after steps of Gauss and Newton of its inner constants, which all edges share."""
        for _ in range(_STEPS if form.term.inner else 0):
            check_time()
            inner = self._step(form)
            new = form.term.with_inner(inner.tolist())
            change = np.max(np.abs(np.array(new.inner) / form.term.inner - 1.0))
            better = self.form(new)
            if not better.criterion < form.criterion:
                break
            form = better
            if change < _RESTS:
                break
        return form

    def _step(self, form: RankedForm) -> np.ndarray:
        term, chosen = form.term, form.selection
        (columns,) = without_own(self.pairs.own, self.pairs.of(term))
        slopes = []
        for k in range(len(term.inner)):
            summed = np.einsum("is,isr->ir", chosen.strengths, self.pairs.slope(term, k))
            slopes.append(without_own(self.pairs.own, summed)[0])
        left = self._target - np.einsum("is,isr->ir", chosen.strengths, columns)
        variances = np.maximum(chosen.squares / self.counts, 1e-9)
        # Strengths move along: what the senders that are there explain is taken out of the slopes, too.
        gram, product = 0.0, 0.0
        for i in range(len(left)):
            own = columns[i, chosen.members[i]]
            slope = np.stack([s[i] for s in slopes])
            if len(own):
                basis = np.linalg.qr(own.T)[0]
                slope = slope - (slope @ basis) @ basis.T
            gram = gram + slope @ slope.T / variances[i]
            product = product + slope @ left[i] / variances[i]
        steady = gram + 1e-9 * np.trace(np.atleast_2d(gram)) * np.eye(len(slopes)) + 1e-300
        step = np.linalg.solve(steady, product)
        inner = np.array(term.inner)
        reach = 0.5 * np.abs(inner) + 1e-12
        return inner + np.clip(step, -reach, reach)

    def _keep(self, found: dict[TermFamily, RankedForm], form: RankedForm) -> None:
        known = found.get(form.term.family)
        if known is None or form.criterion < known.criterion:
            found[form.term.family] = form

    def _sorted(self, found: dict[TermFamily, RankedForm]) -> list[RankedForm]:
        return sorted(found.values(), key=lambda form: form.criterion)
