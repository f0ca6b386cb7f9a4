"""`jaxllc signaling self-prune`: what it writes and says, resume, interrupts, bad input."""

import json
import re
import shutil

import jax
import numpy as np
import pandas as pd
import pytest

from tests.signaling_commands import EDGES, printed_json, signaling, tables, unreachable

WORDS = [
    "--l2", "1e-5", "1e-3", "--seeds", "0:3", "--spurious-edges", 6, "--epochs", 5, "--times", 3,
    "--held-out", 0.3,
]  # fmt: skip


@pytest.fixture(scope="module")
def pruned(toy_tables, tmp_path_factory):
    """Record and folder of one study of two penalties and three seeds."""
    out = tmp_path_factory.mktemp("pruned") / "out"
    return printed_json("self-prune", *tables(toy_tables), "--out", out, *WORDS), out


def test_a_study_writes_its_tables_and_figures(pruned):
    record, out = pruned
    assert record["models"] == 6
    assert record["failed"] == 0
    assert [row["l2"] for row in record["separation"]] == [1e-5, 1e-3]
    names = {path.name for path in out.iterdir()}
    assert names == {
        "models.csv", "separation.csv", "over_training.csv", "removal.csv", "edges.csv", "errors.png",
        "shares.png", "distributions.png", "removal.png", "removal_at_half.png", "scores.png",
        "records.jsonl", "settings.json", "snapshots",
    }  # fmt: skip
    told = json.loads((out / "settings.json").read_text())
    assert told["seeds"] == [0, 1, 2]
    assert told["study"]["l2"] == [1e-5, 1e-3]
    assert {path.rsplit("/")[-1] for path in record["files"]} == names - {"snapshots"}
    models = pd.read_csv(out / "models.csv")
    assert sorted(zip(models["l2"], models["seed"], strict=True)) == sorted(
        (l2, seed) for l2 in (1e-5, 1e-3) for seed in range(3)
    )
    assert (models["held_out_conditions"] == 2).all()
    times = pd.read_csv(out / "over_training.csv")
    assert sorted(set(times["epoch"])) == [0, 2, 5]
    edges = pd.read_csv(out / "edges.csv")
    assert set(zip(edges["source"], edges["target"], strict=True)) == {e[:2] for e in EDGES}
    best = edges.iloc[0]
    assert record["suspicious"][0]["source"] == best["source"]
    assert record["suspicious"][0]["score"] == pytest.approx(best["score"])


def test_the_same_command_goes_on_from_the_records(pruned, toy_tables, tmp_path, capsys):
    out = tmp_path / "out"
    (out / "snapshots").mkdir(parents=True)
    lines = (pruned[1] / "records.jsonl").read_text().splitlines(keepends=True)
    (out / "records.jsonl").write_text("".join(lines[:-2]))
    for line in lines[:-2]:
        name = json.loads(line)["metrics"]["snapshots"]
        (out / "snapshots" / name).write_bytes((pruned[1] / "snapshots" / name).read_bytes())
    assert signaling("self-prune", *tables(toy_tables), "--out", out, *WORDS) == 0
    printed = capsys.readouterr()
    assert "going on from" in printed.err
    assert "6 of 6 models trained" in printed.out
    assert "most suspicious edges" in printed.out
    for name in ("separation.csv", "edges.csv", "removal.csv"):
        assert (out / name).read_text() == (pruned[1] / name).read_text()


def test_pruned_networks_are_trained_anew(pruned, toy_tables, tmp_path):
    shutil.copytree(pruned[1], tmp_path / "out")
    words = [*WORDS, "--retrain", 0, 0.2]
    record = printed_json("self-prune", *tables(toy_tables), "--out", tmp_path / "out", *words)
    assert any(path.endswith("retrained.csv") for path in record["files"])
    again = pd.read_csv(tmp_path / "out" / "retrained.csv")
    assert len(again) == 2 * 6
    assert again["retrained"].all()
    models = pd.read_csv(tmp_path / "out" / "models.csv")
    whole = again[again["fraction"] == 0].merge(models, on=["l2", "seed"])
    assert len(whole) == 6
    pd.testing.assert_series_equal(whole["mse"], whole["train_mse"], check_names=False)
    assert set(again[again["fraction"] == 0.2]["edges_removed"]) == {round(0.2 * 18)}


