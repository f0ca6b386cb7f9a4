"""The model writes valid skeletons only, training resumes bit for bit, files give back what went in."""

import json
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from jaxllc.errors import InputError
from jaxllc.pretrained.decoding import allowed_symbols, decode
from jaxllc.pretrained.descriptors import describe
from jaxllc.pretrained.model import ModelSettings, new_model, states_of
from jaxllc.pretrained.skeletons.strings import structures_of, text
from jaxllc.pretrained.tensors import read_tensors, write_tensors
from jaxllc.pretrained.training.corpus import Corpus, CorpusSettings
from jaxllc.pretrained.training.train import Budget, main, train
from jaxllc.pretrained.training.trainer_state import TrainingSettings, prepared
from jaxllc.pretrained.weights import digest, load_model, named_arrays, save_model

TINY = {"width": 16, "blocks": 1, "decoder_width": 16, "layers": 1, "heads": 2, "memory": 2}
CORPUS = CorpusSettings(points=(32,))
SETTINGS = TrainingSettings(batch=16, rate=5e-3, warm_up=3)


@pytest.fixture(scope="module")
def batch():
    return Corpus(CORPUS, seed=5).batch(0, 4)


@pytest.fixture(scope="module")
def described(batch):
    return describe(batch.points, batch.values, batch.present, CORPUS.alphabet)


@pytest.fixture(scope="module", params=["prefix", "transformer"])
def model(request):
    return new_model(ModelSettings(decoder=request.param, **TINY), seed=1)


@partial(jax.jit, static_argnames="graph")
def _read(graph, state, descriptors, strings, states):
    return nnx.merge(graph, state).log_likelihood(descriptors, strings, states)


def log_likelihoods(model, descriptors, strings, states=None):
    """Of each symbol (4, 12, LENGTH) by one reading of whole strings; decoding reads step by step."""
    rows = strings.reshape(-1, strings.shape[-1]).astype(np.int32)
    if states is None:
        states = states_of(rows, model.settings.alphabet)
    found = _read(*nnx.split(model), np.repeat(descriptors, 12, axis=0), rows, states)
    return np.asarray(found).reshape(strings.shape)


def test_all_that_is_decoded_is_a_skeleton_and_as_likely_as_it_says(model, described):
    found = decode(model, described, width=12)
    symbols = model.settings.alphabet
    for strings in found.strings:
        assert len(np.unique(strings, axis=0)) == 12
        assert all(text(structures_of(strings, symbols), symbols))
    assert np.all(np.diff(found.log_likelihood, axis=1) <= 1e-5)
    # Where no string was cut short the two ways of reading agree.
    short = (found.strings != symbols.padding).sum(-1) < 12
    again = log_likelihoods(model, described, found.strings).sum(-1)
    assert short.any()
    np.testing.assert_allclose(again[short], found.log_likelihood[short], atol=1e-3)


def test_samples_without_replacement_follow_the_model(described):
    model = new_model(ModelSettings(**TINY), seed=1)
    likeliest = decode(model, described, width=12)
    one = np.repeat(described[:1], 600, axis=0)
    drawn = decode(model, one, width=1, temperature=1.0, seed=3)
    share = (drawn.strings[:, 0] == likeliest.strings[0, 0]).all(-1).mean()
    chance = float(np.exp(likeliest.log_likelihood[0, 0]))
    assert share == pytest.approx(chance, abs=4 * np.sqrt(chance / 600))
    several = decode(model, described, width=12, temperature=2.0, seed=4)
    for strings in several.strings:
        assert len(np.unique(strings, axis=0)) == 12
        assert all(text(structures_of(strings, model.settings.alphabet), model.settings.alphabet))
    assert not np.array_equal(several.strings, decode(model, described, width=12).strings)


