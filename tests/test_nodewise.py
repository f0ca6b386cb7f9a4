"""The likelihood of single nodes, against dense matrices and under nodes that follow no law."""

import numpy as np
import pytest
import sympy
from scipy.integrate import cumulative_trapezoid, solve_ivp

import jaxllc
from jaxllc import generators, metrics
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.followers import Followers
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.errors import InputError
from jaxllc.nodewise.node_rows import NodeRows, modes_of
from jaxllc.nodewise.robust_fit import TAUS, RobustFitter
from jaxllc.nodewise.robust_search import RobustSearch
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth
from tests.sum_laws import law_of

NUM_NODES = 24
x_i, x_j, w0 = sympy.symbols("x_i x_j w0")
OWN, SEND, BOTH = (
    Term(TermFamily(SELF, x_i)),
    Term(TermFamily(INTERACTION, x_j)),
    Term(TermFamily(INTERACTION, x_i * x_j)),
)
HILL = Term(TermFamily(INTERACTION, x_j / (w0 + x_j), (True,)), (1.5,))
LIBRARY = [
    *(Term(TermFamily(SELF, x_i**k)) for k in range(4)),
    *(
        Term(TermFamily(INTERACTION, e))
        for e in (x_j, x_j - x_i, x_j**2, x_i * x_j, sympy.sin(x_j))
    ),
    HILL,
]


def runs_on(A, rate, spread=(0.0, 1.0), runs=3, samples=40, end=4.0, level=0.0):
    times, found = np.linspace(0, end, samples), []
    for run in range(runs):
        random = np.random.default_rng(run)
        start = random.uniform(*spread, len(A))
        x = solve_ivp(
            lambda _, x: rate(x, A), (0, end), start, t_eval=times, rtol=1e-10, atol=1e-12
        ).y.T
        found.append(Trajectories(times, x + level * x.std() * random.standard_normal(x.shape)))
    return found


def epidemic(x, A):
    return -0.6 * x + 0.3 * (1 - x) * (A @ x)


def saturating(x, A):
    return -0.9 * x + 0.6 * (A @ (x / (0.8 + x)))


@pytest.fixture(scope="module")
def true_network():
    return generators.erdos_renyi(NUM_NODES, 4, seed=3).to_adjacency().toarray()


def spoiled(A, count, seed=1):
    """The network with an edge lost of so many nodes, and those nodes."""
    random, other = np.random.default_rng(seed), A.copy()
    nodes = random.permutation(np.flatnonzero(A.sum(axis=1) > 0))[:count]
    for node in nodes:
        other[node, random.choice(np.flatnonzero(A[node]))] = 0.0
    return other, np.sort(nodes)


def rows_of(runs, A):
    data = grid_data(runs, smooth(runs, refine=4))
    return NodeRows(data, Network.from_adjacency(A), 0), data


def test_rows_of_a_law_are_its_integrated_terms(true_network):
    runs = runs_on(true_network, epidemic)
    holes = np.array(runs[0].states)
    holes[[5, 17, 18], 4] = np.nan
    runs[0] = Trajectories(runs[0].times, holes)
    rows, _ = rows_of(runs, true_network)
    found = -0.6 * rows.column(OWN) + 0.3 * (rows.column(SEND) - rows.column(BOTH))
    assert np.abs(found - rows.target).max() < 2e-4 * np.abs(rows.target).max()
    assert rows.counted.all()
    # Slopes by inner constants, against differences.
    column, slope = rows.columns(HILL)
    ahead, behind = (rows.column(HILL.with_inner([1.5 + h])) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-5, atol=1e-6 * np.abs(column).max())


