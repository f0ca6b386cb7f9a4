"""Figures of a self-pruning study hold the numbers of its tables, whatever the study is made of."""

import sys

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.figure_style import COLOURS
from jaxllc.self_pruning import study_figures as figures
from tests.planted_study import PlantedStudy, planted_model, random_study

ONE = [{"l2": 1e-5}]
FIVE = [{"l2": 10.0**-n} for n in range(7, 2, -1)]
CASES = {
    "one penalty": lambda: random_study(ONE),
    "five penalties": lambda: random_study(FIVE),
    "l2 and l1": lambda: random_study([{"l2": a, "l1": b} for a in (0.0, 1e-4) for b in (1e-5, 1)]),
    "seven penalties": lambda: random_study([{"l2": 10.0**-n} for n in range(9, 2, -1)]),
    "one seed": lambda: random_study(ONE, seeds=1),
    "no spurious edges": lambda: random_study(FIVE[:2], spurious=0),
    "nothing held out": lambda: random_study(FIVE[:2], held_out=False),
    "two times": lambda: random_study(ONE, times=2),
    "all signs known": lambda: random_study(ONE, unknown=0),
    "no sign known": lambda: random_study(ONE, unknown=1),
    "all weights 0": lambda: PlantedStudy([planted_model(np.zeros((2, 4)), np.zeros((2, 2)))]),
}  # fmt: skip


@pytest.fixture(params=CASES, scope="module")
def study(request):
    return CASES[request.param]()


def lines(axes, label):
    return [line for line in axes.get_lines() if line.get_label() == label]


def line(axes, label):
    (found,) = lines(axes, label)
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def drawn(figure):
    figure.canvas.draw()
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def rows_of(table, group):
    for name, value in group.items():
        table = table[table[name] == value]
    return table


def test_errors_are_those_of_the_table(study):
    figure = figures.plot_errors(study)
    assert len(figure.axes) == len(study.groups)
    held_out = bool(np.isfinite(study.over_training["held_out_mse"]).any())
    names = ["training conditions", *["held-out conditions"] * held_out]
    assert drawn(figure) == names
    for axes, group in zip(figure.axes, study.groups, strict=True):
        rows = rows_of(study.over_training, group)
        assert axes.get_yscale() == "log"
        for name, column in zip(names, ("mse", "held_out_mse"), strict=False):
            x, y = line(axes, name)
            np.testing.assert_array_equal(x, rows["epoch"])
            np.testing.assert_array_equal(y, rows[column])
            assert axes.get_ylim()[0] < rows[f"{column}_low"].min()
            assert rows[f"{column}_high"].max() < axes.get_ylim()[1]
        assert len(axes.collections) == len(names)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_bands_reach_from_quartile_to_quartile():
    study = random_study(ONE, seeds=7)
    (axes,) = figures.plot_errors(study).axes
    rows = study.over_training
    for band, column in zip(axes.collections, ("mse", "held_out_mse"), strict=True):
        corners = {tuple(point) for point in band.get_paths()[0].vertices}
        for end in ("low", "high"):
            assert {*zip(rows["epoch"], rows[f"{column}_{end}"], strict=True)} <= corners


def test_shares_are_those_of_the_table(study):
    figure = figures.plot_shares(study)
    count = len(study.groups)
    assert len(figure.axes) == 2 * count
    spurious = bool(np.isfinite(study.over_training["spurious_below_median"]).any())
    assert drawn(figure) == [*["spurious edges"] * spurious, "prior edges", "no difference"]
    for number, group in enumerate(study.groups):
        # Five columns in a line, then the panels of the next line.
        first = number if number < 5 else 5 + number
        width = min(count, 5) if number < 5 else count - 5
        rows = rows_of(study.over_training, group)
        panels = figure.axes[first], figure.axes[first + width]
        for axes, measure, no_difference in zip(panels, ("median", "5th"), (50, 5), strict=True):
            for kind in ("spurious", "prior") if spurious else ("prior",):
                x, y = line(axes, f"{kind} edges")
                np.testing.assert_array_equal(x, rows["epoch"])
                np.testing.assert_allclose(y, 100 * rows[f"{kind}_below_{measure}"], atol=1e-12)
            dashed = [one for one in axes.get_lines() if one.get_linestyle() == "--"]
            assert [list(one.get_ydata()) for one in dashed] == [[no_difference] * 2]
            low, high = axes.get_ylim()
            assert low <= no_difference <= high
        assert str(len([*study.models(group)])) in panels[0].get_title(loc="left")


