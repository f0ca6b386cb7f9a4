"""Which extension of a law do the samples ask for? False alarms and power of the tests of model classes.

    python benchmarks/model_classes.py --seeds 0,1,2 --json benchmarks/results/model_classes.json

Systems of one variable on 60 nodes, four runs of 60 samples, 40 dB. Conditions that lack nothing (clean,
edges lost or false, hidden nodes) should ask for no class; each of the others for its own. The last line
counts false alarms of all tests of the first, and cases of the others whose class brings most and is asked
for.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import sympy
from common import comma_list, environment, integers, kept_rows, print_environment
from spoiled import NUM_NODES, RUNS, SAMPLES, SYSTEMS, Case, System, make_case

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.model_classes.class_tests import (
    CHANGING,
    CONSTANTS,
    DELAY,
    FORCING,
    PAIRS,
    ClassTest,
    class_tests,
)
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.single_nodes import single_nodes
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.resolution import refinement
from jaxllc.smoothing.smooth import smooth

NOTHING = ("clean", "lost10", "false10", "hidden10", "lost30", "false30")
ASKED = {
    "constants": CONSTANTS,
    "strengths": CONSTANTS,
    "forced": FORCING,
    "delayed": DELAY,
    "changing": CHANGING,
    "pairs": PAIRS,
}
# Steps of the reference integration for each interval of the samples; strength of what is added.
_PARTS, _FORCE, _LATE, _FALL, _PAIR = 20, 0.3, 0.05, 0.5, 0.01


def main() -> None:
    options = _options()
    record = {"benchmark": "model_classes", "settings": vars(options).copy()}
    record["environment"] = environment()
    print_environment(record["environment"])
    cases = [
        (system, condition, seed)
        for system in options.systems
        for condition in options.conditions
        for seed in options.seeds
    ]
    rows = kept_rows((measure(*c, options.db) for c in cases), record, options.json, text, summary)
    found = summary(rows)
    for name, part in found["power"].items():
        print(f"{name}: {part['told']}/{part['cases']} told, lowest gain {part['least']:.0f}")
    print(
        f"false alarms {found['alarms']}/{found['tests']}, largest gain {found['largest']:.0f}; told "
        f"{found['told']}/{found['cases']}"
    )


def _options() -> argparse.Namespace:
    one = [name for name, system in SYSTEMS.items() if len(system.equations) == 1]
    parser = argparse.ArgumentParser(
        description="False alarms and power of tests of model classes."
    )
    parser.add_argument("--systems", type=comma_list, default=one, metavar="A,B")
    parser.add_argument("--conditions", type=comma_list, default=[*NOTHING, *ASKED], metavar="A,B")
    parser.add_argument("--seeds", type=integers, default=[0, 1, 2], metavar="0,1,2")
    parser.add_argument("--db", type=float, default=40.0)
    parser.add_argument("--quick", action="store_true", help="one system, two conditions, one seed")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    if options.quick:
        options.systems, options.seeds = options.systems[:1], options.seeds[:1]
        options.conditions = ["clean", "constants"]
    return options


def integrated(system: System, condition: str, seed: int, db: float) -> Case:
    """Samples of a system of one variable that is forced, hears late, or changes, by the classical
    Runge-Kutta method; a sender stands where it starts before the first sample."""
    random = np.random.default_rng([seed, 22])
    network = jaxllc.generators.barabasi_albert(NUM_NODES, 3, seed=100 + seed)
    A = network.to_adjacency()
    equation = Equation.from_text(*system.equations["x"])
    x_i, x_j = sympy.symbols("x_i x_j")
    own = sympy.lambdify(x_i, equation.self_term, "numpy")
    acting = sympy.lambdify((x_i, x_j), equation.interaction_term, "numpy")
    receivers, senders = A.nonzero()
    times = np.linspace(0.0, system.horizon, SAMPLES)
    step = times[1] / _PARTS
    lag = round(_LATE * system.horizon / step) if condition == "delayed" else 0

    def rate(t: float, x: np.ndarray, late: np.ndarray) -> np.ndarray:
        heard = np.bincount(receivers, acting(x[receivers], late[senders]), NUM_NODES)
        strength = 1.0 - _FALL * t / system.horizon if condition == "changing" else 1.0
        force = _FORCE * np.sin(2.0 * t) if condition == "forced" else 0.0
        pair = -_PAIR * x * (A @ x) ** 2 if condition == "pairs" else 0.0
        return own(x) + strength * heard + force + pair

    runs = []
    for run in range(RUNS):
        path = [random.uniform(*system.box, NUM_NODES)]
        for k in range(_PARTS * (SAMPLES - 1)):
            x, t = path[-1], k * step

            def late(now: np.ndarray, ahead: float, k: int = k, path: list = path) -> np.ndarray:
                if not lag:
                    return now
                place = max(k - lag + ahead, 0.0)
                low = int(place)
                return path[low] + (place - low) * (path[min(low + 1, k)] - path[low])

            k1 = rate(t, x, late(x, 0.0))
            k2 = rate(t + step / 2, x + step / 2 * k1, late(x + step / 2 * k1, 0.5))
            k3 = rate(t + step / 2, x + step / 2 * k2, late(x + step / 2 * k2, 0.5))
            k4 = rate(t + step, x + step * k3, late(x + step * k3, 1.0))
            path.append(x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        states = np.array(path[::_PARTS])
        runs.append(jaxllc.Trajectories(times, states).with_noise(db, 1000 * seed + run))
    return Case(runs, network, np.ones(NUM_NODES, dtype=bool), {"x": equation})


def measure(name: str, condition: str, seed: int, db: float) -> dict[str, Any]:
    """All tests of one case."""
    own = condition in ("forced", "delayed", "changing", "pairs")
    case = (integrated if own else make_case)(SYSTEMS[name], condition, seed, db)
    smoothed = smooth(case.runs, refinement(case.runs))
    data = grid_data(case.runs, smoothed)
    problem = SearchProblem(data, case.network, False, seed)
    # Functions of sums are no class of their own where they are searched with the others.
    search = single_nodes(problem, 0, 8, sums=condition != "pairs")
    begun = time.process_time()
    search.best()
    searched = time.process_time() - begun
    tests: list[ClassTest] = class_tests([search])
    seconds = time.process_time() - begun - searched
    row = {"system": name, "condition": condition, "seed": seed, "searched": searched}
    row |= {"seconds": seconds, "tests": [test._asdict() for test in tests]}
    row["needed"] = [test.name for test in tests if test.needed]
    row["told"] = bool(row["needed"]) and row["needed"][0] == ASKED.get(condition)
    return row


def text(row: dict[str, Any]) -> str:
    shown = ", ".join(f"{t['name']} {t['gain']:.0f}" for t in row["tests"])
    verdict = "ALARM" if row["needed"] else "nothing"
    if row["condition"] in ASKED:
        verdict = "told" if row["told"] else "MISSED"
    followed = row["tests"][0]["followed"]
    return (
        f"{row['system']:11s} {row['condition']:10s} seed {row['seed']}  {verdict}  (gains: {shown}; follow "
        f"{followed:.2f})  {row['searched']:.1f} + {row['seconds']:.1f} s"
    )


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Alarms where nothing lacks, and how often the class of the others was told."""
    plain = [row for row in rows if row["condition"] in NOTHING]
    power = {}
    for condition in ASKED:
        some = [row for row in rows if row["condition"] == condition]
        if some:
            own = [t["gain"] for row in some for t in row["tests"] if t["name"] == ASKED[condition]]
            told = sum(row["told"] for row in some)
            power[condition] = {"cases": len(some), "told": told, "least": min(own, default=0.0)}
    gains = [t["gain"] for row in plain for t in row["tests"]]
    alarms = sum(bool(row["needed"]) for row in plain)
    return {
        "alarms": alarms,
        "tests": len(plain),
        "largest": max(gains, default=0.0),
        "told": sum(part["told"] for part in power.values()),
        "cases": sum(part["cases"] for part in power.values()),
        "power": power,
    }


if __name__ == "__main__":
    main()
