"""Chunks of a sweep in a process of their own: what goes there, and what becomes of one that ends."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxllc
from jaxllc.errors import InputError
from jaxllc.sweeps.devices.fresh_process import fresh_process
from jaxllc.sweeps.devices.packed_work import packed, unpacked
from jaxllc.sweeps.work import Outcome, Work


def work_of(function):
    """The work of a sweep of a function of one point."""
    return Work(lambda chunk: [Outcome(function(point)) for point in chunk], len)


def test_a_function_of_no_module_runs_there_in_the_number_format_of_the_caller():
    offset = 0.5

    def run(point):
        x = jnp.asarray(offset) + point["n"]
        return {"x": float(x), "kind": str(x.dtype), "process": os.getpid()}

    with jax.enable_x64(True), fresh_process(work_of(run)) as process:
        first, second = process.rows([{"n": 1}, {"n": 2}]), process.rows([{"n": 3}])
    found = [row["metrics"] for row in (*first, *second)]
    assert [(one["x"], one["kind"]) for one in found] == [(n + 0.5, "float64") for n in (1, 2, 3)]
    assert len({one["process"] for one in found} - {os.getpid()}) == 1


def test_one_that_ends_before_it_has_the_work_is_a_failure_that_is_said(monkeypatch):
    pipe = subprocess.PIPE

    def ended():
        process = subprocess.Popen([sys.executable, "-c", ""], stdin=pipe, stdout=pipe)
        process.wait()
        return process

    monkeypatch.setattr("jaxllc.sweeps.devices.fresh_process._started", ended)
    # More than a pipe holds.
    large = bytes(2**20)
    with (
        fresh_process(work_of(lambda point: {"n": len(large)})) as process,
        pytest.raises(RuntimeError, match="did not run the chunk either: it ended"),
    ):
        process.rows([{"n": 1}])


def test_packed_work_does_what_it_did():
    offset = 2
    work = unpacked(packed(work_of(lambda point: {"y": point["n"] + offset}), "another process"))
    assert [row["metrics"]["y"] for row in work.rows([{"n": 1}, {"n": 5}])] == [3, 7]


def test_what_cannot_be_packed_is_named():
    lock = threading.Lock()
    with pytest.raises(InputError, match=r"cannot be sent to workers \(.*lock.*\); leave out"):
        packed(work_of(lambda point: {"held": lock.locked()}), "workers")


def test_no_other_part_packs_or_unpacks_objects():
    folder = Path(jaxllc.__file__).parent
    uses = re.compile(r"^\s*(import|from) (cloud)?pickle|allow_pickle=True", re.MULTILINE)
    users = [path for path in folder.rglob("*.py") if uses.search(path.read_text(encoding="utf-8"))]
    assert [path.relative_to(folder).as_posix() for path in users] == [
        "sweeps/devices/packed_work.py"
    ]
