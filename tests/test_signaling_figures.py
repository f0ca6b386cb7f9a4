"""Figures of signaling models hold the data they were given, and leave no global state."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.figure_style import COLOURS
from jaxllc.signaling import signaling_figures as figures

CONDITIONS = ["none", "one", "two", "both"]
TFS = ["A", "B", "C", "D", "E"]


@pytest.fixture
def measured():
    values = np.random.default_rng(0).uniform(size=(4, 5))
    values[1, 2] = np.nan
    return pd.DataFrame(values, index=CONDITIONS, columns=TFS)


@pytest.fixture
def predicted(measured):
    noise = np.random.default_rng(1).normal(0, 0.1, measured.shape)
    return (measured.fillna(0.5) + noise).iloc[::-1, ::-1]  # the order is not that of `measured`


def points(axes, colour):
    (line,) = [line for line in axes.get_lines() if line.get_color() == colour]
    return line.get_xdata(), line.get_ydata()


def expected_r(x, y):
    x, y = np.asarray(x), np.asarray(y)
    seen = np.isfinite(x)
    x, y = x[seen] - x[seen].mean(), y[seen] - y[seen].mean()
    return (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())


def test_the_fit_holds_every_measured_value_and_its_r(measured, predicted):
    axes = figures.plot_fit(measured, predicted).axes[0]
    x, y = points(axes, COLOURS[0])
    aligned = predicted.loc[CONDITIONS, TFS].to_numpy()
    seen = np.isfinite(measured.to_numpy())
    np.testing.assert_array_equal(x, measured.to_numpy()[seen])
    np.testing.assert_array_equal(y, aligned[seen])
    assert axes.get_title(loc="left") == f"r = {expected_r(measured, aligned):.3f}, 19 values"
    assert axes.get_xlim()[0] < min(x.min(), y.min())
    assert axes.get_ylim()[1] > max(x.max(), y.max())


def test_held_out_conditions_have_a_colour_of_their_own(measured, predicted):
    figure = figures.plot_fit(measured, predicted, held_out=["two"])
    x, y = points(figure.axes[0], COLOURS[1])
    np.testing.assert_array_equal(x, measured.loc["two"])
    np.testing.assert_array_equal(y, predicted.loc["two", TFS])
    assert len(points(figure.axes[0], COLOURS[0])[0]) == 14
    figure.canvas.draw()
    with pytest.raises(InputError, match="'tow' \\(did you mean 'two'"):
        figures.plot_fit(measured, predicted, held_out=["tow"])


def test_a_measured_value_without_prediction_is_named(measured, predicted):
    with pytest.raises(InputError, match="no prediction for the TF 'B'"):
        figures.plot_fit(measured, predicted.drop(columns="B"))
    with pytest.raises(InputError, match="no prediction for the condition 'one'"):
        figures.plot_conditions(measured, predicted.drop(index="one"))


def test_conditions_are_sorted_by_their_r(measured, predicted):
    measured.loc["none"] = 0.5  # nothing varies: no r
    figure = figures.plot_conditions(measured, predicted, held_out=["both"])
    (axes,) = figure.axes
    r = {name: expected_r(measured.loc[name], predicted.loc[name, TFS]) for name in CONDITIONS[1:]}
    order = ["none", *sorted(r, key=r.get)]
    assert [label.get_text() for label in axes.get_yticklabels()] == order
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, [0.0, *(r[name] for name in order[1:])])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["does not vary", *(f"{r[name]:.2f}" for name in order[1:])]
    assert axes.get_title(loc="left") == f"median r = {np.median([*r.values()]):.3f}"
    figure.canvas.draw()


@pytest.fixture
def history():
    epochs = np.arange(0, 100, 10)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "loss": np.exp(-epochs / 30) + 0.2,
            "mse": np.exp(-epochs / 30),
            "radius": np.linspace(0.8, 1.3, 10),
        }
    )


def test_the_training_shows_losses_and_the_radius_with_its_limit(history):
    left, right = figures.plot_training(history).axes
    for column, colour in (("loss", COLOURS[1]), ("mse", COLOURS[0])):
        x, y = points(left, colour)
        np.testing.assert_array_equal(x, history["epoch"])
        np.testing.assert_array_equal(y, history[column])
    assert left.get_yscale() == "log"
    np.testing.assert_array_equal(points(right, COLOURS[3])[1], history["radius"])
    (limit,) = [line for line in right.get_lines() if line.get_linestyle() == "--"]
    assert list(limit.get_ydata()) == [1.0, 1.0]
    assert right.get_ylim()[1] > 1.3


def test_a_training_without_radius_or_of_one_epoch_is_drawn(history):
    figure = figures.plot_training(history.drop(columns="radius").head(1))
    assert "not looked at" in figure.axes[1].texts[0].get_text()
    figure.canvas.draw()
    with pytest.raises(InputError, match="no column 'mse'"):
        figures.plot_training(history.drop(columns="mse"))
    with pytest.raises(InputError, match="no epoch"):
        figures.plot_training(history.head(0))


def test_a_knock_out_shows_the_largest_changes_first(measured):
    before = measured.fillna(0.5)
    after = before.copy()
    after.loc["two", "D"] -= 0.4
    after.loc["both", "D"] -= 0.1
    after.loc["one", "A"] += 0.2
    figure = figures.plot_knock_out(
        SimpleNamespace(tfs=before), SimpleNamespace(tfs=after), labels={"D": "MYC"}
    )
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["MYC", "A"]
    assert [label.get_text() for label in axes.get_xticklabels()] == CONDITIONS
    shown = np.asarray(axes.get_images()[0].get_array())
    np.testing.assert_allclose(shown, [[0, 0, -0.4, -0.1], [0, 0.2, 0, 0]], atol=1e-12)
    assert axes.get_title(loc="left").startswith("2 of 5 TFs")
    figure.canvas.draw()


def test_a_knock_out_of_many_tfs_shows_twenty():
    rng = np.random.default_rng(0)
    names = [f"condition {n}" for n in range(60)]
    before = pd.DataFrame(rng.uniform(size=(60, 90)), names, [f"tf{n}" for n in range(90)])
    after = before + rng.normal(0, 0.1, before.shape)
    figure = figures.plot_knock_out(SimpleNamespace(tfs=before), SimpleNamespace(tfs=after))
    shown = np.asarray(figure.axes[0].get_images()[0].get_array())
    assert shown.shape == (20, 40)
    assert np.abs(shown).max() == pytest.approx(np.abs((after - before).to_numpy()).max())


def test_a_knock_out_without_effect_is_drawn(measured):
    same = SimpleNamespace(tfs=measured.fillna(0.5))
    figure = figures.plot_knock_out(same, same)
    assert figure.axes[0].get_title(loc="left").startswith("0 of 5 TFs")
    figure.canvas.draw()


def test_the_figures_need_no_pyplot(history):
    had = "matplotlib.pyplot" in sys.modules
    figures.plot_training(history)
    assert ("matplotlib.pyplot" in sys.modules) == had
