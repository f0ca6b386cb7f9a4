"""Laws of maps and of noisy dynamics, found from samples."""

import numpy as np
import pytest

import jaxllc
from jaxllc import generators, metrics
from jaxllc.commands.command_line import main
from jaxllc.data.trajectories import Trajectories
from jaxllc.equations.equation import Equation
from jaxllc.errors import InputError

NETWORK = generators.erdos_renyi(20, 3, seed=1)
COUPLED = {"x": Equation.from_text("3.7*x_i - 3.7*x_i**2", "0.02*x_i - 0.02*x_i*x_j")}
EPIDEMIC = {"x": Equation.from_text("-0.6*x_i", "0.3*(1 - x_i)*x_j")}


@pytest.fixture(scope="module")
def chaotic():
    """Three runs of coupled logistic maps, without noise."""
    law, random = jaxllc.Law(COUPLED, dynamics="map"), np.random.default_rng(0)
    return [law.simulate(random.uniform(0.2, 0.6, 20), np.arange(30), NETWORK) for _ in range(3)]


@pytest.fixture(scope="module")
def found_map(chaotic):
    return jaxllc.discover(chaotic, NETWORK, dynamics="map")


@pytest.fixture(scope="module")
def noisy_law():
    """The law of noisy paths with measurement noise, and the sizes of both."""
    random, q = np.random.default_rng(1), 0.05
    times, fine = np.linspace(0, 4, 50), 40
    A = NETWORK.to_adjacency().toarray()
    step, runs = times[1] / fine, []
    for _ in range(4):
        x = random.uniform(0, 1, 20)
        path = [x]
        for _ in range(len(times) - 1):
            for _ in range(fine):
                drift = -0.6 * x + 0.3 * (1 - x) * (A @ x)
                x = x + step * drift + q * np.sqrt(step) * random.standard_normal(20)
            path.append(x)
        runs.append(Trajectories(times, np.array(path) + 0.01 * random.standard_normal((50, 20))))
    return jaxllc.discover(runs, NETWORK, process_noise=True), q, 0.01


def test_a_map_without_noise_is_found_to_the_last_digits(found_map):
    assert metrics.skeleton_equal(found_map, jaxllc.Law(COUPLED))
    for constant in found_map.constants:
        near = min((3.7, 0.02), key=lambda v: abs(v - abs(constant.value)))
        assert abs(constant.value) == pytest.approx(near, rel=1e-8)
    assert str(found_map).startswith("x_i(k+1) = ")
    assert found_map.trusted
    assert found_map.skill["x"]["no_change"] > 0.999999


def test_a_found_map_runs_on_and_is_saved(found_map, chaotic, tmp_path):
    ahead = found_map.simulate(chaotic[0].states[0, :, 0], np.arange(6))
    np.testing.assert_allclose(ahead.states, chaotic[0].states[:6], rtol=1e-6)
    found_map.save(tmp_path / "law.json")
    again = jaxllc.load_law(tmp_path / "law.json")
    assert (str(again), again.summary()) == (str(found_map), found_map.summary())
    found_map.report(tmp_path / "law.html")
    assert "one step ahead" in (tmp_path / "law.html").read_text()


def test_a_map_is_found_in_noise_with_samples_missing(chaotic):
    random, runs = np.random.default_rng(2), []
    for number, run in enumerate(chaotic):
        noisy = run.with_noise(40, number)
        states = np.array(noisy.states)
        states[random.random(states.shape) < 0.02] = np.nan
        # Weekly, and a week is not there at all.
        kept = np.arange(30) != 11
        runs.append(Trajectories(3.0 + 7.0 * run.times[kept], states[kept]))
    found = jaxllc.discover(runs, NETWORK, dynamics="map")
    assert metrics.skeleton_equal(found, jaxllc.Law(COUPLED))
    assert metrics.worst_coefficient_error(found, jaxllc.Law(COUPLED)) < 0.02
    assert found.step == 7.0
    assert found.noise["x"] == pytest.approx(0.0022, rel=0.1)
    assert found.process_noise["x"] < 0.0007
    assert found.fitted_states[0].shape == runs[0].states.shape


