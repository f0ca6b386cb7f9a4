"""Whether the law found of a random system is the one that made its trajectories, by value or by form."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from exactness import exact
from symbolic_targets import Target

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import to_text
from jaxllc.errors import InputError

if TYPE_CHECKING:
    from random_systems import System


def visited_pairs(x: np.ndarray, network: Any) -> np.ndarray:
    """States of receiver and sender of every edge, (time * edge, 2), of states (time, node)."""
    return np.stack([x[:, network.receivers], x[:, network.senders]], axis=-1).reshape(-1, 2)


@dataclass(frozen=True)
class Visited(Target):
    """A target whose points are those that the trajectories visit."""

    seen: np.ndarray = field(default=None, compare=False, repr=False)

    def points(self, count: int, seed: int) -> np.ndarray:
        return self.generator(seed).choice(self.seen, count, replace=len(self.seen) < count)


def compared(system: System, found: Equation, within: float) -> dict[str, Any]:
    """Whether a found equation is the true one: skeleton, worst (error of a constant) and exact."""
    ways = [way for way in (_by_value(system, found), _by_form(system, found)) if way is not None]
    worst = min(ways, default=math.nan)
    return {"skeleton": bool(ways), "worst": worst, "exact": bool(ways) and worst <= within}


def _by_value(system: System, found: Equation) -> float | None:
    x = np.concatenate([run.states[..., 0] for run in system.runs])
    visited = x.reshape(-1, 1), visited_pairs(x, system.network)
    truth, found = own_terms_in_interaction(system.truth), own_terms_in_interaction(found)
    verdicts = []
    for seen, true, mine in zip(visited, truth, found, strict=True):
        variables = ("x_i", "x_j")[: seen.shape[1]]
        target = Visited(system.name, variables, to_text(true), (system.box,) * 2, seen=seen)
        verdicts.append(exact(target, mine))
    return max(v.worst for v in verdicts) if all(v.same_skeleton for v in verdicts) else None


def own_terms_in_interaction(equation: Equation) -> Equation:
    """k_i*c(x_i) moved from f to g, since sum_j A_ij c(x_i) is that; as it is where k_i enters otherwise."""
    k = sympy.Symbol("k_i")
    spread = sympy.expand_mul(equation.self_term)
    rest, slope = spread.coeff(k, 0), spread.coeff(k, 1)
    if spread != rest + sympy.expand_mul(k * slope) or slope.has(k):
        return equation
    return Equation(rest, equation.interaction_term + slope)


def _by_form(system: System, found: Equation) -> float | None:
    with suppress(InputError):  # too large for a normal form
        if jaxllc.metrics.skeleton_equal(found, system.truth):
            return jaxllc.metrics.worst_coefficient_error(found, system.truth)
    return None
