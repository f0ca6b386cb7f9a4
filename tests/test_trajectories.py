"""Trajectories: shapes are checked once, and windows, selections, noise and files keep their meaning."""

import numpy as np
import pytest

from jaxllc.data.readers import read_states
from jaxllc.data.trajectories import Trajectories
from jaxllc.errors import InputError


def two_variables() -> Trajectories:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(6, 3, 2))
    states[2, 1, 0] = np.nan
    times = np.array([0.0, 0.1, 0.3, 0.7, 1.5, 3.1])
    return Trajectories(
        times, states, ("x", "y"), {"omega": [1.0, 2.0, 3.0]}, names=("a", "b", "c")
    )


def test_one_variable_may_leave_out_its_axis():
    states = np.arange(6.0).reshape(3, 2)
    data = Trajectories([0, 1, 2], states)
    assert (data.num_times, data.num_nodes, data.num_variables) == (3, 2, 1)
    np.testing.assert_array_equal(data.states[:, :, 0], states)


def test_nan_is_not_observed():
    observed = two_variables().observed
    assert observed.sum() == 6 * 3 * 2 - 1
    assert not observed[2, 1, 0]


def test_windows_hold_both_ends():
    np.testing.assert_array_equal(two_variables().window(0.1, 0.7).times, [0.1, 0.3, 0.7])
    assert two_variables().window(stop=0.3).num_times == 3
    with pytest.raises(InputError, match=r"run from 0 to 3\.1"):
        two_variables().window(5, 6)


def test_selected_nodes_bring_their_features():
    chosen = two_variables().select(["c", "a"])
    np.testing.assert_array_equal(chosen.states, two_variables().states[:, [2, 0]])
    assert chosen.node_features["omega"].tolist() == [3.0, 1.0]
    with pytest.raises(InputError, match="'A' \\(did you mean 'a'"):
        two_variables().select(["A"])


def test_noise_has_the_asked_for_ratio_and_keeps_the_gaps():
    times = np.linspace(0, 10, 400)
    states = np.stack(
        [np.sin(times)[:, None] * np.ones(50), 100 * np.cos(times)[:, None] * np.ones(50)], 2
    )
    states[7, 3, 1] = np.nan
    clean = Trajectories(times, states, ("x", "y"))
    noisy = clean.with_noise(20, seed=3)
    ratio = np.nanstd(clean.states, axis=(0, 1)) / np.nanstd(
        noisy.states - clean.states, axis=(0, 1)
    )
    np.testing.assert_allclose(20 * np.log10(ratio), 20, atol=0.2)
    np.testing.assert_array_equal(noisy.observed, clean.observed)
    np.testing.assert_array_equal(noisy.states, clean.with_noise(20, seed=3).states)


def test_a_file_reads_back_unchanged(tmp_path):
    data = two_variables()
    data.to_csv(tmp_path / "states.csv")
    (read,) = read_states(tmp_path / "states.csv")
    np.testing.assert_array_equal(read.states, data.states)
    np.testing.assert_array_equal(read.times, data.times)
    assert (read.names, read.variables) == (data.names, data.variables)


@pytest.mark.parametrize(
    "names", [("a", "b"), ("1.0", "2.0"), ("St. Lucia", "Mali"), ("u.x", "v.x")]
)
def test_names_with_dots_read_back_unchanged(tmp_path, names):
    data = Trajectories(np.arange(5.0), np.random.default_rng(0).random((5, 2)), names=names)
    data.to_csv(tmp_path / "states.csv")
    (read,) = read_states(tmp_path / "states.csv")
    assert (read.names, read.variables) == (names, ("x",))


def test_the_users_arrays_are_copied_and_ours_are_fixed():
    states = np.ones((2, 2))
    data = Trajectories([0, 1], states)
    states[0, 0] = 5
    assert data.states[0, 0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        data.states[0, 0, 0] = 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"times": [0, 1, 1]}, r"times\[2\] = 1 comes after times\[1\] = 1"),
        ({"times": [0, 2, 1]}, "times must increase"),
        ({"times": [0, np.nan, 1]}, r"times\[1\] is not a finite"),
        ({"times": [0, 1]}, "with 2 times, not of shape"),
        ({"times": []}, "times must be a list"),
        ({"states": np.ones((3, 2, 2))}, "2 variables per node.*names 1"),
        ({"states": np.full((3, 2), np.inf)}, r"states\[0, 0, 0\] is infinite"),
        ({"states": [["a", "b"]] * 3}, "states must be numbers"),
        ({"variables": ("k",)}, "'k' cannot name a variable"),
        ({"variables": ("x y",)}, "'x y' cannot name"),
        ({"node_features": {"x": [1, 2]}}, "repeat a name"),
        (
            {"node_features": {"omega": [1, 2, 3]}},
            "'omega' must be one finite number for each of 2",
        ),
        ({"node_features": {"omega": [1, np.nan]}}, "'omega' must be one finite"),
        ({"names": ("a",)}, "1 names for 2 nodes"),
        ({"names": ("a", "a")}, "'a' is repeated"),
    ],
)
def test_wrong_arguments_are_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Trajectories(**{"times": [0, 1, 2], "states": np.ones((3, 2)), **arguments})


def test_notes_stay_with_what_is_derived():
    run = Trajectories(np.arange(6.0), np.ones((6, 2)), names=("a", "b"), notes=("days",))
    kept = [run.window(1, 4), run.select(["b"]), run.with_noise(20, seed=0), run.with_features({})]
    assert all(one.notes == ("days",) for one in kept)
