"""The search for the expression of one term from its samples: engines propose, one judge decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import sympy

from jaxllc.errors import InputError, check_integer, check_number, listing
from jaxllc.running.stage_clock import stage_clock
from jaxllc.running.time_limit import check_time
from jaxllc.search.engines.enumeration import EnumerationEngine
from jaxllc.search.engines.operon import OperonEngine
from jaxllc.search.engines.pretrained import ShippedEngine
from jaxllc.search.engines.pysr import PySREngine
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.refit import prepare
from jaxllc.search.forms.search_work import SearchWork
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.term.input_reduction import reduced
from jaxllc.search.term.term_growth import ROUNDS, Residuals, grown
from jaxllc.search.term.term_judge import JudgedTerm, TermJudge
from jaxllc.settings.names import DEFAULT_ENGINES, check_engine

# The stage in which what a search needs is loaded and compiled, once in a process.
_PREPARATION = "preparation"
# Mean squares in units of the error: of an expression that explains the samples, and of one that leaves no
# room for a form with more constants where an engine may imitate.
_EXPLAINS, _ENOUGH = 1.2, 1.05


class NothingFoundError(InputError):
    """No engine proposed an expression that can be evaluated at the samples."""


class TermEngine(Protocol):
    """Proposes expressions for a term.

    It may also have `prepare()`, which loads and compiles what it needs; that is no part of a search's time;
    and `plain`, the number of constants above which the engines after it are asked too, although what it
    proposed explains the samples; and `by_the_clock`, true where only a clock ends it.
    """

    @property
    def name(self) -> str: ...

    def propose(
        self, samples: Samples, grammar: Grammar, seed: int, deadline: float
    ) -> list[sympy.Expr]:
        """Expressions in the samples' names with numbers, the simplest first.

        deadline: `time.perf_counter()` after which nothing more should be begun: for an engine by the clock
        the end of the seconds of the search, for others that of their safety net, since they count their work
        (`search_work`).
        """
        ...


@dataclass(frozen=True, eq=False)
class Candidate:
    """An expression on the front of a search.

    expression: in the samples' names, with its numbers. num_constants: fitted. residual: root mean square, in
    the units of the values. chi_squared: mean square in units of the samples' error. score: description
    length in nats, lower is better. engine: who proposed it. standard_errors: of its constants.
    """

    expression: sympy.Expr
    num_constants: int
    residual: float
    chi_squared: float
    score: float
    engine: str
    standard_errors: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class TermSearch:
    """Result of a search: the front, from few constants to many, and the best of it by score.

    candidates: all that were kept, best first.
    independent: number of independent samples the scores were reckoned with. seconds: by stage. finished:
    whether no clock ended the search, so that it does not depend on the machine (engines by the clock aside).
    complete: whether the search came to its own end; with more seconds it finds nothing else.
    """

    front: tuple[Candidate, ...]
    best: Candidate
    candidates: tuple[Candidate, ...]
    independent: float
    seconds: dict[str, float]
    finished: bool
    complete: bool = True


def term_engine(name: str) -> TermEngine:
    """The engine of a name; raises InputError for an unknown one."""
    if name == "sparse":
        return EnumerationEngine()
    check_engine(name)
    if name == "operon":
        return OperonEngine()
    if name == "pretrained":
        return ShippedEngine()

    return PySREngine()


def search_term(
    samples: Samples,
    engines: Sequence[str] = DEFAULT_ENGINES,
    seconds: float = 5.0,
    seed: int = 0,
    grammar: Grammar | None = None,
    independent: float | None = None,
) -> TermSearch:
    """Find the expression of a term.

    samples: of it, by `Samples.of`. engines: asked one after the other until one explains the samples. seed:
    of what they draw. grammar: what the expression may hold, by default Grammar(). seconds: of work,
    reckoned by fixed rates, so that the same samples, seconds and seed give the same expression on any
    machine, a busy one too: about so many on a free core, what is compiled once in a process not counted. A
    search that takes many times as long is ended by the clock, and says so in `finished`. independent:
    number of samples whose errors are independent of each other, fewer than the samples where errors are
    smooth; estimated from what the best expressions leave, if not given. Raises InputError for an unknown
    engine or a missing package.

    Example:
        >>> x = np.linspace(0.1, 2.0, 40)
        >>> samples = Samples.of(["x_i"], x[:, None], 2 * x - 3 * x**2)
        >>> search_term(samples, engines=("sparse",), seconds=1.0).best.num_constants
        2
    """
    from threadpoolctl import threadpool_limits

    if not isinstance(samples, Samples):
        raise InputError(
            f"samples must be Samples, not {type(samples).__name__}; Samples.of(names, points, values) "
            "makes them"
        )
    if grammar is not None and not isinstance(grammar, Grammar):
        raise InputError(f"grammar must be a Grammar, not {type(grammar).__name__}")
    engines = listing("engines", engines, "names", "('sparse',)")
    check_number("seconds", seconds, 0)
    check_integer("seed", seed, 0)
    if independent is not None:
        check_number("independent", independent, 0, above=True)
    # The matrices are small, and sums of another order of threads would make another search.
    work = SearchWork(seconds)
    with threadpool_limits(1), work.current():
        return _searched(samples, engines, work, seed, grammar or Grammar(), independent)


def _searched(
    samples: Samples,
    engines: Sequence[str],
    work: SearchWork,
    seed: int,
    grammar: Grammar,
    independent: float | None,
) -> TermSearch:
    spent: dict[str, float] = {}
    with work.apart(), stage_clock(spent, _PREPARATION):
        prepare()
    check_time()
    judge = TermJudge(samples, grammar, independent)
    best: list[JudgedTerm] = []
    smaller = reduced(samples, grammar)
    if smaller is not None:
        inner = TermJudge(smaller.samples, grammar, independent)
        found = _found(inner, engines, seed, work, spent)
        with stage_clock(spent, "judge"):
            again = [(smaller.restored(j.skeleton.numeric()), j.engine) for j in found]
            best = judge.judge(again)
    if not (best and (_explained(judge, best) or work.over)):
        best = _found(judge, engines, seed, work, spent, best)
    if not best:
        raise NothingFoundError(
            "no engine proposed an expression that can be evaluated at these samples"
        )
    candidates = [_candidate(judge, j) for j in best]
    return TermSearch(
        _front(candidates),
        candidates[0],
        tuple(candidates),
        judge.independent,
        spent,
        not work.cut,
        not (work.cut or work.used_up),
    )


def _found(
    judge: TermJudge,
    engines: Sequence[str],
    seed: int,
    work: SearchWork,
    spent: dict[str, float],
    best: Sequence[JudgedTerm] = (),
) -> list[JudgedTerm]:
    """What the engines find, one after the other until one explains the samples, with what grows out of
    the best, unless that has grown before and explains them.
    """
    best, plain, residuals = list(best), np.inf, Residuals(judge)
    proposers = [term_engine(name) for name in engines]
    for place, proposer in enumerate(proposers):
        enough = _EXPLAINS if plain == np.inf else _ENOUGH
        explained = bool(best) and judge.mean_square(best[0]) < enough
        explained = explained and best[0].num_constants <= plain
        if best and (explained or judge.certain(best[0]) or work.over):
            break
        plain = getattr(proposer, "plain", np.inf)
        closely = bool(best) and judge.mean_square(best[0]) < _ENOUGH
        if closely and hasattr(proposer, "below"):
            # Only something plainer can be better.
            proposer = proposer.below(best[0].num_constants)
        check_time()
        with work.apart(), stage_clock(spent, _PREPARATION):
            getattr(proposer, "prepare", lambda: None)()
        deadline = work.deadline_of(getattr(proposer, "by_the_clock", False))
        with stage_clock(spent, proposer.name):
            proposals = proposer.propose(judge.samples, judge.grammar, seed, deadline)
        with stage_clock(spent, "judge"):
            found = judge.judge([(e, proposer.name) for e in proposals])
            best = judge.merged(judge.rescored([*best, *found]))
        if best and (best[0].engine == proposer.name or not _explained(judge, best)):
            with stage_clock(spent, "growth"):
                # One round tells whether it is worth it, where another engine may know better.
                more = place + 1 < len(proposers) and not _explained(judge, best)
                best = grown(residuals, best, rounds=1 if more else ROUNDS)
    return best


def _explained(judge: TermJudge, best: Sequence[JudgedTerm]) -> bool:
    return judge.mean_square(best[0]) < _EXPLAINS


def _candidate(judge: TermJudge, judged: JudgedTerm) -> Candidate:
    samples = judge.samples
    mean = judge.mean_square(judged)
    # The samples' errors are a level; they need not be independent of each other.
    inflation = mean * len(samples.values) / judge.independent
    return Candidate(
        judged.skeleton.numeric(),
        judged.num_constants,
        float(np.sqrt(mean / np.mean(1 / samples.error**2))),
        mean,
        judged.score,
        judged.engine,
        tuple(map(float, judged.standard_errors(inflation))),
    )


def _front(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those that no other beats in both constants and residual, and the best by score."""
    front: list[Candidate] = []
    lowest = np.inf
    for candidate in sorted(candidates, key=lambda c: (c.num_constants, c.chi_squared)):
        if candidate.chi_squared < lowest or candidate is candidates[0]:
            lowest = min(lowest, candidate.chi_squared)
            front.append(candidate)
    return tuple(front)
