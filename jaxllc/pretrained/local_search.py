"""The search beside what a model wrote: neighbours of the best fitted skeletons, in rounds.

What the model writes is often a term or an argument away from the skeleton of the samples, above all where
that one is rare or has many constants. Neighbours are ranked roughly (`neighbours`), the best are fitted, and
the best of all are the next to be looked at beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxllc.equations.skeletons import Skeleton
from jaxllc.pretrained.skeletons.alphabet import LENGTH, Alphabet
from jaxllc.pretrained.skeletons.canonical_form import (
    MOST_CONSTANTS,
    Structures,
    canonical,
    identity,
    joined,
    num_constants,
)
from jaxllc.pretrained.skeletons.drawn_functions import FunctionTable
from jaxllc.pretrained.skeletons.fitted_skeleton import Neighbour, starts_of
from jaxllc.pretrained.skeletons.neighbours import Neighbours
from jaxllc.pretrained.skeletons.skeleton_draws import Frame, OneSkeleton
from jaxllc.pretrained.skeletons.starts import Fitted, refined, score
from jaxllc.pretrained.skeletons.strings import lengths
from jaxllc.search.forms.search_work import work_is_over
from jaxllc.search.forms.term_samples import Samples

_POINTS = 128  # at which neighbours are ranked
_FIT_POINTS = 256
_SHORTENED = 8  # of the best, whether they hold a constant too many is looked at
_EXPLAINED = (
    1.3  # mean square of what a fit leaves, in units of the error, that needs no more terms
)


@dataclass(frozen=True)
class LocalSearch:
    """How much is looked at.

    rounds: while the best fit does not explain the samples; parents: whose neighbours are ranked in a round;
    fits: of neighbours in a round; shorter: rounds after them, in which constants are left out of the best.
    """

    rounds: int = 4
    parents: int = 3
    fits: int = 40
    shorter: int = 2


def ranked(fits: Sequence[Fitted], samples: Samples) -> list[Fitted]:
    """Fits by their score, the best first."""
    count = len(samples.values)
    return sorted(fits, key=lambda f: score(f.mean_square, len(f.skeleton.values), count))


def explains(fits: Sequence[Fitted]) -> bool:
    """Whether one of the fits leaves hardly more than the samples' error."""
    return any(fit.mean_square < _EXPLAINED for fit in fits)


def searched(
    structures: Structures,
    fits: Sequence[Fitted],
    samples: Samples,
    symbols: Alphabet,
    allowed: np.ndarray,
    settings: LocalSearch,
    seed: int = 0,
    deadline: float = np.inf,
) -> tuple[Structures, list[Fitted]]:
    """Skeletons and their fits with those found beside them; the numbers of fits are into the skeletons.

    structures: in canonical form; fits: of them to the samples; allowed: (symbol,) which may be written.
    """
    if not fits:
        return structures, []
    count = len(samples.values)
    rng = np.random.default_rng([seed, 2])
    rough = Frame(samples.thinned(_POINTS, seed), symbols)
    exact = samples.thinned(_FIT_POINTS, seed)
    frame = Frame(exact, symbols)
    table = FunctionTable(rough, allowed, rng)
    best = {fit.number: fit for fit in fits}
    numbers = {int(key): k for k, key in enumerate(identity(structures))}

    def known(key: int) -> float:
        """The score of a skeleton that was fitted before; none if it was not."""
        fit = best.get(numbers.get(key, -1))
        return np.inf if fit is None else _score_of(fit, count)

    looked_at: set[int] = set()
    shortened: set[int] = set()
    for turn in range(settings.rounds + settings.shorter):
        if work_is_over(deadline):
            break
        order = ranked(list(best.values()), samples)
        growing = turn < settings.rounds
        if growing:
            if explains(order):
                continue
            parents = _parents([f for f in order if f.number not in looked_at])
            parents = parents[: settings.parents]
            looked_at |= {f.number for f in parents}
        else:
            parents = [f for f in order[:_SHORTENED] if f.number not in shortened]
            shortened |= {f.number for f in parents}
        unlike: dict[int, Choice] = {}
        for parent in parents:
            one = structures.taken(np.array([parent.number]))
            near = Neighbours(one, parent.skeleton.values, rough, table, allowed, rng)
            beside = near.all() if growing else near.fewer()
            for choice in _choices(beside, symbols, count, parent.number):
                other = unlike.get(choice.key)
                if choice.rank < known(choice.key) - 1.0 and (
                    other is None or choice.rank < other.rank
                ):
                    unlike[choice.key] = choice
        chosen = _chosen(list(unlike.values()), settings.fits)
        if not chosen:
            continue
        new = [choice for choice in chosen if choice.key not in numbers]
        numbers |= {choice.key: len(structures) + k for k, choice in enumerate(new)}
        structures = joined([structures, *(choice.form for choice in new)])
        for fit in _fits(chosen, [numbers[c.key] for c in chosen], exact, frame, rough, rng):
            before = best.get(fit.number)
            if before is None or fit.mean_square < before.mean_square:
                best[fit.number] = fit
                looked_at.discard(fit.number)
                shortened.discard(fit.number)
    found = [best[number] for number in sorted(best)]
    return structures, found


