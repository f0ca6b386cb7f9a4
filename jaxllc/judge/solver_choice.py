"""The best law and its close rivals finished through the solver, and chosen among again.

On the steps of the search laws are compared at optima that are right within the noise. Where several explain
the samples about as well, that may decide: each is fitted through the solver, and the criterion is asked once
more, the same as in the search.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxllc.fit.trajectory_fit import TrajectoryFit
from jaxllc.judge.judge import Judge, Judged
from jaxllc.running.time_limit import time_is_over

# Ten nats of the likelihood, in units of the criterion, which is -2 ln L; rivals that are finished, and laws
# among which these are looked for, since some of them are one law in two ways of writing.
_NEAR, _MOST, _LOOKED_AT = 20.0, 4, 12
# Other starts of the constants where a fit does not converge.
_RESTARTS = 3


def close_rivals(
    judge: Judge, best: Judged, twins: Callable[[Judged, Judged], bool]
) -> list[Judged]:
    """Other laws within ten nats of the best one, the likeliest first, each once.

    Where the best law meets the data exactly, only a smaller one can be better.
    """
    found = [best]
    for judged in judge.near(best, _NEAR, _LOOKED_AT):
        smaller = judged.law.num_constants < best.law.num_constants
        if judge.at_floor(best) and not smaller:
            continue
        if len(found) <= _MOST and not any(twins(judged, other) for other in found):
            found.append(judged)
    return found[1:]


def finished_choice(
    judge: Judge,
    best: Judged,
    last_fit: Callable[[Judge, Judged], TrajectoryFit],
    twins: Callable[[Judged, Judged], bool],
) -> Judged:
    """The best by the criterion of a law and its close rivals, all at their optima through the solver.

    last_fit: a law fitted with the covariance of its constants. The judge knows the laws by these fits then.
    """
    from jaxllc.fit.solver.solver_program import sharing_pays

    laws = [best, *close_rivals(judge, best, twins)]
    shared = sharing_pays(judge.problem, [judged.law for judged in laws])
    finished: list[Judged] = []
    for judged in laws:
        if time_is_over():
            break
        finished.append(judge.settled(finished_fit(judge, last_fit(judge, judged), shared)))
    return min(finished, key=lambda j: j.criterion, default=best)


def finished_fit(judge: Judge, fit: TrajectoryFit, shared: bool = False) -> TrajectoryFit:
    """A fit finished through the solver; as it is where the time is over.

    shared: by the program of all laws.
    """
    from jaxllc.fit.solver.solver_finish import finish_through_solver

    if time_is_over():
        return fit
    return finish_through_solver(judge.problem, fit, shared=shared, restarts=_RESTARTS)
