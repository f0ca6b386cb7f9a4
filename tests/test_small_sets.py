"""Every small set of plain terms and one function, beside a slow search by least squares."""

from itertools import combinations

import numpy as np
import pytest
import sympy

from jaxllc.dynamics.terms import SELF, Term, TermFamily
from jaxllc.search.laws.reduced_columns import Reduced
from jaxllc.search.laws.sparse_sets import information_criterion
from jaxllc.search.second_look import small_sets as module
from jaxllc.search.second_look.small_sets import small_sets

x_i, w0 = sympy.symbols("x_i w0")
ROWS, FLOOR = 50, 1e-3


def candidates():
    """Five plain terms and two functions at three points each, with random columns."""
    plain = [Term(TermFamily(SELF, x_i**k)) for k in range(5)]
    functions = [TermFamily(SELF, f, (True,)) for f in (sympy.exp(-w0 * x_i), sympy.sin(w0 * x_i))]
    terms = [*plain, *(Term(f, (w,)) for f in functions for w in (0.5, 1.0, 2.0))]
    width = np.array([1 + len(t.inner) for t in terms])
    random = np.random.default_rng(3)
    columns = random.normal(size=(40, width.sum())) + random.normal(size=(40, 1))
    columns /= np.linalg.norm(columns, axis=0)
    target = random.normal(size=(40, 1)) + 3 * columns[:, :1] - 2 * columns[:, 7:8]
    first = np.cumsum(width) - width
    return Reduced(terms, columns, first, width, target, np.array([0.7]), np.array([ROWS]))


def by_least_squares(reduced, positions):
    """Score and residual of a set of candidates by their own columns, its base with all columns."""
    own = [reduced.columns[:, reduced.first[p]] for p in positions]
    left = np.linalg.lstsq(np.stack(own, axis=1), reduced.targets[:, 0], rcond=None)[1][0] + 0.7
    constants = sum(int(reduced.width[p]) for p in positions)
    return float(information_criterion(left, ROWS, constants, FLOOR)), float(left)


@pytest.mark.parametrize("base", [(), (1,)])
def test_the_best_sets_of_each_kind_are_found(base):
    reduced = candidates()
    found = small_sets(reduced, FLOOR, 3, base)
    scores = {p.positions: (p.score, p.residual) for p in found}
    for positions, values in scores.items():
        assert values == pytest.approx(by_least_squares(reduced, positions))
    assert list(scores) == sorted(scores, key=lambda p: scores[p][0])
    free = [k for k in range(5) if k not in base]
    # Of each function the best sets, each with one member of it, that at its best point.
    for function in (range(5, 8), range(8, 11)):
        options = [
            min(by_least_squares(reduced, sorted((*base, *some, m)))[0] for m in function)
            for size in range(3)
            for some in combinations(free, size)
        ]
        own = [p.score for p in found if set(p.positions) & set(function)]
        assert own == pytest.approx(sorted(options)[: len(own)])
        assert len(own) == module._PER_FAMILY
    # Of plain terms the best sets of each size.
    for size in (1, 2, 3):
        options = [
            by_least_squares(reduced, sorted((*base, *some)))[0]
            for some in combinations(free, size)
        ]
        own = [
            p.score for p in found if max(p.positions) < 5 and len(p.positions) == size + len(base)
        ]
        assert own == pytest.approx(sorted(options)[: len(own)])
        assert len(own) == min(len(options), module._PER_SIZE)


def test_sizes_that_are_too_many_are_left_out(monkeypatch):
    reduced = candidates()
    monkeypatch.setattr(module, "_MOST", 11 + 5 * 11)
    assert max(len(p.positions) for p in small_sets(reduced, FLOOR, 4)) == 2
