"""Distance of a found law's constants from the truth, in the standard errors that the law reports.

The truth is usually written with other constants than the found law (1 - x_i opened, 1/D in place of D).
So the true law is first written in the found law's own form: the constants at which that form equals the
true law, by nonlinear least squares over points, from the found ones. Where the skeleton is right
there are such constants, and the misfit there is zero.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from jaxllc.equations.expressions import evaluate, parse

NUM_POINTS = 2000
EQUAL_BELOW = 1e-6  # misfit, of the standard deviation of the true rates of change


def largest_standardised_error(law: Any, known: Any, runs: list, network: Any) -> float:
    """max over constants of |found - true| / standard error; nan where the forms differ."""
    largest = 0.0
    for variable, true in truth_in_form_of(law, known, runs, network).items():
        constants = [c for c in law.constants if c.variable == variable]
        found = np.array([c.value for c in constants])
        errors = np.array([c.standard_error for c in constants])
        if true is None:
            return math.nan
        difference = np.abs(found - true)
        # A constant that is right to rounding has an error of the solver, not of the data.
        difference[difference < 1e-7 * np.abs(true)] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            standardised = np.where(difference == 0, 0.0, difference / errors)
        largest = max(largest, float(standardised.max(initial=0.0)))
    return largest


def truth_in_form_of(
    law: Any, known: Any, runs: list, network: Any
) -> dict[str, np.ndarray | None]:
    """{variable: constants at which the found equation is the true one}; None where there are none such."""
    points = _points(known, runs, network)
    true = {}
    for variable, truth in known.equations.items():
        constants = [c for c in law.constants if c.variable == variable]
        found = np.array([c.value for c in constants])
        true[variable] = _constants_of_the_truth(constants, found, truth, points)
    return true


def _points(known: Any, runs: list, network: Any) -> dict[str, np.ndarray]:
    """States of senders and receivers of random edges at random times, (point,) each."""
    generator = np.random.default_rng(0)
    edges = generator.integers(len(network.senders), size=NUM_POINTS)
    sides = {"i": network.receivers[edges], "j": network.senders[edges]}
    which = generator.integers(len(runs), size=NUM_POINTS)
    when = np.array([generator.integers(runs[r].num_times) for r in which])
    values = {"k_i": network.in_strength[sides["i"]]}
    for side, nodes in sides.items():
        for v, name in enumerate(known.variables):
            seen = [runs[r].states[t, n, v] for r, t, n in zip(which, when, nodes, strict=True)]
            values[f"{name}_{side}"] = np.nan_to_num(np.array(seen))
        for name, feature in runs[0].node_features.items():
            values[f"{name}_{side}"] = feature[nodes]
    return values


def _constants_of_the_truth(
    constants: list, found: np.ndarray, truth: Any, points: dict[str, np.ndarray]
) -> np.ndarray | None:
    from scipy.optimize import least_squares

    # f + k_i g at one sender is all that the data could ever tell apart: (f + k_i c, g - c) is the same law.
    def rate(self_term: Any, interaction: Any) -> np.ndarray:
        return self_term + points["k_i"] * interaction

    true_rate = np.broadcast_to(
        rate(evaluate(truth.self_term, points), evaluate(truth.interaction_term, points)),
        NUM_POINTS,
    )
    scale = float(np.std(true_rate)) or 1.0
    terms = terms_of_constants(constants)

    def misfit(theta: np.ndarray) -> np.ndarray:
        sides = {"self": np.zeros(NUM_POINTS), "interaction": np.zeros(NUM_POINTS)}
        for side, expression, first, number in terms:
            inner = {f"w{k}": theta[first + 1 + k] for k in range(number - 1)}
            sides[side] = sides[side] + theta[first] * evaluate(expression, {**points, **inner})
        return (rate(sides["self"], sides["interaction"]) - true_rate) / scale

    if not len(found):
        return found if np.sqrt(np.mean(misfit(found) ** 2)) < EQUAL_BELOW else None
    with np.errstate(all="ignore"):
        fit = least_squares(
            misfit,
            found,
            x_scale=np.maximum(np.abs(found), 1e-6),
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
        )
    return fit.x if np.sqrt(np.mean(fit.fun**2)) < EQUAL_BELOW else None


def terms_of_constants(constants: list) -> list[tuple[str, Any, int, int]]:
    """(side, expression, position of the coefficient, number of constants) of each term."""
    starts = [n for n, c in enumerate(constants) if c.role == "coefficient"]
    ends = [*starts[1:], len(constants)][: len(starts)]  # a law may have no terms
    return [
        (constants[a].side, parse(_without_sigmoid(constants[a].term)), a, b - a)
        for a, b in zip(starts, ends, strict=True)
    ]


def _without_sigmoid(text: str) -> str:
    """sigmoid(u) written as 1/(1 + exp(-(u))), which the parser knows."""
    while match := re.search(r"\bsigmoid\(", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        inside = text[match.end() : end - 1]
        text = f"{text[: match.start()]}(1/(1 + exp(-({inside}))))" + text[end:]
    return text
