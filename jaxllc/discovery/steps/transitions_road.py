"""The road of noisy dynamics and of maps: laws by the regression of steps, chosen by the filter.

No trajectory of such dynamics is a solution of the law, so that no stage here simulates one from end to end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.prior_checks import holds, missing_note
from jaxllc.discovery.stages import Progress
from jaxllc.discovery.steps.step_data import (
    by_whole_steps,
    check_steps,
    step_data,
    step_of,
    whole_steps,
)
from jaxllc.discovery.steps.steps_law import StepsFound, steps_law
from jaxllc.dynamics.terms import Term
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.integral_form import unseen
from jaxllc.knowledge.known_terms import starts
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.law.law import Law
from jaxllc.running.stage_clock import stage_clock
from jaxllc.running.time_limit import TimeLimit
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.smoothing.gauge import has_equal_input_weights
from jaxllc.transitions.filter_fit import FilterProblem
from jaxllc.transitions.law_choice import LawChoice, substeps_for
from jaxllc.transitions.state_filter import segments
from jaxllc.transitions.step_search import PlainFit, StepLaws, plain_fit, step_laws
from jaxllc.transitions.transition_rows import TransitionRows

# Share of the time for the search of one variable.
_SEARCH = 0.25
# Steps of the pieces in which laws are compared.
_PIECE = 64
# What a function of the sum over neighbours must promise in -2 log L for such functions to be searched.
_PROMISE = 40.0


class TransitionsRoad:
    """One discovery by steps: its data, settings and clock."""

    def __init__(
        self,
        runs: Sequence[Trajectories],
        network: Network,
        seed: int,
        settings: DiscoverSettings,
        progress: Progress | None,
        limit: TimeLimit,
    ) -> None:
        self.runs, self.network, self.seed, self.settings = list(runs), network, seed, settings
        self.progress, self.limit = progress, limit
        self.is_map = settings.dynamics == "map"
        self.step = step_of(runs) if self.is_map else 1.0
        self.seconds: dict[str, float] = {}

    def say(self, stage: str, what: str = "") -> None:
        if self.progress is not None:
            self.progress(stage, what)

    def run(self) -> Law:
        """The law; raises InputError where no equation could be fitted to the steps."""
        with self.limit.current():
            used = by_whole_steps(self.runs, self.step) if self.is_map else self.runs
            self.data = step_data(used)
            check_steps(self.data, self.network, self.is_map)
            self.prior = PriorKnowledge.of(
                self.settings, self.data.variables, tuple(self.data.features)
            )
            self.say("search")
            with stage_clock(self.seconds, "search"):
                options = self._options()
            self.say("refinement")
            with stage_clock(self.seconds, "refinement"):
                found = self._chosen(options)
            self.limit.close()
            with stage_clock(self.seconds, "refinement"):
                law = steps_law(found, self.settings, self.seed, self.limit)
        return replace(law, seconds=self.seconds)

    # -- search -----------------------------------------------------------------------------------

    def _options(self) -> list[StepLaws]:
        data = self.data
        self.search = self._problem(np.zeros(len(data.variables)))
        fits = [self._plain(v) for v in range(len(data.variables))]
        # How far a sample may be off, for the library.
        step = 1.0 if self.is_map else float(np.mean(np.concatenate([*map(np.diff, data.times)])))
        errors = np.sqrt([f.measurement + step * f.process for f in fits])
        self.search = self._problem(errors)
        ends = None
        if not self.is_map:
            states = data.all_states()
            ends = np.stack([states[v] + fit.moves for v, fit in enumerate(fits)])
        found = []
        for variable, name in enumerate(data.variables):
            self.say("search", name)
            one = self._searched(variable, fits[variable], ends)
            if one is None:
                raise InputError(
                    f"no equation for {name} could be fitted to the steps between its samples: no candidate "
                    "term is a number at all of them; look for states of unlike sizes"
                )
            found.append(one)
        return found

    def _problem(self, errors: np.ndarray) -> SearchProblem:
        return SearchProblem(
            replace(self.data, noise=errors),
            self.network,
            has_equal_input_weights(self.network),
            self.seed,
            grammar=Grammar(tuple(self.settings.functions), self.settings.division),
            prior=self.prior,
        )

    def _plain(self, variable: int) -> PlainFit:
        rows = TransitionRows(self.data, self.network, variable, self.is_map)
        return plain_fit(rows, self.search.library)

    def _searched(self, variable: int, fit: PlainFit, ends: np.ndarray | None) -> StepLaws | None:
        search, prior = self.search, self.prior
        sizes = [scale.size for scale in search.scales.values()]
        given: dict[str, Any] = {
            "is_map": self.is_map,
            "ends": ends,
            "max_terms": self.settings.max_terms,
            "fixed": prior.fixed(variable),
            "given": [starts(f, sizes, self.seed)[0] for f in prior.fitted(variable)],
            "seed": self.seed,
        }
        run = partial(step_laws, search.data, self.network, variable)
        library = [t for t in search.library if not prior.holds(variable, t.family)]
        seconds = _SEARCH * self.settings.search_seconds / len(search.variables)
        found = run(library, fit=fit, deadline=time.perf_counter() + seconds, **given)
        if found is None or not self.settings.sums:
            return found
        sums = [t for t in search.sum_library if not prior.holds(variable, t.family)]
        promise = found.search.gains(found.best, sums)
        if not promise or promise[0][0] < _PROMISE:
            return found
        better = PlainFit(found.measurement, found.process, fit.moves)
        deadline = time.perf_counter() + 2 * seconds
        other = run([*library, *sums], fit=better, deadline=deadline, **given)
        return other if other is not None else found

    # -- choice -----------------------------------------------------------------------------------

    def _chosen(self, options: list[StepLaws]) -> StepsFound:
        data = self.data
        follows = np.stack([one.follows for one in options])
        asked = np.isfinite(follows).any(axis=0)
        probability = np.where(asked, np.nanmin(np.where(asked, follows, 1.0), axis=0), np.nan)
        away = ~(probability >= 0.5) if self.settings.nodes == "some" else ~asked
        if away.mean() > 0.97:
            away = ~asked
        for observed in data.observed:
            away = away | unseen(observed, self.network) | ~observed.any(axis=2).all(axis=0)
        held = np.flatnonzero(away)
        law = self._law_of(options)
        problem = FilterProblem(
            segments(data, _PIECE, held.tolist(), unit=self.is_map),
            self.network,
            data.variables,
            data.features,
            self.is_map,
            substeps=1,
        )
        problem = problem.with_substeps(substeps_for(law, problem))
        demand = self.prior.demand
        choice = LawChoice(
            problem,
            np.array([one.measurement for one in options]),
            np.array([one.process for one in options]),
            max(len(one.search.starts) for one in options),
            late=self.limit.over,
        )
        best = choice.best(options, law)
        notes = []
        if demand and not holds(best.law, demand):
            held_laws = [c for c in choice.seen.values() if holds(c.law, demand)]
            held_laws = [c for c in held_laws if np.isfinite(c.criterion)]
            if held_laws:
                best = min(held_laws, key=lambda c: c.criterion)
            else:
                notes.append(missing_note(demand))
        whole = problem.of(segments(data, 10**9, held.tolist(), unit=self.is_map))
        places = [np.arange(run.num_times) for run in self.runs]
        if self.is_map:
            places = [whole_steps(run, self.step) for run in self.runs]
        return StepsFound(
            self.search,
            options,
            choice,
            best,
            whole,
            probability,
            places,
            self.runs,
            self.step,
            tuple(notes),
        )

    def _law_of(self, options: Sequence[StepLaws]) -> CandidateLaw:
        """The law of the best proposals, with the terms that every law holds."""
        terms: list[tuple[Term, ...]] = []
        coefficients: list[tuple[float, ...]] = []
        for variable, one in enumerate(options):
            fixed = tuple(self.prior.fixed(variable))
            terms.append((*fixed, *one.best.terms))
            coefficients.append((*(1.0 for _ in fixed), *one.best.coefficients.tolist()))
        law = CandidateLaw(tuple(terms), tuple(coefficients), self.prior.bounds)
        return law.within_bounds()
