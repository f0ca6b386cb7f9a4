"""One run at a time writes to a folder or a file of records; locks of ended processes hold nobody up."""

import errno
import json
import os
import subprocess
import sys

import pytest

from jaxllc.commands.output import output_folder
from jaxllc.errors import InputError
from jaxllc.files.output_lock import LOCK, lock_of, locked
from jaxllc.running.process_mark import own_mark
from jaxllc.sweeps import grid, sweep

HOLD = (
    "import sys\nfrom jaxllc.commands.output import output_folder\n"
    "with output_folder(sys.argv[1]): print('in', flush=True); sys.stdin.read()"
)


@pytest.fixture(params=["flock", "by name"])
def way(request, monkeypatch):
    """The locks of the system, and a file system that has none."""
    if request.param == "by name":
        import fcntl

        def unknown(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", unknown)
    return request.param


def test_a_second_run_gets_a_sentence_with_the_first_one_in_it(tmp_path, way):
    folder = tmp_path / "out"
    with output_folder(folder):
        with pytest.raises(InputError) as error, output_folder(folder):
            pass
        (folder / "law.json").write_text("{}")
    said = str(error.value)
    assert f"process {os.getpid()} on" in said
    assert "--out" in said
    assert str(folder) in said
    assert os.listdir(folder) == ["law.json"]
    with output_folder(folder):
        pass


def test_an_empty_folder_goes_with_its_lock(tmp_path, way):
    with pytest.raises(InputError, match="no use"), output_folder(tmp_path / "a" / "b"):
        raise InputError("no use")
    assert os.listdir(tmp_path) == []


def test_a_run_of_another_process_holds_the_folder_until_it_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(InputError, match=f"process {other.pid} on"), output_folder(tmp_path):
            pass
    finally:
        other.kill()
        other.communicate()
    assert (tmp_path / LOCK).exists()  # a killed process cannot remove it
    with output_folder(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "left",
    [
        lambda: {"mark": own_mark()._replace(boot="0123abcd").text, "by_name": True},
        lambda: {"mark": own_mark()._replace(begun=own_mark().begun + 1).text, "by_name": True},
        dict,
        lambda: [1],
        lambda: {"mark": "no mark"},
    ],
    ids=["another boot", "another process of that number", "empty", "a list", "no mark"],
)
def test_a_lock_that_an_ended_run_left_is_taken_over(tmp_path, way, left):
    (tmp_path / LOCK).write_text(json.dumps(left()))
    with output_folder(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_run_on_another_machine_is_believed_to_live(tmp_path, way):
    mark = own_mark()._replace(place="0123abcd").text
    owner = {"mark": mark, "by_name": True, "process": 7, "host": "far", "since": "noon"}
    (tmp_path / LOCK).write_text(json.dumps(owner))
    said = "process 7 on far since noon"
    with pytest.raises(InputError, match=said) as error, output_folder(tmp_path):
        pass
    assert f"remove {tmp_path / LOCK}" in str(error.value)
    assert json.loads((tmp_path / LOCK).read_text()) == owner


def test_records_belong_to_one_sweep_at_a_time(tmp_path):
    path = tmp_path / "runs.jsonl"
    refused = []

    def second(point):
        with pytest.raises(InputError, match="another run is writing to the file") as error:
            sweep(lambda p: {"y": 1}, grid(seed=[9]), records=path)
        refused.append(str(error.value))
        return {"y": 0}

    sweep(second, grid(seed=[0]), records=path)
    assert "choose another file" in refused[0]
    assert os.listdir(tmp_path) == ["runs.jsonl"]


def test_a_link_and_its_file_have_one_lock(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    assert lock_of(tmp_path / "a") == lock_of(tmp_path / "b")


def test_where_no_lock_can_be_made_the_block_goes_on(tmp_path):
    with locked(tmp_path / "nowhere" / LOCK, "it", "mend"):
        pass
