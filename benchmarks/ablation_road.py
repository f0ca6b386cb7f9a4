"""The road of preset "neural" with its nets or its growth exchanged, and the law after each of its stages.

Everything is done by the product: nets by `fit_neural_terms` or the trainer of the published road, the rest
by `NeuralRoad`. This file exchanges one part and writes down what stands after each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import sympy
from common import CompileClock

import jaxllc
from jaxllc.baselines.llc import RoadSettings
from jaxllc.baselines.llc.net_samples import net_samples
from jaxllc.discovery import neural_road
from jaxllc.discovery.assemble import equations_of
from jaxllc.discovery.neural_road import NeuralRoad
from jaxllc.dynamics.terms import INTERACTION, SELF
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import evaluate
from jaxllc.judge import moves
from jaxllc.neural.neural_fit import TermSamples, fit_neural_terms
from jaxllc.neural.structures import EITHER_END, Structure
from jaxllc.running.time_limit import TimeLimit
from jaxllc.search.laws import neural_proposals
from jaxllc.search.term import term_search
from jaxllc.smoothing.gauge import has_equal_input_weights
from jaxllc.smoothing.local_polynomials import rates_of

# Points at which nets are compared with the law.
_POINTS = 2000


@dataclass(frozen=True)
class Nets:
    """A way to come to the two nets.

    adam: as in the re-implementation of the published road. rates: fit rates, else integrals. structures:
    take the simplest interaction that explains the samples. solver: as the road fits them, finished
    through the solver (`neural="solver"`).
    """

    name: str
    adam: bool = False
    rates: bool = True
    structures: bool = True
    solver: bool = False


NETS = {
    way.name: way
    for way in (
        Nets("adam", adam=True, structures=False),
        Nets("integrals", rates=False, structures=False),
        Nets("rates", structures=False),
        Nets("integrals + structures", rates=False),
        Nets("rates + structures"),
        Nets("solver", solver=True),
    )
}


@dataclass(frozen=True)
class AdamNets:
    """Nets of the published road in the place of a `NeuralFit`: as much of it as the road reads."""

    own: TermSamples
    pair: TermSamples
    residual: dict[str, float]
    structure: Structure = EITHER_END
    tried: tuple[tuple[Structure, np.ndarray], ...] = ()
    explains: bool = False

    def sample_terms(self, num_points: int = 500, seed: int = 0) -> tuple[TermSamples, TermSamples]:
        """The points that the published road draws, at most so many."""

        def some(samples: TermSamples) -> TermSamples:
            drawn = np.random.default_rng(seed).permutation(len(samples.points))[:num_points]
            return TermSamples(
                samples.input_names,
                samples.points[drawn],
                {name: v[drawn] for name, v in samples.values.items()},
                {name: e[drawn] for name, e in samples.error.items()},
            )

        return some(self.own), some(self.pair)


@dataclass
class Seconds:
    """What a part took: seconds of the clock, of these compilation, and of the processor."""

    total: float = 0.0
    compilation: float = 0.0
    processor: float = 0.0

    def record(self) -> dict[str, float]:
        """By name, for a file; processor seconds compiling are as much of all as their share of the clock."""
        share = self.compilation / self.total if self.total > 0 else 0.0
        return {
            **vars(self),
            "processor_compiling": share * self.processor,
            "processor_running": (1.0 - share) * self.processor,
        }


@contextmanager
def seconds_of(spent: dict[str, Seconds], part: str) -> Iterator[None]:
    """Adds what the block takes to that part."""
    clock, start, processor = CompileClock(), time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        so_far = spent.setdefault(part, Seconds())
        so_far.total += time.perf_counter() - start
        so_far.compilation += clock.since(start)
        so_far.processor += time.process_time() - processor


def nets_of(way: Nets, road: NeuralRoad) -> Any:
    """The nets of a road that has begun."""
    if way.adam:
        return _adam_nets(road)
    problem = road.search
    if way.solver:
        return neural_proposals.fitted_neural_terms(
            problem, road.seed, structures=True, solver=True
        )
    return fit_neural_terms(
        problem.data, problem.network, seed=road.seed, reduce=way.structures, rates=way.rates
    )


def _adam_nets(road: NeuralRoad) -> AdamNets:
    found = net_samples(
        road.runs, rates_of(road.runs), road.network, RoadSettings(nets="adam"), road.seed, str
    )
    variables = road.search.variables
    sides = []
    for side in (SELF, INTERACTION):
        # Every variable is drawn at the same points.
        samples = {name: found.samples[name, side] for name in variables}
        first = samples[variables[0]]
        sides.append(
            TermSamples(
                tuple(first.names),
                first.points,
                {name: s.values for name, s in samples.items()},
                {name: s.error for name, s in samples.items()},
            )
        )
    left = dict(zip(variables, np.square(found.left).tolist(), strict=True))
    return AdamNets(sides[0], sides[1], left)


# --- errors of the nets ---------------------------------------------------------------------------


def true_errors(nets: Any, known: Any, network: Any, seed: int) -> dict[str, dict[str, float]]:
    """Root mean square error of f and g at points that were visited, over the root mean square of the true
    term, {side: {variable: error}}.

    A constant that may stand in either term is moved to where the law has it. Where the true term is nought,
    the error is over that of the other one. nan where the law reads what the net does not (k_i).
    """
    own, pair = nets.sample_terms(_POINTS, seed)
    equal = network.in_degree.min() > 0 and has_equal_input_weights(network)
    strength = float(np.mean(network.in_strength))
    errors: dict[str, dict[str, float]] = {SELF: {}, INTERACTION: {}}
    for name, equation in known.equations.items():
        try:
            f, g = _values(equation.self_term, own), _values(equation.interaction_term, pair)
        except KeyError:
            errors[SELF][name] = errors[INTERACTION][name] = float("nan")
            continue
        off_own, off_pair = own.values[name] - f, pair.values[name] - g
        if nets.structure.normalised or equal:
            # A constant over k_i adds up to itself.
            one = pair.columns.get(sympy.Symbol("k_i"), np.full(len(off_pair), strength))
            constant = float(np.sum(off_pair / one) / np.sum(1.0 / one**2))
            off_own, off_pair = off_own + constant, off_pair - constant / one
        sizes = [float(np.sqrt(np.mean(v**2))) for v in (f, g)]
        sizes = [sizes[0] or strength * sizes[1], sizes[1] or sizes[0] / strength]
        for side, off, size in zip(errors, (off_own, off_pair), sizes, strict=True):
            errors[side][name] = float(np.sqrt(np.mean(off**2))) / size
    return errors


def _values(expression: sympy.Expr, samples: TermSamples) -> np.ndarray:
    columns = {symbol.name: values for symbol, values in samples.columns.items()}
    missing = {s.name for s in expression.free_symbols} - set(columns)
    if missing:
        raise KeyError(*missing)
    return np.broadcast_to(evaluate(expression, columns), (len(samples.points),))


# --- the road ---------------------------------------------------------------------------------------


@dataclass
class Stages:
    """The law after each stage, {stage: {variable: Equation}}, and what each part took."""

    laws: dict[str, dict[str, Equation]] = field(default_factory=dict)
    seconds: dict[str, Seconds] = field(default_factory=dict)


class WatchedRoad(NeuralRoad):
    """The road of preset "neural" with nets that are given; its laws are written down on the way."""

    def __init__(self, runs: Any, network: Any, seed: int) -> None:
        # The two nets and what becomes of them, and no other way to a law.
        settings = jaxllc.DiscoverSettings(preset="neural", sums=False)
        super().__init__(runs, network, seed, settings, None, TimeLimit(settings.search_seconds))
        self.stages = Stages()

    def begin(self) -> None:
        """The problem of the search."""
        with self.limit.current():
            self._begun()

    def after(self, nets: Any, growth: bool) -> Stages:
        """Expressions, pairs, trajectories and moves for these nets."""
        self.given, self.stages = nets, Stages()
        self.limit = TimeLimit(self.settings.search_seconds)
        found: list[Any] = []
        search = neural_proposals.search_term

        def watched(*args: Any, **kwargs: Any) -> Any:
            found.append(None)  # a search that finds nothing has its place, too
            found[-1] = search(*args, **kwargs)
            return found[-1]

        with self.limit.current(), _watching(self), _grown(growth):
            with (
                seconds_of(self.stages.seconds, "expressions"),
                mock.patch.object(neural_proposals, "search_term", watched),
            ):
                proposals = self._proposals()
            self.stages.laws["alone"] = self._alone(nets, proposals, found)
            with seconds_of(self.stages.seconds, "judge"):
                self._chosen(proposals)
        return self.stages

    def _alone(self, nets: Any, proposals: Any, found: list[Any]) -> dict[str, Equation]:
        """The best expression of each net, as it was written for the net; nothing where that is better."""
        _, pair = nets.sample_terms(1, self.seed)
        read = neural_proposals.reading(pair, nets.structure, self.search.variables)
        equations = {}
        for v, (name, options) in enumerate(zip(self.search.variables, proposals, strict=True)):
            sides = {t.family.side for t in options[0].terms}  # of the best of either net
            terms = [sympy.Integer(0), sympy.Integer(0)]
            for n, side in enumerate((SELF, INTERACTION)):
                if side in sides and found[2 * v + n] is not None:
                    best = found[2 * v + n].best.expression
                    here, still = (best, sympy.Integer(0)) if n == 0 else read.written(best)
                    terms[n] += here
                    terms[0] += still
            equations[name] = Equation(*terms)
        return equations

    def note(self, stage: str, law: Any) -> None:
        """The law stands after that stage; said twice, the last counts."""
        self.stages.laws[stage] = equations_of(law, self.search.variables)

    def _judge_of(self, proposals: Any, **choices: Any) -> Any:
        judge, law = super()._judge_of(proposals, **choices)
        self.note("pairs", law)
        return judge, law

    def _moved(self, judge: Any, best: Any) -> Any:
        self.note("trajectories", best.law)
        best = super()._moved(judge, best)
        self.note("end", best.law)
        return best

    def _varied(self, judge: Any, best: Any, terms: Any) -> Any:
        best = moves.dropped(judge, best)
        self.note("drop", best.law)
        best = super()._varied(judge, best, terms)
        self.note("pool", best.law)
        return best


@contextmanager
def _watching(road: WatchedRoad) -> Iterator[None]:
    """The nets that are given stand for those that would be fitted, and single moves are noted."""

    def noting(stage: str, move: Any) -> Any:
        def noted(judge: Any, best: Any, *rest: Any) -> Any:
            found = move(judge, best, *rest)
            road.note(stage, found.law)
            return found

        return noted

    with (
        mock.patch.object(neural_proposals, "fitted_neural_terms", return_value=road.given),
        mock.patch.object(neural_road, "compressed", noting("compress", neural_road.compressed)),
        mock.patch.object(neural_road, "loosened", noting("loosen", neural_road.loosened)),
    ):
        yield


@contextmanager
def _grown(growth: bool) -> Iterator[None]:
    """Whether candidates of a search of expressions grow."""
    if growth:
        yield
        return
    with mock.patch.object(term_search, "grown", lambda _, best, **__: best):
        yield
