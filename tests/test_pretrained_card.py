"""The model card tells what is in the weights, the log and the figures of recall, and nothing else."""

import json

import pytest

from jaxllc.pretrained.model import ModelSettings, new_model, num_parameters
from jaxllc.pretrained.tensors import read_tensors
from jaxllc.pretrained.training.model_card import main
from jaxllc.pretrained.weights import save_model

CORPUS = {
    "num_variables": 3,
    "points": [48, 64, 64],
    "exact": 0.35,
    "error": [1e-3, 2e-2],
    "distractors": 0.4,
}
TRAINING = {"batch": 16, "rate": 2e-3, "warm_up": 3, "decay": 0.01, "average": 0.999, "seed": 7}
FOUND = {
    "split": "held-out",
    "sets": 50,
    "written": 0.46,
    "fitted": 0.52,
    "by_constants": {"1": [1.0, 3], "10": [0.25, 4], "2": [0.5, 43]},
    "seconds_to_write": 0.03,
    "seconds_to_fit": 0.21,
}


def line(step):
    return {
        "step": step,
        "samples": 16 * step,
        "seconds": 6.0 * step,
        "progress": step / 40,
        "loss": None if step == 40 else 9.0 - step / 10,
        "loss_seen": 8.0 - step / 10,
        "top20_seen": step / 100,
        "loss_held_out": 8.5 - step / 10,
        "top20_held_out": step / 200,
    }


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    sizes = ModelSettings(width=16, blocks=1, decoder_width=16, layers=1, heads=2)
    first = {"sha256": "abc", "steps": None, "seconds": None, "begun_from": None}
    origin = {"sha256": "def", "steps": 900, "seconds": 600, "begun_from": first}
    about = {"corpus": CORPUS, "training": TRAINING, "steps": 40, "seconds": 240}
    about["begun_from"] = origin
    save_model(folder / "weights.safetensors", new_model(sizes), about)
    lines = [json.dumps(line(k)) for k in range(41)]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def written(run, *words):
    out = run / "CARD.md"
    assert main([str(run), "--machine", "one core", "--out", str(out), *words]) == 0
    return out.read_text()


def test_the_card_tells_what_the_files_hold(run):
    (run / "recall.json").write_text(json.dumps([FOUND]))
    card = written(run, "--recall", str(run / "recall.json"))
    metadata = read_tensors(run / "weights.safetensors")[1]
    parameters = num_parameters(new_model(ModelSettings(**json.loads(metadata["model"]))))
    for part in (
        metadata["version"],
        metadata["sha256"],
        f"{parameters:,}",
        "machine: one core",
        "4 minutes",
        "seed 7",
        "begun from: weights of the hash `def`, trained for 900 steps and 10 minutes",
        "which were begun from: weights of the hash `abc`",
        "48, 64",
        "640 in all",
        "| held-out | 50 | 0.460 | 0.520 | 0.030 | 0.210 |",
        "| skeletons | 1 | 2 | 10 |",
        "| held-out | 1.00 of 3 | 0.50 of 43 | 0.25 of 4 |",
    ):
        assert part in card, part


def test_the_curve_ends_with_the_last_look_and_is_short(run):
    rows = [r for r in written(run).splitlines() if r.startswith("| ") and r[2].isdigit()]
    assert 8 <= len(rows) <= 16
    assert rows[-1] == "| 40 | 640 | 4.0 |  | 4.000 | 4.500 | 0.400 | 0.200 |"


def test_files_of_another_kind_are_a_sentence(run, capsys):
    words = [str(run), "--machine", "one core", "--out", str(run / "CARD.md")]
    (run / "recall.json").write_text(json.dumps([{"split": "seen"}]))
    assert main([*words, "--recall", str(run / "recall.json")]) == 2
    assert "recall --json" in capsys.readouterr().err
    (run / "log.jsonl").write_text("no\n")
    assert main(words) == 2
    assert "no log of a training" in capsys.readouterr().err
    (run / "log.jsonl").unlink()
    assert main(words) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert not (run / "CARD.md").exists()
