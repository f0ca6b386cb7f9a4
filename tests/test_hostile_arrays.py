"""Arrays, models and tensors that are damaged or made to do harm end in one sentence, without memory."""

import io
import json
import random
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.files.array_file import TEXT, ArrayOf, read_arrays, write_arrays
from jaxllc.pretrained.tensors import read_tensors, write_tensors
from jaxllc.signaling import PriorNetwork, SignalingModel
from jaxllc.signaling.network.structure import Parameters
from tests.refusals import MEND, sentence

# --- arrays -----------------------------------------------------------------------------------------

WANTED = {"text": TEXT, "a": ArrayOf("f", ("n", 3)), "b": ArrayOf("iu", ("n",))}


def archive(path, arrays=None, **members):
    """An .npz file of arrays and of raw members."""
    given = {"text": "ü", "a": np.arange(6.0).reshape(2, 3), "b": np.arange(2)}
    given = {**given, **(arrays or {})}
    with path.open("wb") as file:
        write_arrays(file, {k: v for k, v in given.items() if v is not None})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def refused(path):
    return sentence(read_arrays, path, WANTED, "a thing", MEND)


def test_arrays_are_read_back(tmp_path):
    turned = np.asfortranarray(np.arange(6.0).reshape(2, 3).astype(">f4"))
    found = read_arrays(archive(tmp_path / "a", {"a": turned}), WANTED, "a thing", MEND)
    np.testing.assert_array_equal(found["a"], turned)
    assert (str(found["text"]), found["b"].tolist()) == ("ü", [0, 1])


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": None},
        {"c": np.zeros(1)},
        {"a": np.zeros((2, 3), int)},
        {"a": np.zeros((2, 3), complex)},
        {"a": np.zeros((2, 4))},
        {"a": np.zeros(6)},
        {"b": np.arange(3)},
        {"text": np.array(["a"])},
    ],
    ids=["missing", "unknown", "whole", "complex", "long", "flat", "other length", "several"],
)
def test_other_arrays_than_those_wanted_are_refused(tmp_path, arrays):
    assert "is not a thing" in refused(archive(tmp_path / "a", arrays))


def npy(descr="'<f8'", shape="(2, 3)", content=b"\0" * 48):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text + b"\n" + content


@pytest.mark.parametrize(
    "content",
    [
        b"garbage, no array",
        npy("'|O'"),
        npy("[('a', '<f8')]"),
        npy(shape="(2, 3" + ", 1" * 2000 + ")"),
        npy(shape="(-2, -3)"),
        npy(shape="(10000000000000, 3)"),
        npy(shape="(__import__('os').getpid(), 3)"),
        npy(content=b""),
        npy(content=b"\0" * 49),
        npy("'<f99'"),
        b"",
    ],
)
def test_members_that_are_no_arrays_are_refused(tmp_path, content):
    path = tmp_path / "a"
    refused(archive(path, {"a": None}, a=content))


@pytest.mark.parametrize("honest", [True, False])
def test_a_bomb_is_refused_without_memory(tmp_path, honest):
    """Zeros that deflate to a thousandth, with their true size in the headers and with a small one."""
    path, count = tmp_path / "bomb", 3 * 2**27
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        with bomb.open("a.npy", "w", force_zip64=True) as member:
            member.write(npy(shape=f"({count // 3}, 3)", content=b""))
            for _ in range(24):
                member.write(bytes(2**24))
        for name in ("text", "b"):
            bomb.writestr(f"{name}.npy", npy())
        if not honest:
            bomb.getinfo("a.npy").file_size = 128
    path.write_bytes(file.getvalue())
    assert path.stat().st_size < 2e6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_pipes_folders_and_missing_files_are_no_arrays(tmp_path):
    import os

    assert "does not exist" in refused(tmp_path / "none")
    refused(tmp_path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    refused(tmp_path / "a.npy")
    refused(Path("/dev/zero"))
    os.symlink(tmp_path / "a.npy", tmp_path / "link")
    refused(tmp_path / "link")


# --- models -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    prior = PriorNetwork.from_edges(["L", "a", "b"], ["a", "b", "T"], [1, -1, None])
    parameters = Parameters(np.array([0.5, -0.25, 1.0]), np.linspace(0, 1, 4), np.ones(1))
    return SignalingModel(prior, ("L",), ("T",), parameters, "mml", 3.0)


def same(a, b):
    return (
        all(np.array_equal(x, y) for x, y in zip(a.parameters, b.parameters, strict=True))
        and (a.prior.names, a.ligands, a.tfs) == (b.prior.names, b.ligands, b.tfs)
        and np.array_equal(a.prior.senders, b.prior.senders)
    )


def test_a_model_with_any_bit_flipped_or_cut_anywhere_is_the_same_or_refused(model, tmp_path):
    path = tmp_path / "model.npz"
    model.save(path)
    whole = path.read_bytes()
    draw, said = random.Random(0), set()
    read = 0
    for k in range(500):
        changed = bytearray(whole)
        if k < 400:
            changed[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        else:
            del changed[draw.randrange(len(whole)) :]
        path.write_bytes(changed)
        try:
            assert same(SignalingModel.load(path), model)
            read += 1
        except InputError as error:
            said.add(str(path) in str(error))
    assert said == {True}
    assert read < 250


@pytest.mark.parametrize(
    "changes",
    [
        {"senders": np.array([0, 1, 9])},
        {"senders": np.array([0, 1, -1])},
        {"signs": np.array([1, -1, 7])},
        {"weights": np.array([np.nan, 0, 0])},
        {"bias": np.zeros(3)},
        {"names": ["a", "a", "L", "T"]},
        {"names": ["a", "b", "L", 7]},
        {"ligands": ["Z"]},
        {"activation": "evil"},
        {"input_scale": "3"},
        {"format": 3},
    ],
    ids=str,
)
def test_a_model_whose_parts_do_not_fit_is_refused(model, tmp_path, changes):
    path = tmp_path / "model.npz"
    model.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    content = json.loads(str(arrays["description"]))
    for name, value in changes.items():
        if name in arrays:
            arrays[name] = value
        else:
            content[name] = value
    with path.open("wb") as file:
        write_arrays(file, {**arrays, "description": json.dumps(content)})
    assert str(path) in sentence(SignalingModel.load, path)


# --- tensors ----------------------------------------------------------------------------------------


def test_tensors_with_any_bit_flipped_in_the_header_or_cut_are_read_or_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_tensors(path, {"a": np.arange(5.0), "b": np.array([True])}, {"text": "x"})
    whole = path.read_bytes()
    draw, said = random.Random(1), set()
    for k in range(300):
        changed = bytearray(whole)
        if k < 200:
            changed[draw.randrange(len(whole) - 41)] ^= 1 << draw.randrange(8)
        else:
            del changed[draw.randrange(len(whole)) :]
        path.write_bytes(changed)
        try:
            arrays, _ = read_tensors(path)
            assert sum(a.nbytes for a in arrays.values()) <= 41
        except InputError as error:
            said.add("cannot be read as safetensors" in str(error))
    assert said == {True}


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 5000,
        b'{"a": {"dtype": "F64", "shape": [1000000000000], "data_offsets": [0, 8000000000000]}}',
        b'{"a": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F64", "shape": [' + b"9" * 400 + b'], "data_offsets": [0, 8]}}',
        b'{"a": 1}',
        b"null",
    ],
)
def test_headers_of_tensors_that_lie_are_refused(tmp_path, header):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    assert "cannot be read as safetensors" in sentence(read_tensors, path)
    path.write_bytes((2**63 - 1).to_bytes(8, "little") + header)
    sentence(read_tensors, path)
