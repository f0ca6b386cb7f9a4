"""What the data say about what a user knew: known terms that do not fit, bounds that are met, demands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sympy

from jaxllc.data.trajectories import Trajectories
from jaxllc.dynamics.terms import Term
from jaxllc.errors import InputError
from jaxllc.fit.bounded_step import on_bound
from jaxllc.fit.candidate_law import CandidateLaw, ProposedEquation
from jaxllc.judge import moves
from jaxllc.judge.judge import Judge, Judged
from jaxllc.judge.pareto import explained
from jaxllc.knowledge.forcing_terms import written_constants
from jaxllc.knowledge.known_terms import KnownFamily
from jaxllc.law.record import Constant
from jaxllc.law.writing.term_text import left_side
from jaxllc.search.forms.grammar import operators_in
from jaxllc.search.laws.search_problem import SearchProblem
from jaxllc.search.laws.sparse_engine import SparseEngine

# Fall of the information criterion from which on it speaks against a known term
# (Kass and Raftery 1995 call six strong; the free coefficient has paid for itself by then).
_AGAINST = 6.0
# Name of the coefficient of a known term while it is tested; none that can be typed.
_SHARE = "$"


def misfit_notes(
    search: SearchProblem, judge: Judge, best: Judged, max_terms: int, num_fits: int
) -> list[str]:
    """Sentences on known terms that the data would rather have with another coefficient.

    Each held coefficient is fitted, and terms that only made up for a wrong one are dropped; where the law
    leaves something unexplained, its equation is searched anew.
    """
    notes, variables = [], search.variables
    for equation, terms in enumerate(best.law.terms):
        for place, term in enumerate(terms):
            held = term.family
            if any(s.name[:-2] in search.placed for s in held.expression.free_symbols):
                continue  # its own factor is fitted
            if not isinstance(held, KnownFamily) or not held.held or judge.late:
                continue
            family = replace(held, coefficient=_SHARE)
            others = [*best.law.terms[equation]]
            others[place] = Term(family, term.inner)
            law = best.law.replaced(equation, others, best.law.coefficients[equation])
            other = replace(judge, seen={}, restart=None, replacements=None)
            freed = other.fitted(law, best.fit.states)
            if not explained(judge, best):
                options = _searched_anew(search, equation, held, family, max_terms)
                freed = other.choose(_beside(law, equation, options), freed.law, num_fits)
            freed = moves.dropped(other, freed)
            # What was found in passing speaks against the term only if it does not stand beside it.
            beside = [
                Term(held, t.inner) if t.family == family else t for t in freed.law.terms[equation]
            ]
            law = freed.law.replaced(equation, beside, freed.law.coefficients[equation])
            # Choosing may have set the noise of the other judge anew.
            given = replace(other, problem=judge.problem, seen={}).fitted(law, freed.fit.states)
            costs = [judge.criterion_of(j.law, judge.merit(j.fit)) for j in (best, given, freed)]
            gain = min(costs[:2]) - costs[2]
            if not gain > _AGAINST:
                continue
            pairs = zip(freed.law.terms[equation], freed.law.coefficients[equation], strict=True)
            share = next(c for t, c in pairs if t.family == family)
            notes.append(
                f"The known term {held.text} of {variables[equation]} does not fit these samples as it "
                f"stands: {share:.4g} times it would explain them better "
                f"(information criterion {-gain:+.1f}); check its constants, or give them names to have them "
                f"fitted."
            )
    return notes


def _searched_anew(
    search: SearchProblem, equation: int, held: KnownFamily, freed: KnownFamily, max_terms: int
) -> list[ProposedEquation]:
    """Proposals for an equation with the coefficient of one known term free."""
    known = list(search.prior.known)
    known[equation] = tuple(freed if f == held else f for f in known[equation])
    anew = replace(search, prior=replace(search.prior, known=tuple(known)))
    return SparseEngine(max_terms=max_terms).propose(anew, equation)


def _beside(
    law: CandidateLaw, equation: int, options: list[ProposedEquation]
) -> list[list[ProposedEquation]]:
    """Proposals for one equation beside the others of a law as they are."""
    pairs = zip(law.terms, law.coefficients, strict=True)
    proposals = [[ProposedEquation(t, c, 0.0, 0.0)] for t, c in pairs]
    proposals[equation] = options
    return proposals


def bound_notes(
    law: CandidateLaw, constants: Sequence[Constant], dynamics: str = "flow"
) -> list[str]:
    """A sentence for each constant of a law that lies on a bound that the user set."""
    notes = []
    own = written_constants(law.terms)
    for constant, met in zip(constants, on_bound(law)[own], strict=True):
        if met:
            role = "coefficient" if constant.role == "coefficient" else f"constant {constant.role}"
            notes.append(
                f"The {role} of the term {constant.term} in {left_side(constant.variable, dynamics)} lies on "
                f"its bound ({constant.value:.6g}) and has no standard error; the data may ask for a value "
                "beyond it."
            )
    return notes


def holds(law: CandidateLaw, demand: Sequence[str]) -> bool:
    """Whether a law holds all that is demanded; dividing by the number of neighbours is no division."""
    used: set[str] = set()
    for term in (t for equation in law.terms for t in equation):
        used |= _operators(term)
    return set(demand) <= used


def _operators(term: Term) -> set[str]:
    expression = term.family.expression
    return operators_in(expression.xreplace({sympy.Symbol("k_i"): sympy.Integer(1)}))


def demanded(
    search: SearchProblem,
    judge: Judge,
    best: Judged,
    proposals: Sequence[Sequence[ProposedEquation]],
    num_fits: int,
) -> tuple[Judge, Judged, list[str]]:
    """The best law that holds what is demanded, with a judge that accepts no other, and what it costs.

    Where no such law is found, the best law stays as it is and the note says so.
    """
    demand = search.prior.demand
    if holds(best.law, demand):
        return judge, best, []
    what = " and ".join(demand)
    strict = replace(
        judge,
        seen={key: j for key, j in judge.seen.items() if holds(j.law, demand)},
        accepts=lambda law: holds(law, demand),
    )
    for law in _offers(search, judge, best, proposals, num_fits):
        if law.key() not in strict.seen and not judge.late:
            strict.fitted(law, best.fit.states)
    usable = [j for j in strict.seen.values() if j.fit.finite and j.criterion < float("inf")]
    if not usable:
        return (
            judge,
            best,
            [missing_note(demand)],
        )
    found = min(usable, key=lambda j: j.criterion)
    found = moves.dropped(strict, found)
    found = moves.added(strict, found, search.library)
    found = moves.dropped(strict, moves.exchanged(strict, found))
    note = (
        f"The law holds {what} because that is demanded; the best law without this demand has an information "
        f"criterion lower by {found.criterion - best.criterion:.1f}."
    )
    return strict, found, [note]


def missing_note(demand: Sequence[str]) -> str:
    """The sentence on a law that does not hold what is demanded."""
    return (
        f"No law with {' and '.join(demand)}, which is demanded, was found among the candidates; this is the "
        f"best law without it."
    )


def _offers(
    search: SearchProblem,
    judge: Judge,
    best: Judged,
    proposals: Sequence[Sequence[ProposedEquation]],
    num_fits: int,
) -> list[CandidateLaw]:
    """Laws that hold what is demanded: the best one with another proposal, or with more terms."""
    demand = search.prior.demand
    offers = []
    for equation, options in enumerate(proposals):
        ordered = sorted(options, key=lambda o: o.score)
        others = [best.law.replaced(equation, o.terms, o.coefficients) for o in ordered]
        offers += [law for law in others if holds(law, demand)][:num_fits]
    laws = [best.law]
    for name in demand:
        missing = [t for t in search.library if name in _operators(t)]
        grown = []
        for law in laws:
            if holds(law, [name]):
                grown.append(law)
                continue
            scores = moves.ranked(judge, law, best.fit.states, missing)
            for _, coefficient, equation, term in scores[:num_fits]:
                terms = (*law.terms[equation], term)
                numbers = (*law.coefficients[equation], coefficient)
                grown.append(law.replaced(equation, terms, numbers))
        laws = grown
    return [*offers, *(law for law in laws if holds(law, demand))]


def check_free_names(names: Iterable[str] | None, run: Trajectories) -> None:
    """Raises InputError where a constant of nodes has the name of a variable, feature or input."""
    kinds = {
        "a variable": run.variables,
        "a node feature": run.node_features,
        "an input": run.inputs,
    }
    for name in names or ():
        for kind in (kind for kind, known in kinds.items() if name in known):
            raise InputError(
                f"vary names a constant {name!r}, which is {kind} of the data; give it another name"
            )
