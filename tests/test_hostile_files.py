"""Files that are damaged or made to do harm end in one sentence, at once and without memory."""

import io
import json
import random
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxllc.array_file import TEXT, ArrayOf, read_arrays, write_arrays
from jaxllc.errors import InputError
from jaxllc.json_text import parse_json, read_json
from jaxllc.law_file import read_law
from jaxllc.pretrained.tensors import read_tensors, write_tensors
from jaxllc.signaling import PriorNetwork, SignalingModel, SignalingSettings
from jaxllc.signaling.structure import Parameters
from jaxllc.sweeps import grid, read_records, sweep

MEND = "give another"


def sentence(read, *arguments):
    """What the refusal says: one line that is not long."""
    with pytest.raises(InputError) as error:
        read(*arguments)
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 600
    return said


# --- JSON -------------------------------------------------------------------------------------------

NO_JSON = {
    "nothing": b"",
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep and closed": b"[" * 200 + b"]" * 200,
    "many digits": b'{"a": ' + b"9" * 400 + b"}",
    "very many digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "large exponent": b'{"a": 1e999}',
    "not a number": b'{"a": NaN}',
    "infinity": b'[-Infinity]',
    "twice": b'{"a": 1, "a": 2}',
    "no UTF-8": b'{"a": "\xff"}',
    "half a pair": b'{"a": "\\ud800"}',
    "half a pair in a name": b'{"\\udfff": 1}',
    "zeros": b"\0" * 50,
    "cut": b'{"a": 1',
    "more behind": b"{} {}",
}  # fmt: skip


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_refused_by_every_reader(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert "a.json" in sentence(read_json, path, MEND)
    sentence(read_law, path)
    sentence(SignalingSettings.read, path)
    path.write_bytes(content + b"\n")
    sentence(read_records, path)
    assert path.read_bytes() == content + b"\n"


def test_json_is_read_as_others_read_it(tmp_path):
    value = {"a": [1, -2.5e-3, None, True, "ü \N{GRINNING FACE}"], "b": {"c": 10**30}}
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
    (tmp_path / "bom.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "bom.json", MEND) == [1]
    sentence(read_json, tmp_path / "none.json", MEND)
    assert "larger than 2 bytes" in sentence(read_json, tmp_path / "bom.json", MEND, 2)
    sentence(read_json, tmp_path, MEND)
    assert "larger than" in sentence(read_json, "/dev/zero", MEND)


# --- laws -------------------------------------------------------------------------------------------


def constant(**changes):
    row = {"variable": "x", "side": "self", "term": "x_i", "role": "coefficient", "value": -1.0}
    return {**row, "standard_error": 0.1, "unit": "", **changes}


FRONT = {"num_constants": 1, "chi_squared": 1.0, "criterion": 1.0, "held_out_error": None}
INCONSISTENT = {
    "variable of a constant": {"constants": [constant(variable="y")]},
    "side": {"constants": [constant(side="evil")]},
    "symbol of a constant": {"constants": [constant(term="q_i*x_i")]},
    "sender in a self term": {"constants": [constant(term="x_j")]},
    "constant without a value": {"constants": [constant(value=None)]},
    "value that is text": {"constants": [constant(value="1")]},
    "negative error": {"constants": [constant(standard_error=-1.0)]},
    "shape of the covariance": {"covariance": [[1.0, 0.0]]},
    "flat covariance": {"covariance": [1.0]},
    "covariance of others": {"covariance": [[1.0, 0.0], [0.0, 1.0]]},
    "negative variance": {"covariance": [[-1.0]]},
    "skew covariance": {
        "constants": [constant(), constant(term="x_i**2")],
        "covariance": [[1.0, 0.5], [-0.5, 1.0]],
    },
    "noise of another": {"noise": {"y": 1.0}},
    "R2 of another": {"adjusted_r2": {"": 1.0}},
    "feature named as a variable": {"feature_names": ["x"]},
    "front of others": {"front": [{**FRONT, "equations": {"y": ["0", "0"]}, "chosen": True}]},
    "front of fewer": {"front": [{**FRONT, "equations": {}, "chosen": True}]},
    "symbols of the front": {
        "front": [{**FRONT, "equations": {"x": ["q_i", "0"]}, "chosen": True}]
    },
    "count that is none": {
        "front": [{**FRONT, "num_constants": 1.5, "equations": {"x": ["0", "0"]}, "chosen": True}]
    },
    "flag that is none": {"converged": "yes"},
    "notes that are text": {"notes": "a"},
    "names that are text": {"feature_names": "ab"},
    "intervals": {
        "confidence": {
            "law_frequency": 1.0, "terms": [], "intervals": [], "replicates": 1, "groups": 1,
            "laws": 1,
        }
    },
    "rival of others": {
        "rivals": [
            {
                "equations": {"z": ["0", "0"]}, "num_constants": 0, "criterion_difference": 1.0,
                "frequency": 0.1,
            }
        ]
    },
}  # fmt: skip


def law_content(**changes):
    equations = {"x": {"self_term": "-x_i", "interaction_term": "x_j"}}
    content = {"format": "jaxllc law", "version": 1, "equations": equations}
    return {**content, "constants": [constant()], "covariance": [[0.01]], **changes}


@pytest.mark.parametrize("changes", INCONSISTENT.values(), ids=INCONSISTENT)
def test_a_law_whose_parts_do_not_fit_is_refused(tmp_path, changes):
    path = tmp_path / "law.json"
    path.write_text(json.dumps(law_content()))
    assert read_law(path).covariance.shape == (1, 1)
    path.write_text(json.dumps(law_content(**changes)))
    assert str(path) in sentence(read_law, path)


def test_constants_that_a_user_named_are_read(tmp_path):
    path = tmp_path / "law.json"
    row = constant(term="-delta_s*x_i", role="delta_s", standard_error=None)
    path.write_text(json.dumps(law_content(constants=[row], covariance=[[None]])))
    assert np.isnan(read_law(path).covariance).all()


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


# --- records ----------------------------------------------------------------------------------------


def counted(point):
    return {"y": point["seed"]}


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "my notes", "study": "of 2024"}',
        '{"study": "my own", "point": {}}',
        "{}",
        '{"study": "my own',
        "[1, 2",
        '"study"',
        "7",
    ],
)
def test_a_persons_file_is_not_emptied(tmp_path, content):
    path = tmp_path / "notes.json"
    path.write_text(content)
    assert "choose another file" in sentence(lambda: sweep(counted, grid(seed=[0]), records=path))
    assert path.read_text() == content


