"""Network and law from samples alone: nothing but the states is given.

    python benchmarks/network_and_law.py --seeds 10 --json benchmarks/results/network_and_law.json
    python benchmarks/network_and_law.py --sizes 20x10x20 --systems kuramoto --db inf
    python benchmarks/network_and_law.py --refusals          # more nodes than four runs can tell

Systems on random networks (Erdos-Renyi, Barabasi-Albert, Watts-Strogatz; about four neighbours), edges of
one strength; sizes are nodes x runs x samples of a run, from random starts. AUC is that of the probabilities
of all pairs; a law is right when its form is exact. Beside it stands what is often done: finite differences,
the same interactions (with their inner constants as in the truth) and plain self terms, senders of each node
by orthogonal matching pursuit, the form by the information criterion of all nodes.
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


@dataclass(frozen=True)
class System:
    """A law as text, {variable: (self term, interaction term)}, the range that states start in, how long it
    is observed, how edges act by a name in `_INTERACTIONS`, on which variable, and whether it is a map, in
    which the edges into a node share one strength. same: the law in other words; where all nodes have the
    same total input, what x_i does may stand on either side, and where weights are one, they are divided."""

    equations: dict[str, tuple[str, str]]
    box: tuple[float, float]
    horizon: float
    pair: str
    acted_on: str = "x"
    is_map: bool = False
    same: tuple[dict[str, tuple[str, str]], ...] = ()


SYSTEMS = {
    "michaelis-menten": System(
        {"x": ("-x_i", "0.7*x_j/(1 + x_j)")}, (0.0, 4.0), 4.0, "x_j/(1 + x_j)"
    ),
    "diffusion": System({"x": ("0", "0.3*(x_j - x_i)")}, (-1.0, 1.0), 3.0, "x_j - x_i"),
    "spring": System(
        {"x": ("v_i", "0"), "v": ("-0.1*v_i", "0.4*(x_j - x_i)")},
        (-1.0, 1.0),
        4.0,
        "x_j - x_i",
        "v",
    ),
    "kuramoto": System(
        {"x": ("0.7", "0.4*sin(x_j - x_i)")}, (0.0, 2 * math.pi), 3.0, "sin(x_j - x_i)"
    ),
    "friedkin-johnsen": System(
        {"x": ("0.4*s_i", "0.6*x_j"), "s": ("s_i", "0")},
        (0.0, 1.0),
        0.0,
        "x_j",
        is_map=True,
        same=(
            {"x": ("0.4*s_i + 0.6*x_i", "0.6*(x_j - x_i)"), "s": ("s_i", "0")},
            {"x": ("0.4*s_i + 0.6*x_i", "0.6*(x_j - x_i)/k_i"), "s": ("s_i", "0")},
        ),
    ),
    "coupled-maps": System(
        {"x": ("2.66*x_i - 2.66*x_i**2", "1.14*x_j - 1.14*x_j**2")},
        (0.05, 0.95),
        0.0,
        "x_j - x_j**2",
        is_map=True,
        same=({"x": ("3.8*x_i - 2.66*x_i**2", "1.14*(x_j - x_i) - 1.14*x_j**2")},),
    ),
}
NETWORKS = {
    "er": lambda n, seed: jaxllc.generators.erdos_renyi(n, 4, seed=seed),
    "ba": lambda n, seed: jaxllc.generators.barabasi_albert(n, 2, seed=seed),
    "ws": lambda n, seed: jaxllc.generators.watts_strogatz(n, 4, 0.3, seed=seed),
}
SIZES, HARD = ["10x10x10", "20x10x20"], ["60x4x60"]


def make_case(
    name: str, kind: str, size: tuple[int, int, int], db: float, seed: int, weights: bool = False
) -> tuple[list[jaxllc.Trajectories], jaxllc.Network]:
    """Samples of a system on a network, and the network, which nobody is told; weights: a strength of its own
    for each edge."""
    system, (nodes, runs, samples) = SYSTEMS[name], size
    network = NETWORKS[kind](nodes, seed)
    random = np.random.default_rng([seed, nodes, list(SYSTEMS).index(name)])
    if weights:
        own = random.uniform(0.5, 1.5, network.num_edges)
        network = jaxllc.Network.from_edges(
            network.senders, network.receivers, own / own.mean(), num_nodes=nodes
        )
    if system.is_map:
        own = 1.0 / network.in_degree[network.receivers]
        network = jaxllc.Network.from_edges(
            network.senders, network.receivers, own, num_nodes=nodes
        )
    law = jaxllc.Law(truth_of(system.equations), dynamics="map" if system.is_map else "flow")
    times, data = np.linspace(0.0, system.horizon or samples - 1.0, samples), []
    for run in range(runs):
        start = random.uniform(*system.box, (nodes, len(system.equations)))
        made = law.simulate(start, times, network)
        data.append(made if math.isinf(db) else made.with_noise(db, 1000 * seed + run))
    return data, network


def truth_of(equations: dict[str, tuple[str, str]], scale: float = 1.0) -> dict[str, Equation]:
    """A law of texts, its interactions multiplied by a number."""
    return {
        v: Equation.from_text(own, f"{scale!r}*({other})") for v, (own, other) in equations.items()
    }


def auc(scores: np.ndarray, edges: np.ndarray) -> float:
    """Share of pairs of an edge and none of which the edge has the larger score; ties count half."""
    pairs = ~np.eye(len(edges), dtype=bool)
    there, others = scores[pairs & edges], scores[pairs & ~edges]
    larger = (there[:, None] > others).mean() + 0.5 * (there[:, None] == others).mean()
    return float(larger)


# --- what is often done --------------------------------------------------------------------------

_INTERACTIONS = {
    "x_j - x_i": lambda own, other: other - own,
    "x_i*x_j": lambda own, other: own * other,
    "sin(x_j - x_i)": lambda own, other: np.sin(other - own),
    "x_j/(1 + x_j)": lambda own, other: other / (1.0 + np.maximum(other, -0.9)),
    "x_j": lambda own, other: other,
    "x_j**2": lambda own, other: other**2,
    "x_j - x_j**2": lambda own, other: other - other**2,
    "tanh(x_j)": lambda own, other: np.tanh(other),
}


def baseline(data: list[jaxllc.Trajectories], system: System) -> tuple[str, np.ndarray]:
    """The form and the scores of all pairs by finite differences, of maps by next samples, and orthogonal
    matching pursuit. A form is told up to what x_i does."""
    variables = data[0].variables
    middle = [0.5 * (run.states[1:] + run.states[:-1]) for run in data]
    rates = [np.diff(run.states, axis=0) / np.diff(run.times)[:, None, None] for run in data]
    if system.is_map:
        middle, rates = [run.states[:-1] for run in data], [run.states[1:] for run in data]
    states, rate = np.concatenate(middle), np.concatenate(rates)
    rate = rate[..., variables.index(system.acted_on)]
    x = states[..., 0]
    nodes, rows, best = x.shape[1], len(x), (math.inf, "", np.zeros(0))
    powers = [np.ones_like(x), x, x**2, x**3, *(states[..., v] for v in range(1, len(variables)))]
    for name, function in _INTERACTIONS.items():
        total, scores = 0.0, np.zeros((nodes, nodes))
        for i in range(nodes):
            own = np.stack([p[:, i] for p in powers], axis=1)
            columns = np.where(np.arange(nodes) == i, 0.0, function(x[:, i : i + 1], x))
            cost, chosen, strengths = _pursuit(rate[:, i], own, columns, min(nodes - 1, rows // 3))
            total += cost
            scores[i, chosen] = np.abs(strengths)
        if total < best[0]:
            best = total, name, scores
    return best[1], best[2]


def _up_to_own(form: str) -> str:
    return {"x_j - x_i": "x_j"}.get(form, form)


def _pursuit(target, own, columns, most) -> tuple[float, list[int], np.ndarray]:
    rows, chosen, found = len(target), [], (math.inf, [], np.zeros(0))
    while True:
        both = np.concatenate([own, columns[:, chosen]], axis=1)
        values = np.linalg.lstsq(both, target, rcond=1e-10)[0]
        left = target - both @ values
        cost = rows * np.log(max(left @ left / rows, 1e-300)) + both.shape[1] * np.log(rows)
        if cost < found[0]:
            found = cost, list(chosen), values[own.shape[1] :]
        if len(chosen) >= most:
            return found
        basis = np.linalg.qr(both)[0]
        apart = columns - basis @ (basis.T @ columns)
        sizes = (apart**2).sum(axis=0)
        gain = np.where(sizes > 1e-9 * rows, (apart.T @ left) ** 2 / np.maximum(sizes, 1e-300), -1)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))


# --- the table -----------------------------------------------------------------------------------


def measure(name: str, kind: str, size: str, seed: int, options: Any) -> dict[str, Any]:
    """One discovery without a network, and the baseline on the same samples."""
    system = SYSTEMS[name]
    shape = tuple(map(int, size.split("x")))
    data, network = make_case(name, kind, shape, options.db, seed, options.weights)
    weights = network.to_adjacency().toarray()
    edges = weights != 0
    row: dict[str, Any] = {"system": name, "network": kind, "size": size, "seed": seed}
    row |= {"failure": "", "exact": False, "error": math.nan, "auc": math.nan, "refused": False}
    row |= {"wrong": 0, "edges": int(edges.sum()), "found": "", "correlation": math.nan}
    form, scores = baseline(data, system)
    row |= {
        "baseline_auc": auc(scores, edges),
        "baseline_form": _up_to_own(form) == _up_to_own(system.pair),
    }
    begun = time.process_time()
    try:
        law = jaxllc.discover(data, None, seed=seed, dynamics="map" if system.is_map else "flow")
        row["seconds"] = time.process_time() - begun
        row["found"] = str(law)
        row["refused"] = law.edges is None
        for equations in (system.equations, *system.same):
            # Weights that are found are of mean one.
            alike = any("k_i" in other for _, other in equations.values())
            truth = truth_of(equations, 1.0 if alike else float(weights[edges].mean()))
            if not row["exact"] and skeleton_equal(law, truth):
                row["exact"], row["error"] = True, float(worst_coefficient_error(law, truth))
        if law.edges is not None:
            row["auc"] = auc(law.edges.probability, edges)
            row["wrong"] = int(np.sum(law.edges.present != edges))
            both = law.edges.present & edges
            if np.ptp(weights[edges]) > 1e-9 and both.sum() > 2 and np.ptp(law.edges.weights[both]):
                pair = law.edges.weights[both], weights[both]
                row["correlation"] = float(np.corrcoef(*pair)[0, 1])
    except Exception as error:  # a benchmark goes on
        row["failure"] = f"{type(error).__name__}: {error}"[:200]
        row["seconds"] = time.process_time() - begun
    return row


def row_text(row: dict[str, Any]) -> str:
    """The verdict on a network and a law, and below what was found where that is not exact."""
    head = f"{row['system']:17s} {row['network']} {row['size']:9s} seed {row['seed']:<3d}"
    if row["failure"]:
        return f"{head} FAILED {row['failure']}"
    usual = f"{row['baseline_auc']:.3f} {'form' if row['baseline_form'] else '-   '}"
    if row["refused"]:
        return f"{head} edges refused  {row['seconds']:5.1f} s   baseline {usual}"
    text = (
        f"{head} AUC {row['auc']:.4f}  wrong pairs {row['wrong']:3d} of {row['edges']:3d} edges  "
        f"{'exact' if row['exact'] else 'OTHER'}, worst constant {row['error']:.1e}  {row['seconds']:5.1f} s"
        f"   baseline {usual}"
    )
    if math.isfinite(row["correlation"]):
        text += f"   weights correlate {row['correlation']:.3f}"
    return text if row["exact"] else f"{text}\n    found: {one_line(row['found'])}"


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each size: exact laws, AUC (one half where edges were refused), seconds."""
    result = {}
    for size in dict.fromkeys(row["size"] for row in rows):
        some = [row for row in rows if row["size"] == size]
        scores = [row["auc"] if math.isfinite(row["auc"]) else 0.5 for row in some]
        result[size] = {
            "cells": len(some),
            "exact": sum(row["exact"] for row in some),
            "refused": sum(row["refused"] for row in some),
            "mean_auc": float(np.mean(scores)),
            "mean_baseline_auc": float(np.mean([row["baseline_auc"] for row in some])),
            "baseline_forms": sum(row["baseline_form"] for row in some),
            "median_seconds": median(row["seconds"] for row in some),
            "max_seconds": max(row["seconds"] for row in some),
        }
    return result