def test_a_study_without_spurious_edges_has_no_scores(toy_tables, tmp_path):
    words = ["--l2", "1e-5", "--seeds", "0", "--spurious-edges", 0, "--epochs", 5, "--held-out", 0]
    record = printed_json("self-prune", *tables(toy_tables), "--out", tmp_path / "out", *words)
    assert record["auroc_of_scores"] is None
    assert record["suspicious"] == []
    assert not (tmp_path / "out" / "edges.csv").exists()


def test_every_choice_reaches_the_study(toy_tables, tmp_path, monkeypatch):
    asked = {}

    def study(prior, conditions, l2, seeds, spurious_edges, **more):
        asked.update(more, l2=l2, seeds=seeds, spurious_edges=spurious_edges)
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.commands.signaling.self_prune.self_pruning_study", study)
    words = [
        "--l2", 0.5, "--l1", 0.1, 0.2, "--seeds", "4,2", "--spurious-edges", 9, "--kind",
        "degree_preserving", "--signs", "like_prior", "--seeds-per-network", 2, "--held-out", 0,
        "--times", 4, "--cluster", "--preset", "self_pruning_ligand", "--epochs", 7,
    ]  # fmt: skip
    assert signaling("self-prune", *tables(toy_tables), "--out", tmp_path / "out", *words) == 130
    settings = asked.pop("settings")
    assert (settings.epochs, settings.gradient_limit) == (7, 1.0)
    del asked["progress"]
    assert asked == {
        "l2": [0.5], "l1": [0.1, 0.2], "seeds": (4, 2), "spurious_edges": 9, "held_out": 0.0,
        "kind": "degree_preserving", "signs": "like_prior", "seeds_per_network": 2, "times": 4,
        "cluster": "local", "folder": tmp_path / "out",
    }  # fmt: skip


