"""`jaxllc signaling train` and `predict`: exit codes, one sentence for bad input, whole files, resume."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from jaxllc.commands.command_line import main
from jaxllc.signaling.data.conditions import Conditions
from tests.signaling_commands import printed_json, signaling, tables, unreachable

EPOCHS = 1000  # two calls of the compiled loop, between which an interrupt is heard
FILES = {"model.npz", "settings.json", "history.csv", "predictions.csv"}
FIGURES = {"fit.png", "conditions.png", "training.png"}


@pytest.fixture(scope="module")
def trained(toy_tables, tmp_path_factory):
    """Record and folder of one training without interruption."""
    out = tmp_path_factory.mktemp("trained") / "made" / "here"
    return printed_json("train", *tables(toy_tables), "--out", out, "--epochs", EPOCHS), out


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


def test_the_record_says_what_the_saved_model_says(trained, toy_tables):
    from jaxllc.signaling.model.signaling_model import SignalingModel

    record, out = trained
    model = SignalingModel.load(out / "model.npz")
    _, ligands, tfs = tables(toy_tables)
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


def test_the_summary_is_printed_and_the_notes_of_the_readers_on_stderr(
    toy_tables, tmp_path, capsys
):
    network = tmp_path / "network.tsv"
    shutil.copy(toy_tables / "network.tsv", network)
    with network.open("a") as file:
        file.write("L1\tA\t0\t0\tagain\n")
    frame = pd.read_csv(toy_tables / "tfs.tsv", sep="\t", index_col=0)
    frame.assign(P99999=0.5).to_csv(tmp_path / "tfs.tsv", sep="\t")
    out = tmp_path / "out"
    files = [network, toy_tables / "ligands.tsv", tmp_path / "tfs.tsv"]
    assert signaling("train", *files, "--out", out, "--epochs", EPOCHS) == 0
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


def test_settings_are_flags_on_top_of_a_file_or_a_preset(
    toy_tables, tmp_path, trained, monkeypatch
):
    given = []

    def stop(prior, conditions, settings, seed, **_):
        given.append((settings, seed))
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.commands.signaling.train_command.train", stop)
    words = [*tables(toy_tables), "--out", tmp_path / "out"]
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


def test_held_out_conditions_are_compared_but_not_fitted(toy_tables, tmp_path):
    words = ["--held-out", "both", "half", "--out", tmp_path / "out", "--epochs", EPOCHS, "--trim"]
    record = printed_json("train", *tables(toy_tables), *words)
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
    toy_tables, tmp_path, trained, monkeypatch, capsys
):
    from jaxllc.signaling.model.signaling_model import SignalingModel

    out = tmp_path / "out"
    words = [*tables(toy_tables), "--out", out, "--epochs", EPOCHS]
    with monkeypatch.context() as patch:
        patch.setattr("jaxllc.commands.signaling.train_command.ProgressBar", _Interrupted)
        assert signaling("train", *words) == 130
    names = {path.name for path in out.iterdir()}
    assert names - {"checkpoint.npz"} == FILES - {"predictions.csv"}
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


def test_a_finished_training_is_not_repeated_unless_fresh(toy_tables, tmp_path, trained, capsys):
    out = tmp_path / "out"
    shutil.copytree(trained[1], out)
    words = [*tables(toy_tables), "--out", out, "--epochs", EPOCHS]
    before = (out / "history.csv").read_bytes()
    assert signaling("train", *words) == 0
    assert (out / "history.csv").read_bytes() == before
    capsys.readouterr()
    assert signaling("train", *words[:-1], EPOCHS + 1, "--quiet") == 2  # another training
    assert "--fresh" in capsys.readouterr().err
    assert signaling("train", *words[:-1], EPOCHS // 2, "--fresh", "--quiet") == 0
    assert json.loads((out / "settings.json").read_text())["epochs"] == EPOCHS // 2
    assert capsys.readouterr().err == ""


# --- predict ------------------------------------------------------------------------------------


def test_predictions_are_those_of_the_model(trained, toy_tables, tmp_path, capsys):
    out = tmp_path / "predicted.csv"
    assert signaling("predict", trained[1], toy_tables / "ligands.tsv", "--out", out) == 0
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


def test_without_the_only_way_from_a_ligand_its_tfs_do_not_change(trained, toy_tables, tmp_path):
    out = tmp_path / "out.csv"
    words = [trained[1], toy_tables / "ligands.tsv", "--out", out, "--knock-out", "B"]
    record = printed_json("predict", *words)
    assert record["knock_out"] == ["B"]
    table = pd.read_csv(out, index_col="condition")
    np.testing.assert_allclose(table["T3"], table["T3"].iloc[0], atol=1e-9)
    np.testing.assert_allclose(table.loc["both"], table.loc["first"], atol=1e-4)
    assert np.ptp(table["T1"]) > 1e-3


def test_ligands_without_a_node_matter_only_where_they_are_given(
    trained, toy_tables, tmp_path, bad, capsys
):
    (tmp_path / "never.csv").write_text("condition,L1,other\none,1,0\n")
    words = ["predict", trained[1], tmp_path / "never.csv", "--out", tmp_path / "out.csv"]
    assert signaling(*words) == 0
    assert "'other' is not a ligand of the model" in capsys.readouterr().err
    (tmp_path / "given.csv").write_text("condition,L1,L22\none,1,0.5\n")
    sentence = bad(["signaling", *words[:2], tmp_path / "given.csv", *words[3:]])
    assert "'L22' (did you mean 'L2'?)" in sentence


def test_a_state_that_is_not_steady_is_written_with_exit_code_three(
    trained, toy_tables, tmp_path, monkeypatch, capsys
):
    from jaxllc.signaling.model.signaling_model import SignalingModel

    patient = SignalingModel.predict

    def impatient(self, ligands, knock_out=()):
        return patient(self, ligands, knock_out, tolerance=1e-9, max_steps=2)

    monkeypatch.setattr(SignalingModel, "predict", impatient)
    out = tmp_path / "out.csv"
    assert (
        signaling("predict", trained[1], toy_tables / "ligands.tsv", "--out", out, "--quiet") == 3
    )
    assert "did not reach a steady state" in capsys.readouterr().err
    assert len(pd.read_csv(out)) == 6


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--held-out", "frist"], "'frist' (did you mean 'first'?)"),
        (["--preset", "macrophag"], "did you mean 'macrophage'"),
        (["--preset", "ligand", "--settings", "x.json"], "not both"),
        (["--settings", "nowhere.json"], "nowhere.json"),
        (["--epochs", "0"], "epochs is 0"),
        (["--epochs", "many"], "'many'"),
        (["--activation", "relu"], "relu"),
        (["--epoch", "3"], "--epoch"),
        (["--seed", "-1"], "'-1'"),
    ],
    ids=str,
)
def test_bad_arguments_get_one_sentence(bad, toy_tables, tmp_path, monkeypatch, words, named):
    monkeypatch.setattr("jaxllc.commands.signaling.train_command.train", unreachable)
    out = tmp_path / "out"
    assert named in bad(["signaling", "train", *tables(toy_tables), "--out", out, *words])
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--knock-out", "AA"], "'AA'"),
        (["--out", "no/such/folder/out.csv"], "no/such/folder"),
    ],
    ids=str,
)
def test_bad_arguments_of_a_prediction_get_one_sentence(
    bad, toy_tables, trained, tmp_path, words, named
):
    given = ["--out", tmp_path / "out.csv", *words]
    sentence = bad(["signaling", "predict", trained[1], toy_tables / "ligands.tsv", *given])
    assert named in sentence


def test_a_file_that_is_no_model_is_named(bad, toy_tables, tmp_path):
    (tmp_path / "model.npz").write_bytes(b"no model")
    words = [toy_tables / "ligands.tsv", "--out", tmp_path / "out.csv"]
    for model in (tmp_path, tmp_path / "model.npz", tmp_path / "nowhere.npz"):
        assert str(tmp_path) in bad(["signaling", "predict", model, *words])


@pytest.mark.parametrize("command", ["train", "cross-validate"])
def test_a_network_without_a_path_is_refused(bad, toy_tables, tmp_path, command):
    (tmp_path / "network.csv").write_text("sender,receiver,sign\nT1,A,1\nA,L1,1\nL2,T2,-1\n")
    (tmp_path / "ligands.csv").write_text("condition,L1\none,1\ntwo,0\n")
    (tmp_path / "tfs.csv").write_text("condition,T1,T2\none,1,0\ntwo,0,0.5\n")
    files = [tmp_path / name for name in ("network.csv", "ligands.csv", "tfs.csv")]
    sentence = bad(["signaling", command, *files, "--out", tmp_path / "out"])
    assert "no path leads from a ligand ('L1') to a TF ('T1', 'T2')" in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "cross-validate"])
def test_a_folder_that_cannot_be_written_stops_before_the_work(
    bad, toy_tables, tmp_path, monkeypatch, command
):
    monkeypatch.setattr("jaxllc.commands.signaling.train_command.train", unreachable)
    monkeypatch.setattr("jaxllc.commands.signaling.cross_validate.cross_validate", unreachable)
    (tmp_path / "file").write_text("in the way")
    assert "file" in bad(
        ["signaling", command, *tables(toy_tables), "--out", tmp_path / "file" / "out"]
    )


def test_the_group_names_its_commands(bad, capsys):
    assert "did you mean 'train'" in bad(["signaling", "trian"])
    assert "COMMAND" in bad(["signaling"])
    assert "did you mean 'signaling'" in bad(["signalling", "train"])
    for words in ([], ["train"], ["cross-validate"], ["predict"]):
        assert main(["signaling", *words, "--help"]) == 0
        assert "exit codes" in capsys.readouterr().out
