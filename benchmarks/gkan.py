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
    comma_list,
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
PRESETS = ("default", "neural", "llc")
PYSINDY = "pysindy"
TOLERANCES = {"rtol": 1e-10, "atol": 1e-12}


def main() -> None:
    options = _options()
    record = {"benchmark": "gkan", "settings": vars(options), "environment": environment()}
    print_environment(record["environment"])
    points = QUICK_POINTS if options.quick else NUM_POINTS
    graphs = UNSEEN[-1:] if options.quick else UNSEEN
    print(f"BA(70, 3), one trajectory of {points} points, seed {options.seed}")
    rows = []
    for name in options.systems:
        rows.append(one_system(name, points, graphs, options.seed))
        print(row_text(rows[-1]), flush=True)
        if options.json:
            write_json(options.json, {**record, "points": points, "rows": rows})
    print()
    for method in (*PRESETS, PYSINDY):
        print(summary_line(method, rows))
    print(f"beats {_number(rows, PRESETS[0], 'beats')}/{len(rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The GKAN-ODE systems on unseen graphs.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--systems", type=comma_list, metavar="A,B", help="default: all four")
    parser.add_argument(
        "--quick", action="store_true", help="two systems, 200 points, one unseen graph"
    )
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    options.systems = options.systems or list(SYSTEMS)[: 2 if options.quick else None]
    for name in options.systems:
        if name not in SYSTEMS:
            parser.error(f"there is no system {name!r}; systems are {', '.join(SYSTEMS)}")
    return options


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
    """The law of every method and its errors on the unseen graphs; a failure is an entry that says so."""
    best, publisher, duration = SYSTEMS[name]
    known = jaxllc.known_laws.get(name)
    network = barabasi_albert(70, 3, seed=seed)
    run = true_run(known, network, np.linspace(0.0, duration, points), seed)
    steps = np.linspace(0.0, duration, NUM_STEPS)
    unseen = {
        label: (graph, true_run(known, graph, steps, seed + 200 + n))
        for n, (label, graph) in enumerate(unseen_graphs(seed).items())
        if label in graphs
    }
    methods = {}
    for method in (*PRESETS, PYSINDY):
        try:
            found = (
                by_pysindy(known, run, network)
                if method == PYSINDY
                else by_preset(method, run, network, seed)
            )
            if found["equations"] is not None:
                found.update(_compared(found["equations"], known, unseen, best))
        except Exception as error:
            found = {"failure": f"{type(error).__name__}: {error}"}
        methods[method] = {k: v for k, v in found.items() if k != "equations"}
    return {"system": name, "best_published": best, "published_by": publisher, "methods": methods}


def by_preset(preset: str, run: Any, network: Any, seed: int) -> dict[str, Any]:
    """The law of a preset of `discover`, and what it cost."""
    clock, start, processor = CompileClock(), time.perf_counter(), time.process_time()
    law = jaxllc.discover(run, network, seed=seed, preset=preset)
    return {
        "equations": law.equations,
        "found": one_line(law),
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "compilation_seconds": clock.since(start),
        "stages": dict(law.seconds),
    }


def by_pysindy(known: Any, run: Any, network: Any) -> dict[str, Any]:
    """The law of pysindy, or why there is none."""
    if not can_express(known):
        return {"equations": None, "failure": "cannot express this system"}
    processor = time.process_time()
    result = discover_with_pysindy(run, network)
    cost = {"seconds": result.seconds, "processor_seconds": time.process_time() - processor}
    if result.equations is None:
        return {"equations": None, "failure": result.reason, **cost}
    found = equation_line("x", result.equations["x"])
    return {"equations": result.equations, "found": found, "setting": result.setting, **cost}


def _compared(equations: Any, known: Any, unseen: dict[str, Any], best: float) -> dict[str, Any]:
    errors = unseen_errors(equations, unseen)
    return {
        "exact_skeleton": jaxllc.metrics.skeleton_equal(equations, known),
        "term_recall": jaxllc.metrics.term_recall(equations, known),
        "errors": errors,
        "error": float(np.mean(list(errors.values()))),
        "beats": bool(max(errors.values()) < best),
    }


def unseen_errors(equations: Any, unseen: dict[str, Any]) -> dict[str, float]:
    """Mean absolute error of simulated states on each unseen graph; inf where the formula blows up."""
    field, errors = from_equations(equations), {}
    for label, (graph, truth) in unseen.items():
        found = jaxllc.simulate(field, graph, truth.times, truth.states[0], **TOLERANCES)
        error = float(np.abs(found.trajectories.states - truth.states).mean())
        errors[label] = error if found.success else math.inf
    return errors


def row_text(row: dict[str, Any]) -> str:
    """A few lines for a system."""
    lines = [
        f"\n{row['system']}: best published {row['best_published']:.3g} ({row['published_by']})"
    ]
    for method, found in row["methods"].items():
        if "errors" not in found:
            lines.append(f"  {method:8s} {found['failure']}")
            continue
        cost = f"{found['seconds']:.1f} s (processor {found['processor_seconds']:.1f}"
        if "compilation_seconds" in found:
            cost += f", compilation {found['compilation_seconds']:.1f}"
        each = ", ".join(f"{label} {error:.1e}" for label, error in found["errors"].items())
        lines.append(
            f"  {method:8s} error {found['error']:.2e} ({each})  {cost})  "
            + ("beats it" if found["beats"] else "does NOT beat it on every graph")
        )
        lines.append(
            f"           {'exact' if found['exact_skeleton'] else 'other'}: {found['found']}"
            + (f"  ({found['setting']})" if "setting" in found else "")
        )
    return "\n".join(lines)


def summary_line(method: str, rows: list[dict[str, Any]]) -> str:
    """Counts and medians of a method."""
    found = [row["methods"][method] for row in rows]
    seconds = {
        key: median(each.get(key) for each in found) for key in ("seconds", "processor_seconds")
    }
    return (
        f"{method:8s} exact {_number(rows, method, 'exact_skeleton')}/{len(rows)}, beats the published "
        f"figure {_number(rows, method, 'beats')}/{len(rows)}, median seconds {seconds['seconds']:.1f} "
        f"(processor {seconds['processor_seconds']:.1f})"
    )


def _number(rows: list[dict[str, Any]], method: str, key: str) -> int:
    return sum(bool(row["methods"][method].get(key)) for row in rows)


if __name__ == "__main__":
    main()
