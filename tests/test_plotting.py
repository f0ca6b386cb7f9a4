"""Figures: what they show is what the law and the data say, and they leave no global state."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from jaxllc import generators, known_laws, plotting
from jaxllc.errors import InputError
from jaxllc.law.law import Law


def drawn_lines(axes):
    return [line for line in axes.get_lines() if line.get_linestyle() == "-"]


def test_the_fit_shows_data_and_law_of_six_nodes(found_law, epidemic_runs):
    figure = plotting.plot_fit(found_law, time_unit="days")
    axes = figure.axes[0]
    points = [line for line in axes.get_lines() if line.get_marker() == "o"]
    lines = drawn_lines(axes)
    assert len(points) == len(lines) == 6
    for point, line in zip(points, lines, strict=True):
        gap = np.abs(
            np.interp(point.get_xdata(), line.get_xdata(), line.get_ydata()) - point.get_ydata()
        )
        assert gap.max() < 0.02
    assert axes.get_xlabel() == "time (days)"
    assert axes.get_ylabel().startswith("x (")
    figure.canvas.draw()


def test_chosen_nodes_are_shown_and_unknown_ones_named(found_law):
    figure = plotting.plot_fit(found_law, nodes=["3", "5"])
    assert len(drawn_lines(figure.axes[0])) == 2
    with pytest.raises(InputError, match="'nobody'"):
        plotting.plot_fit(found_law, nodes=["nobody"])


def test_a_law_without_data_has_no_fit(found_law):
    with pytest.raises(InputError, match="no data"):
        plotting.plot_fit(replace(found_law, data=()))


def test_a_forecast_on_another_network_lies_on_the_diagonal(found_law):
    known = known_laws.get("epidemic")
    other = generators.erdos_renyi(15, 4, seed=2)
    observed = known.simulate(other, np.linspace(0, 3, 20), seed=5)
    figure = plotting.plot_forecast(found_law, observed, other)
    cloud = figure.axes[1].get_lines()[0]
    assert np.abs(cloud.get_xdata() - cloud.get_ydata()).max() < 5e-3
    assert len(cloud.get_xdata()) == observed.states.size


def test_the_front_marks_the_chosen_law(found_law):
    axes = plotting.plot_pareto(found_law).axes[0]
    (mark,) = [line for line in axes.get_lines() if line.get_label() == "the law chosen"]
    assert list(mark.get_xdata()) == [2]
    assert axes.get_yscale() == "log"
    with pytest.raises(InputError, match="no Pareto front"):
        plotting.plot_pareto(replace(found_law, front=()))


def test_a_term_of_one_argument_is_its_curve(found_law):
    known = known_laws.get("epidemic")
    axes = plotting.plot_terms(found_law, known).axes[0]
    (curve, truth) = axes.get_lines()[:2]
    np.testing.assert_allclose(truth.get_ydata(), -0.5 * truth.get_xdata())
    np.testing.assert_allclose(curve.get_ydata(), truth.get_ydata(), rtol=0.02)


@pytest.mark.parametrize("name", ["kuramoto_heterogeneous", "fitzhugh_nagumo", "rossler", "gene"])
def test_terms_of_every_shape_are_drawn(name, small_network):
    known = known_laws.get(name)
    data = known.simulate(small_network, np.linspace(0, 1, 9), seed=1)
    law = Law(
        equations=known.equations,
        feature_names=known.feature_names,
        network=small_network,
        data=(data,),
    )
    figure = plotting.plot_terms(law, known)
    figure.canvas.draw()
    titled = [axes for axes in figure.axes if axes.get_title()]
    assert len(titled) == 2 * len(known.equations)
    labels = [axes.get_xlabel() for axes in titled if axes.axison]
    assert all(labels)


def test_coupling_through_a_difference_is_drawn_over_the_difference(small_network):
    known = known_laws.get("kuramoto")
    axes = plotting.plot_terms(Law(equations=known.equations), known).axes[1]
    assert axes.get_xlabel() == "$x_j$ − $x_i$"
    curve = axes.get_lines()[0]
    strength = known.parameters["K"] if "K" in known.parameters else max(curve.get_ydata())
    np.testing.assert_allclose(curve.get_ydata(), strength * np.sin(curve.get_xdata()), atol=1e-12)


def test_plotting_needs_no_pyplot(found_law):
    had = "matplotlib.pyplot" in sys.modules
    plotting.plot_pareto(found_law)
    assert ("matplotlib.pyplot" in sys.modules) == had
