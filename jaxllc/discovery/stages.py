"""What every road of a discovery goes through: smoothing, proposals, the judge, and the law in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.data.drivers.held_states import held_nodes
from jaxllc.discovery.assemble import Found, assemble_law
from jaxllc.discovery.followers import Followers, edge_note
from jaxllc.discovery.prior_checks import holds, missing_note
from jaxllc.dynamics.terms import Term
from jaxllc.errors import listed
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.judge import moves
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.pareto import explained
from jaxllc.knowledge.forcing_terms import with_forcing
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.law.law import Law
from jaxllc.law.plain_time import with_time_of_nodes
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_repair import repairable, repaired
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.running.stage_clock import stage_clock
from jaxllc.running.time_limit import TimeLimit, TimeOverError
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.laws.first_problem import first_problem
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import first_equation
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.smoothing.clipped_samples import without_cuts
from jaxllc.smoothing.gauge import has_equal_input_weights, identifiability_notes
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.resolution import refinement, within_samples, without_unresolved_start
from jaxllc.smoothing.smooth import smooth

if TYPE_CHECKING:
    from jaxllc.neural.neural_fit import NeuralFit

Progress = Callable[[str, str], None]

# Nodes up to which all pairs are asked for an edge.
MOST_PAIRED = 300
# Share of the time for the expressions of one rate.
_RATE = 0.15


class Discovery:
    """One run of discover(): its data, settings and clock. A road says what is proposed and chosen."""

    def __init__(
        self, runs, network, seed, settings: DiscoverSettings, progress, limit: TimeLimit
    ) -> None:
        self.runs, self.network, self.seed = runs, network, seed
        self.settings, self.progress = settings, progress
        self.seconds: dict[str, float] = {}
        self.limit, self.stage = limit, ""
        self.judge: Judge | None = None
        # The neural terms, once they are fitted, and whether a search of expressions was cut short.
        self.nets: NeuralFit | None = None
        self.cut_short = False
        # Which nodes follow the law, where not all do.
        self.followers: Followers | None = None
        # What the samples say of the edges, once it was asked.
        self.edges: EdgeTable | None = None
        self.edge_prior = EdgePrior(**settings.edge_prior or {})
        self.edge_prior.log_odds(
            network
        )  # names that the network lacks are told before anything is done

    def say(self, stage: str, what: str = "") -> None:
        self.stage = stage
        if self.progress is not None:
            self.progress(stage, what)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of the nodes, or their numbers."""
        return self.runs[0].node_names

    @contextmanager
    def clock(self, stage: str):
        self.say(stage)
        with stage_clock(self.seconds, stage):
            yield

    def run(self) -> Law:
        with self.limit.current():
            notes = self._begun()
            with self.clock("search"):
                proposals = self._proposals()
            try:
                judge, best, more = self._chosen(proposals)
            except (TimeOverError, KeyboardInterrupt) as end:
                if self.judge is None or not self.judge.seen:
                    raise  # there is no law yet
                if isinstance(end, KeyboardInterrupt):
                    self.limit.interrupt(self.stage)
                judge, best, more = self._best_so_far()
            return self._closed(judge, best, [*notes, *more])

    def _begun(self) -> list[str]:
        """The problem of the search, and notes on the data."""
        prior = PriorKnowledge.of(
            self._of_nodes(self.settings),
            self.runs[0].variables,
            (*self.runs[0].node_features, *self.runs[0].inputs, *(self.settings.vary or ())),
        )
        self.prior = with_forcing(prior, self.runs[0])
        self.whole = self.runs
        self.runs, self.coarse = without_unresolved_start(self.runs)
        self.measured = self.runs
        with self.clock("smoothing"):
            self.runs, self.cut = without_cuts(self.measured, self.seed)
            smoothed = within_samples(smooth(self.runs, refinement(self.runs)), self.runs)
        notes = self.cut + identifiability_notes(self.runs, self.network, smoothed)
        held = held_nodes(self.settings.held, self.node_names)
        if held:
            notes.append(
                f"The nodes held, {listed([self.node_names[node] for node in held])}, act on the others with "
                "their states as they were measured, and are not explained."
            )
        self.search = SearchProblem(
            replace(grid_data(self.runs, smoothed), held=held),
            self.network,
            has_equal_input_weights(self.network),
            self.seed,
            grammar=Grammar(tuple(self.settings.functions), self.settings.division),
            prior=self.prior,
            held=held,
        )
        return notes

    def _of_nodes(self, settings: DiscoverSettings) -> DiscoverSettings:
        """The settings with terms that read the time as that of each node."""
        names = [name for name, course in self.runs[0].inputs.items() if course.is_time]
        if not (names and settings.known):
            return settings
        known = {
            v: tuple(with_time_of_nodes(text, names) for text in texts)
            for v, texts in settings.known.items()
        }
        return replace(settings, known=known)

    def _proposals(self) -> list[list[ProposedEquation]]:
        """Equations for each variable."""
        raise NotImplementedError

    def _chosen(
        self, proposals: Sequence[Sequence[ProposedEquation]]
    ) -> tuple[Judge, Judged, list[str]]:
        """The best law, its judge, and notes on how it was chosen."""
        raise NotImplementedError

    def _judge_of(
        self, proposals: Sequence[Sequence[ProposedEquation]], **choices: Any
    ) -> tuple[Judge, CandidateLaw]:
        """The judge of the search, with these choices of its own, and the law that it starts from."""
        search = self.search
        first = [first_equation(search, v, options) for v, options in enumerate(proposals)]
        law = CandidateLaw(
            tuple(e.terms for e in first), tuple(e.coefficients for e in first), self.prior.bounds
        ).within_bounds()
        problem = first_problem(search, law)
        self.judge = Judge(
            problem,
            search.floor,
            partial(self.say, "refinement"),
            max_terms=self.settings.max_terms,
            largest=search.largest_constant,
            **choices,
        )
        self.limit.simulation = problem.seconds_of_simulation(law)
        return self.judge, law

    def _varied(self, judge: Judge, best: Judged, terms: Sequence[Term]) -> Judged:
        """The best law after terms were dropped, and others added or put in the place of some, in turn."""
        best = moves.dropped(judge, best)
        for _ in range(self.settings.moves):
            if judge.at_floor(best) or judge.late:
                break
            before = best.criterion
            best = moves.added(judge, best, terms)
            if best.criterion >= before:
                best = moves.swapped(judge, best, terms)
            if best.criterion >= before - 1e-6:
                break
            best = moves.dropped(judge, best)
        return best

    def _whole_rates(self, law: CandidateLaw) -> list[list[ProposedEquation]]:
        """Rates as single expressions of x_i, sums over neighbours and features, beside the known terms of a
        law, where these may tell them better than it."""
        from jaxllc.search.laws.sum_proposals import searched_sum_proposals

        with self.clock("sums over neighbours"):
            found = searched_sum_proposals(
                self.search,
                law,
                self.seed,
                self.settings.max_terms,
                self.settings.engines,
                _RATE * self.settings.search_seconds,
                say=partial(self.say, "sums over neighbours"),
            )
        self.cut_short |= not found.finished
        return found.proposals

    def _improved(
        self, judge: Judge, best: Judged, more: Sequence[Sequence[ProposedEquation]]
    ) -> Judged:
        """The best law among further proposals of each equation, or the one that was best before."""
        if not any(more):
            return best
        with self.clock("refinement"):
            improved = judge.choose(more, best.law, self.settings.num_fits)
            # Choosing may have set the noise anew: compare with the best law as it is judged now.
            best = judge.seen.get(best.law.key(), best)
            if improved.criterion >= best.criterion:
                return best
            return judge.with_fine_steps(improved)

    def _best_so_far(self):
        seen, demand = list(self.judge.seen.values()), self.prior.demand
        held = [j for j in seen if holds(j.law, demand) and np.isfinite(j.criterion)]
        best = min(held or seen, key=lambda j: j.criterion)
        return self.judge, best, [] if held or not demand else [missing_note(demand)]

    def _closed(self, judge, best, notes) -> Law:
        self.limit.close()
        with self.clock("refinement"):
            try:
                return self._law(judge, best, [*self.coarse, *notes])
            except KeyboardInterrupt:
                if self.limit.ended:
                    raise
                self.limit.interrupt(self.stage)
                return self._law(judge, best, [*self.coarse, *notes])

    def _law(self, judge, best, notes) -> Law:
        found = Found(
            judge, best, self.search, self.runs, self.measured, bool(self.cut), self.cut_short
        )
        law = assemble_law(found, self.seed, self.settings, self.limit, notes)
        law = replace(law, seconds=self.seconds)
        if self.followers:
            law = replace(law, follows=self.followers.probability)
        asked = self.followers is not None or self.settings.edges == "uncertain"
        return self._with_edges(judge, best, law) if asked and not law.doubt else law

    def _with_edges(self, judge: Judge, best: Judged, law: Law) -> Law:
        """The law with what it says of the edges, where it explains the nodes that follow it."""
        if self.edges is None and self._edges_show(judge, best):
            with stage_clock(self.seconds, "edges"):
                self.edges = repaired(self.search, best.law, self.edge_prior).table
        if self.edges is None:
            why = repairable(best.law)
            note = f"Edges cannot be read off these samples: {why}." if why else ""
            uncertain = self.settings.edges == "uncertain"
            return replace(law, notes=(*law.notes, note)) if note and uncertain else law
        note = edge_note(self.edges, self.search.network != self.network)
        return replace(law, edges=self.edges, notes=(*law.notes, note))

    def _edges_show(self, judge: Judge, best: Judged) -> bool:
        """Whether edges can be read off the samples under a law: it explains them, and its interactions add
        up over few enough."""
        small = self.search.network.num_nodes <= MOST_PAIRED
        late = judge.late or repairable(best.law)
        return small and not late and explained(judge, best)
