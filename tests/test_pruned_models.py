"""Models pruned of edges: errors against dense computations and single trainings, and what is resumed."""

import dataclasses
import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jaxllc.errors import InputError
from jaxllc.self_pruning import pruned_models
from jaxllc.self_pruning.curves import removable, summary_of
from jaxllc.self_pruning.pruned_models import (
    FIGURES,
    FOLDER,
    ORDERS,
    RECORDS,
    _Removal,
    removal_curves,
    retrained_curves,
)
from jaxllc.self_pruning.study import SNAPSHOTS, self_pruning_study
from jaxllc.signaling import train
from jaxllc.signaling.network.structure import settle
from jaxllc.signaling.training.signaling_training import correlation
from jaxllc.sweeps import read_records
from jaxllc.sweeps.chunk_trainer import ChunkTrainer
from jaxllc.sweeps.snapshots import snapshot_name, write_snapshots
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS

L2 = [1e-5, 1e-2]
ADDED = 6
EDGES = PRIOR.num_edges + ADDED


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four models of two networks of 15 edges, each with one of six conditions held out."""
    return self_pruning_study(
        PRIOR, CONDITIONS, L2, range(2), ADDED, settings=SETTINGS, times=5,
        folder=tmp_path_factory.mktemp("study"),
    )  # fmt: skip


@pytest.fixture
def altered(study, tmp_path):
    """The study with the four weakest weights of one model at 0, at all times, in a folder of its own."""
    shutil.copytree(study.folder, tmp_path / "altered")
    model = next(study.models())
    weights = model.snapshots.weights.copy()
    weights[:, np.argsort(-np.abs(weights[-1]))[:4]] = 0
    path = tmp_path / "altered" / SNAPSHOTS / snapshot_name(model.snapshots.point)
    write_snapshots(path, dataclasses.replace(model.snapshots, weights=weights))
    return dataclasses.replace(study, folder=tmp_path / "altered")


def mml(z):
    with np.errstate(divide="ignore"):
        return np.where(z < 0, 0.01 * z, np.where(z > 0.5, 1 - 0.25 / z, z))


def dense_prediction(study, model, time, removed):
    """Activities (B, TFs) by plain iteration with a dense matrix of float64."""
    shots = model.snapshots
    weights = np.array(shots.weights[time], float)
    weights[removed] = 0
    matrix = np.zeros((PRIOR.num_nodes, PRIOR.num_nodes))
    matrix[shots.receivers, shots.senders] = weights
    drive = np.tile(np.array(shots.bias[time], float)[:, None], CONDITIONS.num_conditions)
    for column, name in enumerate(CONDITIONS.ligands):
        drive[PRIOR.position[name]] += SETTINGS.input_scale * CONDITIONS.ligand_levels[:, column]
    state = np.zeros_like(drive)
    for _ in range(1000):
        state = mml(matrix @ state + drive)
    tfs = [PRIOR.position[name] for name in CONDITIONS.tfs]
    return (shots.output_scale[time][:, None] * state[tfs]).T


def parts(study, model):
    """The conditions of the training, and those held out, as indices."""
    out = [CONDITIONS.position[name] for name in study.held_out[model.seed]]
    return np.setdiff1d(np.arange(CONDITIONS.num_conditions), out), np.array(out)


def assert_figures(row, predicted, study, model, tolerance=1e-4):
    train_rows, out = parts(study, model)
    for prefix, rows in (("", train_rows), ("held_out_", out)):
        wanted, values = CONDITIONS.tf_activities[rows], predicted[rows]
        mse = np.mean((values - wanted) ** 2)
        assert row[f"{prefix}mse"] == pytest.approx(mse, rel=tolerance, abs=1e-7)
        r = correlation(values, wanted)
        assert row[f"{prefix}correlation"] == pytest.approx(r, abs=1e-3)


def rows_of(curves, model):
    """The rows of one model, by their fraction."""
    own = curves[(curves["seed"] == model.seed) & (curves["l2"] == model.penalties["l2"])]
    return own.set_index("fraction").to_dict("index")


def test_a_model_without_removed_edges_has_the_errors_of_its_snapshot(study):
    settle.clear_cache()
    for at, time in ((0.0, 0), (0.45, 2), (0.5, 2), (1.0, 4)):
        curves = removal_curves(study, [0], at)
        assert len(curves) == 4
        assert set(curves["epoch"]) == {10 * time}
        assert (curves[["edges_removed", "spurious_removed"]] == 0).all(axis=None)
        assert (curves["converged"] == 6).all()
        assert not curves["retrained"].any()
        for model in study.models():
            row, shots = rows_of(curves, model)[0], model.snapshots
            assert row["mse"] == pytest.approx(shots.mse[time], rel=1e-5)
            assert row["held_out_mse"] == pytest.approx(shots.held_out_mse[time], rel=1e-5)
    # Networks of other edges, one program.
    assert settle._cache_size() == 1


def test_a_model_without_edges_is_its_drive_alone(study):
    for order in ORDERS:
        curves = removal_curves(study, [1], 1.0, order)
        assert (curves["edges_removed"] == EDGES).all()
        assert (curves["spurious_removed"] == 1).all()
        tfs = [PRIOR.position[name] for name in CONDITIONS.tfs]
        for model in study.models():
            alone = model.snapshots.output_scale[-1] * mml(model.snapshots.bias[-1][tfs])
            predicted = np.tile(alone, (CONDITIONS.num_conditions, 1))
            assert_figures(rows_of(curves, model)[1], predicted, study, model)


@pytest.mark.parametrize("order", ["weakest", "strongest"])
def test_figures_are_those_of_a_dense_computation(study, order):
    fractions = np.arange(EDGES + 1) / EDGES
    curves = removal_curves(study, fractions, 0.5, order)
    assert len(curves) == 4 * len(fractions)
    for model in study.models():
        size = np.abs(model.snapshots.weights[2])
        ranked = sorted(range(EDGES), key=lambda e: ((1, -1)[order == "strongest"] * size[e], e))
        for count, (fraction, row) in enumerate(sorted(rows_of(curves, model).items())):
            removed = ranked[:count]
            assert row["edges_removed"] == round(fraction * EDGES) == count
            assert row["spurious_removed"] == model.spurious[removed].sum() / ADDED
            predicted = dense_prediction(study, model, 2, removed)
            assert_figures(row, predicted, study, model)


def test_a_larger_fraction_takes_all_that_a_smaller_one_took(study):
    for model in study.models():
        for order in ORDERS:
            removal = _Removal.of(model, 0.5, order, 3)
            assert sorted(removal.edges) == list(range(EDGES))
            sets = [set(removal.removed(n / 20)) for n in range(21)]
            assert all(one <= two for one, two in itertools.pairwise(sets))
    first, *_, last = study.models()
    orders = [
        _Removal.of(model, 0.5, "random", seed).edges.tolist()
        for model in (first, last)
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1]
    assert orders[3] == orders[4]
    assert len({tuple(one) for one in orders}) == 4


def test_removing_edges_of_no_weight_changes_nothing(altered):
    curves = removal_curves(altered, [0, 2 / EDGES, 4 / EDGES, 5 / EDGES], group={"l2": L2[0]})
    assert set(curves["l2"]) == {L2[0]}
    none, two, four, five = (
        [row[name] for name in FIGURES] for row in rows_of(curves, next(altered.models())).values()
    )
    assert none == two == four
    assert four != five


def test_without_conditions_held_out_their_figures_are_missing(study):
    whole = dataclasses.replace(study, held_out={})
    curves = removal_curves(whole, [0])
    assert curves[["held_out_mse", "held_out_correlation"]].isna().all(axis=None)
    assert curves["mse"].notna().all()
    assert len(removable(curves, error="held_out_mse")) == 0


def test_predictions_that_are_not_finite_are_a_row_that_says_so(altered):
    model = next(altered.models())
    weights = np.full_like(model.snapshots.weights, np.inf)
    path = altered.folder / SNAPSHOTS / snapshot_name(model.snapshots.point)
    write_snapshots(path, dataclasses.replace(model.snapshots, weights=weights))
    curves = removal_curves(altered, [0, 1])
    first, last = rows_of(curves, next(altered.models())).values()
    assert first["note"] == "the predictions are not finite"
    assert first["converged"] == 0
    assert np.isnan(first["mse"])
    assert np.isfinite(last["mse"])


def counted(monkeypatch, fail_at=None):
    """How many models each call of the trainer trains; the call number `fail_at` is interrupted."""
    counts, real = [], ChunkTrainer._train

    def train_counted(self, member, arrays):
        if len(counts) == fail_at:
            counts.append(0)
            raise KeyboardInterrupt
        counts.append(arrays.data.present.shape[0])
        return real(self, member, arrays)

    monkeypatch.setattr(ChunkTrainer, "_train", train_counted)
    return counts


def assert_trained_alone(study, row, model, removed):
    """The row is of the model that `train` makes of the network without these edges."""
    network = study.networks[model.snapshots.point["network"]].without_edges(removed)
    settings = dataclasses.replace(SETTINGS, **model.penalties)
    out = CONDITIONS.select(list(study.held_out[model.seed]))
    alone = train(network, CONDITIONS, settings, model.seed, held_out=out)
    assert row["retrained"]
    assert row["note"] == ""
    assert_figures(row, alone.predict(CONDITIONS).tfs.to_numpy(), study, model, 1e-3)
    assert row["converged"] == alone.predict(CONDITIONS).converged.sum()


@pytest.mark.slow
def test_retrained_models_are_those_of_single_trainings_and_are_resumed(
    study, tmp_path, monkeypatch
):
    folder, fractions, said = tmp_path / "new", [0.2, 1, 0, 0.4], []
    counts = counted(monkeypatch, fail_at=5)
    told = lambda *what: said.append(what)  # noqa: E731
    first = retrained_curves(study, fractions, folder=folder)
    assert len(counts) == 6
    assert (first["note"].str.contains("not trained before the interrupt")).sum() == 3
    counts = counted(monkeypatch)
    curves = retrained_curves(study, fractions, folder=folder, progress=told)
    assert counts == [1, 1, 1]
    assert {said[1] for said in said} == {16}
    assert [said[0] for said in said if "epoch" not in said[2]] == [8, 9, 10, 11, 12]
    again = retrained_curves(study, fractions, folder=folder)
    assert counts == [1, 1, 1]
    pd.testing.assert_frame_equal(again, curves, check_exact=True)
    # More models and fewer fractions, with the same records.
    fewer = retrained_curves(study, [0.4], seeds=[1], group={"l2": L2[0]}, folder=folder)
    assert counts == [1, 1, 1]
    assert len(fewer) == 1
    assert len(read_records(folder / RECORDS)) == 8
    for model in study.models():
        rows = rows_of(curves, model)
        order = np.argsort(np.abs(model.weights), kind="stable")
        assert rows[0.2]["edges_removed"] == 3
        assert rows[0.4]["edges_removed"] == 6
        # One of each seed and penalty: each size of network is compiled for `train`.
        if (model.seed, model.penalties["l2"]) == (0, L2[1]):
            assert_trained_alone(study, rows[0.2], model, order[:3])
        if (model.seed, model.penalties["l2"]) == (1, L2[0]):
            assert_trained_alone(study, rows[0.4], model, order[:6])
        own = study.table[
            (study.table["seed"] == model.seed) & (study.table["l2"] == model.penalties["l2"])
        ].iloc[0]
        assert rows[0]["mse"] == own["train_mse"]
        assert rows[0]["held_out_correlation"] == own["held_out_correlation"]
        assert rows[0]["converged"] == own["train_converged"] + own["held_out_converged"] == 6
        assert rows[1]["note"] == "no path is left from a ligand to a TF"
        assert np.isnan([rows[1][name] for name in (*FIGURES, "converged")]).all()
        assert rows[1]["edges_removed"] == EDGES


@pytest.mark.slow
def test_random_networks_of_the_same_size_are_trained_alike(study):
    group = {"l2": L2[1]}
    curves = retrained_curves(study, [1 / 3], order="random", order_seed=2, seeds=[1], group=group)
    assert (study.folder / FOLDER / RECORDS).exists()
    assert len(curves) == 1
    (model,) = (one for one in study.models(group) if one.seed == 1)
    removed = _Removal.of(model, 1.0, "random", 2).removed(1 / 3)
    assert len(removed) == 5
    assert_trained_alone(study, rows_of(curves, model)[1 / 3], model, removed)


@pytest.mark.slow
def test_a_training_that_diverges_is_a_row_that_says_so(study, tmp_path):
    wild = dataclasses.replace(study, settings=dataclasses.replace(SETTINGS, learning_rate=1e30))
    curves = retrained_curves(wild, [0.2], seeds=[0], group={"l2": L2[0]}, folder=tmp_path)
    assert curves["note"][0].startswith("diverged: the loss was not finite")
    assert curves[list(FIGURES)].isna().all(axis=None)


@pytest.mark.slow
def test_records_of_other_edges_are_refused(study, altered):
    arguments = {"fractions": [0.2], "seeds": [0], "group": {"l2": L2[0]}}
    retrained_curves(altered, **arguments)
    with pytest.raises(InputError, match="stood for something else, such as another network"):
        retrained_curves(study, **arguments, folder=altered.folder / FOLDER)


def test_what_train_sweep_takes_is_passed_on(study, tmp_path, monkeypatch):
    asked = []

    def train_sweep(*_, **more):
        asked.append(more)
        return SimpleNamespace(finished=True, table=pd.DataFrame())

    monkeypatch.setattr(pruned_models, "train_sweep", train_sweep)
    given = {"together": 3, "memory": 1e9, "devices": ["one"], "cluster": "local:2"}
    retrained_curves(study, [0.2, 0.4], folder=tmp_path / "new", **given)
    assert [{name: one[name] for name in given} for one in asked] == [given, given]


def test_parameters_are_those_of_a_snapshot_filled_up(study):
    model = next(study.models())
    shots = model.snapshots
    found = model.parameters(2, EDGES + 4, [1, 3])
    wanted = np.append(shots.weights[2], np.zeros(4))
    wanted[[1, 3]] = 0
    np.testing.assert_array_equal(found.weights, wanted)
    np.testing.assert_array_equal(model.parameters(2, EDGES).weights, shots.weights[2])
    np.testing.assert_array_equal(found.bias, shots.bias[2])
    np.testing.assert_array_equal(found.output_scale, shots.output_scale[2])
    assert np.count_nonzero(shots.weights[2]) == EDGES


def curve(values, order="weakest", retrained=False, l2=1e-5):
    """Curves of models with these errors (models, fractions), at the fractions 0, 0.5 and so on."""
    return pd.DataFrame(
        [
            {"l2": l2, "l1": 0.0, "seed": seed, "epoch": 40, "order": order, "retrained": retrained,
             "fraction": 0.25 * n, "edges_removed": 2 * n, "spurious_removed": 0.1 * n, "mse": value,
             "held_out_mse": 2 * value, "correlation": 0.5, "held_out_correlation": np.nan,
             "converged": 6, "note": ""}
            for seed, row in enumerate(values)
            for n, value in enumerate(row)
        ]
    )  # fmt: skip


def test_the_summary_tells_kinds_of_curves_apart():
    summary = summary_of(
        curve([[1.0, 2.0], [2.0, 4.0], [5.0, np.nan]]),
        curve([[7.0]], retrained=True),
        curve([[8.0]], order="random", retrained=True),
        curve([[9.0]], l2=1e-6),
    )
    assert summary["l2"].tolist() == [1e-6, 1e-5, 1e-5, 1e-5, 1e-5]
    assert summary["order"].tolist() == ["weakest", "random", "weakest", "weakest", "weakest"]
    assert summary["retrained"].tolist() == [False, True, False, False, True]
    assert summary["fraction"].tolist() == [0, 0, 0, 0.25, 0]
    assert summary["models"].tolist() == [1, 1, 3, 2, 1]
    assert summary["mse"].tolist() == [9.0, 8.0, 2.0, 3.0, 7.0]
    assert summary.loc[2, ["mse_low", "mse_high", "held_out_mse"]].tolist() == [1.5, 3.5, 4.0]
    assert summary["held_out_correlation"].isna().all()
    assert summary["spurious_removed"].tolist() == [0, 0, 0, pytest.approx(0.1), 0]


def test_edges_are_removable_up_to_the_first_fraction_that_costs_too_much():
    values = [[1.0, 1.05, 1.2, 1.0], [1.0, 1.0, 0.9, 1.1], [1.0, 2.0, 1.0, 1.0]]
    found = removable(curve(values))
    assert found["fraction"].tolist() == [0.25, 0.75, 0]
    assert found["edges_removed"].tolist() == [2, 6, 0]
    assert removable(curve(values), growth=0.3)["fraction"].tolist() == [0.75, 0.75, 0]
    with pytest.raises(InputError, match="ask for 0 as well"):
        removable(curve(values).query("fraction > 0"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"fractions": []}, "fractions is empty"),
        ({"fractions": [0.5, 1.5]}, "a fraction is 1.5, but it must be a part, from 0 to 1"),
        ({"fractions": ["half"]}, "a fraction is 'half'"),
        ({"at": -1}, "at is -1"),
        (
            {"order": "weak"},
            "order is 'weak' .did you mean 'weakest'.*choose 'weakest', 'strongest'",
        ),
        ({"order_seed": -1}, "order_seed is -1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(study, arguments, said):
    for function in (removal_curves, retrained_curves):
        with pytest.raises(InputError, match=said):
            function(study, **arguments)


def test_seeds_and_folders_that_are_not_there_are_refused(study, tmp_path):
    with pytest.raises(InputError, match="seeds holds '7', of which the study has no model"):
        retrained_curves(study, seeds=[1, 7])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Not a directory; choose another folder"):
        retrained_curves(study, folder=tmp_path / "file" / "folder")
