"""The four systems of the GKAN-ODE benchmark: error of the found formula's trajectories on unseen graphs.

    python benchmarks/gkan.py --json benchmarks/results/gkan.json

One trajectory of 2000 points on BA(70, 3); the found formula is simulated on three unseen graphs (BA 70/3,
WS 50/6/0.3, ER 100/0.05) over 300 steps, and its mean absolute error is compared with the best figure that
was published for that system. pysindy, and the published road (preset "llc"), are given the same trajectory.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from typing import Any

import numpy as np
from common import (
    CompileClock,
    environment,
    median,
    one_line,
    print_environment,
    write_json,
)
from peer_pysindy import can_express, discover_with_pysindy

import jaxllc
from jaxllc.dynamics.vector_field import from_equations
from jaxllc.generators import barabasi_albert, erdos_renyi, watts_strogatz
from jaxllc.law.writing.law_text import equation_line

# Best published error on unseen graphs, and duration: population is slow, its range is [0, 10].
SYSTEMS = {
    "kuramoto": (2.9e-4, "TPSINDy", 1.0),
    "epidemic": (1.3e-4, "LLC as re-run for GKAN-ODE", 1.0),
    "biochemical": (3.3e-5, "GKAN", 1.0),
    "population": (1.75e-5, "GKAN", 10.0),
}
NUM_POINTS, QUICK_POINTS = 2000, 200
NUM_STEPS = 300
UNSEEN = ("BA 70/3", "WS 50/6/0.3", "ER 100/0.05")
TOLERANCES = {"rtol": 1e-10, "atol": 1e-12}


def main() -> None:
    options = _options()
    record = {"benchmark": "gkan", "settings": vars(options), "environment": environment()}
    print_environment(record["environment"])
    points = QUICK_POINTS if options.quick else NUM_POINTS
    systems = ["kuramoto", "epidemic"] if options.quick else list(SYSTEMS)
    graphs = UNSEEN[-1:] if options.quick else UNSEEN
    print(f"BA(70, 3), one trajectory of {points} points, seed {options.seed}")
    rows = []
    for name in systems:
        rows.append(one_system(name, points, graphs, options.seed))
        print(row_text(rows[-1]), flush=True)
        if options.json:
            write_json(options.json, {**record, "points": points, "rows": rows})
    print(f"\nmedian seconds {median(row['seconds'] for row in rows):.1f}")
    print(f"beats {sum(row['beats'] for row in rows)}/{len(rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The GKAN-ODE systems on unseen graphs.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="two systems, 200 points, one unseen graph"
    )
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    return parser.parse_args()


def unseen_graphs(seed: int) -> dict[str, Any]:
    """The three graphs that no formula was found on."""
    graphs = (
        barabasi_albert(70, 3, seed=seed + 101),
        watts_strogatz(50, 6, 0.3, seed=seed + 102),
        erdos_renyi(100, 0.05 * 99, seed=seed + 103),
    )
    return dict(zip(UNSEEN, graphs, strict=True))


def true_run(known: Any, network: Any, times: np.ndarray, seed: int) -> Any:
    """A trajectory of the true law; initial states from which it blows up are drawn again."""
    for attempt in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            run = known.simulate(network, times, seed=seed + 1_000_000 * attempt, **TOLERANCES)
        if np.isfinite(run.states).all():
            return run
    raise RuntimeError(
        f"{known.name} blows up from 20 of 20 initial states within t = {times[-1]:g}"
    )


def one_system(name: str, points: int, graphs: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Discover one system and measure both formulas on the unseen graphs; a failure is a row that says so."""
    best, peer, duration = SYSTEMS[name]
    row: dict[str, Any] = {
        "system": name,
        "best_published": best,
        "published_by": peer,
        "error": math.nan,
        "beats": False,
        "seconds": math.nan,
        "failure": None,
    }
    try:
        known = jaxllc.known_laws.get(name)
        network = barabasi_albert(70, 3, seed=seed)
        run = true_run(known, network, np.linspace(0.0, duration, points), seed)
        steps = np.linspace(0.0, duration, NUM_STEPS)
        unseen = {
            label: (graph, true_run(known, graph, steps, seed + 200 + n))
            for n, (label, graph) in enumerate(unseen_graphs(seed).items())
            if label in graphs
        }
        clock, start = CompileClock(), time.perf_counter()
        law = jaxllc.discover(run, network, seed=seed)
        row["seconds"] = time.perf_counter() - start
        row["compilation_seconds"] = clock.since(start)
        row["stages"] = dict(law.seconds)
        row["found"] = one_line(law)
        row["exact_skeleton"] = jaxllc.metrics.skeleton_equal(law, known)
        row["errors"] = unseen_errors(law.equations, unseen)
        row["error"] = float(np.mean(list(row["errors"].values())))
        row["beats"] = bool(max(row["errors"].values()) < best)
        row["peers"] = {
            "pysindy": _pysindy(known, run, network, unseen),
            "llc": _published_road(known, run, network, unseen, seed),
        }
    except Exception as error:
        row["failure"] = f"{type(error).__name__}: {error}"
    return row


