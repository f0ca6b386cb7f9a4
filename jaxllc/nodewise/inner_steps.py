"""Inner constants of the terms of a law that single nodes are searched for: where they start, and their
steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.dynamics.terms import Term

# Starts of a family; change at which inner constants rest.
_STARTS, _RESTS = 3, 3e-3


def some_starts(starts: Sequence[Term]) -> list[Term]:
    """A few of the starts of a family, spread over all."""
    places = np.linspace(0, len(starts) - 1, min(_STARTS, len(starts)) + 2)[1:-1]
    return [starts[k] for k in dict.fromkeys(places.round().astype(int).tolist())]


def moved_inner(terms: Sequence[Term], coefficients: np.ndarray) -> tuple[Term, ...] | None:
    """Terms after a step of their inner constants, to which coefficients of slopes beside them lead; None
    where these rest."""
    place, found, rests = len(terms), [], True
    for term, c in zip(terms, coefficients, strict=False):
        inner = []
        for k, w in enumerate(term.inner):
            step = coefficients[place] / c if c else 0.0
            place += 1
            if term.family.positive[k]:
                new = float(np.clip(w + step, w / 2, 2 * w))
            else:
                new = w + float(np.clip(step, -0.5 * abs(w) - 0.1, 0.5 * abs(w) + 0.1))
            rests &= abs(new - w) <= _RESTS * abs(w)
            inner.append(new)
        found.append(term.with_inner(inner) if inner else term)
    return None if rests else tuple(found)
