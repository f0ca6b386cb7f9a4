"""The benchmark of real data: what it loads, its peers, and its scores."""

import math

import numpy as np
import pytest

import jaxllc
from tests.benchmark_modules import benchmark_module

tables = benchmark_module("real_tables")
peers = benchmark_module("real_peers")
scores = benchmark_module("real_scores")


# --- data ---------------------------------------------------------------------------------------


def test_counts_come_back_from_their_standardised_changes():
    counts = np.random.default_rng(3).poisson(20, size=200).astype(float)
    changes = np.diff(counts)
    standardised = (changes - changes.mean()) / changes.std()
    np.testing.assert_array_equal(tables.restored_counts(standardised), counts - counts.min())


@pytest.mark.parametrize("name", tables.DATA)
def test_a_missing_folder_is_said_in_one_sentence(name, tmp_path):
    with pytest.raises(jaxllc.InputError, match=r"^there is no .* with --data$"):
        tables.DATA[name](tmp_path)


def test_mice_have_their_drug_where_it_was_given(shared_folder):
    gut = tables.gut(shared_folder / "data")
    assert [run.num_times for run in gut.runs] == [11, 4, 10, 11, 4, 11, 11, 4, 11]
    # Mice of four samples are the controls.
    given = [values[0] for _, values in gut.inputs["u"]]
    assert given == [0.0 if run.num_times == 4 else 1.0 for run in gut.runs]
    assert len(tables.gut(shared_folder / "data", most=4).runs[0].names) == 4


def test_chickenpox_counts_are_those_of_the_first_publication(shared_folder):
    data = tables.chickenpox(shared_folder / "data")
    first = dict(zip(data.runs[0].names, np.expm1(data.runs[0].states[0, :, 0]), strict=True))
    published = {"BUDAPEST": 168, "BARANYA": 79, "BACS": 30, "BEKES": 173, "BORSOD": 169}
    assert {name: round(first[name]) for name in published} == published
    matrix = data.network.to_adjacency().toarray()
    assert not matrix.diagonal().any()
    np.testing.assert_array_equal(matrix, matrix.T)


def test_england_at_the_mean_network_is_the_mean_of_its_days(shared_folder):
    data = tables.england(shared_folder / "data")
    run, (days, by_day) = data.runs[0], data.inputs["m"]
    np.testing.assert_array_equal(days, run.times)
    assert by_day.shape == run.states.shape[:2]
    # Regions that send nobody anywhere receive nothing on any day.
    silent = data.network.in_degree == 0
    assert not by_day[:, silent].any()
    assert by_day[:, ~silent].any(axis=0).all()


def test_yeast_regulators_act_and_targets_do_not(shared_folder):
    data = tables.yeast(shared_folder / "data", genes=30)
    names = np.array(data.network.names)
    acting = set(names[np.unique(data.network.senders)])
    assert acting <= {"FKH1", "FKH2", "TEC1", "YOX1", "TYE7", "ACE2"}
    assert set(np.unique(data.network.weights)) == {-1.0, 1.0}
    assert [run.num_times for run in data.runs] == [24, 24]


# --- peers --------------------------------------------------------------------------------------


def test_ridge_finds_a_noiseless_plane():
    random = np.random.default_rng(0)
    columns = random.normal(size=(60, 3)) * [1.0, 10.0, 0.1]
    true = np.array([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0], [-4.0, 1.0]])
    found = peers.ridge(columns, true[0] + columns @ true[1:], np.arange(60) % 5)
    np.testing.assert_allclose(found, true, atol=1e-3)


def test_lotka_volterra_by_ridge_forecasts_its_own_kind():
    growth, pairs, effect = np.array([0.5, 0.3]), np.array([[-0.5, -0.1], [0.1, -0.4]]), -1.0
    times = np.linspace(0.0, 8.0, 400)

    def mouse(start, given):
        logs = [np.log(start)]
        for t, dt in zip(times[:-1], np.diff(times), strict=True):
            rate = growth + pairs @ np.exp(logs[-1]) + effect * given * (t < 1.0)
            logs.append(logs[-1] + dt * rate)
        return jaxllc.Trajectories(times, np.array(logs)), (
            [0.0, 1.0, 1.0, 8.0],
            [given] * 2 + [0.0] * 2,
        )

    mice = [mouse(s, g) for s, g in (([0.1, 0.5], 1.0), ([2.0, 0.1], 0.0), ([0.3, 2.0], 1.0))]
    held, drug = mouse([0.2, 0.2], 1.0)
    simulator = peers.lotka_volterra([run for run, _ in mice], [d for _, d in mice])(drug)
    forecast = simulator(held.states[0, :, 0], held.times)
    np.testing.assert_allclose(forecast, held.states[:, :, 0], atol=0.05)


def test_linear_steps_find_linear_steps():
    states = [np.array([1.0, -0.5])]
    for t in range(60):
        states.append(0.9 * states[-1] + 0.1 * states[-1][::-1] + 0.2 * np.sin(t))
    run = jaxllc.Trajectories(np.arange(61.0), np.array(states))

    def drivers(state, t):
        return np.column_stack([state, state[::-1], np.full(2, np.sin(t))])

    simulate = peers.linear_steps(run, drivers)
    np.testing.assert_allclose(simulate(states[0], run.times), states, atol=1e-2)


# --- scores -------------------------------------------------------------------------------------


def test_no_change_misses_a_line_by_its_slope():
    run = jaxllc.Trajectories(np.arange(6.0), np.outer(np.arange(6.0), [1.0, 2.0]))
    one = scores.misses(scores.no_change, run, range(4), 1)
    np.testing.assert_array_equal(one, np.tile([-1.0, -2.0], (4, 1)))
    assert scores.rms([one]) == pytest.approx(math.sqrt(2.5))
    assert scores.rms([scores.misses(scores.no_change, run, [0], 5)]) == pytest.approx(
        math.sqrt((25 + 100) / 2)
    )
    assert scores.course_misses(scores.no_change, run)[-1].tolist() == [-5.0, -10.0]


def test_a_forecast_that_blows_up_is_infinitely_wrong_and_what_was_not_seen_does_not_count():
    states = np.ones((4, 2))
    states[2, 1] = np.nan
    run = jaxllc.Trajectories(np.arange(4.0), states)
    seen = scores.misses(scores.no_change, run, [1], 1)
    assert scores.rms([seen]) == 0.0
    gone = scores.misses(lambda state, times: np.full((len(times), 2), np.nan), run, [0], 1)
    assert scores.rms([gone]) == math.inf


def test_the_verdict_says_who_wins():
    rows = [
        scores.Row("no change", {"a": 1.0, "b": 1.0}, 0.0),
        scores.Row("law", {"a": 0.5, "b": 2.0}, 3.0, "dx_i/dt = 0"),
    ]
    text = scores.verdict(rows, ["law"])
    assert scores.wins(rows, ["law"]) == 1
    assert scores.wins(rows, []) == 0
    assert "a: the law wins, 0.5 beside 1 of no change" in text
    assert "b: the law loses, 2 beside 1 of no change" in text
    assert "law: dx_i/dt = 0" in scores.table_text(rows)