def test_only_allowed_symbols_are_written(described):
    model = new_model(ModelSettings(**TINY), seed=1)
    symbols = model.settings.alphabet
    present = np.tile([True, False, True], (4, 1))
    kinds = np.zeros(10, bool)
    kinds[0] = True  # sine
    allowed = allowed_symbols(present, symbols, kinds, largest_power=2)
    strings = decode(model, described, allowed, width=12, temperature=3.0).strings
    written = text(structures_of(strings.reshape(-1, strings.shape[-1]), symbols), symbols)
    joint = " ".join(written)
    assert "sin" in joint
    assert not any(part in joint for part in ("x2", "^3", "^4", "exp", "reciprocal", "sigmoid"))


def test_strings_are_the_same_where_double_precision_is_turned_on(model, described):
    single = decode(model, described, width=12)
    with jax.enable_x64(True):
        double = decode(model, described, width=12)
    assert np.array_equal(single.strings[:, 0], double.strings[:, 0])
    np.testing.assert_allclose(single.log_likelihood, double.log_likelihood, atol=1e-3)


def test_strings_hold_what_is_needed(model, described):
    symbols = model.settings.alphabet
    needed = np.zeros(symbols.size, bool)
    needed[[symbols.symbol_of(1), symbols.symbol_of(4)]] = True  # sine and logarithm
    found = decode(model, described, width=12, needed=needed)
    there = found.log_likelihood > -1e8
    assert there.any(-1).all()
    assert needed[found.strings[there]].any(-1).all()
    assert all(text(structures_of(found.strings[there], symbols), symbols))
    assert not needed[decode(model, described, width=12).strings].any(-1).all()


def test_descriptions_are_decoded_alike_so_many_at_a_time(model, described):
    whole, parts = (decode(model, described, width=12, rows=rows) for rows in (None, 3))
    assert np.array_equal(whole.strings, parts.strings)
    np.testing.assert_allclose(whole.log_likelihood, parts.log_likelihood, atol=1e-4)


def test_unusable_arguments_of_decoding_are_refused(model, described):
    with pytest.raises(InputError, match="width"):
        decode(model, described, width=0)
    with pytest.raises(InputError, match="temperature"):
        decode(model, described, temperature=-1.0)


def test_the_likelihood_of_a_symbol_does_not_see_those_to_come(model, described):
    strings = decode(model, described, width=12).strings
    symbols = model.settings.alphabet
    whole = log_likelihoods(model, described, strings)
    cut = strings.copy()
    cut[..., 3:] = symbols.padding
    states = states_of(strings.reshape(48, -1), symbols)
    states[:, 3:] = 0
    first = log_likelihoods(model, described, cut, states)
    np.testing.assert_allclose(first[..., :3], whole[..., :3], atol=1e-5)
    assert np.any(whole[..., :3] < -0.01)


# --- training -------------------------------------------------------------------------------------


def run(folder, steps, **options):
    model = ModelSettings(**TINY)
    budget = Budget(steps=steps, looks=2, tested=16)
    return train(folder, budget, model, SETTINGS, CORPUS, **options)


class InterruptedTrainingError(Exception):
    pass


def stop(line):
    raise InterruptedTrainingError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "whole"
    return folder, run(folder, 24, say=lambda line: None)


def test_training_learns(trained):
    folder, _ = trained
    first, last = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    assert (first["step"], last["step"]) == (12, 24)
    assert last["loss_seen"] < first["loss_seen"] - 0.5
    assert 0 <= last["top20_held_out"] <= 1


def test_a_resumed_training_is_the_same_bit_for_bit(trained, tmp_path):
    _, whole = trained
    with pytest.raises(InterruptedTrainingError):
        run(tmp_path, 24, say=stop)
    again = run(tmp_path, 24, resume=True, workers=2, say=lambda line: None)
    for name, array in named_arrays(whole._replace(seconds=np.float64(0))).items():
        assert np.array_equal(array, named_arrays(again._replace(seconds=np.float64(0)))[name]), (
            name
        )


