"""Spurious edges: new ones, different ones, drawn as the two kinds promise."""

import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling import PriorNetwork, add_spurious_edges, is_spurious
from tests.sweep_problem import PRIOR

# A hub that sends ten of fifteen edges, and a sink that receives five; four of five known signs stimulate.
HUB = PriorNetwork.from_edges(
    [*["H"] * 10, "A0", "A1", "A2", "A3", "A4"],
    [*(f"B{n}" for n in range(10)), *["S"] * 5],
    [1] * 8 + [-1] * 2 + [None] * 5,
)
KINDS = ("uniform", "degree_preserving")


def pairs(network, chosen=slice(None)):
    return [*zip(network.senders[chosen].tolist(), network.receivers[chosen].tolist(), strict=True)]


def drawn(prior, number, seed, kind="uniform", signs="unknown"):
    """The network with spurious edges and their sender-receiver pairs."""
    noisy = add_spurious_edges(prior, number, seed, kind, signs)
    return noisy, pairs(noisy, is_spurious(noisy, prior))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 1, 12])
def test_the_edges_are_so_many_new_and_different(kind, number):
    noisy, new = drawn(PRIOR, number, 3, kind)
    assert noisy.num_edges == PRIOR.num_edges + number
    assert len(set(new)) == len(new) == number
    assert not set(new) & set(pairs(PRIOR))
    assert set(pairs(noisy)) == set(new) | set(pairs(PRIOR))
    assert noisy.names == PRIOR.names


def test_the_mask_is_of_the_spurious_edges_and_the_others_stay_as_they_were():
    noisy, _ = drawn(PRIOR, 12, 3, signs="known")
    mask = is_spurious(noisy, PRIOR)
    before = set(pairs(PRIOR))
    assert mask.tolist() == [pair not in before for pair in pairs(noisy)]
    assert pairs(noisy, ~mask) == pairs(PRIOR)
    np.testing.assert_array_equal(noisy.signs[~mask], PRIOR.signs)
    np.testing.assert_array_equal(noisy.sign_known[~mask], PRIOR.sign_known)
    assert not is_spurious(PRIOR, PRIOR).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_the_edges(kind):
    one = drawn(PRIOR, 8, 5, kind)[1]
    assert drawn(PRIOR, 8, 5, kind)[1] == one
    assert drawn(PRIOR, 8, 6, kind)[1] != one


def test_uniform_edges_take_every_free_pair_alike():
    N, draws, number = PRIOR.num_nodes, 1500, 4
    counts = np.zeros((N, N))
    for seed in range(draws):
        for pair in drawn(PRIOR, number, seed)[1]:
            counts[pair] += 1
    free = np.ones((N, N), bool)
    free[tuple(np.array(pairs(PRIOR)).T)] = False
    assert not counts[~free].any()
    expected = draws * number / free.sum()
    # The edges of one draw differ, which makes chi-square a little smaller than its 54 degrees of freedom.
    chi_square = ((counts[free] - expected) ** 2 / expected).sum()
    assert chi_square < 54 + 5 * np.sqrt(2 * 54)
    # So are, with their own number of free pairs, self-loops and edges against those of the network.
    assert (np.diag(counts) > 0.7 * expected).all()
    backwards = [counts[b, a] for a, b in pairs(PRIOR) if free[b, a]]
    assert min(backwards) > 0.7 * expected


def hub_share(kind):
    """The part of drawn edges that the hub sends, and that the sink receives."""
    hub, sink = (HUB.names.index(name) for name in "HS")
    found = np.array([pair for seed in range(1000) for pair in drawn(HUB, 1, seed, kind)[1]])
    return (found[:, 0] == hub).mean(), (found[:, 1] == sink).mean()


def test_degree_preserving_edges_are_sent_and_received_as_those_of_the_network():
    uniform, preserving = hub_share("uniform"), hub_share("degree_preserving")
    # The hub has 17 - 10 and the sink 17 - 5 of 289 - 15 free pairs.
    assert uniform == pytest.approx((7 / 274, 12 / 274), abs=0.03)
    sent = np.bincount(HUB.senders, minlength=17) / 15
    received = np.bincount(HUB.receivers, minlength=17) / 15
    likely = np.outer(sent, received)
    likely[tuple(np.array(pairs(HUB)).T)] = 0
    likely /= likely.sum()
    hub, sink = (HUB.names.index(name) for name in "HS")
    assert preserving == pytest.approx((likely[hub].sum(), likely[:, sink].sum()), abs=0.05)
    assert preserving[0] > 5 * uniform[0]


