"""Constants of a law and those of each node, fitted together to the trajectories."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import sympy
from jaxtyping import Float

from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.equations.expression_building import filled
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import TrajectoryFit, fit_trajectories
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.standard_errors import standard_errors

# Nodes up to which constants of all are fitted at once.
MOST_NODES = 150


@dataclass(frozen=True, eq=False)
class JointFit:
    """values, errors: (node,) of the nodes' constants; law_errors: of the other constants, in their order;
    ratios: of the coefficients of the equation's other terms to their errors, {place in the equation: ratio};
    fit: of all."""

    values: Float[np.ndarray, " node"]
    errors: Float[np.ndarray, " node"]
    law_errors: Float[np.ndarray, " constant"]
    ratios: dict[int, float]
    fit: TrajectoryFit


def is_one_factor(law: CandidateLaw, variable: int, name: str) -> bool:
    """Whether a feature multiplies terms of one side of one equation, and stands nowhere else."""
    symbols = {sympy.Symbol(f"{name}_{end}") for end in "ijs"}
    own = sympy.Symbol(f"{name}_i")
    places = {
        (equation, term.family.side)
        for equation, terms in enumerate(law.terms)
        for term in terms
        if term.family.expression.free_symbols & symbols
    }
    if len(places) != 1 or next(iter(places))[0] != variable:
        return False
    held = [t.family.expression for t in law.terms[variable] if t.family.expression.has(own)]
    return bool(held) and not any((e / own).free_symbols & symbols for e in held)


def joint_fit(
    problem: TrajectoryProblem,
    law: CandidateLaw,
    variable: int,
    name: str,
    states: np.ndarray | None = None,
    iterations: int = 6,
) -> JointFit:
    """Fit a law in whose equation of a variable the feature `name` is a constant of each node.

    Each node gets a term of its own, that in which the feature stands times one at the node and zero
    elsewhere; where several terms hold it, their shares stay as they are.
    """
    symbol = sympy.Symbol(f"{name}_i")
    pairs = list(zip(law.terms[variable], law.coefficients[variable], strict=True))
    varying = [pair for pair in pairs if pair[0].family.expression.has(symbol)]
    others = [pair for pair in pairs if not pair[0].family.expression.has(symbol)]
    side = varying[0][0].family.side
    base = (
        sympy.Add(
            *(
                c * filled(t.family.expression, {k: sympy.Float(w) for k, w in t.by_inner.items()})
                for t, c in varying
            )
        )
        / symbol
    )
    base = sympy.expand(base) if len(varying) > 1 else sympy.cancel(base)
    free, nodes = problem.free, problem.num_nodes
    marks = {f"only{k}of{name}": (np.arange(nodes) == k).astype(float) for k in free}
    own = [Term(TermFamily(side, sympy.Symbol(f"{mark}_i") * base)) for mark in marks]
    values = problem.features[name]
    both = law.replaced(
        variable,
        [*(t for t, _ in others), *own],
        [*(c for _, c in others), *(float(values[k]) for k in free)],
    )
    marked = replace(problem, features={**problem.features, **marks})
    fit = fit_trajectories(marked, both, states, iterations, tolerance=1e-4, exact=True)
    return _read(problem, law, variable, fit, len(others), name)


def _read(
    problem: TrajectoryProblem,
    law: CandidateLaw,
    variable: int,
    fit: TrajectoryFit,
    place: int,
    name: str,
) -> JointFit:
    """place: of the first node's term in the equation of the variable."""
    errors = standard_errors(fit)
    equations = fit.law.terms
    start = sum(t.num_constants for terms in equations[:variable] for t in terms)
    start += sum(t.num_constants for t in equations[variable][:place])
    own = np.zeros(fit.law.num_constants, dtype=bool)
    own[start : start + len(problem.free)] = True
    ratios, position = {}, start - sum(t.num_constants for t in equations[variable][:place])
    others = [
        k
        for k, t in enumerate(law.terms[variable])
        if not t.family.expression.has(sympy.Symbol(f"{name}_i"))
    ]
    for k, term, value in zip(
        others, equations[variable], fit.law.coefficients[variable], strict=False
    ):
        if not term.family.known:
            error = float(errors[position])
            ratios[k] = abs(value) / error if error > 0 else np.inf
        position += term.num_constants
    values, spread = np.array(problem.features[name]), np.full(problem.num_nodes, np.nan)
    values[problem.free] = fit.law.coefficients[variable][place:]
    spread[problem.free] = errors[own]
    return JointFit(values, spread, errors[~own], ratios, fit)
