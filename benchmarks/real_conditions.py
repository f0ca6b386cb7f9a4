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
from collections.abc import Mapping
from typing import Any

import numpy as np
from common import comma_list, environment, integers, kept_rows, median, one_line, print_environment
from spoiled import CONDITIONS, NUM_NODES, RUNS, SAMPLES, SYSTEMS, make_case

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.metrics import skeleton_equal, worst_coefficient_error

WITHIN = 0.1


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
    parser.add_argument(
        "--search-seconds", type=float, default=300.0, help="more beside other work"
    )
    parser.add_argument("--edges", choices=("auto", "given", "uncertain"), default="auto")
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


def measure(
    name: str,
    condition: str,
    seed: int,
    options: argparse.Namespace,
    errors: dict[tuple[str, int], float],
) -> dict[str, Any]:
    """One discovery. errors: worst constant on the clean network of systems and seeds, which this adds to."""
    system = SYSTEMS[name]
    case = make_case(system, condition, seed, options.db)
    row: dict[str, Any] = {"system": name, "condition": condition, "seed": seed, "failure": ""}
    row |= {"exact": False, "error": math.nan, "ratio": math.nan, "right": False, "found": ""}
    row |= {"sound": float(case.sound.mean()), "follow": math.nan, "wrong_followers": 0}
    begun = time.process_time()
    try:
        law = jaxllc.discover(
            case.runs,
            case.network,
            seed=seed,
            nodes=options.nodes,
            edges=options.edges,
            search_seconds=options.search_seconds,
            **case.choices,
        )
        row["found"] = str(law)
        found, truth = law, case.truth
        if "forcing" in case.hidden:
            row |= forcing_errors(law, *case.hidden["forcing"])
            found, truth = up_to_forcing(law.equations), up_to_forcing(truth)
        row["exact"] = bool(skeleton_equal(found, truth))
        if row["exact"]:
            row["error"] = float(worst_coefficient_error(found, truth))
            row["right"] = row["error"] <= WITHIN
        if "weights" in case.hidden:
            pair = law.network.weights, case.hidden["weights"]
            row["correlation"] = float(np.corrcoef(*pair)[0, 1])
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


def up_to_forcing(equations: Mapping[str, Equation]) -> dict[str, Equation]:
    """Equations of which the first variable has neither a forcing nor the constant that goes with it; what
    drives another variable stays, and makes its form wrong."""
    first, *others = equations
    own = equations[first].self_term.subs(f"u_{first}", 0).as_coeff_Add()[1]
    return {
        first: Equation(own, equations[first].interaction_term),
        **{v: equations[v] for v in others},
    }


def forcing_errors(law: jaxllc.Law, times: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Of the first variable: the error of the forcing beside its spread, and the share of it in the band."""
    for one in law.forcing[:1]:
        miss, error = one.at(times) - values, one.errors(times)
        inside = np.abs(miss) <= 1.96 * error
        return {
            "forcing_error": float(np.sqrt(np.mean(miss**2)) / values.std()),
            "forcing_inside": float(inside.mean()),
        }
    return {"forcing_error": math.nan, "forcing_inside": math.nan}


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
    if "forcing_error" in row:
        text += (
            f"  forcing off by {row['forcing_error']:.1e}, {row['forcing_inside']:.0%} in its band"
        )
    if "correlation" in row:
        text += f"  weights correlate {row['correlation']:.3f}"
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
