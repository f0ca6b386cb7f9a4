"""Networks of unlike size share a compiled simulation, and what fills them up changes nothing."""

import jax
import numpy as np
import pytest

from jaxllc import generators
from jaxllc.data.message_passing import graph_of
from jaxllc.data.network import Network
from jaxllc.dynamics.integrate import MAX_STEPS, _compiled, simulate, solve
from jaxllc.dynamics.padded_graphs import padded, size_class
from jaxllc.dynamics.vector_field import from_equations
from jaxllc.equations.equation import Equation

TIMES = np.linspace(0, 2, 9)
# Not finite at a state of zero, which nodes that are filled in have.
FIELD = from_equations({"x": Equation.from_text("-x_i*log(x_i) + 1/x_i - x_i", "x_j/(x_i*k_i)")})


def start_of(network):
    return np.random.default_rng(len(network)).uniform(0.5, 2.0, (len(network), 1))


def ring(num_nodes):
    """Each node hears three others near it."""
    receivers = np.repeat(np.arange(num_nodes), 3)
    senders = (receivers + np.tile([-2, -1, 1], num_nodes)) % num_nodes
    return Network.from_edges(senders, receivers)


def test_classes_hold_their_counts_and_waste_no_more_than_half():
    sizes = [size_class(count) for count in range(1, 500)]
    assert all(size >= count for count, size in enumerate(sizes, start=1))
    assert all(size <= 1.5 * count for count, size in enumerate(sizes, start=1) if count > 16)
    assert sorted(set(sizes)) == [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]


def test_networks_of_unlike_size_are_simulated_by_one_program():
    """As each of them alone, in a program of its own size."""
    program = _compiled("tsit5", MAX_STEPS)
    programs = []
    for num_nodes in (17, 19, 21):
        network = ring(num_nodes)
        start = start_of(network)
        found = simulate(FIELD, network, TIMES, start)
        assert found.success, found.message
        assert found.trajectories.states.shape == (9, num_nodes, 1)
        programs.append(program._cache_size())
    assert programs == programs[:1] * 3
    with jax.enable_x64(True):
        alone = jax.jit(solve)(FIELD, graph_of(network), start, TIMES)
    np.testing.assert_allclose(found.trajectories.states, alone.states, rtol=1e-12)


@pytest.mark.parametrize("num_nodes", [5, 15, 16])
def test_what_is_filled_in_is_joined_to_nothing_and_does_not_move(num_nodes):
    network = generators.erdos_renyi(num_nodes, 3, seed=1)
    field, graph, states = padded(FIELD, graph_of(network), start_of(network)[None])
    assert states.shape[1] == len(graph.nodes["k"]) == size_class(num_nodes + 1)
    assert len(graph.edges) == size_class(network.num_edges)
    joined = graph.edges != 0
    assert joined.sum() == network.num_edges
    assert max(graph.senders[joined].max(), graph.receivers[joined].max()) < num_nodes
    assert min(graph.senders[~joined].min(), graph.receivers[~joined].min()) >= num_nodes
    assert (np.diff(graph.receivers) >= 0).all()
    with jax.enable_x64(True):
        traced = jax.jit(lambda state, graph: field.derivative(state, graph))
        rates = np.asarray(traced(states[0], graph))
        expected = FIELD.derivative(jax.numpy.asarray(start_of(network)), graph_of(network))
        assert field.norm(jax.numpy.asarray(states[0])) == pytest.approx(
            np.sqrt(np.mean(states[0, :num_nodes] ** 2)), rel=1e-14
        )
    assert (rates[num_nodes:] == 0).all()
    np.testing.assert_allclose(rates[:num_nodes], expected, rtol=1e-14)
