"""Of laws that the data hardly tell from the best one, the shortest.

The best of hundreds of laws with one more term gains a few units by chance, whatever the price of a term:
what was added to a law has to earn more than a law of another kind.
"""

from __future__ import annotations

from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.judge.judge import Judge, Judged

# Units of the criterion that a law with terms left out may be worse, and any other one of fewer constants.
_PART_OF_IT, _ANOTHER = 3.0, 0.5


def shortest(judge: Judge, best: Judged) -> Judged:
    """The law of fewest constants among the laws about as good as the best that were fitted.

    Laws that a part of them is about as good as do not count as the best.
    """
    laws = sorted(
        (j for j in judge.seen.values() if j.fit.finite),
        key=lambda j: (j.criterion, j.law.num_constants),
    )
    laws = [best, *(j for j in laws if j is not best)]
    lean = [j for j in laws if not any(_outdone(j, other) for other in laws)]
    top = min(lean, key=lambda j: j.criterion, default=best)
    good = [j for j in lean if j.criterion <= top.criterion + _ANOTHER]
    return min([top, *good], key=lambda j: (j.law.num_constants, j.criterion))


def _outdone(larger: Judged, smaller: Judged) -> bool:
    """Whether a part of a law is about as good as all of it."""
    return (
        smaller.law.num_constants < larger.law.num_constants
        and smaller.criterion <= larger.criterion + _PART_OF_IT
        and is_part(smaller.law, larger.law)
    )


def is_part(smaller: CandidateLaw, larger: CandidateLaw) -> bool:
    """Whether each equation of a law holds no other terms than that of another law."""
    return all(one <= other for one, other in zip(smaller.key(), larger.key(), strict=True))
