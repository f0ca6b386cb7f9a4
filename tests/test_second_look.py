"""The second look: the regression around a law, other forms of it, and the law as a teacher."""

from functools import partial

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.discovery.assemble import _last_fit, constants_of
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.equations.equation import Equation
from jaxllc.equations.functions import sigmoid
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.condensing import FULL, OWN, linearise
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judge
from jaxllc.judge.number_choice import by_numbers
from jaxllc.judge.price import Prices
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.second_look.likelihood_columns import affordable, likelihood_columns
from jaxllc.search.second_look.look import _tied_nearby
from jaxllc.search.second_look.rewriting import rewritten, shortened
from jaxllc.search.second_look.set_search import nested_sets
from jaxllc.search.second_look.shortest import shortest
from jaxllc.search.second_look.sides import NOTHING_KNOWN, side_expression, with_side
from jaxllc.search.second_look.teaching import may_imitate, taught_samples
from jaxllc.search.second_look.ties import tied, tied_laws
from jaxllc.search.second_look.wide_terms import wide_terms
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

x_i, x_j, w0, w1 = sympy.symbols("x_i x_j w0 w1")
LINEAR = Term(TermFamily(SELF, x_i))
SQUARE = Term(TermFamily(SELF, x_i**2))
CUBE = Term(TermFamily(SELF, x_i**3))
SPREAD = Term(TermFamily(INTERACTION, x_j))
BENT = Term(TermFamily(INTERACTION, sympy.tanh(w0 * x_j), (True,)), (1.3,))
STEP = Term(TermFamily(INTERACTION, sigmoid(w0 * x_j - w0 * w1), (True, False)), (2.6, 0.0))
ALONE = Term(TermFamily(INTERACTION, sympy.Integer(1)))
PRICES = Prices()
TRUTH = CandidateLaw(((LINEAR, BENT),), ((-1.0, 0.8),))


def noisy_runs(rate, network, start, end, db, count=3, seed=0):
    """Runs of dx/dt = rate(x, A) from uniform initial states at thirty times, with noise."""
    A, random = network.to_adjacency().toarray(), np.random.default_rng(seed)
    times, nodes = np.linspace(0, end, 30), network.num_nodes
    runs = []
    for k in range(count):
        first = random.uniform(*start, nodes)
        flow = lambda t, x: rate(x, A)  # noqa: E731
        states = solve_ivp(flow, (0, end), first, t_eval=times, rtol=1e-9).y.T
        runs.append(jaxllc.Trajectories(times, states[..., None]).with_noise(db, seed=k))
    return runs


@pytest.fixture(scope="module")
def search():
    """dx_i/dt = -x_i + 0.8 sum_j tanh(1.3 x_j), three runs of twelve nodes."""
    network = jaxllc.generators.erdos_renyi(12, 3, seed=1)
    rate = lambda x, A: -x + 0.8 * A @ np.tanh(1.3 * x)  # noqa: E731
    runs = noisy_runs(rate, network, (-2, 2), 4, 25)
    return SearchProblem(grid_data(runs, smooth(runs, refine=2)), network, False, 0)


@pytest.fixture
def judge(search):
    problem = TrajectoryProblem.of(search.data, search.network, search.noise, 2)
    return Judge(problem, search.floor)


def left_by(regression, positions):
    """Chi-squared that a set of candidates is predicted to leave."""
    reduced = regression.reduced
    chosen = [reduced.first[p] + k for p in positions for k in range(reduced.width[p])]
    target, columns = reduced.targets[:, 0], reduced.columns[:, chosen]
    rest = target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]
    return float(reduced.outside[0] + rest @ rest)


def test_the_regression_says_what_sets_of_terms_leave_when_they_are_fitted(judge):
    best = judge.fitted(TRUTH, iterations=20)
    candidates = [*best.law.terms[0], SQUARE, CUBE, SPREAD]
    regression = likelihood_columns(judge, best, 0, candidates)
    assert left_by(regression, [0, 1]) == pytest.approx(judge.merit(best.fit), rel=1e-3)
    for more in (2, 3, 4):
        law = CandidateLaw(((*best.law.terms[0], candidates[more]),), ((-1.0, 0.8, 0.0),))
        fitted = judge.fitted(law, best.fit.states, iterations=20)
        gain = judge.merit(best.fit) - judge.merit(fitted.fit)
        predicted = judge.merit(best.fit) - left_by(regression, [0, 1, more])
        assert predicted == pytest.approx(gain, abs=0.2 + 0.1 * gain)


