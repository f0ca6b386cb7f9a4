"""discover() where no network was given: network and law are found, then the law is fitted on the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.diagnosis.findings import is_explained
from jaxllc.discovery.without_network.finder import Finder, Found
from jaxllc.discovery.without_network.nodewise_law import nodewise_law, without_edges
from jaxllc.discovery.without_network.pair_problem import PairProblem
from jaxllc.discovery.without_network.sentences import found_sentence, refusal
from jaxllc.dynamics.terms import INTERACTION, SELF, terms_of
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.law.axes import axes_of
from jaxllc.law.law import Law
from jaxllc.law.law_outside_axes import outside
from jaxllc.nodewise.edges.edge_repair import repairable
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.running.stage_clock import stage_clock
from jaxllc.running.time_limit import TimeLimit
from jaxllc.settings.discover_settings import DiscoverSettings

# Nodes up to which all pairs are asked.
_MOST_NODES = 300
# Times that the law is found anew because it asks for other edges.
_AGAIN = 2


@dataclass(frozen=True)
class NetworkRoad:
    """Finds network and law of some runs. solve: the law on a network, fitted to all nodes at once."""

    runs: Sequence[Trajectories]
    seed: int
    settings: DiscoverSettings
    limit: TimeLimit
    say: Callable[[str, str], None]
    solve: Callable[[Network], Law]

    def run(self) -> Law:
        """The law with the network that was found, or with the reason why none was."""
        count = self.runs[0].num_nodes
        if count > _MOST_NODES:
            raise InputError(
                f"the data hold {count} nodes, and without a network all {count * (count - 1)} pairs would "
                f"be asked, which is done up to {_MOST_NODES} nodes; give a network, or a part of the nodes"
            )
        for name in ("vary", "held", "edge_prior"):
            if getattr(self.settings, name):
                raise InputError(f"{name} needs a network: without one, leave it out")
        if self.settings.classes == "always":
            raise InputError('classes="always" needs a network: without one, leave it out')
        if self.settings.weights != "given":
            raise InputError(
                'weights="unknown" needs a network: where none is given, strengths says what weights may be'
            )
        seconds: dict[str, float] = {}
        axes = axes_of(self.runs)[0]
        with self.limit.current(), stage_clock(seconds, "network"):
            inside = axes.inside(self.runs)
            problem = PairProblem.of(inside, self.seed, axes.settings_inside(self.settings))
            finder = Finder(problem, self.limit, lambda what: self.say("network", what))
            finding = finder.finding()
            reason = refusal(finding, len(self.runs))
            found = finding.found
            table = None if reason or found is None else finder.table(found)
        if found is None or table is None:
            law = without_edges(problem, None if found is None else found.law, reason)
            return replace(outside(axes, law, inside, self.settings), seconds=seconds)
        coupled, table = self._on_network(finder, found, table, axes.usual)
        law = coupled or outside(
            axes, nodewise_law(problem, found.law, table.network()), inside, self.settings
        )
        for stage, taken in law.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + taken
        notes = (found_sentence(finding, table), *law.notes)
        return replace(law, network=table.network(), edges=table, notes=notes, seconds=seconds)

    def _on_network(
        self, finder: Finder, found: Found, table: EdgeTable, usual: bool
    ) -> tuple[Law | None, EdgeTable]:
        """The law that the coupled nodes follow on the network, and what it says of the edges; None where
        they do not on weights that are estimates."""
        law = None
        for _ in range(_AGAIN):
            law = self.solve(table.network())
            if not found.equal:
                explains = law.trusted and is_explained(law)
                return law if explains else None, table
            if found.over_degree or not usual or not law.trusted or self.limit.share_over(1.0):
                break
            candidate = candidate_of(law)
            if repairable(candidate):
                break
            before = table.present
            with self.limit.current():
                table = finder.table(replace(found, weights=before.astype(float), law=candidate))
            if np.array_equal(table.present, before) or not table.present.any():
                break
        return law, table


def candidate_of(law: Law) -> CandidateLaw:
    """The terms and coefficients of a law's equations."""
    terms, coefficients = [], []
    for equation in law.equations.values():
        own, constants = terms_of(equation.self_term, SELF)
        more, others = terms_of(equation.interaction_term, INTERACTION)
        terms.append((*own, *more))
        coefficients.append((*constants, *others))
    return CandidateLaw(tuple(terms), tuple(coefficients))
