"""Constants to begin with for skeletons that were written: many random ones inside functions, solved outside.

The best few of the draws (`skeleton_draws`) are refined together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxllc.equations.skeletons import Skeleton
from jaxllc.equations.tapes.fitted_tapes import Tape, write_tape
from jaxllc.errors import InputError
from jaxllc.fit.criterion import information_criterion
from jaxllc.pretrained.skeletons.alphabet import Alphabet
from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.skeletons.skeleton_draws import Frame, OneSkeleton
from jaxllc.search.forms.refit import in_blocks, refit
from jaxllc.search.forms.term_samples import Samples

_MOST_POINTS = 256


@dataclass(frozen=True, eq=False)
class Fitted:
    """number: of the skeleton among those given; skeleton: it with its constants; mean_square: of what it
    leaves, in units of the samples' error."""

    number: int
    skeleton: Skeleton
    mean_square: float


class Start(NamedTuple):
    """number: of a skeleton; it with constants to begin with, its tape, and them as the tape takes them."""

    number: int
    skeleton: Skeleton
    tape: Tape
    constants: np.ndarray


def fitted(
    structures: Structures,
    samples: Samples,
    symbols: Alphabet,
    seed: int = 0,
    draws: int = 64,
    kept: int = 3,
    steps: int = 25,
) -> list[Fitted]:
    """Skeletons with fitted constants, each once, in their order; those that cannot be fitted are left out.

    samples: with the inputs that the variables of the skeletons stand for, at most as many as the alphabet
    has. draws: of constants inside functions; kept: how many of them are refined, by so many steps.
    """
    some = samples.thinned(_MOST_POINTS, seed)
    return _refitted(drawn(structures, some, symbols, seed, draws, kept), some, steps)


def score(mean_square: float, num_constants: int, num_samples: int) -> float:
    """What fits are ranked by, the lowest first: the information criterion, with half the error as a floor.

    mean_square: of what the fit leaves, in units of the samples' error; below 1 it is no gain.
    """
    cost = num_constants * np.log(num_samples)
    return float(information_criterion(0.5 * mean_square, num_samples, cost, 0.5, below=0.0))


def refined(
    starts: Sequence[tuple[int, Skeleton]], samples: Samples, steps: int = 25
) -> list[Fitted]:
    """The best of the fits from several starts of each skeleton, by its number."""
    return _refitted(_on_tapes(starts, samples.names), samples, steps)


def _refitted(starts: Iterable[Start], samples: Samples, steps: int) -> list[Fitted]:
    kept = list(starts)
    if not kept:
        return []
    blocks = in_blocks(samples.points, samples.values, 1.0 / samples.error)
    found = refit([s.tape for s in kept], np.stack([s.constants for s in kept]), blocks, steps)
    best: dict[int, int] = {}
    for k, (owner, *_) in enumerate(kept):
        chi = found.chi_squared[k]
        if np.isfinite(chi) and (owner not in best or chi < found.chi_squared[best[owner]]):
            best[owner] = k
    return [
        Fitted(
            owner,
            kept[k].skeleton.with_values(found.constants[k][: len(kept[k].skeleton.values)]),
            float(found.chi_squared[k]) / len(samples.values),
        )
        for owner, k in sorted(best.items())
    ]


def drawn(
    structures: Structures,
    samples: Samples,
    symbols: Alphabet,
    seed: int = 0,
    draws: int = 64,
    kept: int = 3,
) -> Iterator[Start]:
    """Starts for the constants of skeletons, as in `fitted`; what a tape cannot hold is left out."""
    frame = Frame(samples, symbols)
    rng = np.random.default_rng([seed, 1])
    each = (OneSkeleton(structures.taken(np.array([b])), frame) for b in range(len(structures)))
    starts = ((b, s) for b, one in enumerate(each) for s in one.skeletons(rng, draws, kept))
    yield from _on_tapes(starts, samples.names)


def _on_tapes(starts: Iterable[tuple[int, Skeleton]], names: Sequence[str]) -> Iterator[Start]:
    for number, skeleton in starts:
        try:
            tape, constants = write_tape(skeleton.expression, names, skeleton.constants)
        except InputError:
            continue
        constants[: len(skeleton.values)] = skeleton.values
        yield Start(number, skeleton, tape, constants)
