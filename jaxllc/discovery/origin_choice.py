"""Which of several origins to measure variables from: the one from which a law is simplest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxllc.data.drivers.held_states import held_nodes
from jaxllc.discovery.data_sizes import check_sizes
from jaxllc.knowledge.forcing_terms import with_forcing
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.law.axes import Axes, axes_of
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine, first_equation
from jaxllc.smoothing.gauge import has_equal_input_weights
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.resolution import within_samples, without_unresolved_start
from jaxllc.smoothing.smooth import smooth

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories
    from jaxllc.settings.discover_settings import DiscoverSettings


# What another origin than zero must gain in constants, or under noise in units of the criterion.
_CLEARLY_FEWER, _CLEARLY_BETTER = 1.5, 20.0


def chosen_axes(
    runs: Sequence[Trajectories], network: Network, seed: int, settings: DiscoverSettings
) -> Axes:
    """The axes in which to look for a law; raises InputError for sizes that no law can be found in."""
    check_sizes(runs, network)
    candidates = axes_of(runs)
    if len(candidates) == 1 or settings.preset == "llc":
        return candidates[0]

    def complexity(axes: Axes) -> tuple[float, float]:
        constants, score, clean = _complexity(axes.inside(runs), network, seed, settings)
        # Where zero may be the origin, it is the one that needs no proof.
        saved = 0 if axes.origins else 1
        if clean:
            return constants - saved * _CLEARLY_FEWER, score
        return score - saved * _CLEARLY_BETTER, constants

    # The rounder number where both serve as well.
    return min(candidates, key=complexity)


def _complexity(
    runs: list[Trajectories], network: Network, seed: int, settings: DiscoverSettings
) -> tuple[float, float, bool]:
    """Constants and score of the best equations of a sparse search, and whether the data are clean."""
    runs, _ = without_unresolved_start(runs)
    longest = max(len(r.times) for r in runs)
    smoothed = within_samples(smooth(runs, refine=4 if longest <= 60 else 2), runs)
    problem = SearchProblem(
        grid_data(runs, smoothed),
        network,
        has_equal_input_weights(network),
        seed,
        grammar=Grammar(tuple(settings.functions), settings.division),
        prior=with_forcing(PriorKnowledge(), runs[0]),
        held=held_nodes(settings.held, runs[0].node_names),
    )
    engine = SparseEngine(max_terms=settings.max_terms)
    score, constants = 0.0, 0.0
    for variable in range(len(runs[0].variables)):
        best = first_equation(problem, variable, engine.propose(problem, variable))
        constants += best.num_constants
        score += best.residual if problem.is_clean(variable) else best.score
    return constants, score, problem.clean
