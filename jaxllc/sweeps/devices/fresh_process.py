"""A process of its own, with one device of a CPU, for the chunks of a sweep whose devices stand still.

Threads that wait for each other inside a device cannot be ended, and what they hold is lost to their process.
Another process runs the chunk again: the members one after the other, each by the program that a device of
the sweep runs for it, so that they come out the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from jaxllc.sweeps.devices.packed_work import packed, unpacked
from jaxllc.sweeps.grids import Point
from jaxllc.sweeps.records import Row, plain
from jaxllc.sweeps.work import Work

_FLAG = "--xla_force_host_platform_device_count"


class FreshProcess:
    """Runs chunks of `Work`; a process that ends or stands still too is replaced for the next chunk."""

    def __init__(self, work: Work):
        function = getattr(work.function, "for_one_device", lambda: work.function)()
        # Which chunks there are is known.
        self.packed = packed(Work(function, len), "another process")
        self.process: Any = None

    def rows(self, chunk: Sequence[Point]) -> list[Row]:
        """The rows of a chunk; raises RuntimeError where the process ends without them."""
        new = self.process is None
        if new:
            self.process = _started()
        try:
            if new:
                _send(self.process.stdin, json.dumps(_surroundings()).encode())
                _send(self.process.stdin, self.packed)
            _send(self.process.stdin, json.dumps(plain(list(chunk))).encode())
            answer = json.loads(self.process.stdout.readline() or b"null")
        except (OSError, ValueError):
            answer = None
        if not isinstance(answer, list):
            self.close()
            said = answer["error"] if isinstance(answer, dict) else "it ended"
            raise RuntimeError(f"the process with one device did not run the chunk either: {said}")
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            with suppress(OSError):  # of what it has not taken
                self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


@contextmanager
def fresh_process(work: Work) -> Iterator[FreshProcess]:
    """A process that ends with the block; raises InputError where the work cannot be sent there."""
    process = FreshProcess(work)
    try:
        yield process
    finally:
        process.close()


def _surroundings() -> dict[str, Any]:
    """What is set before the work is unpacked: where modules are found, and the format of numbers."""
    import jax.numpy as jnp

    path = [entry for entry in sys.path if isinstance(entry, str)]
    return {"path": path, "x64": jnp.result_type(float) == jnp.float64}


def _started() -> Any:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}
    flags = environment.get("XLA_FLAGS", "").split()
    environment["XLA_FLAGS"] = " ".join(flag for flag in flags if not flag.startswith(_FLAG))
    # The folders that this process imports from, which `python -m` would not look into.
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    pipe = subprocess.PIPE
    words = [sys.executable, "-m", "jaxllc.sweeps.devices.fresh_process"]
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, env=environment)


def _send(file: Any, content: bytes) -> None:
    file.write(len(content).to_bytes(8, "big") + content)
    file.flush()


def _received(file: Any) -> bytes:
    return file.read(int.from_bytes(file.read(8), "big"))


def _serve() -> None:
    """Chunks from stdin, their rows to stdout, until stdin ends; what functions print goes to stderr."""
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    surroundings = json.loads(_received(source))
    sys.path[:] = surroundings["path"]
    import jax

    jax.config.update("jax_enable_x64", surroundings["x64"])
    work = unpacked(_received(source))
    while chunk := _received(source):
        try:
            answer: Any = plain(work.rows(json.loads(chunk)))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
