"""What acts on a node beside a law, against what truly did."""

from dataclasses import replace

import numpy as np
import pytest

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError

NUM_NODES = 30
TRUE = jaxllc.generators.barabasi_albert(NUM_NODES, 2, seed=3)
SELF_TERM, INTERACTION_TERM = "-x_i", "0.6*x_j/(1 + x_j)"
LAW = jaxllc.Law({"x": Equation.from_text(SELF_TERM, INTERACTION_TERM)})
TIMES = np.linspace(0.0, 6.0, 60)


@pytest.fixture(scope="module")
def whole():
    """Two runs of the whole network."""
    random = np.random.default_rng(5)
    return [LAW.simulate(random.uniform(0.1, 4.0, NUM_NODES), TIMES, TRUE) for _ in range(2)]


@pytest.fixture(scope="module")
def part(whole):
    """What is seen, the network of it, and the missing input (run, node, time) of the nodes that are seen."""
    seen = np.setdiff1d(np.arange(NUM_NODES), [4, 11, 17, 23])
    hidden = np.setdiff1d(np.arange(NUM_NODES), seen)
    A = TRUE.to_adjacency().toarray()
    missing = [
        (
            A[np.ix_(seen, hidden)]
            @ (0.6 * run.states[:, hidden, 0] / (1 + run.states[:, hidden, 0])).T
        )
        for run in whole
    ]
    names = [f"n{node}" for node in seen]
    network = jaxllc.Network.from_adjacency(A[np.ix_(seen, seen)], names)
    runs = []
    for number, run in enumerate(whole):
        noisy = run.with_noise(40, number)
        runs.append(jaxllc.Trajectories(TIMES, noisy.states[:, seen], names=names))
    return runs, network, np.array(missing)


@pytest.fixture(scope="module")
def table(part):
    runs, network, _ = part
    return LAW.missing_input_table(runs, network)


def arrays(table, name, shape):
    return table[name].to_numpy().reshape(shape)


def test_the_table_holds_every_run_node_and_time(part, table):
    _, network, missing = part
    assert list(table.columns) == ["run", "node", "variable", "time", "value", "lower", "upper"]
    assert len(table) == missing.size
    first = table[(table.run == 1) & (table.node == network.names[3])]
    np.testing.assert_array_equal(first.time, TIMES)


def test_it_is_what_hidden_neighbours_add(part, table):
    _, _, missing = part
    value = arrays(table, "value", missing.shape)
    lower, upper = (arrays(table, name, missing.shape) for name in ("lower", "upper"))
    assert np.all(lower < upper)
    moved = missing.max(axis=(0, 2)) > 0.1
    assert moved.sum() >= 8
    for node in np.flatnonzero(moved):
        assert np.corrcoef(value[:, node].ravel(), missing[:, node].ravel())[0, 1] > 0.9
    error = np.sqrt(np.mean((value - missing)[:, moved] ** 2))
    assert error < 0.15 * np.sqrt(np.mean(missing[:, moved] ** 2))
    inside = (lower <= missing) & (missing <= upper)
    assert 0.88 < inside[:, moved].mean() < 0.99


def test_where_nothing_is_missing_the_band_holds_zero(part, table):
    _, _, missing = part
    still = missing.max(axis=(0, 2)) == 0
    assert still.sum() >= 8
    lower, upper = (arrays(table, name, missing.shape)[:, still] for name in ("lower", "upper"))
    assert np.mean((lower <= 0) & (upper >= 0)) > 0.9
    assert np.median(upper - lower) < 0.2 * missing.max()


def test_another_unit_of_states_and_times_changes_the_unit_and_no_more(part):
    runs, network, _ = part
    scaled = jaxllc.Law({"x": Equation.from_text("-x_i/60", "0.6*1000/60*x_j/(1000 + x_j)")})
    other = [jaxllc.Trajectories(60 * r.times, 1000 * r.states, names=r.node_names) for r in runs]
    nodes = list(network.names[:4])
    here = LAW.missing_input_table(runs, network, nodes)
    there = scaled.missing_input_table(other, network, nodes)
    np.testing.assert_allclose(there.value * 60 / 1000, here.value, atol=1e-3)


def test_nodes_that_follow_are_left_out(part):
    runs, network, _ = part
    follows = np.ones(network.num_nodes)
    follows[[2, 5]] = 0.1
    law = replace(LAW, data=tuple(runs), network=network, follows=follows)
    found = law.missing_input_table()
    assert set(found.node) == {network.names[2], network.names[5]}


def test_samples_that_were_not_seen_have_a_wider_band(part, table):
    runs, network, missing = part
    node = int(missing.max(axis=(0, 2)).argmax())
    holes = [np.array(r.states) for r in runs]
    holes[0][20:35, node] = np.nan
    data = [
        jaxllc.Trajectories(r.times, states, names=r.node_names)
        for r, states in zip(runs, holes, strict=True)
    ]
    found = LAW.missing_input_table(data, network, [network.names[node]])
    there = table[table.node == network.names[node]]
    width, whole = ((t.upper - t.lower)[(t.run == 0).to_numpy()].to_numpy() for t in (found, there))
    assert width[24:31].mean() > 1.2 * whole[24:31].mean()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": ["nobody"]}, "no node 'nobody'"),
        (
            {"network": jaxllc.generators.erdos_renyi(5, 2, seed=0)},
            "hold 26 nodes and the network 5",
        ),
    ],
)
def test_what_does_not_fit_is_told(part, change, said):
    runs, network, _ = part
    with pytest.raises(InputError, match=said):
        LAW.missing_input_table(**{"data": runs, "network": network} | change)


def test_a_law_without_data_or_of_steps_says_so(part):
    runs, network, _ = part
    with pytest.raises(InputError, match="no data or no network"):
        LAW.missing_input_table()
    with pytest.raises(InputError, match="steps between samples"):
        replace(LAW, dynamics="map").missing_input_table(runs, network)
    driven = jaxllc.Law({"x": Equation.from_text("-x_i + u_i", "x_j")}, inputs={"u": ""})
    with pytest.raises(InputError, match="u_i"):
        driven.missing_input_table(runs, network)