def test_likelihoods_are_those_of_dense_matrices():
    times = np.sort(np.random.default_rng(0).uniform(0, 2, 14))
    modes, sizes = modes_of(times)
    # The covariance of the integral of a process, by brute force on a fine grid.
    fine = np.unique(np.concatenate([np.linspace(times[0], times[-1], 801), times]))
    kernel = np.exp(-0.5 * ((fine[:, None] - fine) / (0.15 * (times[-1] - times[0]))) ** 2)
    once = cumulative_trapezoid(kernel, fine, axis=0, initial=0)
    twice = cumulative_trapezoid(once, fine, axis=1, initial=0)
    places = np.searchsorted(fine, times)
    free = np.linalg.qr(np.column_stack([np.ones(14), np.eye(14)[:, :13]]))[0][:, 1:]
    dense = free.T @ twice[np.ix_(places, places)] @ free
    dense /= np.trace(dense) / 13
    left = np.random.default_rng(1).normal(size=14)
    for tau in (0.0, 0.3, 4.0):
        covariance = np.eye(13) + tau**2 * dense
        own = free.T @ left
        expected = own @ np.linalg.solve(covariance, own) + np.linalg.slogdet(covariance)[1]
        variance = 1 + tau**2 * sizes
        found = np.sum((modes @ left) ** 2 / variance) + np.sum(np.log(variance))
        assert found == pytest.approx(expected, rel=2e-3)
    np.testing.assert_allclose(modes @ modes.T, np.eye(13), atol=1e-9)
    np.testing.assert_allclose(modes.sum(axis=1), 0.0, atol=1e-9)


def test_the_discrepancy_of_a_node_is_the_likeliest(true_network):
    rows, _ = rows_of(runs_on(true_network, epidemic, level=0.01), true_network)
    fitter = RobustFitter(rows, 0.01)
    left = np.random.default_rng(0).normal(size=(2, NUM_NODES, rows.target.shape[1])) * 2
    found, place = fitter.likelihoods(left)
    for start, node in ((0, 3), (1, 11)):
        costs = [
            np.sum(left[start, node] ** 2 / (v := 1 + tau**2 * rows.sizes[node]))
            + np.sum(np.log(v))
            for tau in TAUS
        ]
        assert found[start, node] == pytest.approx(min(costs))
        assert place[start, node] == np.argmin(costs)


def test_spoiled_nodes_leave_the_constants_alone(true_network):
    given, nodes = spoiled(true_network, 10)
    rows, data = rows_of(runs_on(true_network, epidemic, level=0.01), given)
    fitter = RobustFitter(rows, float(data.noise[0]))
    columns = [rows.column(t) for t in (OWN, SEND, BOTH)]
    fit = fitter.fit(columns)
    errors = np.sqrt(np.diag(fit.covariance))
    assert np.all(np.abs(fit.coefficients - [-0.6, 0.3, -0.3]) < 4 * errors)
    assert not fit.follows[nodes].max() > 0.5
    clean = np.setdiff1d(np.arange(NUM_NODES), nodes)
    assert np.mean(fit.follows[clean] > 0.5) > 0.7
    # Nonsense in their samples changes nothing.
    rows.target[nodes] = np.random.default_rng(2).normal(size=rows.target[nodes].shape)
    other = RobustFitter(rows, float(data.noise[0])).fit(columns)
    np.testing.assert_allclose(other.coefficients, fit.coefficients, atol=errors.min())
    # Least squares alone is led astray.
    rows, _ = rows_of(runs_on(true_network, epidemic, level=0.01), given)
    plain = np.stack([c.ravel() for c in columns], axis=1)
    astray = np.linalg.lstsq(plain, rows.target.ravel(), rcond=None)[0]
    assert np.abs(astray - [-0.6, 0.3, -0.3]).max() > 20 * errors.max()


def test_units_do_not_matter(true_network):
    given, _ = spoiled(true_network, 8)
    runs = runs_on(true_network, saturating, (0.1, 3.0), level=0.01)
    fits = []
    for unit in (1.0, 1e6):
        scaled = [Trajectories(r.times / unit, r.states * unit) for r in runs]
        rows, data = rows_of(scaled, given)
        term = HILL.with_inner([0.8 * unit])
        fits.append(
            RobustFitter(rows, float(data.noise[0])).fit([rows.column(OWN), rows.column(term)])
        )
    assert fits[0].cost == pytest.approx(fits[1].cost, rel=1e-4)
    # Up to where the search for the smoother's constants ends.
    np.testing.assert_allclose(fits[0].follows, fits[1].follows, atol=5e-3)
    np.testing.assert_allclose(fits[1].coefficients / fits[0].coefficients, [1e6, 1e12], rtol=1e-4)