def test_constants_of_other_equations_stay_free_in_the_regression():
    """Two variables: dx/dt = x - x^3/3 - y + 0.2 sum (x_j - x_i), dy/dt = 0.3 x - 0.2 y + 0.1."""
    network = jaxllc.generators.erdos_renyi(8, 3, seed=2)
    A, random, times = (
        network.to_adjacency().toarray(),
        np.random.default_rng(0),
        np.linspace(0, 6, 40),
    )

    def rate(t, state):
        x, y = state.reshape(2, -1)
        spread = A @ x - A.sum(axis=1) * x
        return np.concatenate([x - x**3 / 3 - y + 0.2 * spread, 0.3 * x - 0.2 * y + 0.1])

    states = solve_ivp(rate, (0, 6), random.uniform(-1, 1, 16), t_eval=times, rtol=1e-9).y.T
    values = states.reshape(40, 2, 8).transpose(0, 2, 1)
    run = jaxllc.Trajectories(times, values, variables=["x", "y"]).with_noise(30, seed=0)
    smoothed = smooth([run], refine=2)
    problem = TrajectoryProblem.of(grid_data([run], smoothed), network, smoothed.noise, 2)
    judge = Judge(problem, 1e-6 * smoothed.noise)
    y_i = sympy.Symbol("y_i")
    other, one = Term(TermFamily(SELF, y_i)), Term(TermFamily(SELF, sympy.Integer(1)))
    gap = Term(TermFamily(INTERACTION, x_j - x_i))
    terms = ((LINEAR, CUBE, other, gap), (LINEAR, other, one))
    law = CandidateLaw(terms, ((1.0, -1 / 3, -1.0, 0.2), (0.3, -0.2, 0.1)))
    best = judge.fitted(law, iterations=20)
    regression = likelihood_columns(judge, best, 0, [*terms[0], SQUARE])
    assert left_by(regression, [0, 1, 2, 3]) == pytest.approx(judge.merit(best.fit), rel=1e-3)
    assert regression.others == pytest.approx(3 * judge.penalty + Prices().of_terms(terms[1]))
    longer = law.replaced(0, (*terms[0], SQUARE), (*best.law.coefficients[0], 0.0))
    fitted = judge.fitted(longer, best.fit.states, iterations=20)
    gain = judge.merit(best.fit) - judge.merit(fitted.fit)
    predicted = judge.merit(best.fit) - left_by(regression, [0, 1, 2, 3, 4])
    assert predicted == pytest.approx(gain, abs=0.2 + 0.1 * gain)


def test_products_of_all_extra_terms_do_not_depend_on_the_way_initial_states_are_condensed(judge):
    best = judge.fitted(TRUTH)
    extra = [(0, SQUARE), (0, CUBE), (0, SPREAD)]
    states, nodes = best.fit.states, np.arange(judge.problem.num_nodes)
    whole = linearise(judge.problem, best.law, states, FULL, extra, mutual=True)
    pairs = linearise(judge.problem, best.law, states, FULL, extra)
    np.testing.assert_allclose(
        np.diag(whole.normal.constants), np.diag(pairs.normal.constants), rtol=1e-12
    )
    assert whole.normal.constants[-1, -2] != 0 == pairs.normal.constants[-1, -2]
    own = linearise(judge.problem, best.law, states, OWN, extra, mutual=True, nodes=nodes)
    np.testing.assert_allclose(own.normal.constants, whole.normal.constants, rtol=1e-10)
    parts = [
        linearise(
            judge.problem, best.law, states, OWN, extra, mutual=True, nodes=half
        ).normal.constants
        for half in (nodes[:5], nodes[5:])
    ]
    np.testing.assert_allclose(sum(parts), own.normal.constants, rtol=1e-10)


