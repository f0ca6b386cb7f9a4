"""Steps accepted or damped: the loop that all fits by Levenberg-Marquardt and by Gauss-Newton share.

A step is proposed at a damping and judged. A better one is taken, and the next is damped less; one that is
not better is proposed again, damped more. What a step is and when it is better, each fit says itself.
Source: Marquardt (1963); a step of Gauss-Newton that is shortened until it is better is the damped
Gauss-Newton method (Nocedal and Wright 2006, chapter 10).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

Point = TypeVar("Point")
Choose = Callable[[Any, Any, Any], Any]


def either(condition: Any, first: Any, other: Any) -> Any:
    """The first of two if a condition holds; traced values need a `where` in its place."""
    return first if condition else other


class Damping(NamedTuple):
    """The damping of Levenberg-Marquardt, relative to the diagonal of the Gauss-Newton matrix.

    start: of the first step; eased_by: what it is divided by after a step that was better; raised_by: what it
    is multiplied by after one that was not; smallest: it does not fall below; least_raised: a failure raises
    it to this at least; largest: no step is tried beyond; tries: of one step, at most.
    """

    start: float
    eased_by: float
    raised_by: float
    smallest: float
    least_raised: float = 0.0
    largest: float = math.inf
    tries: float = math.inf

    def updated(self, damping: Any, better: Any, choose: Choose = either) -> Any:
        """The damping after a step that was better or was not."""
        eased, raised = damping / self.eased_by, damping * self.raised_by
        eased = choose(eased > self.smallest, eased, self.smallest)
        raised = choose(raised > self.least_raised, raised, self.least_raised)
        return choose(better, eased, raised)

    def allows(self, damping: Any) -> Any:
        """Whether a step is tried at a damping."""
        return damping <= self.largest


class Shortening(NamedTuple):
    """Shares of a Gauss-Newton step, the longest first, in the place of dampings; each step begins anew."""

    shares: tuple[float, ...]

    @property
    def start(self) -> float:
        """The whole step."""
        return self.shares[0]

    @property
    def tries(self) -> float:
        """Of one step, at most."""
        return len(self.shares)

    def updated(self, damping: Any, better: Any, choose: Choose = either) -> Any:
        """The share after a step that was better or was not; none after the shortest."""
        shorter = max((s for s in self.shares if s < damping), default=0.0)
        return choose(better, self.start, shorter)

    def allows(self, damping: Any) -> Any:
        """Whether a step has any length."""
        return damping > 0.0


Rule = Damping | Shortening


class State(NamedTuple, Generic[Point]):
    """point: where a fit stands; damping: of the step from there."""

    point: Point
    damping: Any


def judged(
    state: State[Point], proposed: Any, better: Any, rule: Rule, choose: Choose = either
) -> State[Point]:
    """The state after a step to a proposed point: there if it is better, and the damping of the next."""
    point = choose(better, proposed, state.point)
    return State(point, rule.updated(state.damping, better, choose))


def accepted(
    state: State[Point], propose: Callable[[float], Point | None], rule: Rule
) -> State[Point] | None:
    """The state after the first of ever more damped steps that is better; None where none is.

    propose: the point that the step from here leads to at a damping, None where it is not better.
    """
    tried = 0
    while tried < rule.tries and rule.allows(state.damping):
        point = propose(state.damping)
        state = judged(state, point, point is not None, rule)
        if point is not None:
            return state
        tried += 1
    return None
