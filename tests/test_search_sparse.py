"""The sparse search: sets against brute force, inner constants, and engines."""

import itertools

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

from jaxllc import known_laws, metrics
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.fit.integral_form import IntegralForm
from jaxllc.search.forms.constants import ColumnCache, refine_inner_constants
from jaxllc.search.laws.reduced_columns import Reduced, reduce_columns, reduce_forms
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine, first_guess
from jaxllc.search.laws.sparse_sets import (
    Proposal,
    beam_search,
    best_start,
    criterion_of_sets,
    eliminate,
)
from jaxllc.settings.constant_bounds import ConstantBounds
from jaxllc.settings.names import check_engine
from jaxllc.smoothing.gauge import has_equal_input_weights
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

X_I, X_J, W0, W1 = sympy.symbols("x_i x_j w0 w1")
NUM_NODES = 14


# --- sets of random columns, against exhaustive search ------------------------------------------

WIDTHS = np.array([1, 1, 1, 2, 1, 2, 1, 3, 2, 1, 1, 3])
NUM_ROWS = 60


def random_reduced(seed, true=(3, 6, 8), noise=0.05):
    """Correlated random columns, and a target made of three of the candidates."""
    generator = np.random.default_rng(seed)
    common = generator.standard_normal((NUM_ROWS, 1))
    columns = generator.standard_normal((NUM_ROWS, int(WIDTHS.sum()))) + common
    columns /= np.linalg.norm(columns, axis=0)
    first = np.concatenate([[0], np.cumsum(WIDTHS)[:-1]])
    target = noise * generator.standard_normal(NUM_ROWS)
    for position in true:
        block = columns[:, first[position] : first[position] + WIDTHS[position]]
        target = target + block @ generator.uniform(0.5, 2.0, WIDTHS[position])
    terms = [
        Term(TermFamily(SELF, X_I ** (k + 1), (True,) * (w - 1)), (1.0,) * (w - 1))
        for k, w in enumerate(WIDTHS)
    ]
    return Reduced(
        terms, columns, first, WIDTHS, target[:, None], np.array([0.7]), np.array([NUM_ROWS])
    )


def residual_by_least_squares(reduced, positions):
    at = [
        c for p in positions for c in range(reduced.first[p], reduced.first[p] + reduced.width[p])
    ]
    target = reduced.targets[:, 0]
    rest = target
    if at:
        rest = target - reduced.columns[:, at] @ np.linalg.lstsq(reduced.columns[:, at], target)[0]
    return float(rest @ rest) + float(reduced.outside[0])


@pytest.mark.parametrize("seed", range(4))
def test_the_beam_finds_the_best_set_of_each_size(seed):
    reduced = random_reduced(seed)
    found = beam_search(reduced, 0, floor=1e-6, max_terms=3)
    for size in (1, 2, 3):
        sets = itertools.combinations(range(len(WIDTHS)), size)
        scores = {}
        for positions in sets:
            residual = residual_by_least_squares(reduced, positions)
            constants = WIDTHS[list(positions)].sum()
            scores[positions] = criterion_of_sets(residual, NUM_ROWS, constants, 1e-6)
        best = min((p for p in found if len(p.positions) == size), key=lambda p: p.score)
        assert best.positions == min(scores, key=scores.get)
        assert best.score == pytest.approx(min(scores.values()))
    # What the noise adds is small beside the three true candidates.
    three = min((p for p in found if len(p.positions) == 3), key=lambda p: p.residual)
    assert three.positions == (3, 6, 8)


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_of_one_is_forward_selection_by_least_squares(seed):
    """Each step takes the candidate whose columns, derivatives included, lower the criterion most."""
    reduced = random_reduced(seed, noise=0.3)
    found = beam_search(reduced, 0, floor=1e-6, max_terms=4, beam=1, patience=9)
    path = {p.positions for p in found}
    chosen: tuple[int, ...] = ()
    for _ in range(4):
        scores = {}
        for position in set(range(len(WIDTHS))) - set(chosen):
            positions = tuple(sorted((*chosen, position)))
            residual = residual_by_least_squares(reduced, positions)
            constants = WIDTHS[list(positions)].sum()
            scores[positions] = criterion_of_sets(residual, NUM_ROWS, constants, 1e-6)
        chosen = min(scores, key=scores.get)
        assert chosen in path
    assert len(path) == 4


@pytest.mark.parametrize("base", [(), (0, 5)])
def test_the_residual_of_every_proposal_is_that_of_least_squares(base):
    reduced = random_reduced(5)
    allowed = np.ones(len(WIDTHS), dtype=bool)
    allowed[[1, 9]] = False
    found = beam_search(reduced, 0, floor=1e-6, max_terms=3, base=base, allowed=allowed)
    assert len(found) > 20
    for proposal in found:
        assert set(base) <= set(proposal.positions)
        assert not {1, 9} & set(proposal.positions)
        expected = residual_by_least_squares(reduced, proposal.positions)
        assert proposal.residual == pytest.approx(expected, rel=1e-8)
    scores = [p.score for p in found]
    assert scores == sorted(scores)