def looks(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_training_begins_where_the_given_weights_are(trained, tmp_path):
    folder, _ = trained
    weights = folder / "weights.safetensors"
    budget = Budget(steps=4, looks=1, tested=16)
    other = TrainingSettings(batch=16, rate=1e-3, warm_up=1, seed=3)
    train(tmp_path, budget, None, other, CORPUS, begin_from=weights, say=lambda line: None)
    last, (first, *_, final) = looks(folder)[-1], looks(tmp_path)
    assert (first["step"], final["step"]) == (0, 4)
    for name in ("loss_seen", "loss_held_out"):
        # But for half precision.
        assert first[name] == pytest.approx(last[name], rel=2e-3)
        assert final[name] < looks(folder)[0][name]
    # The descriptors are scaled as they were.
    arrays = [read_tensors(path / "weights.safetensors")[0] for path in (folder, tmp_path)]
    fixed = [name for name in arrays[0] if "mean" in name or "scale" in name]
    assert len(fixed) == 2
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in fixed)
    # Resumed without telling the sizes of the model: the checkpoint has them.
    longer = Budget(steps=6, looks=1, tested=16)
    again = train(tmp_path, longer, None, other, CORPUS, resume=True, say=lambda line: None)
    assert again.step == 6
    origin = load_model(tmp_path / "weights.safetensors")[1]["begun_from"]
    assert origin["sha256"] == read_tensors(weights)[1]["sha256"]
    assert (origin["steps"], origin["begun_from"]) == (24, None)


