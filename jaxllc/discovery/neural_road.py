"""The preset "neural": two nets, expressions of either, and the likelihood of the trajectories.

No library of whole equations is searched. What the engines write for the nets is paired, the pairs are fitted
to the trajectories, and the best law is varied by terms of the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import sympy

from jaxllc.discovery.stages import Discovery
from jaxllc.dynamics.terms import INTERACTION, SELF, Term
from jaxllc.equations.expression_calculus import evaluate
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.judge import moves
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.pareto import explained
from jaxllc.knowledge.known_terms import KnownFamily, starts
from jaxllc.search.second_look.rewriting import compressed, loosened, relieved, shortened
from jaxllc.search.second_look.ties import tied
from jaxllc.settings.discover_settings import nets_through_solver

if TYPE_CHECKING:
    from jaxllc.neural.neural_fit import NeuralFit

# Share of the time for the expressions of one term; pairs that are refined, and how many are fitted at least.
_TERM, _PAIRS, _FITS = 0.15, 24, 10
# Share of the time for the nets.
_NETS = 0.4


class NeuralRoad(Discovery):
    """Nets propose, engines write, the likelihood of the trajectories decides."""

    def _proposals(self) -> list[list[ProposedEquation]]:
        from jaxllc.search.laws.neural_proposals import fitted_neural_terms

        with self.clock("neural terms"):
            self.nets = nets = fitted_neural_terms(
                self.search,
                self.seed,
                structures=True,
                solver=nets_through_solver(self.settings),
                seconds=_NETS * self.settings.search_seconds,
            )
        self.pool: Sequence[Term] | None = None
        if self.settings.sums and self.search.clean and not nets.explains:
            found = self._whole_rates(self._of_fixed())
            if all(found):
                return found
        return self._of_nets(nets)

    def _of_nets(self, nets: NeuralFit) -> list[list[ProposedEquation]]:
        """Pairs of expressions of the two terms."""
        from jaxllc.search.laws.neural_proposals import searched_proposals

        with self.clock("expressions"):
            found = searched_proposals(
                self.search,
                nets,
                self._known(nets),
                self.seed,
                self.settings.max_terms,
                self.settings.engines,
                _TERM * self.settings.search_seconds,
                largest=_PAIRS,
                taken=self._of_fixed(),
                say=partial(self.say, "expressions"),
            )
        self.cut_short |= not found.finished
        self.pool = found.pool
        for name, options in zip(self.search.variables, found.proposals, strict=True):
            if not options:
                raise InputError(
                    f"no law of {name} was found with at most {self.settings.max_terms} terms and within the "
                    "choices made: raise max_terms, give more time (search_seconds) or more engines, or use "
                    "the default preset"
                )
        return found.proposals

    def _known(self, nets: NeuralFit) -> CandidateLaw:
        """The law of the known terms alone, with the inner constants that go with the nets best."""
        sizes = [scale.size for scale in self.search.scales.values()]
        samples = dict(zip((SELF, INTERACTION), nets.sample_terms(seed=self.seed), strict=True))

        def nearest(family: KnownFamily, name: str) -> Term:
            options = starts(family, sizes, self.seed)
            seen, values = samples[family.side], samples[family.side].values[name]
            return min(options, key=lambda t: (_unlike(t, seen.columns, values), _far(t)))

        return self._of_ones(
            [nearest(f, name) for f in self.prior.of_variable(v)]
            for v, name in enumerate(self.search.variables)
        )

    def _of_fixed(self) -> CandidateLaw:
        """The law of the known terms without free constants."""
        return self._of_ones(map(self.prior.fixed, range(len(self.search.variables))))

    def _of_ones(self, terms: Iterable[Sequence[Term]]) -> CandidateLaw:
        """The law of the terms of each equation, with coefficients of one."""
        equations = tuple(map(tuple, terms))
        ones = tuple((1.0,) * len(equation) for equation in equations)
        return CandidateLaw(equations, ones, self.prior.bounds).within_bounds()

    def _chosen(
        self, proposals: Sequence[Sequence[ProposedEquation]]
    ) -> tuple[Judge, Judged, list[str]]:
        with self.clock("refinement"):
            judge, law = self._judge_of(proposals)
            best = judge.choose(proposals, law, max(self.settings.num_fits, _FITS))
            best = judge.with_fine_steps(judge.recalibrated(best))
        if (nets := self.nets) and self.pool is None and not explained(judge, best):
            best = self._improved(judge, best, self._of_nets(nets))
        with self.clock("refinement"):
            best = self._moved(judge, best)
        if self.settings.sums and not (self.search.clean or explained(judge, best) or judge.late):
            best = self._improved(judge, best, self._whole_rates(best.law))
        with self.clock("refinement"):
            if not explained(judge, best):
                judge.fit_small(best, proposals)
        return judge, best, [] if explained(judge, best) else self._notes()

    def _notes(self) -> list[str]:
        """What the nets could not explain."""
        if self.nets is None or self.nets.explains:
            return []
        worst, left = max(self.nets.residual.items(), key=lambda item: item[1])
        return [
            f"Two neural terms leave {100 * left:.2g} % of the variance of {worst}, more than the noise: the "
            "law may not be a sum of functions of a node and of pairs of nodes."
        ]

    def _moved(self, judge: Judge, best: Judged) -> Judged:
        """Terms dropped, added from those of other expressions, swapped, and put together."""
        pool = self.pool or ()
        best = self._varied(judge, best, pool)
        plain = [t for t in pool if not t.inner]
        if plain:
            best = moves.simplified(judge, best, plain)
        for equation in range(len(self.search.variables)):
            best = compressed(judge, best, equation, self.prior)
            best = relieved(judge, best, equation, self.prior)
            best = shortened(judge, best, equation, self.prior, fewer=0)
            best = loosened(judge, best, equation, self.prior)
            if not self.search.clean:
                best = tied(judge, best, equation, self.prior)
        return moves.dropped(judge, best)


def _unlike(term: Term, columns: Mapping[sympy.Symbol, np.ndarray], values: np.ndarray) -> float:
    """Share of the variance of values (n,) that a term leaves; all where it has no value somewhere."""
    if not term.family.expression.free_symbols <= {*columns, *term.family.inner_symbols}:
        return 1.0
    with np.errstate(all="ignore"):
        column = evaluate(term.family.expression, {**columns, **term.by_inner})
        column = np.broadcast_to(column, values.shape) - np.mean(column)
    size = float(column @ column)
    if not 0 < size < np.inf:
        return 1.0
    rest = values - values.mean()
    return 1.0 - float(column @ rest) ** 2 / (size * max(float(rest @ rest), 1e-300))


def _far(term: Term) -> float:
    """How far inner constants are from one, in logarithms; a sign counts as much as a factor of ten."""
    return sum(abs(math.log(abs(w) or 1e-300)) + 2.3 * (w < 0) for w in term.inner)