def test_without_flags_it_is_the_published_protocol(toy_tables, tmp_path, monkeypatch):
    asked = {}

    def study(prior, conditions, l2, seeds, spurious_edges, **more):
        asked.update(more, l2=l2, seeds=list(seeds), spurious_edges=spurious_edges)
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.commands.signaling.self_prune.self_pruning_study", study)
    signaling("self-prune", *tables(toy_tables), "--out", tmp_path / "out")
    assert asked["l2"] == [1e-6, 1e-5, 1e-4]
    assert asked["l1"] is None
    assert asked["seeds"] == list(range(50))
    assert asked["spurious_edges"] == 100
    assert (asked["kind"], asked["signs"], asked["times"]) == ("uniform", "unknown", 21)
    settings = asked["settings"]
    assert (settings.epochs, settings.learning_rate, settings.peak_at) == (5000, 1e-3, 0.1)
    assert (settings.initial_radius, settings.uniform_penalty) == (0.9, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", 3], "--seed is given, but the study has many; give --seeds"),
        (["--devices", 2, "--cluster"], "give either --devices or --cluster"),
        (["--devices", 0], "--devices is 0"),
        (["--devices", 999], "JAX runs on"),
        (["--l2", -1, "--spurious-edges", 6], "l2 is -1"),
        (["--spurious-edges", -1], "spurious_edges is -1"),
        (
            ["--spurious-edges", 1000],
            "1000 spurious edges are asked for, but 10 nodes with 12 edges leave 88",
        ),
        (["--held-out", 1], "held_out is 1"),
        (["--times", 1], "times is 1"),
        (["--retrain", 0.5, 1.5], "--retrain holds 1.5"),
        (["--preset", "self_prunning"], "'self_prunning' .did you mean 'self_pruning'"),
    ],
    ids=str,
)
def test_bad_choices_are_refused_before_the_long_work(
    toy_tables, tmp_path, monkeypatch, capsys, words, said
):
    jax.local_devices()  # JAX has begun, whichever tests ran before
    monkeypatch.setattr("jaxllc.signaling.training.side_by_side.advance_program", unreachable)
    assert signaling("self-prune", *tables(toy_tables), "--out", tmp_path / "out", *words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(said, error)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "1,1"], "argument --seeds: '1,1' names a seed twice"),
        (["--l2", 1e-5, 1e-5], '"l2":1e-05} stands twice in the grid; give each point once'),
        (["--l1", 0.1, 0.1], '"l2":1e-06} stands twice in the grid; give each point once'),
    ],
    ids=["seeds", "l2", "l1"],
)
def test_what_stands_twice_is_refused_before_edges_are_drawn(
    toy_tables, tmp_path, monkeypatch, capsys, words, said
):
    monkeypatch.setattr("jaxllc.self_pruning.study.add_spurious_edges", unreachable)
    assert signaling("self-prune", *tables(toy_tables), "--out", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_records_of_another_study_are_refused(pruned, toy_tables, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "records.jsonl").write_text((pruned[1] / "records.jsonl").read_text())
    words = [*WORDS, "--epochs", 6]
    assert signaling("self-prune", *tables(toy_tables), "--out", out, *words) == 2
    assert "--fresh removes records.jsonl and starts anew" in capsys.readouterr().err


@pytest.mark.parametrize("fresh", [[], ["--fresh"]], ids=["", "fresh"])
def test_an_interrupt_says_what_is_kept(toy_tables, tmp_path, monkeypatch, capsys, fresh):
    out, told = tmp_path / "out", []

    def interrupted(*_):
        raise KeyboardInterrupt

    def interrupted_after_a_chunk(self, done, total, what):
        told.append(done)
        raise KeyboardInterrupt

    words = ["self-prune", *tables(toy_tables), "--out", out, *WORDS, *fresh]
    with monkeypatch.context() as patched:
        patched.setattr("jaxllc.sweeps.chunk_trainer.ChunkTrainer._train", interrupted)
        assert signaling(*words) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("before the first model was finished; the same command begins anew")
    assert not (out / "records.jsonl").exists()
    monkeypatch.setattr(
        "jaxllc.sweeps.chunk_trainer.ChunkTrainer.report", interrupted_after_a_chunk
    )
    assert signaling(*words) == 130
    assert told[0] > 0
    assert len((out / "records.jsonl").read_text().splitlines()) == told[0]
    again = "the same command without --fresh" if fresh else "the same command"
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(f"{out / 'records.jsonl'} holds what is done; {again} goes on")


def test_a_lost_snapshot_names_its_model_and_what_trains_it_again(
    pruned, toy_tables, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    shutil.copytree(pruned[1], out)
    records = out / "records.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    lost = json.loads(lines[3])
    path = out / "snapshots" / lost["metrics"]["snapshots"]
    whole = path.read_bytes()
    words = ["self-prune", *tables(toy_tables), "--out", out, *WORDS]
    model = f"the model of l2 {lost['point']['l2']:g}, seed {lost['point']['seed']} is lost: {path}"
    mend = (
        f"; remove the row that names this file from {records}, and the same call trains it again; "
        "--fresh removes records.jsonl and starts anew"
    )
    with monkeypatch.context() as patched:
        patched.setattr("jaxllc.signaling.training.side_by_side.advance_program", unreachable)
        path.write_bytes(whole[: len(whole) // 2])
        assert signaling(*words) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{model} is not a file of snapshots (File is not a zip file){mend}" in said
        path.unlink()
        assert signaling(*words) == 2
        assert f"{model} does not exist{mend}" in capsys.readouterr().err.splitlines()[-1]
    records.write_text("".join(line for line in lines if path.name not in line))
    assert signaling(*words, "--quiet") == 0
    assert len(records.read_text().splitlines()) == len(lines)
    with np.load(path) as found, np.load(pruned[1] / "snapshots" / path.name) as first:
        np.testing.assert_array_equal(found["weights"], first["weights"])
    for name in ("separation.csv", "edges.csv", "removal.csv"):
        assert (out / name).read_text() == (pruned[1] / name).read_text()


def test_pruned_networks_are_trained_on_the_cluster_too(pruned, toy_tables, tmp_path, monkeypatch):
    shutil.copytree(pruned[1], tmp_path / "out")
    asked = {}

    def gone(study, fractions, **more):
        asked.update(more, fractions=fractions)
        raise ConnectionError("the scheduler of the cluster is gone")

    monkeypatch.setattr("jaxllc.sweeps.runner.check_cluster", lambda cluster: None)
    monkeypatch.setattr("jaxllc.commands.signaling.self_prune.retrained_curves", gone)
    words = [*WORDS, "--retrain", 0.2, "--cluster", "local:2"]
    # All models are done, so that no worker is started.
    assert signaling("self-prune", *tables(toy_tables), "--out", tmp_path / "out", *words) == 2
    assert (asked["fractions"], asked["cluster"]) == ([0.2], "local:2")
