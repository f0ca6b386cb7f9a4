"""Network and law from samples alone: the parts against slow computations, the whole on small networks."""

from itertools import combinations

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.commands.command_line import main
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.without_network.finder import Finder
from jaxllc.discovery.without_network.pair_problem import PairProblem
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.metrics import skeleton_equal
from jaxllc.running.time_limit import TimeLimit
from jaxllc.settings.discover_settings import DiscoverSettings
from jaxllc.unknown_network.edge_check import come_back, rank_of_form
from jaxllc.unknown_network.form_ranking import FormRanking
from jaxllc.unknown_network.free_strengths import free_strengths
from jaxllc.unknown_network.selection import selected, without_own

NUM_NODES = 8
NAMES = tuple(f"n{k}" for k in range(NUM_NODES))
x_i, x_j, w0 = sympy.symbols("x_i x_j w0")
SATURATING = TermFamily(INTERACTION, x_j / (w0 + x_j), (True,))
LAW = CandidateLaw(((Term(TermFamily(SELF, x_i)), Term(SATURATING, (0.8,))),), ((-0.9, 0.6),))
TRUTH = {"x": jaxllc.known_laws.get("heat").equations["x"]}


def adjacency(nodes=NUM_NODES, density=0.35):
    A = (np.random.default_rng(4).random((nodes, nodes)) < density).astype(float)
    np.fill_diagonal(A, 0.0)
    return A


def saturating(x, A):
    return -0.9 * x + 0.6 * A @ (x / (0.8 + x))


def diffusing(x, A):
    return 0.3 * (A @ x - A.sum(axis=1) * x)


def runs_of(rate, A, runs=10, samples=10, low=0.1, high=4.0, level=0.005, names=NAMES):
    times, found, random = np.linspace(0.0, 3.0, samples), [], np.random.default_rng(0)
    for _ in range(runs):
        start = random.uniform(low, high, len(A))
        x = solve_ivp(lambda _, x: rate(x, A), (0, 3), start, t_eval=times, rtol=1e-9).y.T
        found.append(
            Trajectories(times, x + level * x.std() * random.normal(size=x.shape), names=names)
        )
    return found


def problem_of(runs, **choices):
    return PairProblem.of(runs, 0, DiscoverSettings(**choices))


def finding_of(runs, **choices):
    return Finder(problem_of(runs, **choices), TimeLimit(300.0), lambda _: None).finding()


@pytest.fixture(scope="module")
def problem():
    return problem_of(runs_of(saturating, adjacency()))


@pytest.fixture(scope="module")
def diffusion():
    return runs_of(diffusing, adjacency(), low=-1.0, high=1.0)


@pytest.fixture(scope="module")
def law(diffusion):
    return jaxllc.discover(diffusion, None, seed=1)


# --- senders of one receiver --------------------------------------------------------------------


def test_selected_senders_are_the_best_of_all_sets():
    random = np.random.default_rng(2)
    columns = random.standard_normal((3, 6, 40))
    columns[:, 1] += 0.8 * columns[:, 0]
    target = np.einsum("isr,s->ir", columns, [1.0, 0, -0.5, 0, 0, 0.3])
    target += 0.2 * random.standard_normal(target.shape)
    counts = np.full(3, 40.0)
    found = selected(target, columns, counts)
    each = np.log(40.0) + 2 * np.log(6.0)
    for i in range(3):
        costs = {}
        for size in range(7):
            for members in combinations(range(6), size):
                own = columns[i, list(members)].T
                values = np.linalg.lstsq(own, target[i])[0] if size else np.zeros(0)
                left = target[i] - own @ values
                costs[members] = 40.0 * np.log(left @ left / 40.0) + size * each
        best = min(costs, key=costs.get)
        assert tuple(np.flatnonzero(found.members[i])) == best
        assert set(best) >= {0, 2, 5}
        assert found.costs[i] == pytest.approx(costs[best])
        values = np.linalg.lstsq(columns[i, list(best)].T, target[i])[0]
        assert found.strengths[i, list(best)] == pytest.approx(values)


