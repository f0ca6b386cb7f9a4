"""Proposals from the neural terms: their values where the data lie, searched f and g apart.

The library is searched first, then the engines look for expressions that no library lists. Nets see forms
that no set of integrated columns ranks first; the judge decides on the data all the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxllc.dynamics.terms import (
    INTERACTION,
    SELF,
    Term,
    TermFamily,
    inner_symbol,
)
from jaxllc.equations.expression_calculus import derivative, evaluate
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.neural.neural_fit import NeuralFit, TermSamples, fit_neural_terms
from jaxllc.running.time_limit import check_time, current_limit
from jaxllc.search.forms.term_samples import Samples
from jaxllc.search.forms.whole_numbers import fitting_units
from jaxllc.search.laws.net_reading import (
    REDUCED_ERROR,
    RELATIVE_ERROR,
    Reading,
    read_by,
    reading,
)
from jaxllc.search.laws.reduced_columns import Reduced
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import refined
from jaxllc.search.laws.sparse_sets import Proposal, beam_search
from jaxllc.search.term.term_search import NothingFoundError, search_term

_POINTS = 600
# Steps of the finish of the nets through the solver; later ones gain less than a thousandth of chi-square.
_SOLVER_STEPS = 20
# Expressions of one side that are tried with nothing beside the known terms of the other.
_BESIDE_KNOWN = 6
# Samples of a net whose errors count as independent.
_INDEPENDENT = 40.0


class Searched(NamedTuple):
    """Equations for each variable out of searches of expressions, and whether these came to their ends.

    pool: terms of all expressions, each family once.
    """

    proposals: list[list[ProposedEquation]]
    finished: bool
    pool: tuple[Term, ...] = ()


def fitted_neural_terms(
    problem: SearchProblem,
    seed: int,
    structures: bool = False,
    solver: bool = False,
    seconds: float | None = None,
) -> NeuralFit:
    """The two neural terms of a problem, within what is left of the time.

    structures: look for the simplest interaction that explains the samples, on rates where these are clean.
    solver: finish them through the differentiable solver. seconds: after which no step is begun.
    """
    limit = current_limit()
    given = [s for s in (seconds, None if limit is None else limit.left()) if s is not None]
    fit = fit_neural_terms(
        problem.data,
        problem.network,
        seed=seed,
        time_budget=min(given, default=None),
        reduce=structures,
        rates=None if structures else False,
        solver_steps=_SOLVER_STEPS if solver else 0,
    )
    check_time()
    return fit


def neural_proposals(
    problem: SearchProblem,
    fit: NeuralFit,
    law: CandidateLaw,
    seed: int,
    max_terms: int,
    largest: int = 14,
) -> list[list[ProposedEquation]]:
    """Equations for each variable: what explains the self term with what explains the interaction term.

    fit: neural terms; law: the best so far, whose known terms are taken out of them.
    """
    own, pair = fit.sample_terms(_POINTS, seed)
    own, pair = without_known(problem, own, law), without_known(problem, pair, law)
    own_terms = [t for t in problem.library if _reads(t, own) and t.family.side == SELF]
    pair_terms = [t for t in problem.library if _reads(t, pair) and t.family.side != SELF]
    own_reduced, pair_reduced = _reduce(own, own_terms, problem), _reduce(pair, pair_terms, problem)
    proposals = []
    for variable in range(len(problem.variables)):
        selves = _front(own_reduced[variable], min(4, max_terms))
        pairs = _front(pair_reduced[variable], min(3, max_terms))
        options = []
        for p, q in _together(selves, pairs)[:largest]:
            terms = [own_reduced[variable].terms[k] for k in p.positions]
            terms += [pair_reduced[variable].terms[k] for k in q.positions]
            terms = [t for t in terms if not problem.prior.holds(variable, t.family)]
            if 0 < len(terms) <= max_terms:
                options.append(_refined(problem, variable, terms, law))
        proposals.append(options)
    return proposals


def searched_proposals(
    problem: SearchProblem,
    fit: NeuralFit,
    law: CandidateLaw,
    seed: int,
    max_terms: int,
    engines: Sequence[str],
    seconds: float,
    largest: int = 12,
    taken: CandidateLaw | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Searched:
    """Equations for each variable out of expressions that the engines find for either neural term.

    fit, law: as in `neural_proposals`. taken: the law whose known terms are taken out of the nets, where that
    is another one, since the constants of the known terms have not been fitted yet.
    """
    own, pair = (without_known(problem, s, taken or law) for s in fit.sample_terms(_POINTS, seed))
    equations = range(len(problem.variables))
    known = any(f.side == INTERACTION for v in equations for f in problem.prior.of_variable(v))
    # Where structures were compared, nets are the better for it.
    least = REDUCED_ERROR if len(fit.tried) > 1 else RELATIVE_ERROR
    readings = {
        SELF: Reading(read_by(own, fit.structure, problem.variables), least),
        INTERACTION: reading(pair, fit.structure, problem.variables, least, known),
    }
    proposals, finished = [], True
    pool: dict[TermFamily, Term] = {}
    for variable, name in enumerate(problem.variables):
        sides = []
        for side, read in readings.items():
            say(f"{name}: expressions of the {side} term")
            found, whole = _expressions(problem, read, name, side, engines, seconds)
            sides.append(found)
            finished &= whole
            for term in (t for one in found for t in one.terms):
                if problem.prior.is_consistent(term.family):
                    pool.setdefault(term.family, term)
        options = []
        free = {f.side for f in problem.prior.fitted(variable)}
        for first, second in _paired(sides, [side in free for side in readings], largest):
            both = [fitting_units(t, problem.prior) for t in (*first.terms, *second.terms)]
            # What is known is in the law already.
            new = [t for t in dict.fromkeys(both) if not problem.prior.holds(variable, t.family)]
            terms = problem.prior.beside_known(variable, new)
            if bool(terms or (free and not new)) and len(terms) <= max_terms:
                option = tried(problem, variable, terms, law)
                if option is not None:
                    options.append(option)
        proposals.append(options)
    return Searched(proposals, finished, tuple(pool.values()))


def _paired(
    sides: Sequence[Sequence[_Side]], known: Sequence[bool], largest: int
) -> list[tuple[_Side, _Side]]:
    """Pairs of expressions by the sum of their scores; and with nothing beside known terms of a side, which
    may say all that the net of this side does."""
    nothing = _Side((), 0.0)
    pairs = itertools.product(sides[0], sides[1])
    ranked = sorted(pairs, key=lambda pq: pq[0].score + pq[1].score)[:largest]
    first, second = (list(side[:_BESIDE_KNOWN]) for side in sides)
    if any(known):
        selves = [nothing] if known[0] else first
        ranked += itertools.product(selves, [nothing] if known[1] else second)
    if all(known):
        ranked += [(one, nothing) for one in first] + [(nothing, one) for one in second]
    return ranked


def without_known(problem: SearchProblem, samples: TermSamples, law: CandidateLaw) -> TermSamples:
    """Samples of the neural terms of a side without the known terms, as a law has them."""
    side = INTERACTION if any(n.endswith("_j") for n in samples.input_names) else SELF
    values = dict(samples.values)
    for name, known in zip(problem.variables, law.known_terms(), strict=True):
        for term, coefficient in known:
            if term.family.side == side and _reads(term, samples):
                memo = {**samples.columns, **term.by_inner}
                with np.errstate(all="ignore"):
                    part = coefficient * np.asarray(evaluate(term.family.expression, memo))
                values[name] = values[name] - np.nan_to_num(part)
    return samples._replace(values=values)


class _Side(NamedTuple):
    """Terms of one candidate expression of a neural term."""

    terms: tuple[Term, ...]
    score: float


def _expressions(
    problem: SearchProblem,
    read: Reading,
    name: str,
    side: str,
    engines: Sequence[str],
    seconds: float,
) -> tuple[list[_Side], bool]:
    """The candidates for one neural term, the empty one included, best first; whether the search finished."""
    samples = read.samples
    values = samples.values[name]
    least = read.least * max(float(np.std(values)), 1e-12)
    error = np.sqrt(samples.error[name] ** 2 + least**2)
    nothing = _Side((), float(0.5 * _INDEPENDENT * np.log1p(np.mean((values / error) ** 2))))
    given = Samples.of(samples.input_names, samples.points, values, error)
    try:
        search = search_term(given, engines, seconds, problem.seed, problem.grammar)
    except NothingFoundError:
        return [nothing], True
    found = [_Side(tuple(read.terms(c.expression, side)), c.score) for c in search.candidates]
    return sorted([*found[:8], nothing], key=lambda s: s.score), search.finished


def tried(
    problem: SearchProblem, variable: int, terms: Sequence[Term], law: CandidateLaw
) -> ProposedEquation | None:
    """The equation refined on the data; None where it cannot be evaluated there."""
    try:
        with np.errstate(all="ignore"):
            option = _refined(problem, variable, terms, law)
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return None
    return option if np.isfinite(option.residual) else None


def _reads(term: Term, samples: TermSamples) -> bool:
    needed = term.family.expression.free_symbols - term.family.inner_symbols
    return {s.name for s in needed} <= set(samples.input_names)


def _reduce(samples: TermSamples, terms: Sequence[Term], problem: SearchProblem) -> list[Reduced]:
    """Columns of the terms at the samples for each variable, weighted by the net's own errors."""
    blocks = []
    for term in terms:
        memo = {**samples.columns, **term.by_inner}
        expressions = [term.family.expression]
        expressions += [
            derivative(term.family.expression, inner_symbol(k))
            for k in range(term.family.num_inner)
        ]
        with np.errstate(all="ignore"):
            columns = [
                np.broadcast_to(evaluate(e, memo), (len(samples.points),)) for e in expressions
            ]
        blocks.append(np.stack(columns, axis=1))
    reduced = []
    for name in problem.variables:
        values = samples.values[name]
        least = RELATIVE_ERROR * max(
            float(np.std(values)), 1e-3 * float(np.abs(values).max()), 1e-12
        )
        weight = 1.0 / np.sqrt(samples.error[name] ** 2 + least**2)
        kept, columns, first, width, position = [], [], [], [], 0
        for term, block in zip(terms, blocks, strict=True):
            weighted = block * weight[:, None]
            norm = np.sqrt((weighted**2).sum(axis=0))
            if not np.all(np.isfinite(norm)) or norm[0] == 0:
                continue
            kept.append(term)
            columns.append(weighted / np.where(norm > 0, norm, 1.0))
            first.append(position)
            width.append(block.shape[1])
            position += block.shape[1]
        target = (values * weight)[:, None]
        reduced.append(
            Reduced(
                kept,
                np.concatenate(columns, axis=1),
                np.array(first),
                np.array(width),
                target,
                np.zeros(1),
                np.array([len(values)]),
            )
        )
    return reduced


