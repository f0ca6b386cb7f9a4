"""A jaxllc command in a process of its own, forked from one that has imported everything."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

LIMIT_SECONDS = 600.0


class Ended(NamedTuple):
    """How a command ended.

    code: its exit code, None where it had to be killed. text: what it printed. seconds: in all; waited,
    worked: from the signal on, by the clock and of the processor.
    """

    code: int | None
    text: str
    seconds: float
    waited: float = 0.0
    worked: float = 0.0

    @property
    def last(self) -> str:
        """The last line it printed."""
        lines = self.text.strip().splitlines()
        return lines[-1] if lines else ""

    @property
    def is_sentence(self) -> bool:
        """Whether it ended as bad input does: exit code 2 and a sentence, no traceback, no fault of ours."""
        fault = re.search(r"Traceback|fault of jaxllc|ESCAPED", self.text)
        return self.code == 2 and not fault and bool(self.last)


def import_everything() -> None:
    """What commands need, so that a fork has it; JAX starts no device here."""
    import diffrax  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import optax  # noqa: F401
    import pandas  # noqa: F401
    import scipy.optimize  # noqa: F401

    import jaxllc.commands.discover
    import jaxllc.commands.signaling.cross_validate
    import jaxllc.commands.signaling.self_prune
    import jaxllc.commands.signaling.train_command
    import jaxllc.commands.simulate
    import jaxllc.discovery.entry
    import jaxllc.law.forecast
    import jaxllc.law.report
    import jaxllc.self_pruning
    import jaxllc.signaling.training.signaling_training
    import jaxllc.sweeps.training  # noqa: F401


class Command:
    """A command at work; `wait` for its end."""

    def __init__(
        self,
        words: Sequence[object],
        before: Callable[[], object] | None = None,
        stdin: str | os.PathLike | int | None = None,
        stdout: int | None = None,
    ):
        """before: called in the new process. stdin: a file or descriptor. stdout: likewise, -1: closed."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the command
        self._start = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._be([str(word) for word in words], before, stdin, stdout)
        self.code: int | None = None

    def _be(
        self,
        words: list[str],
        before: Callable[[], object] | None,
        stdin: str | os.PathLike | int | None,
        stdout: int | None,
    ) -> None:
        code = 99
        try:
            source = os.devnull if stdin is None else stdin
            given = source if isinstance(source, int) else os.open(source, os.O_RDONLY)
            os.dup2(given, 0)
            os.dup2(self._log.fileno(), 2)
            if stdout == -1:
                os.close(1)
                sys.stdout = None  # type: ignore[assignment]  # as the interpreter starts then
            else:
                os.dup2(self._log.fileno() if stdout is None else stdout, 1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            sys.argv = ["jaxllc", *words]
            if before is not None:
                before()
            from jaxllc.commands.command_line import console

            code = console()
        except SystemExit as done:
            code = int(done.code or 0)
        except BaseException as error:
            os.write(2, f"ESCAPED {type(error).__name__}: {error}\n".encode())
            code = 98
        finally:
            code = _flushed(code)
            os._exit(code)

    def poll(self) -> bool:
        """Whether it has ended."""
        if self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait_for(self, condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> bool:
        """Wait until the condition holds; False where the command ended before, or took too long."""
        end = time.monotonic() + seconds
        while not self.poll() and time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.01)
        return False

    def text(self) -> str:
        """What it has printed so far."""
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def wait(self, limit: float = LIMIT_SECONDS) -> Ended:
        """Its end; a command that takes longer is killed and has no exit code."""
        end = time.monotonic() + limit
        while not self.poll():
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return Ended(None, self.text(), time.monotonic() - self._start)
            time.sleep(0.01)
        return Ended(self.code, self.text(), time.monotonic() - self._start)

    def end_by(self, number: int, limit: float = 60.0) -> Ended:
        """Send a signal and wait for the end, with the seconds from the signal on."""
        if self.poll():
            return self.wait()
        sent, worked = time.monotonic(), processor_seconds(self.pid)
        os.kill(self.pid, number)
        spent = worked
        end = sent + limit
        while not self.poll() and time.monotonic() < end:
            spent = processor_seconds(self.pid) or spent
            time.sleep(0.005)
        waited = time.monotonic() - sent
        return self.wait(0.01)._replace(waited=waited, worked=spent - worked)


def _flushed(code: int) -> int:
    """The exit code after the streams are written out, as the interpreter does it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code or 120
    return code


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor, 0 where that is not known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(words: Sequence[object], **how: object) -> Ended:
    """A command from start to end."""
    return Command(words, **how).wait()  # type: ignore[arg-type]
