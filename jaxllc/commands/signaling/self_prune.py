"""Add spurious edges to a prior network, train, and see which edges the models let go of.

A model is trained for each seed and penalty. The seed draws the spurious edges, the initial values, the
conditions held out and the noise. Edges of NETWORK that fade as spurious ones do look spurious themselves.

DIR receives models.csv, separation.csv, over_training.csv, removal.csv (errors without the weakest edges, at
half of the training and at its end), edges.csv (every edge of NETWORK, the most suspicious first), figures
of each, settings.json, and records.jsonl with snapshots/: the same command goes on from these, after an
interrupt too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxllc.commands.elapsed import seconds_line, with_total
from jaxllc.commands.exit_codes import INTERRUPTED
from jaxllc.commands.output import output_folder, print_json, write_settings
from jaxllc.commands.progress import say
from jaxllc.commands.signaling.problem import add_table_arguments, read_problem
from jaxllc.commands.signaling.results import (
    files_line,
    going_on_from,
    interrupted_line,
    write_figures,
)
from jaxllc.commands.signaling.settings_arguments import add_settings_arguments, seeds, settings_of
from jaxllc.commands.signaling.training_bar import ProgressBar
from jaxllc.errors import InputError
from jaxllc.files.output_file import output_file
from jaxllc.running import waiting
from jaxllc.running.waiting import StalledError
from jaxllc.self_pruning import study_figures as figures
from jaxllc.self_pruning.pruned_models import removal_curves, retrained_curves
from jaxllc.self_pruning.scorable import TooFewEdgesError, unscored_note
from jaxllc.self_pruning.score_figures import plot_scores
from jaxllc.self_pruning.scoring import EdgeScores, edge_scores
from jaxllc.self_pruning.study import (
    HELD_OUT,
    L2,
    RECORDS,
    SEEDS,
    TIMES,
    SelfPruningStudy,
    networks_of,
    self_pruning_study,
)
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.spurious_edges import KINDS, SIGNS
from jaxllc.signaling.settings import SignalingSettings
from jaxllc.sweeps.devices.cluster import add_cluster_option
from jaxllc.sweeps.grids import grid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_BASE = "self_pruning"
_SWEPT = ("l2", "l1")
_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jaxllc signaling self-prune`."""
    add_table_arguments(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--l2",
        type=float,
        nargs="+",
        default=list(L2),
        metavar="VALUE",
        help=f"penalties on the squares of the weights ({' '.join(f'{x:g}' for x in L2)})",
    )
    parser.add_argument(
        "--l1",
        type=float,
        nargs="+",
        metavar="VALUE",
        help="penalties on the absolute weights, each with every L2 (none)",
    )
    parser.add_argument(
        "--seeds",
        type=seeds,
        default=tuple(SEEDS),
        metavar="LIST",
        help=f"0,1,2 or 0:10 for 0 to 9 ({SEEDS.start}:{SEEDS.stop})",
    )
    parser.add_argument(
        "--spurious-edges", type=int, default=100, metavar="N", help="edges added (100)"
    )
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default=KINDS[0],
        help="which pairs of nodes they join: any, or as often as nodes have edges (uniform)",
    )
    parser.add_argument("--signs", choices=SIGNS, default=SIGNS[0], help="their signs (unknown)")
    parser.add_argument(
        "--seeds-per-network",
        type=int,
        default=1,
        metavar="N",
        help="seeds in a row that share their spurious edges (1); more make the scores of edges sharper",
    )
    parser.add_argument(
        "--held-out",
        type=float,
        default=HELD_OUT,
        metavar="PART",
        help=f"part of the conditions that each seed holds out ({HELD_OUT:g})",
    )
    parser.add_argument(
        "--times", type=int, default=TIMES, metavar="N", help=f"times of the snapshots ({TIMES})"
    )
    parser.add_argument(
        "--retrain",
        type=float,
        nargs="+",
        metavar="PART",
        help="also train every model anew without these parts of its edges, the weakest (none)",
    )
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="parts that a CPU is cut into, a model on each (its cores); accelerators are all used",
    )
    add_cluster_option(parser)
    parser.add_argument(
        "--fresh", action="store_true", help="start anew, whatever the records in DIR hold"
    )
    add_settings_arguments(parser, _BASE, _SWEPT)


def run(options: argparse.Namespace) -> int:
    """Read, train, analyse, write, report; 130 if interrupted."""
    try:
        return _run(options)
    except StalledError as error:
        # Nothing is computed here any more; what is trained is in the records.
        words = [word for word in options.words if word != "--fresh"]
        say(f"{error}; the rest runs in another process with one device")
        return subprocess.call([sys.executable, "-m", "jaxllc", *words, "--devices", "1"])


