"""What a sweep does, as bytes for a process that runs the same code: sent to it, never put into a file.

Unpacking runs whatever the bytes say, so it is for what the process that started this one, or the cluster
that this worker belongs to, has sent.
"""

from __future__ import annotations

import pickle

from jaxllc.errors import InputError
from jaxllc.sweeps.work import Work


def packed(work: Work, where: str) -> bytes:
    """The work as bytes; raises InputError where a part of it cannot leave this process. where: for whom.

    Functions without a module that can be imported, such as those of a notebook, need cloudpickle.
    """
    try:
        try:
            from cloudpickle import dumps
        except ImportError:
            from pickle import dumps
        return dumps(work)
    except Exception as error:
        raise InputError(
            f"what the sweep runs cannot be sent to {where} ({error}); leave out what belongs to this "
            "process, such as open files, locks and devices"
        ) from error


def unpacked(content: bytes) -> Work:
    """The work that `packed` made these bytes of."""
    return pickle.loads(content)  # noqa: S301 - never of a file
