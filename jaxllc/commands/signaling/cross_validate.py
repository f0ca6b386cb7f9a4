"""How well a model of signaling predicts conditions that it was not trained on.

The folds are those of the published validation (see --folds, --fold-size), and a condition is held out
only where another one has its ligands too. With several seeds, their mean is the ensemble.

DIR receives held_out.csv, correlations.csv, held_out.png, conditions.png, settings.json, and
records.jsonl: the same command goes on from it, after an interrupt too.
"""

from __future__ import annotations

import argparse
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
from jaxllc.commands.signaling.settings_arguments import (
    add_settings_arguments,
    seeds,
    seeds_of,
    settings_of,
)
from jaxllc.commands.signaling.training_bar import ProgressBar
from jaxllc.errors import InputError
from jaxllc.files.output_file import output_file
from jaxllc.signaling import signaling_figures as figures
from jaxllc.signaling.data.condition_notes import once
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.data.folds import Folds, leave_out_folds, published_folds, read_folds
from jaxllc.signaling.training.cross_validation import CrossValidation, cross_validate

if TYPE_CHECKING:
    import pandas as pd

RECORDS = "records.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jaxllc signaling cross-validate`."""
    add_table_arguments(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--folds", metavar="FILE.csv", help="folds: the columns fold,condition")
    parser.add_argument(
        "--fold-size", type=int, metavar="N", help="conditions held out together (1)"
    )
    parser.add_argument(
        "--keep", nargs="+", default=[], metavar="NAME", help="conditions that are never held out"
    )
    parser.add_argument(
        "--seeds",
        type=seeds,
        metavar="LIST",
        help="seeds of the ensemble: 0,1,2 or 0:10 for 0 to 9 (--seed alone)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="start anew, whatever the records in DIR hold"
    )
    add_settings_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Read, train a model for each fold and seed, write, report; 130 if interrupted."""
    settings = settings_of(options)
    if options.seeds is not None and options.seed:
        raise InputError("give either --seed or --seeds, not both")
    chosen = seeds_of(options)
    with output_folder(options.out) as folder:
        prior, conditions = read_problem(options)
        folds = _folds(options, conditions)
        records = folder / RECORDS
        try:
            with going_on_from(records, options), ProgressBar(options.quiet, "models") as progress:
                found = cross_validate(
                    prior,
                    conditions,
                    folds,
                    settings,
                    seeds=chosen,
                    records=records,
                    progress=progress,
                )
        except KeyboardInterrupt:
            if records.exists():
                say(interrupted_line(records, options))
                return INTERRUPTED
            raise
        told = {"seeds": chosen, **settings.to_dict(), "study": {"folds": found.folds}}
        files = [*_write(found, folder), write_settings(told, folder), records]
    if not options.quiet:
        for note in found.notes:
            if note not in (*prior.notes, *conditions.notes):  # those have been said
                say(note)
    if options.json:
        print_json(
            {
                **_record(found),
                "notes": once(*prior.notes, *conditions.notes, *found.notes),
                "files": files,
            }
        )
    else:
        _print(found, conditions)
        seconds = with_total({"training": found.seconds}, options.begun)
        print(f"\n{files_line(folder, files)}\n\n{seconds_line(seconds)}")
    return 0


def _folds(options: argparse.Namespace, conditions: Conditions) -> Folds:
    if options.folds is not None:
        if options.fold_size is not None or options.keep:
            raise InputError("give either --folds or --fold-size and --keep, not both")
        return read_folds(options.folds, conditions)
    if options.fold_size is None and not options.keep:
        return published_folds(conditions)
    size = 1 if options.fold_size is None else options.fold_size
    if size < 1:
        raise InputError(f"--fold-size is {size}, but at least 1 condition is held out")
    return leave_out_folds(conditions, size=size, keep=options.keep)


def held_out_table(found: CrossValidation) -> pd.DataFrame:
    """A row for each held-out condition and TF: measured, predicted by each seed, and the ensemble."""
    import pandas as pd

    num_conditions, num_tfs = found.measured.shape
    columns = {
        "condition": [name for name in found.measured.index for _ in range(num_tfs)],
        "tf": [*found.measured.columns] * num_conditions,
        "measured": found.measured.to_numpy().ravel(),
    }
    for seed in found.seeds:
        columns[f"seed_{seed}"] = found.predicted[seed].to_numpy().ravel()
    return pd.DataFrame({**columns, "ensemble": found.ensemble.to_numpy().ravel()})


def _write(found: CrossValidation, folder: Path) -> list[Path]:
    files = [folder / "held_out.csv", folder / "correlations.csv"]
    for path, frame in zip(files, (held_out_table(found), found.correlations), strict=True):
        with output_file(path) as temporary:
            frame.to_csv(temporary, index=False)
    drawn = {
        "held_out.png": partial(figures.plot_fit, found.measured, found.ensemble),
        "conditions.png": partial(figures.plot_conditions, found.measured, found.ensemble),
    }
    return files + write_figures(folder, drawn)


def _record(found: CrossValidation) -> dict[str, Any]:
    return {
        "folds": found.folds,
        "seeds": found.seeds,
        "correlations": found.correlations.to_dict("records"),
        "ensemble_correlation": found.ensemble_correlation,
        "per_condition": found.per_condition.to_dict("records"),
        "per_condition_median": float(found.per_condition["correlation"].median()),
        "seconds": found.seconds,
    }


def _print(found: CrossValidation, conditions: Conditions) -> None:
    held_out = sum(len(fold) for fold in found.folds)
    print(
        f"{held_out} of {conditions.num_conditions} conditions held out in {len(found.folds)} folds\n"
        f"\n{'':<12}{'held-out r':>12}{'median of conditions':>24}{'train r':>10}"
    )
    for row in found.correlations.itertuples(index=False):
        print(
            f"{f'seed {row.seed}':<12}{row.pooled:>12.4f}{row.per_condition_median:>24.4f}"
            f"{row.train:>10.4f}"
        )
    if len(found.seeds) > 1:
        median = float(found.per_condition["correlation"].median())
        print(f"{'ensemble':<12}{found.ensemble_correlation:>12.4f}{median:>24.4f}")
