"""What a law lacks: each extension is told where it is, and none where none is."""

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc import generators
from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.errors import InputError
from jaxllc.model_classes import class_tests as classes
from jaxllc.model_classes.class_columns import delayed, forcing_columns
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.nodewise.robust_search import RobustSearch
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

NUM_NODES, END = 24, 4.0
A = generators.erdos_renyi(NUM_NODES, 4, seed=3).to_adjacency().toarray()
x_i, x_j = sympy.symbols("x_i x_j")
LIBRARY = [
    *(Term(TermFamily(SELF, x_i**k)) for k in range(3)),
    *(Term(TermFamily(INTERACTION, e)) for e in (x_j, x_i * x_j, x_j - x_i)),
]
OWN = 0.6 * (1 + 0.3 * np.random.default_rng(5).standard_normal(NUM_NODES))


def runs_of(rate):
    times, found = np.linspace(0, END, 40), []
    for seed in range(3):
        random = np.random.default_rng(seed)
        start = random.uniform(0, 1, NUM_NODES)
        x = solve_ivp(rate, (0, END), start, t_eval=times, rtol=1e-9, atol=1e-11).y.T
        found.append(Trajectories(times, x + 0.003 * random.standard_normal(x.shape)))
    return found


def search_of(runs, network=A):
    data = grid_data(runs, smooth(runs, refine=4))
    rows = NodeRows(data, Network.from_adjacency(network), 0)
    return RobustSearch(rows, float(data.noise[0]), LIBRARY, 6)


def epidemic(t, x):
    return -0.6 * x + 0.3 * (1 - x) * (A @ x)


CASES = {
    classes.CONSTANTS: lambda t, x: -OWN * x + 0.3 * (1 - x) * (A @ x),
    classes.FORCING: lambda t, x: epidemic(t, x) + 0.2 * np.sin(2 * t),
    classes.CHANGING: lambda t, x: -0.6 * x + 0.3 * (1 - 0.15 * t) * (1 - x) * (A @ x),
    classes.PAIRS: lambda t, x: epidemic(t, x) - 0.05 * x * (A @ x) ** 2,
}


@pytest.mark.parametrize("name", CASES)
def test_the_class_that_lacks_is_told(name):
    search = search_of(runs_of(CASES[name]))
    search.best()
    found = classes.class_tests([search])
    assert found[0].name == name
    assert found[0].needed
    assert name in classes.class_note(found, ("x",))


@pytest.mark.parametrize("lost", [0, 20])
def test_nothing_is_asked_for_where_nothing_or_edges_lack(lost):
    given, random = A.copy(), np.random.default_rng(1)
    for edge in random.permutation(np.argwhere(A))[:lost]:
        given[tuple(edge)] = 0.0
    search = search_of(runs_of(epidemic), given)
    search.best()
    found = classes.class_tests([search])
    assert len(found) == 5
    assert not any(test.needed for test in found)
    assert classes.class_note(found, ("x",)) == ""


def test_rows_of_senders_that_are_heard_late():
    times = np.linspace(0, END, 41)
    path = np.sin(times[:, None] + np.arange(NUM_NODES))
    data = grid_data([Trajectories(times, path)], smooth([Trajectories(times, path)], refine=1))
    rows = NodeRows(data, Network.from_adjacency(A), 0)
    term = Term(TermFamily(INTERACTION, x_i * x_j))
    np.testing.assert_allclose(delayed(rows, 0.0).column(term), rows.column(term), atol=1e-12)
    # A tenth of a run is four steps.
    states = data.states[0][0]
    late = states[:, np.maximum(np.arange(41) - 4, 0)]
    expected = rows.rotated(states * (A @ late))
    np.testing.assert_allclose(delayed(rows, 0.1).column(term), expected, atol=1e-9)


def test_a_law_beside_a_forcing():
    search = search_of(runs_of(CASES[classes.FORCING]))
    search.beside = tuple(forcing_columns(search.rows))
    law = search.best()[0]
    # The constant is that of the forcing: its mean.
    assert law.key >= {LIBRARY[k].family for k in (1, 3, 4)}
    values = dict(zip((t.family for t in law.terms), law.coefficients, strict=True))
    for k, true in ((1, -0.6), (3, 0.3), (4, -0.3)):
        assert values[LIBRARY[k].family] == pytest.approx(true, rel=0.05)


def test_a_discovery_that_is_asked_what_it_lacks():
    choices = {"functions": (), "engines": ("sparse",), "neural": "never", "sums": False}
    runs, network = runs_of(CASES[classes.CONSTANTS]), Network.from_adjacency(A)
    law = jaxllc.discover(runs, network, classes="always", moves=0, **choices)
    table = law.model_classes_table()
    assert table["class"][0] == classes.CONSTANTS
    assert any("vary={'omega': 'node'}" in note for note in law.notes)
    with pytest.raises(InputError, match="classes='always'"):
        jaxllc.Law(law.equations).model_classes_table()
    with pytest.raises(InputError, match="classes must be"):
        jaxllc.discover(runs, network, classes="some")


def test_no_law_holds_a_term_twice():
    """Few self terms: functions of sums would be among the plain ones, too."""
    search = search_of(runs_of(CASES[classes.PAIRS]))
    x_s = sympy.Symbol("x_s")
    for expression in (x_s**2, x_i * x_s**2):
        family = TermFamily(SELF, expression)
        search.starts[family] = [Term(family)]
    search.max_terms = 2
    assert len(search.best()[0].terms) <= 2
    assert all(len(law.terms) == len(law.key) for law in search.seen.values())
