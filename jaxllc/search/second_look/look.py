"""A second look at a law that explains noisy samples: is there a shorter one, or a better one, near it?

The first search ranks sets of terms by smoothed samples, which mislead under noise and where samples are
coarse. A law that explains the samples gives a better metric (`likelihood_columns`), can be written with
fewer constants (`rewriting`), and teaches what its functions are (`teaching`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxllc.judge import moves
from jaxllc.judge.judge import Judge, Judged
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine
from jaxllc.search.second_look.rewriting import rewritten, shortened
from jaxllc.search.second_look.set_search import searched_again
from jaxllc.search.second_look.shortest import shortest
from jaxllc.search.second_look.teaching import taught
from jaxllc.search.second_look.ties import tied
from jaxllc.search.second_look.wide_terms import listed_terms

# Fall of the criterion from which on the regression is made anew around the better law; how often at most.
_MOVED, _ROUNDS = 30.0, 4
# Other laws in which ties are tried.
_NEARBY = 6


def second_look(
    search: SearchProblem,
    engine: SparseEngine,
    judge: Judge,
    best: Judged,
    engines: Sequence[str],
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> Judged:
    """The best law near a law that explains the samples, one equation after the other.

    engines: of expressions; seconds: of the search for one expression, at most.
    """
    for equation, name in enumerate(search.variables):
        candidates = listed_terms(search, equation)
        for _ in range(_ROUNDS):
            say(f"{name}: sets of terms")
            around = best
            for _ in range(_ROUNDS):
                if judge.late:
                    return best
                before = best
                sets = searched_again(search, engine, judge, best, equation, candidates)
                best = _cleared(judge, best, sets)
                # Where the law hardly moved, neither did the regression.
                if before.criterion - best.criterion < _MOVED:
                    break
            say(f"{name}: other forms")
            searched = best
            best = _cleared(judge, best, rewritten(judge, best, equation, search.prior))
            best = _cleared(judge, best, shortened(judge, best, equation, search.prior))
            taught_law = taught(search, judge, best, equation, engines, seconds, say)
            best = _cleared(judge, best, taught_law)
            if best is not around:
                best = _cleared(judge, best, shortened(judge, best, equation, search.prior))
            best = _cleared(judge, best, tied(judge, best, equation, search.prior))
            # Sets are searched again around a law of another form.
            if best is searched:
                break
    best = _cleared(judge, best, _tied_nearby(judge, best, len(search.variables), search.prior))
    return _cleared(judge, best, shortest(judge, best))


def _tied_nearby(judge: Judge, best: Judged, equations: int, prior: PriorKnowledge) -> Judged:
    """The best law with a tie in laws near it: what one constant less saves, another law may have cost."""
    for other in judge.near(best, judge.penalty, _NEARBY):
        for equation in range(equations):
            found = tied(judge, other, equation, prior)
            best = found if found.criterion < best.criterion - 1e-6 else best
    return best


def _cleared(judge: Judge, before: Judged, after: Judged) -> Judged:
    """A law that came out of a step, without the terms that it does not need any more."""
    return after if after is before else moves.dropped(judge, after)
