"""Two checks of the self-pruning study, which `self_pruning.py` prints: precision, and scores of edges."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from common import comma_list

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "lembas"
FILES = {"macrophage": "macrophage", "ligand": "ligandScreen"}
PRESET = {"macrophage": "self_pruning", "ligand": "self_pruning_ligand"}
CONDITIONS = 100  # of the synthetic set
SCORED_CONDITIONS = (100, 400)
FALSE_EDGES, LOST_EDGES, SCORED_SEEDS, SCORED_PER_NETWORK = 100, 50, 10, 5
SCORED_L2 = (1e-5, 1e-4)
ACCURACY_SEEDS, ACCURACY_SETS, CHANGE = 5, ("macrophage", "synthetic"), 1e-7


def problem(
    name: str, options: argparse.Namespace, count: int = CONDITIONS
) -> tuple[Any, Any, Any]:
    """Prior network, conditions and settings of a set."""
    from jaxllc.signaling import (
        Conditions,
        GroundTruth,
        PriorNetwork,
        SignalingSettings,
        preset,
        simulate_conditions,
    )

    if name == "synthetic":
        prior = PriorNetwork.read(options.data / "KEGGnet-Model.tsv")
        truth = GroundTruth.read(options.data / "synthNet-equationParams.txt", prior)
        conditions = simulate_conditions(truth, count)
    else:
        stem = options.data / FILES[name]
        prior = PriorNetwork.read(f"{stem}-Model.tsv")
        conditions = Conditions.read(f"{stem}-Ligands.tsv", f"{stem}-TFs.tsv")
    settings = preset(PRESET.get(name, "self_pruning_synthetic"))
    if options.settings:
        pairs = (pair.partition("=") for pair in comma_list(options.settings))
        other = {field: json.loads(value) for field, _, value in pairs}
        settings = SignalingSettings.from_dict({**settings.to_dict(), **other}, "--settings")
    if options.quick:
        settings = dataclasses.replace(settings, epochs=300)
    return prior, conditions, settings


def records_of(what: str, options: argparse.Namespace) -> Path:
    """The folder of finished models, one for each choice of settings."""
    parts = [what, *comma_list(options.settings), *(["quick"] if options.quick else [])]
    return options.records / "_".join(parts)


def said() -> Any:
    """A report of progress that prints a line in ten seconds at most."""
    last = [0.0]

    def say(done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if now - last[0] > 10:
            last[0] = now
            print(f"  {done}/{total} {what}", flush=True)

    return say


# What float32 costs


def accuracy(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Errors of models in float32, of single runs in float64, and of these with other last digits."""
    from jaxllc.signaling import self_pruning_study

    prior, conditions, settings = problem(name, options)
    found = self_pruning_study(
        prior,
        conditions,
        seeds=range(2 if options.quick else ACCURACY_SEEDS),
        settings=settings,
        times=2,
        folder=records_of(f"accuracy_{name}", options),
        progress=said(),
    )
    table = found.table
    jobs = [
        (name, options, row.l2, row.seed, found.held_out[row.seed], change)
        for row in table.itertuples()
        for change in (0.0, CHANGE)
    ]
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        single = list(pool.map(_double, *zip(*jobs, strict=True)))
    result: dict[str, Any] = {"models": table[["l2", "seed"]].to_dict("list")}
    for column in ("train_mse", "held_out_mse"):
        ours = table[column].to_numpy()
        double, changed = (np.array([one[column] for one in single[k::2]]) for k in (0, 1))
        figures = {"float32": ours, "float64": double, "float64_changed": changed}
        for kind, values in (("", ours), ("_of_digits", changed)):
            figures[f"mean_change{kind}"] = float(values.mean() / double.mean() - 1)
            each = np.abs(values / double - 1)
            figures[f"median_difference{kind}"] = float(np.median(each))
            figures[f"median_change{kind}"] = float(np.median(values / double - 1))
            figures[f"within_2_percent{kind}"] = float(np.mean(each < 0.02))
        result[column] = figures
        print(
            f"  {column} of {len(ours)} models beside single runs in float64: change of the mean, median"
        )
        print("  change of a model, median of its size")
        for kind, what in (
            ("", "float32"),
            ("_of_digits", f"float64, weights changed by {CHANGE:g}"),
        ):
            parts = ("mean_change", "median_change", "median_difference")
            text = ", ".join(f"{figures[name + kind]:+.2%}" for name in parts)
            print(f"    {what:<36} {text}", flush=True)
    return result


