"""Waiting for compiled programs: an interrupt is heard at once, and a program that stands still is said.

A program of JAX is begun, and its arrays are looked at until they are there: a wait inside of them would be
deaf to signals until the last step, and for ever where the threads of the device wait for each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import jax

_LOOK = 0.05  # seconds between two looks, at most; a hundredth of the time waited before that
# A process that took next to no processor time for so many seconds stands still, if it computes on the CPU.
_IDLE, _IDLE_SHARE, _PART = 60.0, 0.05, 0.05
# However busy the process is: a long multiple of what the same work took before, and never less than this.
_USUAL, _LEAST = 100.0, 1800.0

# Whether a program stood still in this process, which may not end by itself then.
lost = False

# Programs and shapes that were compiled; to look again takes milliseconds.
_known: set[Any] = set()
_MOST_KNOWN = 500


class StalledError(RuntimeError):
    """A program made no progress any more; its devices are lost to this process."""


def finished(arrays: Any, usual: float | None = None) -> Any:
    """The arrays, once they are computed; an interrupt is heard meanwhile.

    usual: seconds that the same work took before, if it is known. Raises StalledError where nothing moves: on
    a CPU, where the process took next to no processor time for a minute and 20 times the usual time;
    anywhere, after 100 times the usual time and half an hour. Time in which the process was stopped does not
    count.
    """
    global lost
    own = jax.default_backend() == "cpu"
    clock = _Clock()
    for leaf in jax.tree.leaves(arrays):
        while hasattr(leaf, "is_ready") and not leaf.is_ready():
            time.sleep(min(_LOOK, max(1e-4, 0.01 * clock.waited)))
            clock.look()
            stands = own and clock.idle > max(_IDLE, 20 * (usual or 0))
            if stands or clock.waited > max(_LEAST, _USUAL * (usual or float("inf"))):
                lost = True
                raise StalledError(
                    f"nothing moves for {clock.idle if stands else clock.waited:.0f} seconds: the threads of "
                    "the device wait for each other, and are lost to this process"
                )
    return arrays


class _Clock:
    """Seconds waited, and seconds at the end of them in which the process took next to no processor time."""

    def __init__(self) -> None:
        self.waited = self.idle = self._part = 0.0
        self._last, self._used = time.monotonic(), time.process_time()

    def look(self) -> None:
        """Count the time since the last look, a second at most: the process may have been stopped."""
        now = time.monotonic()
        passed = min(now - self._last, 1.0)
        self._last = now
        self.waited += passed
        self._part += passed
        if self._part > _PART * _IDLE:
            used = time.process_time()
            busy = used - self._used > _IDLE_SHARE * self._part
            self.idle = 0.0 if busy else self.idle + self._part
            self._part, self._used = 0.0, used


def compiled(program: Any, *arguments: Any, **named: Any) -> None:
    """Compile a jitted program for its arguments; an interrupt is heard, and the call after it is at once.

    A plain function has nothing to compile.
    """
    if not hasattr(program, "lower"):
        return
    leaves, tree = jax.tree.flatten((arguments, named))
    kinds = [(x.shape, str(x.dtype)) if hasattr(x, "dtype") else x for x in leaves]
    key = (program, tree, tuple(kinds), jax.config.read("jax_enable_x64"))
    if key not in _known:
        aside(program.lower(*arguments, **named).compile)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known.add(key)


def aside(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises, done by a thread, which an interrupt leaves to itself."""
    done = threading.Event()
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)
        done.set()

    # No daemon: that would be torn out of the compiler where the process ends before it.
    threading.Thread(target=run, name="jaxllc-compile").start()
    # Without a time limit a wait for a lock is deaf on some platforms.
    while not done.wait(_LOOK):
        pass
    if failure:
        raise failure[0]
    return result[0]


def computed(program: Any, *arguments: Any, usual: float | None = None, **named: Any) -> Any:
    """program(*arguments, **named) of a jitted program, computed to the end; see `compiled`, `finished`."""
    compiled(program, *arguments, **named)
    return finished(program(*arguments, **named), usual)


class Pace:
    """Runs a program again and again, and knows what a unit of its work takes, without the compilation."""

    def __init__(self) -> None:
        self.usual: float | None = None

    def computed(self, program: Any, *arguments: Any, units: float = 1.0) -> Any:
        """As the function, for so many units of work."""
        compiled(program, *arguments)
        began = time.perf_counter()
        usual = None if self.usual is None else self.usual * units
        result = finished(program(*arguments), usual)
        self.usual = max(self.usual or 0.0, (time.perf_counter() - began) / units)
        return result
