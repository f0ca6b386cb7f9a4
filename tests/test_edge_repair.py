"""Edges read off the receivers of a law: against exhaustive searches, and on networks spoiled on purpose."""

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

from jaxllc.data.network import Network
from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.knowledge.known_terms import KnownFamily
from jaxllc.nodewise.edges.edge_prior import EdgePrior
from jaxllc.nodewise.edges.edge_repair import repairable, repaired
from jaxllc.nodewise.edges.edge_search import SetSearch
from jaxllc.nodewise.edges.flip_sums import FlipSums
from jaxllc.nodewise.edges.sender_columns import SenderColumns
from jaxllc.nodewise.node_rows import NodeRows
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

NUM_NODES = 12
NAMES = [f"n{k}" for k in range(NUM_NODES)]
x_i, x_j, y_i, y_j, w0 = sympy.symbols("x_i x_j y_i y_j w0")
OWN, SENT = (
    Term(TermFamily(SELF, x_i)),
    Term(TermFamily(INTERACTION, x_j / (w0 + x_j), (True,)), (0.8,)),
)
LAW = CandidateLaw(((OWN, SENT),), ((-0.9, 0.6),))
LOST, FALSE = ((3, 0), (7, 5)), ((0, 8), (9, 2))  # (receiver, sender)


def rate(x, A):
    return -0.9 * x + 0.6 * A @ (x / (0.8 + x))


def random_adjacency():
    A = (np.random.default_rng(4).random((NUM_NODES, NUM_NODES)) < 0.25).astype(float)
    np.fill_diagonal(A, 0.0)
    for pair in LOST:
        A[pair] = 1.0
    for pair in FALSE:
        A[pair] = 0.0
    return A


def runs_of(A, runs=6, samples=30, level=0.005):
    times, found, random = np.linspace(0.0, 4.0, samples), [], np.random.default_rng(0)
    for _ in range(runs):
        start = random.uniform(0.1, 5.0, len(A))
        x = solve_ivp(lambda _, x: rate(x, A), (0, 4), start, t_eval=times, rtol=1e-9).y.T
        noisy = x + level * x.std() * random.standard_normal(x.shape)
        found.append(Trajectories(times, noisy, names=NAMES))
    return found


@pytest.fixture(scope="module")
def truth():
    return random_adjacency()


@pytest.fixture(scope="module")
def data(truth):
    runs = runs_of(truth)
    return grid_data(runs, smooth(runs, refine=4))


@pytest.fixture(scope="module")
def spoiled(truth):
    A = truth.copy()
    for pair in LOST:
        A[pair] = 0.0
    for pair in FALSE:
        A[pair] = 1.0
    return A


def problem(data, A):
    network = Network.from_adjacency(A, NAMES)
    return SimpleNamespace(data=data, network=network, noise=data.noise)


@pytest.fixture(scope="module")
def mended(data, spoiled):
    return repaired(problem(data, spoiled), LAW)


def columns_of(data, A, law=LAW):
    network = Network.from_adjacency(A, NAMES)
    rows = [NodeRows(data, network, v) for v in range(data.num_variables)]
    return SenderColumns(rows, data.noise, law.terms, law.coefficients), rows


def names_of(pairs):
    return [(NAMES[sender], NAMES[receiver]) for receiver, sender in pairs]


def test_lost_and_false_edges_are_found(mended, truth):
    assert np.array_equal(mended.network.to_adjacency().toarray(), truth)
    assert mended.table.num_changed == len(LOST) + len(FALSE)
    probability = mended.table.probability
    assert all(probability[pair] > 0.9 for pair in LOST)
    assert all(probability[pair] < 0.1 for pair in FALSE)
    assert mended.costs[1] < mended.costs[0]


def test_constants_are_fitted_on_the_repaired_network(mended):
    constants = [*mended.law.coefficients[0], *mended.law.terms[0][1].inner]
    assert constants == pytest.approx([-0.9, 0.6, 0.8], rel=0.01)


def test_the_table_lists_what_changed_first(mended):
    table = mended.table.network_table()
    changed = table[: mended.table.num_changed]
    pairs = set(zip(changed["sender"], changed["receiver"], strict=True))
    assert pairs == {*names_of(LOST), *names_of(FALSE)}
    assert set(changed["edge"]) == {"added", "removed"}
    assert set(table["edge"][mended.table.num_changed :]) <= {"kept", "absent"}
    assert (table["sender"] != table["receiver"]).all()


