"""Sweeps on the workers of a Dask cluster: the table of one without, whatever becomes of the workers."""

import argparse
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxllc.errors import InputError
from jaxllc.signaling import self_pruning_study
from jaxllc.signaling.training.side_by_side import advance_program
from jaxllc.sweeps import grid, read_records, read_snapshots, sweep, train_sweep
from jaxllc.sweeps.devices.cluster import add_cluster_option
from tests.sweep_problem import CONDITIONS, PRIOR, SETTINGS, same

ROOT = Path(__file__).resolve().parent.parent
GRID = grid(x=[3, 1, 2], seed=[0, 1])
needs_distributed = pytest.mark.skipif(
    find_spec("distributed") is None, reason="needs Dask: pip install 'jaxllc[cluster]'"
)


@pytest.fixture(scope="module")
def cluster():
    """Two workers and their scheduler, which no sweep has started."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", memory_limit=0
    ) as running:
        yield running


def squares(chunk):
    return [{"square": point["x"] ** 2, "list": np.arange(2)} for point in chunk]


@needs_distributed
@pytest.mark.slow
def test_a_plain_sweep_has_the_table_of_one_without_a_cluster(cluster, tmp_path):
    path, said, caller = tmp_path / "rows.jsonl", [], os.getpid()

    def closure(point):
        return {**squares([point])[0], "away": os.getpid() != caller}

    found = sweep(
        closure,
        GRID,
        records=path,
        cluster=cluster.scheduler_address,
        progress=lambda *words: said.append(words),
    )
    assert found.table.pop("away").all()
    same(found.table, sweep(squares, GRID, together=1).table)
    assert [words[:2] for words in said] == [(n, 6) for n in range(1, 7)]
    assert len(read_records(path, GRID)) == 6
    # What is done is not run again, and nothing is asked of the cluster.
    said.clear()
    sweep(closure, GRID, records=path, cluster="local", progress=lambda *words: said.append(words))
    assert [words[0] for words in said] == [6]
    for arguments in ({"together": 4}, {"together": lambda point: 2 + point["seed"]}):
        same(
            sweep(squares, GRID, cluster=cluster.scheduler_address, **arguments).table,
            sweep(squares, GRID, **arguments).table,
        )


@needs_distributed
@pytest.mark.slow
def test_what_a_function_raises_is_a_failed_row_and_a_result_of_no_use_is_refused(cluster):
    def failing(chunk):
        if any(point["x"] == 1 for point in chunk):
            raise ValueError("x is one\nand more")
        return squares(chunk)

    address = cluster.scheduler_address
    table = sweep(failing, GRID, together=3, cluster=address).table
    same(table, sweep(failing, GRID, together=3).table)
    assert table["note"].tolist() == [*["", ""], *["ValueError: x is one"] * 2, *["", ""]]
    with pytest.raises(InputError, match=r"the function gave 3 for the point"):
        sweep(lambda point: 3, GRID, cluster=address)
    with pytest.raises(InputError, match=r"a worker of the cluster cannot import .*no_such_module"):
        sweep(Unreadable(), GRID, cluster=address)
    with pytest.raises(InputError, match=r"what the sweep runs cannot be sent to workers"):
        sweep(Unsendable(), GRID, cluster=address)


class Unreadable:
    def __reduce__(self):
        return __import__, ("no_such_module",)

    def __call__(self, point):
        return {}


class Unsendable(Unreadable):
    def __reduce__(self):
        raise TypeError("it is of this process")


@needs_distributed
@pytest.mark.slow
def test_workers_compute_in_the_number_format_of_the_caller_one_chunk_at_a_time(cluster):
    def seen(point):
        began = time.time()
        time.sleep(0.05)
        kind = str(jnp.asarray(0.5).dtype)
        return {"kind": kind, "process": os.getpid(), "began": began, "ended": time.time()}

    with jax.enable_x64(True):
        table = sweep(seen, GRID, cluster=cluster.scheduler_address).table
    assert (table["kind"] == "float64").all()
    for _, rows in table.sort_values("began").groupby("process"):
        assert (rows["began"].to_numpy()[1:] >= rows["ended"].to_numpy()[:-1]).all()
    assert (sweep(seen, GRID, cluster=cluster.scheduler_address).table["kind"] == "float32").all()


COMPILED = []


class OfTheWorker:
    """The process of a member, its programs, and how often it compiled since the first call of this.

    Kills one worker, when it has trained and before it can say so.
    """

    def __init__(self, mark):
        self.mark, self.caller = mark, os.getpid()

    def __call__(self, member):
        if os.getpid() != self.caller and member.seed == 3 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if not COMPILED:
            COMPILED.append("begin")
            jax.monitoring.register_event_duration_secs_listener(
                lambda name, *_, **__: "backend_compile" in name and COMPILED.append(name)
            )
        programs = advance_program.cache_info().misses
        return {"process": os.getpid(), "compilations": len(COMPILED) - 1, "programs": programs}


@needs_distributed
@pytest.mark.slow
def test_trainings_on_a_cluster_are_those_without_though_a_worker_is_killed(cluster, tmp_path):
    from distributed import Client

    points = grid(l2=[1e-6, 1e-3], seed=range(8), network=[None, "more"])
    mark = tmp_path / "killed"

    def run(place, **more):
        result = train_sweep(
            PRIOR, CONDITIONS, SETTINGS, points, networks={"more": PRIOR.with_edges(["T1"], ["R1"])},
            together=4, metrics=OfTheWorker(mark), records=tmp_path / f"{place}.jsonl",
            snapshots=[40], snapshot_folder=tmp_path / place, **more,
        )  # fmt: skip
        assert result.finished
        assert len((tmp_path / f"{place}.jsonl").read_text().splitlines()) == len(points)
        of_workers = [result.table.pop(name) for name in ("process", "programs", "compilations")]
        return result.table, of_workers

    with Client(cluster, set_as_default=False) as client:
        there, (process, programs, compilations) = run("there", cluster=client)
        assert mark.exists()
        assert client.status == "running"
        left = client.run(lambda dask_worker: [*dask_worker.plugins])
        assert not any("jaxllc" in name for names in left.values() for name in names)
    here, _ = run("here")
    same(there, here)
    assert (here["status"] == "done").all()
    for name in here["snapshots"]:
        found, wanted = (read_snapshots(tmp_path / place / name) for place in ("there", "here"))
        np.testing.assert_array_equal(found.weights, wanted.weights)
    assert os.getpid() not in set(process)
    # What a worker compiles in its first chunk serves all others.
    assert (programs == 1).all()
    assert (compilations == 0).all()


@needs_distributed
@pytest.mark.slow
def test_a_worker_that_is_killed_from_outside_loses_nothing(tmp_path):
    path, points = tmp_path / "rows.jsonl", grid(x=range(12))
    folder = tmp_path / "processes"
    folder.mkdir()

    def slow(chunk):
        (folder / str(os.getpid())).touch()
        time.sleep(0.3)
        return [{"third": point["x"] / 3} for point in chunk]

    killed = []

    def kill(done, *_):
        if done == 4:
            killed.append(int(next(folder.iterdir()).name))
            os.kill(killed[0], signal.SIGKILL)

    there = sweep(slow, points, together=2, records=path, cluster="local:2", progress=kill)
    assert there.finished
    assert killed
    same(there.table, sweep(slow, points, together=2).table)
    assert len(path.read_text().splitlines()) == 12


@needs_distributed
@pytest.mark.slow
def test_a_chunk_that_kills_its_workers_is_a_failed_row_and_the_others_go_on():
    def deadly(point):
        if point["x"] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"square": point["x"] ** 2}

    # One worker: what waits behind a deadly chunk is there at each death.
    result = sweep(deadly, grid(x=range(4)), cluster="local:1")
    assert result.finished
    assert result.table["status"].tolist() == ["done", "failed", "done", "done"]
    assert result.table["note"][1].startswith("LostWorkerError: the process died each time it ran")


INTERRUPTED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
from jaxllc.sweeps import grid, sweep
def slow(point):
    time.sleep(0.5 if point["x"] < 4 else 600)
    return {"third": point["x"] / 3}
if __name__ == "__main__":
    result = sweep(slow, grid(x=range(9)), records=sys.argv[1], cluster="local:2")
    print(result.finished, len(result.table), result.notes[0])
"""


