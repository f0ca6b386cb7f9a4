"""Tables through pipes; output into pipes, links and devices, all of them in a folder of ours."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from robust.command import Command, Ended, run
from robust.disks import is_root
from robust.files import is_link_or_device
from robust.problems import Problem
from robust.table import Row


def rows(folder: Path, seed: int) -> Iterator[Row]:
    """Rows for input and for output."""
    problem = Problem(folder)
    yield from _inputs(folder, problem)
    yield from _outputs(folder, problem)
    yield from _streams(folder, problem)


def _inputs(folder: Path, problem: Problem) -> Iterator[Row]:
    """A long table must be read whole, whatever it comes through."""
    from jaxllc.data.readers import read_states

    header = problem.states.read_text().splitlines()[0]
    columns = header.count(",")
    long = [
        header,
        *(f"{t}," + ",".join(f"{t * (k + 1) % 97}" for k in range(columns)) for t in range(5000)),
    ]
    content = ("\n".join(long) + "\n").encode()
    table = folder / "long.csv"
    table.write_bytes(content)
    whole = read_states(table)[0]

    def judge(what: str, path: str | Path) -> Row:
        seen = read_states(path)[0]
        same = seen.num_times == whole.num_times and (seen.states == whole.states).all()
        return Row("pipe", what, f"{whole.num_times} times", f"{seen.num_times} times", bool(same))

    fifo = folder / "in.fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(content,), daemon=True)
    writer.start()
    yield judge("read_states of a FIFO", fifo)
    writer.join()
    with subprocess.Popen(["cat", table], stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        yield judge(
            "read_states of /dev/fd/N, as <(cat x.csv)", f"/dev/fd/{source.stdout.fileno()}"
        )
    few = ["--max-terms", "2", "--neural", "never", "--no-sums"]
    words = ["discover", "/dev/stdin", problem.edges, *few]
    yield _code("discover /dev/stdin EDGES, from a file", run(words, stdin=problem.states), 0)
    with subprocess.Popen(["cat", problem.states], stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        ended = run(words, stdin=source.stdout.fileno())
        yield _code("cat states.csv | discover /dev/stdin EDGES", ended, 0)


def _outputs(folder: Path, problem: Problem) -> Iterator[Row]:
    plain = folder / "plain.csv"
    yield _code("simulate --out FILE", run(problem.simulate(plain)), 0)
    content = plain.read_bytes()

    target, link = folder / "target.csv", folder / "link.csv"
    target.write_text("old\n")
    link.symlink_to(target)
    ended = run(problem.simulate(link))
    good = ended.code == 0 and link.is_symlink() and target.read_bytes() == content
    yield Row("pipe", "simulate --out LINK", "written through the link", _kept(ended, link), good)

    dangling = folder / "dangling.csv"
    dangling.symlink_to(folder / "nowhere.csv")
    ended = run(problem.simulate(dangling))
    good = dangling.is_symlink() and (ended.code == 0) == (folder / "nowhere.csv").exists()
    yield Row(
        "pipe", "simulate --out LINK to nothing", "the link stays", _kept(ended, dangling), good
    )

    fifo = folder / "out.fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()), daemon=True)
    reader.start()
    ended = run(problem.simulate(fifo))
    reader.join(5)
    good = is_link_or_device(fifo) and (got == [content] if ended.code == 0 else ended.is_sentence)
    yield Row(
        "pipe",
        "simulate --out FIFO",
        "written into it, or refused; it stays",
        _kept(ended, fifo),
        good,
    )
    yield from _devices(folder, problem)
    folder_link = folder / "folder-link"
    (folder / "real").mkdir()
    folder_link.symlink_to(folder / "real")
    ended = run(problem.discover(folder_link))
    good = ended.code == 0 and folder_link.is_symlink() and (folder / "real/law.json").exists()
    yield Row(
        "pipe",
        "discover --out LINK to a folder",
        "written through the link",
        _kept(ended, folder_link),
        good,
    )


def _devices(folder: Path, problem: Problem) -> Iterator[Row]:
    """Devices of the kinds null and full, made in the folder: those of the machine are left alone."""
    for name, minor, right in (
        ("null", 3, "exit code 0"),
        ("full", 7, "a sentence: no space left"),
    ):
        device = folder / name
        what, expected = f"simulate --out DEVICE of the kind {name}", f"{right}; it stays a device"
        made = (
            is_root()
            and subprocess.run(["mknod", device, "c", "1", str(minor)], check=False).returncode == 0
        )
        if not made:
            yield Row("pipe", what, expected, "not tried: mknod is not allowed", True)
            continue
        ended = run(problem.simulate(device))
        good = device.is_char_device() and (
            ended.code == 0 if name == "null" else ended.is_sentence
        )
        yield Row("pipe", what, expected, _kept(ended, device), good)
        link = folder / f"{name}-link"
        link.symlink_to(device)
        ended = run(problem.simulate(link))
        good = device.is_char_device() and link.is_symlink()
        good = good and (ended.code == 0 if name == "null" else ended.is_sentence)
        yield Row("pipe", f"simulate --out LINK to it ({name})", expected, _kept(ended, link), good)


def _streams(folder: Path, problem: Problem) -> Iterator[Row]:
    words = [
        "discover",
        problem.states,
        problem.edges,
        "--neural",
        "never",
        "--no-sums",
        "--max-terms",
        "2",
    ]
    ended = run(words, stdout=-1)
    seen = f"exit code {ended.code}: {ended.last[-100:]}"
    good = "Traceback" not in ended.text and "fault of jaxllc" not in ended.text
    yield Row("pipe", "discover >&-", "no traceback, no fault of jaxllc", seen, good)
    there, here = os.pipe()
    os.close(there)
    command = Command([*words, "--json"], stdout=here)
    os.close(here)
    ended = command.wait()
    good = "Traceback" not in ended.text and "fault of jaxllc" not in ended.text
    yield Row(
        "pipe",
        "discover --json | (a reader that has gone)",
        "no traceback",
        f"exit code {ended.code}",
        good,
    )
    stdout = folder / "stdout"
    stdout.symlink_to("/proc/self/fd/1")
    ended = run(problem.simulate(stdout))
    good = stdout.is_symlink() and ((ended.code == 0 and "," in ended.text) or ended.is_sentence)
    yield Row(
        "pipe",
        "simulate --out LINK to stdout",
        "printed, or refused; it stays",
        _kept(ended, stdout),
        good,
    )


def _code(what: str, ended: Ended, wanted: int) -> Row:
    seen = f"exit code {ended.code}" + (f": {ended.last[-120:]}" if ended.code != wanted else "")
    return Row("pipe", what, f"exit code {wanted}", seen, ended.code == wanted)


def _kept(ended: Ended, path: Path) -> str:
    kept = "it stays" if is_link_or_device(path) else "IT WAS REPLACED"
    return f"exit code {ended.code}, {kept}" + (f": {ended.last[-120:]}" if ended.code else "")
