"""`jaxllc signaling`: exit codes, sentences for bad input, files that are whole, resume, and `--json`."""

import contextlib
import io
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from jaxllc.command_line import main
from jaxllc.signaling.conditions import Conditions
from jaxllc.signaling.prior_network import PriorNetwork

EPOCHS = 1000  # two calls of the compiled loop, between which an interrupt is heard
FILES = {"model.npz", "settings.json", "history.csv", "predictions.csv"}
FIGURES = {"fit.png", "conditions.png", "training.png"}
EDGES = [
    ("L1", "A", 1), ("L2", "B", 1), ("A", "C", 1), ("B", "C", -1), ("C", "D", None), ("D", "A", -1),
    ("A", "T1", 1), ("C", "T1", 1), ("D", "T2", 1), ("B", "T2", -1), ("B", "T3", 1), ("X", "T1", 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with the three tables of a network of two ligands and three TFs, six conditions."""
    folder = tmp_path_factory.mktemp("toy")
    PriorNetwork.from_edges(*zip(*EDGES, strict=True)).to_csv(folder / "network.tsv")
    levels = pd.DataFrame(
        [[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0], [0.5, 1]],
        index=["none", "first", "second", "both", "half", "half+second"],
        columns=["L1", "L2"],
    )
    first, second = levels["L1"], levels["L2"]
    activities = pd.DataFrame(
        {"T1": 0.2 + 0.6 * first, "T2": 0.5 - 0.4 * second, "T3": 0.1 + 0.7 * second}
    )
    activities.loc["half", "T2"] = np.nan
    Conditions.from_frames(levels, activities).to_csv(folder / "ligands.tsv", folder / "tfs.tsv")
    return folder


def tables(folder):
    return [str(folder / name) for name in ("network.tsv", "ligands.tsv", "tfs.tsv")]


def signaling(command, *words):
    return main(["signaling", command, *map(str, words)])


def printed_json(command, *words):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert signaling(command, *words, "--json") == 0
    return json.loads(output.getvalue())


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """Record and folder of one training without interruption."""
    out = tmp_path_factory.mktemp("trained") / "made" / "here"
    return printed_json("train", *tables(toy), "--out", out, "--epochs", EPOCHS), out


@pytest.fixture(scope="module")
def validated(toy, tmp_path_factory):
    """Record and folder of one cross-validation: two folds, two seeds."""
    out = tmp_path_factory.mktemp("validated") / "out"
    words = ["--fold-size", 3, "--seeds", "3,1", "--epochs", 5]
    return printed_json("cross-validate", *tables(toy), "--out", out, *words), out


def unreachable(*_, **__):
    raise AssertionError("the long work began")


# --- train --------------------------------------------------------------------------------------


def test_a_training_leaves_its_files_and_says_which(trained):
    record, out = trained
    assert {path.name for path in out.iterdir()} == FILES | FIGURES | {"checkpoint.npz"}
    assert {os.path.basename(path) for path in record["files"]} == FILES | FIGURES
    for path in record["files"]:
        assert os.path.getsize(path) > 0
    assert (record["conditions"], record["nodes"], record["edges"]) == (6, 10, 12)
    assert record["finished"]
    assert record["settings"]["epochs"] == EPOCHS


def test_the_record_says_what_the_saved_model_says(trained, toy):
    from jaxllc.signaling.model import SignalingModel

    record, out = trained
    model = SignalingModel.load(out / "model.npz")
    _, ligands, tfs = tables(toy)
    conditions = Conditions.read(ligands, tfs)
    prediction = model.predict(conditions)
    assert record["converged"] == prediction.converged.sum() == 6
    assert record["spectral_radius"] == pytest.approx(model.spectral_radius(conditions).max())
    weights, prior = np.asarray(model.parameters.weights), model.prior
    wrong = sum(
        known and weight * sign <= 0
        for weight, sign, known in zip(weights, prior.signs, prior.sign_known, strict=True)
    )
    assert record["sign_violations"] == wrong
    measured, predicted = conditions.tf_activities, prediction.tfs[list(conditions.tfs)].to_numpy()
    seen = np.isfinite(measured)
    r = np.corrcoef(measured[seen], predicted[seen])[0, 1]
    assert record["train_correlation"] == pytest.approx(r, abs=1e-4)


def test_the_summary_is_printed_and_the_notes_of_the_readers_on_stderr(toy, tmp_path, capsys):
    network = tmp_path / "network.tsv"
    shutil.copy(toy / "network.tsv", network)
    with network.open("a") as file:
        file.write("L1\tA\t0\t0\tagain\n")
    frame = pd.read_csv(toy / "tfs.tsv", sep="\t", index_col=0)
    frame.assign(P99999=0.5).to_csv(tmp_path / "tfs.tsv", sep="\t")
    out = tmp_path / "out"
    words = [network, toy / "ligands.tsv", tmp_path / "tfs.tsv", "--out", out, "--epochs", EPOCHS]
    assert signaling("train", *words) == 0
    printed = capsys.readouterr()
    for part in (
        "6 conditions, 2 ligands, 3 TFs",
        "10 nodes, 12 edges",
        "train r",
        "spectral radius",
        "sign violations    0 of 11",
        "converged          6 of 6",
        f"Written to {out}: model.npz",
    ):
        assert part in printed.out
    assert "merged into 1 edge" in printed.err
    assert "1 of 4 TFs is not in the prior network and left out: 'P99999'" in printed.err
    assert "Traceback" not in printed.err


def test_settings_are_flags_on_top_of_a_file_or_a_preset(toy, tmp_path, trained, monkeypatch):
    given = []

    def stop(prior, conditions, settings, seed, **_):
        given.append((settings, seed))
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.signaling.training.train", stop)
    words = [*tables(toy), "--out", tmp_path / "out"]
    flags = ["--l2", "1e-5", "--no-warm-start", "--batch-size", 2, "--activation", "sigmoid"]
    assert signaling("train", *words, "--preset", "ligand", *flags, "--seed", 7) == 130
    (settings, seed) = given.pop()
    assert (settings.l2, settings.warm_start, settings.batch_size) == (1e-5, False, 2)
    assert (settings.activation, settings.epochs, seed) == ("sigmoid", 8000, 7)
    file = trained[1] / "settings.json"
    assert signaling("train", *words, "--settings", file, "--l1", "0.5") == 130
    (settings, seed) = given.pop()
    assert (settings.epochs, settings.l1, seed) == (EPOCHS, 0.5, 0)
    assert not (tmp_path / "out").exists()


def test_held_out_conditions_are_compared_but_not_fitted(toy, tmp_path):
    words = ["--held-out", "both", "half", "--out", tmp_path / "out", "--epochs", EPOCHS, "--trim"]
    record = printed_json("train", *tables(toy), *words)
    assert record["conditions"] == 4
    assert record["nodes"] == 9  # X is on no path from a ligand
    assert record["held_out"]["conditions"] == ["both", "half"]
    assert -1 <= record["held_out"]["correlation"] <= 1


class _Interrupted:
    """A progress that is interrupted like a training under Ctrl-C."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, done, total, _):
        assert done < total
        raise KeyboardInterrupt


def test_an_interrupted_training_writes_what_it_has_and_goes_on_to_the_same_model(
    toy, tmp_path, trained, monkeypatch, capsys
):
    from jaxllc.signaling.model import SignalingModel

    out = tmp_path / "out"
    words = [*tables(toy), "--out", out, "--epochs", EPOCHS]
    with monkeypatch.context() as patch:
        patch.setattr("jaxllc.commands.signaling_train.ProgressBar", _Interrupted)
        assert signaling("train", *words) == 130
    names = {path.name for path in out.iterdir()}
    assert names - {"checkpoint.npz"} == FILES | FIGURES
    said = capsys.readouterr().err
    assert "interrupted" in said
    kept = "checkpoint.npz" in names
    assert (f"goes on from {out / 'checkpoint.npz'}" in said) == kept
    assert len(pd.read_csv(out / "history.csv")) < EPOCHS
    assert signaling("train", *words) == 0
    assert ("going on from" in capsys.readouterr().err) == kept
    again, whole = (SignalingModel.load(folder / "model.npz") for folder in (out, trained[1]))
    for one, other in zip(again.parameters, whole.parameters, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_training_is_not_repeated_unless_fresh(toy, tmp_path, trained, capsys):
    out = tmp_path / "out"
    shutil.copytree(trained[1], out)
    words = [*tables(toy), "--out", out, "--epochs", EPOCHS]
    before = (out / "history.csv").read_bytes()
    assert signaling("train", *words) == 0
    assert (out / "history.csv").read_bytes() == before
    capsys.readouterr()
    assert signaling("train", *words[:-1], EPOCHS + 1, "--quiet") == 2  # another training
    assert "--fresh" in capsys.readouterr().err
    assert signaling("train", *words[:-1], EPOCHS // 2, "--fresh", "--quiet") == 0
    assert json.loads((out / "settings.json").read_text())["epochs"] == EPOCHS // 2
    assert capsys.readouterr().err == ""


# --- cross-validate -----------------------------------------------------------------------------


def test_every_held_out_value_stands_in_the_table(validated, toy):
    record, out = validated
    assert record["seeds"] == [3, 1]
    assert sorted(name for fold in record["folds"] for name in fold) == sorted(
        ["none", "first", "second", "both", "half", "half+second"]
    )
    table = pd.read_csv(out / "held_out.csv")
    assert [*table] == ["condition", "tf", "measured", "seed_3", "seed_1", "ensemble"]
    assert len(table) == 6 * 3
    measured = pd.read_csv(toy / "tfs.tsv", sep="\t", index_col=0)
    for row in table.itertuples():
        expected = measured.loc[row.condition, row.tf]
        assert row.measured == expected or (np.isnan(row.measured) and np.isnan(expected))
    np.testing.assert_allclose(table["ensemble"], (table["seed_3"] + table["seed_1"]) / 2)
    seen = table.dropna()
    r = np.corrcoef(seen["measured"], seen["ensemble"])[0, 1]
    assert record["ensemble_correlation"] == pytest.approx(r, abs=1e-6)
    for row in record["correlations"]:
        r = np.corrcoef(seen["measured"], seen[f"seed_{row['seed']}"])[0, 1]
        assert row["pooled"] == pytest.approx(r, abs=1e-6)
    assert {"correlations.csv", "held_out.png", "conditions.png", "records.jsonl"} <= {
        path.name for path in out.iterdir()
    }


def test_a_validation_goes_on_from_its_records(validated, toy, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    lines = (validated[1] / "records.jsonl").read_text().splitlines(keepends=True)
    (out / "records.jsonl").write_text("".join(lines[:-1]))
    words = [*tables(toy), "--out", out, "--fold-size", 3, "--seeds", "3,1", "--epochs", 5]
    assert signaling("cross-validate", *words) == 0
    printed = capsys.readouterr()
    assert "going on from" in printed.err
    for part in ("6 of 6 conditions held out in 2 folds", "seed 3", "seed 1", "ensemble"):
        assert part in printed.out
    assert (out / "held_out.csv").read_text() == (validated[1] / "held_out.csv").read_text()


def test_an_interrupted_validation_keeps_its_records(validated, toy, tmp_path, monkeypatch, capsys):
    def interrupted(*_, records, **__):
        records.write_text("a record\n")
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.signaling.cross_validation.cross_validate", interrupted)
    assert signaling("cross-validate", *tables(toy), "--out", tmp_path / "out") == 130
    assert "records.jsonl" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["records.jsonl"]


@pytest.mark.parametrize(
    ("words", "seeds", "sizes"),
    [
        (["--seeds", "0:3"], (0, 1, 2), [1] * 6),
        (["--seed", "4", "--fold-size", "2"], (4,), [2] * 3),
        (["--keep", "both", "none"], (0,), [1] * 4),
        (["--folds", "folds.csv"], (0,), [2, 1]),
    ],
    ids=str,
)
def test_folds_and_seeds_reach_the_validation(toy, tmp_path, monkeypatch, words, seeds, sizes):
    given = []

    def stop(prior, conditions, folds, settings, *, seeds, **_):
        given.append((folds, tuple(seeds)))
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.signaling.cross_validation.cross_validate", stop)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folds.csv").write_text("fold,condition\n1,none\n1,both\n2,half\n")
    assert signaling("cross-validate", *tables(toy), "--out", "out", *words) == 130
    ((folds, found),) = given
    assert (found, [len(fold) for fold in folds]) == (seeds, sizes)


# --- predict ------------------------------------------------------------------------------------


def test_predictions_are_those_of_the_model(trained, toy, tmp_path, capsys):
    out = tmp_path / "predicted.csv"
    assert signaling("predict", trained[1], toy / "ligands.tsv", "--out", out) == 0
    assert "3 TFs in 6 conditions" in capsys.readouterr().out
    table = pd.read_csv(out, index_col="condition")
    shown = pd.read_csv(trained[1] / "predictions.csv")
    assert set(shown.iloc[:, 0]) == set(table.index)
    model = trained[1] / "model.npz"
    (tmp_path / "some.csv").write_text("condition,L2\nsecond,1\nnew,0.25\n")
    record = printed_json(
        "predict", model, tmp_path / "some.csv", "--out", tmp_path / "some-tfs.csv"
    )
    assert (record["conditions"], record["not_converged"]) == (2, [])
    some = pd.read_csv(tmp_path / "some-tfs.csv", index_col="condition")
    np.testing.assert_allclose(some.loc["second"], table.loc["second"], atol=1e-4)
    assert list(some.index) == ["second", "new"]


def test_without_the_only_way_from_a_ligand_its_tfs_do_not_change(trained, toy, tmp_path):
    out = tmp_path / "out.csv"
    words = [trained[1], toy / "ligands.tsv", "--out", out, "--knock-out", "B"]
    record = printed_json("predict", *words)
    assert record["knock_out"] == ["B"]
    table = pd.read_csv(out, index_col="condition")
    np.testing.assert_allclose(table["T3"], table["T3"].iloc[0], atol=1e-9)
    np.testing.assert_allclose(table.loc["both"], table.loc["first"], atol=1e-4)
    assert np.ptp(table["T1"]) > 1e-3


def test_ligands_without_a_node_matter_only_where_they_are_given(
    trained, toy, tmp_path, bad, capsys
):
    (tmp_path / "never.csv").write_text("condition,L1,other\none,1,0\n")
    words = ["predict", trained[1], tmp_path / "never.csv", "--out", tmp_path / "out.csv"]
    assert signaling(*words) == 0
    assert "'other' is not a ligand of the model" in capsys.readouterr().err
    (tmp_path / "given.csv").write_text("condition,L1,L22\none,1,0.5\n")
    sentence = bad(["signaling", *words[:2], tmp_path / "given.csv", *words[3:]])
    assert "'L22' (did you mean 'L2'?)" in sentence


def test_a_state_that_is_not_steady_is_written_with_exit_code_three(
    trained, toy, tmp_path, monkeypatch, capsys
):
    from jaxllc.signaling.model import SignalingModel

    patient = SignalingModel.predict

    def impatient(self, ligands, knock_out=()):
        return patient(self, ligands, knock_out, tolerance=1e-9, max_steps=2)

    monkeypatch.setattr(SignalingModel, "predict", impatient)
    out = tmp_path / "out.csv"
    assert signaling("predict", trained[1], toy / "ligands.tsv", "--out", out, "--quiet") == 3
    assert "did not reach a steady state" in capsys.readouterr().err
    assert len(pd.read_csv(out)) == 6


# --- bad input ----------------------------------------------------------------------------------

TRAIN, VALIDATE, PREDICT = ["train"], ["cross-validate"], ["predict"]


@pytest.mark.parametrize(
    ("command", "words", "named"),
    [
        (TRAIN, ["--held-out", "frist"], "'frist' (did you mean 'first'?)"),
        (TRAIN, ["--preset", "macrophag"], "did you mean 'macrophage'"),
        (TRAIN, ["--preset", "ligand", "--settings", "x.json"], "not both"),
        (TRAIN, ["--settings", "nowhere.json"], "nowhere.json"),
        (TRAIN, ["--epochs", "0"], "epochs is 0"),
        (TRAIN, ["--epochs", "many"], "'many'"),
        (TRAIN, ["--activation", "relu"], "relu"),
        (TRAIN, ["--epoch", "3"], "--epoch"),
        (TRAIN, ["--seed", "-1"], "'-1'"),
        (VALIDATE, ["--seeds", "0;3"], "'0;3'"),
        (VALIDATE, ["--seeds", "3:3"], "'3:3'"),
        (VALIDATE, ["--seeds", "1,1"], "'1,1'"),
        (VALIDATE, ["--seeds", "0:2", "--seed", "1"], "--seeds"),
        (VALIDATE, ["--fold-size", "0"], "--fold-size is 0"),
        (VALIDATE, ["--keep", "booth"], "did you mean 'both'"),
        (VALIDATE, ["--folds", "nowhere.csv"], "nowhere.csv"),
        (VALIDATE, ["--folds", "nowhere.csv", "--fold-size", "2"], "not both"),
    ],
    ids=str,
)
def test_bad_arguments_get_one_sentence(bad, toy, tmp_path, monkeypatch, command, words, named):
    monkeypatch.setattr("jaxllc.signaling.training.train", unreachable)
    monkeypatch.setattr("jaxllc.signaling.cross_validation.cross_validate", unreachable)
    out = tmp_path / "out"
    assert named in bad(["signaling", *command, *tables(toy), "--out", out, *words])
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--knock-out", "AA"], "'AA'"),
        (["--out", "no/such/folder/out.csv"], "no/such/folder"),
    ],
    ids=str,
)
def test_bad_arguments_of_a_prediction_get_one_sentence(bad, toy, trained, tmp_path, words, named):
    given = ["--out", tmp_path / "out.csv", *words]
    sentence = bad(["signaling", "predict", trained[1], toy / "ligands.tsv", *given])
    assert named in sentence


def test_a_file_that_is_no_model_is_named(bad, toy, tmp_path):
    (tmp_path / "model.npz").write_bytes(b"no model")
    words = [toy / "ligands.tsv", "--out", tmp_path / "out.csv"]
    for model in (tmp_path, tmp_path / "model.npz", tmp_path / "nowhere.npz"):
        assert str(tmp_path) in bad(["signaling", "predict", model, *words])


@pytest.mark.parametrize("command", ["train", "cross-validate"])
def test_a_network_without_a_path_is_refused(bad, toy, tmp_path, command):
    (tmp_path / "network.csv").write_text("sender,receiver,sign\nT1,A,1\nA,L1,1\nL2,T2,-1\n")
    (tmp_path / "ligands.csv").write_text("condition,L1\none,1\ntwo,0\n")
    (tmp_path / "tfs.csv").write_text("condition,T1,T2\none,1,0\ntwo,0,0.5\n")
    files = [tmp_path / name for name in ("network.csv", "ligands.csv", "tfs.csv")]
    sentence = bad(["signaling", command, *files, "--out", tmp_path / "out"])
    assert "no path leads from a ligand ('L1') to a TF ('T1', 'T2')" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "cross-validate"])
def test_a_folder_that_cannot_be_written_stops_before_the_work(
    bad, toy, tmp_path, monkeypatch, command
):
    monkeypatch.setattr("jaxllc.signaling.training.train", unreachable)
    monkeypatch.setattr("jaxllc.signaling.cross_validation.cross_validate", unreachable)
    (tmp_path / "file").write_text("in the way")
    assert "file" in bad(["signaling", command, *tables(toy), "--out", tmp_path / "file" / "out"])


def test_the_group_names_its_commands(bad, capsys):
    assert "did you mean 'train'" in bad(["signaling", "trian"])
    assert "COMMAND" in bad(["signaling"])
    assert "did you mean 'signaling'" in bad(["signalling", "train"])
    for words in ([], ["train"], ["cross-validate"], ["predict"]):
        assert main(["signaling", *words, "--help"]) == 0
        assert "exit codes" in capsys.readouterr().out
