"""Laws with the constants of single nodes, and what stands in for a law where none was found."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from jaxtyping import Float

from jaxllc.data.network import Network
from jaxllc.discovery.assemble import constants_of, equations_of
from jaxllc.discovery.without_network.pair_problem import PairProblem
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.law.law import Law
from jaxllc.nodewise.map_rows import rows_of
from jaxllc.nodewise.robust_fit import RobustFitter


def nodewise_law(
    problem: PairProblem,
    law: CandidateLaw,
    network: Network | None,
    doubt: str = "",
    errors: np.ndarray | None = None,
) -> Law:
    """A law on a network with standard errors from the likelihood of single nodes, unless they are given;
    without any where the network is None."""
    variables = problem.data.variables
    if errors is None:
        errors = np.full(len(law.values()), np.nan)
    elif len(errors) != len(law.values()):
        raise ValueError("one standard error for each constant")
    if network is not None and np.isnan(errors).all():
        errors = standard_errors_of(problem, law, network)
    return Law(
        equations=equations_of(law, variables),
        constants=tuple(constants_of(law, errors, variables, problem.prior.units)),
        feature_names=tuple(problem.data.features),
        doubt=doubt,
        notes=(doubt,) if doubt else (),
        settings={"seed": problem.seed, **asdict(problem.settings)},
        network=network,
    )


def without_edges(problem: PairProblem, law: CandidateLaw | None, reason: str) -> Law:
    """A law whose edges cannot be told; dx/dt = 0 where there is no law either."""
    if law is None:
        nothing: tuple = tuple(() for _ in problem.data.variables)
        law = CandidateLaw(nothing, nothing)
        reason += " What stands here is dx/dt = 0, and no finding."
    return nodewise_law(problem, law, None, reason)


def standard_errors_of(
    problem: PairProblem, law: CandidateLaw, network: Network
) -> Float[np.ndarray, " constant"]:
    """Of `law.values()`, the weights of the network being what they are."""
    found: list[float] = []
    for variable, (terms, values) in enumerate(zip(law.terms, law.coefficients, strict=True)):
        rows = rows_of(problem.data, network, variable)
        fitter = RobustFitter(rows, problem.noise[variable])
        blocks = [rows.columns(t) for t in terms]
        places: list[tuple[int, float]] = []
        columns: list[np.ndarray] = []
        for term, block, c in zip(terms, blocks, values, strict=True):
            if not term.family.held:
                places.append((len(columns), 1.0))
                columns.append(block[0])
            for slope in block[1:]:
                places.append((len(columns), abs(c) or np.inf))
                columns.append(slope)
        if not columns:
            continue
        fit = fitter.fit(columns)
        spread = np.sqrt(np.abs(np.diag(fit.covariance)))
        found += [float(spread[place] / size) for place, size in places]
    return np.array(found)
