"""A training is judged by its last epochs beside its start, whatever model was rescued on the way."""

import dataclasses

import numpy as np
import pytest

from jaxllc.signaling import SignalingSettings, train
from jaxllc.signaling.training.training_outcome import best_epoch, failure, untrained_note
from jaxllc.signaling.training.training_state import HISTORY
from jaxllc.sweeps import grid, train_sweep
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS


def history(loss, mse=None, unsteady=0.0, refused=0.0):
    """Rows of a history with these losses."""
    rows = np.zeros((len(loss), len(HISTORY)))
    columns = {"loss": loss, "mse": loss if mse is None else mse}
    for name, values in {**columns, "unsteady": unsteady, "refused": refused}.items():
        rows[:, HISTORY.index(name)] = values
    return rows


FALLS, RISES = np.geomspace(1, 0.01, 100), np.geomspace(1, 50, 100)


def test_a_training_that_learns_has_not_failed():
    assert failure(history(FALLS), 4, 100) == ""
    # A penalty may raise the loss while the fit improves.
    assert failure(history(np.linspace(1, 1.5, 100), FALLS), 4, 1) == ""
    assert untrained_note(history(FALLS), 100) == ""
    assert failure(history(FALLS[:1]), 4, 1) == ""
    assert failure(history([]), 4, None) == ""


def test_a_training_that_ends_far_above_its_start_failed_though_a_model_was_rescued():
    said = failure(history([*FALLS, *RISES]), 4, 100)
    assert said.startswith(
        "the loss was 1 at the start and 47.1 at the end: the model is that of epoch 100"
    )
    assert "untrained" not in said
    said = failure(history(RISES), 4, 1)
    assert "no epoch was better than the untrained start, which is the model" in said


def test_conditions_without_a_steady_state_count_as_wrong():
    """Left out of the misfit, they would make a training look good that has none left."""
    rows = history(np.full(100, 0.1), unsteady=np.linspace(0, 4, 100))
    assert "no epoch was better" in failure(rows, 4, 1)


def test_numbers_that_are_not_finite_are_a_failure():
    rows = history([1, 0.5, np.nan, np.nan])
    assert failure(rows, 4, 2).startswith("the loss was not finite from epoch 3 of 4 to the end")
    assert failure(history([1, 2]), 4, None).startswith("no epoch had a finite loss")


def test_an_untrained_start_that_is_no_failure_is_noted():
    rows = history(np.linspace(1, 1.5, 30), np.linspace(1, 0.8, 30))
    assert failure(rows, 4, 1) == ""
    assert untrained_note(rows, 1).startswith("no epoch of 30 was better than the untrained start")


def test_a_short_training_whose_fit_is_a_little_worse_is_noted_and_a_long_one_failed():
    """A few epochs, of which none came below the start yet; far above the start is a failure at once."""
    for count, failed in ((2, False), (20, False), (100, True)):
        rows = history(np.linspace(1.16, 1.17, count))
        assert bool(failure(rows, 4, 1)) == failed
        assert untrained_note(rows, 1).startswith(f"no epoch of {count} was better")
    assert "no epoch was better" in failure(history([1, 2.5]), 4, 1)


def test_penalties_beside_a_small_misfit_that_falls_are_no_failure():
    """The spectral penalty of a sound training may be a multiple of it for a while."""
    falls = np.linspace(0.01, 0.009, 30)
    assert failure(history(np.linspace(0.01, 0.3, 30), falls), 4, 1) == ""
    assert "at the start and 66" in failure(history(np.linspace(0.01, 66.7, 30), falls), 4, 1)
    assert "at the start and" in failure(history(np.linspace(0.01, 0.3, 30)), 4, 1)


@pytest.mark.parametrize("epochs", [2, 3, 5, 10])
@pytest.mark.parametrize("factor", [1.0, 0.05])
def test_a_short_training_with_default_settings_is_no_failure(epochs, factor):
    conditions = dataclasses.replace(CONDITIONS, tf_activities=CONDITIONS.tf_activities * factor)
    assert train(PRIOR, conditions, SignalingSettings(epochs=epochs)).failure == ""


def test_the_best_epoch_is_that_of_the_loss_that_was_kept():
    rows = history([1.0, 0.5, 0.25, 0.75], unsteady=[0, 0, 4, 0])
    assert best_epoch(rows, 4, 0.5) == 2
    assert best_epoch(rows, 4, float("inf")) is None
    assert best_epoch(rows[:0], 4, 1.0) is None


@pytest.mark.slow
def test_a_learning_rate_beyond_reason_is_a_training_that_diverged():
    """Both as a training and in a sweep; no note claims that anything was pulled back."""
    wild = dataclasses.replace(SETTINGS, epochs=100, learning_rate=1e6)
    fit = train(PRIOR, CONDITIONS, wild)
    assert fit.best_epoch == 1
    assert "no epoch was better than the untrained start" in fit.failure
    assert fit.failure in fit.summary()
    assert "pulled it back" not in fit.summary()
    result = train_sweep(PRIOR, CONDITIONS, wild, grid(learning_rate=[1e-2, 1e6]))
    assert result.table["status"].tolist() == ["done", "diverged"]
    # Its numbers are those of a training that went wild, where rounding errors grow without bound.
    assert (
        result.table["note"][1].split(" at the end: ")[1] == fit.failure.split(" at the end: ")[1]
    )
    assert "pulled it back" not in train(PRIOR, CONDITIONS, SETTINGS).summary()
