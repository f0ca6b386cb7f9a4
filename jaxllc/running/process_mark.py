"""Which process made a file: a mark in its name or text, by which another run sees whether it lives."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

PATTERN = r"[0-9a-f]{8}-[0-9a-f]{8}-\d{1,10}-\d{1,20}"
_UNKNOWN = "0" * 8


class ProcessMark(NamedTuple):
    """place: of the machine and its space of process numbers; boot: of its last start; begun: clock ticks
    from there to the start of the process, 0 where the system does not say."""

    place: str
    boot: str
    pid: int
    begun: int

    @property
    def text(self) -> str:
        """As it stands in names of files."""
        return f"{self.place}-{self.boot}-{self.pid}-{self.begun}"

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to have ended; one of another machine is not known to have."""
        here = own_mark()
        if self.place != here.place or os.name != "posix":
            return False
        if self.boot != here.boot:
            return True
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:  # it lives, and is somebody else's
            pass
        state, begun = _status(self.pid)
        return state == "Z" or bool(begun and self.begun and begun != self.begun)


def mark_from(text: str) -> ProcessMark | None:
    """The mark in a text that `ProcessMark.text` made, or None."""
    if not re.fullmatch(PATTERN, text):
        return None
    place, boot, pid, begun = text.split("-")
    return ProcessMark(place, boot, int(pid), int(begun))


def own_mark() -> ProcessMark:
    """That of this process."""
    pid = os.getpid()
    return ProcessMark(*_machine(), pid, _status(pid)[1])


@cache
def _machine() -> tuple[str, str]:
    try:
        numbers = os.readlink("/proc/self/ns/pid")  # containers count their processes anew
    except OSError:
        numbers = ""
    try:
        boot = _short(Path("/proc/sys/kernel/random/boot_id").read_text())
    except OSError:
        boot = _UNKNOWN
    return _short(f"{platform.node()} {numbers}"), boot


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _status(pid: int) -> tuple[str, int]:
    """The state of a process and the clock tick of its start; "" and 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return "", 0
