"""How much a search of one term may do: work is counted as it is done, so that no clock says what is found.

Each kind of work has a rate, measured once; seconds ask for as much as takes so many on the machine of the
rates. The clock is a safety net far beyond, whose use a search says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from jaxllc.running.time_limit import clock, seconds_left, time_is_over

# Processor seconds of one unit on a core of x86-64, with what is done around it: `benchmarks/search_rates.py`
# measures them, and they told the time of 24 searches within a factor of 0.80 to 1.15. Tapes, which go with
# forms and steps, took nothing of their own.
RATES = {
    # A form of an expression; a tape written for a fit; an operation on a block of samples in one step of it.
    "forms": 3.0e-4,
    "tapes": 0.0,
    "steps": 4.9e-6,
    # A value of a feature; the same seen by one set of a beam, by one pair, by one product of factors.
    "cells": 4.1e-8,
    "beam": 7.8e-11,
    "pairs": 6.9e-11,
    "factors": 4.0e-10,
    # A sum of features with coefficients; what a model writes about some samples; a sample in a local
    # regression, for each entry of its matrix.
    "sums": 9.6e-4,
    "views": 5.3e-2,
    "neighbours": 2.5e-7,
}
# How many times the seconds that were asked for the clock may show before it ends a search.
_PATIENCE = 30.0


class SearchWork:
    """Work that a search may do from now on.

    seconds: of work at the rates; done: seconds of it so far; amounts: of each kind. used_up: whether
    something was left out because all of it was done; cut: because a clock said so, its own or that of a
    discovery.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.done = seconds, 0.0
        self.amounts = dict.fromkeys(RATES, 0.0)
        self.begun = clock()
        self.used_up = self.cut = False

    def spend(self, kind: str, amount: float) -> None:
        """So much of a kind is being done."""
        self.amounts[kind] += amount
        self.done += RATES[kind] * amount

    def deadline_of(self, by_the_clock: bool) -> float:
        """When the clock ends an engine: at the end of the seconds or, where it counts its work, of the
        safety net; or with the discovery that the search is part of."""
        patience = 1.0 if by_the_clock else _PATIENCE
        return min(self.begun + patience * self.seconds, clock() + seconds_left(np.inf))

    @property
    def over(self) -> bool:
        """Whether nothing more is to be begun; whoever asks leaves something out then."""
        if self.done >= self.seconds:
            self.used_up = True
        elif clock() > self.begun + _PATIENCE * self.seconds or time_is_over():
            self.cut = True
        return self.used_up or self.cut

    @contextmanager
    def apart(self) -> Iterator[None]:
        """A block whose seconds do not count for the clock."""
        begun = clock()
        try:
            yield
        finally:
            self.begun += clock() - begun

    @contextmanager
    def current(self) -> Iterator[None]:
        """For the block this is the work that `spend` and `work_is_over` are about."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)


_CURRENT: ContextVar[SearchWork | None] = ContextVar("work", default=None)


def spend(kind: str, amount: float) -> None:
    """Count work of the search that is under way, if there is one."""
    work = _CURRENT.get()
    if work is not None:
        work.spend(kind, amount)


def work_is_cut() -> bool:
    """Whether a clock has ended the search that is under way."""
    work = _CURRENT.get()
    return work is not None and work.cut


def work_is_over(deadline: float = np.inf) -> bool:
    """Whether the search that is under way has done its work, or a time of the clock has passed."""
    work = _CURRENT.get()
    return (work is not None and work.over) or clock() > deadline