def test_what_own_terms_explain_is_taken_out():
    random = np.random.default_rng(3)
    own, columns = random.standard_normal((2, 3, 20)), random.standard_normal((2, 4, 20))
    own[:, 2] = own[:, 0] + 1e-14 * own[:, 1]  # one of them says nothing new
    (apart,) = without_own(own, columns)
    for i in range(2):
        values = np.linalg.lstsq(own[i, :2].T, columns[i].T)[0]
        assert apart[i] == pytest.approx((columns[i].T - own[i, :2].T @ values).T, abs=1e-9)


def test_columns_of_pairs_are_those_that_a_law_gives_its_senders(problem):
    term = Term(SATURATING, (0.8,))
    pairs = problem.pairs(0, np.array([2, 5]))
    columns = problem.columns(LAW, adjacency())
    for place, receiver in enumerate((2, 5)):
        expected = 1.0 / 0.6 * columns.of(receiver).columns
        expected[receiver] = 0.0
        assert pairs.of(term)[place] == pytest.approx(expected)
    step = 1e-5
    ahead, back = (pairs.of(Term(SATURATING, (0.8 + s,))) for s in (step, -step))
    assert pairs.slope(term, 0) == pytest.approx((ahead - back) / (2 * step), rel=1e-6, abs=1e-6)


def test_inner_constants_move_to_where_they_are(problem):
    ranking = FormRanking(problem.pairs(0, np.arange(NUM_NODES)), problem.interactions)
    form = ranking.moved(ranking.form(Term(SATURATING, (1.3,))))
    assert form.term.inner[0] == pytest.approx(0.8, rel=0.05)
    assert form.gain > ranking.form(Term(TermFamily(INTERACTION, x_j**2))).gain > 0


def test_free_strengths_of_given_edges_are_least_squares(problem):
    A = adjacency()
    columns = problem.columns(LAW, A)
    found = free_strengths(columns, NUM_NODES, A > 0)
    for receiver in range(NUM_NODES):
        senders = columns.of(receiver)
        own = A[receiver] > 0
        values = found.values[receiver, own]
        places = senders.likelihoods((senders.alone - values @ senders.columns[own])[None])[1][0]
        root = np.sqrt(senders.weights(places))
        design = (senders.columns[own] * root).T
        assert values == pytest.approx(np.linalg.lstsq(design, senders.alone * root)[0], abs=1e-4)
    inside = (found.low <= 1.0) & (found.high >= 1.0)
    assert inside[A > 0].mean() > 0.8
    assert np.isnan(found.values[A == 0]).all()


# --- whether edges are told ---------------------------------------------------------------------


def test_runs_tell_edges_and_samples_of_the_same_run_do_not():
    nodes, directions, wrong = 20, [], []
    A = adjacency(nodes, 0.2)
    for runs, samples in ((1, 150), (15, 10)):
        problem = problem_of(runs_of(saturating, A, runs, samples, names=None))
        ranking = FormRanking(problem.pairs(0, np.arange(nodes)), problem.interactions)
        form = ranking.form(Term(SATURATING, (0.8,)))
        directions.append(rank_of_form(problem.pairs(0, np.arange(nodes)), form))
        wrong.append(come_back(problem.columns(LAW, A), A > 0, 0))
    assert [rank.full for rank in directions] == [False, True]
    assert wrong[0] > 0.2
    assert wrong[1] == 0.0


def test_edges_that_cannot_be_told_are_refused_in_words():
    law = jaxllc.discover(runs_of(saturating, adjacency(), runs=1, samples=30, level=0.02), None)
    assert law.network is None
    assert "More runs from other starts" in law.doubt
    assert not law.trusted
    with pytest.raises(InputError, match="no probabilities of edges"):
        law.network_table()


# --- the whole ----------------------------------------------------------------------------------


def test_network_and_law_are_found(law):
    A = adjacency()
    assert skeleton_equal(law, TRUTH)
    assert law.trusted
    assert law.network.names == NAMES
    assert np.array_equal(law.network.to_adjacency().toarray(), A)
    assert any("No network was given: 12 edges" in note for note in law.notes)
    assert int(A.sum()) == 12


