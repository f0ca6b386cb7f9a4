"""The same seed gives the same law on one thread and on two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = """
import numpy as np, jaxllc
from jaxllc import generators, known_laws
from jaxllc.symbolic import Samples, search_term

random = np.random.default_rng(0)
points = random.uniform(0.2, 3, (400, 2))
values = points[:, 0] * np.sin(1.3 * points[:, 1]) / (1 + points[:, 0])
samples = Samples.of(["x_i", "x_j"], points, values + 0.005 * random.normal(size=400), 0.005)
best = search_term(samples, seconds=1e9).best
print(best.expression, best.score, best.standard_errors)
network = generators.barabasi_albert(20, 2, seed=0)
known = known_laws.get("gene")
times = np.linspace(0, known.horizon / 2, 40)
runs = [known.simulate(network, times, seed=seed).with_noise(45.0, seed) for seed in range(2)]
law = jaxllc.discover(runs, network, seed=3, neural=NEURAL, search_seconds=1e9)
print(law.equations, [(c.value, c.standard_error) for c in law.constants], law.noise)
# Sums of another order train other nets, which propose other rivals; the law must be the same.
print(law.notes if NEURAL == "never" else "")
"""


def _printed(threads: int, neural: str) -> str:
    cores = {0} if threads == 1 else set(range(threads))
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {
        **os.environ,
        **{name: str(threads) for name in names},
        "XLA_FLAGS": flags if threads == 1 else "",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("NEURAL", repr(neural))],
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores & os.sched_getaffinity(0) or cores),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux to set the cores")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.parametrize("neural", ["never", "always"])
def test_one_thread_and_two_give_the_same_law(neural):
    assert _printed(1, neural) == _printed(2, neural)