def test_weights_that_training_cannot_begin_from_are_refused(trained, tmp_path, capsys):
    weights = trained[0] / "weights.safetensors"
    words = ["--steps", "3", "--out", str(tmp_path / "new"), "--begin-from", str(weights)]
    assert main([*words, "--width", "24"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    four = CorpusSettings(4, points=(32,))
    with pytest.raises(InputError, match="the same number"):
        train(tmp_path / "new", Budget(steps=3), corpus_settings=four, begin_from=weights)
    with pytest.raises(InputError, match="either resume or begin_from"):
        train(trained[0], Budget(steps=30), resume=True, begin_from=weights)
    assert not (tmp_path / "new").exists()


def test_an_interrupted_training_leaves_weights(tmp_path):
    with pytest.raises(InterruptedTrainingError):
        run(tmp_path, 24, say=stop)
    _, about = load_model(tmp_path / "weights.safetensors")
    assert about["steps"] == looks(tmp_path)[-1]["step"] == 12


def test_packing_away_the_padding_changes_no_likelihood(model):
    whole, packed = (prepared(Corpus(CORPUS, seed=9), 0, 16, p) for p in (False, True))
    assert len(packed.places) < len(whole.places)
    wanted, found = (np.asarray(model.log_likelihood(*batch)) for batch in (whole, packed))
    written = packed.places < len(wanted)
    assert np.all(found[~written] == 0.0)
    np.testing.assert_allclose(found[written], wanted[packed.places[written]], rtol=1e-4, atol=1e-5)
    assert found.sum() == pytest.approx(wanted.sum(), rel=1e-5)


_ON_TWO_DEVICES = """
import sys
import jax
from test_pretrained_model import run
assert len(jax.devices()) == 2
run(sys.argv[1], 4, say=lambda line: None)
"""


@pytest.mark.slow
def test_two_devices_train_as_one_does(tmp_path):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", _ON_TWO_DEVICES, str(tmp_path / "two")]
    subprocess.run(command, check=True, env={**os.environ, **flags}, cwd=Path(__file__).parent)
    run(tmp_path / "one", 4, say=lambda line: None)
    lines = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    for one, two in zip(*lines, strict=True):
        for name in ("loss", "loss_seen", "loss_held_out"):
            assert json.loads(two)[name] == pytest.approx(json.loads(one)[name], rel=2e-3)


def test_a_checkpoint_is_not_written_over_or_mixed_up(trained, tmp_path):
    folder, _ = trained
    with pytest.raises(InputError, match="exists already"):
        run(folder, 24)
    with pytest.raises(InputError, match="to resume"):
        run(tmp_path, 24, resume=True)
    other = TrainingSettings(batch=16, rate=1e-3)
    with pytest.raises(InputError, match="another training"):
        train(folder, Budget(steps=24), ModelSettings(**TINY), other, CORPUS, resume=True)


def test_unusable_budgets_and_settings_are_refused(capsys, tmp_path):
    for wrong in ({}, {"minutes": 1.0, "steps": 3}, {"minutes": 0.0}, {"steps": 0}):
        with pytest.raises(InputError):
            Budget(**wrong)
    with pytest.raises(InputError, match="decoder"):
        ModelSettings(decoder="recurrent")
    with pytest.raises(InputError, match="multiple of heads"):
        ModelSettings(decoder_width=30, heads=4)
    for odd in (0, -1, 10**9, 1.5, True, "x", None, [], math.nan):
        with pytest.raises(InputError, match=r"blocks is .*; give an integer from 1 to 100"):
            ModelSettings(blocks=odd)
    with pytest.raises(InputError, match="rate"):
        TrainingSettings(rate=0.0)
    assert main(["--out", str(tmp_path / "new")]) == 2
    assert "minutes or steps" in capsys.readouterr().err


def test_the_rate_rises_stays_and_falls():
    settings = TrainingSettings(rate=1.0, warm_up=9)
    assert [settings.rate_at(k, 0.0) for k in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert settings.rate_at(50, 0.35) == 1.0
    assert settings.rate_at(50, 0.675) == pytest.approx(0.5)
    assert settings.rate_at(50, 1.0) == pytest.approx(0.01)


# --- files ----------------------------------------------------------------------------------------


def test_weights_are_read_back(trained, described, tmp_path):
    folder, _ = trained
    model, about = load_model(folder / "weights.safetensors")
    assert about["steps"] == 24
    assert about["corpus"]["points"] == [32]
    save_model(tmp_path / "again", model)
    again, _ = load_model(tmp_path / "again")
    first, second = (decode(m, described, width=12) for m in (model, again))
    assert np.array_equal(first.strings, second.strings)


def test_files_that_are_not_whole_or_of_another_version_are_refused(trained, tmp_path):
    folder, _ = trained
    content = (folder / "weights.safetensors").read_bytes()
    path = tmp_path / "weights"
    arrays, metadata = read_tensors(folder / "weights.safetensors")
    for wrong in (content[:-4], content[:6], b"", b"\xff" * 64):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match="cannot be read"):
            load_model(path)
    path.write_bytes(content[:-3] + b"abc")
    with pytest.raises(InputError, match="damaged"):
        load_model(path)
    write_tensors(path, arrays, {**metadata, "version": "jaxllc skeleton model 9"})
    with pytest.raises(InputError, match="version 'jaxllc skeleton model 9'"):
        load_model(path)
    bad = json.dumps({**json.loads(metadata["model"]), "layers": 2})
    write_tensors(path, arrays, {**metadata, "model": bad})
    with pytest.raises(InputError, match="missing"):
        load_model(path)
    for bad in ("[" * 100_000, "[1]", "9" * 5000, '{"widths": 3}', '{"width": 1e400}'):
        write_tensors(path, arrays, {**metadata, "model": bad})
        with pytest.raises(InputError, match="cannot be read") as caught:
            load_model(path)
        assert len(str(caught.value)) < 500
    with pytest.raises(InputError, match="cannot be read"):
        read_tensors(tmp_path / "nowhere")


def test_tensors_are_laid_out_as_the_format_says(tmp_path):
    path = tmp_path / "some"
    arrays = {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.int64(7)}
    write_tensors(path, arrays, {"text": "ü"})
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    first, last = header["a"].pop("data_offsets")
    assert header["a"] == {"dtype": "F16", "shape": [2, 3]}
    assert content[8 + length :][first:last] == arrays["a"].tobytes()
    again, metadata = read_tensors(path)
    assert metadata == {"text": "ü"}
    assert again["b"].shape == ()
    assert digest(again) == digest({name: np.asarray(array) for name, array in arrays.items()})
    with pytest.raises(InputError, match="complex"):
        write_tensors(path, {"c": np.zeros(2, complex)}, {})


def test_importing_jaxllc_leaves_the_package_out():
    loaded = "[m for m in sys.modules if m.startswith('jaxllc.pretrained')]"
    code = f"import jaxllc.search.term.term_search, sys; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
