"""Recovery of every known law from trajectories: the equation, its constants, and how well it predicts.

    python benchmarks/recovery.py --seeds 0,1,2 --networks ba,er --json benchmarks/results/recovery.json
    python benchmarks/recovery.py --db 30 --laws epidemic,kuramoto
    python benchmarks/recovery.py --preset llc    # the published road, for comparison
    python benchmarks/recovery.py --preset llc --nets adam    # its nets as in the paper's re-implementation

Clean data count as recovered when the skeleton is exact and every constant within 1 %; under noise
(--db), when the skeleton is exact and every constant within 3 of its own reported standard errors. The
published road reports none: its constants count as recovered within 1 % there too.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from common import (
    STAGES,
    CompileClock,
    comma_list,
    environment,
    integers,
    kept_rows,
    median,
    one_line,
    print_environment,
)
from standard_errors import largest_standardised_error

import jaxllc
from jaxllc.settings.llc_settings import NETS, PRESETS


@dataclass(frozen=True)
class Sampling:
    """How a law is observed.

    horizon: duration, None for that of the catalogue. warp: samples are equally spaced in log(1 + t/s) with
    s = warp times the horizon, so that a fast start is seen; None for equally spaced times.
    """

    runs: int = 5
    samples: int = 80
    horizon: float | None = None
    warp: float | None = None


# A law that is not named here is sampled by the defaults. Warped: hubs or large states move by more than
# their spread between two of 80 equal steps. More samples: the flow oscillates, or spikes.
SAMPLING = {
    "biochemical": Sampling(warp=0.3),
    "gene": Sampling(warp=0.3),
    "gene_quadratic": Sampling(warp=0.1),
    "mutualistic": Sampling(runs=10, horizon=1.0, warp=0.01),
    "lotka_volterra": Sampling(warp=0.03),
    "lotka_volterra_heterogeneous": Sampling(warp=0.1),
    "mutualistic_pairs": Sampling(warp=0.3),
    "neural": Sampling(warp=0.3),
    "neural_smooth": Sampling(warp=0.3),
    "fitzhugh_nagumo": Sampling(samples=120),
    "hindmarsh_rose": Sampling(samples=100, horizon=6.0),
    "epidemic": Sampling(warp=0.1),
    "epidemic_heterogeneous": Sampling(warp=0.1),
    "coevolving_epidemics": Sampling(warp=0.1),
    "coevolving_epidemics_weak": Sampling(warp=0.1),
    "coevolving_epidemics_strong": Sampling(warp=0.1),
    "population": Sampling(horizon=1.5, warp=0.3),
    "heat": Sampling(warp=0.1),
    "rossler": Sampling(samples=100, horizon=5.0),
    "rossler_heterogeneous": Sampling(samples=100, horizon=5.0),
    "rossler_diffusive": Sampling(samples=100, horizon=4.0, warp=0.1),
    "lorenz": Sampling(samples=80, horizon=2.0),
}
NOISY_RUNS, NOISY_SAMPLES = 1, 200
NUM_NODES = 100
WITHIN = 0.01  # relative error of every constant, clean data
WITHIN_STANDARD_ERRORS = 3.0  # of every constant, noisy data
QUICK_LAWS = ("epidemic", "kuramoto")


def main() -> None:
    options = _options()
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    record = {"benchmark": "recovery", "settings": settings, "environment": environment()}
    print_environment(record["environment"])
    noise = "clean" if options.db is None else f"{options.db:g} dB"
    print(
        f"{NUM_NODES} nodes, {noise}, networks {options.networks}, seeds {options.seeds}, "
        f"preset {options.preset}"
    )
    cases = itertools.product(options.laws, options.networks, options.seeds)
    measurements = (recover(*case, options) for case in cases)
    rows = kept_rows(measurements, record, options.json, row_text, summary)
    print_summary(summary(rows))
    print(f"recovered {sum(row['recovered'] for row in rows)}/{len(rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Recovery of known laws from trajectories.")
    parser.add_argument("--seeds", type=integers, default=[0, 1, 2], metavar="0,1,2")
    parser.add_argument("--networks", type=comma_list, default=["ba", "er"], metavar="ba,er")
    parser.add_argument("--laws", type=comma_list, metavar="A,B", help="default: every known law")
    parser.add_argument(
        "--db", type=float, help="add white noise: 20 log10(std of signal / std of noise)"
    )
    parser.add_argument(
        "--preset", choices=PRESETS, default="default", help="road of the discovery"
    )
    parser.add_argument(
        "--nets", choices=NETS, default=NETS[0], help="training of the nets of the preset llc"
    )
    parser.add_argument("--runs", type=int, help="trajectories, in place of the table's")
    parser.add_argument(
        "--samples", type=int, help="samples of a trajectory, in place of the table's"
    )
    parser.add_argument(
        "--quick", action="store_true", help="two laws (one with --db), one seed, one network"
    )
    parser.add_argument("--json", metavar="FILE", help="write settings, device, versions and rows")
    options = parser.parse_args()
    if options.quick:
        options.laws = options.laws or list(QUICK_LAWS if options.db is None else QUICK_LAWS[:1])
        options.seeds, options.networks = options.seeds[:1], options.networks[:1]
    options.laws = options.laws or jaxllc.known_laws.names()
    check_laws_and_networks(parser, options)
    return options


def check_laws_and_networks(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a sentence where there is no law or network of a name."""
    for name in options.laws:
        try:
            jaxllc.known_laws.get(name)
        except jaxllc.InputError as error:
            parser.error(str(error))
    for network in options.networks:
        if network not in NETWORKS:
            parser.error(f"there is no network {network!r}; networks are {', '.join(NETWORKS)}")


