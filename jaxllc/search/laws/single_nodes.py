"""The search for the law of single nodes, as the problem of a discovery asks for it."""

from __future__ import annotations

import math

import numpy as np

from jaxllc.knowledge.forcing_terms import is_forcing
from jaxllc.knowledge.known_terms import starts
from jaxllc.nodewise.map_rows import rows_of
from jaxllc.nodewise.robust_search import RobustSearch
from jaxllc.search.laws.search_problem import SearchProblem


def single_nodes(
    problem: SearchProblem,
    variable: int,
    max_terms: int,
    deadline: float = math.inf,
    sums: bool = False,
    noisier: float = 1.0,
) -> RobustSearch:
    """The search of one variable's equation among the terms of a problem's library.

    Known terms without constants are taken out of the samples; others are in every law. sums: functions of
    sums over neighbours are searched, too. noisier: factor of the noise that a law may leave.
    """
    listed = [*problem.library, *problem.sum_library] if sums else problem.library
    rows = rows_of(problem.data, problem.network, variable)
    for term in problem.prior.fixed(variable):
        rows.target -= np.where(rows.counted, rows.column(term), 0.0)
    sizes = [scale.size for scale in problem.scales.values()]
    known = [starts(f, sizes, problem.seed)[0] for f in problem.prior.fitted(variable)]
    library = [t for t in listed if not problem.prior.holds(variable, t.family)]
    noise = noisier * float(problem.noise[variable])
    beside = sum(is_forcing(t.family) for t in known)
    return RobustSearch(rows, noise, library, max_terms + beside, known, deadline)