@pytest.mark.parametrize(
    ("rate", "spread", "expected"),
    [(epidemic, (0, 1), {OWN, SEND, BOTH}), (saturating, (0.1, 4), {OWN, HILL})],
    ids=["epidemic", "saturating"],
)
def test_a_law_is_found_though_half_of_the_nodes_are_spoiled(true_network, rate, spread, expected):
    given, nodes = spoiled(true_network, 12, seed=2)
    rows, data = rows_of(runs_on(true_network, rate, spread, level=0.01), given)
    search = RobustSearch(rows, float(data.noise[0]), LIBRARY, 6)
    best = search.best()[0]
    assert set(best.key) == {t.family for t in expected}
    assert not np.any(best.fit.follows[np.isin(search.fitter.kept, nodes)] > 0.5)
    for term in best.terms:
        for w in term.inner:
            assert w == pytest.approx(0.8, rel=0.05)
    # Whatever is asked next is not better by its own account.
    assert all(other.criterion >= best.criterion for other in search.seen.values())
    assert search.shortened(best) is best


def test_nodes_that_could_not_be_asked_are_given_too():
    found = Followers(np.array([0.9, 0.1, np.nan, 0.8]), (), ())
    assert found.held == (1, 2)
    assert found.share == pytest.approx(2 / 3)
    assert found.note("abcd").startswith("2 of 3 nodes follow the law. The others (b) do not")


@pytest.mark.slow
def test_a_law_is_discovered_on_a_network_with_lost_edges(true_network, tmp_path):
    given, nodes = spoiled(true_network, 9)
    runs = runs_on(true_network, epidemic, level=0.01)
    law = jaxllc.discover(runs, Network.from_adjacency(given), sums=False, neural="never")
    assert metrics.skeleton_equal(law, law_of("-0.6*x_i", "0.3*(1 - x_i)*x_j")), str(law)
    assert not np.any(law.follows[nodes] > 0.5)
    assert np.mean(law.follows > 0.5) > 0.4
    assert any("nodes follow the law" in note for note in law.notes)
    for c in law.constants:
        assert abs(abs(c.value) - (0.6 if c.side == "self" else 0.3)) < 0.02, str(c)
    held = law.follows < 0.5
    assert np.isnan(law.fitted_states[0][:, held]).all()
    assert np.isfinite(law.fitted_states[0][:, ~held]).all()
    assert law.skill["x"]["constant"] > 0.99
    table = law.nodes_table()
    assert list(table["follows"]) == sorted(law.follows)
    # The edges that were lost are told.
    repaired = law.repaired_network().to_adjacency().toarray()
    assert np.sum(repaired != true_network) < np.sum(given != true_network) / 2
    assert law.network.num_edges == np.count_nonzero(given)
    edges = law.network_table()
    assert set(edges.loc[edges["edge"] == "added", "receiver"].astype(int)) <= set(nodes)
    assert any("law.network_table()" in note for note in law.notes)
    law.save(tmp_path / "law.json")
    again = jaxllc.load_law(tmp_path / "law.json")
    np.testing.assert_allclose(again.follows, law.follows)
    assert list(again.nodes_table()["node"]) == list(table["node"])


def test_a_law_that_all_nodes_follow_holds_no_table_of_them(true_network):
    law = jaxllc.discover(runs_on(true_network, epidemic), Network.from_adjacency(true_network))
    assert law.follows is None
    with pytest.raises(InputError, match="all nodes were asked to follow this law"):
        law.nodes_table()
    with pytest.raises(InputError, match="holds no probabilities of edges"):
        law.network_table()
    with pytest.raises(InputError, match="least is 'likely'"):
        law.network_table("likely")
