"""The trajectory problem in which the laws of a first search are compared."""

from __future__ import annotations

import numpy as np

from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.search.laws.search_problem import SearchProblem

# Error of the flow over a grid interval, relative to the spread of the states.
_LARGEST_ERROR = 1e-2


def first_problem(search: SearchProblem, law: CandidateLaw) -> TrajectoryProblem:
    """The problem on the coarsest grid that the flow of a first law allows."""
    data = search.data
    refine = round((len(data.grid_times[0]) - 1) / (len(data.times[0]) - 1))
    for parts in (p for p in (1, 2, 4) if refine % p == 0):
        stride = refine // parts
        problem = TrajectoryProblem.of(
            data.coarser(stride),
            search.network,
            search.noise,
            initial_known=search.clean,
            held=search.held,
        )
        if np.all(problem.step_error(law, 1) < _LARGEST_ERROR * search.std):
            break
    return problem.with_substeps_for(law)