def test_a_clean_network_is_left_alone(data, truth):
    clean = repaired(problem(data, truth), LAW)
    assert np.array_equal(clean.network.to_adjacency().toarray(), truth)
    assert clean.table.probability[truth > 0].min() > 0.9
    assert clean.table.probability[truth == 0].max() < 0.1


def test_forbidden_and_sure_edges_stay_as_they_are_said_to_be(data, spoiled):
    prior = EdgePrior(forbidden=names_of(LOST[:1]), sure=names_of(FALSE[:1]))
    found = repaired(problem(data, spoiled), LAW, prior, rounds=2).table
    assert found.probability[LOST[0]] == 0.0
    assert not found.present[LOST[0]]
    assert found.probability[FALSE[0]] == 1.0
    assert found.present[FALSE[0]]
    assert found.present[LOST[1]]
    assert not found.present[FALSE[1]]


def test_another_order_of_nodes_gives_the_same_probabilities(data, spoiled, mended):
    order = np.random.default_rng(1).permutation(NUM_NODES)
    runs = [
        Trajectories(t, s[0].T[:, order], names=[NAMES[k] for k in order])
        for t, s in zip(data.times, data.samples, strict=True)
    ]
    moved = grid_data(runs, smooth(runs, refine=4))
    network = Network.from_adjacency(spoiled[np.ix_(order, order)], [NAMES[k] for k in order])
    found = repaired(SimpleNamespace(data=moved, network=network, noise=moved.noise), LAW)
    expected = mended.table.probability[np.ix_(order, order)]
    assert found.table.probability == pytest.approx(expected, abs=0.02)


def test_what_is_known_of_the_law_is_held(data, spoiled, truth):
    known = KnownFamily(SELF, -0.9 * x_i, text="-0.9*x_i")
    law = CandidateLaw(((Term(known), SENT),), ((1.0, 0.5),))
    found = repaired(problem(data, spoiled), law)
    assert np.array_equal(found.network.to_adjacency().toarray(), truth)
    assert found.law.coefficients[0] == pytest.approx((1.0, 0.6), rel=0.01)
    assert found.law.coefficients[0][0] == 1.0


def test_edges_into_and_out_of_a_node_that_was_not_seen_are_left_as_they_were(spoiled):
    runs, blind = runs_of(random_adjacency(), runs=3), 4
    some = grid_data(runs, smooth(runs, refine=4))
    observed = tuple(o.copy() for o in some.observed)
    for o in observed:
        o[:, blind] = False
    table = repaired(problem(replace(some, observed=observed), spoiled), LAW, rounds=1).table
    assert np.array_equal(table.present[blind], spoiled[blind] > 0)
    assert np.array_equal(table.present[:, blind], spoiled[:, blind] > 0)
    assert np.isnan(table.follows[blind])


def test_a_wrong_law_never_costs_more_on_the_repaired_network(data, spoiled):
    wrong = CandidateLaw(((OWN, Term(TermFamily(INTERACTION, x_i * x_j))),), ((-0.9, 0.1),))
    found = repaired(problem(data, spoiled), wrong, rounds=2)
    assert found.costs[1] <= found.costs[0]


def test_the_best_set_of_senders_is_that_of_an_exhaustive_search(data, spoiled):
    receiver = LOST[0][0]
    senders = columns_of(data, spoiled)[0].of(receiver)
    odds = EdgePrior().log_odds(Network.from_adjacency(spoiled, NAMES))[receiver]
    given = spoiled[receiver] > 0
    found = SetSearch(senders, np.ones(NUM_NODES), odds, 3).found(given)

    free = np.delete(np.arange(NUM_NODES), receiver)
    bits = (np.arange(2 ** len(free))[:, None] >> np.arange(len(free))) & 1
    every = np.zeros((len(bits), NUM_NODES), dtype=bool)
    every[:, free] = bits
    costs = senders.likelihoods(senders.alone - every @ senders.columns)[0]
    score = -0.5 * costs + every[:, free] @ odds[free]
    assert np.array_equal(found.members[0], every[np.argmax(score)])
    assert found.score[0] == pytest.approx(score.max())
    weights, visited = np.exp(score - score.max()), np.exp(found.score - found.score[0])
    averaged = visited @ found.members / visited.sum()
    assert averaged == pytest.approx(weights @ every / weights.sum(), abs=0.01)