def test_records_cut_anywhere_go_on(tmp_path):
    path = tmp_path / "runs.jsonl"
    sweep(counted, grid(seed=[0]), records=path)
    whole = path.read_bytes()
    for length in (1, 5, 11, 12, 30, 77, 78, 90, len(whole) - 1):
        path.write_bytes(whole[:length])
        table = sweep(counted, grid(seed=[0]), records=path).table
        assert table["y"].tolist() == [0]
        assert len(read_records(path)) == 1


def test_a_row_with_words_that_do_not_fit_is_refused(tmp_path):
    path = tmp_path / "runs.jsonl"
    sweep(counted, grid(seed=[0]), records=path)
    row = json.loads(path.read_text())
    for changes in (
        {"metrics": {"y": float("nan")}},
        {"status": "perhaps"},
        {"seconds": "long"},
        {"point": [1]},
        {"versions": 3},
        {"note": None},
        {"metrics": {"seed": 1}},
    ):
        path.write_text(json.dumps({**row, **changes}) + "\n")
        assert "row 1" in sentence(read_records, path)


def test_a_full_disk_leaves_no_half_row(tmp_path, monkeypatch):
    import os

    path = tmp_path / "runs.jsonl"
    sweep(counted, grid(seed=[0]), records=path)
    whole = path.read_bytes()
    write = os.write

    def half(descriptor, content):
        write(descriptor, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("jaxllc.json_lines.os.write", half)
        assert "No space left" in sentence(lambda: sweep(counted, grid(seed=[0, 1]), records=path))
    assert path.read_bytes() == whole
