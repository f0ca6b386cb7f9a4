"""Fewer inputs: whether a term is a function of the difference, sum, product or ratio of two, or without one.

A local linear regression of the values on fewer inputs tells: where it leaves no more than the errors, or no
more than the regression on all inputs leaves, the smaller problem is searched first.
Source: the symmetries that AI Feynman looks for (Udrescu and Tegmark, Science Advances 6, 2020).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import sympy
from scipy.spatial import cKDTree

from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.search_work import spend
from jaxllc.search.forms.term_samples import Samples

# Mean squared error of a local regression, in units of the samples' error, up to which nothing is missing.
_ENOUGH = 1.5
# Where errors are below what the regression itself leaves: how much less it must leave on fewer inputs.
_CLEARLY = 0.5
_COMBINED = "combined"


class Reduction(NamedTuple):
    """The samples with fewer inputs, and what the new ones stand for."""

    samples: Samples
    meaning: dict[sympy.Symbol, sympy.Expr]
    left: float

    def restored(self, expression: sympy.Expr) -> sympy.Expr:
        """An expression of the fewer inputs in the names of the first ones."""
        return expression.xreplace(self.meaning)


def reduced(samples: Samples, grammar: Grammar) -> Reduction | None:
    """The problem with the fewest inputs that leaves no more than this one; None where all are needed."""
    if samples.num_inputs < 2:
        return None
    best = min(_candidates(samples, grammar), key=lambda r: r.left)
    if best.left > max(_ENOUGH, _CLEARLY * _left(samples)):
        return None
    more = reduced(best.samples, grammar)
    if more is None:
        return best
    symbols = [sympy.Symbol(n) for n in more.samples.names]
    meanings = {s: best.restored(more.meaning.get(s, s)) for s in symbols}
    return Reduction(more.samples, {s: e for s, e in meanings.items() if s != e}, more.left)


def _candidates(samples: Samples, grammar: Grammar) -> Iterator[Reduction]:
    columns = samples.points.T
    names = samples.names
    symbols = [sympy.Symbol(n) for n in names]
    for k in range(len(names)):
        yield _made(samples, [c for c in range(len(names)) if c != k])
    for a, b in itertools.combinations(range(len(names)), 2):
        rest = [c for c in range(len(names)) if c not in (a, b)]
        both = [
            (symbols[a] - symbols[b], columns[a] - columns[b]),
            (symbols[a] + symbols[b], columns[a] + columns[b]),
            (symbols[a] * symbols[b], columns[a] * columns[b]),
        ]
        if grammar.division:
            for top, below in ((a, b), (b, a)):
                if columns[below].min() > 0 or columns[below].max() < 0:
                    both.append((symbols[top] / symbols[below], columns[top] / columns[below]))
                    break
        for combined in both:
            yield _made(samples, rest, combined)


def _made(
    samples: Samples, rest: list[int], combined: tuple[sympy.Expr, np.ndarray] | None = None
) -> Reduction:
    """The samples with some of their inputs, and a combination of others with its values."""
    names = [samples.names[c] for c in rest]
    columns = [samples.points[:, c] for c in rest]
    meaning = {}
    if combined is not None:
        expression, values = combined
        name = _COMBINED
        while name in samples.names:
            name += "_"
        names.append(name)
        columns.append(values)
        meaning = {sympy.Symbol(name): expression}
    points = np.stack(columns, axis=1) if columns else np.zeros((len(samples.values), 0))
    reduced = Samples(tuple(names), points, samples.values, samples.error)
    return Reduction(reduced, meaning, _left(reduced))


def _left(samples: Samples) -> float:
    """Mean squared error of a local linear regression that leaves each sample out, in units of the errors."""
    points, values = samples.points, samples.values
    count, dimension = points.shape
    spread = np.ptp(points, axis=0) if dimension else np.zeros(0)
    used = points[:, spread > 0] / spread[spread > 0]
    if used.shape[1] == 0:
        rest = values - values.mean()
        return float(np.mean((rest / samples.error) ** 2)) * count / max(count - 1, 1)
    dimension = used.shape[1]
    neighbours = min(3 * (dimension + 1), count - 1)
    spend("neighbours", count * (dimension + 1) ** 2)
    near = cKDTree(used).query(used, neighbours + 1)[1][:, 1:]
    offsets = used[near] - used[:, None]
    design = np.concatenate([np.ones((*offsets.shape[:2], 1)), offsets], axis=2)
    # A ridge far below the neighbours' spread: they may lie on a line.
    normal = design.transpose(0, 2, 1) @ design
    normal += 1e-8 * np.eye(dimension + 1) * np.trace(normal, axis1=1, axis2=2)[:, None, None]
    unit = np.zeros((count, dimension + 1, 1))
    unit[:, 0] = 1.0
    share = (design @ np.linalg.solve(normal, unit))[..., 0]
    rest = values - (share * values[near]).sum(axis=1)
    expected = samples.error**2 + (share**2 * samples.error[near] ** 2).sum(axis=1)
    squares = np.sort(rest**2 / expected)
    # Kinks and steps are badly told from their neighbours, and are few.
    return float(squares[: max(int(0.95 * count), 1)].mean())
