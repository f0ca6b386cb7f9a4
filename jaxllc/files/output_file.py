"""A file appears whole or not at all: it is written beside its place, put on the disk and then renamed.

Links are written through, and what is no plain file (a terminal, a pipe, /dev/null) is written into. The name
of a file on the way tells whose it is, so that those of runs that were killed are removed by the next run.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxllc.errors import InputError, check_path
from jaxllc.running.process_mark import PATTERN, mark_from, own_mark

_ON_THE_WAY = re.compile(rf"\.jaxllc-({PATTERN})-[0-9a-f]{{8}}.*", re.DOTALL)
# Whether a process of another machine lives cannot be seen; nothing is on its way for so long.
_LONGEST_SECONDS = 86_400.0
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # file systems that know no fsync say so
_looked_through: set[str] = set()


@contextmanager
def output_file(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of `path` if the block ends well, else is removed.

    A file that is there keeps its permissions.
    Raises InputError when the folder does not exist or cannot be written to, for a folder, a socket and a
    disk, and for what goes wrong while writing.
    """
    if is_stream(path):
        with _written_into(path) as temporary:
            yield temporary
        return
    target = Path(os.path.realpath(path))
    temporary = _beside(target, path)
    try:
        yield temporary
        _take_permissions(temporary, target)
        _put_on_disk(temporary)
        _rename(temporary, target)
        put_names_on_disk(target.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def made_folder(path: str | os.PathLike, other: str) -> Path:
    """A folder, made if need be with those above it; raises InputError where that cannot be.

    other: where the user names another one, as the words after "choose another".
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {folder}: {error.strerror}; choose another {other}"
        ) from error
    return folder


def is_stream(path: str | os.PathLike) -> bool:
    """Whether a path names something that is written into, such as a pipe; False for a plain or a new file.

    Raises InputError for what is neither.
    """
    check_path("the output", path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot write {path}: {reason}; choose another place") from error
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return _standard_stream(status) is not None
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return True
    what = "a folder" if stat.S_ISDIR(mode) else "no file, but a socket or a disk"
    raise InputError(f"cannot write {path}: it is {what}; give the name of a file")


def is_standard_output(path: str | os.PathLike) -> bool:
    """Whether what is written to a path goes where `print` does."""
    try:
        return _standard_stream(os.stat(path)) == 1
    except (OSError, ValueError):
        return False


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Remove what processes that have ended left on its way in a folder."""
    try:
        with os.scandir(os.fspath(folder)) as entries:
            found = [(e, _ON_THE_WAY.fullmatch(str(e.name))) for e in entries]
        for entry, match in found:
            if match and entry.is_file(follow_symlinks=False) and _is_left(entry, match.group(1)):
                os.unlink(entry.path)
    except OSError:  # another run was faster, or may do what this one may not
        pass
    _looked_through.add(os.path.realpath(folder))


def put_names_on_disk(folder: str | os.PathLike) -> None:
    """Make renamed and new files of a folder outlast a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _is_left(entry: os.DirEntry, text: str) -> bool:
    mark = mark_from(text)
    if mark is None:
        return False
    if mark.place == own_mark().place:
        return mark.is_dead
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _LONGEST_SECONDS


def _standard_stream(status: os.stat_result) -> int | None:
    """1 or 2 where a file is what this process prints to."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(status, os.fstat(descriptor)):
                return descriptor
        except OSError:  # it is closed
            continue
    return None


@contextmanager
def _written_into(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path whose content is copied to a device, a pipe or where the process prints to."""
    with tempfile.TemporaryDirectory(prefix="jaxllc-") as folder:
        temporary = Path(folder) / f"content{Path(path).suffix}"
        try:
            yield temporary
            standard = _standard_stream(os.stat(path))
            if standard is not None:
                (sys.stdout if standard == 1 else sys.stderr).flush()
            where, ours = (path, True) if standard is None else (standard, False)
            with open(where, "wb", closefd=ours) as target, temporary.open("rb") as content:
                shutil.copyfileobj(content, target)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _beside(target: Path, given: str | os.PathLike) -> Path:
    """A new empty file in the folder of the target, which nobody else reads if it is to have permissions."""
    if os.path.realpath(target.parent) not in _looked_through:
        remove_leftovers(target.parent)
    exists = target.exists()
    if exists and not os.access(target, os.W_OK):
        raise InputError(
            f"cannot write {given}: it is protected against writing; choose another name"
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    name = f".jaxllc-{own_mark().text}-{secrets.token_hex(4)}{target.suffix[:16]}"
    temporary = target.with_name(name)
    try:
        os.close(os.open(temporary, flags, 0o600 if exists else 0o666))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"cannot write {given}: {reason}; choose a folder that exists and is writable"
        ) from error
    return temporary


def _take_permissions(temporary: Path, target: Path) -> None:
    try:
        status = target.stat()
    except FileNotFoundError:
        return
    mine = temporary.stat()
    if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
        with suppress(OSError, AttributeError):  # only root gives files away
            os.chown(temporary, status.st_uid, status.st_gid)
    temporary.chmod(stat.S_IMODE(status.st_mode))


def _put_on_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(descriptor)


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except OSError as error:
        # A file that is mounted by itself, as into a container, cannot be replaced.
        if error.errno != errno.EBUSY or not target.exists():
            raise
        with temporary.open("rb") as content, target.open("r+b") as file:
            shutil.copyfileobj(content, file)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