def test_what_cannot_be_afforded_loses_grid_points_before_families(judge):
    grid = [BENT.with_inner([w]) for w in (0.5, 1.0, 2.0, 4.0, 8.0)]
    candidates = [LINEAR, SQUARE, *grid]
    assert affordable(judge, candidates, 1) == candidates
    size = judge.problem.num_runs * judge.problem.dimension * judge.problem.grid_length
    with pytest.MonkeyPatch.context() as patch:
        module = "jaxllc.search.second_look.likelihood_columns._LARGEST_SIZE"
        for columns, left in ((8, 3), (5, 1), (3, 0), (1, None)):
            patch.setattr(module, columns * size)
            kept = affordable(judge, candidates, 1)
            bent = [t for t in kept if t.inner]
            assert len(bent) <= left if left is not None else kept == []
            if left:
                assert bent
                assert {LINEAR, SQUARE} <= set(kept)


def test_nested_libraries_keep_the_plain_sets_that_a_common_list_drowns(search, judge):
    best = judge.fitted(TRUTH)
    regression = likelihood_columns(judge, best, 0, search.candidates(0))
    reduced = regression.reduced
    sets = nested_sets(reduced, judge.floor_ratio, 4)
    plain = [p for p in sets if all(not reduced.terms[q].inner for q in p.positions)]
    assert {len(p.positions) for p in plain} >= {1, 2, 3, 4}
    families = {t.family for t in reduced.terms if t.inner}
    found = {t.family for p in sets for t in (reduced.terms[q] for q in p.positions) if t.inner}
    assert found == families
    for proposal in sets[:20]:
        assert left_by(regression, proposal.positions) == pytest.approx(proposal.residual, rel=1e-6)


def test_a_sigmoid_and_a_constant_are_written_as_a_tanh(judge):
    longer = CandidateLaw(((LINEAR, STEP, ALONE),), ((-1.0, 1.6, -0.8),))
    best = judge.fitted(longer, iterations=12)
    found = rewritten(judge, best, 0)
    assert found.law.num_constants == best.law.num_constants - 1
    found = shortened(judge, found, 0)
    assert found.law.num_constants == TRUTH.num_constants
    assert found.criterion < best.criterion - judge.penalty
    assert side_expression(found.law, 0, INTERACTION).has(sympy.tanh)


def test_a_constant_that_says_nothing_is_left_out(judge):
    shifted = TermFamily(INTERACTION, sympy.tanh(w0 * x_j + w1), (True, False))
    best = judge.fitted(CandidateLaw(((LINEAR, Term(shifted, (1.3, 0.01))),), ((-1.0, 0.8),)))
    found = shortened(judge, best, 0)
    assert found.law.num_constants == best.law.num_constants - 1
    assert found.criterion < best.criterion


def test_what_is_taught_is_the_law_with_the_error_of_its_constants(search, judge):
    best = judge.fitted(TRUTH, iterations=20)
    samples = taught_samples(search, judge, best, 0, INTERACTION)
    (_, bent), (_, share) = best.law.terms[0], best.law.coefficients[0]
    x = samples.points[:, samples.names.index("x_j")]
    np.testing.assert_allclose(samples.values, share * np.tanh(bent.inner[0] * x), rtol=1e-12)
    # The same errors by drawing constants out of their distribution.
    covariance = np.linalg.inv(
        linearise(judge.problem, best.law, best.fit.states, FULL).normal.reduced()[1]
    )
    drawn = np.random.default_rng(0).multivariate_normal(best.law.vector(), covariance, 4000)
    spread = (drawn[:, 1, None] * np.tanh(np.exp(drawn[:, 2, None]) * x)).std(axis=0)
    smallest = 1e-3 * samples.values.std()
    np.testing.assert_allclose(samples.error, np.hypot(spread, smallest), rtol=0.1)


def test_a_side_is_taught_where_it_may_imitate_another_form():
    y_i = sympy.Symbol("y_i")
    plain = [Term(TermFamily(SELF, e)) for e in (sympy.Integer(1), x_i, x_i**3, y_i, x_i * y_i)]
    assert not may_imitate([BENT])
    assert may_imitate([BENT, SPREAD])
    assert not may_imitate(plain)
    assert may_imitate([*plain, SQUARE])


def test_a_side_is_replaced_and_the_other_kept():
    law = with_side(TRUTH, 0, SELF, 0.5 * x_i - 0.25 * x_i**2)
    assert side_expression(law, 0, SELF) == 0.5 * x_i - 0.25 * x_i**2
    assert side_expression(law, 0, INTERACTION) == side_expression(TRUTH, 0, INTERACTION)