def test_a_noisy_law_is_found_with_both_noises(noisy_law):
    law, q, sigma = noisy_law
    assert metrics.skeleton_equal(law, jaxllc.Law(EPIDEMIC))
    true = {"x_i": -0.6, "x_j": 0.3, "x_i*x_j": -0.3}
    for constant in law.constants:
        assert abs(constant.value - true[constant.term]) < 3 * constant.standard_error
        assert constant.standard_error < 0.1
    assert law.process_noise["x"] == pytest.approx(q, rel=0.05)
    assert law.noise["x"] == pytest.approx(sigma, rel=0.1)
    table = law.constants_table()
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()
    assert "process noise: 0.0" in law.summary()
    # Forecasts from one sample to the next are good, where whole trajectories are not the law's.
    assert 0 < law.skill["x"]["no_change"] < 0.9
    assert law.follows is None


def test_the_same_seed_gives_the_same_law(chaotic, found_map):
    again = jaxllc.discover(chaotic, NETWORK, dynamics="map")
    assert [c.value for c in again.constants] == [c.value for c in found_map.constants]
    assert again.confidence == found_map.confidence


def test_nodes_that_follow_no_map_are_left_out(chaotic):
    random = np.random.default_rng(3)
    runs = []
    for run in chaotic:
        states = np.array(run.states)
        states[:, [4, 9], 0] = random.uniform(0.1, 0.9, (30, 2))
        runs.append(Trajectories(run.times, states))
    # The neighbours hear what these two were, so only senders that were left as they were are asked for.
    heard = np.isin(NETWORK.senders, [4, 9])
    network = jaxllc.Network.from_edges(
        NETWORK.senders[~heard], NETWORK.receivers[~heard], num_nodes=20
    )
    touched = set(NETWORK.receivers[heard]) | {4, 9}
    found = jaxllc.discover(runs, network, dynamics="map")
    assert metrics.skeleton_equal(found, jaxllc.Law(COUPLED))
    assert set(np.flatnonzero(found.follows < 0.5)) == touched


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"dynamics": "maps"}, "dynamics must be 'flow' or 'map'"),
        ({"process_noise": 0.1}, "process_noise must be True or False"),
        ({"process_noise": True, "neural": "always"}, "process_noise=True does not read neural"),
        ({"dynamics": "map", "preset": "llc"}, "preset"),
        ({"dynamics": "map", "vary": {"w": "node"}}, "dynamics='map' does not read vary"),
    ],
)
def test_choices_that_go_with_no_steps_are_refused(chaotic, choices, said):
    with pytest.raises(InputError, match=said):
        jaxllc.discover(chaotic, NETWORK, **choices)


def test_times_of_a_map_are_whole_steps(chaotic):
    times = np.arange(30.0)
    times[5] += 0.2
    with pytest.raises(
        InputError, match=r"times\[1\] = 1 of run 0 lies 1.25 steps of 0.8"
    ) as error:
        jaxllc.discover(Trajectories(times, chaotic[0].states), NETWORK, dynamics="map")
    assert "give the number of each step" in str(error.value)


def test_nodes_seen_at_other_times_make_no_steps(chaotic):
    states = np.array(chaotic[0].states)
    states[::2, ::2] = np.nan
    states[1::2, 1::2] = np.nan
    with pytest.raises(InputError, match="steps of x were observed"):
        jaxllc.discover(Trajectories(np.arange(30), states), NETWORK, dynamics="map")


def test_the_command_line_finds_and_runs_a_map(chaotic, tmp_path, capsys):
    rows = ["run,time," + ",".join(map(str, range(20)))]
    for number, run in enumerate(chaotic):
        for time, state in zip(run.times, run.states[..., 0], strict=True):
            rows.append(f"{number},{time:g}," + ",".join(map(repr, state.tolist())))
    (tmp_path / "states.csv").write_text("\n".join(rows) + "\n")
    edges = [f"{s},{r}" for s, r in zip(NETWORK.senders, NETWORK.receivers, strict=True)]
    (tmp_path / "edges.csv").write_text("\n".join(["sender,receiver", *edges]) + "\n")
    words = ["discover", tmp_path / "states.csv", tmp_path / "edges.csv", "--dynamics", "map"]
    assert (
        main([str(w) for w in [*words, "--allow-isolated", "--out", tmp_path / "out", "--quiet"]])
        == 0
    )
    assert "x_i(k+1) = -3.7*x_i**2" in capsys.readouterr().out
    words = [
        "simulate",
        tmp_path / "out" / "law.json",
        "--network",
        tmp_path / "edges.csv",
        "--times",
        "0:4:5",
    ]
    words += [
        "--out",
        tmp_path / "next.csv",
        "--initial-range",
        "0.2:0.6",
        "--process-noise",
        "0.01",
        "--quiet",
    ]
    assert main([str(w) for w in words]) == 0
    (run,) = jaxllc.read_states(tmp_path / "next.csv")
    assert run.states.shape[0] == 5
