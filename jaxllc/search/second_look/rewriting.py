"""The same law with fewer constants: written in another form, or with constants left out or tied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import sympy

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily, inner_symbol
from jaxllc.equations.functions import NOT_REAL, sigmoid
from jaxllc.equations.skeletons import Skeleton, as_written, constant
from jaxllc.errors import InputError
from jaxllc.fit.candidate_law import CandidateLaw
from jaxllc.judge.judge import Judge, Judged
from jaxllc.knowledge.prior_knowledge import PriorKnowledge
from jaxllc.search.forms.skeleton_forms import forms
from jaxllc.search.forms.whole_numbers import freer
from jaxllc.search.second_look.screening import first_better, while_better
from jaxllc.search.second_look.sides import NOTHING_KNOWN, free_terms, side_expression, with_side

# How far two constants may be apart, relative to them, to be tried as one.
_ALIKE = 0.15
# Laws that are fitted at most before another start is made.
_MOST_FITS = 6
_SIDES = (SELF, INTERACTION)


def rewritten(
    judge: Judge, best: Judged, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Judged:
    """Either side in its other forms: tanh for sigmoids, products, phases, small arguments expanded."""
    return _while_better(judge, best, equation, prior, _written_anew, 0)


def shortened(
    judge: Judge,
    best: Judged,
    equation: int,
    prior: PriorKnowledge = NOTHING_KNOWN,
    fewer: int = 1,
) -> Judged:
    """Constants inside the terms set to nought, or tied to each other.

    fewer: constants that a law must have less, where what is left may fall into more terms.
    """
    return _while_better(judge, best, equation, prior, _with_fewer_constants, fewer)


Writings = Callable[[CandidateLaw, int, str], Iterable[Skeleton | None]]


def _while_better(
    judge: Judge,
    best: Judged,
    equation: int,
    prior: PriorKnowledge,
    writings: Writings,
    fewer: int,
) -> Judged:
    """The best law among the writings of a side with so many constants fewer; again while it improves."""
    improved = True
    while improved and not judge.late:
        improved = False
        for side in _SIDES:
            if not any(t.inner for t, _ in free_terms(best.law, equation, side)):
                continue
            laws = _laws(best, equation, side, prior, writings, fewer)
            better = first_better(judge, best, laws, _MOST_FITS)
            improved |= better is not best
            best = better
    return best


def _laws(
    best: Judged,
    equation: int,
    side: str,
    prior: PriorKnowledge,
    writings: Writings,
    fewer: int,
) -> Iterator[CandidateLaw]:
    most = best.law.num_constants - fewer
    for skeleton in writings(best.law, equation, side):
        if skeleton is None:
            continue
        expression = skeleton.numeric()
        if expression == 0 or expression.has(*NOT_REAL):
            continue
        try:
            law = with_side(best.law, equation, side, expression, prior)
        except InputError:
            continue
        if law is not None and law.num_constants <= most:
            yield law


def _written_anew(law: CandidateLaw, equation: int, side: str) -> Iterator[Skeleton]:
    return forms(side_expression(law, equation, side))


def _with_fewer_constants(law: CandidateLaw, equation: int, side: str) -> Iterator[Skeleton | None]:
    skeleton = as_written(side_expression(law, equation, side))
    values = skeleton.values
    for k, value in enumerate(values):
        yield skeleton.replaced({constant(k): sympy.Integer(0)})
        for m in range(k):
            for sign in (1, -1):
                if abs(value - sign * values[m]) < _ALIKE * abs(value):
                    yield skeleton.replaced({constant(k): sign * constant(m)})


def compressed(
    judge: Judge, best: Judged, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Judged:
    """Two terms that only complement each other as one: 1 - w/(w + u) is u/(w + u), times any factor."""
    return while_better(judge, best, lambda now: complements(now.law, equation, prior))


def complements(
    law: CandidateLaw, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Iterator[CandidateLaw]:
    """The law with a plain term and another of its side as the complement of that term."""
    pairs = list(zip(law.terms[equation], law.coefficients[equation], strict=True))
    for k, (plain, c) in enumerate(pairs):
        if plain.inner or plain.family.known:
            continue
        factor = plain.family.expression
        for m, (term, _) in enumerate(pairs):
            if term.family.side != plain.family.side or term.family.known or m == k:
                continue
            inner = term.family.inner_symbols
            for expression in _complements_of(term.family.expression / factor, inner):
                family = TermFamily(term.family.side, factor * expression, term.family.positive)
                other = Term(family, term.inner)
                if prior.beside_known(equation, [other]):
                    yield law.joined(equation, (k, m), other, c)


def _complements_of(
    expression: sympy.Expr, inner: Collection[sympy.Symbol]
) -> Iterator[sympy.Expr]:
    """1 - e in a form of its own, and (1 - a e) for the parts a of a denominator."""
    inner = set(inner)
    if expression.func == sigmoid:
        yield sigmoid(-expression.args[0])
    above, below = sympy.fraction(sympy.together(expression))
    if below.is_number or not above.free_symbols <= inner:
        return
    for part in sympy.Add.make_args(below):
        if part.free_symbols <= inner:
            yield (below - part) / below


def relieved(
    judge: Judge, best: Judged, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Judged:
    """Terms without a factor that does next to nothing: sin(x)/(1 + 1e-9 exp(x)) is sin(x)."""
    return while_better(judge, best, lambda now: without_factors(now.law, equation, prior))


def without_factors(
    law: CandidateLaw, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Iterator[CandidateLaw]:
    """The law without one factor of a term that has constants of its own, as large as it is at zero."""
    pairs = list(zip(law.terms[equation], law.coefficients[equation], strict=True))
    for k, (term, c) in enumerate(pairs):
        family, inner = term.family, term.family.inner_symbols
        if family.known:
            continue
        factors = sympy.Mul.make_args(family.expression)
        for m, factor in enumerate(factors):
            variables = factor.free_symbols - inner
            if not variables or not factor.free_symbols & inner:
                continue
            rest = sympy.Mul(*factors[:m], *factors[m + 1 :])
            if not rest.free_symbols - inner:
                continue
            size = factor.subs(dict.fromkeys(variables, 0)).subs(term.by_inner)
            size = float(size) if size.is_real and size.is_finite and size != 0 else 1.0
            other = _of_fewer(term, rest)
            if prior.beside_known(equation, [other]):
                yield law.with_term(equation, k, other, c * size)


def _of_fewer(term: Term, expression: sympy.Expr) -> Term:
    """A term of some of the inner constants of another."""
    family = term.family
    kept = [k for k in range(family.num_inner) if inner_symbol(k) in expression.free_symbols]
    names = {inner_symbol(k): inner_symbol(n) for n, k in enumerate(kept)}
    bounds = tuple(family.bounds[k] for k in kept) if family.bounds else ()
    positive = tuple(family.positive[k] for k in kept)
    other = TermFamily(family.side, expression.xreplace(names), positive, bounds)
    return Term(other, tuple(term.inner[k] for k in kept))


def loosened(
    judge: Judge, best: Judged, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Judged:
    """Numbers that an engine took for whole ones as constants, where the samples ask for it."""

    def laws(now: Judged) -> Iterable[CandidateLaw]:
        return () if judge.at_floor(now) else looser(now.law, equation, prior)

    return while_better(judge, best, laws)


def looser(
    law: CandidateLaw, equation: int, prior: PriorKnowledge = NOTHING_KNOWN
) -> Iterator[CandidateLaw]:
    """The law with one whole number of a term, a factor of one in a function among them, as a constant."""
    pairs = list(zip(law.terms[equation], law.coefficients[equation], strict=True))
    for k, (term, c) in enumerate(pairs):
        for new in () if term.family.known else freer(term):
            if prior.beside_known(equation, [new]):
                yield law.with_term(equation, k, new, c)
