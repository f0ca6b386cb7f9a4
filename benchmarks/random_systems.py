"""The whole pipeline on laws drawn at random: how often discover() finds the law that made trajectories.

    python benchmarks/random_systems.py --json benchmarks/results/random_systems.json
    python benchmarks/random_systems.py --count 40 --seed 7 --engines sparse,operon --seconds 60
    python benchmarks/random_systems.py --db 40
    python benchmarks/random_systems.py --preset llc    # the published road, for comparison

A law is dx_i/dt = f(x_i) + sum_j A_ij g(x_i, x_j) on a Barabasi-Albert network of 30 nodes. f is -b*x,
a - b*x, x*(1 - x/K), a - b*x**2, or one time in four a law-like term of 1 or 2 operators minus b*x; g is
a law-like term that holds x_j, of 1 to 4 operators in turn, from the grammar of `random_laws`, times a
factor that makes the sum over neighbours half to twice as large as f. Nodes start anywhere in the box of
g, and 200 samples are seen until the time in which the first velocities would cross it twice.

A draw is refused, and counted, if its trajectory is not defined, too stiff for an explicit solver, leaves
three times the box, or moves by less than 5 % of it; if g has a pole there or hardly depends on the
sender; or if a constant of the law has a Cramer-Rao standard deviation of 1 % or more for errors of the
derivatives of 0.1 % of their standard deviation and the information of 5 samples of each node. Law k of a
seed does not depend on how many are drawn.

Exact: the skeleton of the truth, and every constant within 1 % (clean data) or 5 % (--db). Either of two
ways may say so: what found and true f and g compute at the points that the trajectories visit, each of
both by itself (`exactness`: a term too many counts, however small it is), or the normal forms of
`jaxllc.metrics`. In both, k_i*c(x_i) in f is c(x_i) in g.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from common import (
    STAGES,
    CompileClock,
    comma_list,
    environment,
    kept_rows,
    one_line,
    print_environment,
)
from exactness import skeleton_of
from fair_targets import LARGEST, _defined
from random_laws import law as random_law
from random_parts import constant
from random_systems_verdict import compared, visited_pairs
from scipy.integrate import solve_ivp
from symbolic_targets import Target, values_at

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.equations.expressions import parse, to_text
from jaxllc.errors import InputError
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.settings.llc_settings import PRESETS
from jaxllc.settings.names import ENGINES

NUM_NODES, ATTACHMENTS, SAMPLES = 30, 2, 200
SIZES = (1, 2, 3, 4)  # operators of g, in turn
SELF_TERMS = ("-{b}*x_i", "{a} - {b}*x_i", "x_i*(1 - x_i/{b})", "{a} - {b}*x_i**2")
OTHER_SELF, OTHER_SHARE = "{term} - {b}*x_i", 0.25
CROSSINGS = 2.0  # of the box by the first velocities: the horizon
MOST_DRAWS = 500  # for one law
ROOM, MOVES = 3.0, 0.05  # of the box: where states may go, and how far they must
SENDER_MATTERS = 0.01  # of the standard deviation of g, off its mean over senders
SIGMA, WORTH, DEVIATION = 1e-3, 5 * NUM_NODES, 0.01
MOST_EVALUATIONS, TOLERANCES = 10_000, {"rtol": 1e-10, "atol": 1e-12}
WITHIN_CLEAN, WITHIN_NOISY = 0.01, 0.05
TIMES = (*STAGES, "compilation", "total")
QUICK_COUNT = 3


@dataclass(frozen=True)
class System:
    """A law, its network and clean trajectories; box: (low, high) of initial states.

    refused: why draws before it were, and how many.
    """

    name: str
    truth: Equation
    box: tuple[float, float]
    network: Any
    runs: list[Any]
    refused: dict[str, int]

    @property
    def text(self) -> str:
        return "dx_i/dt = {} + sum_j A_ij ({})".format(*self.truth.to_text())


class Refused(Exception):  # noqa: N818 - not an error
    """Why a draw is no fair law."""


def drawn_system(seed: int, number: int, num_runs: int = 1) -> System:
    """Law `number` of a seed, its draws that were refused counted; raises InputError if all were."""
    rng = np.random.default_rng([seed, number, 2])
    network = jaxllc.generators.barabasi_albert(NUM_NODES, ATTACHMENTS, seed=1000 * seed + number)
    name, refused = f"s{seed}-{number + 1:02d}", Counter()
    for _ in range(MOST_DRAWS):
        try:
            truth, box = drawn_law(SIZES[number % len(SIZES)], name, rng)
            states = [rng.uniform(*box, NUM_NODES) for _ in range(num_runs)]
            truth = balanced(truth, network, states[0], rng)
            runs = simulated(truth, box, network, states)
            check_fair(truth, network, runs)
        except Refused as reason:
            refused[str(reason)] += 1
            continue
        return System(name, truth, box, network, runs, dict(refused))
    raise InputError(f"{MOST_DRAWS} of {MOST_DRAWS} draws were refused: {reasons_text(refused)}")


def drawn_law(size: int, name: str, rng: np.random.Generator) -> tuple[Equation, tuple]:
    """f and g, g not yet of the size of f, and the box (low, high) of x."""
    target = _term(size, name, [("x_j",), ("x_i", "x_j")], rng)
    text, values = SELF_TERMS[rng.integers(4)], {"a": constant(rng), "b": constant(rng)}
    if rng.random() < OTHER_SHARE:
        term = _term(1 + int(rng.integers(2)), name, [("x_i",)], rng).text
        text, values = OTHER_SELF, {**values, "term": term}
    return Equation(parse(text.format(**values)), target.expression), target.ranges[0]


def _term(size: int, name: str, variables: list[tuple], rng: np.random.Generator) -> Target:
    while True:
        target = random_law(size, name, rng)
        if target.variables in variables:
            return target


def balanced(truth: Equation, network: Any, state: np.ndarray, rng: Any) -> Equation:
    """g times a factor that makes its sum over neighbours half to twice as large as f, by rms."""
    sizes = [np.sqrt(np.mean(part**2)) for part in parts(truth, network, state)]
    if not (0 < sizes[0] < np.inf and 0 < sizes[1] < np.inf):
        raise Refused("not defined")
    factor = float(sizes[0] / sizes[1] * 2 ** rng.uniform(-1, 1))
    scaled = parse(f"{factor!r}*({to_text(truth.interaction_term)})")
    return Equation(*(_rounded(term) for term in (truth.self_term, scaled)))


def _rounded(expression: sympy.Expr) -> sympy.Expr:
    """Constants of three digits."""
    floats = expression.atoms(sympy.Float)
    return expression.xreplace({f: sympy.Float(float(f"{float(f):.3g}")) for f in floats})


def parts(truth: Equation, network: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f, and the sum of g over neighbours, both (node,), at states x (node,)."""
    each = values_at(truth.interaction_term, ("x_i", "x_j"), visited_pairs(x[None], network))
    total = np.bincount(network.receivers, network.weights * each, len(x))
    return values_at(truth.self_term, ("x_i",), x[:, None]), total


