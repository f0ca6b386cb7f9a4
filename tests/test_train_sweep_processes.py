"""Sweeps of trainings in processes of their own: several devices, a kill, double precision."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxllc.sweeps import grid, read_records, train_sweep
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS, killed_at, same

ROOT = Path(__file__).resolve().parent.parent


SHARDED = """
import numpy as np
import jax
from jaxllc.sweeps import grid, train_sweep
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS
assert len(jax.local_devices()) == 8
def weights(member):
    return {"weights": member.parameters.weights, "bias": member.parameters.bias}
points = grid(l2=[1e-6, 1e-3], seed=range(5))
networks = {"more": PRIOR.with_edges(["T1"], ["R1"])}
points = points + grid(seed=[0], network=["more"])
def run(**arguments):
    said = []
    arguments = dict(arguments, networks=networks, metrics=weights)
    result = train_sweep(PRIOR, CONDITIONS, SETTINGS, points, progress=lambda *x: said.append(x), **arguments)
    return result.table, said
sharded, said = run()
assert [x[0] for x in said] == [8, 11], said
alone, said = run(devices=jax.local_devices()[:1], together=11)
assert [x[0] for x in said] == [11], said
assert (sharded["status"] == "done").all()
for name in ("weights", "bias"):
    for one, two in zip(sharded[name], alone[name]):
        np.testing.assert_allclose(one, two, atol=1e-5)
for name in ("train_correlation", "train_mse", "spectral_radius"):
    np.testing.assert_allclose(sharded[name], alone[name], atol=1e-4)
print("equal")
"""


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@pytest.mark.slow
def test_members_cut_over_eight_devices_are_those_of_one():
    done = subprocess.run(
        [sys.executable, "-c", SHARDED],
        env=environment(XLA_FLAGS="--xla_force_host_platform_device_count=8"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"


KILLED = """
import sys
from jaxllc.sweeps import grid, train_sweep
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS
train_sweep(PRIOR, CONDITIONS, SETTINGS, grid(l2=[1e-6, 1e-3], seed=range(40)), records=sys.argv[1])
"""


@pytest.mark.slow
def test_a_sweep_that_was_killed_gives_the_table_of_an_undisturbed_one(tmp_path):
    path, points = tmp_path / "killed.jsonl", grid(l2=[1e-6, 1e-3], seed=range(40))
    words = [sys.executable, "-c", KILLED, str(path)]
    done = killed_at(path, 3, words, environment())
    assert 3 <= done < 80
    resumed = train_sweep(PRIOR, CONDITIONS, SETTINGS, points, records=path)
    undisturbed = train_sweep(PRIOR, CONDITIONS, SETTINGS, points)
    assert resumed.finished
    same(resumed.table, undisturbed.table)
    same(read_records(path, points)[resumed.table.columns], undisturbed.table)


DOUBLE = """
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 2)
from jaxllc.signaling import train
from jaxllc.sweeps import grid, train_sweep
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS
members = {}
def keep(member):
    members[member.point.get("network")] = member
    return {}
networks = {"more": PRIOR.with_edges(["T1"], ["R1"])}
points = grid(network=[None, "more"], seed=[3])
train_sweep(PRIOR, CONDITIONS, SETTINGS, points, networks=networks, metrics=keep)
alone = train(networks["more"], CONDITIONS, SETTINGS, 3)
found = members["more"]
np.testing.assert_allclose(found.parameters.weights, alone.parameters.weights, atol=1e-12)
np.testing.assert_allclose(found.spectral_radius, alone.spectral_radius, atol=1e-6)
print("equal")
"""


@pytest.mark.slow
def test_members_in_float64_are_the_models_of_single_runs_in_float64():
    done = subprocess.run(
        [sys.executable, "-c", DOUBLE], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"
