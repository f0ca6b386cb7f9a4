"""A forcing that acts on all nodes alike and of which nothing is told: found beside the law, and used."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sympy

import jaxllc
from jaxllc import InputError, plotting
from jaxllc.commands.command_line import main
from jaxllc.commands.output import write_states
from jaxllc.data.drivers.forcing import Forcing, forcing_name, with_shapes, without_shapes
from jaxllc.equations.equation import Equation
from jaxllc.metrics import skeleton_equal
from tests.driven_systems import driven_runs

NETWORK = jaxllc.generators.barabasi_albert(16, 2, seed=1)
TIMES = np.linspace(0.0, 4.0, 40)
MEAN = (1 - np.cos(8.0)) / 8.0


def wave(times):
    """What drives the nodes, without its mean over the samples."""
    return 0.8 * (np.sin(2 * times) - MEAN)


@pytest.fixture(scope="module")
def runs():
    return driven_runs(NETWORK, lambda t: np.sin(2 * t), TIMES, 2, db=40)


@pytest.fixture(scope="module")
def law(runs):
    return jaxllc.discover(runs, NETWORK, forcing="smooth")


def test_the_law_is_found_beside_the_forcing(law):
    true = Equation.from_text("-x_i + u_x + 0.1", "0.06*x_j")
    assert skeleton_equal(law.equations["x"], true), law
    values = {c.term: c.value for c in law.constants}
    assert values["x_i"] == pytest.approx(-1.0, rel=0.01)
    assert values["x_j"] == pytest.approx(0.06, rel=0.02)
    # The constant of the law is the mean of what drives it.
    assert values["1"] == pytest.approx(0.8 * MEAN, rel=0.05)


def test_the_forcing_is_that_of_the_samples(law):
    table = law.forcing_table()
    assert list(table.columns) == ["time", "variable", "value", "lower", "upper"]
    assert set(table.variable) == {"x"}
    true = wave(table.time.to_numpy())
    assert np.abs(table.value - true).max() < 0.05 * np.abs(true).max()
    half = (table.upper - table.value).to_numpy()
    assert np.all(half > 0)
    # A few of so many values that hang together may lie outside.
    assert np.mean(np.abs(table.value - true) < 2 * half) > 0.8
    (one,) = law.forcing
    mean = np.trapezoid(one.at(np.linspace(0, 4, 4001)), np.linspace(0, 4, 4001)) / 4
    assert abs(mean) < 1e-5


def test_it_is_written_as_one_term(law):
    said = str(law) + law.summary() + str(law.pareto_table().law.to_list())
    assert "u_x(t)" in str(law)
    assert "legendre" not in said + law.latex()
    assert "u_{x}(t)" in law.latex()
    assert {c.term for c in law.constants} == {"x_i", "x_j", "1"}
    assert law.covariance.shape == (3, 3)
    assert len(law.confidence.intervals) == 3
    assert law.inputs == {"u_x": "forcing"}
    assert all(not run.inputs for run in law.data)
    (note,) = [note for note in law.notes if note.startswith("u_x(t)")]
    assert "mean over that time is not determined" in note


@pytest.mark.slow
def test_it_runs_within_the_time_of_the_samples_only(law, runs):
    start = runs[0].states[0, :, 0]
    inside = law.simulate(start, TIMES)
    assert np.sqrt(np.mean((inside.states - runs[0].states) ** 2)) < 0.02
    sentence = "known from 0 to 4, the time of the samples, and not outside it"
    with pytest.raises(InputError, match=sentence):
        law.simulate(start, [0.0, 5.0])
    longer = law.simulate(start, [0.0, 4.0, 5.0], inputs={"u_x": wave})
    np.testing.assert_allclose(longer.states[1], inside.states[-1], atol=0.02)
    assert np.isfinite(longer.states).all()
    assert plotting.plot_fit(replace(law, fitted_states=())).axes
    later = replace(runs[0], times=TIMES + 2.0)
    with pytest.raises(InputError, match="not outside it"):
        plotting.plot_forecast(law, later)


def test_files_keep_it(law, runs, tmp_path):
    law.save(tmp_path / "law.json")
    again = jaxllc.load_law(tmp_path / "law.json")
    assert str(again) == str(law)
    pd.testing.assert_frame_equal(again.forcing_table(), law.forcing_table())
    start = runs[0].states[0]
    np.testing.assert_array_equal(
        again.simulate(start, TIMES, NETWORK).states, law.simulate(start, TIMES).states
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": 9.0}, "is known from 9 to 4"),
        ({"coefficients": []}, "has 0 coefficients"),
        ({"covariance": [[1.0]]}, "covariance of the forcing 'u_x' is not"),
        ({"variable": "z"}, "not one of its variables"),
        ({"name": "u_z"}, "inputs name other forcings"),
    ],
)
def test_a_file_whose_forcing_does_not_fit_is_refused(law, tmp_path, change, said):
    law.save(tmp_path / "law.json")
    content = json.loads((tmp_path / "law.json").read_text())
    content["forcing"][0] |= change
    (tmp_path / "law.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        jaxllc.load_law(tmp_path / "law.json")


def test_it_is_drawn_and_reported(law, tmp_path):
    (axes,) = plotting.plot_forcing(law).axes
    assert "u_x(t)" in axes.get_ylabel()
    low, high = axes.get_ylim()
    assert low < wave(TIMES).min()
    assert high > wave(TIMES).max()
    law.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "The forcing of all nodes" in page
    assert "u_x(t)" in page
    other = jaxllc.Law({"x": Equation.from_text("-x_i", "x_j")})
    for call in (other.forcing_table, lambda: plotting.plot_forcing(other)):
        with pytest.raises(InputError, match="no forcing"):
            call()


def test_a_table_is_the_sum_of_its_polynomials():
    """Values and errors against dense arithmetic."""
    random = np.random.default_rng(0)
    root = random.normal(size=(3, 3))
    one = Forcing("x", "u_x", 2.0, 6.0, random.normal(size=3), root @ root.T)
    times = np.array([1.0, 2.0, 3.5, 6.0])
    scaled = (times - 4.0) / 2.0
    shapes = np.stack([scaled, (3 * scaled**2 - 1) / 2, (5 * scaled**3 - 3 * scaled) / 2])
    values, errors = one.at(times), one.errors(times)
    assert np.isnan(values[0])
    assert np.isnan(errors[0])
    np.testing.assert_allclose(values[1:], (one.coefficients @ shapes)[1:])
    draws = random.multivariate_normal(np.zeros(3), one.covariance, 200_000) @ shapes
    np.testing.assert_allclose(errors[1:], draws.std(axis=0)[1:], rtol=0.01)
    np.testing.assert_allclose(one.course().at(times[1:])[0], values[1:], atol=1e-3)


def test_names_of_the_data_stay_their_own():
    run = jaxllc.Trajectories(TIMES[:6], np.zeros((6, 2)), ("legendre1",))
    (shaped,), span = with_shapes([run])
    assert span == (TIMES[0], TIMES[5])
    assert not set(shaped.inputs) & {"legendre1"}
    assert without_shapes([shaped])[0].inputs == {}
    assert forcing_name("x", ["u_x"]) == "ux"
    assert forcing_name("i", ()) == "ui"
    with pytest.raises(InputError, match="none left for the forcing of x"):
        forcing_name("x", ["u_x", "ux", "forcing_x", "forcingx"])


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"forcing": "rough"}, "forcing must be 'none' or 'smooth'"),
        ({"vary": {"w": "node"}}, 'forcing="smooth" does not go with vary'),
        ({"weights": "unknown"}, 'does not go with weights="unknown"'),
        ({"dynamics": "map"}, "dynamics='map' does not read forcing"),
        ({"process_noise": True}, "process_noise=True does not read forcing"),
        ({"preset": "llc"}, "the preset 'llc' does not read forcing"),
        ({"preset": "neural"}, "the preset 'neural' does not read forcing"),
    ],
)
def test_what_does_not_go_with_a_forcing_is_refused(runs, choices, said):
    with pytest.raises(InputError, match=said):
        jaxllc.discover(runs, NETWORK, **{"forcing": "smooth", **choices})


def test_without_a_network_it_is_refused(runs):
    with pytest.raises(InputError, match='forcing="smooth" needs a network'):
        jaxllc.discover(runs, None, forcing="smooth")


def test_states_of_another_size_are_refused():
    tiny = [
        replace(run, states=1e-30 * run.states) for run in driven_runs(NETWORK, np.sin, TIMES, 1)
    ]
    with pytest.raises(InputError, match="forcing cannot be used with states or times of such"):
        jaxllc.discover(tiny, NETWORK, forcing="smooth")


@pytest.mark.slow
@pytest.mark.slow
def test_a_variable_that_nothing_drives_has_none():
    """One of two variables is driven, and times are counted from far away, from run to run another."""
    A = NETWORK.to_adjacency()
    network_law = jaxllc.Law(
        {
            "x": Equation.from_text("-x_i + 0.5*y_i + 0.6*sin(3*t)", "0.1*(x_j - x_i)"),
            "y": Equation.from_text("0.4*x_i - 0.5*y_i", "0"),
        },
        inputs={"t": "time"},
    )
    assert A.nnz
    data = []
    for run, start in enumerate((0.0, 0.5)):
        times = start + np.linspace(0.0, 5.0, 50)
        states = np.random.default_rng(run).uniform(-1, 1, (16, 2))
        made = network_law.simulate(states, times, NETWORK).with_noise(40, run)
        data.append(jaxllc.Trajectories(times + 1000, made.states, ("x", "y")))
    law = jaxllc.discover(data, NETWORK, forcing="smooth")
    assert [one.variable for one in law.forcing] == ["x"], law
    assert skeleton_equal(law.equations["y"], network_law.equations["y"]), law
    (one,) = law.forcing
    assert (one.start, one.stop) == (1000.0, 1005.5)
    inner = np.linspace(1000.2, 1005.3, 60)
    true = 0.6 * np.sin(3 * (inner - 1000))
    true -= 0.6 * (1 - np.cos(16.5)) / 16.5
    assert np.abs(one.at(inner) - true).max() < 0.06
    assert any("'y' do not ask for a forcing" in note for note in law.notes)
    u = sympy.Symbol("u_x")
    assert law.equations["x"].self_term.has(u)
    assert not law.equations["y"].self_term.has(u)


@pytest.mark.slow
def test_the_command_writes_it(runs, tmp_path, capsys):
    write_states(runs, tmp_path / "states.csv")
    NETWORK.to_csv(tmp_path / "edges.csv")
    files = [str(tmp_path / "states.csv"), str(tmp_path / "edges.csv")]
    assert main(["discover", *files, "--forcing", "smooth", "--hold-out", "0.2"]) == 2
    assert "leave out --hold-out" in capsys.readouterr().err
    out = tmp_path / "out"
    assert main(["discover", *files, "--forcing", "smooth", "--out", str(out), "--quiet"]) == 0
    table = pd.read_csv(out / "forcing.csv")
    assert np.abs(table.value - wave(table.time)).max() < 0.1
    assert (out / "forcing.png").exists()
    simulated = str(tmp_path / "again.csv")
    given = ["--network", files[1], "--out", simulated, "--quiet"]
    assert main(["simulate", str(out / "law.json"), *given]) == 0
    assert pd.read_csv(simulated).time.max() == 4.0
    assert main(["simulate", str(out / "law.json"), *given, "--times", "0:9:10"]) == 2
    assert "known from 0 to 4" in capsys.readouterr().err