# --- data ---------------------------------------------------------------------------------------

NETWORKS = {
    "ba": lambda seed: jaxllc.generators.barabasi_albert(NUM_NODES, 3, seed=seed),
    "er": lambda seed: jaxllc.generators.erdos_renyi(NUM_NODES, 6, seed=seed),
}
OTHER_KIND = {"ba": "er", "er": "ba"}


def sampling_of(name: str, options: argparse.Namespace) -> Sampling:
    """The table's entry, with what noise and the command line change."""
    chosen = SAMPLING.get(name, Sampling())
    if options.db is not None:
        chosen = replace(chosen, runs=NOISY_RUNS, samples=NOISY_SAMPLES)
    return replace(
        chosen, runs=options.runs or chosen.runs, samples=options.samples or chosen.samples
    )


def sample_times(known: Any, sampling: Sampling) -> np.ndarray:
    """Times of the samples, (samples,)."""
    horizon = sampling.horizon or known.horizon
    part = np.linspace(0.0, 1.0, sampling.samples)
    if sampling.warp is not None:
        part = sampling.warp * np.expm1(part * np.log1p(1.0 / sampling.warp))
    return horizon * part


def true_run(known: Any, network: Any, times: np.ndarray, seed: int, features: dict) -> Any:
    """A trajectory of the true law; initial states from which it blows up are drawn again."""
    for attempt in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            run = known.simulate(
                network, times, seed=seed + 1_000_000 * attempt, node_features=features
            )
        if np.isfinite(run.states).all():
            return run
    raise RuntimeError(
        f"{known.name} blows up from 20 of 20 initial states within t = {times[-1]:g}"
    )


# --- one law ------------------------------------------------------------------------------------