def test_distributions_are_empirical_and_name_the_test(study):
    figure = figures.plot_distributions(study)
    drawn(figure)
    assert len(figure.axes) == len(study.groups)
    for axes, group in zip(figure.axes, study.groups, strict=True):
        models = [*study.models(group)]
        weights = np.concatenate([model.weights for model in models])
        mask = np.concatenate([model.spurious for model in models])
        unsigned = ~mask & (np.concatenate([model.snapshots.signs for model in models]) == 0)
        assert axes.get_xscale() == "log"
        for name, chosen, there in (
            ("spurious edges", mask, mask.any()),
            ("prior edges", ~mask, True),
            ("prior edges of unknown sign", unsigned, 0 < unsigned.sum() < (~mask).sum()),
        ):
            assert len(lines(axes, name)) == there
            if not there:
                continue
            x, y = line(axes, name)
            expected = [100 * (weights[chosen] <= value).mean() for value in x]
            np.testing.assert_allclose(y, expected)
            assert y[-1] == 100
            assert y[0] == pytest.approx(100 * (weights[chosen] == 0).mean())
        row = rows_of(study.separation, group).iloc[0]
        (text,) = [one.get_text() for one in axes.texts]
        assert text.startswith(f"KS {row['ks']:.3f}, p " if mask.any() else "no spurious edges")
        if row["ks"] > 0:
            (widest,) = [one for one in axes.get_lines() if one.get_label().startswith("_")]
            low, high = widest.get_ydata()
            assert abs(high - low) == pytest.approx(100 * row["ks"])


def test_a_distribution_of_many_edges_is_thinned_and_stays_what_it_is():
    random = np.random.default_rng(0)
    weights = random.lognormal(0, 2, 50_000)
    study = PlantedStudy([planted_model(weights, [1e-3, 1.0])])
    (axes,) = figures.plot_distributions(study).axes
    x, y = line(axes, "prior edges")
    assert len(x) < 2100
    np.testing.assert_allclose(y, [100 * (weights <= value).mean() for value in x])
    assert np.diff(y).max() < 0.1


def test_weights_far_below_the_others_are_at_the_left_end():
    study = PlantedStudy([planted_model([1e-30, 0.1, 0.2, 1.0], [1e-40, 0.5])])
    (axes,) = figures.plot_distributions(study).axes
    assert 1e-9 < axes.get_xlim()[0] < 0.1
    x, y = line(axes, "prior edges")
    assert (x[0], y[0]) == (axes.get_xlim()[0], 25)


def test_a_p_value_too_small_for_a_number_is_a_bound():
    random = np.random.default_rng(0)
    study = PlantedStudy([planted_model(1 + random.random(9000), random.random(9000))])
    (axes,) = figures.plot_distributions(study).axes
    assert axes.texts[0].get_text() == "KS 1.000, p < 1e−300"


def removed(penalties, seeds=4, fractions=(0.0, 0.5, 1.0), shift=0.0, **more):
    random = np.random.default_rng(0)
    rows = []
    for group in penalties:
        for seed in range(seeds):
            for fraction in fractions:
                mse = 0.01 + shift + fraction * random.uniform(0.01, 0.1)
                figures_of = {"mse": mse, "held_out_mse": 2 * mse}
                figures_of |= {"correlation": 1 - mse, "held_out_correlation": 1 - 2 * mse}
                rows.append({**group, "seed": seed, "fraction": fraction, **figures_of, **more})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("measure", ["mse", "correlation"])
