"""How spurious and prior edges differ, for weights that are planted: the answer is known."""

import numpy as np
import pandas as pd
import pytest

from jaxllc.self_pruning import separation
from tests.planted_study import PlantedStudy, planted_model


def planted(*models):
    (row,) = PlantedStudy(models).separation.to_dict("records")
    return row


def test_smaller_spurious_edges_are_told_apart_wholly():
    models = [planted_model(np.arange(10, 20), [-1.0, 2.0, -3.0, 0.0])] * 2
    row = planted(*models)
    assert row["auroc"] == row["auroc_low"] == row["ks"] == row["spurious_below_median"] == 1
    # Of 28 edges 14 are below the median, 8 of them spurious.
    assert row["prior_below_median"] == pytest.approx(6 / 20)
    # 5 % of 27 steps is above the two zeros and below the ones.
    assert row["spurious_below_5th"] == 2 / 8
    assert row["prior_below_5th"] == 0
    assert row["p"] < 1e-3
    assert (row["mean_weight_prior"], row["mean_weight_spurious"]) == (14.5, 1.5)


def test_larger_spurious_edges_have_an_auroc_of_0():
    row = planted(planted_model([1, 2, 3], [-4, 5]))
    assert (row["auroc"], row["ks"], row["spurious_below_median"]) == (0, 1, 0)


def test_edges_of_one_distribution_are_not_told_apart():
    random = np.random.default_rng(0)
    row = planted(
        *(planted_model(random.normal(size=2000), random.normal(size=500)) for _ in range(4))
    )
    assert row["auroc"] == pytest.approx(0.5, abs=0.02)
    assert row["ks"] < 0.04
    assert row["p"] > 0.01
    for kind in ("prior", "spurious"):
        assert row[f"{kind}_below_median"] == pytest.approx(0.5, abs=0.03)
        assert row[f"{kind}_below_5th"] == pytest.approx(0.05, abs=0.015)


def test_equal_weights_are_ties():
    row = planted(planted_model([1, 1, 1], [1, -1]))
    assert (row["auroc"], row["ks"]) == (0.5, 0)
    assert row["spurious_below_median"] == row["prior_below_5th"] == 0


def test_the_auroc_compares_edges_of_one_model():
    # Spurious edges of the second model are above the prior edges of the first.
    row = planted(planted_model([2, 3], [0.5, 1]), planted_model([20, 30], [5, 10]))
    assert row["auroc"] == 1
    assert row["ks"] < 1
    three = [
        planted_model([2.0, 3.0], [1, 1]),
        planted_model([2, 3], [2.5, 2.5]),
        planted_model([2, 3], [9, 9]),
    ]
    row = planted(*three)
    assert [row["auroc_low"], row["auroc"], row["auroc_high"]] == [0.25, 0.5, 0.75]


def test_edges_of_unknown_sign_are_compared_alone():
    # Prior edges of known sign are large; those of unknown sign are as small as spurious ones.
    signs = [1, -1, 1, 0, 0, 0, 0]
    row = planted(planted_model([10, 20, 30, 1, 3], [1, 3], signs=signs))
    assert row["auroc"] > 0.7
    assert (row["auroc_unknown"], row["ks_unknown"]) == (0.5, 0)
    assert row["spurious_below_unknown"] == 0.5
    (_, sentence) = separation.sentences(pd.DataFrame([row]))
    assert sentence.startswith("  beside prior edges of unknown sign: 50.0% below their median")
    signed = planted(planted_model([10, 20, 30, 1, 3], [1, 3], signs=[1, -1, 1, 0, 0, 1, 1]))
    all_known = planted(planted_model([10, 20], [1, 3], signs=[1, 1, 0, 0]))
    for row in (signed, all_known):
        assert np.isnan([row["auroc_unknown"], row["ks_unknown"], row["p_unknown"]]).all()


def test_published_figures_are_of_weights_with_their_signs():
    row = planted(planted_model([-4, -3, 1, 2], [-0.1, 3]))
    # The median of w is 0.45, that of |w| 2.5.
    assert (row["prior_below_signed"], row["spurious_below_signed"]) == (0.5, 0.5)
    row = planted(planted_model([-4, -3, -2, 1], [0.1, 0.2]))
    assert (row["prior_below_signed"], row["spurious_below_signed"]) == (0.75, 0)
    assert (row["prior_below_median"], row["spurious_below_median"]) == (0.25, 1)


def test_without_spurious_edges_there_is_nothing_to_compare():
    study = PlantedStudy([planted_model([1, 2, 3], [])])
    (row,) = study.separation.to_dict("records")
    nan = ["ks", "p", "auroc", "spurious_below_median", "mean_weight_spurious", "auroc_unknown"]
    assert np.isnan([row[name] for name in nan]).all()
    assert row["prior_below_median"] == pytest.approx(1 / 3)
    assert separation.sentences(study.separation) == ["l2 1e-05: 1 models without spurious edges"]