def test_a_set_holds_no_family_twice():
    reduced = random_reduced(2)
    reduced.terms[8] = Term(reduced.terms[3].family, (2.0,))
    for proposal in beam_search(reduced, 0, floor=1e-6, max_terms=3):
        assert not {3, 8} <= set(proposal.positions)


def test_a_column_that_repeats_others_brings_nothing():
    reduced = random_reduced(6, true=(0, 1))
    copies = (reduced.columns[:, 0] + reduced.columns[:, 1])[:, None]
    reduced.columns[:, [10]] = copies / np.linalg.norm(copies)
    found = {p.positions: p.residual for p in beam_search(reduced, 0, 1e-6, max_terms=3)}
    assert found[0, 1] == pytest.approx(residual_by_least_squares(reduced, (0, 1)), rel=1e-8)
    for positions, residual in found.items():
        assert residual == pytest.approx(residual_by_least_squares(reduced, positions), rel=1e-6)


def test_backward_elimination_keeps_what_made_the_target():
    reduced = random_reduced(1, noise=0.01)
    everything = tuple(range(len(WIDTHS)))
    path = eliminate(reduced, 0, Proposal(everything, 0.0, 0.0), floor=1e-9)
    assert [len(p.positions) for p in path] == list(range(len(WIDTHS), 0, -1))
    for proposal in path[1:]:
        expected = residual_by_least_squares(reduced, proposal.positions)
        assert proposal.residual == pytest.approx(expected, rel=1e-6)
    assert path[-3].positions == (3, 6, 8)


# --- real columns -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def A():
    generator = np.random.default_rng(0)
    matrix = (generator.random((NUM_NODES, NUM_NODES)) < 0.25).astype(float)
    matrix[np.arange(NUM_NODES), np.arange(NUM_NODES) - 1] = 1.0
    np.fill_diagonal(matrix, 0.0)
    return matrix


def searched(A, rate, initial_range, horizon, num_runs=3, num_times=51, noise=0.0):
    """SearchProblem of runs of dx/dt = rate(x)."""
    times = np.linspace(0.0, horizon, num_times)
    runs = []
    for seed in range(num_runs):
        generator = np.random.default_rng(seed)
        start = generator.uniform(*initial_range, NUM_NODES)
        solution = solve_ivp(
            lambda t, x: rate(x),
            (0.0, horizon),
            start,
            t_eval=times,
            method="DOP853",
            rtol=1e-11,
            atol=1e-12,
        )
        states = solution.y.T + noise * generator.standard_normal(solution.y.T.shape)
        runs.append(Trajectories(times, states))
    network = Network.from_adjacency(A)
    smoothed = smooth(runs, refine=4)
    return SearchProblem(grid_data(runs, smoothed), network, has_equal_input_weights(network))


@pytest.fixture(scope="module")
def gene(A):
    """dx_i/dt = -x_i + sum_j A_ij x_j^2 / (x_j^2 + 1.7)"""
    return searched(A, lambda x: -x + A @ (x**2 / (x**2 + 1.7)), (0.1, 5.0), 3.0)


@pytest.fixture(scope="module")
def wilson_cowan(A):
    """dx_i/dt = -x_i + sum_j A_ij / (1 + exp(-3 (x_j - 1.2)))"""
    return searched(A, lambda x: -x + A @ (1 / (1 + np.exp(-3.0 * (x - 1.2)))), (0.0, 4.0), 3.0)


def skeleton_of(terms):
    sides = {SELF: sympy.Integer(0), INTERACTION: sympy.Integer(0)}
    for number, term in enumerate(terms):
        sides[term.family.side] += sympy.Float(1.0 + 0.1 * number) * term.sympy()
    return Equation(sides[SELF], sides[INTERACTION])


def test_reduced_columns_leave_what_all_rows_leave(gene):
    form: IntegralForm = gene.forms[0]
    terms = gene.library[::7]
    reduced = reduce_columns(form, terms)
    chosen = [0, 3, len(reduced.terms) - 1]
    blocks = [form.column_and_derivatives(reduced.terms[p]) for p in chosen]
    matrix = np.concatenate(blocks, axis=1)
    matrix = matrix / np.linalg.norm(matrix, axis=0)
    target = form.target(0)
    rest = target - matrix @ np.linalg.lstsq(matrix, target)[0]
    assert residual_by_least_squares(reduced, chosen) == pytest.approx(float(rest @ rest), rel=1e-6)
    # A term that is zero or infinite on the data is no candidate.
    extra = [Term(TermFamily(SELF, X_I - X_I)), Term(TermFamily(SELF, sympy.exp(1e4 * X_I)))]
    with np.errstate(all="ignore"):
        assert reduce_columns(form, [terms[0], *extra]).terms == [terms[0]]