class Choice(NamedTuple):
    """A neighbour to fit: its rough score, itself (None where its canonical form is written otherwise, so
    that its constants are drawn anew), that form, the identity of it, and from which parent it came which
    way."""

    rank: float
    neighbour: Neighbour | None
    form: Structures
    key: int
    way: tuple[int, str]


def _chosen(choices: list[Choice], most: int) -> list[Choice]:
    """Half of them the best of all, half the best of each way from each parent in turn."""
    order = sorted(range(len(choices)), key=lambda k: choices[k].rank)
    before: dict[tuple[int, str], int] = {}
    turns = []
    for k in order:
        turn = before[choices[k].way] = before.get(choices[k].way, -1) + 1
        turns.append((turn, choices[k].rank, k))
    both = [*order[: most // 2], *(k for *_, k in sorted(turns))]
    return [choices[k] for k in list(dict.fromkeys(both))[:most]]


def _parents(order: list[Fitted]) -> list[Fitted]:
    """Those whose neighbours are worth a look, of fits in order: the best and, in turn with them, the best of
    each number of constants."""
    first: dict[int, Fitted] = {}
    for fit in order:
        first.setdefault(len(fit.skeleton.values), fit)
    mixed = [fit for pair in zip(order, first.values(), strict=False) for fit in pair]
    return list({fit.number: fit for fit in [*mixed, *order]}.values())


def _score_of(fit: Fitted, count: int) -> float:
    return score(fit.mean_square, len(fit.skeleton.values), count)


def _choices(beside: list[Neighbour], symbols: Alphabet, count: int, parent: int) -> list[Choice]:
    """Neighbours that can be written, each skeleton once."""
    if not beside:
        return []
    raw = joined([n.structure for n in beside])
    forms, good = canonical(raw, symbols)
    constants = num_constants(forms)
    good &= (constants <= MOST_CONSTANTS) & (lengths(forms) <= LENGTH)
    keys, same = identity(forms), identity(forms) == identity(raw)
    best: dict[int, Choice] = {}
    for k in np.flatnonzero(good):
        key = int(keys[k])
        if not np.isfinite(beside[k].mean_square):
            continue
        rank = score(beside[k].mean_square, int(constants[k]), count)
        if key not in best or rank < best[key].rank:
            form = forms.taken(np.array([k]))
            neighbour = beside[k] if same[k] else None
            best[key] = Choice(rank, neighbour, form, key, (parent, beside[k].way))
    return list(best.values())


def _fits(
    chosen: Sequence[Choice],
    numbers: Sequence[int],
    samples: Samples,
    frame: Frame,
    rough: Frame,
    rng: np.random.Generator,
) -> list[Fitted]:
    starts: list[tuple[int, Skeleton]] = []
    for number, choice in zip(numbers, chosen, strict=True):
        if choice.neighbour is None:
            found = OneSkeleton(choice.form, frame).skeletons(rng, 64, 2)
        else:
            one, factors, draws = starts_of(choice.neighbour, rough)
            coefficients, misfit = one.solved(factors, draws)
            found = one.best(factors, coefficients, misfit, 2)
        starts += [(number, skeleton) for skeleton in found]
    return refined(starts, samples)
