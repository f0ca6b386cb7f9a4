"""The corpus: samples of random skeletons with random constants, made while training, batch by batch.

A batch is a function of a seed and its number alone, so that a training can go on where it ended, and so
that any number of threads make the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxllc.errors import InputError
from jaxllc.pretrained.skeletons.alphabet import Alphabet, alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    Structures,
    joined,
    num_constants,
    variables_in,
)
from jaxllc.pretrained.skeletons.strings import strings
from jaxllc.pretrained.training.corpus_inputs import draw_inputs, log_uniform, smooth_errors
from jaxllc.pretrained.training.corpus_structures import draw_structures, held_out
from jaxllc.pretrained.training.corpus_values import draw_values

SPLITS = ("seen", "held-out")


@dataclass(frozen=True)
class CorpusSettings:
    """What is drawn.

    num_variables: inputs of a term. points: numbers of points of a set; each batch has one of them.
    exact: share of sets without errors; of the others half have white ones, half smooth ones.
    error: lowest and highest standard deviation of the errors, in units of that of the values.
    distractors: how often a variable that has no part is among the inputs.
    """

    num_variables: int = 3
    points: tuple[int, ...] = (48, 64, 64, 96, 160)
    exact: float = 0.35
    error: tuple[float, float] = (1e-3, 2e-2)
    distractors: float = 0.4

    def __post_init__(self) -> None:
        if not self.points or min(self.points) < 8:
            raise InputError(f"points are {self.points}; give numbers of at least 8")
        if not 0 < self.error[0] <= self.error[1]:
            raise InputError(f"error is {self.error}; give a lowest and a highest level above 0")

    @property
    def alphabet(self) -> Alphabet:
        return alphabet(self.num_variables)


class Batch(NamedTuple):
    """Sets of samples and what they are samples of.

    points: (b, variable, n) float32, 0 in variables that are no inputs; values: (b, n) float32;
    error: (b,) standard deviation of the errors in the values; present: (b, variable) which variables are
    inputs; strings: (b, LENGTH) int16; structures: of each.
    """

    points: np.ndarray
    values: np.ndarray
    error: np.ndarray
    present: np.ndarray
    strings: np.ndarray
    structures: Structures


class Corpus:
    """Batches by number; `split` says whether of skeletons that are trained on, or of those held out."""

    def __init__(self, settings: CorpusSettings | None = None, seed: int = 0, split: str = "seen"):
        if split not in SPLITS:
            raise InputError(f"split is {split!r}; choose from {', '.join(SPLITS)}")
        self.settings, self.seed, self.split = settings or CorpusSettings(), seed, split

    def batch(self, number: int, size: int) -> Batch:
        """The batch of a number, with so many sets."""
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), number])
        num_points = int(rng.choice(self.settings.points))
        parts: list[tuple[Structures, np.ndarray, np.ndarray]] = []
        found = 0
        while found < size:
            structures = self._structures(rng, size - found)
            inputs = draw_inputs(rng, len(structures), self.settings.num_variables, num_points)
            values, good = draw_values(rng, structures, inputs, self.settings.alphabet)
            kept = np.flatnonzero(good)[: size - found]
            parts.append((structures.taken(kept), inputs[kept], values[kept]))
            found += len(kept)
        structures = joined([part[0] for part in parts])
        points, values = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
        level = self._levels(rng, values)
        values = values + level[:, None] * self._errors(rng, points)
        symbols = self.settings.alphabet
        present = variables_in(structures, symbols)
        present = present | (rng.random(present.shape) < self.settings.distractors)
        return Batch(
            points * present[..., None],
            values.astype(np.float32),
            level,
            present,
            strings(structures, symbols),
            structures,
        )

    def _structures(self, rng: np.random.Generator, missing: int) -> Structures:
        """About as many skeletons of this split as are likely to give the missing sets."""
        symbols = self.settings.alphabet
        wanted = self.split == "held-out"
        drawn = draw_structures(rng, (50 if wanted else 1) * (missing + missing // 3) + 32, symbols)
        chosen = np.flatnonzero(held_out(drawn, symbols) == wanted)
        # Constants say little; polynomials of few terms would be drawn too often.
        simple = num_constants(drawn.taken(chosen)) == 1
        chosen = chosen[~simple | (rng.random(len(chosen)) < 0.3)]
        return drawn.taken(chosen)

    def _levels(self, rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
        deviation = values.std(1)
        size = np.where(deviation > 1e-6, deviation, np.abs(values).mean(1))
        level = log_uniform(rng, *self.settings.error, len(values)) * size
        level[rng.random(len(values)) < self.settings.exact] = 0.0
        return level

    def _errors(self, rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
        """Of standard deviation 1, half of them white and half of them smooth."""
        count, _, size = points.shape
        errors = rng.standard_normal((count, size), dtype=np.float32)
        smooth = np.flatnonzero(rng.random(count) < 0.5)
        errors[smooth] = smooth_errors(rng, points[smooth])
        return errors