def unseen_errors(equations: Any, unseen: dict[str, Any]) -> dict[str, float]:
    """Mean absolute error of simulated states on each unseen graph; inf where the formula blows up."""
    field, errors = from_equations(equations), {}
    for label, (graph, truth) in unseen.items():
        found = jaxllc.simulate(field, graph, truth.times, truth.states[0], **TOLERANCES)
        error = float(np.abs(found.trajectories.states - truth.states).mean())
        errors[label] = error if found.success else math.inf
    return errors


def _pysindy(known: Any, run: Any, network: Any, unseen: dict[str, Any]) -> dict[str, Any]:
    if not can_express(known):
        return {"reason": "cannot express this system"}
    result = discover_with_pysindy(run, network)
    if result.equations is None:
        return {"reason": result.reason, "seconds": result.seconds}
    found = equation_line("x", result.equations["x"])
    return _compared(result.equations, found, known, unseen, result.seconds, result.setting)


def _published_road(
    known: Any, run: Any, network: Any, unseen: dict[str, Any], seed: int
) -> dict[str, Any]:
    start = time.perf_counter()
    law = jaxllc.discover(run, network, seed=seed, preset="llc")
    seconds = time.perf_counter() - start
    return _compared(law.equations, one_line(law), known, unseen, seconds, "preset llc")


def _compared(
    equations: Any, found: str, known: Any, unseen: dict[str, Any], seconds: float, setting: str
) -> dict[str, Any]:
    errors = unseen_errors(equations, unseen)
    return {
        "found": found,
        "exact_skeleton": jaxllc.metrics.skeleton_equal(equations, known),
        "errors": errors,
        "error": float(np.mean(list(errors.values()))),
        "seconds": seconds,
        "setting": setting,
    }


def row_text(row: dict[str, Any]) -> str:
    """A few lines for a system."""
    lines = [
        f"\n{row['system']}: best published {row['best_published']:.3g} ({row['published_by']})"
    ]
    if "errors" in row:
        lines.append(
            f"  jaxllc   error {row['error']:.2e}  "
            + _each(row["errors"])
            + f"  {row['seconds']:.1f} s (compilation {row['compilation_seconds']:.1f})  "
            + ("beats it" if row["beats"] else "does NOT beat it on every graph")
        )
        lines.append(f"           {'exact' if row['exact_skeleton'] else 'other'}: {row['found']}")
    for name, peer in row.get("peers", {}).items():
        if "errors" not in peer:
            lines.append(f"  {name:8s} {peer['reason']}")
            continue
        lines.append(
            f"  {name:8s} error {peer['error']:.2e}  "
            + _each(peer["errors"])
            + f"  {peer['seconds']:.1f} s ({peer['setting']})"
        )
        lines.append(
            f"           {'exact' if peer['exact_skeleton'] else 'other'}: {peer['found']}"
        )
    if row["failure"]:
        lines.append(f"  FAILED {row['failure']}")
    return "\n".join(lines)


def _each(errors: dict[str, float]) -> str:
    return "(" + ", ".join(f"{label} {error:.1e}" for label, error in errors.items()) + ")"


if __name__ == "__main__":
    main()
