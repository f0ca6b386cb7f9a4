"""Nets finished through the solver: the same nets afterwards, and better ones."""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc import generators
from jaxllc.commands.discover import add_settings_arguments, settings_of
from jaxllc.data.message_passing import graph_of
from jaxllc.data.trajectories import Trajectories
from jaxllc.discovery.library_road import LibraryRoad
from jaxllc.errors import InputError
from jaxllc.neural.net_fits import NetFits
from jaxllc.neural.neural_fit import fit_neural_terms
from jaxllc.neural.structures import DIFFERENCE, SENDER, Structure
from jaxllc.neural.through_solver import finished_net
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth

NUM_NODES, TIMES, WIDTH = 12, np.linspace(0.0, 3.0, 20), 8


@pytest.fixture(scope="module")
def network():
    return generators.erdos_renyi(NUM_NODES, 4, seed=2)


def rate(x, A):
    return -x + A @ (x**2 / (1 + x**2))


def drawn(network, seed, noise=0.03):
    A, generator = network.to_adjacency().toarray(), np.random.default_rng(seed)
    runs = []
    for _ in range(2):
        start = generator.uniform(0.2, 2.0, NUM_NODES)
        states = solve_ivp(lambda t, x: rate(x, A), (0, 3), start, t_eval=TIMES, rtol=1e-9).y.T
        runs.append(
            Trajectories(
                TIMES, states + noise * states.std() * generator.standard_normal(states.shape)
            )
        )
    return grid_data(runs, smooth(runs, refine=4))


@pytest.fixture(scope="module")
def data(network):
    return drawn(network, 3, noise=0.01)


@pytest.mark.parametrize("structure", [Structure(DIFFERENCE), Structure(SENDER, True)], ids=str)
def test_a_finished_net_is_one_of_its_structure_and_its_terms_are_those_of_its_field(
    network, data, structure
):
    fits = NetFits(data, network, (), WIDTH)
    with jax.enable_x64(True):
        net = fits.fit(structure, steps=4)
        found = finished_net(fits, net, steps=4)
        x = data.states[0][0, :, 10]
        field = fits.field_of(found.net)
        derivative = np.asarray(field.derivative(jnp.asarray(x[:, None]), graph_of(network)))[:, 0]
    assert found.chi_square <= min(found.history) < found.history[0]
    assert found.net.structure == structure
    assert not np.array_equal(found.net.readout, net.readout)
    inputs = (x[:, None] - fits.mean) / fits.std
    pairs = np.concatenate([inputs[network.receivers], inputs[network.senders]], axis=1)
    own, between = found.net.values(0, inputs)[:, 0], found.net.values(1, pairs)[:, 0]
    sums = np.bincount(network.receivers, network.weights * between, NUM_NODES)
    if structure.normalised:
        sums = sums / network.in_strength
        # A constant that may stand in either term is the self term's, of the layers as they are now.
        everywhere = found.net.values(1, fits.points()[1])
        assert np.abs(everywhere.mean()) < 1e-9 * everywhere.std()
    np.testing.assert_allclose(own + sums, derivative, rtol=1e-9, atol=1e-12)
    # What it leaves of the samples in the integral form is no less than what the best readouts leave.
    with jax.enable_x64(True):
        again = fits.changed(net, net.hidden, net.readout, [])
    np.testing.assert_allclose(again.residual, net.residual, rtol=1e-6)
    np.testing.assert_allclose(again.gram, net.gram)


def test_terms_are_nearer_the_law_where_the_samples_are_sparse(network):
    """In the mean over draws: a single one may be moved away from the truth by its noise."""
    squares = np.zeros((2, 2))
    for seed in range(4):
        data = drawn(network, seed)
        for finished, steps in enumerate((0, 15)):
            fit = fit_neural_terms(
                data, network, width=WIDTH, reduce=True, solver_steps=steps, replicate_steps=10
            )
            assert fit.structure == Structure(SENDER)
            assert (fit.chi_square is None) == (steps == 0)
            own, pair = fit.sample_terms(400)
            sent = pair.points[:, 1]
            truth = -own.points[:, 0], sent**2 / (1 + sent**2)
            for side, (term, values) in enumerate(zip((own, pair), truth, strict=True)):
                squares[finished, side] += np.mean((term.values["x"] - values) ** 2)
    assert np.all(squares[1] < squares[0])


class _AskedError(Exception):
    pass


@pytest.mark.parametrize("preset", ["default", "neural"])
def test_the_setting_is_read_wherever_nets_are_fitted(monkeypatch, network, preset):
    def asked(*arguments, solver_steps, **choices):
        raise _AskedError(solver_steps)

    monkeypatch.setattr("jaxllc.search.laws.neural_proposals.fit_neural_terms", asked)
    monkeypatch.setattr(LibraryRoad, "_needs_neural", lambda *_: True)
    states = np.random.default_rng(0).uniform(size=(12, NUM_NODES)).cumsum(axis=0)
    run = Trajectories(np.arange(12.0), states)
    choices = {"preset": preset, "max_terms": 2, "functions": ()}
    for neural, finished in (("solver", True), ("auto", False)):
        with pytest.raises(_AskedError) as said:
            jaxllc.discover(run, network, neural=neural, **choices)
        assert (said.value.args[0] > 0) == finished


def test_the_setting_is_a_flag_and_other_words_are_refused(network):
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    assert settings_of(parser.parse_args(["--neural", "solver"])).neural == "solver"
    run = Trajectories(np.arange(6.0), np.random.default_rng(0).uniform(size=(6, NUM_NODES)))
    with pytest.raises(InputError, match="'always', 'never' or 'solver', not 'sometimes'"):
        jaxllc.discover(run, network, neural="sometimes")
    with pytest.raises(InputError, match="does not read neural, which is 'always'"):
        jaxllc.discover(run, network, neural="always", preset="neural")
    with pytest.raises(InputError, match="does not read neural, which is 'solver'"):
        jaxllc.discover(run, network, neural="solver", preset="llc")
