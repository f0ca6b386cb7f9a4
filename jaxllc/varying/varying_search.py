"""Which law has a constant of its own at each node, and which constant that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.dynamics.terms import INTERACTION, Term, TermFamily
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.nodewise.robust_fit import RobustFit
from jaxllc.nodewise.robust_search import RobustLaw, RobustSearch
from jaxllc.varying.varying_fit import VaryingFit, VaryingFitter


class VaryingSearch(RobustSearch):
    """Searches the equation of one variable in which one term has a coefficient of its own at each node.

    plain: the search in which none has, whose rows and library it takes. varying: the family of that term,
    which every law then holds; None: all interactions of a law together, whatever they are.
    """

    fitter: VaryingFitter

    def __init__(
        self, plain: RobustSearch, fitter: VaryingFitter, varying: TermFamily | None
    ) -> None:
        given = plain.given
        library = [term for starts in plain.starts.values() for term in starts]
        if varying is not None and all(t.family != varying for t in given):
            given = (*given, Term(varying))
        super().__init__(
            plain.rows, plain.fitter.noise, library, plain.max_terms, given, plain.deadline
        )
        self.varying, self.fitter, self._columns = varying, fitter, plain._columns

    def places(self, terms: Sequence[Term]) -> list[int]:
        """Of the terms that vary, among some."""
        return [
            k
            for k, t in enumerate(terms)
            if t.family == self.varying or (self.varying is None and acts(t.family))
        ]

    def _fit(
        self,
        terms: tuple[Term, ...],
        columns: list[np.ndarray],
        slopes: list[list[np.ndarray]],
        start: RobustFit | None,
    ) -> RobustFit:
        places = self.places(terms)
        if not places:
            return super()._fit(terms, columns, slopes, start)
        share = self._own_share(start)
        more = [share * s if k in places else s for k, block in enumerate(slopes) for s in block]
        return self.fitter.fit_varying([*columns, *more, *self.more(terms)], places, start)

    def _own_share(self, start: RobustFit | None) -> np.ndarray | float:
        """The coefficient of each node over the mean, (node, 1), as a fit before had it."""
        if not isinstance(start, VaryingFit) or not start.mean:
            return 1.0
        share = np.ones((self.rows.target.shape[0], 1))
        share[self.fitter.kept, 0] += start.effect / start.mean
        return share

    def _law(self, terms: tuple[Term, ...], fit: RobustFit) -> RobustLaw:
        law = super()._law(terms, fit)
        if not isinstance(fit, VaryingFit):
            return law
        # The spread is a constant, too.
        price = np.log(self.fitter.num_rows)
        return RobustLaw(law.terms, fit, law.criterion + price)


def acts(family: TermFamily) -> bool:
    """Whether a term is one of the neighbours."""
    return family.side == INTERACTION or bool(sums_in(family.expression))
