"""Proposals with functions of the sum over neighbours: rates such as -x_i + tanh(sum_j A_ij x_j + u_i).

The sparse search runs again over a library that also holds functions of x_s = sum_j A_ij x_j. Weighted sums
differ from node to node, so that x_s carries information which no function of x_i has.
"""

from __future__ import annotations

from jaxllc.symbolic.engines import ProposedEquation, SparseEngine
from jaxllc.symbolic.search_problem import SearchProblem


def sum_proposals(problem: SearchProblem, engine: SparseEngine) -> list[list[ProposedEquation]]:
    """Equations for each variable from the library with functions of sums, `problem.with_sums`."""
    return [engine.propose(problem, variable) for variable in range(len(problem.variables))]
