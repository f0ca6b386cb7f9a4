"""Training of the model that proposes skeletons, on a corpus made while training.

    python -m jaxllc.pretrained.training.train --minutes 150 --out FOLDER [--resume] [--decoder transformer]
    python -m jaxllc.pretrained.training.train --minutes 60 --out FOLDER --begin-from shipped

FOLDER holds checkpoint.safetensors, from which `--resume` goes on, weights.safetensors, the averaged
weights in half precision, and log.jsonl: loss and recall over time; each look at them writes all three.
Recall is the share of sets whose own string is among 20 that beam search finds, for skeletons that
are trained on and for those that are held out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from jaxllc.errors import InputError, check_integer
from jaxllc.files.output_file import made_folder
from jaxllc.pretrained.decoding import allowed_symbols, decode
from jaxllc.pretrained.model import DECODERS, ModelSettings, SkeletonModel
from jaxllc.pretrained.shipped import shipped_model
from jaxllc.pretrained.training.corpus import SPLITS, Corpus, CorpusSettings
from jaxllc.pretrained.training.trainer_state import (
    Prepared,
    Trainer,
    TrainerState,
    TrainingSettings,
    averaged_model,
    begin,
    fingerprint,
    model_settings_in,
    of_batch,
    prepared,
    read_checkpoint,
    trainer_of,
    write_checkpoint,
)
from jaxllc.pretrained.weights import digest, half_precision, load_model, save_model

CHECKPOINT, WEIGHTS, LOG = "checkpoint.safetensors", "weights.safetensors", "log.jsonl"
SHIPPED = "shipped"  # in place of a file to begin from
_TOP = 20
_TEST_SEED = 10**6  # of what is looked at, never of what is trained on


@dataclass(frozen=True)
class Budget:
    """How long to train: minutes or steps, the other being None; counted over all resumed parts.

    looks: how often loss and recall are reckoned on `tested` sets and a checkpoint is written.
    """

    minutes: float | None = None
    steps: int | None = None
    looks: int = 12
    tested: int = 512

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise InputError("give either minutes or steps, how long to train")
        if self.minutes is not None and not self.minutes > 0:
            raise InputError(f"minutes is {self.minutes}; give a number above 0")
        if self.steps is not None:
            check_integer("steps", self.steps, 1)
        check_integer("looks", self.looks, 1)
        check_integer("tested", self.tested, 1)

    def progress(self, state: TrainerState) -> float:
        """The share of the training that is done."""
        if self.steps is not None:
            return float(state.step) / self.steps
        assert self.minutes is not None
        return float(state.seconds) / (60.0 * self.minutes)


def train(
    folder: str | os.PathLike,
    budget: Budget,
    model_settings: ModelSettings | None = None,
    settings: TrainingSettings | None = None,
    corpus_settings: CorpusSettings | None = None,
    resume: bool = False,
    begin_from: str | os.PathLike | None = None,
    workers: int = 1,
    stop_after: float | None = None,
    say: Callable[[str], None] = print,
) -> TrainerState:
    """Train into a folder, and return the state in the end.

    resume: go on from the folder's checkpoint; with a budget in steps the result is the same bit for bit as
    without the interruption. begin_from: a file of weights, or "shipped", to train further with a new
    optimiser; it decides the model and the scales of the descriptors, and the log begins with what it knows
    before the first step. workers: threads that make batches. stop_after: seconds after
    which this part ends with a checkpoint, to be resumed. say: is given each line of the log.
    Raises InputError for a folder that cannot be used, one with a checkpoint where resume is not given, a
    checkpoint of other settings, and weights that cannot be read or are of another number of variables.
    """
    folder = Path(folder)
    checkpoint = folder / CHECKPOINT
    if resume and begin_from is not None:
        raise InputError("give either resume or begin_from: a checkpoint has weights of its own")
    if checkpoint.exists() and not resume:
        raise InputError(f"{checkpoint} exists already; resume it, or give another folder")
    if resume and not checkpoint.exists():
        raise InputError(f"there is no {checkpoint} to resume; leave resume out to begin")
    trained, origin = None, None
    if begin_from is not None:
        trained, origin = _begun_from(begin_from)
        if model_settings not in (None, trained.settings):
            raise InputError(
                f"the weights {begin_from} are of a model of other settings, {trained.settings}; "
                "leave those of the model out"
            )
        model_settings = trained.settings
    if model_settings is None:
        model_settings = model_settings_in(checkpoint) if resume else ModelSettings()
    settings = settings or TrainingSettings()
    corpus = Corpus(corpus_settings or CorpusSettings(model_settings.num_variables), settings.seed)
    if corpus.settings.num_variables != model_settings.num_variables:
        raise InputError(
            f"the corpus has {corpus.settings.num_variables} variables and the model "
            f"{model_settings.num_variables}; give both the same number"
        )
    made_folder(folder, "one")
    trainer = trainer_of(model_settings, settings)
    mark = fingerprint(model_settings, settings, corpus.settings)
    state = begin(model_settings, settings, corpus, trained)
    if resume:
        state = read_checkpoint(checkpoint, state, mark)
        origin = _origin_in(folder / WEIGHTS)
    state = trainer.placed_state(state)
    tests = _Tests(corpus.settings, model_settings, trainer, budget.tested)

    def look(state: TrainerState, losses: list[Any]) -> None:
        write_checkpoint(checkpoint, state, mark)
        about = {
            "corpus": asdict(corpus.settings),
            "training": asdict(settings),
            "steps": int(state.step),
            "seconds": round(float(state.seconds)),
            "begun_from": origin,
        }
        save_model(folder / WEIGHTS, averaged_model(model_settings, state), about)
        line: dict[str, Any] = {
            "step": int(state.step),
            "samples": int(state.step) * settings.batch,
            "seconds": round(float(state.seconds), 1),
            "progress": round(budget.progress(state), 4),
            "rate": settings.rate_at(int(state.step), budget.progress(state)),
            "loss": round(float(np.mean([float(v) for v in losses])), 4) if losses else None,
            **tests.measured(state),
        }
        text = json.dumps(line)
        with (folder / LOG).open("a") as file:
            file.write(text + "\n")
        say(text)

    # The matrices of a set are small, and sums of another order of threads would make another corpus.
    with threadpool_limits(1):
        if trained is not None:
            look(state, [])
        return _run(state, trainer, corpus, budget, workers, stop_after, look)


def _begun_from(weights: str | os.PathLike) -> tuple[SkeletonModel, dict[str, Any]]:
    """A model to train further, and what is told of it: its hash, and the training it had, if any."""
    if weights == SHIPPED:
        model, about = shipped_model()
    else:
        model, about = load_model(weights)
    origin = {"sha256": digest(half_precision(model))}
    return model, origin | {name: about.get(name) for name in ("steps", "seconds", "begun_from")}


def _origin_in(weights: Path) -> dict[str, Any] | None:
    """What the weights of a training that is resumed were begun from."""
    return load_model(weights)[1].get("begun_from") if weights.exists() else None


def _run(state, trainer: Trainer, corpus: Corpus, budget: Budget, workers, stop_after, look):
    size = trainer.settings.batch
    losses: list[Any] = []
    looked = int(budget.progress(state) * budget.looks)
    begun = time.perf_counter()
    with _batches(corpus, int(state.step), size, trainer.packed, workers) as batches:
        while budget.progress(state) < 1.0:
            clock = time.perf_counter()
            if stop_after is not None and clock - begun > stop_after:
                break
            state, value = trainer.step(state, next(batches), budget.progress(state))
            losses.append(value.block_until_ready())
            spent = time.perf_counter() - clock
            state = state._replace(seconds=state.seconds + spent)
            due = int(budget.progress(state) * budget.looks)
            if due > looked:
                look(state, losses)
                looked, losses = due, []
    if losses:
        look(state, losses)
    return state


@contextmanager
def _batches(
    corpus: Corpus, first: int, size: int, packed: bool, workers: int
) -> Iterator[Iterator[Prepared]]:
    """Prepared batches from a number on, made in threads ahead of time."""
    pool = ThreadPoolExecutor(workers)

    def ahead() -> Iterator[Prepared]:
        waiting: list[Future[Prepared]] = []
        number = first
        while True:
            while len(waiting) < 2 * workers:
                waiting.append(pool.submit(prepared, corpus, number, size, packed))
                number += 1
            yield waiting.pop(0).result()

    try:
        yield ahead()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Tests:
    """The same sets each time: of skeletons that are trained on, with other constants, and held-out ones."""

    def __init__(
        self, corpus: CorpusSettings, model: ModelSettings, trainer: Trainer, count: int
    ) -> None:
        self.model, self.trainer, self.sets = model, trainer, {}
        devices = len(jax.devices())
        count = -(-count // devices) * devices
        for split in SPLITS:
            source = Corpus(corpus, _TEST_SEED, split)
            batch = source.batch(0, count)
            self.sets[split] = (of_batch(batch, source, False), batch.present, batch.strings)

    def measured(self, state: TrainerState) -> dict[str, float]:
        """Loss and recall of each split by the averaged weights."""
        model = averaged_model(self.model, state)
        found = {}
        for split, (batch, present, strings) in self.sets.items():
            name = split.replace("-", "_")
            found[f"loss_{name}"] = round(self.trainer.loss(state, batch), 4)
            hits = 0
            for k in range(0, len(strings), 64):
                rows = slice(k, k + 64)
                allowed = allowed_symbols(present[rows], self.model.alphabet)
                written = decode(model, batch.descriptors[rows], allowed, _TOP).strings
                hits += int((written == strings[rows, None]).all(-1).any(-1).sum())
            found[f"top{_TOP}_{name}"] = round(hits / len(strings), 4)
        return found


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxllc.pretrained.training.train", description=__doc__
    )
    parser.add_argument("--minutes", type=float, help="of training in all, resumed parts together")
    parser.add_argument("--steps", type=int, help="in place of minutes")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--resume", action="store_true", help="go on from FOLDER's checkpoint")
    parser.add_argument(
        "--stop-after", type=float, metavar="SECONDS", help="end this part, to be resumed"
    )
    parser.add_argument(
        "--begin-from",
        metavar="WEIGHTS",
        help=f"train these further, a file or '{SHIPPED}', with a new optimiser",
    )
    sizes = parser.add_argument_group(
        "the model", "by default that of the checkpoint or of the weights to begin from"
    )
    sizes.add_argument("--decoder", choices=DECODERS, help=f"({ModelSettings.decoder})")
    for flag in ("--width", "--decoder-width", "--layers"):
        default = getattr(ModelSettings, flag[2:].replace("-", "_"))
        sizes.add_argument(flag, type=int, help=f"({default})")
    parser.add_argument("--batch", type=int, default=TrainingSettings.batch)
    parser.add_argument("--rate", type=float, default=TrainingSettings.rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--looks", type=int, default=Budget.looks)
    parser.add_argument("--tested", type=int, default=Budget.tested)
    parser.add_argument("--workers", type=int, default=1, help="threads that make batches")
    given = parser.parse_args(arguments)
    names = ("width", "decoder", "decoder_width", "layers")
    sized = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    try:
        train(
            given.out,
            Budget(given.minutes, given.steps, given.looks, given.tested),
            ModelSettings(**sized) if sized else None,
            TrainingSettings(batch=given.batch, rate=given.rate, seed=given.seed),
            resume=given.resume,
            begin_from=given.begin_from,
            workers=given.workers,
            stop_after=given.stop_after,
            say=lambda line: print(line, flush=True),
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
