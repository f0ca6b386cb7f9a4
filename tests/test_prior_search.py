"""What a user knows, in the search: columns and targets of each equation, and functions of sums."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import metrics
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.prior_checks import misfit_notes
from jaxllc.dynamics.terms import Term
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judge
from jaxllc.judge.pareto import explained
from jaxllc.knowledge.known_terms import known_families
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.search.forms.constants import refine_inner_constants
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine
from jaxllc.search.laws.sum_proposals import Rates
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.smoothing.gauge import has_equal_input_weights
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth
from tests.fit_problems import X_I, X_J, Y_I, adjacency, own, pair, solved
from tests.prior_problems import by_role, noisy, small_network
from tests.prior_problems import runs_of as runs_on_hubs
from tests.sum_laws import law_of, runs_of, signed_network

NUM_NODES = 12


def problem_of(known, noise=0.02, unseen=False, **settings):
    """The search of runs of two variables, with something known of the law."""
    A, times = adjacency(NUM_NODES), np.linspace(0.0, 3.0, 41)

    def rate(t, state):
        x, y = state[:NUM_NODES], state[NUM_NODES:]
        return np.concatenate([-0.5 * x + A @ (x / (1.3 + x)), -y + 0.4 * x * (A @ y)])

    runs = []
    for seed in range(2):
        generator = np.random.default_rng(seed)
        states = solved(rate, generator.uniform(0.2, 2.0, 2 * NUM_NODES), times)
        states = states.reshape(len(times), 2, NUM_NODES).transpose(0, 2, 1)
        states = states + noise * generator.standard_normal(states.shape)
        if unseen:
            states[::7, 3, 1] = np.nan
        runs.append(Trajectories(times, states, variables=("x", "y")))
    network = Network.from_adjacency(A)
    prior = PriorKnowledge.of(DiscoverSettings(known=known, **settings), ("x", "y"), ())
    equal = has_equal_input_weights(network)
    return SearchProblem(grid_data(runs, smooth(runs, refine=2)), network, equal, prior=prior)


# --- columns of each equation ---------------------------------------------------------------------


def test_variables_share_their_columns_where_they_were_observed_alike_and_nothing_tells_them_apart():
    engine, problem = SparseEngine(), problem_of(None)
    assert engine._reduction(problem, 0) is engine._reduction(problem, 1)
    engine, problem = SparseEngine(), problem_of(None, unseen=True)
    assert engine._reduction(problem, 0) is not engine._reduction(problem, 1)
    engine, problem = SparseEngine(), problem_of({"x": ("-d*x_i", ""), "y": ("-d*x_i", "")})
    assert engine._reduction(problem, 0) is engine._reduction(problem, 1)


@pytest.mark.parametrize("known", ["-d*x_i", "-0.5*x_i"])
def test_the_columns_of_an_equation_are_those_of_its_own_candidates(known):
    engine, problem = SparseEngine(), problem_of({"x": (known, "")})
    of_x, of_y = (engine._reduction(problem, v).terms for v in (0, 1))
    plain = own(X_I).family
    assert plain not in {t.family for t in of_x}
    assert plain in {t.family for t in of_y}
    free = problem.prior.fitted(0)
    assert [t.family for t in of_x if t.family.known] == free
    assert len(free) == (known == "-d*x_i")
    assert not any(t.family.known for t in of_y)
    for index in (0, 1):
        before = engine._reduction(problem, 0, index)
        after = engine._reduction(problem.with_sums(True), 0, index)
        assert len(after.terms) > len(before.terms)
        assert engine._reduction(problem, 0, index) is before


@pytest.mark.parametrize("windows", [0, 1])
def test_a_term_of_numbers_is_taken_out_of_the_targets_of_its_equation_in_every_window(windows):
    problem = problem_of({"x": ("-0.5*x_i", "")})
    plain, known = problem_of(None).forms[windows], problem.forms[windows]
    x_i = plain.column(own(X_I), 0)
    np.testing.assert_allclose(known.target(0), plain.target(0) + 0.5 * x_i, atol=1e-12)
    np.testing.assert_array_equal(known.target(1), plain.target(1))
    # The same rows from the form with fewer windows.
    again = known.recentred(problem.forms[0].target(0), 0)
    np.testing.assert_allclose(again, known.target(0), atol=1e-12)
    # What the search minimises is what is left of them, in either form.
    engine = SparseEngine()
    reduced = engine._reduction(problem, 0, windows)
    position = next(k for k, t in enumerate(reduced.terms) if t.family == pair(X_J).family)
    aim, unit = reduced.targets[:, 0], reduced.columns[:, reduced.first[position]]
    left = reduced.outside[0] + aim @ aim - (unit @ aim) ** 2
    terms, coefficients, residual = refine_inner_constants(
        problem.caches[windows], [reduced.terms[position]], 0
    )
    column = known.column(pair(X_J), 0)
    expected = (column @ known.target(0)) / (column @ column)
    np.testing.assert_allclose(coefficients, [expected], rtol=1e-9)
    rest = known.target(0) - expected * column
    assert residual == pytest.approx(rest @ rest, rel=1e-9)
    assert left == pytest.approx(residual, rel=1e-4)
    assert terms == [pair(X_J)]


def test_every_proposal_holds_what_is_known_and_no_other_coefficient_of_it():
    problem = problem_of({"x": ("-0.5*x_i", "x_j/(K + x_j)")}, bounds={"K": (0.1, 20)})
    engine = SparseEngine(max_terms=3)
    fixed, held = problem.prior.of_variable(0)
    for option in engine.propose(problem, 0):
        coefficients = dict(zip((t.family for t in option.terms), option.coefficients, strict=True))
        assert coefficients[fixed] == coefficients[held] == 1.0
    best = min(engine.propose(problem, 0), key=lambda o: o.score)
    (inner,) = next(t.inner for t in best.terms if t.family == held)
    assert inner == pytest.approx(1.3, rel=0.1)


def test_a_right_known_term_is_not_blamed_for_another_that_is_missing():
    """The search beside it with its coefficient free finds the saturation, and a coefficient of one."""
    problem = problem_of({"x": ("-0.5*x_i", "")})
    given = TrajectoryProblem.of(problem.data, problem.network, np.full(2, 0.02), 2)
    judge = Judge(given, problem.floor)
    (fixed,) = problem.prior.fixed(0)
    terms = ((fixed, pair(X_J)), (own(Y_I), pair(X_I * sympy.Symbol("y_j"))))
    best = judge.fitted(CandidateLaw(terms, ((1.0, 0.4), (-1.0, 0.4))))
    assert not explained(judge, best)
    assert misfit_notes(problem, judge, best, max_terms=2, num_fits=2) == []
    wrong = problem_of({"x": ("-0.3*x_i", "")})
    terms = ((*wrong.prior.fixed(0), pair(X_J)), terms[1])
    best = judge.fitted(CandidateLaw(terms, ((1.0, 0.4), (-1.0, 0.4))))
    (note,) = misfit_notes(wrong, judge, best, max_terms=2, num_fits=2)
    share = float(note.split(": ")[1].split(" times")[0])
    assert share == pytest.approx(5 / 3, rel=0.05)


def test_bounds_of_coefficients_hold_in_every_window():
    problem = problem_of(None, bounds={"coefficients": (-0.3, 0.3)})
    for cache in problem.caches:
        coefficients = refine_inner_constants(cache, [own(X_I), pair(X_J)], 0)[1]
        assert np.abs(coefficients).max() == pytest.approx(0.3)


# --- functions of the sum over neighbours ---------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return signed_network(16)


@pytest.fixture(scope="module")
def tanh_runs(network):
    """dx_i/dt = -x_i + tanh(1.5 sum_j A_ij x_j)"""
    return runs_of(network, lambda x, s: -x + np.tanh(1.5 * s), -1, 1, 4.0)


TANH = law_of("-x_i + tanh(1.5*x_s)")


@pytest.mark.parametrize(
    ("known", "constants"),
    [
        ("-x_i + tanh(a*x_s)", {"a": 1.5}),
        ("tanh(a*x_s) - d*x_i", {"a": 1.5, "d": 1.0}),
        ("c*tanh(a*x_s)", {"a": 1.5, "c": 1.0}),
    ],
)
def test_a_known_term_may_hold_the_sum_over_neighbours(tanh_runs, network, known, constants):
    choices = {"bounds": {"a": (0.0, np.inf)}, "sums": False, "neural": "never"}
    law = jaxllc.discover(tanh_runs, network, known={"x": (known, "")}, **choices)
    assert metrics.skeleton_equal(law, TANH), str(law)
    found = {role: c.value for role, c in by_role(law).items() if role in constants}
    assert found == pytest.approx(constants, rel=1e-5)
    assert law.notes == ()
    assert str(law.snapped()) == "dx_i/dt = -x_i + tanh(3*(sum_j A_ij x_j)/2)"


def test_terms_beside_a_known_function_of_the_sum_are_found(network):
    runs = runs_of(network, lambda x, s: -x + np.tanh(1.5 * s) + 0.2 * s, -1, 1, 4.0)
    known = {"x": ("-x_i + tanh(1.5*x_s)", "")}
    law = jaxllc.discover(runs, network, known=known, neural="never")
    assert [(c.side, c.term, c.role) for c in law.constants] == [
        ("interaction", "x_j", "coefficient")
    ]
    assert law.constants[0].value == pytest.approx(0.2, rel=1e-5)
    assert str(law.snapped()) == "dx_i/dt = -x_i + tanh(1.5*sum_j A_ij x_j) + sum_j A_ij x_j/5"


def test_functions_of_sums_are_found_beside_a_known_term(tanh_runs, network):
    known = {"x": ("-delta*x_i", "")}
    law = jaxllc.discover(tanh_runs, network, known=known, neural="never")
    assert metrics.skeleton_equal(law, TANH), str(law)
    assert "sums over neighbours" in law.seconds
    found = {(c.term, c.role): c.value for c in law.constants}
    assert found == pytest.approx(
        {
            ("-delta*x_i", "delta"): 1.0,
            ("tanh(w0*x_s)", "coefficient"): 1.0,
            ("tanh(w0*x_s)", "w0"): 1.5,
        },
        rel=1e-5,
    )


def test_a_demand_that_a_function_of_the_sum_meets_costs_nothing(tanh_runs, network):
    law = jaxllc.discover(tanh_runs, network, demand=("tanh",), neural="never")
    assert metrics.skeleton_equal(law, TANH), str(law)
    assert law.notes == ()


def test_what_a_known_term_explains_is_taken_off_the_rates():
    problem = problem_of({"x": ("-d*x_i", "sin(x_j - x_i)")})
    free, held = problem.prior.of_variable(0)
    nothing = CandidateLaw(((), ()), ((), ()))
    law = CandidateLaw(((Term(free), Term(held)), ()), ((0.7, 1.0), ()))
    whole, rest = Rates(problem, 0, nothing), Rates(problem, 0, law)
    A = problem.network.to_adjacency().toarray()
    x = problem.data.all_states()[0].T
    part = -0.7 * x + (A * np.sin(x[:, None, :] - x[:, :, None])).sum(axis=2)
    difference = (whole.values - rest.values).T
    np.testing.assert_allclose(difference, part[rest.times][:, rest.nodes], atol=1e-10)
    np.testing.assert_array_equal(Rates(problem, 1, law).values, Rates(problem, 1, nothing).values)


def test_expressions_beside_known_terms_hold_none_of_them_again():
    prior = problem_of({"x": ("-d*x_i", "")}, bounds={"inner_constants": (0.5, 2.0)}).prior
    w0 = sympy.Symbol("w0")
    fine = [own(sympy.tanh(w0 * X_I), 7.0), pair(X_J)]
    assert [t.inner for t in prior.beside_known(0, fine)] == [(2.0,), ()]
    assert prior.beside_known(0, [*fine, own(X_I)]) == []
    assert len(prior.beside_known(1, [*fine, own(X_I)])) == 3


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (("", "a*x_s"), "sum over all neighbours; put it into the self term"),
        (("tanh(z_s)", ""), "neither a variable nor a node feature"),
        (("x_i/(K_s + x_i)", ""), "a constant has a name without _i, _j and _s"),
    ],
)
def test_a_sum_in_the_wrong_place_is_said(terms, words):
    with pytest.raises(InputError, match=words):
        known_families({"x": terms}, ("x",), (), {})


def test_a_sum_of_a_feature_may_be_known():
    (family,) = known_families({"x": ("c*x_i*u_s", "")}, ("x",), ("u",), {})[0]
    assert (family.coefficient, family.names) == ("c", ())
    assert family.expression == X_I * sympy.Symbol("u_s")


def test_noise_leaves_a_known_law_beside_found_terms():
    """The whole way under noise, with two windows and reduced products."""
    network = small_network()
    runs = runs_on_hubs(network, lambda x, A: -0.5 * x + A @ (x / (1.3 + x)), 0.1, 3.0)
    known = {"x": ("-0.5*x_i", "")}
    law = jaxllc.discover(noisy(runs), network, known=known, neural="never")
    assert [(c.term, c.role) for c in law.constants] == [
        ("x_j/(w0 + x_j)", "coefficient"),
        ("x_j/(w0 + x_j)", "w0"),
    ]
    for c, true in zip(law.constants, (1.0, 1.3), strict=True):
        assert abs(c.value - true) < 4 * c.standard_error
