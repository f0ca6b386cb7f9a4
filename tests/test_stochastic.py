"""Paths of noisy laws and of maps, against known variances and loops."""

import numpy as np
import pytest

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError

TIMES = np.linspace(0.0, 3.0, 7)
MANY = jaxllc.Network.from_edges([0], [1], num_nodes=1500)


def law_of(own, between="0", **fields):
    return jaxllc.Law({"x": Equation.from_text(own, between)}, **fields)


@pytest.fixture(scope="module")
def decay():
    return law_of("-x_i")


@pytest.fixture(scope="module")
def logistic():
    return law_of("3.8*x_i*(1 - x_i)", "0.05*(x_j - x_i)", dynamics="map")


def paths(law, seed, noise=0.5, **options):
    start = np.zeros(MANY.num_nodes)
    return law.simulate(start, TIMES, MANY, process_noise=noise, seed=seed, **options).states[
        ..., 0
    ]


@pytest.mark.slow
def test_the_variance_of_an_ornstein_uhlenbeck_process_is_the_known_one(decay):
    found = paths(decay, 1)
    known = 0.5**2 / 2 * (1 - np.exp(-2 * TIMES))
    error = np.sqrt(2 / MANY.num_nodes)
    np.testing.assert_allclose(found.var(axis=1)[1:], known[1:], rtol=4 * error)
    np.testing.assert_allclose(found.mean(axis=1), 0.0, atol=4 * 0.36 / np.sqrt(MANY.num_nodes))
    # Apart by 1.5 in time, samples are correlated by exp(-1.5).
    assert np.cov(found[3], found[6])[0, 1] == pytest.approx(np.exp(-1.5) * known[3], abs=0.02)


def test_a_seed_is_a_path(decay):
    first = paths(decay, 1)
    np.testing.assert_array_equal(first, paths(decay, 1, {"x": 0.5}))
    assert np.abs(first[1:] - paths(decay, 2)[1:]).min(axis=1).max() > 0.0
    assert not np.any(first[1] == paths(decay, 2)[1])


@pytest.mark.slow
def test_runs_of_a_batch_are_realisations_of_their_own(decay):
    starts = np.ones((3, MANY.num_nodes, 1))
    found = decay.simulate(starts, TIMES, MANY, process_noise=0.5, seed=1)
    ends = np.array([run.states[-1, :, 0] for run in found])
    assert np.abs(np.corrcoef(ends) - np.eye(3)).max() < 0.1


def test_small_process_noise_leaves_the_trajectory(decay):
    calm = decay.simulate(np.ones(MANY.num_nodes), TIMES, MANY).states
    noisy = decay.simulate(np.ones(MANY.num_nodes), TIMES, MANY, process_noise=1e-7).states
    assert 0 < np.abs(calm - noisy).max() < 2e-4


def test_the_process_noise_of_a_law_is_used_where_it_is_asked_for():
    known = law_of("-x_i", process_noise={"x": 0.5})
    np.testing.assert_array_equal(paths(known, 1, True), paths(known, 1, 0.5))
    calm = known.simulate(np.ones(MANY.num_nodes), TIMES, MANY).states
    np.testing.assert_allclose(calm[-1], np.exp(-3.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"process_noise": -1.0}, "process_noise of x must be a number from 0, not -1.0"),
        ({"process_noise": {"z": 1.0}}, "process_noise names 'z'"),
        ({"process_noise": True}, "this one has none"),
        ({"process_noise": 0.1, "solver": "kvaerno5"}, "leave out solver"),
        ({"process_noise": 0.1, "seed": -1}, "seed"),
        ({"process_noise": "much"}, "process_noise"),
    ],
)
def test_what_cannot_be_is_said(decay, options, said):
    with pytest.raises(InputError, match=said):
        decay.simulate(np.zeros(MANY.num_nodes), TIMES, MANY, **options)


# -- maps --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ring():
    return jaxllc.Network.from_edges([0, 1, 2, 3], [1, 2, 3, 0])


def test_a_map_is_a_loop(logistic, ring):
    start = np.array([0.1, 0.3, 0.5, 0.7])
    found = logistic.simulate(start, [0, 1, 2, 5], ring).states[..., 0]
    state, A = start, ring.to_adjacency().toarray()
    states = [state]
    for _ in range(5):
        state = 3.8 * state * (1 - state) + 0.05 * (A @ state - A.sum(axis=1) * state)
        states.append(state)
    np.testing.assert_allclose(found, np.array(states)[[0, 1, 2, 5]], rtol=1e-9)


def test_noise_of_a_map_is_added_to_each_step():
    found = law_of("0.5*x_i", dynamics="map").simulate(
        np.zeros(MANY.num_nodes), np.arange(3), MANY, process_noise=0.2, seed=3
    )
    spread = found.states[..., 0].std(axis=1)
    np.testing.assert_allclose(spread, [0.0, 0.2, 0.2 * np.sqrt(1.25)], rtol=0.08)


def test_a_map_that_diverges_says_when(ring):
    found = law_of("x_i**2", dynamics="map").run(np.full(4, 3.0), np.arange(12), ring)
    assert not found.success
    assert found.message.startswith("Diverged before t = 10 of 11")
    assert np.isfinite(found.trajectories.states[9]).all()
    assert np.isnan(found.trajectories.states[10:]).all()


def test_a_map_has_its_own_words(logistic, ring, tmp_path):
    assert str(logistic) == "x_i(k+1) = 3.8*x_i*(1 - x_i) + sum_j A_ij 0.05*(-x_i + x_j)"
    assert logistic.latex().startswith("x_i(k+1) = ")
    logistic.report(tmp_path / "law.html")
    page = (tmp_path / "law.html").read_text()
    assert "x_i(k+1) = 3.8" in page
    assert "d</mi>" not in page
    for wrong, said in (
        (lambda: logistic.vector_field(), "this law is a map"),
        (lambda: jaxllc.simulate(logistic, ring, [0, 1], np.ones(4)), "this law is a map"),
        (lambda: logistic.simulate(np.ones(4), [0, 0.5], ring), "multiples of its step 1"),
        (lambda: logistic.simulate(np.ones(4), [0, 1], ring, rtol=1e-3), "leave out rtol"),
    ):
        with pytest.raises(InputError, match=said):
            wrong()


def test_files_hold_dynamics_step_and_process_noise(logistic, ring, tmp_path):
    from dataclasses import replace

    replace(logistic, process_noise={"x": 0.25}, step=7.0).save(tmp_path / "law.json")
    found = jaxllc.load_law(tmp_path / "law.json")
    assert (found.dynamics, found.process_noise, found.step) == ("map", {"x": 0.25}, 7.0)
    assert str(found) == str(logistic)
    weekly = found.simulate(np.full(4, 0.3), [14.0, 21.0, 35.0], ring).states
    np.testing.assert_array_equal(
        weekly, logistic.simulate(np.full(4, 0.3), [0, 1, 3], ring).states
    )
    text = (tmp_path / "law.json").read_text()
    for known, wrong in (
        ('"map"', '"mop"'),
        ('"x": 0.25', '"x": -1'),
        ('"step": 7.0', '"step": 0'),
    ):
        assert known in text
        (tmp_path / "other.json").write_text(text.replace(known, wrong))
        with pytest.raises(InputError, match="is not a complete law"):
            jaxllc.load_law(tmp_path / "other.json")