def test_degrees_of_a_sparse_network_are_kept():
    random = np.random.default_rng(0)
    # A few nodes send and receive most of 600 edges of 300 nodes.
    many = 300 * random.random((3000, 2)) ** 3
    ends = np.unique(many.astype(int), axis=0)
    ends = ends[random.permutation(len(ends))[:600]]
    sparse = PriorNetwork.from_edges(*(np.char.add("n", part.astype(str)) for part in ends.T))
    out = np.bincount(sparse.senders, minlength=sparse.num_nodes)
    degrees = {kind: [] for kind in KINDS}
    for kind, found in degrees.items():
        for seed in range(5):
            found += [out[sender] for sender, _ in drawn(sparse, 200, seed, kind)[1]]
    of_edges = out[sparse.senders].mean()
    assert np.mean(degrees["degree_preserving"]) == pytest.approx(of_edges, rel=0.2)
    assert np.mean(degrees["uniform"]) < 0.4 * of_edges


def test_known_signs_stimulate_as_often_as_those_of_the_network():
    signs = []
    for seed in range(100):
        noisy = add_spurious_edges(HUB, 10, seed, signs="known")
        new = is_spurious(noisy, HUB)
        assert noisy.sign_known[new].all()
        signs += noisy.signs[new].tolist()
    assert set(signs) == {1, -1}
    assert np.mean(np.array(signs) == 1) == pytest.approx(0.8, abs=0.04)


def test_signs_are_unknown_unless_asked_for():
    noisy = add_spurious_edges(HUB, 30, 0)
    assert not noisy.sign_known[is_spurious(noisy, HUB)].any()


def test_signs_like_those_of_the_network_are_as_often_unknown():
    known = []
    for seed in range(100):
        noisy = add_spurious_edges(HUB, 10, seed, signs="like_prior")
        known += noisy.sign_known[is_spurious(noisy, HUB)].tolist()
    assert np.mean(known) == pytest.approx(2 / 3, abs=0.05)


def test_the_signs_do_not_change_the_edges():
    kinds = [drawn(HUB, 20, 4, signs=signs)[1] for signs in ("unknown", "known", "like_prior")]
    assert kinds[0] == kinds[1] == kinds[2]


def test_all_free_pairs_can_be_asked_for_and_no_more():
    free = PRIOR.num_nodes**2 - PRIOR.num_edges
    noisy, new = drawn(PRIOR, free, 0)
    assert len(set(new)) == free
    assert len(set(pairs(noisy))) == PRIOR.num_nodes**2
    with pytest.raises(
        InputError, match=f"{free + 1} spurious edges are asked for, but 8 nodes with 9 edges leave"
    ):
        add_spurious_edges(PRIOR, free + 1)
    with pytest.raises(InputError, match=r"1 spurious edges are asked for, .* leave 0 pairs"):
        add_spurious_edges(noisy, 1)


def test_more_edges_than_have_the_degrees_of_the_network_are_refused():
    # Of 6 x 11 pairs of a sender and a receiver 15 are there: the hub sends no self-loop, nor does the sink.
    with pytest.raises(InputError, match=r"only 51 of 52 edges were found .* 'uniform'"):
        add_spurious_edges(HUB, 52, kind="degree_preserving")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "unifrom"}, r"kind is 'unifrom' \(did you mean 'uniform'\?\)"),
        ({"kind": None}, "kind is None"),
        ({"signs": "unkown"}, r"signs is 'unkown' \(did you mean 'unknown'\?\)"),
        ({"number": -1}, "number is -1"),
        ({"number": 2.0}, "number is 2.0"),
        ({"number": True}, "number is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, said):
    with pytest.raises(InputError, match=said):
        add_spurious_edges(PRIOR, **arguments)


def test_known_signs_need_some_in_the_network():
    unsigned = PriorNetwork.from_edges(["A", "B"], ["B", "C"])
    with pytest.raises(InputError, match="no signs to draw from"):
        add_spurious_edges(unsigned, 2, signs="known")


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_without_edges_gets_edges_or_a_sentence(kind):
    empty = PRIOR.without_edges(np.arange(PRIOR.num_edges))
    if kind == "uniform":
        assert add_spurious_edges(empty, 3).num_edges == 3
    else:
        with pytest.raises(InputError, match="only 0 of 3 edges"):
            add_spurious_edges(empty, 3, kind=kind)
