"""Laws of networks that inputs drive."""

import numpy as np
import pytest
import sympy

import jaxllc
from jaxllc import InputError
from jaxllc.data.drivers.input_course import InputCourse
from jaxllc.dynamics.stage import Stage
from jaxllc.dynamics.terms import INTERACTION, SELF, TermFamily
from jaxllc.equations.equation import Equation
from jaxllc.metrics import skeleton_equal
from jaxllc.smoothing.grid_data import grid_data
from jaxllc.smoothing.smooth import smooth
from tests.driven_systems import driven_runs, integrated

NETWORK = jaxllc.generators.barabasi_albert(16, 2, seed=1)
TIMES = np.linspace(0.0, 8.0, 50)
TABLE = 0.3 * np.cumsum(np.random.default_rng(5).normal(size=50))


def found_from(runs, **choices):
    return jaxllc.discover(runs, NETWORK, neural="never", search_seconds=100, **choices)


def is_close(law, tolerance, **expected):
    """Whether the coefficients of the law's terms are these, and no other."""
    equation = law.equations["x"]
    terms = (equation.self_term + equation.interaction_term).as_coefficients_dict()
    names = {str(term): float(c) for term, c in terms.items()}
    assert set(names) == set(expected), law
    return all(abs(names[k] - v) <= tolerance * abs(v) for k, v in expected.items())


def test_a_measured_input_is_found_in_noise():
    runs = driven_runs(NETWORK, lambda t: np.interp(t, TIMES, TABLE), TIMES, 1, TIMES, db=40)
    law = found_from(runs, inputs={"u": (TIMES, TABLE)})
    assert is_close(law, 5e-3, u_i=0.8, x_i=-1.0, x_j=0.06), law
    assert law.inputs == {"u": ""}
    # Run from the start of a run with the input of the data it follows that run.
    again = law.simulate(runs[0].states[0, :, 0], TIMES)
    assert np.sqrt(np.mean((again.states - runs[0].states) ** 2)) < 3e-2


def test_a_step_keeps_its_edge():
    """Without noise to the last digits, though smoothing bends where the input jumps."""
    runs = driven_runs(NETWORK, lambda t: float(t < 3.1), TIMES, 2, [3.1])
    law = found_from(runs, inputs={"u": ([0.0, 3.1, 8.0], [1.0, 0.0, 0.0])})
    assert is_close(law, 1e-3, u_i=0.8, x_i=-1.0, x_j=0.06), law


@pytest.mark.slow
def test_the_time_drives_in_waves():
    runs = driven_runs(NETWORK, lambda t: np.sin(2 * t), TIMES, 2, db=40)
    law = found_from(runs, inputs={"t": "time"})
    true = Equation.from_text("-x_i + 0.8*sin(2*t)", "0.06*x_j")
    assert skeleton_equal(law.equations["x"], true), law
    (wave,) = law.equations["x"].self_term.atoms(sympy.sin)
    assert abs(float(wave.args[0].subs("t", 1.0)) - 2.0) < 5e-3
    assert law.inputs == {"t": "time"}
    assert "*t)" in str(law)
    assert "t_i" not in str(law) + law.latex() + law.summary()


def test_a_constant_input_is_a_node_feature():
    """The same law, constants and all, whichever way the values of the nodes are given."""
    A = NETWORK.to_adjacency()
    rates = np.random.default_rng(3).uniform(0.5, 1.5, 16)
    initial = np.random.default_rng(4).uniform(0, 1, 16)
    states = integrated(lambda t, x: rates - x + 0.06 * (A @ x), initial, TIMES)
    run = jaxllc.Trajectories(TIMES, states)
    laws = [
        found_from([run.with_features({"a": rates})]),
        found_from([run], inputs={"a": ([0.0, 8.0], np.stack([rates, rates]))}),
    ]
    assert laws[0].equations["x"].self_term.has(sympy.Symbol("a_i"))
    assert skeleton_equal(laws[0].equations["x"], laws[1].equations["x"])
    values = [sorted(c.value for c in law.constants) for law in laws]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


def test_inputs_on_another_clock_are_the_same_inputs():
    """What is far from time zero is counted from its start inside."""
    runs = driven_runs(NETWORK, lambda t: np.sin(2 * t), TIMES, 1)
    late = [jaxllc.Trajectories(TIMES + 1000, run.states) for run in runs]
    wave = np.linspace(0.0, 8.0, 2000)
    law = found_from(late, inputs={"u": (wave + 1000, np.sin(2 * wave))})
    assert is_close(law, 1e-3, u_i=0.8, x_i=-1.0, x_j=0.06), law
    start = runs[0].states[0, :, 0]
    np.testing.assert_allclose(law.simulate(start, TIMES + 1000).states, runs[0].states, atol=2e-3)


def test_neighbours_inputs_act_in_the_stage_of_a_problem():
    """u_j and u_s against dense arithmetic, at all grid times."""
    values = np.random.default_rng(0).normal(size=(50, 16))
    run = jaxllc.Trajectories(
        TIMES,
        np.random.default_rng(1).uniform(size=(50, 16)),
        inputs={"u": InputCourse(TIMES, values.T)},
    )
    data = grid_data([run], smooth([run], 2))
    at = Stage(NETWORK, data.named(), data.features).evaluator()
    u = run.inputs["u"].at(data.grid_times[0])
    x, A = data.states[0][0], NETWORK.to_adjacency()
    x_i, x_j, u_j, u_s = sympy.symbols("x_i x_j u_j u_s")
    np.testing.assert_allclose(
        at.value(TermFamily(INTERACTION, u_j * x_i * x_j)), x * (A @ (u * x))
    )
    np.testing.assert_allclose(at.value(TermFamily(SELF, sympy.tanh(u_s))), np.tanh(A @ u))


def test_nets_take_no_inputs():
    runs = driven_runs(NETWORK, lambda t: 1.0, TIMES[:8], 1)
    for preset in ("neural", "llc"):
        with pytest.raises(InputError, match="nets, which take no inputs"):
            jaxllc.discover(runs, NETWORK, preset=preset, inputs={"t": "time"})
