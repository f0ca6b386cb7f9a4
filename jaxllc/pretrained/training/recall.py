"""How often a model finds the skeleton that samples were made with.

    python -m jaxllc.pretrained.training.recall WEIGHTS [--sets 100] [--split held-out] [--json FILE]

Two shares: among the first so many skeletons written, and among the best so many after constants were fitted
and the engine has searched beside them, by a score of the misfit, in units of the samples' error, and of the
number of constants.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxllc.errors import InputError, check_integer
from jaxllc.files.output_file import output_file
from jaxllc.pretrained.engine import PretrainedEngine, best_inputs
from jaxllc.pretrained.local_search import ranked
from jaxllc.pretrained.skeletons.alphabet import Alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    Structures,
    canonical,
    identity,
    num_constants,
    renamed,
)
from jaxllc.pretrained.skeletons.starts import Fitted
from jaxllc.pretrained.training.corpus import SPLITS, Corpus, CorpusSettings
from jaxllc.pretrained.weights import load_model
from jaxllc.search.forms.refit import prepare
from jaxllc.search.forms.term_samples import Samples

TOP = 20
_SEED = 2 * 10**6  # of sets that were neither trained on nor looked at while training
_POINTS = 200
_ASSUMED_ERROR = 1e-5  # of sets that have none, relative to the spread of their values


@dataclass(frozen=True)
class Recall:
    """sets: how many; written, fitted: the shares whose skeleton is among the first, and among the best after
    fitting; by_constants: the latter by the number of constants, each with how many sets there were;
    seconds: for a set, to write and to fit; found: of each set, whether it is among the best after fitting.
    """

    split: str
    sets: int
    written: float
    fitted: float
    by_constants: dict[str, tuple[float, int]]
    seconds_to_write: float
    seconds_to_fit: float
    found: tuple[bool, ...]


class RecallSet(NamedTuple):
    """samples: with inputs x1, x2, ...; skeleton: the one they were made with, in those inputs; constants:
    how many it leaves open."""

    samples: Samples
    skeleton: Structures
    constants: int


def recall_sets(
    corpus: CorpusSettings, split: str = "held-out", sets: int = 100, seed: int = 0
) -> list[RecallSet]:
    """Random sets of a split, with other constants than a model was trained on.

    Raises InputError for an unknown split or fewer than one set.
    """
    check_integer("sets", sets, 1)
    batch = Corpus(corpus, _SEED + seed, split).batch(0, sets)
    constants = num_constants(batch.structures)
    found = []
    for k in range(sets):
        inputs = np.flatnonzero(batch.present[k])
        if not len(inputs):  # a constant: any input may stand for none
            inputs = np.array([0])
        samples = _samples(batch.points[k, inputs], batch.values[k], float(batch.error[k]))
        skeleton = _among(batch.structures.taken(np.array([k])), inputs, corpus.alphabet)
        found.append(RecallSet(samples, skeleton, int(constants[k])))
    return found


def best_fits(
    engine: PretrainedEngine, samples: Samples, top: int = TOP, seed: int = 0
) -> list[Fitted]:
    """The best so many skeletons that an engine writes of samples, fitted; of more inputs than the model has
    variables those are tried that the engine would try."""
    found: list[Fitted] = []
    for inputs in best_inputs(samples, engine.model.settings.num_variables, engine.choices):
        chosen = samples.with_inputs(inputs)
        skeletons = engine.skeletons(chosen, seed=seed)
        found += engine.searched(skeletons, chosen, seed=seed)[1]
    return ranked(found, samples)[:top]


def recall(
    engine: PretrainedEngine,
    split: str = "held-out",
    sets: int = 100,
    top: int = TOP,
    corpus: CorpusSettings | None = None,
    seed: int = 0,
) -> Recall:
    """The recall of an engine on random skeletons of a split, with other constants than it was trained on.

    Raises InputError for an unknown split or fewer than one set.
    """
    corpus = corpus or CorpusSettings(engine.model.settings.num_variables, points=(_POINTS,))
    drawn = recall_sets(corpus, split, sets, seed)
    constants = np.array([one.constants for one in drawn])
    # What is compiled once is no part of the seconds.
    engine.prepare()
    prepare()
    early, late = np.zeros(sets, bool), np.zeros(sets, bool)
    spent = [0.0, 0.0]
    for k, (samples, skeleton, _) in enumerate(drawn):
        true = identity(skeleton)[0]
        clock = time.perf_counter()
        skeletons = engine.skeletons(samples, seed=k)
        spent[0] += time.perf_counter() - clock
        early[k] = true in identity(skeletons)[:top]
        clock = time.perf_counter()
        tried, fits = engine.searched(skeletons, samples, seed=k)
        spent[1] += time.perf_counter() - clock
        best = np.array([fit.number for fit in ranked(fits, samples)[:top]], int)
        late[k] = true in identity(tried.taken(best))
    shares = {
        str(number): (
            round(float(late[constants == number].mean()), 4),
            int((constants == number).sum()),
        )
        for number in np.unique(constants)
    }
    return Recall(
        split,
        sets,
        float(early.mean()),
        float(late.mean()),
        shares,
        spent[0] / sets,
        spent[1] / sets,
        tuple(map(bool, late)),
    )


def _samples(points: np.ndarray, values: np.ndarray, error: float) -> Samples:
    names = [f"x{k + 1}" for k in range(len(points))]
    spread = float(values.std()) or 1.0
    return Samples.of(names, points.T, values, max(error, _ASSUMED_ERROR * spread))


def _among(one: Structures, inputs: np.ndarray, symbols: Alphabet) -> Structures:
    """A skeleton, in canonical form, when its inputs are numbered from the first on."""
    rest = [v for v in range(symbols.num_variables) if v not in inputs]
    order = np.argsort([*inputs, *rest])
    return canonical(renamed(one, symbols.renaming(order)), symbols)[0]


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxllc.pretrained.training.recall",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--split", choices=SPLITS, help="both by default")
    parser.add_argument("--width", type=int, default=40, help="strings written for each view")
    parser.add_argument("--views", type=int, default=2, help="orders of the inputs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    try:
        model, _ = load_model(given.weights)
        engine = PretrainedEngine(model, width=given.width, views=given.views)
        splits = [given.split] if given.split else list(SPLITS)
        found = [recall(engine, split, given.sets) for split in splits]
        for one in found:
            print(
                f"{one.split}: {one.sets} sets, {one.written:.3f} among the first {TOP} written, "
                f"{one.fitted:.3f} among the best {TOP} fitted, {one.seconds_to_write:.3f} s to write, "
                f"{one.seconds_to_fit:.3f} s to fit"
            )
        if given.json:
            with output_file(given.json) as temporary:
                temporary.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
