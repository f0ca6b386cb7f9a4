"""Simulated laws with inputs, against scipy and closed forms; their files and the command line."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import jaxllc
from jaxllc import InputError
from jaxllc.commands.command_line import main
from jaxllc.data.drivers.input_sources import with_inputs
from jaxllc.equations.equation import Equation
from tests.driven_systems import driven_runs, integrated

NETWORK = jaxllc.generators.barabasi_albert(12, 2, seed=1)
TIMES = np.linspace(0.0, 6.0, 13)
START = np.random.default_rng(0).uniform(0, 1, 12)
KNOTS = np.linspace(0.0, 6.0, 9)
EACH = np.random.default_rng(1).normal(size=(9, 12))
# A jump at 2.3.
JUMPING = (np.array([0.0, 2.3, 2.3, 4.0, 6.0]), np.array([0.0, 1.0, -1.0, 0.5, 0.0]))
LAW = jaxllc.Law(
    {"x": Equation.from_text("-x_i + u_i + 0.2*sin(t)", "0.1*u_j*x_j + 0.3*v_i*x_j")},
    inputs={"u": "", "v": "", "t": "time"},
)
INPUTS = {"u": (KNOTS, EACH), "v": JUMPING}


def rate(t, x):
    A = NETWORK.to_adjacency()
    u = np.array([np.interp(t, KNOTS, own) for own in EACH.T])
    v = t / 2.3 if t < 2.3 else np.interp(t, [2.3, 4.0, 6.0], [-1.0, 0.5, 0.0])
    return -x + u + 0.2 * np.sin(t) + A @ (0.1 * u * x) + 0.3 * v * (A @ x)


@pytest.mark.parametrize("solver", ["tsit5", pytest.param("kvaerno5", marks=pytest.mark.slow)])
def test_simulations_are_those_of_scipy(solver):
    true = integrated(rate, START, TIMES, [*KNOTS, 2.3, 4.0])
    found = LAW.simulate(START, TIMES, NETWORK, inputs=INPUTS, solver=solver)
    np.testing.assert_allclose(found.states[..., 0], true, atol=1e-7)
    np.testing.assert_allclose(found.inputs["u"].at(KNOTS), EACH.T)


def test_a_program_of_its_own_gives_the_same_for_several_runs(monkeypatch):
    """Large networks are not simulated as data."""
    small = LAW.simulate(START, TIMES, NETWORK, inputs=INPUTS)
    monkeypatch.setattr("jaxllc.dynamics.integrate.SPECIALISED_FROM", 0)
    starts = np.stack([START / 2, START])[..., None]
    large = LAW.simulate(starts, TIMES, NETWORK, inputs=INPUTS)
    np.testing.assert_allclose(small.states, large[1].states, atol=1e-8)


def test_a_law_in_a_file_keeps_the_names_of_its_inputs(tmp_path):
    LAW.save(tmp_path / "law.json")
    law = jaxllc.load_law(tmp_path / "law.json")
    assert law.inputs == LAW.inputs
    assert law.equations == LAW.equations
    with pytest.raises(InputError, match="reads the input 'u', and a law from a file has no data"):
        law.simulate(START, TIMES, NETWORK)
    text = (tmp_path / "law.json").read_text()
    (tmp_path / "law.json").write_text(text.replace('"t": "time"', '"t": "clock"'))
    with pytest.raises(InputError, match="the input 't' is 'clock'"):
        jaxllc.load_law(tmp_path / "law.json")
    (tmp_path / "law.json").write_text(text.replace('"t": "time"', '"z": "time"'))
    with pytest.raises(InputError, match="uses t, which is neither"):
        jaxllc.load_law(tmp_path / "law.json")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"u": INPUTS["u"]}, "reads the input 'v'"),
        ({"u": INPUTS["u"], "v": (KNOTS[:5], KNOTS[:5])}, "'v' ends at 3, but it is needed from 0"),
        ({**INPUTS, "w": JUMPING}, "has no input 'w'"),
        ({**INPUTS, "u": (KNOTS, EACH[:, :3])}, "3 columns of values, but there are 12 nodes"),
    ],
)
def test_what_simulations_refuse(inputs, said):
    with pytest.raises(InputError, match=said):
        LAW.simulate(START, TIMES, NETWORK, inputs=inputs)


def test_inputs_of_the_data_are_used_within_their_times():
    run = jaxllc.Trajectories(TIMES, np.ones((13, 12)))
    runs = with_inputs([run], INPUTS)
    law = replace(LAW, network=NETWORK, data=tuple(runs))
    found = law.simulate(START, TIMES)
    given = LAW.simulate(START, TIMES, NETWORK, inputs=INPUTS)
    np.testing.assert_array_equal(found.states, given.states)
    with pytest.raises(InputError, match="ends at 6, but it is needed from 0 to 7"):
        law.simulate(START, [0.0, 7.0])
    two = replace(law, data=(*runs, *with_inputs([run], {**INPUTS, "v": (KNOTS, EACH[:, 0])})))
    with pytest.raises(InputError, match="'v' differs between the runs"):
        two.simulate(START, TIMES)
    found = two.simulate(START, TIMES, inputs=two.data[0].inputs)
    np.testing.assert_array_equal(found.states, given.states)
    other = jaxllc.generators.erdos_renyi(12, 3, seed=4)
    with pytest.raises(InputError, match="'u' is known for the nodes of the law's network only"):
        law.simulate(START, TIMES, other)


def test_from_tables_to_a_law_and_its_simulation(tmp_path, capsys):
    """A step of light, as a table, through both commands; what is held out is forecast with it."""
    times = np.linspace(0.0, 8.0, 40)
    runs = driven_runs(NETWORK, lambda t: float(t < 4), times, 1, [4.0])
    names = [f"n{k}" for k in range(12)]
    states = pd.DataFrame(runs[0].states[..., 0], columns=names)
    states.insert(0, "time", times)
    states.to_csv(tmp_path / "states.csv", index=False)
    ends = {"sender": NETWORK.senders, "receiver": NETWORK.receivers}
    edges = pd.DataFrame({key: [f"n{k}" for k in nodes] for key, nodes in ends.items()})
    edges.to_csv(tmp_path / "edges.csv", index=False)
    light = pd.DataFrame({"time": [0.0, 4.0, 8.0], "light": [1.0, 0.0, 0.0]})
    light.to_csv(tmp_path / "light.csv", index=False)
    command = ["discover", "states.csv", "edges.csv", "--hold-out", "0.3"]
    paths = [str(tmp_path / a) if a.endswith(".csv") else a for a in command]
    given = ["--input", f"u={tmp_path / 'light.csv'}", "--quiet", "--json"]
    assert main([*paths, *given, "--out", str(tmp_path / "out")]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["hold_out"]["relative_error"]["x"] < 1e-2
    assert "u_i" in record["law"]["equations"]["x"]["self_term"]
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["arguments"]["input"] == {"u": str(tmp_path / "light.csv")}
    simulate = ["simulate", str(tmp_path / "out" / "law.json"), "--network", paths[2]]
    simulate += ["--times", "0:8:5", "--out", str(tmp_path / "s.csv"), "--quiet"]
    assert main([*simulate, "--input", given[1]]) == 0
    assert main(simulate) == 2
    assert "give it with --input u=FILE.csv" in capsys.readouterr().err
    assert main([*simulate, "--input", given[1], "--input", "w=time"]) == 2
    assert "the law has no input 'w'" in capsys.readouterr().err
    assert main([*simulate, "--input", "u"]) == 2
    assert "is not NAME=FILE.csv" in capsys.readouterr().err