def simulated(truth: Equation, box: tuple, network: Any, states: list[np.ndarray]) -> list[Any]:
    """A clean run from each initial state; raises Refused."""
    middle, width = sum(box) / 2, box[1] - box[0]
    first = np.sqrt(np.mean(np.square([sum(parts(truth, network, x)) for x in states])))
    if not 0 < first < np.inf:
        raise Refused("not defined")
    times = np.linspace(0.0, float(f"{CROSSINGS * width / first:.2g}"), SAMPLES)
    evaluations = 0

    def slope(_: float, x: np.ndarray) -> np.ndarray:
        nonlocal evaluations
        evaluations += 1
        if evaluations > MOST_EVALUATIONS * len(states):
            raise Refused("too stiff")
        return sum(parts(truth, network, x))

    def room(_: float, x: np.ndarray) -> float:
        return ROOM * width / 2 - np.abs(x - middle).max()

    room.terminal = True
    runs = []
    for start in states:
        done = solve_ivp(slope, times[[0, -1]], start, "DOP853", times, events=room, **TOLERANCES)
        if done.status == 1:
            raise Refused("leaves the box")
        if done.status != 0 or not np.isfinite(done.y).all():
            raise Refused("not defined")
        runs.append(jaxllc.Trajectories(times, done.y.T))
    if np.mean([np.ptp(run.states, axis=0) for run in runs]) < MOVES * width:
        raise Refused("hardly moves")
    return runs


