"""Constants to begin with for skeletons that were written: many random ones inside functions, solved outside.

The best few of the draws (`skeleton_draws`) are refined together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.errors import InputError
from jaxllc.pretrained.skeletons.alphabet import Alphabet
from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.skeletons.skeleton_draws import Frame, OneSkeleton
from jaxllc.search.forms.refit import in_blocks, refit
from jaxllc.search.forms.skeletons import Skeleton
from jaxllc.search.forms.tapes import Tape, write_tape
from jaxllc.search.forms.term_samples import Samples

_MOST_POINTS = 256


@dataclass(frozen=True, eq=False)
class Fitted:
    """number: of the skeleton among those given; skeleton: it with its constants; mean_square: of what it
    leaves, in units of the samples' error."""

    number: int
    skeleton: Skeleton
    mean_square: float


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
    found = drawn(structures, some, symbols, seed, draws, kept)
    starts = [(owner, skeleton) for owner, skeleton, *_ in found]
    return refined(starts, some, steps)


def score(mean_square: float, num_constants: int, num_samples: int) -> float:
    """What fits are ranked by, the lowest first: the misfit and the number of constants, in nats.

    mean_square: of what the fit leaves, in units of the samples' error; below 1 it is no gain.
    """
    misfit = num_samples * np.log(0.5 + 0.5 * max(mean_square, 1.0))
    return float(misfit + num_constants * np.log(num_samples))


def refined(
    starts: Sequence[tuple[int, Skeleton]], samples: Samples, steps: int = 25
) -> list[Fitted]:
    """The best of the fits from several starts of each skeleton, by its number."""
    tapes: list[Tape] = []
    constants, kept = [], []
    for owner, skeleton in starts:
        try:
            tape, start = write_tape(skeleton.expression, samples.names, skeleton.constants)
        except InputError:
            continue
        start[: len(skeleton.values)] = skeleton.values
        tapes.append(tape)
        constants.append(start)
        kept.append((owner, skeleton))
    if not tapes:
        return []
    blocks = in_blocks(samples.points, samples.values, 1.0 / samples.error)
    found = refit(tapes, np.stack(constants), blocks, steps)
    best: dict[int, int] = {}
    for k, (owner, _) in enumerate(kept):
        chi = found.chi_squared[k]
        if np.isfinite(chi) and (owner not in best or chi < found.chi_squared[best[owner]]):
            best[owner] = k
    return [
        Fitted(
            owner,
            kept[k][1].with_values(found.constants[k][: len(kept[k][1].values)]),
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
) -> Iterator[tuple[int, Skeleton, Tape, np.ndarray]]:
    """Starts for the constants of skeletons, as in `fitted`: the number of the skeleton, it with these
    constants, its tape, and them as the tape takes them; what a tape cannot hold is left out."""
    frame = Frame(samples, symbols)
    rng = np.random.default_rng([seed, 1])
    for b in range(len(structures)):
        one = OneSkeleton(structures.taken(np.array([b])), frame)
        for skeleton in one.skeletons(rng, draws, kept):
            try:
                tape, start = write_tape(skeleton.expression, samples.names, skeleton.constants)
            except InputError:
                continue
            start[: len(skeleton.values)] = skeleton.values
            yield b, skeleton, tape, start
