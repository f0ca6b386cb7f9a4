"""Chunks of a sweep on the workers of a Dask cluster, for `cluster` of sweep, train_sweep and the study.

    sweep(function, points, cluster="local")                 # a process for each core of this machine
    sweep(function, points, cluster="local:4")               # four processes
    sweep(function, points, cluster="tcp://head-node:8786")  # a scheduler that runs already
    sweep(function, points, cluster=client)                  # a distributed.Client, which stays open

`pip install 'jaxllc[cluster]'` brings what is needed; workers elsewhere need jaxllc too, of the same version.
A script that starts local workers calls under `if __name__ == "__main__":`, because each of them imports it.
Local workers compute on the CPU: the accelerators of one machine are all in use without a cluster.

Each worker runs one chunk at a time, so give workers one thread: `dask worker tcp://head-node:8786
--nthreads 1`. One worker for each GPU is started with `CUDA_VISIBLE_DEVICES=0 dask worker ...`, or by
dask-cuda. On Slurm, dask-jobqueue starts them as jobs:

    from dask_jobqueue import SLURMCluster
    from distributed import Client

    jobs = SLURMCluster(cores=1, processes=1, memory="32GB", walltime="08:00:00",
                        job_extra_directives=["--gres=gpu:1"])
    jobs.scale(jobs=8)
    with Client(jobs) as client:
        train_sweep(prior, conditions, "default", points, records="l2.jsonl", cluster=client)

The caller alone writes the records, as each chunk ends. A chunk whose worker dies is run by another one.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any
from uuid import uuid4

import jax
import jax.numpy as jnp

from jaxllc.errors import InputError, nearest_match
from jaxllc.files.file_values import plain
from jaxllc.sweeps.devices.packed_work import packed, unpacked
from jaxllc.sweeps.grids import Point
from jaxllc.sweeps.records import Row
from jaxllc.sweeps.work import Work

_CHOICES = (
    "'local' for a process on each core, 'local:4' for four, the address of a scheduler such as "
    "'tcp://host:8786', or a distributed.Client"
)
_LOCAL = re.compile(r"local(?::([1-9][0-9]*))?")
_AHEAD = 2  # chunks for each worker: the next one waits there when one ends, and an interrupt loses little
_CONNECT = 20.0  # seconds
_LOOK = 1.0  # seconds after which workers that came later are given chunks too
# Then the chunk waits for the end, where it runs alone and no other can be to blame.
_DEATHS = 1

# Two threads that run XLA programs for the CPU at once can wait for each other forever.
_alone = threading.Lock()


class LostWorkerError(RuntimeError):
    """The worker process of a chunk died each time."""


def add_cluster_option(parser: argparse.ArgumentParser) -> None:
    """Add `--cluster [ADDRESS]`, whose value is what `cluster` takes: None, "local", or what was given."""
    parser.add_argument(
        "--cluster",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="run on the workers of a Dask scheduler, such as tcp://host:8786; without an address, on a "
        "process for each core of this machine (local:4 for four)",
    )


def check_cluster(cluster: Any) -> None:
    """Raises InputError for a `cluster` that is none, and where Dask distributed is not installed."""
    if isinstance(cluster, str):
        if not _LOCAL.fullmatch(cluster) and "://" not in cluster:
            near = nearest_match(cluster, ["local"])
            raise InputError(f"cluster is {cluster!r}{near}; give {_CHOICES}")
        _distributed()
    elif not isinstance(cluster, _distributed().Client):
        raise InputError(f"cluster is {cluster!r:.60}; give {_CHOICES}")
    elif cluster.asynchronous or cluster.status != "running":
        state = "asynchronous" if cluster.asynchronous else cluster.status
        raise InputError(
            f"cluster is a Client that is {state}; give one that is open and not async"
        )


def is_local(cluster: Any) -> bool:
    """Whether the workers are processes that the sweep itself starts on this machine."""
    return isinstance(cluster, str) and _LOCAL.fullmatch(cluster) is not None


@contextmanager
def workers_on(cluster: Any, work: Work, runs: int) -> Iterator[Workers]:
    """The workers of a cluster, holding what a sweep does; local ones, at most `runs`, end with the block.

    Raises InputError where no scheduler answers, or local workers or the function cannot be brought there.
    """
    with ExitStack() as stack:
        if is_local(cluster):
            client = stack.enter_context(_local_client(cluster, runs))
        elif isinstance(cluster, str):
            client = stack.enter_context(_connected(cluster))
        else:
            client = cluster
        workers = Workers(client, work, "cpu" if is_local(cluster) else None)
        stack.callback(workers.leave)
        workers.hold()
        yield workers


class Workers:
    """What `Work` does, done by the workers of a cluster, each of which holds it under a name.

    platform: of the devices that they compute on, such as "cpu"; None for what they have.
    """

    def __init__(self, client: Any, work: Work, platform: str | None):
        self.client, self.work, self.platform = client, work, platform
        self.name = f"jaxllc-sweep-{uuid4().hex}"
        self.x64 = jnp.result_type(float) == jnp.float64
        self.running: dict[Any, list[Point]] = {}

    def hold(self) -> None:
        """Send the work, once to each worker and to those that come later; raises InputError if it cannot."""
        from distributed import WorkerPlugin

        # Bytes, because a plugin is unpacked by the thread that keeps a worker in touch with the scheduler.
        plugin = WorkerPlugin()
        vars(plugin).update(packed=packed(self.work, "workers"), platform=self.platform)
        self.client.register_plugin(plugin, name=self.name)

    def leave(self) -> None:
        """Take back the work and what has not ended; a chunk that is being computed ends for nothing."""
        with suppress(Exception):
            self.client.cancel(list(self.running))
            self.client.unregister_worker_plugin(self.name)

    def sizes(self, points: Sequence[Point]) -> list[int]:
        """How many points a chunk has, for the first point of each group: asked of workers at once."""
        futures = [self._submit(_size, point) for point in points]
        found = [_result(future) for future in futures]
        agree = getattr(self.work.function, "agree", None)
        if agree is not None:
            # Else each worker would find a size of its own, by what memory is free there.
            for point, size in zip(points, found, strict=True):
                agree(point, size)
            self.hold()
        return found

    def ended(
        self, chunks: Iterable[list[Point]], say: Callable[[str], None]
    ) -> Iterator[list[Row]]:
        """The rows of each chunk, as it ends; a worker that stands still is one that fails."""
        from distributed import CancelledError, KilledWorker, wait

        waiting, died = iter(chunks), []
        while True:
            free = _AHEAD * max(1, self._count()) - len(self.running)
            for chunk in islice(waiting, max(0, free)):
                self.running[self._submit(_rows, chunk)] = chunk
            if not self.running:
                break
            # An error of one of them is raised below.
            with suppress(TimeoutError, CancelledError), self.client.as_current():
                wait(list(self.running), timeout=_LOOK, return_when="FIRST_COMPLETED")
            for future in [one for one in self.running if one.done()]:
                chunk = self.running.pop(future)
                try:
                    rows = _result(future)
                except KilledWorker:
                    died.append(chunk)
                else:
                    yield rows
        for chunk in died:
            try:
                yield self._alone(chunk)
            except KilledWorker:
                said = f"the process died each time it ran this chunk ({len(chunk)} points)"
                mend = "if for want of memory, take smaller chunks"
                yield self.work.failed(chunk, LostWorkerError(f"{said}; {mend}"))

    def _alone(self, chunk: list[Point]) -> list[Row]:
        future = self._submit(_rows, chunk)
        self.running[future] = chunk
        try:
            return _result(future)
        finally:
            del self.running[future]

    def _submit(self, task: Any, argument: Any) -> Any:
        return self.client.submit(task, self.name, self.x64, argument, pure=False)

    def _count(self) -> int:
        try:
            return len(self.client.nthreads())
        except OSError as error:
            raise _lost() from error


def _size(name: str, x64: bool, point: Point) -> int:
    with _alone, jax.enable_x64(x64):
        return _held(name).size(point)


def _rows(name: str, x64: bool, chunk: list[Point]) -> list[Row]:
    with _alone, jax.enable_x64(x64):
        # As plain data: the caller needs no class of the worker's to read them.
        return [plain(row) for row in _held(name).rows(chunk)]


def _held(name: str) -> Work:
    """What this worker holds under a name, unpacked once: chunks share its mesh and compiled programs."""
    from distributed import get_worker

    held = vars(get_worker().plugins[name])
    if "work" not in held:
        if held["platform"] is not None:
            jax.config.update("jax_platforms", held["platform"])
        held["work"] = unpacked(held["packed"])
    return held["work"]


@contextmanager
def _local_client(cluster: str, runs: int) -> Iterator[Any]:
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    found = _LOCAL.fullmatch(cluster)
    wanted = int(found[1]) if found and found[1] else CPU_COUNT
    before = set(os.environ)
    try:
        try:
            local = LocalCluster(
                n_workers=max(1, min(wanted, runs)),
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
                # Any free port, of this machine alone: the default one may be taken by another sweep.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False, "allowed_failures": _DEATHS},
            )
        except RuntimeError as error:
            raise InputError(
                f"cluster is {cluster!r}, but its worker processes did not start; each imports the script "
                'that is run, so a script calls under `if __name__ == "__main__":`, and is a file'
            ) from error
        with local, Client(local, set_as_default=False) as client:
            yield client
    finally:
        # Dask sets OMP_NUM_THREADS and others for its workers in this process.
        for name in set(os.environ) - before:
            del os.environ[name]


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"cluster is {address!r}, where no Dask scheduler answers within {_CONNECT:g} seconds; start "
            f"one by `dask scheduler`, or give {_CHOICES}"
        ) from error
    with client:
        yield client


def _result(future: Any) -> Any:
    """What a task gave; its error, or the one sentence on what the cluster lacks."""
    from distributed import CancelledError

    try:
        return future.result()
    except ImportError as error:
        raise InputError(
            f"a worker of the cluster cannot import what the sweep needs ({error}); install the same "
            "packages on the workers as here"
        ) from error
    except (CancelledError, OSError) as error:
        if future.status == "error":  # of the task itself
            raise
        raise _lost() from error


def _lost() -> ConnectionError:
    return ConnectionError(
        "the scheduler of the cluster is gone; the same call with the same records goes on from there"
    )


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            "cluster needs Dask distributed, which is not installed; pip install 'jaxllc[cluster]'"
        ) from error
    return distributed
