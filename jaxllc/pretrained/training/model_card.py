"""The model card of trained weights: what they are, how they were trained, what they were measured to do.

    python -m jaxllc.pretrained.training.model_card RUN --machine "one core" --recall FILE --out MODEL_CARD.md

RUN is the folder of a training; FILE is what `python -m jaxllc.pretrained.training.recall --json` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxllc.errors import InputError
from jaxllc.files.output_file import output_file
from jaxllc.pretrained.model import ModelSettings, num_parameters
from jaxllc.pretrained.skeletons.alphabet import FACTORS, GROUPS, KINDS, LENGTH
from jaxllc.pretrained.skeletons.canonical_form import MOST_CONSTANTS
from jaxllc.pretrained.tensors import read_tensors
from jaxllc.pretrained.training.recall import TOP
from jaxllc.pretrained.training.train import LOG, WEIGHTS
from jaxllc.pretrained.weights import load_model

_ROWS = 16  # of the table of the curve, at most
# The columns of the curve: in the log, and what the card calls them.
_CURVE = {
    "step": "steps",
    "samples": "sets seen",
    "seconds": "minutes",
    "loss": "loss while training",
    "loss_seen": "loss, seen",
    "loss_held_out": "loss, held out",
    "top20_seen": "recall, seen",
    "top20_held_out": "recall, held out",
}
_MEASURED = {
    "split": "skeletons",
    "sets": "sets",
    "written": f"among the first {TOP} written",
    "fitted": f"among the best {TOP} fitted",
    "seconds_to_write": "s to write",
    "seconds_to_fit": "s to fit",
}


def model_card(
    run: Path, machine: str, recall: Sequence[dict[str, Any]] = (), weights: Path | None = None
) -> str:
    """The card as Markdown.

    run: folder of the training; machine: where it was trained, in plain words; recall: what
    `jaxllc.pretrained.training.recall` measured; weights: those of the folder by default.
    Raises InputError for files that are missing or of another kind.
    """
    weights = weights or run / WEIGHTS
    model, about = load_model(weights)
    metadata = read_tensors(weights)[1]
    lines = _log_of(run / LOG)
    parts = [
        "# Model card: the pre-trained proposer of jaxllc",
        "Read from the weights and from the log of their training by `python -m "
        "jaxllc.pretrained.training.model_card`.",
        _what_it_is(model.settings),
        "## Sizes",
        _bullets(_sizes(model, weights, metadata)),
        "## Corpus",
        _corpus(about["corpus"]),
        "## Training",
        _bullets(_training(about, machine)),
        f"Loss is in nats a string. Recall is the share of sets whose own string is among the {TOP} "
        "likeliest that beam search writes, before constants are fitted; the sets were not trained on.",
        _table(list(_CURVE.values()), [_curve_row(line) for line in _thinned(lines)]),
    ]
    if recall:
        parts += ["## Measured", _recall_text(recall)]
    return "\n\n".join(parts) + "\n"


def _what_it_is(settings: ModelSettings) -> str:
    return (
        "A small network that reads samples of one term of a law, y at points x, and writes "
        "skeletons: expressions whose constants are left open. jaxllc fits the constants and lets its "
        "judge compare what comes of it with all other proposals; nothing that the network writes is "
        f"taken as it is. A skeleton is a polynomial and up to {GROUPS} groups, each a polynomial "
        f"times at most {FACTORS} functions out of {', '.join(KINDS[:-1])} and {KINDS[-1]}, with "
        f"{MOST_CONSTANTS} constants and {settings.num_variables} inputs at most and strings of up to "
        f"{LENGTH} symbols. Of more inputs the engine chooses those that explain the values best. What "
        "cannot be written so is not found by it.\n\nIt was trained on random formulas alone: no data "
        "of anyone are in it. The weights are numbers in the safetensors format, and reading them "
        "runs no code."
    )


def _sizes(model, weights: Path, metadata: dict[str, str]) -> dict[str, Any]:
    settings = model.settings
    return {
        "parameters": f"{num_parameters(model):,}",
        "file": f"{weights.stat().st_size / 1e6:.1f} MB, half precision",
        "reads": f"closed-form descriptors, {settings.blocks} residual blocks {settings.width} wide",
        "writes": f"{settings.decoder} decoder, {settings.layers} layers {settings.decoder_width} wide",
        "version": metadata["version"],
        "sha256 of names and numbers": f"`{metadata['sha256']}`",
    }


def _corpus(corpus: dict[str, Any]) -> str:
    low, high = corpus["error"]
    return (
        "Expressions drawn while training by `jaxllc.pretrained.training.corpus`, a batch being a function "
        "of the seed and its number: sums of products, ratios, Hill terms, sigmoids, exponentials, "
        "logarithms, sines of linear combinations, hinges, powers and polynomials, in inputs from "
        "boxes, narrow shifted clouds and correlated clouds. A set of skeletons that is closed under "
        "renaming of the variables is held out: none of it is ever trained on.\n\n"
        + _bullets(
            {
                "inputs": f"up to {corpus['num_variables']}; one that has no part is among them in "
                f"{corpus['distractors']:.0%} of the cases",
                "points of a set": ", ".join(map(str, sorted(set(corpus["points"])))),
                "errors": f"none in {corpus['exact']:.0%} of the sets; else white or smooth, {low:g} "
                f"to {high:g} of the spread of the values",
            }
        )
    )


def _training(about: dict[str, Any], machine: str) -> dict[str, Any]:
    training = about["training"]
    found = {
        "machine": machine,
        "time": f"{about['seconds'] / 60:.0f} minutes of steps",
        "steps": f"{about['steps']:,} of {training['batch']} sets, "
        f"{about['steps'] * training['batch']:,} in all",
        "method": f"AdamW, rate {training['rate']:g} with warm-up and cosine, decay {training['decay']:g}; "
        f"weights averaged over steps ({training['average']:g}); seed {training['seed']}",
    }
    before, name = about.get("begun_from"), "begun from"
    while before:
        trained = f", trained for {before['steps']:,} steps" if before["steps"] else ""
        if before["seconds"]:
            trained += f" and {before['seconds'] / 60:.0f} minutes"
        found[name] = f"weights of the hash `{before['sha256']}`{trained}"
        before, name = before["begun_from"], f"{name}, which were begun from"
    return found


def _curve_row(line: dict[str, Any]) -> list[str]:
    row = []
    for name in _CURVE:
        value = line.get(name)
        if value is None:
            row.append("")
        elif name == "seconds":
            row.append(f"{value / 60:.1f}")
        else:
            row.append(f"{value:,}" if isinstance(value, int) else f"{value:.3f}")
    return row


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last line and others at even distances before it."""
    step = -(-len(lines) // _ROWS)
    return lines[::-1][::step][::-1]


def _recall_text(recall: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            f"{v:.3f}" if isinstance(v, float) else str(v)
            for v in (found[name] for name in _MEASURED)
        ]
        for found in recall
    ]
    numbers = sorted({int(n) for found in recall for n in found["by_constants"]})
    counts = []
    for found in recall:
        given = {int(n): share for n, share in found["by_constants"].items()}
        shown = [f"{given[n][0]:.2f} of {given[n][1]}" if n in given else "" for n in numbers]
        counts.append([found["split"], *shown])
    return (
        "The share of new sets whose own skeleton was found, `python -m jaxllc.pretrained.training.recall`; "
        "seconds are for a set.\n\n"
        + _table(list(_MEASURED.values()), rows)
        + f"\n\nThe share among the best {TOP} fitted, by the number of constants:\n\n"
        + _table(["skeletons", *map(str, numbers)], counts)
    )


def _bullets(entries: dict[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in entries.items())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _log_of(path: Path) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give the folder of a training"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path} is no log of a training ({error}); give the folder of one"
        ) from error
    if not lines or not all(isinstance(line, dict) and "step" in line for line in lines):
        raise InputError(f"{path} is no log of a training; give the folder of one")
    return lines


def _recall_of(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text())
        if not all({*_MEASURED, "by_constants"} <= set(one) for one in found):
            raise ValueError("figures are missing")
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} has no figures of recall ({reason}); give what "
            "python -m jaxllc.pretrained.training.recall --json wrote"
        ) from error
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxllc.pretrained.training.model_card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the training")
    parser.add_argument("--machine", required=True, help="where it was trained, in plain words")
    parser.add_argument("--recall", type=Path, metavar="FILE", help="of the recall command")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="those of RUN by default")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    given = parser.parse_args(arguments)
    try:
        recall = _recall_of(given.recall) if given.recall else []
        card = model_card(given.run, given.machine, recall, given.weights)
        with output_file(given.out) as temporary:
            temporary.write_text(card)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
