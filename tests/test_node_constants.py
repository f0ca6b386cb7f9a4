"""Constants that every node has of its own: the likelihood, the search, and the law that holds them."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import generators, metrics
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.nodewise.robust_fit import TAUS
from jaxllc.nodewise.robust_search import RobustSearch
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth
from jaxllc.varying.on_law import with_own_constants
from jaxllc.varying.own_constants import OwnConstant
from jaxllc.varying.varying_fit import VaryingFitter
from jaxllc.varying.varying_search import VaryingSearch

NUM_NODES = 20
NETWORK = generators.erdos_renyi(NUM_NODES, 4, seed=3)
x_i, x_j = sympy.symbols("x_i x_j")
LIBRARY = [
    *(Term(TermFamily(SELF, x_i**k)) for k in range(3)),
    *(Term(TermFamily(INTERACTION, e)) for e in (x_j, x_i * x_j, x_j - x_i)),
]
OMEGA = 0.6 * (1 + 0.3 * np.random.default_rng(5).standard_normal(NUM_NODES))
OWN = {"x": Equation.from_text("-omega_i*x_i", "0.3*(1 - x_i)*x_j")}
STRENGTH = {"x": Equation.from_text("-0.6*x_i", "0.5*omega_i*(1 - x_i)*x_j")}


def runs_of(equations, omega=OMEGA, db=45.0):
    law, runs = jaxllc.Law(equations, feature_names=("omega",)), []
    for seed in range(3):
        start = np.random.default_rng(seed).uniform(0, 1, NUM_NODES)
        run = law.simulate(start, np.linspace(0, 4, 40), NETWORK, {"omega": omega})
        run = run.with_noise(db, seed)
        runs.append(jaxllc.Trajectories(run.times, run.states))
    return runs


@pytest.fixture(scope="module")
def plain():
    runs = runs_of(OWN)
    data = grid_data(runs, smooth(runs, refine=4))
    return RobustSearch(NodeRows(data, NETWORK, 0), float(data.noise[0]), LIBRARY, 6)


def test_likelihoods_are_those_of_a_dense_covariance(plain):
    fitter = VaryingFitter(plain.rows, plain.fitter.noise)
    column = fitter.taken([plain.rows.column(LIBRARY[1])])[..., 0]
    left, spread = fitter.target[None], np.array([0.02])
    found = fitter._effects(left, column[None], spread)
    for node in (0, 7):
        tau, sizes = TAUS[found.tau[0, node]], plain.rows.sizes[fitter.kept[node]]
        own = np.diag(1 + tau**2 * sizes)
        whole = own + spread[0] ** 2 * np.outer(column[node], column[node])
        expected = left[0, node] @ np.linalg.solve(whole, left[0, node])
        expected += np.linalg.slogdet(whole)[1]
        assert found.cost[0, node] == pytest.approx(expected, rel=1e-9)
        # The effect is the mean of a normal distribution given what is left.
        gain = spread[0] ** 2 * column[node] @ np.linalg.inv(whole)
        assert found.effect[0, node] == pytest.approx(gain @ left[0, node], rel=1e-7)


def test_whitened_values_have_the_products_of_the_covariance(plain):
    search = VaryingSearch(plain, VaryingFitter(plain.rows, plain.fitter.noise), LIBRARY[1].family)
    fit = search.fitted([LIBRARY[1], *LIBRARY[3:5]]).fit
    taken = search.fitter.taken([plain.rows.column(t) for t in LIBRARY])
    white = search.fitter.whitened(fit, taken)
    node = int(np.argmax(fit.follows))
    with np.errstate(divide="ignore"):
        own = np.diag(fit.follows[node] / fit.weights[node])
    whole = own + fit.spread**2 * np.outer(fit.column[node], fit.column[node])
    expected = fit.follows[node] * taken[node].T @ np.linalg.solve(whole, taken[node])
    np.testing.assert_allclose(white[node].T @ white[node], expected, rtol=1e-3)


def test_the_term_that_varies_is_told_and_its_values(plain):
    fitter = VaryingFitter(plain.rows, plain.fitter.noise)
    alike = plain.best()[0]
    costs = {}
    for family in [LIBRARY[0].family, LIBRARY[1].family, None]:
        search = VaryingSearch(plain, fitter, family)
        law = search.best()[0]
        costs[family] = law.criterion
        if family is LIBRARY[1].family:
            assert law.key == {LIBRARY[k].family for k in (1, 3, 4)}
            found = law.fit.mean + law.fit.effect
            np.testing.assert_allclose(found, -OMEGA[fitter.kept], rtol=0.02)
            assert law.fit.spread == pytest.approx(OMEGA.std(), rel=0.15)
    assert costs[LIBRARY[1].family] < min(*costs.values(), alike.criterion + 1) + 1e-9
    assert costs[LIBRARY[1].family] < min(costs[None], costs[LIBRARY[0].family]) - 100


CHOICES = {"functions": (), "engines": ("sparse",), "neural": "never", "seed": 0}


@pytest.fixture(scope="module")
def law():
    return jaxllc.discover(runs_of(OWN), NETWORK, vary={"omega": "node"}, **CHOICES)


def test_a_law_with_a_constant_of_each_node(law):
    assert metrics.skeleton_equal(law, OWN)
    assert metrics.worst_coefficient_error(law, OWN) < 5e-3
    (own,) = law.node_constants
    assert (own.name, own.variable, own.term) == ("omega", "x", "-x_i")
    ratio = (own.values - OMEGA) / own.standard_errors
    assert np.abs(ratio).max() < 5
    assert 0.6 < np.sqrt(np.mean(ratio**2)) < 1.6
    assert own.spread == pytest.approx(OMEGA.std(ddof=1), rel=0.05)
    table = law.node_constants_table()
    assert list(table.columns) == ["node", "omega", "omega_standard_error", "omega_shrunk"]
    assert np.all(np.abs(own.shrunk - own.mean) <= np.abs(own.values - own.mean))
    assert any("omega, the factor of -x_i" in note for note in law.notes)


def test_its_file_and_its_trajectories(law, tmp_path):
    law.save(tmp_path / "law.json")
    again = jaxllc.load_law(tmp_path / "law.json")
    np.testing.assert_array_equal(again.node_constants[0].values, law.node_constants[0].values)
    start, times = np.linspace(0.1, 0.9, NUM_NODES), np.linspace(0, 2, 5)
    truth = jaxllc.Law(OWN, feature_names=("omega",))
    expected = truth.simulate(start, times, NETWORK, {"omega": OMEGA}).states
    for one in (law, again):
        np.testing.assert_allclose(one.simulate(start, times, NETWORK).states, expected, atol=2e-3)
    other = generators.erdos_renyi(NUM_NODES + 1, 4, seed=4)
    with pytest.raises(InputError, match="omega"):
        law.simulate(np.ones(NUM_NODES + 1) / 2, times, other)
    text = (tmp_path / "law.json").read_text()
    (tmp_path / "short.json").write_text(
        text.replace('"nodes": [\n', '"nodes": [\n    "more",\n', 1)
    )
    with pytest.raises(InputError, match="one value for each node"):
        jaxllc.load_law(tmp_path / "short.json")


@pytest.mark.slow
def test_the_strength_of_interactions_is_relative():
    law = jaxllc.discover(runs_of(STRENGTH), NETWORK, vary={"omega": "node"}, **CHOICES)
    assert metrics.skeleton_equal(law, STRENGTH)
    (own,) = law.node_constants
    assert own.term == ""
    assert own.mean == pytest.approx(1.0)
    np.testing.assert_allclose(own.values, OMEGA / OMEGA.mean(), rtol=0.03)


def test_a_known_term_says_where_it_stands():
    known = {"x": ("-omega_i*x_i", "")}
    law = jaxllc.discover(runs_of(OWN), NETWORK, vary={"omega": "node"}, known=known, **CHOICES)
    assert metrics.skeleton_equal(law, OWN)
    np.testing.assert_allclose(law.node_constants[0].values, OMEGA, rtol=0.02)


@pytest.mark.slow
def test_nodes_that_are_alike_have_no_constant_of_their_own():
    runs = runs_of(OWN, np.full(NUM_NODES, 0.6))
    law = jaxllc.discover(runs, NETWORK, vary={"omega": "node"}, **CHOICES)
    assert metrics.skeleton_equal(law, {"x": Equation.from_text("-0.6*x_i", "0.3*(1 - x_i)*x_j")})
    assert not law.node_constants
    assert any("do not ask for omega" in note for note in law.notes)
    with pytest.raises(InputError, match="no constants of nodes"):
        law.node_constants_table()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"vary": {"omega": "run"}}, "may differ by 'node'"),
        ({"vary": {"2x": "node"}}, "starts with a letter"),
        ({"vary": {"exp": "node"}}, "no function"),
        ({"vary": {"x": "node"}}, "a variable"),
        ({"vary": "omega"}, "vary"),
        ({"vary": {"omega": "node"}, "preset": "neural"}, "does not read vary"),
        (
            {"vary": {"omega": "node"}, "known": {"x": ("-delta*omega_i*x_i", "")}},
            "without free constants",
        ),
    ],
)
def test_what_cannot_vary_is_refused(choices, message):
    with pytest.raises(InputError, match=message):
        jaxllc.discover(runs_of(OWN)[:1], NETWORK, **choices)


@pytest.mark.slow
def test_a_law_that_time_cut_short_reads_no_constant_that_it_does_not_hold():
    known = {"x": ("-omega_i*x_i", "")}
    choices = {**CHOICES, "vary": {"omega": "node"}, "known": known, "search_seconds": 0.01}
    law = jaxllc.discover(runs_of(OWN)[:1], NETWORK, **choices)
    assert set(law.feature_names) == {one.name for one in law.node_constants}
    assert np.isfinite(law.simulate(np.full(NUM_NODES, 0.5), [0.0, 1.0]).states).all()


def test_a_law_without_the_constant_that_was_found_needs_none():
    none = np.zeros(NUM_NODES)
    found = OwnConstant("omega", 0, None, none, none, 1.0, 0.0, (), 20.0, 1.0)
    plain = {"x": Equation.from_text("-0.6*x_i", "0.5*x_j")}
    law = jaxllc.Law(plain, feature_names=("age", "omega"))
    names = [f"n{k}" for k in range(NUM_NODES)]
    assert with_own_constants(law, [found], names).feature_names == ("age",)
    reads = jaxllc.Law(STRENGTH, feature_names=("age", "omega"))
    kept = with_own_constants(reads, [found], names)
    assert kept.feature_names == ("age", "omega")
    assert [one.name for one in kept.node_constants] == ["omega"]
