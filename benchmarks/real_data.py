"""Laws of real data, judged on what they were not fitted to, beside the usual models of each field.

    python benchmarks/real_data.py
    python benchmarks/real_data.py --sets gut,yeast --seconds 60

For each data set: root mean square errors of the law of `jaxllc.discover`, of "no change" (the last value
stays), of a constant of each node, of the form of TPSINDy where it is for such data, and of the usual model
of the field by ridge regression. Nothing of a held-out part is used for fitting or choosing, save inputs that
are known beforehand (season, drug). real_tables.py says what states, networks and inputs are.

    gut         each mouse held out in turn: its next sample, and its whole course from day 0
    chickenpox  the last fifth of the weeks: one and four weeks ahead
    england     the last fifth of the days: one and seven days ahead; the mobility of the last day stays
    yeast       the second replicate: its next sample, and its whole course
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import comma_list, environment, one_line, print_environment, write_json
from real_peers import linear_steps, lotka_volterra
from real_scores import (
    Clock,
    Row,
    Simulator,
    comparisons,
    constant,
    course_misses,
    misses,
    no_change,
    rms,
    table_text,
    verdict,
    wins,
)
from real_tables import DATA, FLOOR, RealData
from tpsindy_form import refit

import jaxllc
from jaxllc import Network, Trajectories

HERE = Path(__file__).resolve().parent
FITTED_PART = 0.8
NEXT, COURSE = "next sample", "whole course"


def main() -> int:
    options = _options()
    try:
        loaded = {name: DATA[name](options.data) for name in options.sets}
        record: dict[str, Any] = {"benchmark": "real_data", "environment": environment()}
        print_environment(record["environment"])
        record["sets"], won, asked = [], 0, 0
        for name, data in loaded.items():
            print(f"\n{data.title}: state {data.state_text}, time in {data.time_unit}", flush=True)
            rows, about = STUDIES[name](data, options)
            laws = [row.method for row in rows if row.method.startswith("law")]
            print(f"{about}\n{table_text(rows)}\n{verdict(rows, laws)}", flush=True)
            won, asked = won + wins(rows, laws), asked + len(comparisons(rows, laws))
            record["sets"].append({"name": name, "about": about, "rows": [vars(r) for r in rows]})
            if options.json:
                write_json(options.json, record)
        print(f"law wins {won}/{asked}")
    except jaxllc.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Laws of real data on held-out parts.")
    parser.add_argument("--sets", type=comma_list, default=list(DATA), metavar=",".join(DATA))
    parser.add_argument(
        "--data",
        type=Path,
        default=HERE.parent.parent / "shared" / "data",
        help="folder of the data sets",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="search_seconds of a law")
    parser.add_argument("--json", metavar="FILE", help="write the results to a file, too")
    parser.add_argument("--quick", action="store_true", help="chickenpox alone, 5 s for each law")
    options = parser.parse_args()
    if options.quick:
        options.sets, options.seconds = ["chickenpox"], 5.0
    for name in options.sets:
        if name not in DATA:
            parser.error(f"there is no data set {name!r}; data sets are {', '.join(DATA)}")
    return options


def found_law(
    options: argparse.Namespace, name: str, runs: Any, network: Any, **choices: Any
) -> tuple[Any, float]:
    """A law and the seconds of a processor that it took; printed as soon as it is there."""
    clock = Clock()
    choices = {"search_seconds": options.seconds, **choices}
    law = jaxllc.discover(runs, network, seed=options.seed, **choices)
    seconds = clock.seconds()
    print(f"  {name}: {one_line(law)} ({seconds:.0f} s)", flush=True)
    return law, seconds


def law_text(law: Any) -> str:
    """The law on one line, and how much it leaves, where it says so."""
    left = [note for note in law.notes if note.startswith("The law does not explain")]
    doubt = f" [doubt: {law.doubt.split('. ')[0]}]" if law.doubt else ""
    share = left[0].split("leaves ")[1].split(".  ")[0].split(" the est")[0] if left else ""
    return one_line(law) + (f" [leaves {share} the noise]" if share else "") + doubt


def of_law(law: Any, network: Any, inputs: Any = None) -> Simulator:
    """Forecasts of a law; inputs(times) gives those over these times."""

    def simulate(state: np.ndarray, times: np.ndarray) -> np.ndarray:
        given = {} if inputs is None else {"inputs": inputs(times)}
        return law.simulate(state, times, network, **given).states[:, :, 0]

    return simulate


# --- gut microbiome -----------------------------------------------------------------------------


def study_gut(data: RealData, options: argparse.Namespace) -> tuple[list[Row], str]:
    """Each mouse held out in turn."""
    names = list(data.runs[0].names or ())
    everyone = Network.from_adjacency(1.0 - np.eye(len(names)), names=names)
    plain, own = "law, everyone acts on everyone", "law, growth of each group"
    methods = ("no change", "mean of each group", "Lotka-Volterra by ridge", plain, own)
    found: dict[str, list[Any]] = {name: [[], [], 0.0, ""] for name in methods}
    drugs = data.inputs["u"]
    for mouse, run in enumerate(data.runs):
        inside = [n for n in range(len(data.runs)) if n != mouse]
        runs, given = [data.runs[n] for n in inside], [drugs[n] for n in inside]
        mean = np.concatenate([r.states[:, :, 0] for r in runs]).mean(axis=0)
        simulators: dict[str, Simulator] = {
            methods[0]: no_change,
            methods[1]: constant(mean),
        }
        clock = Clock()
        simulators[methods[2]] = lotka_volterra(runs, given)(drugs[mouse])
        found[methods[2]][2] += clock.seconds()
        long = [long_enough(r) for r in runs]
        for name, choices in (
            (plain, {}),
            (own, {"vary": {"r": "node"}, "known": {"x": ("r_i", "")}}),
        ):
            law, seconds = found_law(
                options,
                f"mouse {mouse + 1}, {name}",
                long,
                everyone,
                inputs={"u": given},
                **choices,
            )
            simulators[name] = of_law(law, everyone, lambda times: {"u": drugs[mouse]})  # noqa: B023
            found[name][2] += seconds
            found[name][3] = law_text(law)
        for name, simulator in simulators.items():
            simulate = floored(simulator)
            found[name][0].append(misses(simulate, run, range(run.num_times - 1), 1))
            found[name][1].append(course_misses(simulate, run))
    rows = [
        Row(name, {NEXT: rms(steps), COURSE: rms(courses)}, seconds, text)
        for name, (steps, courses, seconds, text) in found.items()
    ]
    alone, seconds = found_law(
        options, "no network given", [long_enough(r) for r in data.runs], None
    )
    rows.append(Row("no network given, all mice", {}, seconds, law_text(alone)))
    return rows, f"{len(data.runs)} mice, {len(names)} groups; seconds: of all fits"


def floored(simulate: Simulator) -> Simulator:
    """Forecasts as they would be measured: what falls below the floor of counts is read as the floor."""
    return lambda state, times: np.maximum(simulate(state, times), np.log(FLOOR))


def long_enough(run: Trajectories) -> Trajectories:
    """The run, with times at which nothing was observed where it has fewer than five samples."""
    missing = max(0, 5 - run.num_times)
    if not missing:
        return run
    times = np.concatenate([run.times, run.times[-1] + 1.0 + np.arange(missing)])
    unseen = np.full((missing, *run.states.shape[1:]), np.nan)
    return Trajectories(times, np.concatenate([run.states, unseen]), names=run.names)


# --- chickenpox ---------------------------------------------------------------------------------


def study_chickenpox(data: RealData, options: argparse.Namespace) -> tuple[list[Row], str]:
    """The last fifth of the weeks, one and four weeks ahead."""
    run, network = data.runs[0], data.network
    early, first = _early(run)
    weeks, sine = data.inputs["s"]
    cosine = data.inputs["c"][1]
    inputs = {"s": data.inputs["s"], "c": data.inputs["c"]}
    mean_of_neighbours = np.asarray(network.to_adjacency().toarray())
    mean_of_neighbours /= mean_of_neighbours.sum(axis=1, keepdims=True)

    def season(t: float) -> np.ndarray:
        k = int(np.searchsorted(weeks, t))
        return np.array(
            [sine[k], cosine[k], 2 * sine[k] * cosine[k], cosine[k] ** 2 - sine[k] ** 2]
        )

    def drivers(state: np.ndarray, t: float) -> np.ndarray:
        part = np.column_stack([state, mean_of_neighbours @ state])
        return np.hstack([part, np.broadcast_to(season(t), (len(state), 4))])

    rows: list[Row] = []
    ahead = {"1 week": 1, "4 weeks": 4}
    score = _scorer(rows, run, first, ahead)
    score("no change", no_change)
    score("mean of each county", constant(early.states[:, :, 0].mean(axis=0)))
    clock = Clock()
    columns = np.array([[1.0, *season(t)] for t in early.times])
    cycle = np.linalg.lstsq(columns, early.states[:, :, 0], rcond=None)[0]
    score(
        "season of each county",
        lambda state, times: np.array([[1.0, *season(t)] for t in times]) @ cycle,
        clock.seconds(),
    )
    clock = Clock()
    score("linear steps with season by ridge", linear_steps(early, drivers), clock.seconds())
    clock = Clock()
    form = refit(early, network, early.states[0, :, 0], 1.0)
    score("TPSINDy form", form.simulate, clock.seconds(), str(form))
    for name, choices in (
        ("law, season as inputs", {"inputs": inputs}),
        ("law, map", {"dynamics": "map"}),
        ("law, process noise", {"process_noise": True}),
    ):
        law, seconds = found_law(options, name, early, network, **choices)
        given = (lambda times: inputs) if "inputs" in choices else None
        score(name, of_law(law, network, given), seconds, law_text(law))
    return rows, _held_out(run, first)


# --- England ------------------------------------------------------------------------------------


def study_england(data: RealData, options: argparse.Namespace) -> tuple[list[Row], str]:
    """The last fifth of the days, one and seven days ahead; the changing network against its mean."""
    run, network = data.runs[0], data.network
    early, first = _early(run)
    days, by_day = data.inputs["m"]
    weights = network.to_adjacency()
    cut = {"m": (early.times, by_day[: len(early.times)])}

    def today(times: np.ndarray) -> dict[str, Any]:
        """What was known at the first of some times, as it stays."""
        now = by_day[np.searchsorted(days, times[0])]
        return {"m": (np.array([times[0], times[-1]]), np.vstack([now, now]))}

    rows: list[Row] = []
    score = _scorer(rows, run, first, {"1 day": 1, "7 days": 7})
    score("no change", no_change)
    level = early.states[:, :, 0]
    growth = (level[-1] - level[-8]) / (early.times[-1] - early.times[-8])
    score(
        "growth of the last week of each region",
        lambda state, times: state + np.outer(times - times[0], growth),
    )
    clock = Clock()
    mean_steps = linear_steps(early, lambda x, t: np.column_stack([x, weights @ x]))
    score("linear steps, mean network, by ridge", mean_steps, clock.seconds())
    clock = Clock()
    form = refit(early, network, level[0], 1.0)
    score("TPSINDy form", form.simulate, clock.seconds(), str(form))
    for name, choices in (
        ("law, mean network", {}),
        ("law, mean network, process noise", {"process_noise": True}),
        ("law, changing network as input", {"inputs": cut}),
    ):
        law, seconds = found_law(options, name, early, network, **choices)
        given = today if "inputs" in choices else None
        score(name, of_law(law, network, given), seconds, law_text(law))
    return rows, f"{_held_out(run, first)}; {network.describe()}"


# --- yeast --------------------------------------------------------------------------------------


def study_yeast(data: RealData, options: argparse.Namespace) -> tuple[list[Row], str]:
    """The second replicate, from the first."""
    early, late = data.runs
    network = data.network
    weights = network.to_adjacency()
    rows: list[Row] = []

    def score(name: str, simulate: Simulator, seconds: float = 0.0, text: str = "") -> None:
        steps = misses(simulate, late, range(late.num_times - 1), 1)
        errors = {NEXT: rms([steps]), COURSE: rms([course_misses(simulate, late)])}
        rows.append(Row(name, errors, seconds, text))

    seen = early.states[:, :, 0]
    score("no change", no_change)
    score("mean of each gene", constant(seen.mean(axis=0)))
    score("first replicate", lambda state, times: seen[np.searchsorted(early.times, times)])
    clock = Clock()
    steps = linear_steps(early, lambda x, t: np.column_stack([x, weights @ x]))
    score("linear steps, prior network, by ridge", steps, clock.seconds())
    for name, given, choices in (
        ("law, prior network", network, {}),
        ("law, uncertain edges", network, {"edges": "uncertain"}),
        ("law, no network given", None, {}),
    ):
        law, seconds = found_law(options, name, early, given, **choices)
        on = law.network or network
        score(name, of_law(law, on), seconds, law_text(law))
        print(f"  {name}: {on.num_edges} edges, {len(law.follows or ())} nodes named as followers")
    return rows, f"fitted to the first replicate, {network.describe()}"


# --- parts of the studies -----------------------------------------------------------------------


def _early(run: Trajectories) -> tuple[Trajectories, int]:
    """The fitted part, and the index of its last sample."""
    count = round(FITTED_PART * run.num_times)
    return run.window(None, run.times[count - 1]), count - 1


def _held_out(run: Trajectories, first: int) -> str:
    return f"fitted up to {run.times[first]:g}, held out to {run.times[-1]:g}"


def _scorer(rows: list[Row], run: Trajectories, first: int, ahead: dict[str, int]) -> Any:
    """score(name, simulate, seconds, text) appends a row with the errors so many samples ahead."""

    def score(name: str, simulate: Simulator, seconds: float = 0.0, text: str = "") -> None:
        errors = {}
        for column, steps in ahead.items():
            starts = range(first, run.num_times - steps)
            errors[column] = rms([misses(simulate, run, starts, steps)])
        rows.append(Row(name, errors, seconds, text))

    return score


STUDIES = {
    "gut": study_gut,
    "chickenpox": study_chickenpox,
    "england": study_england,
    "yeast": study_yeast,
}


if __name__ == "__main__":
    sys.exit(main())
