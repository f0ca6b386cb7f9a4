"""Every small set of plain terms and one function, beside a slow search by least squares."""

from itertools import combinations

import numpy as np
import pytest
import sympy

from jaxllc.dynamics.terms import SELF, Term, TermFamily
from jaxllc.search.laws.reduced_columns import Reduced
from jaxllc.search.laws.sparse_sets import criterion_of_sets
from jaxllc.search.second_look import small_sets as module
from jaxllc.search.second_look.likelihood_columns import Regression
from jaxllc.search.second_look.set_refinement import refined_set
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


def by_least_squares(reduced, positions, slope=None):
    """Score and residual of a set by the candidates' own columns, and the derivatives of one of them."""
    own = [reduced.columns[:, reduced.first[p]] for p in positions]
    own += [] if slope is None else [reduced.columns[:, reduced.first[slope] + 1]]
    left = np.linalg.lstsq(np.stack(own, axis=1), reduced.targets[:, 0], rcond=None)[1][0] + 0.7
    constants = sum(int(reduced.width[p]) for p in positions)
    return float(criterion_of_sets(left, ROWS, constants, FLOOR)), float(left)


@pytest.mark.parametrize("base", [(), (1,)])
def test_the_best_sets_of_each_kind_and_size_are_found(base):
    reduced = candidates()
    found = small_sets(reduced, FLOOR, 3, base)
    assert [p.score for p in found] == sorted(p.score for p in found)
    free = [k for k in range(5) if k not in base]
    # Of each function the best set of each size, by its points and by what lies near them.
    for function in (range(5, 8), range(8, 11)):
        for size in range(3):
            options = {
                tuple(sorted((*base, *some, m))): m
                for some in combinations(free, size)
                for m in function
            }
            for near in (False, True):
                scores = {
                    positions: by_least_squares(reduced, positions, m if near else None)
                    for positions, m in options.items()
                }
                best = min(scores, key=lambda p: scores[p])
                mine = [(p.score, p.residual) for p in found if p.positions == best]
                assert pytest.approx(scores[best]) in mine
    # Of plain terms the best sets of each size.
    for size in (1, 2, 3):
        options = [
            by_least_squares(reduced, sorted((*base, *some)))[0]
            for some in combinations(free, size)
        ]
        whole = size + len(base)
        own = [p.score for p in found if max(p.positions) < 5 and len(p.positions) == whole]
        assert own == pytest.approx(sorted(options)[: len(own)])
        assert len(own) == min(len(options), module._PER_SIZE)


def test_sizes_that_are_too_many_are_left_out(monkeypatch):
    reduced = candidates()
    monkeypatch.setattr(module, "_MOST", 11 + 5 * 11)
    assert max(len(p.positions) for p in small_sets(reduced, FLOOR, 4)) == 2


def test_between_points_of_a_grid_the_constant_is_found():
    """Columns of 1/(1 + w x) at w of 0.3, 0.9 and 2.7; the target is made with 0.5 and 1.7."""
    x = np.linspace(0.1, 4, 60)
    family = TermFamily(SELF, 1 / (1 + w0 * x_i), (True,), bounds=((0.1, 9.0),))
    # A bound may put two points on one place.
    grid = (0.3, 0.9, 2.7, 2.7)
    terms = [Term(TermFamily(SELF, x_i)), *(Term(family, (w,)) for w in grid)]
    columns = np.stack(
        [x, *(c for w in grid for c in (1 / (1 + w * x), -x / (1 + w * x) ** 2))], axis=1
    )
    scale = np.linalg.norm(columns, axis=0)
    width = np.array([1, 2, 2, 2, 2])
    first = np.cumsum(width) - width
    for true in (0.5, 1.7):
        target = 0.4 * x - 3 / (1 + true * x)
        reduced = Reduced(
            terms, columns / scale, first, width, target[:, None], np.zeros(1), np.array([60])
        )
        found = refined_set(Regression(reduced, scale, 0.0), [0, 1])
        assert found.terms[1].inner[0] == pytest.approx(true, rel=0.01)
        assert found.coefficients == pytest.approx((0.4, -3), rel=0.01)
        assert found.residual < 1e-4 * (target**2).sum()
