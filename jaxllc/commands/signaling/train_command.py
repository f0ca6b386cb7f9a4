"""Train a model of signaling on a prior network, ligand levels and TF activities.

NETWORK: source,target,stimulation,inhibition (0 and 0: unknown sign), or other usual columns, or SIF.
LIGANDS, TFS: a row for each condition and a column for each node; an empty TF cell was not measured.

DIR receives model.npz, settings.json, history.csv, predictions.csv, fit.png, conditions.png,
training.png, and checkpoint.npz: the same command goes on from it, after an interrupt too, which leaves
the model so far without predictions and figures.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxllc.commands.elapsed import seconds_line, with_total
from jaxllc.commands.exit_codes import DIVERGED, INTERRUPTED, OK
from jaxllc.commands.output import output_folder, print_json
from jaxllc.commands.progress import say
from jaxllc.commands.signaling.problem import add_table_arguments, read_problem
from jaxllc.commands.signaling.results import (
    files_line,
    going_on_from,
    interrupted_line,
    write_figures,
)
from jaxllc.commands.signaling.settings_arguments import (
    add_settings_arguments,
    seeds_of,
    settings_of,
)
from jaxllc.commands.signaling.training_bar import ProgressBar
from jaxllc.errors import InputError, listed
from jaxllc.signaling import signaling_figures as figures
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.training.signaling_training import SignalingFit, correlation, train

CHECKPOINT = "checkpoint.npz"
FIGURES = ("fit.png", "conditions.png", "training.png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jaxllc signaling train`."""
    add_table_arguments(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--held-out",
        nargs="+",
        default=[],
        metavar="NAME",
        help="conditions that the model is not fitted to, but compared with",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="start anew, whatever the checkpoint in DIR holds"
    )
    add_settings_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Read, train, write, report; 3 if the training diverged, 130 if interrupted, with what there was."""
    settings, (seed, *others) = settings_of(options), seeds_of(options)
    if others:
        raise InputError(f"{options.settings} has several seeds; give one with --seed")
    with output_folder(options.out) as folder:
        prior, conditions = read_problem(options)
        held_out = _held_out(conditions, options.held_out)
        checkpoint = folder / CHECKPOINT
        with going_on_from(checkpoint, options), ProgressBar(options.quiet) as progress:
            fit = train(
                prior,
                conditions,
                settings,
                seed,
                held_out=held_out,
                checkpoint=checkpoint,
                progress=progress,
            )
        if not fit.finished:
            if fit.history.empty:
                raise KeyboardInterrupt  # nothing was trained that could be written
            return _interrupted(fit, folder, options)
        try:
            record = _record(fit, conditions, held_out)
            files = [*fit.save(folder), *_write_figures(fit, conditions, held_out, folder)]
        except KeyboardInterrupt:
            say(interrupted_line(checkpoint, options))
            return INTERRUPTED
        record["files"] = files
    if options.json:
        print_json(record)
    else:
        _print(record, prior.describe(), conditions)
        seconds = with_total({"training": record["seconds"]}, options.begun)
        print(f"\n{files_line(folder, record['files'])}\n\n{seconds_line(seconds)}")
    # What the data say has been said.
    for remark in [fit.failure] if options.quiet else _of_training(fit):
        if remark:
            say(remark)
    return DIVERGED if fit.failure else OK


def _interrupted(fit: SignalingFit, folder: Path, options: argparse.Namespace) -> int:
    """Write at once what there is; what has to be computed and drawn would keep the user waiting."""
    for name in ("predictions.csv", *FIGURES):  # of a model that was here before
        (folder / name).unlink(missing_ok=True)
    files = fit.save(folder, predictions=False)
    if options.json:
        print_json(
            {"finished": False, "epochs": len(fit.history), "seed": fit.seed, "files": files}
        )
    checkpoint = folder / CHECKPOINT
    again = f"from {checkpoint}" if checkpoint.exists() else "from the start"
    say(
        f"interrupted after {len(fit.history)} of {fit.settings.epochs} epochs: {folder} holds the model so "
        f"far, without predictions and figures; the same command goes on {again} to the whole training"
    )
    return INTERRUPTED


def _of_training(fit: SignalingFit) -> list[str]:
    """The notes that are not on the network and the conditions."""
    return [note for note in fit.notes if note not in fit.model.notes]


def _held_out(conditions: Conditions, names: list[str]) -> Conditions | None:
    if not names:
        return None
    unknown = [name for name in names if name not in conditions.position]
    if unknown:
        raise InputError(
            f"--held-out names {listed(unknown, conditions.names)}, which is not a condition; the "
            f"conditions are {', '.join(conditions.names)}"
        )
    if set(names) == set(conditions.names):
        raise InputError("--held-out names every condition, so that none is left to train on")
    return conditions.select([name for name in conditions.names if name in names])


def _record(
    fit: SignalingFit, conditions: Conditions, held_out: Conditions | None
) -> dict[str, Any]:
    """What there is to say about a trained model, as plain data."""
    prediction = fit.predict(conditions)
    converged = np.asarray(prediction.converged)
    stalled = [name for name, well in zip(conditions.names, converged, strict=True) if not well]
    prior, radius = fit.model.prior, fit.spectral_radius
    if held_out is not None:
        radius = max(radius, float(fit.model.spectral_radius(held_out).max()))
    record = {
        "conditions": fit.conditions.num_conditions,
        "nodes": prior.num_nodes,
        "edges": prior.num_edges,
        "train_correlation": fit.train_correlation,
        "spectral_radius": radius,
        "sign_violations": fit.sign_violations,
        "edges_of_known_sign": int(prior.sign_known.sum()),
        "converged": int(converged.sum()),
        "not_converged": stalled,
        "epochs": len(fit.history) and int(fit.history["epoch"].iloc[-1]),
        "finished": fit.finished,
        "best_epoch": fit.best_epoch,
        "diverged": bool(fit.failure),
        "seed": fit.seed,
        "seconds": fit.seconds,
        "settings": fit.settings.to_dict(),
        "notes": once(*prior.notes, *conditions.notes, *_of_training(fit)),
    }
    if held_out is not None:
        predicted = prediction.tfs.loc[list(held_out.names)].to_numpy()
        record["held_out"] = {
            "conditions": list(held_out.names),
            "correlation": correlation(predicted, held_out.tf_activities),
        }
    return record


def _write_figures(
    fit: SignalingFit, conditions: Conditions, held_out: Conditions | None, folder: Path
) -> list[Path]:
    measured = conditions.to_frames()[1]
    predicted = fit.predict(conditions).tfs
    names = () if held_out is None else held_out.names
    drawn = {
        "fit.png": partial(figures.plot_fit, measured, predicted, names),
        "conditions.png": partial(figures.plot_conditions, measured, predicted, names),
    }
    if len(fit.history):
        drawn["training.png"] = partial(figures.plot_training, fit.history)
    return write_figures(folder, drawn)


def _print(record: dict[str, Any], network: str, conditions: Conditions) -> None:
    print(f"{conditions.describe()}\n{network}\n")
    print(f"train r            {record['train_correlation']:.4f}")
    if "held_out" in record:
        names = record["held_out"]["conditions"]
        print(f"held-out r         {record['held_out']['correlation']:.4f}   ({', '.join(names)})")
    print(f"spectral radius    {record['spectral_radius']:.4f}   (the largest of the conditions)")
    print(
        f"sign violations    {record['sign_violations']} of {record['edges_of_known_sign']} edges "
        "of known sign"
    )
    stalled = record["not_converged"]
    which = f"   (not: {', '.join(stalled)})" if stalled else ""
    print(
        f"converged          {record['converged']} of {conditions.num_conditions} conditions{which}"
    )