def test_the_table_holds_every_edge_with_the_interval_of_its_weight(law):
    table = law.network_table(least=0.0)
    assert len(table) == NUM_NODES * (NUM_NODES - 1)
    A = adjacency()
    there = [
        A[NAMES.index(r), NAMES.index(s)] > 0
        for s, r in zip(table.sender, table.receiver, strict=True)
    ]
    assert (table.edge == "found").tolist() == there
    assert not table.given.any()
    found = table[table.edge == "found"]
    assert ((found.low < found.weight + 0.1) & (found.high > found.weight - 0.1)).all()
    assert (
        table.probability[table.edge == "found"].min()
        > table.probability[table.edge == "absent"].max()
    )


def test_relabelled_nodes_give_the_relabelled_network(diffusion):
    order = np.random.default_rng(1).permutation(NUM_NODES)
    renamed = tuple(NAMES[k] for k in order)
    turned = [Trajectories(r.times, r.states[:, order], names=renamed) for r in diffusion]
    first, second = finding_of(diffusion), finding_of(turned)
    assert np.array_equal(second.found.weights, first.found.weights[np.ix_(order, order)])
    assert first.found.law.key() == second.found.law.key()


def test_the_same_seed_gives_the_same_finding(diffusion):
    first, second = finding_of(diffusion), finding_of(diffusion)
    assert np.array_equal(first.found.weights, second.found.weights)
    assert first.found.law == second.found.law


def test_strengths_of_their_own_are_found():
    A = adjacency()
    A *= np.random.default_rng(5).uniform(0.5, 1.5, A.shape)
    A /= A[A > 0].mean()
    found = finding_of(runs_of(diffusing, A, low=-1.0, high=1.0)).found
    assert not found.equal
    there = A > 0
    assert found.present[there].all()
    assert np.corrcoef(found.weights[there], A[there])[0, 1] > 0.98


# --- what is not possible -----------------------------------------------------------------------


def test_one_node_has_no_network():
    one = Trajectories(np.arange(9.0), np.random.default_rng(0).normal(size=(9, 1)))
    with pytest.raises(InputError, match="one node"):
        jaxllc.discover(one, None)


@pytest.mark.parametrize(
    "choice",
    [
        {"vary": {"omega": "node"}},
        {"held": ["n1"]},
        {"inputs": {"u": "time"}},
        {"weights": "unknown"},
    ],
)
def test_what_needs_a_network_says_so(diffusion, choice):
    with pytest.raises(InputError, match=r"needs? a network"):
        jaxllc.discover(diffusion, None, **choice)


def test_too_many_nodes_are_too_many_pairs():
    many = Trajectories(np.arange(9.0), np.random.default_rng(0).normal(size=(9, 301)))
    with pytest.raises(InputError, match="301 nodes"):
        jaxllc.discover(many, None)


def test_strengths_are_one_of_three_words(diffusion):
    with pytest.raises(InputError, match="strengths"):
        jaxllc.discover(diffusion, None, strengths="some")


def test_the_command_writes_the_network(diffusion, tmp_path, capsys):
    lines = ["run,time," + ",".join(NAMES)]
    for number, run in enumerate(diffusion):
        for time, row in zip(run.times, run.states[..., 0], strict=True):
            lines.append(f"{number},{time!r}," + ",".join(map(repr, row.tolist())))
    states = tmp_path / "states.csv"
    states.write_text("\n".join(lines).replace("np.float64(", "").replace(")", ""))
    out = tmp_path / "out"
    assert main(["discover", str(states), "--out", str(out), "--max-terms", "3"]) == 0
    assert "No network was given" in capsys.readouterr().out
    network = jaxllc.read_edges(out / "network.csv")
    assert network.num_nodes == NUM_NODES
    assert main(["discover", str(states), "--signed"]) == 2
    assert "--signed says how EDGES.csv" in capsys.readouterr().err
