"""discover() on a network whose edges are known and whose weights are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from jaxtyping import Float

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.without_network.nodewise_law import nodewise_law
from jaxllc.discovery.without_network.pair_problem import PairProblem, network_of
from jaxllc.dynamics.terms import INTERACTION, Term, TermFamily, inner_symbol
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.law.axes import axes_of
from jaxllc.law.law import Law
from jaxllc.law.law_outside_axes import outside
from jaxllc.nodewise.edges.edge_table import EdgeTable
from jaxllc.nodewise.map_rows import rows_of
from jaxllc.running.stage_clock import stage_clock
from jaxllc.running.time_limit import TimeLimit
from jaxllc.search.laws.single_nodes import single_nodes
from jaxllc.settings.discover_settings import DiscoverSettings, by_steps
from jaxllc.unknown_network.unknown_weights import UnknownWeights, WeightedLaw

# Normal quantile of an interval of 95 %, wider since smoothed states are taken for true ones.
_WIDE = 1.96 * np.sqrt(1.7)
_NOTE = (
    "Weights were taken as unknown. Only weights times constants are determined: weights are of mean one, "
    "drawn to it as far as the samples leave them open, and constants are those of single nodes, not of a "
    "simulation of all. law.network holds the weights, law.network_table() the interval of each."
)


@dataclass(frozen=True)
class WeightsRoad:
    """Finds the law of some runs and the weights of the edges of a network."""

    runs: Sequence[Trajectories]
    network: Network
    seed: int
    settings: DiscoverSettings
    limit: TimeLimit
    say: Callable[[str, str], None]

    def run(self) -> Law:
        """The law, with the network of the weights that were found."""
        for name in ("vary", "held", "known", "edge_prior"):
            if getattr(self.settings, name):
                raise InputError(
                    f'weights="unknown" leaves no room for {name}: leave one of them out'
                )
        if self.settings.classes == "always":
            raise InputError(
                'classes="always" is for weights that are given: leave it or weights="unknown" out'
            )
        if by_steps(self.settings) or self.runs[0].inputs or self.settings.preset != "default":
            raise InputError(
                'weights="unknown" is for flows without process noise or inputs, with the preset "default": '
                "leave the others out"
            )
        seconds: dict[str, float] = {}
        axes = axes_of(self.runs)[0]
        with self.limit.current(), stage_clock(seconds, "weights"):
            inside = axes.inside(self.runs)
            problem = PairProblem.of(inside, self.seed, axes.settings_inside(self.settings))
            law, table, errors = self._found(problem)
        found = nodewise_law(problem, law, table.network(), errors=errors)
        found = outside(axes, found, inside, self.settings)
        return replace(found, edges=table, notes=(_NOTE, *found.notes), seconds=seconds)

    def _found(self, problem: PairProblem) -> tuple[CandidateLaw, EdgeTable, np.ndarray]:
        shape = (problem.num_nodes, problem.num_nodes)
        present = np.zeros(shape, dtype=bool)
        present[self.network.receivers, self.network.senders] = True
        nobody = network_of(np.zeros(shape), problem.names)
        best: tuple[float, int, UnknownWeights, WeightedLaw] | None = None
        for variable, name in enumerate(problem.data.variables):
            self.say("weights", f"{name}: forms with weights of their own")
            rows = rows_of(problem.data, nobody, variable)
            search = UnknownWeights(
                rows, problem.noise[variable], problem.plain, problem.interactions, present
            )
            law = search.best()[0]
            gain = search.none - law.criterion
            if best is None or gain > best[0]:
                best = gain, variable, search, law
        assert best is not None
        _, told, search, law = best
        mean = float(law.weights[present].mean())
        weights = np.where(present, law.weights / mean, 0.0)
        errors = np.where(present, law.errors / abs(mean), np.nan)
        terms, coefficients, spreads = [], [], []
        on = problem.on(weights)
        for variable in range(problem.data.num_variables):
            if variable == told:
                own, constants, spread = _equation(law, mean, search.standard_errors(law))
            else:
                nodes = single_nodes(on, variable, self.settings.max_terms).best()[0]
                own, constants = list(nodes.terms), nodes.coefficients.tolist()
                spread = [np.nan] * sum(t.num_constants for t in own)
            terms.append(tuple(own))
            coefficients.append(tuple(constants))
            spreads += spread
        low, high = (np.where(present, weights + s * _WIDE * errors, np.nan) for s in (-1.0, 1.0))
        table = EdgeTable(
            self.network,
            present.astype(float),
            present,
            weights,
            np.full(problem.num_nodes, np.nan),
            low,
            high,
        )
        found = CandidateLaw(tuple(terms), tuple(coefficients), problem.prior.bounds)
        return found, table, np.array(spreads)


def _equation(
    law: WeightedLaw, mean: float, errors: Float[np.ndarray, " constant"]
) -> tuple[list[Term], list[float], list[float]]:
    """Terms, coefficients and standard errors of all constants, in their order; a sum of two terms is two."""
    count = len(law.own)
    terms, coefficients = list(law.own), law.coefficients.tolist()
    spread, ratio = errors[:count].tolist(), inner_symbol(0)
    expression = law.pair.family.expression
    if not (expression.is_Add and len(law.pair.inner) == 1 and _is_ratio(expression, ratio)):
        inner = errors[count + 1 :].tolist()
        return [*terms, law.pair], [*coefficients, mean], [*spread, float(errors[count]), *inner]
    first = expression.subs(ratio, 0)
    second = sympy.expand((expression - first) / ratio)
    pair = [Term(TermFamily(INTERACTION, part)) for part in (first, -second)]
    value = law.pair.inner[0]
    return (
        [*terms, *pair],
        [*coefficients, mean, -value * mean],
        [*spread, float(errors[count]), abs(mean) * float(errors[count + 1])],
    )


def _is_ratio(expression: sympy.Expr, ratio: sympy.Symbol) -> bool:
    return sympy.diff(expression, ratio).has(ratio) is False and expression.subs(ratio, 0) != 0