@pytest.mark.parametrize(
    ("data", "expression", "expected"),
    [
        ("gene", "hill", [1.7]),
        ("wilson_cowan", "sigmoid", [3.0, 1.2]),
    ],
)
def test_inner_constants_are_refined_from_the_nearest_of_the_grid(
    data, expression, expected, request
):
    problem = request.getfixturevalue(data)
    members = [
        t
        for t in problem.library
        if t.family.side == INTERACTION
        and len(t.inner) == len(expected)
        and _is(t.family.expression, expression)
    ]
    own = next(t for t in problem.library if t.family.expression == X_I and t.family.side == SELF)
    reduced = reduce_columns(problem.forms[0], [own, *members])
    start = best_start(reduced, 0, (0, 1))
    terms = [reduced.terms[p] for p in start]
    terms, coefficients, residual = refine_inner_constants(
        problem.caches[0], terms, 0, iterations=30
    )
    np.testing.assert_allclose(terms[1].inner, expected, rtol=1e-3)
    np.testing.assert_allclose(coefficients, [-1.0, 1.0], rtol=1e-3)
    target = problem.forms[0].target(0)
    assert residual < 1e-8 * float(target @ target)


def _is(expression, kind):
    if kind == "hill":
        return expression == X_J**2 / (X_J**2 + W0)
    return expression.func.__name__ == "sigmoid" and X_I not in expression.free_symbols


def test_refinement_never_leaves_a_larger_residual(gene):
    cache = ColumnCache(gene.forms[0])
    target = gene.forms[0].target(0)
    for term in [t for t in gene.library if t.inner][::9]:
        column = gene.forms[0].column(term)
        before = target - column * (column @ target) / max(column @ column, 1e-300)
        refined, _, residual = refine_inner_constants(cache, [term], 0)
        assert residual <= float(before @ before) * (1 + 1e-9)
        for value, (low, high) in zip(refined[0].inner, term.family.bounds, strict=True):
            assert low <= value <= high


def test_a_column_beyond_all_squares_counts_for_nothing(gene):
    """As if it were not there, with and without bounds, and no warning."""
    form = gene.forms[0]
    own = Term(TermFamily(SELF, X_I), ())
    rate = 400.0 / max(s.max() for s in gene.data.states)
    grown = Term(TermFamily(SELF, sympy.exp(W0 * X_I), (True,), ((1.0, 1e4),)), (rate,))
    assert np.abs(form.column(grown)).max() > 1e155
    alone, left = refine_inner_constants(ColumnCache(form), [own], 0)[1:]
    _, coefficients, residual = refine_inner_constants(ColumnCache(form), [own, grown], 0)
    np.testing.assert_array_equal(coefficients, [alone[0], 0.0])
    assert residual == pytest.approx(left)
    bounds = ConstantBounds((-10.0, 0.0))
    _, coefficients, residual = refine_inner_constants(
        ColumnCache(form, bounds=bounds), [own, grown], 0
    )
    assert np.all((coefficients >= -10.0) & (coefficients <= 0.0))
    assert np.isfinite(residual)


def test_the_engine_proposes_the_true_equation(gene):
    proposals = SparseEngine().propose(gene, 0)
    true = known_laws.get("gene").equations["x"]
    assert any(metrics.skeleton_equal(skeleton_of(p.terms), true) for p in proposals)
    floor = gene.mean_square_floor(0) * gene.forms[0].num_rows(0)
    assert metrics.skeleton_equal(
        skeleton_of(first_guess(proposals, gene.clean, floor).terms), true
    )
    form = gene.forms[0]
    for proposal in proposals[:5]:
        fitted = sum(
            c * form.column(t) for t, c in zip(proposal.terms, proposal.coefficients, strict=True)
        )
        rest = form.target(0) - fitted
        assert proposal.residual == pytest.approx(float(rest @ rest), rel=1e-6, abs=1e-14)


def test_an_unknown_engine_is_an_input_error():
    with pytest.raises(InputError, match="sparse"):
        check_engine("sprase")


def test_some_of_the_candidates_alone_leave_what_they_leave_among_all(gene):
    reduced = reduce_forms(gene.forms, gene.library[::5], 0)[0]
    chosen = list(range(1, len(reduced.terms), 7))
    part = reduced.of_terms(chosen)
    for positions in itertools.combinations(range(len(chosen)), 2):
        among_all = residual_by_least_squares(reduced, [chosen[p] for p in positions])
        assert residual_by_least_squares(part, positions) == pytest.approx(among_all, rel=1e-9)


def test_products_of_columns_leave_what_the_columns_leave(gene):
    terms = gene.library[::7]
    by_rows, by_products = (
        reduce_forms(gene.forms, terms, 0, by_products)[0] for by_products in (False, True)
    )
    total = float(gene.forms[0].target(0) @ gene.forms[0].target(0))
    for size in (1, 2, 4):
        for positions in itertools.combinations(range(0, len(by_rows.terms), 5), size):
            expected = residual_by_least_squares(by_rows, positions)
            found = residual_by_least_squares(by_products, positions)
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-6 * total)