def _run(options: argparse.Namespace) -> int:
    settings = settings_of(options, _BASE, _SWEPT)
    for part in options.retrain or ():
        if not 0 <= part <= 1:
            raise InputError(f"--retrain holds {part:g}, but a part of the edges is from 0 to 1")
    if options.seed:
        raise InputError("--seed is given, but the study has many; give --seeds")
    if options.cluster is None:
        _cut_cpu(options.devices)
    elif options.devices is not None:
        raise InputError("give either --devices or --cluster, not both")
    with output_folder(options.out) as folder:
        prior, conditions = read_problem(options)
        records = folder / RECORDS
        _say_before(prior, conditions, options)
        try:
            # An analysis names the records too, where the weights of a model are lost.
            with going_on_from(records, options):
                with ProgressBar(options.quiet, "models") as progress:
                    study = self_pruning_study(
                        prior,
                        conditions,
                        options.l2,
                        options.seeds,
                        options.spurious_edges,
                        settings=settings,
                        l1=options.l1,
                        kind=options.kind,
                        signs=options.signs,
                        held_out=options.held_out,
                        seeds_per_network=options.seeds_per_network,
                        times=options.times,
                        folder=folder,
                        cluster=options.cluster,
                        progress=progress,
                    )
                if len(study.table):
                    told = write_settings(_told(options, settings), folder)
                if not study.finished:
                    say(_interrupted(study, records, options))
                    return INTERRUPTED
                if waiting.lost:
                    raise waiting.StalledError("the devices stood still")
                if study.count() == 0:
                    raise InputError(
                        f"none of {len(study.table)} models came to an end, the first: "
                        f"{study.table['note'].iloc[0]}"
                    )
                if not options.quiet:
                    say("looking at the edges")
                with ProgressBar(options.quiet, "pruned models") as progress:
                    tables, figures, scores = _results(study, options, progress)
        except ConnectionError as error:
            raise InputError(str(error)) from error
        files = [_write_table(folder / name, table) for name, table in tables.items()]
        files += [*write_figures(folder, figures), told, records]
    if options.json:
        print_json(_record(study, scores, conditions.notes, files))
    else:
        _print(study, scores)
        seconds = with_total({"training": study.seconds}, options.begun)
        print(f"\n{files_line(folder, files)}\n\n{seconds_line(seconds)}")
    return 0


def _told(options: argparse.Namespace, settings: SignalingSettings) -> dict[str, Any]:
    """What the study can be repeated from."""
    names = (
        "l2",
        "l1",
        "spurious_edges",
        "kind",
        "signs",
        "held_out",
        "seeds_per_network",
        "times",
    )
    study = {name: getattr(options, name) for name in (*names, "retrain")}
    return {"seeds": options.seeds, **settings.to_dict(), "study": study}


def _cut_cpu(devices: int | None) -> None:
    """A device for each core: a CPU trains models fastest one beside the other."""
    import jax

    if devices is not None and devices < 1:
        raise InputError(f"--devices is {devices}, but at least 1 is needed")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        jax.config.update("jax_num_cpu_devices", devices or cores or 1)
    except RuntimeError as error:
        # JAX has begun before this command, so its devices are what they are.
        if devices is not None and len(jax.local_devices()) != devices:
            raise InputError(
                f"--devices is {devices}, but JAX runs on {len(jax.local_devices())} already; start a "
                "process of its own"
            ) from error


def _say_before(prior: PriorNetwork, conditions: Conditions, options: argparse.Namespace) -> None:
    """What is known of the results before anything is trained."""
    kinds = options.seeds_per_network, options.kind, options.signs
    if options.spurious_edges > 0 and options.seeds_per_network > 0:
        try:
            grid(l2=options.l2, l1=options.l1 or [0.0])  # one that stands twice is refused
            networks = networks_of(prior, options.spurious_edges, options.seeds, *kinds)
        except InputError:
            return  # the study says it, after what is wrong without a look at the network
        note = unscored_note(prior, conditions, networks)
        if note and not options.quiet:
            say(note)


def _interrupted(study: SelfPruningStudy, records: Path, options: argparse.Namespace) -> str:
    if study.table.empty:
        return "interrupted before the first model was finished; the same command begins anew"
    return interrupted_line(records, options)


def _results(
    study: SelfPruningStudy, options: argparse.Namespace, progress: ProgressBar
) -> tuple[dict[str, pd.DataFrame], Mapping[str, Callable[[], Figure]], EdgeScores | None]:
    import pandas as pd

    retrained = None
    if options.retrain:
        cluster = options.cluster
        retrained = retrained_curves(study, options.retrain, cluster=cluster, progress=progress)
    half, end = (removal_curves(study, at=at, progress=progress) for at in (0.5, 1.0))
    tables = {
        "models.csv": study.table,
        "separation.csv": study.separation,
        "over_training.csv": study.over_training,
        "removal.csv": pd.concat([half, end], ignore_index=True),
    }
    if retrained is not None:
        tables["retrained.csv"] = retrained
    drawn: dict[str, Callable[[], Figure]] = {
        "errors.png": partial(figures.plot_errors, study),
        "shares.png": partial(figures.plot_shares, study),
        "distributions.png": partial(figures.plot_distributions, study),
        "removal.png": partial(figures.plot_removal, end, retrained),
        "removal_at_half.png": partial(figures.plot_removal, half),
    }
    scores = None
    if any(spurious.any() for spurious in study.spurious.values()):
        try:
            scores = edge_scores(study)
        except TooFewEdgesError as error:
            # Said before the training, if it was known; models that diverged may have brought it about.
            say(str(error))
        else:
            tables["edges.csv"] = scores.table
            drawn["scores.png"] = partial(plot_scores, scores)
    return tables, drawn, scores


def _write_table(path: Path, table: pd.DataFrame) -> Path:
    with output_file(path) as temporary:
        table.to_csv(temporary, index=False)
    return path


def _record(
    study: SelfPruningStudy, scores: EdgeScores | None, notes: tuple[str, ...], files: list[Path]
) -> dict[str, Any]:
    return {
        "models": len(study.table),
        "diverged": int((study.table["status"] == "diverged").sum()),
        "failed": int((study.table["status"] == "failed").sum()),
        "separation": study.separation.to_dict("records"),
        "auroc_of_scores": None if scores is None else scores.auroc,
        "suspicious": [] if scores is None else scores.table.head(_SHOWN).to_dict("records"),
        "seconds": study.seconds,
        "notes": once(*notes, *study.notes),
        "files": files,
    }


def _print(study: SelfPruningStudy, scores: EdgeScores | None) -> None:
    print(study.summary())
    if scores is not None:
        print(f"\n{scores.summary(_SHOWN)}")