def check_fair(truth: Equation, network: Any, runs: list[Any]) -> None:
    """Raise Refused if the trajectories do not determine the law."""
    x = np.concatenate([run.states[::4, :, 0] for run in runs])
    pairs = visited_pairs(x, network)
    for term, points in zip(truth, (x.reshape(-1, 1), pairs), strict=True):
        variables = ("x_i", "x_j")[: points.shape[1]]
        values = values_at(term, variables, points)
        if not np.all(np.isfinite(values)) or not _defined(term, variables, points):
            raise Refused("not defined")
        if np.abs(values - np.median(values)).max() > LARGEST * np.std(values):
            raise Refused("pole")
    if _sender_share(truth.interaction_term, x) < SENDER_MATTERS:
        raise Refused("hardly depends on the sender")
    if not _determined(truth, network, x, pairs):
        raise Refused("constants not determined")


def _sender_share(interaction: sympy.Expr, x: np.ndarray) -> float:
    """How far g is from its mean over senders, which is a function of x_i alone; over its deviation."""
    seen = np.quantile(x, np.linspace(0.02, 0.98, 25))
    grid = np.stack(np.meshgrid(seen, seen, indexing="ij"), axis=-1).reshape(-1, 2)
    values = values_at(interaction, ("x_i", "x_j"), grid).reshape(len(seen), len(seen))
    values = values[np.all(np.isfinite(values), axis=1)]
    return float(np.std(values - values.mean(axis=1, keepdims=True)) / np.std(values))


def _determined(truth: Equation, network: Any, x: np.ndarray, pairs: np.ndarray) -> bool:
    own = skeleton_of(truth.self_term, ("x_i",))
    pair = skeleton_of(truth.interaction_term, ("x_i", "x_j"))
    points = x.reshape(-1, 1)
    mine = own.jacobian(points, np.array(own.values))[:, own.independent(points)]
    edges = pair.jacobian(pairs, np.array(pair.values))[:, pair.independent(pairs)]
    sums = np.zeros((*x.shape, edges.shape[1]))
    at = (slice(None), network.receivers)
    np.add.at(sums, at, network.weights[:, None] * edges.reshape(len(x), -1, edges.shape[1]))
    derivative = np.array([sum(parts(truth, network, row)) for row in x])
    slopes = np.hstack([mine, sums.reshape(len(points), -1)]) / (SIGMA * np.std(derivative))
    # The derivatives are by logarithms, so the standard deviations are relative ones.
    information = slopes.T @ slopes * (WORTH / len(points))
    if not np.all(np.isfinite(information)) or np.linalg.cond(information) > 1e14:
        return False
    return bool(np.sqrt(np.diag(np.linalg.inv(information)).max()) < DEVIATION)


def reasons_text(refused: dict[str, int]) -> str:
    return ", ".join(f"{why} {n}" for why, n in sorted(refused.items())) or "none"


def main() -> None:
    options = _options()
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    record = {"benchmark": "random systems", "settings": settings, "environment": environment()}
    print_environment(record["environment"])
    noise = "clean" if options.db is None else f"{options.db:g} dB"
    print(
        f"{options.count} laws of seed {options.seed}, {NUM_NODES} nodes, {options.runs} run(s) of "
        f"{SAMPLES} samples, {noise}, "
        + ("preset llc" if options.preset == "llc" else f"engines {'+'.join(options.engines)}"),
        flush=True,
    )
    measurements = (measured(number, options) for number in range(options.count))
    rows = kept_rows(measurements, record, options.json, row_text, summary)
    print_summary(summary(rows))
    print(f"exact {sum(row['exact'] for row in rows)}/{len(rows)}")


