"""One run at a time writes to a folder or a file of records: a lock that the end of its process opens.

Where the file system knows `flock`, the system itself opens the lock of a process that has ended. Elsewhere
the file names the process, and one of a process that is known to have ended is taken over; of a process on
another machine that is not known, and the sentence says which file to remove.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from jaxllc.errors import InputError
from jaxllc.running.process_mark import mark_from, own_mark

LOCK = ".jaxllc.lock"
_UNKNOWN = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_LONGEST = 10_000  # bytes of a lock file that are read
_SETTLED_SECONDS = 0.05


def lock_of(path: str | os.PathLike) -> Path:
    """The lock file of a file: it lies beside it."""
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name}.lock")


@contextmanager
def locked(lock: Path, what: str, mend: str) -> Iterator[None]:
    """Hold a lock for the block, and remove its file at the end; raises InputError where another run has it.

    what: that is written to; mend: what to do about another run. Where no lock file can be made, nothing
    else can be written either, and the block goes on.
    """
    held = _acquired(lock, what, mend)
    try:
        yield
    finally:
        if held is not None:
            held.release()


class _Held:
    """A lock that this process has; descriptor: of the file, None where it is not locked by the system."""

    def __init__(self, lock: Path, descriptor: int | None, content: bytes):
        self.lock, self.descriptor, self.content = lock, descriptor, content

    def release(self) -> None:
        try:
            if self.descriptor is None:
                if self.lock.read_bytes() == self.content:
                    self.lock.unlink()
            elif _is_at(self.descriptor, self.lock):
                self.lock.unlink()
        except OSError:  # its folder may have gone
            pass
        finally:
            if self.descriptor is not None:
                os.close(self.descriptor)


def _acquired(lock: Path, what: str, mend: str) -> _Held | None:
    while True:
        descriptor = _opened(lock)
        if descriptor is None:
            return None
        kept = False
        try:
            if not _system_lock(descriptor, lock, what, mend):
                return _taken_over(lock, what, mend)
            if not _is_at(descriptor, lock):
                continue  # the run that had it removed it just now
            owner = _read(descriptor)
            if owner.get("by_name") and _lives(owner):
                raise InputError(_busy(owner, what, mend, lock))
            content = _content(by_name=False)
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, content, 0)
            except (
                OSError
            ):  # a full disk, or the file of somebody else: the lock holds all the same
                pass
            kept = True
            return _Held(lock, descriptor, content)
        finally:
            if not kept:
                os.close(descriptor)


def _opened(lock: Path) -> int | None:
    common = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            return os.open(lock, flags | common, 0o666)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _FORBIDDEN:
                raise InputError(
                    f"cannot make the lock {lock}: {error.strerror}; choose another place"
                ) from error
    return None


def _system_lock(descriptor: int, lock: Path, what: str, mend: str) -> bool:
    """Lock a file; False where the file system has no such locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows
        return False
    except BlockingIOError:
        raise InputError(_busy(_read(descriptor), what, mend)) from None
    except OSError as error:
        if error.errno in _UNKNOWN:
            return False
        raise InputError(f"cannot lock {lock}: {error.strerror}; choose another place") from error
    return True


def _taken_over(lock: Path, what: str, mend: str) -> _Held:
    """The lock by its name alone: the file says whose it is."""
    try:
        owner = _parsed(lock.read_bytes()[:_LONGEST])
        if _lives(owner):
            raise InputError(_busy(owner, what, mend, lock))
        content = _content(by_name=True)
        temporary = lock.with_name(f".jaxllc-{own_mark().text}-{secrets.token_hex(4)}.lock")
        temporary.write_bytes(content)
        os.replace(temporary, lock)
        # Of two runs that come at once the later one has it.
        time.sleep(_SETTLED_SECONDS)
        if lock.read_bytes() != content:
            raise InputError(_busy(_parsed(lock.read_bytes()[:_LONGEST]), what, mend, lock))
    except OSError as error:
        raise InputError(f"cannot lock {lock}: {error.strerror}; choose another place") from error
    return _Held(lock, None, content)


def _content(by_name: bool) -> bytes:
    owner = {
        "process": os.getpid(),
        "host": platform.node(),
        "since": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "mark": own_mark().text,
        "by_name": by_name,
        "token": secrets.token_hex(8),
    }
    return json.dumps(owner).encode() + b"\n"


def _read(descriptor: int) -> dict[str, Any]:
    try:
        return _parsed(os.pread(descriptor, _LONGEST, 0))
    except OSError:
        return {}


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        owner = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _lives(owner: dict[str, Any]) -> bool:
    """Whether the process that a lock file names may still be at work."""
    mark = mark_from(str(owner.get("mark")))
    return mark is not None and not mark.is_dead


def _busy(owner: dict[str, Any], what: str, mend: str, lock: Path | None = None) -> str:
    whose = ""
    if owner:
        process, host, since = (str(owner.get(k))[:60] for k in ("process", "host", "since"))
        whose = f", process {process} on {host} since {since}"
    remove = f"; if it has ended, remove {lock}" if lock is not None else ""
    return f"another run is writing to {what}{whose}; {mend}{remove}"


def _is_at(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(lock, follow_symlinks=False))
    except OSError:
        return False
