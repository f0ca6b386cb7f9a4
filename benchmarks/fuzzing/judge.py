"""The verdict on one case: nothing but InputError or a valid result, in 5 s of processor time and 2 GB."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fuzzing.reader import Case, Reader, written
from jaxllc.errors import InputError

MOST_SECONDS = 5.0
MOST_MEGABYTES = 2000
LONGEST_MESSAGE = 1000

# A word to the user is no fault; what NumPy and pandas say of numbers and types is.
_WATCHED: list[str] = []  # the reader at work, for the alarm
_HARMLESS = (UserWarning, DeprecationWarning, PendingDeprecationWarning, ResourceWarning)


class Failure(NamedTuple):
    """kind: the type of the error, or what is wrong. where: file and function. message: the first words."""

    kind: str
    where: str
    message: str


class Verdict(NamedTuple):
    """accepted: whether a result came. seconds: of the processor."""

    accepted: bool
    seconds: float
    failure: Failure | None


class Overtime(BaseException):
    """Raised by the alarm; no reader may catch it."""


@contextlib.contextmanager
def strict_process() -> Iterator[None]:
    """Warnings about numbers are errors, an alarm of processor time raises `Overtime`; undone at the end."""

    def alarm(*_: object) -> None:
        if _WATCHED:
            raise Overtime

    old = signal.signal(signal.SIGPROF, alarm)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for category in _HARMLESS:
                warnings.simplefilter("ignore", category)
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)


def judged(reader: Reader, case: Case, folder: Path) -> Verdict:
    """Read one case, within `strict_process`."""
    given = written(case, folder)
    failure, accepted, peak = None, False, peak_megabytes()
    start, own = time.process_time(), time.thread_time()
    _WATCHED.append(reader.name)
    try:
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS, 0.5)  # again where it is swallowed
        complaint = reader.read(given)
        accepted = True
        if complaint:
            failure = Failure("wrong result", reader.name, complaint[:200])
    except InputError as error:
        failure = _of_message(str(error), reader)
    except Overtime:
        _WATCHED.clear()
        failure = Failure(f"more than {MOST_SECONDS:g} s", _place(), "")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        failure = Failure(type(error).__name__, _place(), str(error)[:200])
    finally:
        _WATCHED.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)
    # Beside an alarm the clock of a process may count in ticks only.
    seconds = max(time.process_time() - start, time.thread_time() - own)
    if failure is None and seconds > MOST_SECONDS:
        failure = Failure(f"more than {MOST_SECONDS:g} s", reader.name, f"{seconds:.1f} s")
    # What ran before in this process may have taken more.
    if failure is None and peak_megabytes() - peak > MOST_MEGABYTES:
        failure = Failure(f"more than {MOST_MEGABYTES} MB", reader.name, "")
    return Verdict(accepted, seconds, failure)


def _of_message(message: str, reader: Reader) -> Failure | None:
    if len(message) > LONGEST_MESSAGE:
        return Failure("long message", reader.name, f"{len(message)} characters: {message[:160]}")
    if not message.strip():
        return Failure("empty message", reader.name, "")
    return None


def _place() -> str:
    """The last place of ours in the traceback at hand, and the last of all."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "/jaxllc/" in frame.filename]
    own, last = (ours or frames)[-1], frames[-1]
    place = f"{Path(own.filename).name} {own.name}"
    return place if own is last else f"{place} < {Path(last.filename).name} {last.name}"


def peak_megabytes() -> float:
    """Largest resident memory of this process so far, in 10^6 bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1e6 if sys.platform == "darwin" else size * 1024 / 1e6