def _options() -> argparse.Namespace:
    default = DiscoverSettings()
    parser = argparse.ArgumentParser(description="Recovery of laws drawn at random.")
    parser.add_argument("--count", type=int, default=20, help="laws (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of laws, networks, states and noise")
    parser.add_argument("--runs", type=int, default=1, help="trajectories of a law (default 1)")
    parser.add_argument("--db", type=float, help="white noise: 20 log10(std of signal / of noise)")
    parser.add_argument("--engines", type=comma_list, default=list(default.engines), metavar="A,B")
    parser.add_argument("--seconds", type=float, default=default.search_seconds, help="of a search")
    parser.add_argument(
        "--preset", choices=PRESETS, default="default", help="llc reads neither engines nor seconds"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_COUNT} laws")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    if options.quick:
        options.count = min(options.count, QUICK_COUNT)
    for name, least in (("count", 1), ("runs", 1), ("seed", 0)):
        if getattr(options, name) < least:
            parser.error(f"--{name} is {getattr(options, name)}; give {least} or more")
    if not options.seconds > 0:
        parser.error(f"--seconds is {options.seconds:g}; give more than 0")
    if not options.engines or not set(options.engines) <= set(ENGINES):
        parser.error(f"--engines must be some of {', '.join(ENGINES)}")
    return options


def measured(number: int, options: argparse.Namespace) -> dict[str, Any]:
    """Draw one law, discover it and compare; a failure is a row that says so."""
    row: dict[str, Any] = {"law": number + 1, "refused": {}, "exact": False, "failure": None}
    try:
        system = drawn_system(options.seed, number, options.runs)
        row["refused"], row["name"] = system.refused, system.name
        row["true"], row["box"] = system.text, system.box
        row["horizon"] = float(system.runs[0].times[-1])
        print(f"{system.name}  {system.text}", flush=True)
        runs = system.runs
        if options.db is not None:
            runs = [run.with_noise(options.db, seed=100 * number + r) for r, run in enumerate(runs)]
        clock, start = CompileClock(), time.perf_counter()
        choices: dict[str, Any] = {"preset": options.preset}
        if options.preset == "default":
            choices.update(engines=tuple(options.engines), search_seconds=options.seconds)
        law = jaxllc.discover(runs, system.network, seed=options.seed, **choices)
        total = time.perf_counter() - start
        row["seconds"] = {
            **{stage: law.seconds.get(stage, 0.0) for stage in STAGES},
            "compilation": clock.since(start),
            "total": total,
        }
        row.update(found=one_line(law), adjusted_r2=law.adjusted_r2["x"], notes=list(law.notes))
        row["equation"] = list(law.equations["x"].to_text())
        within = WITHIN_CLEAN if options.db is None else WITHIN_NOISY
        row.update(compared(system, law.equations["x"], within))
    except Exception as error:
        row["failure"] = f"{type(error).__name__}: {error}"
    return row


def row_text(row: dict[str, Any]) -> str:
    """The verdict on a law, and below what was found where that is not exact."""
    if row["failure"]:
        return f"    FAILED {row['failure']}"
    verdict = "exact" if row["exact"] else "CONSTANTS" if row["skeleton"] else "OTHER"
    spent = ", ".join(f"{k} {v:.1f}" for k, v in row["seconds"].items())
    text = (
        f"    {verdict}  worst constant {row['worst']:.1e}  adjusted R2 {row['adjusted_r2']:.9f}  "
        f"seconds: {spent}"
    )
    return text if row["exact"] else f"{text}\n    found: {row['found']}"


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, refusals by reason, and seconds."""
    done = [row for row in rows if not row["failure"]]
    seconds = {t: [row["seconds"][t] for row in done] or [math.nan] for t in TIMES}
    return {
        "laws": len(rows),
        "exact": sum(row["exact"] for row in rows),
        "exact_skeleton": sum(row["skeleton"] for row in done),
        "failed": len(rows) - len(done),
        "refused": dict(sum((Counter(row["refused"]) for row in rows), Counter())),
        "median_seconds": {t: float(np.median(values)) for t, values in seconds.items()},
        "max_seconds": {t: max(values) for t, values in seconds.items()},
    }


def print_summary(result: dict[str, Any]) -> None:
    refused = sum(result["refused"].values())
    reasons = reasons_text(result["refused"])
    print(f"\n{result['laws'] + refused} drawn, {refused} refused ({reasons})")
    print(f"exact skeleton {result['exact_skeleton']}/{result['laws']}, failed {result['failed']}")
    for which in ("median", "max"):
        each = ", ".join(f"{k} {v:.1f}" for k, v in result[f"{which}_seconds"].items())
        print(f"{which} seconds: {each}")


if __name__ == "__main__":
    main()
