"""Files appear whole or not at all, links and permissions are kept, and pipes and devices written into."""

import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

from jaxllc.commands.output import check_output_file
from jaxllc.errors import InputError
from jaxllc.files import output_file as module
from jaxllc.files.output_file import output_file, remove_leftovers
from jaxllc.running.process_mark import ProcessMark, own_mark

OLD, NEW = "what was there\n", "what is new\n"


def write(path, text=NEW, then=lambda: None):
    with output_file(path) as temporary:
        temporary.write_text(text)
        then()


def others(folder):
    """The hidden files of a folder."""
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_a_link_is_written_through_and_kept(tmp_path):
    (tmp_path / "there").mkdir()
    real, link, further = tmp_path / "there" / "real.csv", tmp_path / "a.csv", tmp_path / "b.csv"
    real.write_text(OLD)
    link.symlink_to("there/real.csv")
    further.symlink_to(link)
    write(further)
    assert real.read_text() == NEW
    assert link.is_symlink()
    assert further.is_symlink()
    assert not real.is_symlink()
    assert others(tmp_path) == others(tmp_path / "there") == []


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "new.csv")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "new.csv").read_text() == NEW
    link.unlink()
    link.symlink_to(tmp_path / "nowhere" / "new.csv")
    with pytest.raises(InputError, match="folder that exists"):
        write(link)
    with pytest.raises(InputError, match="does not exist"):
        check_output_file(link)


def test_a_circle_of_links_is_a_sentence(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "a")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_permissions_are_kept(tmp_path, mode):
    path = tmp_path / "a.csv"
    path.write_text(OLD)
    path.chmod(mode)
    write(path)
    assert path.read_text() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_permissions_that_open_gives(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_second_name_of_a_file_keeps_what_it_had(tmp_path):
    path, second = tmp_path / "a", tmp_path / "b"
    path.write_text(OLD)
    os.link(path, second)
    write(path)
    assert (path.read_text(), second.read_text()) == (NEW, OLD)


def test_a_pipe_is_written_into_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(check_output_file(pipe))
    reader.join(10)
    assert read == [NEW]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert others(tmp_path) == []


def test_a_device_is_written_into_and_stays_one(tmp_path):
    null, full = tmp_path / "null", tmp_path / "full"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        null.write_text("")
    except OSError:
        pytest.skip("this user or file system makes no devices")
    write(null)
    with pytest.raises(InputError, match="No space left"):
        write(full)
    assert all(stat.S_ISCHR(path.stat().st_mode) for path in (null, full))
    assert others(tmp_path) == []


def test_folders_sockets_and_disks_are_refused(tmp_path):
    import socket

    with pytest.raises(InputError, match="it is a folder"):
        write(tmp_path)
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(str(tmp_path / "s"))
        with pytest.raises(InputError, match="a socket or a disk"):
            write(tmp_path / "s")
    with pytest.raises(InputError, match="is no path"):
        write("a\0b")


@pytest.mark.parametrize("redirected", [True, False])
def test_standard_output_is_written_into(tmp_path, redirected):
    script = (
        "from jaxllc.files.output_file import output_file\nprint('before')\n"
        "with output_file('/dev/stdout') as p: p.write_text('new\\n')\nprint('after')"
    )
    command = [sys.executable, "-c", script]
    if redirected:
        with (tmp_path / "out").open("w") as out:
            subprocess.run(command, stdout=out, check=True)
        said = (tmp_path / "out").read_text()
    else:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "before\nnew\nafter\n"


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_what_goes_wrong_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "a.csv"
    path.write_text(OLD)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    if step == "replace":
        monkeypatch.setattr(module.Path, "replace", full)
    action = full if step == "write" else lambda: None
    with pytest.raises(InputError, match=r"a\.csv: No space left on device"):
        write(path, then=action)
    assert path.read_text() == OLD
    assert os.listdir(tmp_path) == ["a.csv"]


def test_an_interrupt_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(OLD)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, then=interrupt)
    assert path.read_text() == OLD
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_file_that_cannot_be_replaced_is_filled_anew(tmp_path, monkeypatch):
    path = tmp_path / "mounted.csv"
    path.write_text(OLD * 9)

    def busy(*_):
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(module.Path, "replace", busy)
    write(path)
    assert path.read_text() == NEW
    assert os.listdir(tmp_path) == ["mounted.csv"]


def ended_mark():
    """That of a process of this machine that has ended."""
    script = "from jaxllc.running.process_mark import own_mark; print(own_mark().text)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return done.stdout.strip()


def test_what_ended_runs_left_is_removed_and_nothing_else(tmp_path):
    here = own_mark()
    elsewhere = ProcessMark("0" * 8, here.boot, 1, 5).text
    old_boot = here._replace(boot="0123abcd").text
    reused = here._replace(begun=here.begun + 1).text
    dead = [f".jaxllc-{text}-0123abcd.csv" for text in (ended_mark(), old_boot, reused)]
    kept = [f".jaxllc-{text}-0123abcd.csv" for text in (here.text, elsewhere)]
    kept += [".jaxllc-notes", ".x.csv", "a.csv", f"jaxllc-{old_boot}-0123abcd.csv"]
    for name in dead + kept:
        (tmp_path / name).write_text(OLD)
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    ages = tmp_path / kept[1]
    os.utime(ages, (0, 0))
    remove_leftovers(tmp_path)
    assert not ages.exists()


def test_a_run_that_is_killed_leaves_the_old_file_and_the_next_one_tidies(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(OLD)
    script = (
        "import os, sys\nfrom jaxllc.files.output_file import output_file\n"
        "with output_file(sys.argv[1]) as p:\n p.write_text('half'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == -9
    assert path.read_text() == OLD
    assert len(others(tmp_path)) == 1
    write(path)
    assert path.read_text() == NEW
    assert others(tmp_path) == []
