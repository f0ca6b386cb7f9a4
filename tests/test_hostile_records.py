"""Records that are damaged, cut or somebody else's end in one sentence or go on; none is emptied."""

import json

import pytest

from jaxllc.sweeps import grid, read_records, sweep
from tests.refusals import sentence


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
        patched.setattr("jaxllc.files.json_lines.os.write", half)
        assert "No space left" in sentence(lambda: sweep(counted, grid(seed=[0, 1]), records=path))
    assert path.read_bytes() == whole
