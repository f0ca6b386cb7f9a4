"""The self-pruning study: its finding, models per hour, what float32 costs, and a test of scores of edges.

    python benchmarks/self_pruning.py --json benchmarks/results/self_pruning.json
    python benchmarks/self_pruning.py --quick --parts study

throughput: 10 seeds and three L2 of the published protocol, a device for each core. Models per hour are from
the median time of a model, after compilation. Beside them stand those of the published algorithm in SciPy,
float64, on one core, from steps at half training of the same model.
study: 150 macrophage and 150 synthetic models (50 seeds, three L2), and the 30 ligand models of `throughput`.
Finding: shares of spurious and prior edges below the pooled median |w|, with the Kolmogorov-Smirnov test, and
where 60 % and p < 1e-6 are not met; edges that can be removed; AUROC of the scores of edges.
accuracy: errors of models in float32, side by side, beside single runs in float64, and these beside runs in
float64 whose initial weights were changed by 1e-7: how far a training determines its errors at all. It does
so more closely with `--settings learning_rate=3e-4`.
scores: synthetic data whose network lost 50 true edges and got 100 false ones, which edge_scores has to find.

Models that are done stand in --records and are not trained again, so that it can be run in parts. Last line:
`models per hour: macrophage A ligand B synthetic C`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import CompileClock, comma_list, environment, print_environment, write_json
from self_pruning_checks import (
    ACCURACY_SETS,
    DATA,
    FILES,
    SCORED_CONDITIONS,
    accuracy,
    problem,
    records_of,
    said,
    scores,
)

RECORDS = Path(__file__).resolve().parent / "records" / "self_pruning"
SETS = ("macrophage", "ligand", "synthetic")
SEEDS = {"macrophage": 50, "ligand": 10, "synthetic": 50}
TIMED_SEEDS = 10
PARTS = ("throughput", "study", "accuracy", "scores")
WHOLE = 450  # models of the published study


def main() -> None:
    options = _options()
    use_all_cores()
    record = {**_earlier(options), "environment": environment()}
    print_environment(record["environment"])
    for part in comma_list(options.parts):
        found = record.setdefault(part, {})
        names = comma_list(options.sets)
        if part == "accuracy":
            names = [name for name in names if name in ACCURACY_SETS]
        if part == "scores":
            names = [str(n) for n in SCORED_CONDITIONS]
        for name in names:
            what = ", ".join([name, *comma_list(options.settings)])
            print(f"\n{part}, {what}", flush=True)
            run = {
                "throughput": throughput,
                "study": study,
                "accuracy": accuracy,
                "scores": scores,
            }
            found[what] = run[part](name, options)
            if options.json:
                write_json(options.json, record)
    rates = [
        f"{name} {_rate(record.get('throughput', {}).get(name, {}).get('models_per_hour'))}"
        for name in SETS
    ]
    if options.quick:
        print("\nquick: 300 epochs, so that models per hour are not those of the study")
    else:
        _print_whole(record.get("throughput", {}))
    print("models per hour: " + " ".join(rates))


def _earlier(options: argparse.Namespace) -> dict[str, Any]:
    """What other parts and sets have left in the file of the record."""
    record = {"benchmark": "self_pruning", "quick": options.quick}
    if options.json and Path(options.json).exists():
        kept = json.loads(Path(options.json).read_text())
        record = kept if kept.get("quick") == options.quick else record
    return record


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, help="seeds instead of those of each set")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the published tables")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of finished models")
    parser.add_argument(
        "--settings",
        default="",
        metavar="NAME=VALUE,...",
        help="of the training, in the place of the published ones",
    )
    parser.add_argument("--quick", action="store_true", help="two seeds and 300 epochs")
    parser.add_argument("--json", metavar="FILE", help="where the record goes")
    return parser.parse_args()


def use_all_cores() -> None:
    """A device for each core, with one thread: a CPU trains models fastest one beside the other."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    import jax

    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def _study(name: str, options: argparse.Namespace, seeds: int) -> Any:
    from jaxllc.signaling import self_pruning_study

    prior, conditions, settings = problem(name, options)
    count = options.seeds or (2 if options.quick else seeds)
    return self_pruning_study(
        prior,
        conditions,
        seeds=range(count),
        settings=settings,
        folder=records_of(f"{name}_{count}_seeds", options),
        progress=said(),
    )


# Throughput and finding