def test_wide_terms_are_new_and_let_a_law_hold_two_of_a_kind(search):
    listed = {t.family for t in search.library}
    wide = {t.family for t in wide_terms(search, 0)}
    assert not wide & listed
    decays = [f for f in wide if f.expression == sympy.exp(-w0 * x_j)]
    assert len(decays) == 2
    assert decays[0].bounds != decays[1].bounds


def test_terms_pay_for_what_is_written_and_not_for_their_constants():
    assert PRICES.of(TRUTH) == PRICES.of(TRUTH.with_vector(TRUTH.vector() + 0.3))
    richer = Term(TermFamily(INTERACTION, sympy.tanh(w0 * x_j) * x_i, (True,)), (1.0,))
    assert PRICES.of(CandidateLaw(((LINEAR, richer),), ((1.0, 1.0),))) > PRICES.of(TRUTH)
    free = Term(TermFamily(INTERACTION, sympy.tanh(2 * x_j)), ())
    # A large whole number is a choice out of many.
    powers = [Term(TermFamily(INTERACTION, sympy.tanh(x_j) ** n)) for n in (2, 3, 11, 20)]
    costs = [PRICES.of(CandidateLaw(((p,),), ((1.0,),))) for p in powers]
    assert costs[0] == costs[1]
    assert costs[3] - costs[1] == pytest.approx(2 * np.log(20))
    assert costs[3] > costs[2] > costs[1] + 4
    # A whole number is a choice, too.
    assert PRICES.of(CandidateLaw(((free,),), ((1.0,),))) > PRICES.of(
        CandidateLaw(((BENT,),), ((1.0,),))
    )


def test_a_term_that_is_not_listed_pays_for_the_longer_list_it_is_from():
    falling = TermFamily(SELF, x_i * sympy.exp(-w0 * x_i), (True,), ((0.1, 5.0),))
    listed = [LINEAR, SQUARE, Term(falling, (1.0,))]
    rising = TermFamily(SELF, 3 * x_i * sympy.exp(w0 * x_i), (False,))
    tie, product = (Term(TermFamily(SELF, e)) for e in (x_i - x_i**2, x_i * (1 - x_i)))
    other = Term(TermFamily(SELF, x_i * sympy.tanh(w0 * x_i), (False,)), (1.0,))
    sides = Term(TermFamily(INTERACTION, x_i))
    prices, free = Prices(listed), Prices()
    for term, extra in (
        (LINEAR, 0),
        (Term(rising, (-1.0,)), 0),
        (tie, 0),
        (product, 0),
        (other, 10),
        (sides, 10),
    ):
        assert prices.of_terms([term]) - free.of_terms([term]) == extra


def test_a_short_law_is_found_behind_a_long_imitation():
    """x_j exp(-w x_j), which two saturating terms imitate in the first search."""
    network = jaxllc.generators.erdos_renyi(12, 3, seed=0)
    rate = lambda x, A: -0.8 * x + 1.2 * A @ (x * np.exp(-0.9 * x))  # noqa: E731
    runs = noisy_runs(rate, network, (0.2, 2.5), 4, 30, seed=1)
    law = jaxllc.discover(runs, network, seed=0, neural="never", sums=False, engines=("sparse",))
    truth = Equation(-0.8 * x_i, 1.2 * x_j * sympy.exp(-0.9 * x_j))
    assert jaxllc.metrics.skeleton_equal(law.equations, {"x": truth})


@pytest.mark.parametrize(("share", "alike"), [(-0.5, True), (-0.45, False)])
def test_coefficients_are_tied_where_the_data_do_not_object(share, alike):
    """dx_i/dt = -0.3 x_i + sum_j (0.5 x_j + share x_i x_j)."""
    network = jaxllc.generators.erdos_renyi(12, 3, seed=1)
    rate = lambda x, A: -0.3 * x + 0.5 * A @ x + share * x * (A @ x)  # noqa: E731
    (run,) = noisy_runs(rate, network, (0, 1), 3, 35, count=1)
    smoothed = smooth([run], refine=2)
    noise = np.full(1, float(smoothed.noise[0]))
    problem = TrajectoryProblem.of(grid_data([run], smoothed), network, noise, 2)
    both = Term(TermFamily(INTERACTION, x_i * x_j))
    law = CandidateLaw(((LINEAR, SPREAD, both),), ((-0.3, 0.5, share),))
    judge = Judge(problem, 1e-6 * noise)
    best = judge.fitted(law, iterations=12)
    assert (tied(judge, best, 0).law.num_constants == 2) == alike


