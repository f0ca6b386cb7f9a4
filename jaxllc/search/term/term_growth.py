"""Growth of candidates: one more term, factor, argument or power at a time, or another function.

Every extension starts where it changes nothing (a coefficient or an exponent of nought), or from the feature
that is most like the residual, and is refitted with all other constants; what lowers the score goes on to the
next round.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import sympy

from jaxllc.equations.expression_calculus import derivative, evaluate
from jaxllc.equations.function_table import TABLE
from jaxllc.equations.functions import FUNCTIONS, sigmoid
from jaxllc.equations.skeletons import (
    Skeleton,
    all_parts,
    as_written,
    constant,
    made,
    parts_of,
    rebuilt,
    renumbered,
)
from jaxllc.search.engines.dictionary import (
    Dictionary,
    Features,
    build_dictionary,
    single_functions,
)
from jaxllc.search.engines.product_beam import ProductSearch, product_sums
from jaxllc.search.engines.subset_beam import Columns, beam
from jaxllc.search.forms.grammar import Grammar
from jaxllc.search.forms.search_work import work_is_over
from jaxllc.search.term.term_judge import JudgedTerm, TermJudge

PARENTS = 6
ROUNDS = 4
EXTENSIONS = 90
# Parents whose terms are found anew, which is dear.
FOUND_ANEW = 4
# Mean square in units of the error below which nothing is missing.
ENOUGH = 1.15
# Constants from which on an expression that explains all may imitate a plainer one.
IMITATES = 3
_START = 1e-3
# Samples that features are compared at; the judge refits on all.
_POINTS = 160


def grown(
    residuals: Residuals,
    best: list[JudgedTerm],
    rounds: int = ROUNDS,
    parents: int = PARENTS,
) -> list[JudgedTerm]:
    """The candidates and what grew out of them; best first.

    residuals: of the judge of the candidates; what was tried once is not tried again.
    """
    judge, richer = residuals.judge, False
    tried: set[sympy.Expr] = set()
    polished = False
    for _ in range(rounds):
        if not best or work_is_over() or judge.certain(best[0]):
            break
        explained = judge.mean_square(best[0]) < ENOUGH
        if explained and polished:
            break
        # What explains all may still imitate something plainer.
        polished = explained
        plain = explained and best[0].num_constants < IMITATES
        richer |= not plain
        extensions: list[tuple[Skeleton, str]] = []
        for place, parent in enumerate(_parents(best, 4 if explained else parents)):
            options = list(exchanged(parent.skeleton, judge.grammar))
            if richer and place < FOUND_ANEW:
                options += residuals.factors(parent)
            if richer and not explained:
                options += residuals.terms(parent)
                options += extended(parent.skeleton, judge.samples.names)
            room = EXTENSIONS
            for skeleton in options:
                if room and skeleton.key not in tried and judge.fits(skeleton):
                    tried.add(skeleton.key)
                    extensions.append((skeleton, parent.engine))
                    room -= 1
        before = best[0].score
        screened = judge.merged(judge.refitted(extensions, steps=5, screen=True), 8 * parents)
        again = [(j.skeleton, j.engine) for j in screened]
        screened = judge.merged(judge.refitted(again, steps=25, screen=True), 2 * parents)
        closer = judge.refitted([(j.skeleton, j.engine) for j in screened])
        improved = judge.improved(judge.merged(closer, parents))
        best = judge.merged([*best, *improved])
        if best[0].score > before - 1e-6 and (polished or judge.mean_square(best[0]) >= ENOUGH):
            break
    return best


def _parents(best: list[JudgedTerm], count: int) -> list[JudgedTerm]:
    """The best, and the best of each small number of constants: a right beginning may look bad alone."""
    smallest: dict[int, JudgedTerm] = {}
    for judged in best:
        smallest.setdefault(judged.num_constants, judged)
    simple = [smallest[k] for k in sorted(smallest) if 0 < k <= 5]
    return list({id(j): j for j in [*best[: count - 2], *simple[: count - 2]]}.values())


class Residuals:
    """Features of the dictionary most like what a candidate leaves, whatever its constants."""

    def __init__(self, judge: TermJudge) -> None:
        self.judge = judge
        self.samples = judge.samples.thinned(_POINTS, 1)
        self._done: set[tuple[sympy.Expr, frozenset[sympy.Expr], bool]] = set()

    @cached_property
    def functions(self) -> Dictionary:
        return single_functions(self.samples, self.judge.grammar)

    @cached_property
    def search(self) -> ProductSearch:
        every_other = _every_other(self.functions.columns())
        return ProductSearch(every_other, 24, self.judge.independent)

    @cached_property
    def dictionary(self) -> Dictionary:
        return build_dictionary(self.samples, self.judge.grammar)

    @cached_property
    def columns(self) -> Columns:
        return Columns(*self.dictionary.columns(), 1.0 / self.samples.error)

    def terms(self, parent: JudgedTerm, count: int = 16) -> Iterator[Skeleton]:
        """The candidate plus one feature, for the features that explain the most."""
        skeleton, samples = parent.skeleton, self.samples
        weight = 1.0 / samples.error
        memo = skeleton.memo(samples.columns)
        shape = samples.values.shape
        with np.errstate(all="ignore"):
            value = np.broadcast_to(evaluate(skeleton.expression, memo), shape)
            slopes = [
                np.broadcast_to(evaluate(derivative(skeleton.expression, c), memo), shape) * weight
                for c in skeleton.constants
            ]
        rest = (samples.values - value) * weight
        good = [s for s in slopes if np.isfinite(s).all() and np.any(s)]
        if not np.isfinite(rest).all():
            return
        base = np.linalg.qr(np.stack(good, axis=1))[0] if good else None
        judge = self.judge
        sets = beam(
            self.columns, rest, 1, count, judge.independent, judge.per_constant, count, base
        )
        for subset in sets:
            feature = self.dictionary.expression(subset.positions[0])
            yield _with_term(skeleton, feature)

    def factors(self, parent: JudgedTerm, count: int = 3) -> Iterator[Skeleton]:
        """Each term of the candidate, or of the denominator that is all of it, found anew but for one factor,
        or for all but one: what is kept times at most two functions."""
        expression = parent.skeleton.numeric()
        y, weight = self.samples.values, 1.0 / self.samples.error
        yield from self._found_anew(expression, y, weight, False, count)
        number, rest = expression.as_coeff_Mul()
        if rest.is_Pow and rest.exp == -1 and rest.base.is_Add and np.abs(y).min() > 0:
            below = sympy.Add(*(t / number for t in rest.base.args))
            yield from self._found_anew(below, 1.0 / y, weight * y**2, True, count)

    def _found_anew(
        self,
        expression: sympy.Expr,
        target: np.ndarray,
        weight: np.ndarray,
        below: bool,
        count: int,
    ) -> Iterator[Skeleton]:
        terms = sympy.Add.make_args(expression)
        for k in range(min(len(terms), _MOST_TERMS)):
            others = [*terms[:k], *terms[k + 1 :]]
            for kept in _kept_factors(terms[k]):
                key = (_rough(kept), frozenset(_rough(t) for t in others), below)
                if key in self._done:
                    continue
                self._done.add(key)
                for found in self._products(kept, others, target, weight, count):
                    yield as_written(1 / found if below else found)

    def _products(
        self,
        kept: sympy.Expr,
        others: list[sympy.Expr],
        target: np.ndarray,
        weight: np.ndarray,
        count: int,
    ) -> Iterator[sympy.Expr]:
        samples = self.samples
        with np.errstate(all="ignore"):
            start, *base = (
                np.broadcast_to(evaluate(e, dict(samples.columns)), target.shape)
                for e in (kept, *others)
            )
        if not np.isfinite(start).all() or not np.isfinite(base).all():
            return
        products = self.search.best(target, weight, base, 2, count, start)
        yield from product_sums(
            self.functions,
            products,
            target,
            weight,
            list(zip(others, base, strict=True)),
            (kept, start),
        )


_MOST_TERMS = 4


def _every_other(features: Features) -> Features:
    """Every other point of each family's grid: constants are refitted, and all pairs are looked at."""
    order = np.argsort(features.family, kind="stable")
    _, first, counts = np.unique(features.family[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, counts)
    kept = np.sort(order[rank % 2 == 0])
    return Features(*(part[kept] for part in features))


def _kept_factors(term: sympy.Expr) -> Iterator[sympy.Expr]:
    """Each factor of a term, and each product of all factors but one; numbers are left out."""
    factors = [f for f in sympy.Mul.make_args(term) if f.free_symbols]
    kept = list(factors)
    for k in range(len(factors)):
        kept.append(sympy.Mul(*factors[:k], *factors[k + 1 :]))
    yield from dict.fromkeys(kept)


def _rough(e: sympy.Expr) -> sympy.Expr:
    """An expression with its numbers to two digits, so that slightly other constants count as the same."""
    return e.xreplace({f: sympy.Float(f"{float(f):.1e}", 2) for f in e.atoms(sympy.Float)})


def _with_term(skeleton: Skeleton, feature: sympy.Expr) -> Skeleton:
    """The skeleton plus a coefficient, from nought, times a feature whose numbers become constants."""
    values = skeleton.by_constant
    floats = sorted(feature.atoms(sympy.Float))
    first = len(skeleton.values)
    numbers = {f: constant(first + 1 + k) for k, f in enumerate(floats)}
    values |= {name: float(number) for number, name in numbers.items()}
    values[constant(first)] = _START
    return renumbered(skeleton.expression + constant(first) * rebuilt(feature, numbers), values)


def extended(skeleton: Skeleton, names: tuple[str, ...]) -> Iterator[Skeleton]:
    """Arguments of functions and sums under powers with one more term; terms with one more factor."""
    values = skeleton.by_constant
    symbols = [sympy.Symbol(n) for n in names]
    new = constant(len(skeleton.values))
    squares = [a * b for k, a in enumerate(symbols) for b in symbols[k:]][:6]
    expression = skeleton.expression

    def grown_at(part: sympy.Expr, other: sympy.Expr, start: float) -> Skeleton:
        return renumbered(rebuilt(expression, {part: other}), {**values, new: start})

    for part in _inner_parts(expression):
        for addend in (*symbols, sympy.Integer(1), *squares):
            if not _has_term(part, addend):
                yield grown_at(part, part + new * addend, _START)
    for part in parts_of(expression, sympy.Min, sympy.Max):
        for argument in part.args:
            for addend in (*symbols, *squares):
                if not _has_term(argument, addend):
                    others = [a for a in part.args if a != argument]
                    changed = made(part.func, [*others, argument + new * addend])
                    yield grown_at(part, changed, _START)
    for term in sympy.Add.make_args(expression):
        if not term.free_symbols & set(symbols):
            continue
        for factor in symbols:
            yield grown_at(term, term * (1 + new * factor), _START)
            yield grown_at(term, term / (1 + new * factor), _START)
            yield grown_at(term, term * sympy.exp(new * factor), _START)
            yield grown_at(term, term * 2 * sigmoid(new * factor), _START)
    for part in sorted(expression.atoms(sympy.Symbol) & set(symbols), key=str):
        yield grown_at(part, part**new, 1.0)
    for part in parts_of(expression, sympy.Pow):
        if part.exp.is_Integer:
            yield grown_at(part, part.base**new, float(part.exp))


def exchanged(skeleton: Skeleton, grammar: Grammar) -> Iterator[Skeleton]:
    """Each function replaced by another."""
    values = skeleton.by_constant
    expression = skeleton.expression
    placed = sorted((r.exchanged, r.name) for r in TABLE.values() if r.exchanged is not None)
    alike = {name: FUNCTIONS[name] for _, name in placed}
    for part in parts_of(expression, *alike.values(), sympy.cos):
        for name, function in alike.items():
            if name in grammar.functions and function is not part.func:
                other = rebuilt(expression, {part: function(part.args[0], evaluate=False)})
                yield renumbered(other, values)


def _inner_parts(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """Arguments of functions, and bases of powers that are sums."""
    seen = set()
    for part in all_parts(expression):
        inner = None
        if part.is_Pow and part.base.is_Add:
            inner = part.base
        elif part.is_Function and len(part.args) == 1:
            inner = part.args[0]
        if inner is not None and inner not in seen:
            seen.add(inner)
            yield inner


def _has_term(part: sympy.Expr, addend: sympy.Expr) -> bool:
    """Whether a sum already holds a multiple of a term."""
    for term in sympy.Add.make_args(part):
        rest = sympy.Mul(
            *(
                f
                for f in sympy.Mul.make_args(term)
                if not f.is_number and not str(f).startswith("$")
            )
        )
        if rest == addend:
            return True
    return False
