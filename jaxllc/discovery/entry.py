"""discover(): from trajectories and a network to the law, through smoothing, search and the judge.

Nets and the integral form propose; the likelihood of the data decides.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Unpack

import numpy as np

from jaxllc.data.inputs import checked_data
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.diagnosis.findings import data_notes, law_notes
from jaxllc.discovery.assemble import Found, assemble_law
from jaxllc.discovery.origin_choice import chosen_axes
from jaxllc.discovery.prior_checks import demanded, holds, missing_note
from jaxllc.discovery.restored_starts import with_starts
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.judge import moves
from jaxllc.judge.judge import Judge
from jaxllc.judge.pareto import explained
from jaxllc.judge.price import Prices
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.law.law import Law
from jaxllc.law.law_outside_axes import outside
from jaxllc.running.stage_clock import stage_clock
from jaxllc.running.time_limit import TimeLimit, TimeOverError
from jaxllc.search.forms.grammar import Grammar, operators_in
from jaxllc.search.laws.first_problem import first_problem
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine, first_guess
from jaxllc.search.second_look.wide_terms import listed_terms
from jaxllc.settings.checks import checked_settings
from jaxllc.settings.discover_settings import DiscoverChoices, DiscoverSettings
from jaxllc.smoothing.clipped_samples import without_cuts
from jaxllc.smoothing.gauge import has_equal_input_weights, identifiability_notes
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.resolution import within_samples, without_unresolved_start
from jaxllc.smoothing.smooth import smooth

if TYPE_CHECKING:
    from jaxllc.neural.neural_fit import NeuralFit

Progress = Callable[[str, str], None]
# Constants in an equation up to which a law that explains the samples is taken as it is.
PLAIN = 8
# Share of the time that the search for one expression of the second look may take.
_TEACHING = 0.01


def discover(
    data: Trajectories | Sequence[Trajectories],
    network: Network,
    seed: int = 0,
    settings: DiscoverSettings | None = None,
    progress: Progress | None = None,
    **choices: Unpack[DiscoverChoices],
) -> Law:
    """Find the law dx_i/dt = f(x_i) + sum_j A_ij g(x_i, x_j) of trajectories on a network.

    data: one or several `Trajectories`, states (time, node, variable), nan where not observed; or tables or
    paths of them, as `jaxllc.read_states` reads them. Constants come in their units: a rate is per unit of
    the times, a coefficient takes the states as they are.
    network: a `Network`, or a table or path of edges as `jaxllc.read_edges` reads it. Where both name their
    nodes, names tell which is which; else the nodes of both stand in one order.
    seed: of the starts of nets and searches, of samples that are drawn, and of the bootstrap; the same seed
    gives the same law on the same machine, unless time runs out.
    settings, choices: `DiscoverSettings`, or its fields as keyword arguments.
    progress: called with a stage and what happens in it.
    Returns the `Law`: equations, constants with standard errors, rivals, and notes on what the data do not
    determine. An interrupt ends early: the best law so far is returned, with `finished` False, once there is
    one. A law that cannot be trusted says so in `doubt`.
    Raises InputError where data and network do not fit, and for choices that are not possible.
    Source: the two terms of Hu, Cui and Yang, Nature Communications 16:6226 (2025), searched here by sparse
    regression of the integral form, nets and engines, and decided by the likelihood of the trajectories;
    preset "llc" is the published way.

    >>> import numpy as np
    >>> import jaxllc
    >>> network = jaxllc.generators.erdos_renyi(12, 3, seed=1)
    >>> times = np.linspace(0, 4, 40)
    >>> data = jaxllc.known_laws.get("epidemic").simulate(network, times, seed=0)
    >>> print(jaxllc.discover(data, network))
    dx_i/dt = -0.5*x_i + sum_j A_ij (-0.5*x_i*x_j + 0.5*x_j)
    """
    from threadpoolctl import threadpool_limits

    settings = checked_settings(settings, choices)
    if progress is not None and not callable(progress):
        raise InputError(f"progress must be a function of (stage, what), not {progress!r:.80}")
    if not isinstance(seed, Integral) or seed < 0:
        raise InputError(f"seed must be a whole number from 0, not {seed!r}")
    runs, network = checked_data(data, network)
    limit = TimeLimit(settings.search_seconds)
    with threadpool_limits(1), limit.current():
        axes = chosen_axes(runs, network, seed, settings)
    inside, plain = axes.inside(runs), axes.settings_inside(settings)
    seen = data_notes(runs, network, inside)
    if progress is not None:
        for note in seen:
            progress("data", note)
    # The matrices here are small: more threads in each product cost more than they bring.
    with threadpool_limits(1):
        if settings.preset == "llc":
            from jaxllc.baselines.llc import preset_law

            law = preset_law(inside, network, seed, plain, progress)
        else:
            law = _Discovery(inside, network, seed, plain, progress, limit).run()
    said = [note for source in (*runs, network) for note in source.notes]
    left = map(axes.sentence, law_notes(law, inside, network, seen))
    law = outside(axes, law, runs, settings)
    return replace(law, notes=tuple(dict.fromkeys([*said, *seen, *left, *law.notes])))


def _with_choices(function: Callable[..., Law]) -> inspect.Signature:
    """The signature of `discover` with each choice by its name and default, for `help`."""
    kind = inspect.Parameter.KEYWORD_ONLY
    first = list(inspect.signature(function).parameters.values())[:-1]
    single = [
        inspect.Parameter(f.name, kind, default=f.default, annotation=f.type)
        for f in fields(DiscoverSettings)
    ]
    return inspect.Signature([*first, *single], return_annotation="Law")


discover.__signature__ = _with_choices(discover)  # type: ignore[attr-defined]


def _imitates(terms) -> bool:
    """Whether an equation may imitate another form: many constants, and functions of two kinds."""
    terms = [t for t in terms if not t.family.known]
    kinds = {name for t in terms if t.inner for name in operators_in(t.family.expression)}
    return sum(t.num_constants for t in terms) > PLAIN and len(kinds) > 1


class _Discovery:
    """One run of discover(): its data, settings and clock."""

    def __init__(
        self, runs, network, seed, settings: DiscoverSettings, progress, limit: TimeLimit
    ) -> None:
        self.runs, self.network, self.seed = runs, network, seed
        self.settings, self.progress = settings, progress
        self.seconds: dict[str, float] = {}
        self.limit, self.stage, self.judge = limit, "", None
        # The neural terms, once they are fitted, and whether a search of expressions was cut short.
        self.nets: NeuralFit | None = None
        self.cut_short = False

    def say(self, stage: str, what: str = "") -> None:
        self.stage = stage
        if self.progress is not None:
            self.progress(stage, what)

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
        self.prior = PriorKnowledge.of(
            self.settings, self.runs[0].variables, tuple(self.runs[0].node_features)
        )
        self.whole = self.runs
        self.runs, self.coarse = without_unresolved_start(self.runs)
        self.measured = self.runs
        with self.clock("smoothing"):
            self.runs, self.cut = without_cuts(self.measured, self.seed)
            longest = max(len(r.times) for r in self.runs)
            refine = 4 if longest <= 60 else 2 if longest <= 250 else 1
            smoothed = within_samples(smooth(self.runs, refine=refine), self.runs)
        notes = self.cut + identifiability_notes(self.runs, self.network, smoothed)
        self.search = SearchProblem(
            grid_data(self.runs, smoothed),
            self.network,
            has_equal_input_weights(self.network),
            self.seed,
            grammar=Grammar(tuple(self.settings.functions), self.settings.division),
            prior=self.prior,
        )
        return notes

    def _chosen(self, proposals):
        """The best law, its judge, and notes on how it was chosen."""
        with self.clock("refinement"):
            judge, best = self._judged(proposals)
        if self.settings.sums and self._unexplained(judge, best):
            best = self._with_sums(judge, best)
        # Moves are dear: where the library leaves much, expressions are looked for first.
        if self._needs_neural(judge, best):
            best = self._with_neural_terms(judge, best)
        with self.clock("refinement"):
            best = self._moved(judge, best)
        if self.nets is None and self._needs_neural(judge, best):
            better = self._with_neural_terms(judge, best)
            with self.clock("refinement"):
                best = best if better is best else self._moved(judge, better)
        if explained(judge, best) and not (self.search.clean or judge.at_floor(best)):
            judge, best = self._with_starts(judge, best)
            best = self._looked_at_again(judge, best)
        with self.clock("refinement"):
            if not explained(judge, best):
                judge.fit_small(best, proposals)
            if self.prior.demand:
                return demanded(self.search, judge, best, proposals, self.settings.num_fits)
        return judge, best, []

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

    # -- stages ----------------------------------------------------------------------------------

    def _proposals(self):
        self.engine = SparseEngine(max_terms=self.settings.max_terms)
        proposals = []
        for variable, name in enumerate(self.search.variables):
            self.say("search", f"{name}: {self.engine.name}")
            proposals.append(self.engine.propose(self.search, variable))
        return proposals

    def _judged(self, proposals):
        search = self.search
        starts = []
        for variable, options in enumerate(proposals):
            rows = search.forms[0].num_rows(variable)
            slack = 1e-2 * search.mean_square_floor(variable) * rows
            starts.append(first_guess(options, search.is_clean(variable), slack))
        law = CandidateLaw(
            tuple(s.terms for s in starts), tuple(s.coefficients for s in starts), self.prior.bounds
        ).within_bounds()
        problem = first_problem(search, law)
        self.judge = judge = Judge(
            problem,
            search.floor,
            lambda what: self.say("refinement", what),
            max_terms=self.settings.max_terms,
            restart=partial(self.engine.start_for, search),
            replacements=partial(self.engine.replacements, search),
            largest=search.largest_constant,
            prices=Prices(t for v in range(len(proposals)) for t in listed_terms(search, v)),
        )
        self.limit.simulation = problem.seconds_of_simulation(law)
        best = judge.choose(proposals, law, self.settings.num_fits)
        if not (search.clean or judge.late or judge.at_floor(best)):
            plain = [self.engine.plain(search, v) for v in range(len(search.variables))]
            best = judge.choose(plain, best.law, self.settings.num_fits) if any(plain) else best
        return judge, judge.recalibrated(best)

    def _moved(self, judge, best):
        best = moves.dropped(judge, best)
        for _ in range(self.settings.moves):
            if judge.at_floor(best) or judge.late:
                break
            before = best.criterion
            best = moves.added(judge, best, self.search.library)
            if best.criterion >= before:
                best = moves.swapped(judge, best, self.search.library)
            if best.criterion >= before - 1e-6:
                break
            best = moves.dropped(judge, best)
        if not judge.at_floor(best):
            exchanged = moves.exchanged(judge, best)
            best = best if exchanged is best else moves.dropped(judge, exchanged)
        plain = [t for t in self.search.library if not t.inner]
        simpler = moves.simplified(judge, best, plain)
        return best if simpler is best else moves.dropped(judge, simpler)

    def _with_starts(self, judge, best):
        """The judge and the best law with the samples that were left out, where the law explains them."""
        if self.coarse and not (self.cut or judge.late):
            with self.clock("refinement"):
                found = with_starts(judge, best, self.whole)
            if found is not None:
                judge, best = found
                self.runs = self.measured = self.whole
                self.judge, self.coarse = judge, []
        return judge, best

    def _looked_at_again(self, judge, best):
        """Shorter and better laws near one that explains the samples; see `second_look`."""
        from jaxllc.search.second_look.look import second_look

        seconds = _TEACHING * self.settings.search_seconds
        say = partial(self.say, "second look")
        with self.clock("second look"):
            return second_look(
                self.search, self.engine, judge, best, self.settings.engines, seconds, say
            )

    def _needs_neural(self, judge, best) -> bool:
        if self.settings.neural == "never":
            return False
        wanted = self.settings.neural == "always" or self._unexplained(judge, best)
        return wanted and self.limit.may_compile()

    def _unexplained(self, judge, best) -> bool:
        """Whether the best law leaves something, or may imitate another form."""
        if judge.late:
            return False
        if any(_imitates(terms) for terms in best.law.terms):
            return True
        return not judge.at_floor(best) and judge.merit(best.fit) / judge.num_samples > 1.3

    def _with_sums(self, judge, best):
        from jaxllc.search.laws.sum_proposals import searched_sum_proposals, sum_proposals

        self.search = self.search.with_sums(True)
        with self.clock("sums over neighbours"):
            more = sum_proposals(self.search, self.engine)
        best = self._improved(judge, best, more)
        if self._unexplained(judge, best) and self.limit.may_compile():
            with self.clock("sums over neighbours"):
                found = searched_sum_proposals(
                    self.search,
                    best.law,
                    self.seed,
                    self.settings.max_terms,
                    self.settings.engines,
                    0.15 * self.settings.search_seconds,
                    say=lambda what: self.say("sums over neighbours", what),
                )
            self.cut_short |= not found.finished
            more = found.proposals
            best = self._improved(judge, best, more) if any(more) else best
        # Moves are dear: functions of sums take part in them only where one has proved itself.
        proved = any(
            sums_in(t.family.expression)
            for terms in best.law.terms
            for t in terms
            if not t.family.known
        )
        self.search = self.search.with_sums(proved)
        return best

    def _with_neural_terms(self, judge, best):
        from jaxllc.search.laws.neural_proposals import (
            fitted_neural_terms,
            neural_proposals,
            searched_proposals,
        )

        with self.clock("neural terms"):
            if self.nets is None:
                self.nets = fitted_neural_terms(self.search, self.seed)
            given = self.search, self.nets, best.law, self.seed
            more = neural_proposals(*given, self.settings.max_terms)
        with self.clock("expressions"):
            found = searched_proposals(
                *given,
                self.settings.max_terms,
                self.settings.engines,
                0.2 * self.settings.search_seconds,
                say=lambda what: self.say("expressions", what),
            )
            self.cut_short |= not found.finished
            more = [[*a, *b] for a, b in zip(more, found.proposals, strict=True)]
        return self._improved(judge, best, more)

    def _improved(self, judge, best, more):
        """The best law among further proposals of each equation, or the one that was best before."""
        with self.clock("refinement"):
            improved = judge.choose(more, best.law, self.settings.num_fits)
            # Choosing may have set the noise anew: compare with the best law as it is judged now.
            best = judge.seen.get(best.law.key(), best)
            if improved.criterion >= best.criterion:
                return best
            return judge.with_fine_steps(improved)

    def _law(self, judge, best, notes) -> Law:
        found = Found(
            judge, best, self.search, self.runs, self.measured, bool(self.cut), self.cut_short
        )
        law = assemble_law(found, self.seed, self.settings, self.limit, notes)
        return replace(law, seconds=self.seconds)
