"""The small network and conditions that tests of train_sweep share, also in processes of their own."""

import logging
import re
import signal
import subprocess
import time
from collections import Counter
from contextlib import contextmanager

import jax
import numpy as np
import pandas as pd

from jaxllc.signaling import Conditions, PriorNetwork, SignalingSettings
from jaxllc.sweeps import grid

EDGES = [
    ("L1", "R1", 1), ("L2", "R2", 1), ("R1", "S1", 1), ("R2", "S2", 1), ("S1", "S2", -1),
    ("S1", "R1", 1), ("R2", "S1", None), ("S2", "T1", 1), ("S1", "T2", 1),
]  # fmt: skip
SETTINGS = SignalingSettings(epochs=40, learning_rate=1e-2, iterations=8)
PRIOR = PriorNetwork.from_edges(*zip(*EDGES, strict=True))

_LEVELS = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5], [0.2, 0.9]], float)
CONDITIONS = Conditions(
    tuple(f"c{n}" for n in range(len(_LEVELS))),
    ("L1", "L2"),
    ("T1", "T2"),
    _LEVELS,
    np.stack(
        [0.1 + 0.6 * _LEVELS[:, 1] * (1 - 0.7 * _LEVELS[:, 0]), 0.2 + 0.5 * _LEVELS[:, 0]], axis=1
    ),
)


def same(one, two):
    """Asserts that two tables of a sweep are equal but for the time that the models took."""
    one, two = one.drop(columns="seconds"), two.drop(columns="seconds")
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@contextmanager
def compiled():
    """How often each program is compiled in the block, by its name, in a Counter."""
    found, handler = Counter(), logging.Handler()
    said = re.compile(r"Finished XLA compilation of jit\((\w+)\)")
    handler.emit = lambda record: found.update(said.findall(record.getMessage()))
    logging.getLogger("jax").addHandler(handler)
    jax.config.update("jax_log_compiles", True)
    try:
        yield found
    finally:
        jax.config.update("jax_log_compiles", False)
        logging.getLogger("jax").removeHandler(handler)


def killed_at(records, rows, words, environment, seconds=300):
    """Starts a process, kills it once its records have so many rows, and returns how many they have then."""
    with subprocess.Popen(words, env=environment) as process:
        deadline = time.monotonic() + seconds
        while not records.exists() or records.read_bytes().count(b"\n") < rows:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    return records.read_bytes().count(b"\n")


def spurious(*edges):
    return PRIOR.with_edges(*zip(*edges, strict=True))


NETWORKS = {
    "one": spurious(("T1", "R1")),
    "hub": spurious(("L1", "S2"), ("T2", "S2"), ("S2", "S2"), ("T1", "S2")),
}
# Members of several settings and seeds.
GRID = grid(l2=[1e-6, 1e-2], seed=range(2)) + grid(learning_rate=[3e-3], seed=[5])
