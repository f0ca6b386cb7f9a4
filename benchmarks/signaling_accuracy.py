"""Held-out correlation of signaling models in the published validations.

    python benchmarks/signaling_accuracy.py --json benchmarks/results/signaling_accuracy.json
    python benchmarks/signaling_accuracy.py --sets macrophage --seeds 0 --quick

Macrophage: 20 folds of one condition. Ligand: 28 folds of three, 84 of 103 conditions held out once.
Synthetic: models of 400 simulated conditions predict 1000 others, with the preset many_conditions; its
ensemble is the half of the seeds whose models fit their training conditions best.
Scrambled: the macrophage and ligand validation with the measured activities dealt out anew over conditions
and TFs, as a control. (Dealt to other conditions only, they keep the mean of each TF, and these means alone
reach r = 0.24 and 0.4.) Beside each stands what the means of the TFs in the training conditions reach, and
the published parameters (Nilsson et al., Nature Communications 13, 2022, recomputed).

Models that are done stand in --records and are not trained again, so that it can be run in parts. Last
line: `held-out r: macrophage A ligand B synthetic C`, of the ensembles.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from common import comma_list, environment, integers, print_environment, write_json

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "lembas"
RECORDS = ROOT / "benchmarks" / "records"
PUBLISHED = {"macrophage": "0.590", "ligand": "0.797", "synthetic": "0.92-0.98"}
PRESET = {"synthetic": "many_conditions"}  # the default elsewhere
SEEDS = {"macrophage": range(10), "ligand": range(3), "synthetic": range(10)}
SINGLES = {"macrophage": 5}  # seeds whose mean is the figure of a single model
FILES = {"macrophage": "macrophage", "ligand": "ligandScreen"}
TRAINING_CONDITIONS, TEST_CONDITIONS = 400, 1000


def main() -> None:
    options = _options()
    record: dict[str, Any] = {"environment": environment(), "quick": options.quick, "sets": {}}
    print_environment(record["environment"])
    for name in comma_list(options.sets):
        result = _run(name, options)
        record["sets"][name] = result
        _print(name, result)
        if options.json:
            write_json(options.json, record)
    figures = [
        f"{name} {record['sets'][name]['ensemble']:.3f}" if name in record["sets"] else f"{name} -"
        for name in PUBLISHED
    ]
    print("held-out r: " + " ".join(figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="macrophage,ligand,synthetic,scrambled")
    parser.add_argument("--seeds", type=integers, help="seeds instead of those of each set")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the published tables")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of finished models")
    parser.add_argument(
        "--settings", default="{}", help="JSON of settings that replace those of the preset"
    )
    parser.add_argument("--together", type=int, help="models trained in one vmapped program")
    parser.add_argument("--quick", action="store_true", help="few folds and epochs, one seed")
    parser.add_argument("--json", metavar="FILE", help="where the record goes")
    return parser.parse_args()


def _settings(options: argparse.Namespace, name: str) -> Any:
    from jaxllc.signaling import preset

    settings = preset(PRESET.get(name, "default"))
    settings = dataclasses.replace(settings, **json.loads(options.settings))
    if options.quick:
        settings = dataclasses.replace(settings, epochs=min(300, settings.epochs))
    return settings


def _run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    options.records.mkdir(parents=True, exist_ok=True)
    if name == "synthetic":
        return _synthetic(options)
    if name == "scrambled":
        parts = {part: _validation(part, options, scrambled=True) for part in FILES}
        return {"ensemble": max(p["ensemble"] for p in parts.values()), "parts": parts}
    return _validation(name, options)


def _validation(name: str, options: argparse.Namespace, scrambled: bool = False) -> dict[str, Any]:
    from jaxllc.signaling import Conditions, PriorNetwork, cross_validate, published_folds

    stem = options.data / FILES[name]
    prior = PriorNetwork.read(f"{stem}-Model.tsv")
    conditions = Conditions.read(f"{stem}-Ligands.tsv", f"{stem}-TFs.tsv")
    folds = published_folds(conditions)
    if scrambled:
        conditions = conditions.matched(prior)
        dealt = np.random.default_rng(0).permutation(conditions.tf_activities.ravel())
        dealt = dealt.reshape(conditions.tf_activities.shape)
        conditions = dataclasses.replace(conditions, tf_activities=dealt, remarks=())
    seeds = options.seeds or ([0] if scrambled or options.quick else list(SEEDS[name]))
    if options.quick:
        folds = folds[:2]
    kind = "scrambled_" * scrambled + name + "_quick" * options.quick
    found = cross_validate(
        prior,
        conditions,
        folds,
        _settings(options, name),
        seeds=seeds,
        records=options.records / f"{kind}.jsonl",
        together=options.together,
        progress=lambda done, jobs, what: print(f"  {kind}: {done}/{jobs} {what}", flush=True),
    )
    return {
        "tf_means": _tf_means(conditions.matched(prior), folds),
        "folds": len(folds),
        "models": len(folds) * len(seeds),
        "by_seed": found.correlations.to_dict("records"),
        "ensemble": found.ensemble_correlation,
        "ensemble_per_condition_median": float(np.nanmedian(found.per_condition["correlation"])),
        "singles": SINGLES.get(name, len(seeds)),
        "settings": _settings(options, name).to_dict(),
        "notes": list(found.notes),
    }


def _tf_means(conditions: Any, folds: Any) -> float:
    """Held-out r of the mean activity of each TF in the training conditions."""
    from jaxllc.signaling.training.signaling_training import correlation

    predicted = np.full(conditions.tf_activities.shape, np.nan)
    for fold in folds:
        held_out = [conditions.position[name] for name in fold]
        predicted[held_out] = np.nanmean(np.delete(conditions.tf_activities, held_out, 0), axis=0)
    return correlation(predicted, conditions.tf_activities)


def _synthetic(options: argparse.Namespace) -> dict[str, Any]:
    """Models of simulated conditions predict others of the same ground truth, which one fold holds out."""
    from jaxllc.signaling import GroundTruth, PriorNetwork, cross_validate, simulate_conditions
    from jaxllc.signaling.training.signaling_training import correlation

    prior = PriorNetwork.read(options.data / "KEGGnet-Model.tsv")
    truth = GroundTruth.read(options.data / "synthNet-equationParams.txt", prior=prior)
    count, others = (60, 40) if options.quick else (TRAINING_CONDITIONS, TEST_CONDITIONS)
    conditions = simulate_conditions(truth, count + others, seed=0)
    seeds = options.seeds or ([0] if options.quick else list(SEEDS["synthetic"]))
    found = cross_validate(
        prior,
        conditions,
        (conditions.names[count:],),
        _settings(options, "synthetic"),
        seeds=seeds,
        records=options.records / f"synthetic{'_quick' * options.quick}.jsonl",
        together=1,
        progress=lambda done, jobs, what: print(f"  synthetic: {done}/{jobs} {what}", flush=True),
    )
    best = found.best_trained(max(1, len(seeds) // 2))
    ensemble = correlation(found.ensemble_of(best).to_numpy(), found.measured.to_numpy())
    return {
        "tf_means": _tf_means(conditions, (conditions.names[count:],)),
        "ensemble_of": list(best),
        "ensemble_of_all": found.ensemble_correlation,
        "training_conditions": count,
        "test_conditions": others,
        "models": len(seeds),
        "by_seed": found.correlations.to_dict("records"),
        "ensemble": ensemble,
        "singles": len(seeds),
        "settings": _settings(options, "synthetic").to_dict(),
        "notes": list(found.notes),
    }


def _print(name: str, result: dict[str, Any]) -> None:
    parts = result.get("parts", {name: result})
    for part, one in parts.items():
        label = name if part == name else f"{name} {part}"
        pooled = [row["pooled"] for row in one["by_seed"]]
        singles = pooled[: one["singles"]]
        median = np.mean([row["per_condition_median"] for row in one["by_seed"]])
        train = np.mean([row["train"] for row in one["by_seed"]])
        seconds = np.median([row["seconds"] for row in one["by_seed"]])
        beside = f"TF means {one['tf_means']:.3f}"
        if name != "scrambled":
            beside += f", published {PUBLISHED[part]}"
        print(
            f"{label}: single {np.mean(singles):.3f} (mean of {len(singles)} seeds, {min(singles):.3f} to "
            f"{max(singles):.3f}; {beside}), per condition {median:.3f}, train {train:.3f}; ensemble of "
            f"{len(pooled)} {one.get('ensemble_of_all', one['ensemble']):.3f}; {seconds:.0f} s a seed",
            flush=True,
        )
        if "ensemble_of" in one:
            print(
                f"  ensemble of the {len(one['ensemble_of'])} that fit their training conditions best: "
                f"{one['ensemble']:.3f}"
            )
        for note in one["notes"]:
            print(f"  {note}")


if __name__ == "__main__":
    main()
