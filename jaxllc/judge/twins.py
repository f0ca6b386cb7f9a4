"""Laws that are the same law, written by two engines in two ways: counted once.

Two laws are twins where they hold as many constants and either are equal in their normal form, or predict the
same value for every sample to within a millionth of the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from jaxllc.errors import InputError
from jaxllc.judge.judge import Judge, Judged
from jaxllc.metrics import skeleton_equal

# Difference of predictions, in units of the noise, below which two laws say the same of every sample.
_SAME = 1e-6
# Relative difference of the merits up to which normal forms are compared: fits of one law end close together.
_NEAR = 1e-3

SameForm = Callable[[Judged, Judged], bool]


def same_form_of(equations: Callable[[Judged], object]) -> SameForm:
    """Whether two laws have one normal form; each pair is looked at once.

    equations: of a law, {variable: Equation}. A law that has no normal form has no twin.
    """
    known: dict[int, object] = {}

    def of(judged: Judged) -> object:
        return known.setdefault(id(judged), equations(judged))

    @cache
    def same(a: int, b: int) -> bool:
        try:
            return skeleton_equal(known[a], known[b])
        except InputError:
            return False

    def same_form(a: Judged, b: Judged) -> bool:
        of(a), of(b)
        return same(*sorted((id(a), id(b))))

    return same_form


def same_predictions(judge: Judge, a: Judged, b: Judged) -> bool:
    """Whether two laws predict the same value for every sample."""
    problem = judge.problem
    with np.errstate(all="ignore"):
        gap = (a.fit.states - b.fit.states).reshape(problem.samples.shape) * problem.weight
        return bool(np.abs(gap).max(initial=0.0) < _SAME)


def are_twins(judge: Judge, a: Judged, b: Judged, same_form: SameForm) -> bool:
    """Whether two fitted laws are the same law."""
    if a.law.num_constants != b.law.num_constants:
        return False
    merits = judge.merit(a.fit), judge.merit(b.fit)
    if not np.isfinite(merits).all():
        return False
    # What a solver leaves tells no two laws apart.
    floor = judge.floor_ratio * judge.num_samples
    if abs(merits[0] - merits[1]) > _NEAR * (max(merits) + floor):
        return False
    return same_predictions(judge, a, b) or same_form(a, b)


def without_twins(judge: Judge, laws: Sequence[Judged], same_form: SameForm) -> list[Judged]:
    """The laws in their order, each once: of twins the first one stays."""
    kept: list[Judged] = []
    for judged in laws:
        if not any(are_twins(judge, judged, other, same_form) for other in kept):
            kept.append(judged)
    return kept
