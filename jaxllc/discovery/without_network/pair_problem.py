"""The data of a discovery without a network: smoothed states, problems on any network, forms of single
nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import sympy
from jaxtyping import Float

from jaxllc.data.network import Network, build_network
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.steps.step_data import by_whole_steps, step_data, step_of
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.nodewise.edges.sender_columns import SenderColumns
from jaxllc.nodewise.map_rows import rows_of
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.smoothing.clipped_samples import without_cuts
from jaxllc.smoothing.gauge import has_equal_input_weights
from jaxllc.smoothing.grid_data import GridData, grid_data
from jaxllc.smoothing.resolution import refinement, within_samples, without_unresolved_start
from jaxllc.smoothing.smooth import smooth
from jaxllc.unknown_network.form_ranking import FormRanking, RankedForm
from jaxllc.unknown_network.pair_columns import PairColumns

# Receivers that all forms are tried on; the best ones are then tried on all.
_RANKED_ON = 24
# Forms of a variable that are tried on all receivers.
_BEST = 3
# Ratios of two terms, in units of the size of a variable.
_RATIOS = (-2.0, -0.7, 0.4, 0.8, 1.3, 2.5)


def complete_network(names: Sequence[str]) -> Network:
    """Every node acting on every other."""
    return network_of(1.0 - np.eye(len(names)), names)


def network_of(weights: Float[np.ndarray, "receiver sender"], names: Sequence[str]) -> Network:
    """The network of a matrix; zero where there is no edge."""
    receivers, senders = np.nonzero(weights)
    values = np.asarray(weights[receivers, senders], dtype=float)
    return build_network(senders, receivers, values, list(names), signed=True)


class PairProblem:
    """What edges and laws are read from where nobody gave a network."""

    def __init__(
        self,
        data: GridData,
        names: Sequence[str],
        prior: PriorKnowledge,
        seed: int,
        settings: DiscoverSettings,
    ) -> None:
        self.data, self.names, self.prior = data, tuple(names), prior
        self.seed, self.settings = seed, settings

    @classmethod
    def of(cls, runs: Sequence[Trajectories], seed: int, settings: DiscoverSettings) -> PairProblem:
        """The problem of some runs: of flows on smoothed states, of maps on the samples."""
        features = tuple(runs[0].node_features)
        prior = PriorKnowledge.of(settings, runs[0].variables, features)
        known = runs[0].node_names, prior, seed, settings
        if settings.dynamics == "map":
            data = step_data(by_whole_steps(runs, step_of(runs)))
            spread = np.nanstd(np.concatenate([run.states for run in runs]), axis=(0, 1))
            rough = cls(replace(data, discrete=True, noise=spread), *known)
            noise = np.array([rough.noise_of_steps(v) for v in range(data.num_variables)])
            return cls(replace(rough.data, noise=noise), *known)
        runs, _ = without_unresolved_start(runs)
        runs, _ = without_cuts(runs, seed)
        data = grid_data(runs, within_samples(smooth(runs, refinement(runs)), runs))
        return cls(data, *known)

    def noise_of_steps(self, variable: int) -> float:
        """What the best form, with senders of each node's own choice, leaves of a step: the median over
        nodes. No smoothing knows the noise of a map, whose states may leap."""
        everyone = np.arange(self.num_nodes)
        pairs = self.pairs(variable, everyone[:: -(-self.num_nodes // _RANKED_ON)])
        best = FormRanking(pairs, self.interactions).ranked()[0].selection
        freedom = pairs.counts - pairs.own.shape[1] - best.members.sum(axis=1)
        return self.noise[variable] * float(np.median(np.sqrt(best.squares / freedom)))

    @property
    def num_nodes(self) -> int:
        return len(self.names)

    def on(self, weights: Float[np.ndarray, "receiver sender"]) -> SearchProblem:
        """The problem on the network of a matrix of weights."""
        network = network_of(weights, self.names)
        grammar = Grammar(tuple(self.settings.functions), self.settings.division)
        regular = has_equal_input_weights(network) and network.num_edges < self._all_pairs
        return SearchProblem(self.data, network, regular, self.seed, grammar, self.prior)

    @property
    def _all_pairs(self) -> int:
        return self.num_nodes * (self.num_nodes - 1)

    @cached_property
    def complete(self) -> SearchProblem:
        """The problem on all pairs, whose library does not depend on who acts on whom."""
        return self.on(1.0 - np.eye(self.num_nodes))

    @cached_property
    def noise(self) -> list[float]:
        """Of a sample of each variable."""
        return [float(n) for n in self.complete.noise]

    @cached_property
    def interactions(self) -> list[Term]:
        """Interactions of the library in which a sender has a say, apart from those over its receiver's total
        input weight, which nobody knows."""
        degree = sympy.Symbol("k_i")
        listed = [
            t
            for t in self.complete.library
            if t.family.side == INTERACTION
            and not t.family.expression.has(degree)
            and any(s.name.endswith("_j") for s in t.family.expression.free_symbols)
        ]
        return listed + self._pairs_of_terms()

    def _pairs_of_terms(self) -> list[Term]:
        """Sums of two terms of one sign each that go together often, such as x_j - x_i*x_j; their ratio is an
        inner constant."""
        ratio, found = inner_symbol(0), []
        for name, scale in self.complete.scales.items():
            own, other = sympy.Symbol(f"{name}_i"), sympy.Symbol(f"{name}_j")
            for factor in (own, other):
                family = TermFamily(INTERACTION, other - ratio * other * factor, (False,))
                found += [Term(family, (r / scale.size,)) for r in _RATIOS]
        return self.complete.allowed(found)

    @cached_property
    def plain(self) -> list[Term]:
        """What a receiver may do by itself, linear in constants."""
        return [t for t in self.complete.library if t.family.side == SELF and not t.inner]

    def pairs(self, variable: int, receivers: np.ndarray) -> PairColumns:
        """Columns of one variable for some receivers."""
        nobody = network_of(np.zeros((self.num_nodes, self.num_nodes)), self.names)
        rows = rows_of(self.data, nobody, variable)
        return PairColumns(rows, self.noise[variable], self.plain, receivers)

    def ranked(self, variable: int) -> list[RankedForm]:
        """The best interactions of a variable, with what all receivers make of them."""
        everyone = np.arange(self.num_nodes)
        if self.num_nodes <= _RANKED_ON:
            return FormRanking(self.pairs(variable, everyone), self.interactions).ranked()
        some = np.linspace(0, self.num_nodes - 1, _RANKED_ON).round().astype(int)
        best = FormRanking(self.pairs(variable, some), self.interactions).ranked()[:_BEST]
        whole = FormRanking(self.pairs(variable, everyone), self.interactions)
        return [whole.moved(whole.form(form.term)) for form in best]

    def columns(
        self, law: CandidateLaw, weights: Float[np.ndarray, "receiver sender"]
    ) -> SenderColumns:
        """What every node adds to every other under a law, which may know the network of the weights."""
        network = network_of(weights, self.names)
        rows = [rows_of(self.data, network, v) for v in range(self.data.num_variables)]
        return SenderColumns(rows, self.noise, law.terms, law.coefficients)