@pytest.mark.parametrize("penalties", [ONE, FIVE, [{"l2": 0.0, "l1": 1e-3}]])
def test_removal_curves_are_medians_of_the_models(penalties, measure):
    curves, again = removed(penalties), removed(penalties, fractions=(0.5, 0.9), shift=0.1)
    figure = figures.plot_removal(curves, again, measure)
    names = drawn(figure)
    assert len(names) == len(penalties) + 1
    assert names[-1] == "retrained"
    assert len(figure.axes) == 2
    for axes, column in zip(figure.axes, (measure, f"held_out_{measure}"), strict=True):
        assert axes.get_yscale() == ("log" if measure == "mse" else "linear")
        groups = curves.groupby([*penalties[0]])
        for (_, rows), name, bars in zip(groups, names[:-1], axes.containers, strict=True):
            x, y = line(axes, name)
            np.testing.assert_allclose(x, [0, 50, 100])
            np.testing.assert_allclose(y, rows.groupby("fraction")[column].median())
            assert bars.lines[0].get_color() == lines(axes, name)[0].get_color()
        points = again[again["l2"] == penalties[0]["l2"]].groupby("fraction")[column].median()
        np.testing.assert_allclose(axes.containers[0].lines[0].get_xdata(), [50, 90])
        np.testing.assert_allclose(axes.containers[0].lines[0].get_ydata(), points)


def test_removal_curves_without_held_out_conditions_have_one_panel():
    curves = removed(ONE, seeds=1)
    curves["held_out_mse"] = np.nan
    figure = figures.plot_removal(curves)
    assert drawn(figure) == ["L2 1e−5"]
    assert len(figure.axes) == 1
    assert len(figures.plot_removal(curves.drop(columns="held_out_mse")).axes) == 1


def test_models_without_figures_are_left_out_of_removal_curves():
    curves, again = removed(ONE), removed(ONE, fractions=(0.5,))
    curves.loc[(curves["fraction"] == 0.5) & (curves["seed"] == 1), "mse"] = np.inf
    curves.loc[curves["fraction"] == 1, "mse"] = np.nan
    again[["mse", "held_out_mse"]] = np.nan
    figure = figures.plot_removal(curves, again)
    drawn(figure)
    x, y = line(figure.axes[0], "L2 1e−5")
    kept = curves[(curves["fraction"] == 0.5) & (curves["seed"] != 1)]
    np.testing.assert_allclose(x, [0, 50])
    assert y[1] == pytest.approx(kept["mse"].median())


def test_orders_of_removal_have_lines_of_their_own():
    both = pd.concat([removed(FIVE[:2], order="weakest"), removed(FIVE[:2], order="random")])
    axes = figures.plot_removal(both, both).axes[0]
    found = {one.get_label(): one for one in axes.get_lines() if one.get_label()[0] != "_"}
    assert [*found] == [f"L2 1e−{n}, {order}" for n in (7, 6) for order in ("random", "weakest")]
    assert {one.get_color() for one in found.values()} == {*COLOURS[:2]}
    assert len({(one.get_color(), one.get_linestyle()) for one in found.values()}) == 4


def test_an_error_of_0_is_drawn_on_a_linear_axis():
    curves = removed(ONE)
    curves["mse"] -= curves["mse"].min()
    assert figures.plot_removal(curves).axes[0].get_yscale() == "linear"


def test_tables_that_cannot_be_drawn_are_named():
    curves = removed(ONE)
    with pytest.raises(InputError, match="measure is 'rmse'"):
        figures.plot_removal(curves, measure="rmse")
    with pytest.raises(InputError, match="curves has no column 'fraction'"):
        figures.plot_removal(curves.drop(columns="fraction"))
    with pytest.raises(InputError, match="retrained has no column 'l2'"):
        figures.plot_removal(curves, curves.drop(columns="l2"))
    with pytest.raises(InputError, match="curves has no row"):
        figures.plot_removal(curves.head(0))


@pytest.mark.parametrize("name", ["plot_errors", "plot_shares", "plot_distributions"])
def test_a_study_without_models_cannot_be_drawn(name):
    with pytest.raises(InputError, match="no model of the study came to an end"):
        getattr(figures, name)(PlantedStudy([]))


def test_the_figures_need_no_pyplot():
    had = "matplotlib.pyplot" in sys.modules
    figures.plot_shares(random_study(ONE))
    assert ("matplotlib.pyplot" in sys.modules) == had
