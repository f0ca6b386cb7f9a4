"""Bootstrap of a discovery: how often each term comes back, and intervals of the constants.

Each part of the data, a node's samples in a run, gets a random weight (the Bayesian bootstrap: weights of a
flat Dirichlet distribution), so that errors that hang together within a trajectory stay together.  For each
draw of weights the criterion of every law that the judge fitted is computed anew from its residuals at its
own fit (resampling of estimated log-likelihoods; fitting each law again would favour the larger ones, since
a bootstrap sample holds the noise of the samples and its own), and the constants of the law reported take
one Gauss-Newton step.  What no engine proposed cannot come back: frequencies are among the laws fitted.
Plain NumPy: on this size the import and compilation of JAX alone take longer than all of it.

Sources: Rubin 1981 (Bayesian bootstrap); Kishino, Miyata and Hasegawa 1990 (resampling of estimated
log-likelihoods); Bell and McCaffrey 2002 (the correction of scores for what a part itself draws the fit);
Carter, Schnepel and Steigerwald 2017 (the number of parts that counts where they differ in size).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import sympy
from scipy.special import ndtri, stdtrit

from jaxllc.dynamics.terms import Term
from jaxllc.errors import InputError
from jaxllc.fit.bounded_step import on_bound
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.fit.contributions import DataParts, contributions, data_parts
from jaxllc.fit.criterion import information_criterion
from jaxllc.fit.trajectory_fit import TrajectoryFit
from jaxllc.fit.trajectory_problem import TrajectoryProblem
from jaxllc.judge.judge import Judge, Judged
from jaxllc.knowledge.forcing_terms import is_forcing, written_constants
from jaxllc.law.confidence import OFTEN
from jaxllc.law.record import Confidence, TermFrequency
from jaxllc.metrics import skeleton

REPLICATES = 1000
_LEVELS = (2.5, 97.5)
# Best laws by the criterion that are compared; those behind them win no replicate.
_MOST_LAWS = 200
# Largest share of a constant's information that one part may hold before its score is no longer corrected.
_LARGEST_SHARE = 0.95
# Eigenvalue, relative to the largest, below which the data leave a direction of the constants open.
_OPEN = 1e-13


def draw_weights(
    num_parts: int, replicates: int = REPLICATES, seed: int | Sequence[int] = 0
) -> np.ndarray:
    """Weights of mean one, (replicate, part), from a flat Dirichlet distribution."""
    drawn = np.random.default_rng(seed).standard_exponential((replicates, num_parts))
    return drawn / drawn.mean(axis=1, keepdims=True)


def compared(
    judge: Judge, best: Judged, twins: Callable[[Judged, Judged], bool] | None = None
) -> list[Judged]:
    """The fitted laws that a replicate may choose from, the best of all samples first.

    twins: whether two laws are the same one, which then stands there once and gets the votes of both.
    """
    ranked = sorted(
        (j for j in judge.seen.values() if np.isfinite(j.criterion) and j is not best),
        key=lambda j: j.criterion,
    )
    laws = [best]
    for judged in ranked[: _MOST_LAWS - 1]:
        if twins is None or not any(twins(judged, other) for other in laws):
            laws.append(judged)
    return laws


def chosen_laws(
    judge: Judge, laws: Sequence[Judged], parts: DataParts, weights: np.ndarray
) -> np.ndarray:
    """Number of the law with the least criterion in each replicate, (replicate,)."""
    problem = judge.problem
    shape = problem.samples.shape
    samples = weights @ parts.sums(problem.mask)
    costs = np.array([j.law.num_constants * judge.penalty + judge.prices.of(j.law) for j in laws])
    with np.errstate(all="ignore"):  # states that have run away, which no replicate chooses
        rest = np.stack(
            [
                parts.sums(((problem.samples - j.fit.states.reshape(shape)) * problem.weight) ** 2)
                for j in laws
            ]
        )
        misfits = (weights @ rest.T) / samples[:, None]
        criterion = information_criterion(misfits, judge.num_samples, costs, judge.floor_ratio)
    return np.argmin(np.where(np.isnan(criterion), np.inf, criterion), axis=1)


def intervals(
    problem: TrajectoryProblem, fit: TrajectoryFit, parts: DataParts, weights: np.ndarray
) -> np.ndarray:
    """2.5 and 97.5 percentiles of the constants (inner ones themselves, not their logarithms), (constant, 2).

    nan where the data leave a constant open, and where it lies on a bound: there it is taken as given.
    """
    vector = fit.law.vector()
    result = np.full((len(vector), 2), np.nan)
    free = np.flatnonzero(~on_bound(fit.law))
    if fit.line is None or not len(free):
        return result
    with np.errstate(all="ignore"):
        scores, information = contributions(problem, fit.line, fit.states, parts)
        drawn = replicated(scores[:, free], information[:, free[:, None], free], weights)
        # A few parts that hold most of the information spread less than a normal distribution would.
        wider = stdtrit(drawn.parts, _LEVELS[1] / 100) / ndtri(_LEVELS[1] / 100)
        ends = np.tile(vector, (len(_LEVELS), 1))
        ends[:, free] += np.percentile(drawn.changes * wider, _LEVELS, axis=0)
    # Monotone in each constant, and kept within the bounds of the families.
    values = np.stack([fit.law.with_vector(end).values() for end in ends], axis=1)
    determined = free[drawn.determined]
    result[determined] = values[determined]
    return result


class Replicates(NamedTuple):
    """What weighted steps make of the constants.

    changes: (replicate, constant); determined: which constants the data determine; parts: how many parts of
    equal information would hold what the data say of each constant.
    """

    changes: np.ndarray
    determined: np.ndarray
    parts: np.ndarray


def replicated(scores: np.ndarray, information: np.ndarray, weights: np.ndarray) -> Replicates:
    """One Gauss-Newton step of the constants for each draw of weights, (replicate, part)."""
    total = information.sum(axis=0)
    count = len(total)
    if not (np.isfinite(total).all() and np.isfinite(scores).all()):
        open_ones = np.zeros(count, dtype=bool)
        return Replicates(np.zeros((len(weights), count)), open_ones, np.ones(count))
    scale = np.sqrt(np.maximum(np.diag(total), 1e-300))
    size, axes = np.linalg.eigh(total / scale[:, None] / scale[None])
    closed = size > _OPEN * size.max()
    known = (axes[:, ~closed] ** 2).sum(axis=1) < 1e-6
    # Coordinates in which the information of all parts is one.
    whiten = axes[:, closed] / np.sqrt(size[closed]) / scale[:, None]
    share = np.einsum("ca,gcd,db->gab", whiten, information, whiten, optimize=True)
    mu, turn = np.linalg.eigh(share)
    turned = np.einsum("gab,ga->gb", turn, scores @ whiten)
    # A part draws the fit towards itself: its residuals are smaller than its errors by 1 - mu.
    turned = turned / np.sqrt(1 - np.clip(mu, 0.0, _LARGEST_SHARE))
    corrected = np.einsum("gab,gb->ga", turn, turned)
    num_parts = len(corrected)
    pull = (weights - 1) @ corrected * np.sqrt((num_parts + 1) / num_parts)
    held = np.einsum("rg,gab->rab", weights, share, optimize=True)
    steps = np.linalg.solve(held, pull[:, :, None])[:, :, 0]
    variance = np.einsum("ca,gab,cb->gc", whiten, share, whiten, optimize=True)
    spread = variance.sum(axis=0) ** 2 / np.maximum((variance**2).sum(axis=0), 1e-300)
    return Replicates(steps @ whiten.T, known, np.maximum(spread, 1.0))


# -- the record --------------------------------------------------------------------------------------


def bootstrapped(
    judge: Judge,
    best: Judged,
    fit: TrajectoryFit,
    variables: tuple[str, ...],
    seed: int,
    replicates: int = REPLICATES,
    twins: Callable[[Judged, Judged], bool] | None = None,
) -> tuple[Confidence, list[tuple[Judged, float]]]:
    """The confidence of a law, and every compared law with its frequency, most frequent first.

    best: the law as the judge compared it; fit: its last fit, with its linearisation; twins: as `compared`.
    """
    parts = data_parts(judge.problem)
    num_parts = int(np.prod(judge.problem.samples.shape[1:3])) * parts.num_blocks
    weights = draw_weights(num_parts, replicates, [seed, 20])
    laws = compared(judge, best, twins)
    share = np.bincount(chosen_laws(judge, laws, parts, weights), minlength=len(laws)) / replicates
    bounds = intervals(judge.problem, fit, parts, weights)
    bounds = bounds[written_constants(fit.law.terms)]
    confidence = Confidence(
        float(share[0]),
        term_frequencies(laws, share, variables),
        tuple((float(low), float(high)) for low, high in bounds),
        replicates,
        num_parts,
        len(laws),
    )
    order = np.argsort(-share, kind="stable")
    return confidence, [(laws[k], float(share[k])) for k in order]


def term_frequencies(
    laws: Sequence[Any], share: np.ndarray, variables: tuple[str, ...]
) -> tuple[TermFrequency, ...]:
    """Terms of the first law as they stand in it, then those of others that come often, most often first.

    laws: anything with a `law`; share: of the replicates that choose each.
    """
    frequency: dict[Hashable, float] = {}
    first: dict[Hashable, tuple[int, Term]] = {}
    for judged, part in zip(laws, share, strict=True):
        for key, place in _kinds(judged.law).items():
            first.setdefault(key, place)
            frequency[key] = frequency.get(key, 0.0) + float(part)
    own = _kinds(laws[0].law)
    others = [k for k, value in frequency.items() if k not in own and value > OFTEN]
    others.sort(key=lambda k: -frequency[k])
    return tuple(
        TermFrequency(
            variables[first[key][0]],
            first[key][1].family.side,
            first[key][1].family.text,
            key in own,
            min(frequency[key], 1.0),
        )
        for key in [*own, *others]
    )


def _kinds(law: CandidateLaw) -> dict[Hashable, tuple[int, Term]]:
    """The terms of a law with their equations, by what makes two of them the same one."""
    return {
        (e, *_kind(t)): (e, t)
        for e, terms in enumerate(law.terms)
        for t in terms
        if not is_forcing(t.family)
    }


def _kind(term: Term) -> tuple[Hashable, ...]:
    """Side, number of inner constants and normal form: engines write one term in several ways."""
    try:
        form: Hashable = _skeleton(term.sympy())
    except InputError:
        form = term.family
    return term.family.side, len(term.inner), form


@lru_cache(maxsize=4096)
def _skeleton(expression: sympy.Expr) -> str:
    return str(skeleton(expression))
