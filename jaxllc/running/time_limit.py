"""How long a search may take: one limit for all of its parts, asked by whoever is about to begin more.

Parts that end by themselves look at `over` between two pieces of work.  Long pieces call `check_time`, which
gives them up by `TimeOverError` once there is a law to fall back on.  What a search decides while there is
time does not depend on the clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

clock = time.perf_counter

# Seconds that the compilation of a stage may take.
_COMPILATION = 8.0

# Shares of the time that are kept at most for what follows the search: all of it, and all but forecasts.
_LARGEST_CLOSING, _LARGEST_LAST = 0.4, 0.3
# How many times the longest fit of a law they take.
_CLOSING, _LAST = 4.0, 2.0


class TimeOverError(Exception):
    """The time of a search is over in the middle of a piece of work; no error of a user."""


class TimeLimit:
    """The seconds of a search from now on.

    reached: whether something was left out because they were over; share_reached: the same for a part that
    had a share of them; ended: what to say of an interrupt, empty where there was none; armed: whether
    `check_time` may give work up; longest_fit, simulation: seconds that a fit of a law and a simulation of
    the samples take.
    """

    def __init__(self, seconds: float) -> None:
        self.started, self.seconds = clock(), seconds
        self.reached = self.share_reached = self.armed = False
        self.ended = ""
        self.searching, self.longest_fit, self.simulation = True, 0.0, 0.0

    @property
    def closing(self) -> float:
        """Seconds kept for the forecasts, the last fit, its simulation and the bootstrap."""
        needed = _CLOSING * self.longest_fit + self.simulation
        return min(_LARGEST_CLOSING * self.seconds, needed)

    @property
    def last(self) -> float:
        """Seconds of these that are kept for all but the forecasts."""
        needed = _LAST * self.longest_fit + self.simulation
        return min(_LARGEST_LAST * self.seconds, needed)

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return clock() - self.started

    def left(self, kept: float | None = None) -> float:
        """Seconds until only those that are kept are left, by default those for the closing."""
        if self.ended:
            return 0.0
        kept = self.closing if kept is None else kept
        return self.started + self.seconds - kept - clock()

    def fitted(self, seconds: float) -> None:
        """A law was fitted in so many seconds: from now on a search has something to fall back on."""
        self.longest_fit = max(self.longest_fit, seconds)
        self.armed |= self.searching

    def interrupt(self, stage: str) -> None:
        """Let the time be over from now on, whatever is left of it."""
        self.ended = (
            f"Interrupted after {self.spent:.1f} seconds, in the stage {stage!r}: this is the best law so "
            f"far; with more time the search may find another."
        )

    def notes(self, cut_short: bool = False) -> list[str]:
        """Whether an interrupt or the time ended the search, or a share of it a part; cut_short: one did."""
        if self.ended:
            return [self.ended]
        if not (self.reached or self.share_reached or cut_short):
            return []
        what = "The search" if self.reached else "A part of the search"
        which = "its time limit" if self.reached else "its share of the time"
        return [
            f"{what} was stopped at {which} (search_seconds = {self.seconds:g}); with more time it may find "
            f"another law."
        ]

    def close(self) -> None:
        """The search is over; what is left to do is done."""
        self.searching = self.armed = False

    def over(self, kept: float | None = None) -> bool:
        """Whether no time is left; whoever asks leaves something out then."""
        over = self.left(kept) <= 0
        self.reached |= over and not self.ended
        return over

    def may_compile(self) -> bool:
        """Whether there is time for a stage that begins with a compilation, which cannot be given up."""
        return not self.over(self.closing + _COMPILATION)

    def share_over(self, share: float) -> bool:
        """Whether a share of the time from its start has passed."""
        if self.ended:
            return True
        over = clock() > self.started + share * self.seconds
        self.share_reached |= over
        return over

    def half_over(self, left: float) -> bool:
        """Whether half of the time has passed since so much of it was left."""
        over = self.left() < 0.5 * left
        self.share_reached |= over and not self.ended
        return over

    @contextmanager
    def current(self) -> Iterator[None]:
        """For the block this is the limit that `check_time` and `time_is_over` ask."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    @contextmanager
    def may_give_up(self) -> Iterator[None]:
        """A block that is left where the time is over, and otherwise nothing is given up after it."""
        self.armed = True
        try:
            yield
        except TimeOverError:
            pass
        finally:
            self.armed = False

    @property
    def cut(self) -> bool:
        """Whether anything was left out."""
        return self.reached or self.share_reached or bool(self.ended)


_CURRENT: ContextVar[TimeLimit | None] = ContextVar("limit", default=None)


def current_limit() -> TimeLimit | None:
    """The limit of the search that is under way, or None."""
    return _CURRENT.get()


def check_time() -> None:
    """Raises TimeOverError where the time of the search is over and it has something to fall back on."""
    limit = _CURRENT.get()
    if limit is not None and limit.armed and limit.over():
        raise TimeOverError


def time_is_over(kept: float | None = None) -> bool:
    """Whether the time of the search that is under way is over, if there is one."""
    limit = _CURRENT.get()
    return limit is not None and limit.over(kept)


def seconds_left(most: float) -> float:
    """What is left for a part of the search that would take at most so many seconds."""
    limit = _CURRENT.get()
    return most if limit is None else max(0.0, min(most, limit.left()))
