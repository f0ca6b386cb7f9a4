"""Samples cut off at a bound: found where noise was cut, nowhere else, and replaced by what was there."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import jaxllc
from jaxllc.equations.equation import Equation
from jaxllc.metrics import skeleton_equal
from jaxllc.smoothing.clipped_samples import cuts, without_cuts

TIMES = np.linspace(0.0, 10.0, 60)
NOISE = 0.01


def decays(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.exp(-TIMES[:, None] * rng.uniform(0.3, 1.0, 12)) * rng.uniform(0.3, 1.0, 12)


def noisy(states: np.ndarray, seed: int = 0) -> np.ndarray:
    return states + NOISE * np.random.default_rng(seed + 100).standard_normal(states.shape)


def run(states: np.ndarray) -> jaxllc.Trajectories:
    return jaxllc.Trajectories(TIMES, states)


@pytest.mark.parametrize("sign", [1, -1])
def test_noise_cut_off_at_either_end_is_found(sign):
    (cut,) = cuts([run(sign * np.clip(noisy(decays()), 0.0, None))])
    assert (cut.bound, cut.sign) == (0.0, sign)
    assert cut.count == (noisy(decays()) <= 0).sum()


@pytest.mark.parametrize(
    "states",
    [
        decays(),
        noisy(decays()),
        np.maximum(decays() - 0.05, 0.0),
        np.where(TIMES[:, None] > 5, 0.0, noisy(decays())),
        np.random.default_rng(0).poisson(3 * decays()).astype(float),
        np.round(20 * noisy(decays())),
        np.zeros((60, 3)),
        np.where(np.arange(60)[:, None] % 7 < 3, 0.0, 1.0 + decays()),
    ],
    ids=["clean", "noisy", "at rest", "switched off", "counts", "rounded", "constant", "pulses"],
)
def test_states_that_rest_at_a_bound_are_not_cut(states):
    runs = [run(states)]
    assert cuts(runs) == []
    assert without_cuts(runs, seed=0) == (runs, [])


def test_draws_are_distributed_as_what_was_cut_off():
    errors = []
    for seed in range(6):
        measured = noisy(decays(seed), seed)
        runs = [run(np.clip(measured, 0.0, None))]
        (filled,), (sentence,) = without_cuts(runs, seed=seed)
        lost = measured < 0
        drawn = filled.states[..., 0]
        assert (drawn[lost] <= 0).all()
        np.testing.assert_array_equal(drawn[~lost], measured[~lost])
        errors.append((drawn[lost].mean() / measured[lost].mean(), drawn.mean() - measured.mean()))
    ratio, shift = np.mean(errors, axis=0)
    assert abs(ratio - 1) < 0.15
    assert abs(shift) < 0.05 * NOISE
    assert "lie exactly on 0, its least value" in sentence


def test_draws_depend_on_the_seed_alone():
    runs = [run(np.clip(noisy(decays()), 0.0, None))]
    first, again, other = (without_cuts(runs, seed)[0][0].states for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_law_of_cut_samples_has_no_more_terms():
    n = 12
    near = np.roll(np.eye(n), 1, axis=0)
    near[[0, 2, 0], [5, 9, 7]] = 1.0
    adjacency = np.maximum(near, near.T)

    def rate(_, flat):
        s, i, _ = flat.reshape(3, n)
        caught = 0.35 * s * (adjacency @ i)
        return np.concatenate([-caught, caught - 0.2 * i, 0.2 * i])

    times, ill = np.linspace(0.0, 60.0, 61), 0.1 * np.eye(n)[0]
    start = np.concatenate([1 - ill, ill, np.zeros(n)])
    states = solve_ivp(rate, (0, 60), start, t_eval=times, rtol=1e-9, atol=1e-12).y
    states = states.T.reshape(61, 3, n).transpose(0, 2, 1)
    measured = states + 0.005 * np.random.default_rng(11).standard_normal(states.shape)
    data = jaxllc.Trajectories(times, np.clip(measured, 0.0, 1.0), variables=("S", "I", "R"))
    network = jaxllc.Network.from_adjacency(adjacency)
    law = jaxllc.discover(data, network, functions=(), sums=False, neural="never")
    truth = {"S": ("0", "-0.35*I_j*S_i"), "I": ("-0.2*I_i", "0.35*I_j*S_i"), "R": ("0.2*I_i", "0")}
    assert skeleton_equal(law, {v: Equation.from_text(*texts) for v, texts in truth.items()}), law
    constants = {(c.variable, c.side): c.value for c in law.constants}
    assert constants["S", "interaction"] == pytest.approx(-0.35, rel=0.02)
    assert constants["I", "self"] == pytest.approx(-0.2, rel=0.02)
    np.testing.assert_array_equal(law.data[0].states, data.states)
    assert sum("lie exactly on" in note for note in law.notes) >= 2