def _double(
    name: str,
    options: argparse.Namespace,
    l2: float,
    seed: int,
    held_out: tuple[str, ...],
    change: float,
) -> dict[str, float]:
    """Errors of a single run in float64, whose initial weights were changed by such a part of them."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxllc.signaling import add_spurious_edges, train
    from jaxllc.signaling.training import signaling_training as training

    initial_state = training.initial_state

    def changed(*arguments: Any) -> Any:
        state = initial_state(*arguments)
        weights = state.parameters.weights
        noise = np.random.default_rng(seed).standard_normal(weights.shape)
        parameters = state.parameters._replace(weights=weights * (1 + change * noise))
        return state._replace(parameters=parameters)

    training.initial_state = changed
    try:
        prior, conditions, settings = problem(name, options)
        conditions = conditions.matched(prior)
        out = conditions.select(list(held_out))
        network = add_spurious_edges(prior, 100, seed)
        own = dataclasses.replace(settings, l2=l2)
        fit = train(network, conditions, own, seed, held_out=out)
    finally:
        training.initial_state = initial_state
    return {
        "train_mse": _mse(fit.fitted.tfs.to_numpy(), fit.conditions.tf_activities),
        "held_out_mse": _mse(fit.predict(out).tfs.to_numpy(), out.tf_activities),
    }


def _mse(predicted: np.ndarray, measured: np.ndarray) -> float:
    return float(np.nanmean(np.square(predicted - measured)))


# Edges that do not belong, and are not known to


def scores(count: str, options: argparse.Namespace) -> dict[str, Any]:
    """Can scores find false edges in a network that lacks true ones? From so many conditions."""
    from jaxllc.self_pruning.scoring import edge_scores
    from jaxllc.self_pruning.separation import auroc
    from jaxllc.signaling import add_spurious_edges, is_spurious, self_pruning_study

    true, conditions, settings = problem("synthetic", options, int(count))
    result = {}
    for kind in ("uniform", "degree_preserving"):
        lost = np.random.default_rng(7).choice(true.num_edges, LOST_EDGES, replace=False)
        prior = add_spurious_edges(true.without_edges(lost), FALSE_EDGES, 12345, kind, "like_prior")
        found = self_pruning_study(
            prior,
            conditions,
            SCORED_L2,
            seeds=range(4 if options.quick else SCORED_SEEDS),
            settings=settings,
            kind=kind,
            signs="like_prior",
            seeds_per_network=2 if options.quick else SCORED_PER_NETWORK,
            folder=records_of(f"scores_{count}_{kind}", options),
            progress=said(),
        )
        scored = edge_scores(found)
        pairs = set(zip(*_names(true), strict=True))
        table = scored.table.dropna(subset="score")
        false = np.array(
            [pair not in pairs for pair in zip(table["source"], table["target"], strict=True)]
        )
        values = table["score"].to_numpy()
        result[kind] = {
            "edges": len(table),
            "false": int(false.sum()),
            "of": int(is_spurious(prior, true).sum()),
            "auroc": auroc(-values, false),
            "precision_at_50": float(false[:50].mean()),
            "auroc_of_added": scored.auroc,
            "calibration": _posterior(values, false),
        }
        print(
            f"  {kind}: {false.sum()} false of {len(table)} edges on a path; AUROC "
            f"{result[kind]['auroc']:.3f}, precision at 50 {result[kind]['precision_at_50']:.2f} (chance "
            f"{false.mean():.2f}); AUROC of added edges {scored.auroc:.3f}",
            flush=True,
        )
    return result


def _names(network: Any) -> tuple[list[str], list[str]]:
    names = network.names
    return [names[n] for n in network.senders], [names[n] for n in network.receivers]


def _posterior(scores: np.ndarray, false: np.ndarray) -> list[dict[str, float]]:
    """With the true part of false edges in the place of a half: predicted and true parts in five bins."""
    part = false.mean()
    values = scores * part / (scores * part + (1 - scores) * (1 - part))
    return [
        {"predicted": float(values[rows].mean()), "true": float(false[rows].mean())}
        for rows in np.array_split(np.arange(len(values)), 5)
    ]
