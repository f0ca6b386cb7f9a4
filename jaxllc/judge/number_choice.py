"""Of laws that the criterion hardly tells apart, the one whose constants are numbers that people write.

A law with the constants 1, 1/2 and twice the same number says more than one with four digits of each.
The message that its constants take is shorter by the bits that `law.snapping` counts, and the samples are
asked by a refit. A constant that is no such number is taken for one at times: a law has to win by evidence
that counts as very strong.
Sources: Wallace and Freeman 1987 (constants by message length); Kass and Raftery 1995 (evidence).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.trajectory_fit import TrajectoryFit
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.number_check import checked_numbers
from jaxllc.judge.standard_errors import reported_covariance, standard_errors
from jaxllc.law.record import Constant

# Units of the criterion by which a law may be worse, by which it must be better with its numbers, and how
# many laws are looked at.
_NEAR, _VERY_STRONG, _MOST = 6.0, 10.0, 4


def by_numbers(
    judge: Judge,
    best: Judged,
    last_fit: Callable[[Judge, Judged], TrajectoryFit],
    rows: Callable[[CandidateLaw, np.ndarray], list[Constant]],
) -> Judged:
    """The best law, or one near it whose constants are far shorter to write.

    last_fit: a law fitted with the covariance of its constants; rows: a law's constants with their errors.
    """
    near = judge.near(best, _NEAR, _MOST)
    if judge.late or not near:
        return best

    def with_numbers(judged: Judged) -> float:
        fit = last_fit(judge, judged)
        constants = rows(fit.law, standard_errors(fit))
        numbers = checked_numbers(judge, fit, constants, reported_covariance(judge, fit))
        return judged.criterion - (2 * math.log(2) * numbers.gain if numbers is not None else 0.0)

    own = with_numbers(best)
    for judged in near:
        if (other := with_numbers(judged)) < own - _VERY_STRONG:
            best, own = judged, other
    return best