def _front(reduced: Reduced, max_terms: int, per_size: int = 2) -> list[Proposal]:
    """The best few sets of each size, the empty one included."""
    found = beam_search(reduced, 0, floor=1.0, max_terms=max_terms, beam=12, patience=2)
    target = reduced.targets[:, 0]
    empty = Proposal((), 0.0, float(target @ target))
    chosen: dict[int, list[Proposal]] = {0: [empty]}
    for proposal in sorted(found, key=lambda p: p.residual):
        chosen.setdefault(len(proposal.positions), []).append(proposal)
    return [p for options in chosen.values() for p in options[:per_size]]


def _together(selves: list[Proposal], pairs: list[Proposal]) -> list[tuple[Proposal, Proposal]]:
    """Pairs by the sum of their criteria: what each leaves, and two for each term."""

    def cost(proposal: Proposal) -> float:
        return float(np.log1p(proposal.residual) + 0.3 * len(proposal.positions))

    both = [(p, q) for p in selves for q in pairs]
    return sorted(both, key=lambda pq: cost(pq[0]) + cost(pq[1]))


def _refined(
    problem: SearchProblem, variable: int, terms: Sequence[Term], law: CandidateLaw
) -> ProposedEquation:
    # Known terms start from the constants of the best law so far.
    now = law.known_terms()[variable]
    terms = [*(t for t, _ in now if t.num_constants), *terms]
    return refined(problem, variable, terms)
