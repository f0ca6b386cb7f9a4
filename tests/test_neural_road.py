"""The preset "neural": nets, expressions of either, and the likelihood of the trajectories."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc import generators, known_laws, metrics
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.equations.functions import sigmoid
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.neural.neural_fit import TermSamples
from jaxllc.neural.structures import (
    BOTH,
    DIFFERENCE,
    NO_FEATURES,
    PRODUCTS,
    PRODUCTS_IN_SELF,
    SENDER,
    Structure,
)
from jaxllc.search.laws.net_reading import read_by, reading
from jaxllc.search.second_look.rewriting import complements, looser, without_factors
from tests.sum_laws import law_of

x_i, x_j, k_i, w0, w1, w2 = sympy.symbols("x_i x_j k_i w0 w1 w2")


def runs_of(name, network, count, snr=None, end=None):
    known = known_laws.get(name)
    times = np.linspace(0, end or known.horizon, 60)
    runs = [known.simulate(network, times, seed=seed) for seed in range(count)]
    return known, runs if snr is None else [run.with_noise(snr, k) for k, run in enumerate(runs)]


def test_a_law_is_found_without_a_library_and_finished_through_the_solver(monkeypatch):
    from jaxllc.search.laws.search_problem import SearchProblem

    def refused(self):
        raise AssertionError("the library was asked for")

    monkeypatch.setattr(SearchProblem, "library", property(refused))
    network = generators.barabasi_albert(16, 2, seed=1)
    known, runs = runs_of("gene", network, 4)
    law = jaxllc.discover(runs, network, preset="neural")
    assert metrics.skeleton_equal(law, known), str(law)
    assert metrics.worst_coefficient_error(law, known) < 1e-5
    assert law.converged
    assert {"neural terms", "expressions"} <= set(law.seconds)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["epidemic", "kuramoto", "heat"])
def test_laws_of_other_structures_are_found_too(name):
    network = generators.barabasi_albert(20, 3, seed=1)
    known, runs = runs_of(name, network, 3)
    law = jaxllc.discover(runs, network, preset="neural")
    assert metrics.skeleton_equal(law, known), str(law)


@pytest.mark.slow
def test_noise_and_known_terms_are_taken_along():
    network = generators.barabasi_albert(20, 3, seed=1)
    known, runs = runs_of("epidemic", network, 3, snr=40)
    law = jaxllc.discover(runs, network, preset="neural", known={"x": ("-delta*x_i", "")})
    assert metrics.skeleton_equal(law, known), str(law)
    assert any(c.role == "delta" for c in law.constants)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["known", "units", "holes"])
def test_what_is_known_and_what_is_missing_is_taken_along(case):
    """x_j^2/(w + x_j^2): as known terms of free constants; with units; with a fifth unobserved."""
    network = generators.barabasi_albert(16, 2, seed=1)
    known, runs = runs_of("gene", network, 2)
    choices = {}
    if case == "known":
        choices["known"] = {"x": ("-a*x_i", "b*x_j**2/(x_j**2 + c)")}
    if case == "units":
        choices["units"] = {"x": "nmol/L", "t": "h"}
    if case == "holes":
        holes = np.random.default_rng(0).uniform(size=runs[0].states.shape) < 0.2
        runs = [replace(run, states=np.where(holes, np.nan, run.states)) for run in runs]
    law = jaxllc.discover(runs, network, preset="neural", **choices)
    assert metrics.skeleton_equal(law, known), str(law)


@pytest.mark.slow
def test_a_law_of_another_form_is_found_or_said_to_be_one():
    """A function of the sum over neighbours."""
    network = generators.erdos_renyi(14, 4, seed=2)
    A, times = network.to_adjacency().toarray(), np.linspace(0, 3, 50)
    start = np.random.default_rng(3).uniform(0.2, 2, 14)
    states = solve_ivp(
        lambda _, x: np.tanh(A @ x - 2) - x, (0, 3), start, t_eval=times, rtol=1e-11, atol=1e-12
    ).y.T
    run = jaxllc.Trajectories(times, states)
    law = jaxllc.discover(run, network, preset="neural", sums=False)
    assert any("functions of a node and of pairs of nodes" in note for note in law.notes)
    found = jaxllc.discover(run, network, preset="neural")
    assert metrics.skeleton_equal(found, law_of("-x_i + tanh(x_s - 2)")), str(found)
    assert not any("functions of a node and of pairs" in note for note in found.notes)


@pytest.mark.parametrize(("name", "value"), [("neural", "never"), ("demand", ("exp",))])
def test_what_the_preset_does_not_read_is_said(name, value):
    network = generators.barabasi_albert(12, 2, seed=1)
    run = jaxllc.Trajectories(np.arange(6.0), np.random.default_rng(0).uniform(size=(6, 12)))
    with pytest.raises(InputError, match=f"preset 'neural' does not read {name}"):
        jaxllc.discover(run, network, preset="neural", **{name: value})


def test_constants_are_finished_by_the_solver_or_on_the_grid():
    network = generators.erdos_renyi(12, 3, seed=1)
    _, runs = runs_of("epidemic", network, 1, snr=30)
    laws = [jaxllc.discover(runs, network, finish=how) for how in ("grid", "solver")]
    values = [np.array([c.value for c in law.constants]) for law in laws]
    errors = np.array([c.standard_error for c in laws[0].constants])
    assert laws[0].constants[0].term == laws[1].constants[0].term
    assert np.abs(values[0] - values[1]).max() < 0.1 * errors.max()
    assert not np.array_equal(*values)
    # The front holds the law as it was finished, not as the search left it.
    (own,) = (row.equations for row in laws[1].front if row.chosen)
    assert own == {v: e.to_text() for v, e in laws[1].equations.items()}
    with pytest.raises(InputError, match="finish must be 'auto', 'grid' or 'solver', not 'fine'"):
        jaxllc.discover(runs, network, finish="fine")


# --- what a net reads ----------------------------------------------------------------------------


def samples_over_k():
    random = np.random.default_rng(0)
    i, j, k = random.uniform(1, 2, (3, 40))
    value = (0.5 * j**2 + 3.0) / k
    return TermSamples(
        ("x_i", "x_j", "k_i"), np.column_stack([i, j, k]), {"x": value}, {"x": 0.01 / k}
    )


def test_samples_are_read_as_the_structure_says():
    samples = samples_over_k()
    read = reading(samples, Structure(SENDER, True), ("x",))
    assert read.samples.input_names == ("x_j",)
    np.testing.assert_allclose(read.samples.values["x"], 0.5 * samples.points[:, 1] ** 2 + 3.0)
    np.testing.assert_allclose(read.samples.error["x"], 0.01)
    terms = read.terms(sympy.sympify("0.5*x_j**2 + 3.0"), INTERACTION)
    # What is constant over k_i adds up to a constant of the node.
    assert [(t.family.side, t.family.expression) for t in terms] == [
        (INTERACTION, x_j**2 / k_i),
        (SELF, sympy.Integer(1)),
    ]


def test_an_expression_of_the_difference_is_one_of_both_ends():
    samples = samples_over_k()
    read = reading(samples, Structure(DIFFERENCE), ("x",))
    assert read.samples.input_names == ("x_d",)
    np.testing.assert_allclose(
        read.samples.points[:, 0], samples.points[:, 1] - samples.points[:, 0]
    )
    (term,) = read.terms(sympy.sympify("0.7*sin(1.5*x_d)"), INTERACTION)
    assert term.family.expression.subs({w0: 1.5, "x_j": 2.0, "x_i": 0.5}) == pytest.approx(
        np.sin(2.25)
    )
    plain = read.terms(sympy.sympify("0.7*x_d"), INTERACTION)
    assert [t.family.expression for t in plain] == [x_j - x_i]
    assert reading(samples, Structure(BOTH), ("x",)).samples is samples


def test_features_that_a_net_does_not_read_are_not_searched():
    names = ("x_i", "rate_i", "x_j", "rate_j")
    points = np.random.default_rng(0).normal(size=(5, 4))
    values = {"x": points[:, 0]}
    samples = TermSamples(names, points, values, values)
    own = TermSamples(names[:2], points[:, :2], values, values)
    for features, of_node, of_edge in (
        (NO_FEATURES, ("x_i",), ("x_i", "x_j")),
        (PRODUCTS_IN_SELF, names[:2], ("x_i", "x_j")),
        (PRODUCTS, names[:2], names),
    ):
        structure = Structure(BOTH, features=features)
        found = read_by(own, structure, ("x",)), reading(samples, structure, ("x",)).samples
        assert [s.input_names for s in found] == [of_node, of_edge]
        for s in found:
            expected = points[:, [names.index(n) for n in s.input_names]]
            np.testing.assert_array_equal(s.points, expected)


def test_states_that_a_net_does_not_read_are_not_searched():
    names = ("x_i", "y_i", "rate_i", "x_j", "y_j", "rate_j")
    points = np.random.default_rng(0).normal(size=(5, 6))
    samples = TermSamples(names, points, {"x": points[:, 0]}, {"x": points[:, 0]})
    for reads, expected in (
        (BOTH, ("y_i", "rate_i", "y_j", "rate_j")),
        (SENDER, ("y_j", "rate_j")),
        (DIFFERENCE, ("y_d",)),
    ):
        read = reading(samples, Structure(reads, variable=1), ("x", "y"))
        assert read.samples.input_names == expected
    np.testing.assert_array_equal(read.samples.points[:, 0], points[:, 4] - points[:, 1])
    # The self term reads all.
    own = TermSamples(names[:3], points[:, :3], samples.values, samples.error)
    assert read_by(own, Structure(variable=1), ("x", "y")).input_names == names[:3]


def test_terms_that_complement_each_other_become_one():
    """2 - 2 w0/(w0 + x) is 2 x/(w0 + x), and 2 - 2 sigmoid(w0 x) is 2 sigmoid(-w0 x), also times x^2."""
    for factor, (expression, expected) in itertools.product(
        (sympy.Integer(1), x_i**2),
        (
            (w0 / (w0 + x_i), x_i / (w0 + x_i)),
            (1 / (1 + w0 * x_i), w0 * x_i / (1 + w0 * x_i)),
            (sigmoid(w0 * x_i), sigmoid(-w0 * x_i)),
        ),
    ):
        plain = Term(TermFamily(SELF, factor))
        term = Term(TermFamily(SELF, factor * expression, (False,)), (0.7,))
        law = CandidateLaw(((plain, term),), ((2.0, -2.0),))
        found = list(complements(law, 0))
        assert all(len(new.terms[0]) == 1 for new in found)
        values = [
            new.coefficients[0][0] * new.terms[0][0].sympy().subs(x_i, 1.3).evalf() for new in found
        ]
        truth = 2 * factor.subs(x_i, 1.3) - 2 * term.sympy().subs(x_i, 1.3).evalf()
        assert any(abs(v - truth) < 1e-12 for v in values), (expression, expected)


def test_a_factor_that_does_nothing_is_left_out():
    """sin(w1 x) / ((1 + w0 exp(x)) (x + 1000)) is about 0.001 sin(w1 x)."""
    sine = sympy.sin(w1 * x_i)
    whole = sine / ((1 + w0 * sympy.exp(x_i)) * (w2 + x_i))
    term = Term(TermFamily(SELF, whole, (True, False, False)), (1e-9, 2.0, 1000.0))
    plain = Term(TermFamily(SELF, x_i**2))
    law = CandidateLaw(((plain, term),), ((1.0, 3.0),))
    found = {}
    for new in without_factors(law, 0):
        (same, other), (_, c) = new.terms[0], new.coefficients[0]
        assert same == plain
        found[other.num_constants] = found.get(other.num_constants, [])
        found[other.num_constants].append(float(c * other.sympy().subs(x_i, 0.3)))
    truth = float(3.0 * term.sympy().subs(x_i, 0.3))
    # Without the sine its value at zero is nothing to go by.
    assert len(found[3]) == 3
    near = [v for v in found[3] if abs(v - truth) < 1e-3 * abs(truth)]
    assert len(near) == 2
    assert list(without_factors(CandidateLaw(((plain,),), ((1.0,),)), 0)) == []


def test_whole_numbers_of_an_engine_may_be_free_again():
    """x^2/(1 + x^2) has a number, tanh(x) a factor of one, and sin(w0 x) neither."""
    cases = {
        x_i**2 / (1 + x_i**2): {x_i**2 / (w0 + x_i**2)},
        sympy.tanh(x_i): {sympy.tanh(w0 * x_i)},
        sympy.sin(w0 * x_i): set(),
        sympy.exp(w0 * x_i) / (2 + x_i): {sympy.exp(w0 * x_i) / (w1 + x_i)},
    }
    for expression, expected in cases.items():
        inner = (0.7,) if expression.has(w0) else ()
        term = Term(TermFamily(SELF, expression, (False,) * len(inner)), inner)
        law = CandidateLaw(((term,),), ((1.5,),))
        found = list(looser(law, 0))
        assert {new.terms[0][0].family.expression for new in found} == expected
        for new in found:
            values = [one.terms[0][0].sympy().subs(x_i, 0.8).evalf() for one in (law, new)]
            assert values[0] == pytest.approx(float(values[1]), rel=1e-12)


def test_a_variable_called_w_is_not_taken_for_a_constant():
    w_i = sympy.Symbol("w_i")
    one = Term(TermFamily(SELF, sympy.Integer(1)))
    tanh, share = (Term(TermFamily(SELF, e)) for e in (sympy.tanh(w_i), 1 / (1 + w_i)))
    (free,) = looser(CandidateLaw(((tanh,),), ((1.0,),)), 0)
    assert free.terms[0][0].family.expression == sympy.tanh(w0 * w_i)
    (found,) = complements(CandidateLaw(((one, share),), ((1.0, -1.0),)), 0)
    assert found.terms[0][0].family.expression == w_i / (1 + w_i)
