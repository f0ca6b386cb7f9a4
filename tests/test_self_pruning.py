"""A self-pruning study trains what it says, keeps what it trained, and counts as plain loops count."""

import dataclasses
import gc
import statistics
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from jaxllc.errors import InputError
from jaxllc.self_pruning import study_figures as figures
from jaxllc.self_pruning.study import RECORDS, SNAPSHOTS, self_pruning_study
from jaxllc.signaling import add_spurious_edges, is_spurious
from jaxllc.signaling.training.signaling_training import model_of
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS, same

L2, SEEDS, NUMBER, TIMES = [1e-2, 1e-6], range(3), 6, 5


def run(folder=None, l2=L2, seeds=SEEDS, number=NUMBER, times=TIMES, **more):
    return self_pruning_study(
        PRIOR, CONDITIONS, l2, seeds, number, settings=SETTINGS, times=times, folder=folder, **more
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return run(tmp_path_factory.mktemp("study") / "new")


# --- what is trained ------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_seed_and_penalty(study):
    table = study.table
    assert [*zip(table["seed"], table["l2"], strict=True)] == [*product(SEEDS, L2)]
    assert (table["status"] == "done").all()
    columns = {"train_mse", "train_correlation", "held_out_mse", "held_out_correlation", "seconds"}
    assert columns <= set(table)
    assert not {"network", "fold"} & set(table)
    assert table["train_mse"].nunique() == len(table)
    assert study.finished
    assert study.groups == [{"l2": 1e-6}, {"l2": 1e-2}]
    assert [study.count(), study.count({"l2": 1e-2}), study.count({"l2": 0.5})] == [6, 3, 0]
    found = [(model.seed, model.penalties) for model in study.models({"l2": 1e-2})]
    assert found == [(seed, {"l2": 1e-2}) for seed in SEEDS]


def test_each_seed_has_spurious_edges_of_its_own(study):
    assert [*study.networks] == ["0", "1", "2"]
    for number, network in study.networks.items():
        alone = add_spurious_edges(PRIOR, NUMBER, int(number))
        np.testing.assert_array_equal(network.senders, alone.senders)
        np.testing.assert_array_equal(network.receivers, alone.receivers)
    for model in study.models():
        network = study.networks[str(model.seed)]
        np.testing.assert_array_equal(model.snapshots.senders, network.senders)
        np.testing.assert_array_equal(model.snapshots.receivers, network.receivers)
        np.testing.assert_array_equal(model.spurious, is_spurious(network, PRIOR))
        assert model.spurious.sum() == NUMBER


def test_the_conditions_held_out_are_judged_apart(study):
    assert [len(names) for names in study.held_out.values()] == [1, 1, 1]
    assert len(set(study.held_out.values())) > 1
    assert (study.table["train_conditions"] == 5).all()
    assert (study.table["held_out_conditions"] == 1).all()
    model = next(study.models({"l2": 1e-6}))
    network = study.networks[str(model.seed)]
    trained = model_of(network, CONDITIONS, SETTINGS, model.snapshots.best)
    predicted = trained.predict(CONDITIONS).tfs.to_numpy()
    error = np.square(predicted - CONDITIONS.tf_activities).mean(axis=1)
    out = np.isin(CONDITIONS.names, study.held_out[model.seed])
    row = study.table[(study.table["seed"] == model.seed) & (study.table["l2"] == 1e-6)].iloc[0]
    assert row["held_out_mse"] == pytest.approx(error[out].mean(), rel=1e-3)
    assert row["train_mse"] == pytest.approx(error[~out].mean(), rel=1e-3)


def test_weights_are_kept_evenly_over_the_training(study):
    starts = {}
    for model in study.models():
        np.testing.assert_array_equal(model.snapshots.epochs, [0, 10, 20, 30, 40])
        assert model.snapshots.weights.shape == (TIMES, PRIOR.num_edges + NUMBER)
        np.testing.assert_array_equal(model.weights, np.abs(model.snapshots.weights[-1]))
        assert (np.abs(np.diff(model.snapshots.weights, axis=0)).max(axis=1) > 0).all()
        starts.setdefault(model.seed, []).append(model.snapshots.weights[0])
    for one, two in starts.values():
        np.testing.assert_array_equal(one, two)  # the penalty does not change the begin
    assert not np.array_equal(starts[0][0], starts[1][0])


# --- statistics against plain loops -----------------------------------------------------------------


def slow_shares(prior, spurious):
    every = sorted([*prior, *spurious])
    median = statistics.median(every)
    faded = np.percentile(every, 5)
    return {
        f"{name}_below_{kind}": sum(x < limit for x in some) / len(some)
        for name, some in (("prior", prior), ("spurious", spurious))
        for kind, limit in (("median", median), ("5th", faded))
    } | {
        "mean_weight_prior": statistics.fmean(prior),
        "mean_weight_spurious": statistics.fmean(spurious),
    }


def slow_auroc(prior, spurious):
    wins = [(p > s) + 0.5 * (p == s) for p in prior for s in spurious]
    return sum(wins) / len(wins)


def slow_quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive")


def slow_ks(one, two):
    def below(values, x):
        return sum(value <= x for value in values) / len(values)

    return max(abs(below(one, x) - below(two, x)) for x in [*one, *two])


def split(study, group, time, only_unknown=False):
    """For each model the list of |w| of prior and of spurious edges, found by the names of their ends."""
    edges = set(zip(PRIOR.senders.tolist(), PRIOR.receivers.tolist(), strict=True))
    found = []
    for row in study.table[study.table["l2"] == group["l2"]]["snapshots"]:
        prior, spurious = [], []
        with np.load(study.folder / SNAPSHOTS / row) as file:
            ends = file["senders"], file["receivers"], file["signs"], file["weights"][time]
        for sender, receiver, sign, weight in zip(*ends, strict=True):
            belongs = (sender, receiver) in edges
            if belongs and only_unknown and sign != 0:
                continue
            (prior if belongs else spurious).append(abs(float(weight)))
        found.append((prior, spurious))
    return found


def pooled(pairs):
    return [[x for pair in pairs for x in pair[kind]] for kind in (0, 1)]


def assert_row(row, expected):
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_shares_and_errors_over_the_training_are_those_of_plain_loops(study):
    table = study.over_training
    assert len(table) == len(L2) * TIMES
    for number, group in enumerate(study.groups):
        models = [*study.models(group)]
        for time in range(TIMES):
            row = table.iloc[number * TIMES + time]
            expected = {**group, "epoch": 10 * time, "models": 3}
            expected |= slow_shares(*pooled(split(study, group, time)))
            for name in ("mse", "held_out_mse"):
                values = [getattr(model.snapshots, name)[time] for model in models]
                ends = slow_quartiles(values)
                expected |= dict(zip((f"{name}_low", name, f"{name}_high"), ends, strict=True))
            assert_row(row, expected)
    assert (table["mse"] < table["mse"][0]).sum() >= 2 * (TIMES - 1)


def test_the_separation_is_that_of_plain_loops(study):
    for group, row in zip(study.groups, study.separation.to_dict("records"), strict=True):
        each, alike = split(study, group, -1), split(study, group, -1, only_unknown=True)
        prior, spurious = pooled(each)
        expected = {**group, "models": 3, **slow_shares(prior, spurious)}
        expected |= {
            "ks": slow_ks(prior, spurious),
            "p": ks_2samp(prior, spurious, method="asymp")[1],
        }
        aurocs = slow_quartiles([slow_auroc(*pair) for pair in each])
        expected |= dict(zip(("auroc_low", "auroc", "auroc_high"), aurocs, strict=True))
        prior, spurious = pooled(alike)
        assert len(prior) == 3  # the network has one edge of unknown sign
        expected["auroc_unknown"] = statistics.median(slow_auroc(*pair) for pair in alike)
        expected["ks_unknown"] = slow_ks(prior, spurious)
        expected["p_unknown"] = ks_2samp(prior, spurious, method="asymp")[1]
        middle = statistics.median(prior)
        expected["spurious_below_unknown"] = statistics.mean(w < middle for w in spurious)
        signed: dict = {"prior": [], "spurious": []}
        for model in study.models(group):
            for weight, added in zip(model.snapshots.weights[-1], model.spurious, strict=True):
                signed["spurious" if added else "prior"].append(float(weight))
        middle = statistics.median([*signed["prior"], *signed["spurious"]])
        for name, values in signed.items():
            expected[f"{name}_below_signed"] = statistics.mean(w < middle for w in values)
        assert_row(row, expected)


def test_the_summary_says_a_sentence_for_each_penalty(study):
    lines = study.summary().splitlines()
    assert lines[0].startswith("6 of 6 models trained, 0 diverged, 0 failed; ")
    assert [line.split(":")[0] for line in lines[1::2]] == ["l2 1e-06", "l2 0.01"]
    assert all(line.startswith("  beside prior edges of unknown sign: ") for line in lines[2::2])
    row = study.separation.iloc[0]
    assert f"{row['spurious_below_median']:.1%} of spurious" in lines[1]
    assert f"AUROC {row['auroc']:.3f}; 3 models" in lines[1]
    assert "6 of 6 models" in repr(study)


def test_the_figures_of_a_study_draw(study):
    for plot in (figures.plot_errors, figures.plot_shares, figures.plot_distributions):
        plot(study).canvas.draw()


# --- records, folders, seeds --------------------------------------------------------------------------


def test_the_same_seeds_give_the_same_models_and_a_temporary_folder_goes_with_them(study):
    again = run()
    assert again.folder.is_dir()
    assert again.folder != study.folder
    same(again.table, study.table)
    pd.testing.assert_frame_equal(again.separation, study.separation, check_exact=True)
    folder = again.folder
    del again
    gc.collect()
    assert not folder.exists()


def test_the_same_call_trains_nothing_again(study):
    def files():
        return {path: path.stat().st_mtime_ns for path in study.folder.rglob("*.*")}

    before, said = files(), []
    assert len(before) == 1 + 6
    again = run(study.folder, progress=lambda *what: said.append(what))
    assert said == [(6, 6, "6 of 6 runs were done before")]
    assert files() == before
    pd.testing.assert_frame_equal(again.table, study.table, check_exact=True)
    pd.testing.assert_frame_equal(again.separation, study.separation, check_exact=True)


@pytest.mark.parametrize(
    "changes", [{"number": 7}, {"signs": "known"}, {"held_out": 0.4}, {"times": 3}]
)
def test_another_study_is_refused_in_the_same_folder(study, changes):
    lines = (study.folder / RECORDS).read_bytes()
    with pytest.raises(InputError, match=r"another study|stood for something else"):
        run(study.folder, **changes)
    assert (study.folder / RECORDS).read_bytes() == lines


def test_penalties_can_be_added_to_a_folder(study, tmp_path):
    first = run(tmp_path, l2=[1e-2])
    assert (len(first.table), first.count()) == (3, 3)
    said = []
    whole = run(tmp_path, progress=lambda *what: said.append(what))
    assert said[0] == (3, 6, "3 of 6 runs were done before")
    same(whole.table, study.table)
    pd.testing.assert_frame_equal(whole.separation, study.separation, check_exact=True)


def test_a_part_of_a_study_can_be_opened(study):
    said = []
    part = run(study.folder, l2=1e-6, seeds=[2, 0], progress=lambda *what: said.append(what))
    assert said == [(2, 2, "2 of 2 runs were done before")]
    assert part.groups == [{"l2": 1e-6}]
    assert [model.seed for model in part.models()] == [2, 0]
    weights = {model.seed: model.weights for model in study.models({"l2": 1e-6})}
    for model in part.models():
        np.testing.assert_array_equal(model.weights, weights[model.seed])


def test_an_interrupt_before_the_first_model_leaves_a_study_to_go_on_with(study, tmp_path):
    def interrupt(done, total, what):
        raise KeyboardInterrupt

    early = run(tmp_path, progress=interrupt)
    assert not early.finished
    assert (early.groups, early.count(), early.count({"l2": 1e-2})) == ([], 0, 0)
    assert [*early.models()] == []
    assert early.summary().startswith("0 of 6 models trained")
    assert early.over_training.empty
    with pytest.raises(InputError, match="no model of the study came to an end"):
        figures.plot_errors(early)
    same(run(tmp_path).table, study.table)


def test_a_model_whose_snapshots_are_lost_is_named(study):
    again = run(seeds=[0], l2=[1e-2])
    name = again.table["snapshots"][0]
    (again.folder / SNAPSHOTS / name).unlink()
    said = rf"the model of l2 0\.01, seed 0 is lost: .*{name} does not exist; it was in a temporary"
    with pytest.raises(InputError, match=said):
        list(again.models())


def test_models_that_diverged_are_left_out(study):
    table = study.table.copy()
    table.loc[(table["seed"] == 0) | (table["l2"] == 1e-2), "status"] = "diverged"
    some = dataclasses.replace(study, table=table)
    assert [some.count(group) for group in some.groups] == [2, 0]
    assert [model.seed for model in some.models()] == [1, 2]
    assert some.separation[["l2", "models"]].to_numpy().tolist() == [[1e-6, 2]]
    assert len(some.over_training) == TIMES
    assert "4 diverged" in some.summary()


def test_l1_is_an_axis_beside_l2(tmp_path):
    study = run(tmp_path, l2=[0.0], l1=(1e-2, 1e-6))
    assert study.groups == [{"l2": 0.0, "l1": 1e-6}, {"l2": 0.0, "l1": 1e-2}]
    assert [model.penalties for model in study.models(study.groups[1])] == [study.groups[1]] * 3
    weak, strong = ([m.weights.mean() for m in study.models(group)] for group in study.groups)
    assert all(one < other for one, other in zip(strong, weak, strict=True))
    assert "l2 0, l1 0.01: " in study.summary()
    figures.plot_distributions(study).canvas.draw()


def test_a_study_without_spurious_edges_and_held_out_conditions(tmp_path):
    study = run(tmp_path, l2=1e-3, seeds=[4], number=0, held_out=0)
    assert study.held_out == {}
    assert (study.table["train_conditions"] == 6).all()
    assert "held_out_mse" not in study.table
    assert study.over_training["held_out_mse"].isna().all()
    (model,) = study.models()
    assert not model.spurious.any()
    assert len(model.weights) == PRIOR.num_edges
    assert "1 models without spurious edges" in study.summary()
    for plot in (figures.plot_errors, figures.plot_shares, figures.plot_distributions):
        plot(study).canvas.draw()
