"""pysindy on the same trajectory: sparse regression of derivatives on terms of x_i and neighbour sums.

pysindy knows no network, so the sums over neighbours are columns that we compute for it. The library holds
the terms of every GKAN-ODE system. Its best effort: three ways of differentiating times seven thresholds; the
law kept is the sparsest of those that predict the last fifth of the trajectory almost as well as the best.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import evaluate, parse

# (side, term): monomials to degree 3 and the sine of the difference.
LIBRARY = (
    ("self", "1"),
    ("self", "x_i"),
    ("self", "x_i**2"),
    ("self", "x_i**3"),
    ("interaction", "x_j"),
    ("interaction", "x_j**2"),
    ("interaction", "x_j**3"),
    ("interaction", "x_i*x_j"),
    ("interaction", "x_i**2*x_j"),
    ("interaction", "x_i*x_j**2"),
    ("interaction", "sin(x_j - x_i)"),
)
THRESHOLDS = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
ALMOST = 1.5  # times the smallest validation error
TRAINING_PART = 0.8
MOST_POINTS = 300  # of the validation part


@dataclass(frozen=True)
class PeerResult:
    """What the peer found: equations, or None and why; seconds; how it was set."""

    equations: dict[str, Equation] | None
    reason: str
    seconds: float
    setting: str = ""


def discover_with_pysindy(run: Any, network: Any) -> PeerResult:
    """The law that pysindy finds in one trajectory of one variable, (T, N, 1)."""
    try:
        import pysindy
    except ImportError:
        return PeerResult(None, "pysindy is not installed (pip install 'jaxllc[bench]')", 0.0)
    start = time.perf_counter()
    columns = _columns(run, network)
    stop = int(TRAINING_PART * run.num_times)
    ways = {
        "finite differences": pysindy.FiniteDifference(order=4),
        "smoothed finite differences": pysindy.SmoothedFiniteDifference(),
        "spline": pysindy.SINDyDerivative(kind="spline", s=1e-6),
    }
    tried = []
    for name, differentiation in ways.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            slopes = differentiation(run.states[:stop, :, 0], run.times[:stop])
        for threshold in THRESHOLDS:
            coefficients = _sparse(pysindy, columns[:stop], slopes, threshold)
            if coefficients is None or not coefficients.any():
                continue
            error = _validation_error(_equations(coefficients), run, network, stop)
            if np.isfinite(error):
                terms = np.count_nonzero(coefficients)
                tried.append((error, terms, coefficients, f"{name}, threshold {threshold:g}"))
    seconds = time.perf_counter() - start
    if not tried:
        return PeerResult(None, "no law that it found can be simulated", seconds)
    smallest = min(each[0] for each in tried)
    good = [each for each in tried if each[0] <= ALMOST * smallest]
    _, _, coefficients, setting = min(good, key=lambda each: (each[1], each[0]))
    return PeerResult(_equations(coefficients), "", seconds, setting)


def can_express(known: Any) -> bool:
    """Whether every term of the law is in the library."""
    terms = {
        side: sum(parse(t) for s, t in LIBRARY if s == side) for side in ("self", "interaction")
    }
    library = {"x": Equation(terms["self"], terms["interaction"])}
    return jaxllc.metrics.term_recall(library, known) == 1.0


def _columns(run: Any, network: Any) -> np.ndarray:
    """Library terms, summed over neighbours where they are interactions, (T, N, term)."""
    states = run.states[:, :, 0]
    adjacency = network.to_adjacency()
    columns = []
    for side, text in LIBRARY:
        if side == "self":
            values = evaluate(parse(text), {"x_i": states})
            columns.append(np.broadcast_to(values, states.shape))
            continue
        edge = {"x_i": states[:, network.receivers], "x_j": states[:, network.senders]}
        messages = evaluate(parse(text), edge) * network.weights[None, :]
        sums = np.zeros((len(states), adjacency.shape[0]))
        np.add.at(sums.T, network.receivers, messages.T)
        columns.append(sums)
    return np.stack(columns, axis=-1)


def _sparse(
    pysindy: Any, columns: np.ndarray, slopes: np.ndarray, threshold: float
) -> np.ndarray | None:
    """Coefficients of the library terms, (term,); None where pysindy stops with an error."""
    number = columns.shape[-1]
    model = pysindy.SINDy(
        optimizer=pysindy.STLSQ(threshold=threshold, alpha=1e-10),
        feature_library=pysindy.IdentityLibrary(),
    )
    # The columns go in as controls; the state itself is one of them, so its own column is a dummy.
    flat, target = columns.reshape(-1, number), slopes.reshape(-1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(np.zeros_like(target), t=1.0, x_dot=target, u=flat)
        except (ValueError, np.linalg.LinAlgError):
            return None
        return np.asarray(model.coefficients())[0, 1:]


def _equations(coefficients: np.ndarray) -> dict[str, Equation]:
    sides = {"self": parse("0"), "interaction": parse("0")}
    for (side, text), value in zip(LIBRARY, coefficients, strict=True):
        if value:
            sides[side] += float(value) * parse(text)
    return {"x": Equation(sides["self"], sides["interaction"])}


def _validation_error(equations: Any, run: Any, network: Any, stop: int) -> float:
    """Mean absolute error of the last part of the trajectory, simulated from its start."""
    from jaxllc.dynamics.vector_field import from_equations

    every = max(1, (run.num_times - stop) // MOST_POINTS)
    times, states = run.times[stop::every], run.states[stop::every]
    result = jaxllc.simulate(from_equations(equations), network, times, states[0])
    return float(np.abs(result.trajectories.states - states).mean())
