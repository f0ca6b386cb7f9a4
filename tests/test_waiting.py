"""Waiting: results come back, interrupts are heard, what stands still is said and done elsewhere."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.running import waiting
from jaxllc.running.waiting import Pace, StalledError, aside, computed, finished
from jaxllc.sweeps import Outcome, grid, sweep, train_sweep
from jaxllc.sweeps.chunk_trainer import ChunkTrainer
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS, same

ROOT = Path(__file__).resolve().parent.parent


class Never:
    """An array that is never there."""

    def is_ready(self):
        return False


@pytest.fixture
def quick(monkeypatch):
    """A process without work is found idle in half a second; nothing of it stays."""
    monkeypatch.setattr(waiting, "_IDLE", 0.5)
    monkeypatch.setattr(waiting, "_IDLE_SHARE", 0.5)
    monkeypatch.setattr(waiting, "lost", False)


def test_what_is_computed_is_what_the_program_gives():
    program = jax.jit(lambda x, y: {"sum": x + y, "twice": 2 * x})
    found = computed(program, jnp.arange(3.0), 1.0)
    np.testing.assert_array_equal(found["sum"], [1, 2, 3])
    np.testing.assert_array_equal(found["twice"], [0, 2, 4])
    assert finished((np.ones(2), "text", 3))[1] == "text"


def test_a_program_is_compiled_once_for_each_kind_of_arguments():
    program = jax.jit(lambda x: jnp.sin(x) + 1)
    pace = Pace()
    for size in (3, 3, 4, 3):
        pace.computed(program, jnp.ones(size), units=2)
    assert program._cache_size() == 2
    assert 0 < pace.usual < 100


def test_a_plain_function_in_the_place_of_a_program_is_called():
    assert computed(lambda x, y: x + y, 1, 2) == Pace().computed(lambda x: x, 3) == 3


def test_what_work_aside_raises_comes_back():
    def fails():
        raise ValueError("a sentence")

    with pytest.raises(ValueError, match="a sentence"):
        aside(fails)


INTERRUPTED = """
import os, signal, threading
import jax, jax.numpy as jnp
from jaxllc.running.waiting import aside, computed, finished
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
# XLA runs a program whose steps are next to nothing before the call returns, so they are products.
program = jax.jit(lambda x, n: jax.lax.fori_loop(0, n, lambda _, y: jnp.cos(y @ y), x))
computed(program, jnp.ones((50, 50)), 1)
for wait in (
    lambda: finished(program(jnp.ones((50, 50)), 1_000_000_000)),
    lambda: aside(lambda: threading.Event().wait(3600)),
):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        wait()
    except KeyboardInterrupt:
        print("heard", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_an_interrupt_is_heard_while_a_program_runs_and_while_one_is_compiled():
    """Both would take much longer than the test has; in a process whose main thread is this one's alone."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout.split(), done.returncode) == (["heard"] * 2, 0), done.stderr


def test_what_stands_still_is_said(quick):
    with pytest.raises(StalledError, match="nothing moves for 1 seconds"):
        finished((jnp.ones(2), Never()))
    assert waiting.lost


def test_a_process_that_computes_does_not_stand_still(quick, monkeypatch):
    """However long it takes: what is slow and what stands still differ in processor time."""
    monkeypatch.setattr(waiting.time, "process_time", lambda: 0.8 * time.monotonic())

    class Later:
        there = time.monotonic() + 2

        def is_ready(self):
            return time.monotonic() > self.there

    finished(Later())
    assert not waiting.lost


def test_a_program_that_takes_far_longer_than_before_is_said_even_where_the_process_computes(
    monkeypatch,
):
    monkeypatch.setattr(waiting, "_LEAST", 0.2)
    monkeypatch.setattr(waiting, "lost", False)
    with pytest.raises(StalledError):
        finished(Never(), usual=1e-3)


@pytest.mark.slow
def test_a_chunk_that_stands_still_is_trained_by_another_process(quick, monkeypatch, tmp_path):
    """To the same models, digit for digit; so are those after it."""
    points = grid(l2=[1e-6, 1e-3], seed=range(2))
    wanted = train_sweep(PRIOR, CONDITIONS, SETTINGS, points).table
    real, calls, said = ChunkTrainer._train, [], []

    def stands_still(self, member, arrays):
        calls.append(member)
        return finished(Never()) if len(calls) == 2 else real(self, member, arrays)

    monkeypatch.setattr(ChunkTrainer, "_train", stands_still)
    result = train_sweep(
        PRIOR, CONDITIONS, SETTINGS, points, records=tmp_path / "records.jsonl",
        progress=lambda done, total, what: said.append(what),
    )  # fmt: skip
    assert len(calls) == 2
    assert result.finished
    same(result.table, wanted)
    assert sum("nothing moves" in what for what in said) == 1
    assert "3 of 4 runs came from another process" in result.summary()
    assert (tmp_path / "records.jsonl").read_text().count('"stalled": "nothing moves') == 3


def test_what_cannot_be_sent_to_another_process_is_a_failure_that_the_next_call_tries_again(
    quick, monkeypatch
):
    lock = threading.Lock()

    def run(point):
        with lock:
            return finished(Never()) if point["n"] == 1 else Outcome({"twice": 2 * point["n"]})

    result = sweep(run, grid(n=[0, 1, 2]))
    assert result.table["status"].tolist() == ["done", "failed", "failed"]
    assert result.table["note"][1].startswith("StalledError: nothing moves")
