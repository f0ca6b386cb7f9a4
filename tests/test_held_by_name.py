"""Nodes that a user holds: given, acting on the others, and not explained."""

import numpy as np
import pandas as pd
import pytest

import jaxllc
from jaxllc import InputError
from jaxllc.commands.command_line import main
from jaxllc.equations.equation import Equation
from jaxllc.metrics import skeleton_equal
from tests.driven_systems import integrated

NETWORK = jaxllc.generators.barabasi_albert(16, 2, seed=1)
TIMES = np.linspace(0.0, 8.0, 50)
# Nodes that move by themselves, by no law that the others follow.
HELD = [3, 7]


def course(t):
    return np.stack([np.sin(1.3 * t) + 1, 0.8 * np.cos(0.7 * t) + 1], axis=-1)


def slope(t):
    return np.array([1.3 * np.cos(1.3 * t), -0.56 * np.sin(0.7 * t)])


def run_of(seed):
    A = NETWORK.to_adjacency()
    initial = np.random.default_rng(seed).uniform(0, 1, 16)
    initial[HELD] = course(0.0)

    def rate(t, x):
        change = -x + 0.3 * (A @ x) * (1 - x)
        change[HELD] = slope(t)
        return change

    return jaxllc.Trajectories(TIMES, integrated(rate, initial, TIMES))


RUN = run_of(0)


@pytest.fixture(scope="module")
def law():
    return jaxllc.discover([RUN], NETWORK, held=["3", "7"], neural="never")


def test_the_law_is_that_of_the_others(law):
    true = Equation.from_text("-x_i", "0.3*(1 - x_i)*x_j")
    assert skeleton_equal(law.equations["x"], true), law
    for constant in law.constants:
        assert min(abs(abs(constant.value) - v) for v in (1.0, 0.3)) < 3e-3
    assert law.held == ("3", "7")
    assert any("nodes held, '3', '7'" in note for note in law.notes)
    assert np.isnan(law.fitted_states[0][:, HELD]).all()


@pytest.mark.slow
def test_simulations_hold_them(law):
    fine = np.linspace(0.0, 8.0, 800)
    given = {str(n): (fine, course(fine)[:, k]) for k, n in enumerate(HELD)}
    found = law.simulate(RUN.states[0], TIMES, held=given)
    np.testing.assert_allclose(found.states[:, HELD, 0], course(TIMES), atol=1e-4)
    np.testing.assert_allclose(found.states, RUN.states, atol=5e-3)
    # By default as they were measured.
    measured = law.simulate(RUN.states[0], TIMES)
    np.testing.assert_array_equal(measured.states[:, HELD], RUN.states[:, HELD])
    np.testing.assert_array_equal(
        measured.states, law.simulate(RUN.states[0], TIMES, held=RUN).states
    )
    free = law.simulate(RUN.states[0], TIMES, held={})
    assert np.abs(free.states[-1, HELD] - RUN.states[-1, HELD]).max() > 0.1


def test_files_and_the_command_line(law, tmp_path, capsys):
    path, edges, held = (str(tmp_path / name) for name in ("law.json", "e.csv", "held.csv"))
    law.save(path)
    again = jaxllc.load_law(path)
    assert again.held == law.held
    with pytest.raises(InputError, match="'3', '7' of the law are held, and a law from a file"):
        again.simulate(RUN.states[0], TIMES, NETWORK)
    ends = {"sender": NETWORK.senders, "receiver": NETWORK.receivers}
    pd.DataFrame(ends).to_csv(edges, index=False)
    RUN.select(["3", "7"]).to_csv(held)
    command = ["simulate", path, "--network", edges, "--times", "0:8:5", "--quiet"]
    command += ["--out", str(tmp_path / "s.csv")]
    assert main(command) == 2
    assert "give their states with --held STATES.csv" in capsys.readouterr().err
    assert main([*command, "--held", held]) == 0
    states = pd.read_csv(tmp_path / "s.csv")
    expected = [np.interp(states["time"], TIMES, RUN.states[:, n, 0]) for n in HELD]
    np.testing.assert_allclose(states[["3", "7"]].to_numpy().T, expected, atol=1e-12)
    # Another network has other nodes.
    other = jaxllc.generators.erdos_renyi(5, 2, seed=0)
    assert np.isfinite(law.simulate(np.ones(5), [0.0, 1.0], other).states).all()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (["3", "88"], "held names '88', but there is no such node"),
        ("3", "held is '3'; give a list of names"),
        ([str(n) for n in range(16)], "all nodes are held"),
    ],
)
def test_what_discoveries_refuse(held, said):
    with pytest.raises(InputError, match=said):
        jaxllc.discover([RUN], NETWORK, held=held)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([], "held must be a mapping"),
        ({"x": (TIMES, TIMES)}, "held names 'x', but there is no such node"),
        ({"3": (TIMES[:5], TIMES[:5])}, "the held node '3' ends at .*, but it is needed from 0"),
        ({"3": (TIMES, np.ones((50, 2)))}, "2 columns of states, but the law has the variables x"),
        ({"3": (TIMES, TIMES * np.nan)}, "not a finite number"),
        ({"3": (TIMES[::-1], TIMES)}, "must increase"),
        ({"3": TIMES}, r"must be \(times, states\), not ndarray"),
        ({"3": (TIMES, TIMES[1:])}, "of shapes"),
    ],
)
def test_what_simulations_refuse(law, held, said):
    with pytest.raises(InputError, match=said):
        law.simulate(RUN.states[0], TIMES, held=held)


def test_presets_that_fit_nets_do_not_read_it():
    with pytest.raises(InputError, match="preset 'neural' does not read held"):
        jaxllc.discover([RUN], NETWORK, held=["3"], preset="neural")