def recover(name: str, network_kind: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Discover one law and compare it with the truth; a failure is a row that says so."""
    known = jaxllc.known_laws.get(name)
    sampling = sampling_of(name, options)
    row = {
        "law": name,
        "network": network_kind,
        "seed": seed,
        "runs": sampling.runs,
        "samples": sampling.samples,
        "recovered": False,
        "failure": None,
    }
    try:
        network = NETWORKS[network_kind](seed)
        features = known.sample_features(NUM_NODES, seed)
        times = sample_times(known, sampling)
        runs = [
            true_run(known, network, times, 100 * seed + r, features) for r in range(sampling.runs)
        ]
        if options.db is not None:
            runs = [run.with_noise(options.db, seed=100 * seed + r) for r, run in enumerate(runs)]
        clock, start = CompileClock(), time.perf_counter()
        law = discovered(runs, network, seed, options)
        total = time.perf_counter() - start
        row["seconds"] = {
            **{stage: law.seconds.get(stage, 0.0) for stage in STAGES},
            "compilation": clock.since(start),
            "total": total,
        }
        row.update(_comparison(law, known, runs, network, options))
        row.update(_predictions(law, known, network, network_kind, times, seed, features))
    except Exception as error:
        row["failure"] = f"{type(error).__name__}: {error}"
    return row


def discovered(runs: list, network: Any, seed: int, options: argparse.Namespace) -> Any:
    """The law, by the road that the command line names."""
    if options.preset != "llc" or options.nets == NETS[0]:
        return jaxllc.discover(runs, network, seed=seed, preset=options.preset)
    from jaxllc.baselines.llc import RoadSettings, published_law

    return published_law(runs, network, seed, RoadSettings(nets=options.nets))


def _comparison(
    law: Any, known: Any, runs: list, network: Any, options: argparse.Namespace
) -> dict[str, Any]:
    exact = jaxllc.metrics.skeleton_equal(law, known)
    worst = jaxllc.metrics.worst_coefficient_error(law, known) if exact else math.nan
    row = {
        "found": one_line(law),
        "exact_skeleton": exact,
        "worst_coefficient_error": worst,
        "term_recall": jaxllc.metrics.term_recall(law, known),
        "adjusted_r2_fitted": min(law.adjusted_r2.values(), default=math.nan),
        "converged": law.converged,
        "notes": list(law.notes),
        "recovered": exact and worst <= WITHIN,
    }
    if options.db is not None and options.preset == "default":
        row["worst_in_standard_errors"] = (
            largest_standardised_error(law, known, runs, network) if exact else math.nan
        )
        row["recovered"] = exact and row["worst_in_standard_errors"] <= WITHIN_STANDARD_ERRORS
    return row


def _predictions(
    law: Any, known: Any, network: Any, kind: str, times: np.ndarray, seed: int, features: dict
) -> dict[str, float]:
    """Adjusted R2 of simulated states: unseen initial states, then also a network of the other kind."""
    other = NETWORKS[OTHER_KIND[kind]](seed + 500)
    other_features = known.sample_features(NUM_NODES, seed + 500)
    unseen = {
        "adjusted_r2_unseen_states": (network, features),
        "adjusted_r2_unseen_network": (other, other_features),
    }
    scores = {}
    for key, (place, place_features) in unseen.items():
        truth = true_run(known, place, times, 500_000 + seed, place_features)
        found = law.run(truth.states[0], times, network=place, node_features=place_features)
        scores[key] = jaxllc.metrics.adjusted_r2(found.trajectories, truth, len(law.constants))
    return scores


# --- text ---------------------------------------------------------------------------------------


def row_text(row: dict[str, Any]) -> str:
    """One line for a row, and the found law below where it is not the true one."""
    head = f"{row['law']:28s} {row['network']} seed {row['seed']}  "
    if "found" not in row:
        return f"{head}FAILED {row['failure']}"
    seconds = row["seconds"]
    text = head + (
        f"{'exact' if row['exact_skeleton'] else 'OTHER'}  worst coefficient "
        f"{row['worst_coefficient_error']:.1e}  recall {row['term_recall']:.2f}  "
    )
    if "worst_in_standard_errors" in row:
        text += f"worst constant {row['worst_in_standard_errors']:.1f} standard errors off  "
    if row["failure"]:
        text += f"FAILED predicting: {row['failure']}  "
    else:
        text += (
            f"R2 unseen states {row['adjusted_r2_unseen_states']:.7f}, "
            f"network {row['adjusted_r2_unseen_network']:.7f}  "
        )
    text += "seconds: " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items())
    if not row["exact_skeleton"]:
        text += f"\n    found: {row['found']}"
    return text


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rows, and counts."""
    done = [row for row in rows if "found" in row]
    keys = [
        "worst_coefficient_error",
        "term_recall",
        "adjusted_r2_unseen_states",
        "adjusted_r2_unseen_network",
    ]
    if any("worst_in_standard_errors" in row for row in done):
        keys.append("worst_in_standard_errors")
    return {
        "rows": len(rows),
        "exact": sum(row["exact_skeleton"] for row in done),
        "recovered": sum(row["recovered"] for row in rows),
        "failed": sum(row["failure"] is not None for row in rows),
        "medians": {key: median(row.get(key) for row in done) for key in keys},
        "median_seconds": {
            stage: median(row["seconds"][stage] for row in done)
            for stage in (*STAGES, "compilation", "total")
        },
    }


def print_summary(result: dict[str, Any]) -> None:
    print(f"\nexact skeleton {result['exact']}/{result['rows']}, failed {result['failed']}")
    print("medians: " + ", ".join(f"{k} {v:.7g}" for k, v in result["medians"].items()))
    seconds = ", ".join(f"{k} {v:.2f}" for k, v in result["median_seconds"].items())
    print(f"median seconds: {seconds}")


if __name__ == "__main__":
    main()
