"""Laws of single nodes that are told apart by what edges they would need."""

import numpy as np
import pytest
import sympy

from jaxllc.dynamics.terms import INTERACTION, Term, TermFamily
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_search import SetSearch
from jaxllc.nodewise.edges.mended_laws import mends_best
from jaxllc.nodewise.edges.sender_columns import SenderColumns
from jaxllc.nodewise.robust_search import RobustSearch
from tests.test_nodewise import BOTH, HILL, NUM_NODES, OWN, SEND, rows_of, runs_on, saturating

x_j, k_i, w0 = sympy.symbols("x_j k_i w0")
MEAN = Term(TermFamily(INTERACTION, x_j / (k_i * (w0 + x_j)), (True,)), (1.0,))
LIBRARY = [OWN, SEND, BOTH, HILL, MEAN]


def in_threes():
    """Three senders to every node: their sum is three times their mean."""
    random, A = np.random.default_rng(4), np.zeros((NUM_NODES, NUM_NODES))
    for node in range(NUM_NODES):
        others = np.delete(np.arange(NUM_NODES), node)
        A[node, random.choice(others, 3, replace=False)] = 1.0
    return A


@pytest.fixture(scope="module")
def runs():
    return runs_on(in_threes(), saturating, (1.0, 3.0), runs=4, level=0.02)


def search_on(runs, A):
    rows, _ = rows_of(runs, A)
    return RobustSearch(rows, 0.02 * float(np.std(runs[0].states)), LIBRARY, 4)


def test_the_right_law_needs_the_edges_that_were_lost(runs):
    given = in_threes()
    for node in range(20):
        given[node, np.flatnonzero(given[node])[0]] = 0.0
    search = search_on(runs, given)
    right, mean = search.fitted((OWN, HILL)), search.fitted((OWN, MEAN))
    assert np.sum(mean.fit.follows > 0.5) > np.sum(right.fit.follows > 0.5)
    assert mean.criterion < right.criterion
    assert mends_best(search, [mean, right]) is right
    assert mends_best(search, [right, mean]) is None


def test_laws_of_a_right_network_stay_in_their_order(runs):
    search = search_on(runs, in_threes())
    laws = [search.fitted((OWN, one)) for one in (HILL, SEND)]
    assert mends_best(search, laws) is None


def test_a_few_flips_are_the_best_of_all_of_them(runs):
    given = in_threes()
    given[0, np.flatnonzero(given[0])[0]] = 0.0
    search = search_on(runs, given)
    law = search.fitted((OWN, HILL))
    columns = SenderColumns([search.rows], [search.fitter.noise], [law.terms], [law.coefficients])
    odds = EdgePrior().log_odds(search.rows.network)[0]
    sets = SetSearch(columns.of(0), np.ones(NUM_NODES), odds, 3)
    found = sets.near(given[0] > 0)
    one = np.tile(given[0] > 0, (NUM_NODES - 1, 1))
    one[np.arange(NUM_NODES - 1), np.arange(1, NUM_NODES)] ^= True
    costs, _ = columns.of(0).likelihoods(columns.of(0).alone - one @ columns.of(0).columns)
    free = np.isfinite(odds)
    scores = -0.5 * costs + one[:, free] @ odds[free]
    assert found.score[0] >= scores.max() - 1e-9
    assert np.array_equal(found.members[0], one[scores.argmax()])
    assert np.array_equal(found.members[0], in_threes()[0] > 0)
