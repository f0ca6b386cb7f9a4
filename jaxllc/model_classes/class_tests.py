"""Which extension of a law the samples ask for: classes of models compared by one criterion.

A law whose nodes are alike, on the network as it is given, is searched by the likelihood of single nodes
(see `jaxllc.nodewise`), and so is a law of each class that has one thing more; nodes may follow or not in
all of them, so that wrong edges alone ask for nothing. What a class brings is the fall of the criterion,
its constants paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sympy

from jaxllc.dynamics.terms import SELF, Term, TermFamily
from jaxllc.equations.sum_symbols import SUM_SIDE
from jaxllc.knowledge.forcing_terms import is_forcing
from jaxllc.law.record import ModelClass
from jaxllc.model_classes.class_columns import delayed, forcing_columns, runs_of, since
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.nodewise.robust_search import RobustLaw, RobustSearch
from jaxllc.running.time_limit import check_time
from jaxllc.varying.own_constants import first_searches
from jaxllc.varying.varying_search import acts

CONSTANTS, FORCING, DELAY, CHANGING, PAIRS = (
    "constants of nodes",
    "common forcing",
    "delay on edges",
    "changing network",
    "pairs of neighbours",
)
# Fall of the criterion from which a class is asked for. Where nothing lacks, or edges are wrong, no gain in
# benchmarks/results/model_classes.txt is above zero; where a class lacks, its own is in the hundreds.
NEEDED = 30.0
# Share of followers below which the laws with constants of nodes are searched whole.
_FEW = 0.25
# Laws of nodes that are alike from which a class is tried.
_LAWS = 2
# Delays that are tried, as shares of a run.
_DELAYS = (0.01, 0.02, 0.04, 0.08, 0.15)


# What includes each.
_CALLS = {
    CONSTANTS: "vary={'omega': 'node'}",
    FORCING: 'forcing="smooth"',
    DELAY: "",
    CHANGING: "a network for each stretch of time",
    PAIRS: "sums=True",
}


class ClassTest(NamedTuple):
    """One class in the equation of one variable.

    gain: fall of -2 log L beyond the price of its constants, over the best law without it; follow, followed:
    share of the nodes that follow with and without it.
    """

    name: str
    variable: int
    gain: float
    follow: float
    followed: float

    @property
    def needed(self) -> bool:
        """Whether the samples ask for it beyond chance."""
        return self.gain > NEEDED and self.follow > self.followed


def class_note(tests: Sequence[ClassTest], variables: Sequence[str]) -> str:
    """What the samples ask for most, for people; nothing where they ask for none."""
    asked = [test for test in tests if test.needed]
    if not asked:
        return ""
    best = asked[0]
    call = _CALLS[best.name]
    how = f" ({call})" if call else ", which no choice of discover takes in"
    return (
        f"The samples of {variables[best.variable]} ask for something that this law lacks: {best.name}{how}. "
        f"With it {best.follow:.0%} of the nodes follow one law, without it {best.followed:.0%}, and the "
        f"criterion falls by {best.gain:.0f}; law.model_classes_table() holds all that was tried."
    )


def class_record(tests: Sequence[ClassTest], variables: Sequence[str]) -> tuple[ModelClass, ...]:
    """The tests as a law holds them."""
    return tuple(
        ModelClass(t.name, variables[t.variable], t.gain, t.follow, t.followed, t.needed)
        for t in tests
    )


def class_tests(searches: Sequence[RobustSearch]) -> list[ClassTest]:
    """All classes in the equations of some searches that are through, those that bring most first."""
    found = [test for search in searches for test in _of_equation(search)]
    return sorted(found, key=lambda test: -test.gain)


def _of_equation(plain: RobustSearch) -> list[ClassTest]:
    laws, rows = plain.ranked()[:_LAWS], plain.rows
    if not laws or not isinstance(rows, NodeRows):
        return []
    best = laws[0]

    def test(name: str, criterion: float, follows: np.ndarray) -> ClassTest:
        gain = best.criterion - criterion
        share, before = (float(np.mean(f >= 0.5)) for f in (follows, best.fit.follows))
        return ClassTest(name, rows.variable, float(gain), share, before)

    tests = []
    varied = first_searches(plain, laws)
    if np.mean(best.fit.follows >= 0.5) < _FEW:
        # The laws of nodes that are alike say little of the form.
        for search in varied[:2]:
            search.best()
    constants = min(
        (law for search in varied for law in search.seen.values()), key=lambda law: law.criterion
    )
    tests.append(test(CONSTANTS, constants.criterion, constants.fit.follows))
    if not any(is_forcing(t.family) for t in plain.given):
        forced = _forced(plain, rows)
        tests.append(test(FORCING, forced.criterion, forced.fit.follows))
    acting = [law for law in plain.ranked() if any(acts(t.family) for t in law.terms)][:_LAWS]
    if acting:
        tests.append(test(DELAY, *_delayed(plain, rows, acting)))
    tests.append(test(CHANGING, *_changing(plain, rows, acting)))
    pairs = _of_pairs(plain)
    tests.append(test(PAIRS, pairs.criterion, pairs.fit.follows))
    return tests


def _forced(plain: RobustSearch, rows: NodeRows) -> RobustLaw:
    """The best law beside a forcing that all nodes share."""
    search = plain.again()
    search.beside = tuple(forcing_columns(rows))
    found = search.best()
    return found[0] if found else plain.ranked()[0]


def _refitted(
    plain: RobustSearch, rows: NodeRows, law: RobustLaw, more: Sequence[np.ndarray] = ()
) -> tuple[float, np.ndarray]:
    """Criterion of a law on other rows, with columns beside its own, and who follows."""
    columns = [rows.column(t) for t in law.terms]
    fit = plain.fitter.fit([*columns, *more])
    constants = sum(t.num_constants for t in law.terms) + len(more)
    price = constants * np.log(plain.fitter.num_rows) + len(law.terms) * np.log(len(plain.starts))
    return fit.cost + price, fit.follows


def _delayed(
    plain: RobustSearch, rows: NodeRows, laws: Sequence[RobustLaw]
) -> tuple[float, np.ndarray]:
    """The best delay under some laws, which is one constant."""
    found = []
    for share in _DELAYS:
        check_time()
        late = delayed(rows, share)
        found += [_refitted(plain, late, law) for law in laws]
    criterion, follows = min(found, key=lambda pair: pair[0])
    return criterion + float(np.log(plain.fitter.num_rows)), follows


class _ChangingSearch(RobustSearch):
    """A search in which the strength of all interactions is a polynomial of the time."""

    def __init__(self, plain: RobustSearch, rows: NodeRows) -> None:
        library = [term for starts in plain.starts.values() for term in starts]
        super().__init__(
            rows, plain.fitter.noise, library, plain.max_terms, plain.given, plain.deadline
        )
        self._time, self._own_rows = since(rows), rows
        self._partners: dict[Term, list[np.ndarray]] = {}

    def more(self, terms: Sequence[Term]) -> list[np.ndarray]:
        found = []
        for term in terms:
            if not acts(term.family):
                continue
            if term not in self._partners:
                rows = self._own_rows
                value = rows.stage.evaluator(term.inner).value(term.family)
                shapes = (self._time, self._time**2)
                self._partners[term] = [rows.rotated(value * shape) for shape in shapes]
            found += self._partners[term]
        return found


def _changing(
    plain: RobustSearch, rows: NodeRows, laws: Sequence[RobustLaw]
) -> tuple[float, np.ndarray]:
    """A strength of all edges that changes with time, or from run to run."""
    search = _ChangingSearch(plain, rows)
    law = next(iter(search.best()), None)
    found = [] if law is None else [(law.criterion, law.fit.follows)]
    by_run = runs_of(rows)
    for law in laws if len(by_run) else ():
        check_time()
        strength = sum(
            c * rows.stage.evaluator(t.inner).value(t.family)
            for t, c in zip(law.terms, law.coefficients, strict=True)
            if acts(t.family)
        )
        columns = [rows.rotated(strength * run) for run in by_run]
        found.append(_refitted(plain, rows, law, columns))
    return min(found, key=lambda pair: pair[0], default=(np.inf, np.zeros(1)))


def _of_pairs(plain: RobustSearch) -> RobustLaw:
    """The best law with products of two neighbours' states in its library."""
    search = plain.again()
    for name in plain.rows.data.variables:
        own, total = sympy.Symbol(f"{name}_i"), sympy.Symbol(f"{name}_{SUM_SIDE}")
        for expression in (total**2, own * total**2):
            family = TermFamily(SELF, expression)
            search.starts.setdefault(family, [Term(family)])
    found = search.best()
    return found[0] if found else plain.ranked()[0]