def main() -> None:
    options = _options()
    record = {
        "benchmark": "network_and_law",
        "settings": {name: value for name, value in vars(options).items() if name != "json"},
        "environment": environment(),
    }
    print_environment(record["environment"])
    print(f"nothing given; {options.db:g} dB, seeds {options.seeds}; nodes x runs x samples")
    cases = [
        (system, kind, size, seed)
        for size in options.sizes
        for system in options.systems
        for kind in options.networks
        for seed in options.seeds
    ]
    measured = (measure(*case, options) for case in cases)
    rows = kept_rows(measured, record, options.json, row_text, summary)
    parts = summary(rows)
    for size, part in parts.items():
        print(
            f"{size}: exact {part['exact']}/{part['cells']}, mean AUC {part['mean_auc']:.4f}, refused "
            f"{part['refused']}, processor seconds {part['median_seconds']:.1f} median, "
            f"{part['max_seconds']:.1f} largest; baseline: forms {part['baseline_forms']}, mean AUC "
            f"{part['mean_baseline_auc']:.4f}"
        )
    exact, cells = sum(row["exact"] for row in rows), len(rows)
    mean = np.average(
        [p["mean_auc"] for p in parts.values()], weights=[p["cells"] for p in parts.values()]
    )
    print(f"right {exact}/{cells}, mean AUC {mean:.4f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Network and law from samples alone.")
    parser.add_argument("--systems", type=comma_list, default=list(SYSTEMS), metavar="A,B")
    parser.add_argument("--networks", type=comma_list, default=list(NETWORKS), metavar="A,B")
    parser.add_argument("--sizes", type=comma_list, default=SIZES, metavar="10x10x10,...")
    parser.add_argument("--refusals", action="store_true", help=f"sizes {HARD} instead")
    parser.add_argument("--seeds", type=integers, default=[10], metavar="0,1,2")
    parser.add_argument("--db", type=float, default=40.0, help="20 log10(std of signal / of noise)")
    parser.add_argument(
        "--weights", action="store_true", help="a strength of its own for each edge"
    )
    parser.add_argument("--quick", action="store_true", help="one system on one small network")
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    for given, known in ((options.systems, SYSTEMS), (options.networks, NETWORKS)):
        for name in given:
            if name not in known:
                parser.error(f"{name!r} is none of {', '.join(known)}")
    if options.refusals:
        options.sizes = HARD
    if options.quick:
        options.systems, options.networks, options.sizes = ["diffusion"], ["er"], SIZES[:1]
    return options


if __name__ == "__main__":
    main()
