"""Laws from data as they are: wrong and lost edges, nodes that were not seen.

    python benchmarks/real_conditions.py --seeds 0,1,2 --json benchmarks/results/real_conditions.json
    python benchmarks/real_conditions.py --conditions lost30,hidden30 --db 30
    python benchmarks/real_conditions.py --nodes all    # every node must follow, as before

Systems of one and of two variables on 60 nodes of a Barabasi-Albert network, four runs of 60 samples, white
noise. An edge is lost or false with the probability that a condition names, after the samples were made; a
hidden node is seen by nobody, and neither are its edges. A law is right when its form is exact and its worst
constant within a tenth; beside the worst constant stands that of the clean network, whose law is found in the
same run.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import comma_list, environment, integers, kept_rows, median, one_line, print_environment

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.metrics import skeleton_equal, worst_coefficient_error

NUM_NODES, RUNS, SAMPLES = 60, 4, 60
WITHIN = 0.1


@dataclass(frozen=True)
class System:
    """A law as text, {variable: (self term, interaction term)}, the range that states start in, and how long
    it is observed."""

    equations: dict[str, tuple[str, str]]
    box: tuple[float, float]
    horizon: float


SYSTEMS = {
    "epidemic": System({"x": ("-0.6*x_i", "0.3*(1 - x_i)*x_j")}, (0.0, 1.0), 4.0),
    "saturating": System({"x": ("-0.9*x_i", "0.6*x_j/(0.8 + x_j)")}, (0.1, 5.0), 4.0),
    "predation": System(
        {"x": ("1.2*x_i - 0.7*x_i**2", "-0.3*x_i*x_j/(1 + 0.5*x_j)")}, (0.1, 2.0), 4.0
    ),
    "phases": System({"x": ("0.7", "0.4*sin(x_j - x_i)")}, (0.0, 6.2), 3.0),
    "rates": System({"x": ("-0.8*x_i", "0.5*tanh(x_j)")}, (-2.0, 2.0), 4.0),
    "excitable": System(
        {
            "x": ("x_i - x_i**3 - y_i", "0.2*(x_j - x_i)"),
            "y": ("0.3*x_i - 0.2*y_i + 0.1", "0"),
        },
        (-1.0, 1.0),
        6.0,
    ),
    "patches": System(
        {
            "x": ("x_i - 0.5*x_i**2 - x_i*y_i", "0.2*(x_j - x_i)"),
            "y": ("0.8*x_i*y_i - 0.6*y_i", "0.1*(y_j - y_i)"),
        },
        (0.2, 1.5),
        5.0,
    ),
}
CONDITIONS = {
    "clean": {},
    "lost10": {"lost": 0.1},
    "false10": {"false": 0.1},
    "hidden10": {"hidden": 0.1},
    "lost30": {"lost": 0.3},
    "false30": {"false": 0.3},
    "hidden30": {"hidden": 0.3},
}


def main() -> None:
    options = _options()
    record = {
        "benchmark": "real_conditions",
        "settings": {name: value for name, value in vars(options).items() if name != "json"},
        "environment": environment(),
    }
    print_environment(record["environment"])
    print(
        f"{NUM_NODES} nodes, {RUNS} runs of {SAMPLES} samples, {options.db:g} dB, seeds "
        f"{options.seeds}, nodes={options.nodes!r}"
    )
    cases = [
        (system, condition, seed)
        for system in options.systems
        for seed in options.seeds
        for condition in options.conditions
    ]
    errors: dict[tuple[str, int], float] = {}
    measured = (measure(*case, options, errors) for case in cases)
    rows = kept_rows(measured, record, options.json, row_text, summary)
    for name, part in summary(rows).items():
        print(
            f"{name}: right {part['right']}/{part['laws']}, worst constant {part['median_error']:.1e} "
            f"(median, of exact forms), {part['median_ratio']:.1f} times the clean network's, followers "
            f"that are spoiled {part['wrong_followers']}, processor seconds {part['median_seconds']:.1f} "
            f"median, {part['max_seconds']:.1f} largest"
        )
    print(f"right {sum(row['right'] for row in rows)}/{len(rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Laws from imperfect networks.")
    parser.add_argument("--systems", type=comma_list, default=list(SYSTEMS), metavar="A,B")
    parser.add_argument("--conditions", type=comma_list, default=list(CONDITIONS), metavar="A,B")
    parser.add_argument("--seeds", type=integers, default=[0, 1, 2], metavar="0,1,2")
    parser.add_argument("--db", type=float, default=40.0, help="20 log10(std of signal / of noise)")
    parser.add_argument("--nodes", choices=("some", "all"), default="some")
    parser.add_argument("--quick", action="store_true", help="one system, two conditions, one seed")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    for given, known in ((options.systems, SYSTEMS), (options.conditions, CONDITIONS)):
        for name in given:
            if name not in known:
                parser.error(f"{name!r} is none of {', '.join(known)}")
    if options.quick:
        options.systems, options.seeds = ["epidemic"], options.seeds[:1]
        options.conditions = ["clean", "lost10"]
    return options


@dataclass(frozen=True)
class Case:
    """What is given to a discovery, and which nodes hear exactly those that act on them."""

    runs: list[jaxllc.Trajectories]
    network: jaxllc.Network
    sound: np.ndarray


def truth_of(system: System) -> dict[str, Equation]:
    """The law of a system."""
    return {v: Equation.from_text(*texts) for v, texts in system.equations.items()}


def make_case(system: System, condition: str, seed: int, db: float) -> Case:
    """Samples of a system on a network, and the network as a condition spoils it."""
    random = np.random.default_rng([seed, 20])
    true = jaxllc.generators.barabasi_albert(NUM_NODES, 3, seed=100 + seed)
    law, names = jaxllc.Law(truth_of(system)), tuple(system.equations)
    times, runs = np.linspace(0.0, system.horizon, SAMPLES), []
    for run in range(RUNS):
        start = random.uniform(*system.box, (NUM_NODES, len(names)))
        made = law.simulate(start, times, true)
        runs.append(made.with_noise(db, 1000 * seed + run))
    A = true.to_adjacency().toarray()
    given, what = A.copy(), CONDITIONS[condition]
    given[(A != 0) & (random.random(A.shape) < what.get("lost", 0.0))] = 0.0
    free = np.argwhere((A == 0) & ~np.eye(NUM_NODES, dtype=bool))
    extra = random.permutation(free)[: int(what.get("false", 0.0) * np.count_nonzero(A))]
    given[tuple(extra.T)] = 1.0
    seen = np.sort(
        random.permutation(NUM_NODES)[: round(NUM_NODES * (1 - what.get("hidden", 0.0)))]
    )
    sound = (given == A).all(axis=1) & (A[:, np.setdiff1d(np.arange(NUM_NODES), seen)] == 0).all(
        axis=1
    )
    runs = [jaxllc.Trajectories(r.times, r.states[:, seen], r.variables) for r in runs]
    return Case(runs, jaxllc.Network.from_adjacency(given[np.ix_(seen, seen)]), sound[seen])


def measure(
    name: str,
    condition: str,
    seed: int,
    options: argparse.Namespace,
    errors: dict[tuple[str, int], float],
) -> dict[str, Any]:
    """One discovery. errors: worst constant on the clean network of systems and seeds, which this adds to."""
    system = SYSTEMS[name]
    truth, case = truth_of(system), make_case(system, condition, seed, options.db)
    row: dict[str, Any] = {"system": name, "condition": condition, "seed": seed, "failure": ""}
    row |= {"exact": False, "error": math.nan, "ratio": math.nan, "right": False, "found": ""}
    row |= {"sound": float(case.sound.mean()), "follow": math.nan, "wrong_followers": 0}
    begun = time.process_time()
    try:
        law = jaxllc.discover(case.runs, case.network, seed=seed, nodes=options.nodes)
        row["exact"] = bool(skeleton_equal(law, truth))
        row["found"] = str(law)
        if row["exact"]:
            row["error"] = float(worst_coefficient_error(law, truth))
            row["right"] = row["error"] <= WITHIN
        if law.follows is not None:
            follows = law.follows >= 0.5
            row["follow"] = float(follows.mean())
            row["wrong_followers"] = int(np.sum(follows & ~case.sound))
    except Exception as error:  # a benchmark goes on
        row["failure"] = f"{type(error).__name__}: {error}"[:200]
    row["seconds"] = time.process_time() - begun
    if condition == "clean" and row["exact"]:
        errors[name, seed] = row["error"]
    if (name, seed) in errors:
        row["ratio"] = row["error"] / errors[name, seed]
    return row


def row_text(row: dict[str, Any]) -> str:
    """The verdict on a law, and below what was found where that is not exact."""
    head = (
        f"{row['system']:11s} {row['condition']:9s} seed {row['seed']}  sound {row['sound']:.2f}  "
    )
    if row["failure"]:
        return f"{head}FAILED {row['failure']}"
    verdict = "right" if row["right"] else "CONSTANTS" if row["exact"] else "OTHER"
    text = (
        f"{head}{verdict}  worst constant {row['error']:.1e} ({row['ratio']:.1f} of clean)  follow "
        f"{row['follow']:.2f}, spoiled ones {row['wrong_followers']}  {row['seconds']:.1f} s"
    )
    return text if row["exact"] else f"{text}\n    found: {one_line(row['found'])}"


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each condition: laws that are right, errors of their constants, seconds."""
    result = {}
    for condition in dict.fromkeys(row["condition"] for row in rows):
        some = [row for row in rows if row["condition"] == condition]
        result[condition] = {
            "laws": len(some),
            "right": sum(row["right"] for row in some),
            "exact": sum(row["exact"] for row in some),
            "median_error": median(row["error"] for row in some if row["exact"]),
            "median_ratio": median(row["ratio"] for row in some if math.isfinite(row["ratio"])),
            "wrong_followers": sum(row["wrong_followers"] for row in some),
            "median_seconds": median(row["seconds"] for row in some),
            "max_seconds": max(row["seconds"] for row in some),
        }
    return result


if __name__ == "__main__":
    main()
