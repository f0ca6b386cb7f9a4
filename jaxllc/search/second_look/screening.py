"""Laws near another one, the most promising first, by one step of the trajectory fit to each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import screen
from jaxllc.judge.judge import Judge, Judged

# Predicted criterion above that of the best law up to which another one of no more constants is fitted.
SLACK = 12.0


def screened(
    judge: Judge, best: Judged, laws: Iterable[CandidateLaw]
) -> list[tuple[float, CandidateLaw]]:
    """Predicted criterion of each law that was not fitted before, and the law, best first."""
    options: list[tuple[float, int, CandidateLaw]] = []
    for law in laws:
        if law.key() in judge.seen or judge.late:
            continue
        merit = screen(judge.problem, law, best.fit.states)
        options.append((judge.criterion_of(law, merit), len(options), law))
    return [(score, law) for score, _, law in sorted(options, key=lambda o: o[:2])]


def first_better(
    judge: Judge, best: Judged, laws: Iterable[CandidateLaw], most: int | None = None
) -> Judged:
    """The first of the laws that is better when it is fitted, out of so many; else the best law."""
    for score, law in screened(judge, best, laws)[:most]:
        if score > best.criterion + SLACK or judge.late:
            break
        candidate = judge.fitted(law, best.fit.states)
        if candidate.criterion < best.criterion - 1e-6:
            return candidate
    return best


def while_better(
    judge: Judge, best: Judged, laws: Callable[[Judged], Iterable[CandidateLaw]]
) -> Judged:
    """The best law among those that `laws` makes of it, of the better one again, and so on."""
    before = None
    while before is not best and not judge.late:
        before = best
        best = first_better(judge, best, laws(best))
    return best