@needs_distributed
@pytest.mark.slow
def test_an_interrupt_gives_the_rows_so_far_and_ends_the_workers(tmp_path):
    import psutil  # distributed needs it

    path, script = tmp_path / "rows.jsonl", tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    with subprocess.Popen(
        [sys.executable, script, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not path.exists() or path.read_bytes().count(b"\n") < 4:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers too
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert printed.startswith("False 4 interrupted with 5 runs left"), errors

    def still_there(one):
        try:
            return os.getpgid(one.pid) == process.pid and one.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, ProcessLookupError):
            return False

    while any(still_there(one) for one in psutil.process_iter()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@needs_distributed
@pytest.mark.slow
def test_a_script_that_its_workers_would_run_again_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.replace('__name__ == "__main__"', "True"))
    done = subprocess.run(
        [sys.executable, script, tmp_path / "rows.jsonl"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "so a script calls under `if __name__ ==" in done.stderr.splitlines()[-1]


@needs_distributed
@pytest.mark.parametrize("value", ["locl", "local:0", "local:two", "host:8786", "", 4, True])
def test_a_cluster_that_is_none_is_refused(value):
    with pytest.raises(InputError, match=r"^cluster is .*; give 'local' for a process on each"):
        sweep(squares, GRID, cluster=value)


@needs_distributed
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nothing://host:8786", "tcp://host"])
def test_a_scheduler_that_does_not_answer_is_refused(address, monkeypatch):
    monkeypatch.setattr("jaxllc.sweeps.devices.cluster._CONNECT", 1.0)
    with pytest.raises(InputError, match=f"cluster is '{address}', where no Dask scheduler answ"):
        sweep(squares, GRID, cluster=address)


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for cluster in ("local", "tcp://host:8786", object()):
        with pytest.raises(InputError, match=r"pip install 'jaxllc\[cluster\]'$"):
            sweep(squares, GRID, cluster=cluster)


def test_what_a_cluster_cannot_have_is_refused():
    with pytest.raises(InputError, match="devices is given with cluster"):
        train_sweep(PRIOR, CONDITIONS, SETTINGS, GRID[:0], devices=jax.devices(), cluster="local")


@needs_distributed
def test_a_study_elsewhere_needs_a_folder():
    with pytest.raises(InputError, match="folder is left out; on a cluster name a folder"):
        self_pruning_study(PRIOR, CONDITIONS, spurious_edges=2, cluster="tcp://host:8786")


def test_the_option_of_the_command_line():
    parser = argparse.ArgumentParser()
    add_cluster_option(parser)
    for words, value in (([], None), (["--cluster"], "local"), (["--cluster", "tcp://h:1"],) * 2):
        given = parser.parse_args(words).cluster
        assert given == (value if isinstance(value, str | None) else value[1])