def test_ties_are_tried_in_laws_near_the_best_one_too():
    """dx_i/dt = -0.3 x_i + 0.5 sum_j (x_j - x_i x_j); the best law has one term too many."""
    network = jaxllc.generators.erdos_renyi(12, 3, seed=1)
    rate = lambda x, A: -0.3 * x + 0.5 * A @ x - 0.5 * x * (A @ x)  # noqa: E731
    (run,) = noisy_runs(rate, network, (0, 1), 3, 35, count=1)
    smoothed = smooth([run], refine=2)
    noise = np.full(1, float(smoothed.noise[0]))
    problem = TrajectoryProblem.of(grid_data([run], smoothed), network, noise, 2)
    both = Term(TermFamily(INTERACTION, x_i * x_j))
    judge = Judge(problem, 1e-6 * noise)
    plain = judge.fitted(CandidateLaw(((LINEAR, SPREAD, both),), ((-0.3, 0.5, -0.5),)))
    best = judge.fitted(
        CandidateLaw(((LINEAR, SPREAD, both, SQUARE),), ((-0.3, 0.5, -0.5, 0.01),)),
        plain.fit.states,
    )
    best.criterion = plain.criterion - 2
    found = _tied_nearby(judge, best, 1, NOTHING_KNOWN)
    assert found.law.num_constants == 2
    assert found.criterion < best.criterion


def test_what_was_added_to_a_law_has_to_earn_more_than_another_law(judge):
    best = judge.fitted(CandidateLaw(((LINEAR, BENT, CUBE),), ((-1.0, 0.8, 0.01),)))
    part = judge.fitted(TRUTH, best.fit.states)
    other = judge.fitted(CandidateLaw(((LINEAR, SPREAD),), ((-1.0, 0.8),)), best.fit.states)
    # A part of the law may be worse by three units, another law by half a unit.
    for of_part, of_other, chosen in (
        (2.9, 20.0, part),
        (3.1, 20.0, best),
        (3.1, 0.6, best),
        (3.1, 0.4, other),
        # What a part stands for is compared with other laws by the part.
        (2.9, 0.6, other),
    ):
        part.criterion, other.criterion = best.criterion + of_part, best.criterion + of_other
        assert shortest(judge, best) is chosen


def test_a_tie_is_one_term_with_the_inner_constants_of_both(judge):
    half = BENT.with_inner([1.2])
    waves = Term(TermFamily(INTERACTION, sympy.sin(w0 * x_j), (True,)), (0.4,))
    law = CandidateLaw(((LINEAR, half, waves),), ((-1.0, 0.7, -0.65),))
    (one,) = tied_laws(law, 0)
    (_, both), (_, share) = one.terms[0], one.coefficients[0]
    assert both.inner == (1.2, 0.4)
    assert share == pytest.approx(0.675)
    values = {w0: 1.2, w1: 0.4}
    assert both.family.expression.subs(values) == sympy.tanh(1.2 * x_j) - sympy.sin(0.4 * x_j)
    assert one.num_constants == law.num_constants - 1


@pytest.mark.parametrize(("worse_by", "nice"), [(1.0, True), (4.0, False)])
def test_of_laws_alike_the_one_with_numbers_that_people_write_is_chosen(judge, worse_by, nice):
    """The constants of the truth are -1, 0.8 and 1.3, two of which the samples let be set: 12 units."""
    truth = judge.fitted(TRUTH, iterations=12)
    other = judge.fitted(CandidateLaw(((LINEAR, BENT, SPREAD),), ((-1.0, 0.8, 0.01),)))
    rows = partial(constants_of, variables=("x",), units=None)
    truth.criterion = other.criterion + worse_by
    assert (by_numbers(judge, other, _last_fit, rows) is truth) == nice
    # Nothing speaks for a worse law whose constants nobody would write.
    other.criterion = truth.criterion + worse_by
    assert by_numbers(judge, truth, _last_fit, rows) is truth
