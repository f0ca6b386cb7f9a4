"""The judge and its moves: from a law that is wrong in a known way to the right one."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge import moves
from jaxllc.judge.judge import Judge
from jaxllc.judge.pareto import choice, explained, held_out_error, pareto_front
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

x_i, x_j, w0 = sympy.symbols("x_i x_j w0")
OWN = Term(TermFamily(SELF, x_i))
SPREAD = Term(TermFamily(INTERACTION, x_j))
BOTH = Term(TermFamily(INTERACTION, x_i * x_j))
CONSTANT = Term(TermFamily(SELF, sympy.Integer(1)))
SQUARE = Term(TermFamily(SELF, x_i**2))
NEARLY_LINEAR = Term(TermFamily(SELF, x_i / (w0 + x_i), (True,), ((0.5, 60.0),)), (50.0,))
TRUTH = CandidateLaw(((OWN, SPREAD, BOTH),), ((-0.5, 0.5, -0.5),))


@pytest.fixture(scope="module")
def search():
    network = jaxllc.generators.barabasi_albert(20, 3, seed=0)
    known = jaxllc.known_laws.get("epidemic")
    times = np.linspace(0, 4, 60)
    runs = [known.simulate(network, times, seed=r).with_noise(40, seed=r) for r in range(3)]
    return SearchProblem(grid_data(runs, smooth(runs, refine=2)), network, False, 0)


@pytest.fixture
def judge(search):
    problem = TrajectoryProblem.of(search.data.coarser(2), search.network, search.noise, 2)
    return Judge(problem, search.floor)


def test_true_law_leaves_the_noise_and_no_more(judge):
    fitted = judge.fitted(TRUTH)
    samples, initial = judge.num_samples, judge.problem.dimension * judge.problem.num_runs
    share = judge.merit(fitted.fit) / (samples - initial)
    assert 0.85 < share < 1.15
    assert explained(judge, fitted)


def test_spurious_terms_are_dropped(judge):
    larger = CandidateLaw(
        ((OWN, SPREAD, BOTH, SQUARE, CONSTANT),), ((-0.5, 0.5, -0.5, 0.01, 0.01),)
    )
    best = moves.dropped(judge, judge.fitted(larger))
    assert best.law.key() == TRUTH.key()


def test_missing_term_is_added(judge):
    smaller = judge.fitted(TRUTH.without(frozenset([2])))
    best = moves.added(judge, smaller, [SQUARE, CONSTANT, BOTH])
    assert best.law.key() == TRUTH.key()
    assert best.criterion < smaller.criterion


def test_wrong_term_is_swapped_for_the_right_one(judge):
    wrong = judge.fitted(CandidateLaw(((OWN, SPREAD, SQUARE),), ((-0.5, 0.5, -0.5),)))
    best = moves.swapped(judge, wrong, [BOTH, CONSTANT], num_weakest=3)
    assert best.criterion < wrong.criterion
    assert BOTH.family in {t.family for t in best.law.terms[0]}


def test_term_in_its_linear_range_is_simplified(judge):
    impostor = CandidateLaw(((NEARLY_LINEAR, SPREAD, BOTH),), ((-25.0, 0.5, -0.5),))
    best = moves.simplified(judge, judge.fitted(impostor), [OWN, SQUARE, CONSTANT])
    assert best.law.key() == TRUTH.key()


def test_a_term_that_saturates_is_exchanged_for_what_the_data_show(search, judge):
    engine = SparseEngine()
    engine.propose(search, 0)
    judge.replacements = lambda equation, kept, side: engine.replacements(
        search, equation, kept, side
    )
    impostor = CandidateLaw(((NEARLY_LINEAR, SPREAD, BOTH),), ((-25.0, 0.5, -0.5),))
    fitted = judge.fitted(impostor)
    best = moves.exchanged(judge, fitted)
    assert best.criterion <= fitted.criterion
    assert not any(t.inner for t in best.law.terms[0])


def test_proposals_of_the_engine_hold_the_truth_and_the_judge_takes_it(search, judge):
    proposals = SparseEngine().propose(search, 0)
    start = CandidateLaw(((OWN,),), ((-0.1,),))
    best = judge.choose([proposals], start, num_fits=4)
    best = moves.dropped(judge, best)
    found = {t.family.expression for t in best.law.terms[0]}
    assert found == {x_i, x_j, x_i * x_j}


def test_held_out_error_is_small_for_the_truth_and_large_without_interaction(search, judge):
    right = judge.fitted(TRUTH)
    wrong = judge.fitted(CandidateLaw(((OWN,),), ((-0.1,),)))
    good, bad = (held_out_error(judge, j, search.std) for j in (right, wrong))
    assert good < 0.05
    assert bad > 5 * good


def test_forecast_decides_where_no_law_explains_the_samples(search, judge):
    poor = judge.fitted(CandidateLaw(((CONSTANT,),), ((0.1,),)))
    other = judge.fitted(CandidateLaw(((CONSTANT, SQUARE),), ((0.1, -0.1),)))
    assert not explained(judge, other)
    front = pareto_front(judge, poor, search.std)
    taken = choice(judge, poor, front)
    errors = {id(m.judged): m.held_out_error for m in front}
    assert errors[id(taken)] <= 1.05 * min(errors.values())


def test_time_that_is_over_ends_the_moves(judge):
    judge.deadline = 0.0
    smaller = judge.fitted(TRUTH.without(frozenset([2])))
    assert moves.added(judge, smaller, [BOTH]) is smaller
    assert moves.swapped(judge, smaller, [BOTH]) is smaller


def test_constants_out_of_all_range_make_no_law(search, judge):
    assert search.largest_constant > 1e6
    judge.largest = 0.4
    assert judge.fitted(TRUTH).criterion == np.inf
    judge.seen.clear()
    judge.largest = search.largest_constant
    assert np.isfinite(judge.fitted(TRUTH).criterion)