def throughput(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Models per hour of one set."""
    import jax

    clock, began = CompileClock(), time.perf_counter()
    found = _study(name, options, TIMED_SEEDS)
    seconds = found.table["seconds"].to_numpy()
    # The first models of a process wait for the compiler.
    later = seconds[len(jax.local_devices()) :]
    each = float(np.median(later if len(later) else seconds))
    result = {
        "models": len(found.table),
        "devices": len(jax.local_devices()),
        "models_per_hour": 3600 / each,
        "seconds_per_model": each,
        "seconds_of_all": float(seconds.sum()),
        "quartiles": np.percentile(later, [25, 75]) if len(later) else None,
        "seconds_now": time.perf_counter() - began,
        "compilation_seconds_now": clock.since(began),
        "peer_seconds_per_model": _peer(name, found, 1 if options.quick else 3),
    }
    peer = 3600 / result["peer_seconds_per_model"]
    print(
        f"{len(found.table)} models, {_rate(3600 / each)} per hour ({each:.2f} s each; compilation "
        f"{result['compilation_seconds_now']:.1f} s now); SciPy, one core: {_rate(peer)} per hour"
    )
    return result


def study(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The finding of one set, errors, pruning, scores."""
    from jaxllc.self_pruning import edge_scores, removable, removal_curves

    found = _study(name, options, SEEDS[name])
    table = found.separation
    result = {
        "models": len(found.table),
        "diverged": int((found.table["status"] != "done").sum()),
        "hours_of_models": float(found.table["seconds"].sum()) / 3600,
        "separation": table.to_dict("records"),
        "missed": _missed(table),
        "errors": _errors(found.table),
    }
    print(found.summary())
    print(f"finding: {result['missed'] or 'holds throughout'}")
    for at in (0.5, 1.0):
        removal = removal_curves(found, at=at)
        part = removable(removal).groupby("l2")["fraction"].median()
        result[f"removal_at_{at:g}"] = _removal(removal)
        result[f"removable_at_{at:g}"] = part.to_dict()
        print(
            f"edges that can go at {at:.0%} of the training before the error grows by 10 %: "
            + ", ".join(f"l2 {l2:g} {value:.1%}" for l2, value in part.items())
        )
    scored = edge_scores(found)
    result["auroc_of_scores"] = scored.auroc
    print(f"AUROC of the scores of edges: {scored.auroc:.3f}")
    return result


def _peer(name: str, found: Any, steps: int) -> float:
    """Seconds that the published algorithm takes for all steps of a model; nan for the synthetic set."""
    from training_loops import Published

    if name not in FILES:
        return float("nan")
    model = next(iter(found.models(found.groups[1])))
    snapshots = model.snapshots
    half = len(snapshots.epochs) // 2
    network = found.networks[snapshots.point["network"]]
    held_out = set(found.held_out[model.seed])
    kept = [one for one in found.conditions.names if one not in held_out]
    settings = dataclasses.replace(found.settings, **model.penalties)
    yardstick = Published(name, network, found.conditions.select(kept), settings)
    start = (snapshots.weights[half], snapshots.bias[half], snapshots.output_scale[half])
    step = yardstick.timed(start, int(snapshots.epochs[half]), steps)
    return step["ms"] / 1e3 * settings.epochs


def _errors(table: Any) -> list[dict[str, Any]]:
    columns = ["train_mse", "train_correlation", "held_out_mse", "held_out_correlation"]
    return table.groupby("l2")[columns].median().reset_index().to_dict("records")


def _missed(table: Any) -> str:
    """Where the finding does not hold; an empty text where it does throughout."""
    missed = []
    for row in table[table["l2"] >= 1e-5].to_dict("records"):
        if not row["spurious_below_median"] > 0.6:
            missed.append(
                f"l2 {row['l2']:g}: only {row['spurious_below_median']:.1%} below the median"
            )
        if not row["p"] < 1e-6:
            missed.append(f"l2 {row['l2']:g}: p is {row['p']:.1e}")
    if not (np.diff(table["spurious_below_median"]) > 0).all():
        missed.append("the part of spurious edges below the median does not grow with L2")
    if not (np.diff(table["ks"]) > 0).all():
        missed.append("the Kolmogorov-Smirnov statistic does not grow with L2")
    return "; ".join(missed)


def _removal(curves: Any) -> list[dict[str, Any]]:
    columns = ["mse", "held_out_mse", "correlation", "held_out_correlation", "spurious_removed"]
    medians = curves.groupby(["l2", "fraction"])[columns].median().reset_index()
    return medians.to_dict("records")


def _rate(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _print_whole(found: dict[str, Any]) -> None:
    """What the published study of all sets takes."""
    if any(name not in found for name in SETS):
        return
    hours = {name: WHOLE / len(SETS) / found[name]["models_per_hour"] for name in SETS}
    peers = [found[name]["peer_seconds_per_model"] for name in SETS]
    text = ", ".join(f"{name} {value:.2f}" for name, value in hours.items())
    print(f"\nall {WHOLE} models: {sum(hours.values()):.2f} hours ({text})")
    scipy = np.nansum(peers) * WHOLE / len(SETS) / 3600
    print(f"SciPy, one core, the {2 * WHOLE // len(SETS)} models of real data: {scipy:.0f} hours")


if __name__ == "__main__":
    main()
