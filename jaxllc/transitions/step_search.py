"""Laws of one variable by the regression of steps: what the filter then fits and compares.

First a linear fit of all plain terms of the library says about where each step leads and how large both
noises are; then the laws of single nodes are searched as `jaxllc.nodewise.robust_search` does, with both
noises set anew by what the best law leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxllc.data.network import Network
from jaxllc.dynamics.terms import Term
from jaxllc.nodewise.robust_search import RobustLaw, RobustSearch
from jaxllc.smoothing.grid_data import GridData
from jaxllc.transitions.noise_levels import noise_levels
from jaxllc.transitions.transition_rows import TransitionRows

# Rounds in which noises and the plain fit follow one another; share of a column's size below which a
# combination of columns counts as none.
_ROUNDS, _ALIKE = 3, 1e-9
# Rounds of searching with noises set anew, and the factor by which an error must have fallen for another one.
_SEARCHES, _FALLEN = 3, 1.3
# Interactions that a search starts from, at most.
_PAIRS = 60
# Laws in which terms are exchanged, and that are taken from one search to the next.
_EXCHANGED, _KEPT = 2, 5
# Rows of a search at most.
_MOST_ROWS = 16_000
# Error of a step over its spread below which there is none for a search.
FLOOR = 1e-5
# Nodes that leave more than this, in medians of all, are not asked for the noise.
_SPOILED = 3.0


@dataclass(frozen=True)
class StepLaws:
    """What a search came to.

    laws: the best first; search: that found them; measurement, process: variances sigma^2 and q^2; leads:
    (node, time) where the step from each sample leads to by the best law.
    """

    laws: tuple[RobustLaw, ...]
    search: RobustSearch
    measurement: float
    process: float

    @property
    def best(self) -> RobustLaw:
        return self.laws[0]

    @property
    def follows(self) -> Float[np.ndarray, " node"]:
        """The probability of each node that it follows the best law; nan where it was not asked."""
        rows = self.search.rows
        found = np.full(len(rows.counted), np.nan)
        found[self.search.fitter.kept] = self.best.fit.follows
        return found


@dataclass(frozen=True)
class PlainFit:
    """A linear fit of plain terms: variances sigma^2 and q^2, and (node, time) how far each step leads."""

    measurement: float
    process: float
    moves: Float[np.ndarray, "node time"]


def plain_fit(rows: TransitionRows, terms: Sequence[Term]) -> PlainFit:
    """The fit of all terms without inner constants."""
    columns = []
    with np.errstate(all="ignore"):
        for term in terms:
            if not term.inner:
                column = rows.column(term)
                if np.isfinite(column).all() and np.any(column):
                    columns.append(column)
    whole = rows.target.copy()
    if not columns:
        measurement, process = levels_of(rows, whole * rows.scales)
        return PlainFit(measurement, process, np.zeros((len(whole), rows.data.num_times)))
    stacked = np.stack([c * rows.scales for c in columns], axis=-1)
    target, counted = whole * rows.scales, rows.counted
    variances = np.ones(target.shape)
    for _ in range(_ROUNDS):
        root = np.where(counted, 1.0 / np.sqrt(variances), 0.0)
        flat = (stacked * root[..., None]).reshape(-1, len(columns))
        sizes = np.sqrt((flat**2).sum(axis=0))
        sizes = np.where(sizes > 0, sizes, 1.0)
        found = np.linalg.lstsq(flat / sizes, (target * root).ravel(), rcond=_ALIKE)[0] / sizes
        expected = stacked @ found
        measurement, process = levels_of(rows, target - expected)
        variances = process + measurement * rows.measured
    return PlainFit(measurement, process, rows.unrotated(expected / rows.scales))


def levels_of(rows: TransitionRows, left: Float[np.ndarray, "node row"]) -> tuple[float, float]:
    """The variances sigma^2 and q^2 of what is left in rows before they were brought to one variance."""
    counts = rows.num_rows
    asked = counts > 0
    squares = np.where(rows.counted, left**2, 0.0)
    mean = squares.sum(axis=1)[asked] / counts[asked]
    kept = np.flatnonzero(asked)[mean <= _SPOILED * np.median(mean)]
    some = rows.counted[kept]
    measurement, process = noise_levels(squares[kept][some], rows.measured[kept][some])
    spread = float(np.var((rows.target * rows.scales)[rows.counted]))
    # What no law is asked to explain.
    return measurement, max(process, FLOOR**2 * spread if measurement == 0 else process)


def step_laws(
    data: GridData,
    network: Network,
    variable: int,
    library: Sequence[Term],
    *,
    is_map: bool,
    fit: PlainFit,
    ends: np.ndarray | None,
    max_terms: int,
    fixed: Sequence[Term] = (),
    given: Sequence[Term] = (),
    deadline: float = math.inf,
    seed: int = 0,
) -> StepLaws | None:
    """The best laws of a variable. fixed: terms that every law holds as they are; given: with constants to be
    fitted. Raises nothing where no law is found: then there is none."""
    measurement, process = fit.measurement, fit.process
    found: StepLaws | None = None
    for _ in range(_SEARCHES):
        rows = TransitionRows(data, network, variable, is_map, ends)
        for term in fixed:
            rows.target -= np.where(rows.counted, rows.column(term), 0.0)
        whole = rows.num_rows.sum()
        rows.whitened(measurement, process)
        rows.thinned(_MOST_ROWS, seed)
        search = RobustSearch(rows, 1.0, library, max_terms, given, deadline)
        # The followers of the laws before are still those of the same laws.
        for known in found.laws[:_KEPT] if found is not None else ():
            search.fitted(known.terms, known.fit)
        if not whole:
            break
        search.eliminated()
        laws = search.best(_PAIRS)
        if not laws:
            break
        for law in laws[:_EXCHANGED]:
            if beside := [t for t in law.terms if t.inner]:
                search.eliminated(beside)
        laws = search.ranked()
        for law in laws[:_EXCHANGED]:
            better = search.exchanged(law)
            if better.criterion < law.criterion:
                search.shortened(better)
        laws = [law for law in search.ranked() if len(law.terms) <= max_terms]
        found = StepLaws(tuple(laws), search, measurement, process)
        before = process + measurement * float(rows.measured[rows.counted].mean())
        measurement, process = levels_of(rows, _left(search, found.best) * rows.scales)
        after = process + measurement * float(rows.measured[rows.counted].mean())
        found = StepLaws(tuple(laws), search, measurement, process)
        if not search.finished or after * _FALLEN**2 > before:
            break
    return found


def _left(search: RobustSearch, law: RobustLaw) -> Float[np.ndarray, "node row"]:
    """What a law leaves in the rows."""
    columns = [search.rows.column(term) for term in law.terms]
    expected = sum(
        (c * v for c, v in zip(columns, law.coefficients, strict=True)),
        start=np.zeros(search.rows.target.shape),
    )
    return np.where(search.rows.counted, search.rows.target - expected, 0.0)