def test_many_flips_at_once_are_all_sets_that_leave_no_more_than_a_distance():
    random = np.random.default_rng(0)
    steps = 30.0 * random.standard_normal((14, 5))
    flips = [1, 4, 6, 9, 12]
    wanted = steps[flips].sum(axis=0) + 0.5 * random.standard_normal(5)
    near = [
        s
        for s in combinations(range(14), 5)
        if np.linalg.norm(wanted - steps[list(s)].sum(axis=0)) < 6.0
    ]
    found = {tuple(s) for s in FlipSums(steps, wanted).sets(2, 3).tolist()}
    assert tuple(flips) in found
    assert set(near) <= found


def test_columns_of_senders_add_up_to_that_of_the_law(data, spoiled):
    weighted = spoiled * np.random.default_rng(2).uniform(0.5, 1.5, spoiled.shape)
    columns, (rows,) = columns_of(data, weighted)
    for receiver in range(NUM_NODES):
        senders = columns.of(receiver)
        expected = 0.6 * rows.column(SENT)[receiver] / data.noise[0]
        assert weighted[receiver] @ senders.columns == pytest.approx(expected, abs=1e-8)


def test_evidence_of_two_equations_adds_up(truth):
    times, random = np.linspace(0, 3, 20), np.random.default_rng(3)
    values = random.standard_normal((20, NUM_NODES, 2)).cumsum(axis=0) / 5
    run = Trajectories(times, values, names=NAMES, variables=("x", "y"))
    both = grid_data([run], smooth([run], refine=2))
    equations = (
        (Term(TermFamily(INTERACTION, x_j)),),
        (Term(TermFamily(SELF, y_i)), Term(TermFamily(INTERACTION, x_i * y_j))),
    )
    law = CandidateLaw(equations, ((0.5,), (-1.0, 0.3)))
    columns, rows = columns_of(both, truth, law)
    for receiver in (0, 5):
        senders = columns.of(receiver)
        state = truth[receiver][None]
        total = senders.likelihoods(senders.alone - state @ senders.columns)[0]
        alone = 0.0
        for v in range(2):
            one = SenderColumns(
                rows[v : v + 1],
                both.noise[v : v + 1],
                law.terms[v : v + 1],
                law.coefficients[v : v + 1],
            ).of(receiver)
            alone += one.likelihoods(one.alone - state @ one.columns)[0]
        assert total == pytest.approx(alone)


def test_laws_without_edges_that_add_up_are_told():
    lonely = CandidateLaw(((OWN,),), ((-1.0,),))
    assert "no interaction" in repairable(lonely)
    summed = Term(TermFamily(SELF, sympy.tanh(sympy.Symbol("x_s"))))
    assert "do not add up" in repairable(CandidateLaw(((SENT, summed),), ((1.0, 1.0),)))
    assert repairable(LAW) == ""


def test_priors_are_probabilities_of_edges_that_can_be():
    network = Network.from_edges(["a", "b"], ["b", "c"], names=["a", "b", "c"])
    odds = EdgePrior(likely=[("c", "a")]).log_odds(network)
    assert odds[0, 2] == pytest.approx(0.0)
    assert 1.0 / (1.0 + np.exp(-odds[1, 0])) == pytest.approx(0.9)
    with pytest.raises(InputError, match="given is 1"):
        EdgePrior(given=1.0)
    with pytest.raises(InputError, match="a -> b is named as sure and as forbidden"):
        EdgePrior(sure=[("a", "b")], forbidden=[("a", "b")])
    with pytest.raises(InputError, match="no node"):
        EdgePrior(sure=[("a", "d")]).log_odds(network)
    with pytest.raises(InputError, match="to itself"):
        EdgePrior(forbidden=[("a", "a")]).log_odds(network)


def test_a_hurried_repair_does_not_try_many_flips_at_once(data, truth, monkeypatch):
    tried, sets = [], FlipSums.sets

    def counted(self, *sizes):
        tried.append(sizes)
        return sets(self, *sizes)

    monkeypatch.setattr(FlipSums, "sets", counted)
    few = np.where(np.arange(NUM_NODES) < 2, truth, 0.0)  # edges of two senders
    hurried = repaired(problem(data, few), LAW, rounds=1, hurried=lambda: True)
    assert not tried
    assert hurried.costs[1] <= hurried.costs[0]
    repaired(problem(data, few), LAW, rounds=1)
    assert tried
