"""A law out of a library of terms by the likelihood of single nodes.

Every interaction of the library is fitted beside plain self terms, on all nodes that follow it; the best
laws are varied by terms left out and added until their criterion no longer falls. What a term would bring
is told by its score under the weights of the law that it is added to.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from jaxtyping import Float

from jaxllc.dynamics.terms import INTERACTION, SELF, Term, TermFamily
from jaxllc.equations.sum_symbols import SUM_SIDE, sums_in
from jaxllc.nodewise.inner_steps import moved_inner, some_starts
from jaxllc.nodewise.node_rows import Rows
from jaxllc.nodewise.robust_fit import RobustFit, RobustFitter
from jaxllc.running.time_limit import check_time

# Rounds of steps on the inner constants.
_ROUNDS = 4
# Laws that are varied; rounds of terms added; terms that are fitted in a round.
_LAWS, _GROWTHS, _TRIES = 8, 4, 4
# Rounds in which nodes count by what is left of them.
_QUIET = 8
# Share of the size of columns below which a combination of them is none.
_ALIKE = 1e-10
# Plain self terms beside each interaction, at most.
_PLAIN = 8


@dataclass(frozen=True)
class RobustLaw:
    """An equation with its constants, how well nodes follow it, and its criterion: the cost of all nodes, a
    price for each constant and, since they are chosen out of many, for each term (Chen and Chen 2008, gamma
    1/2)."""

    terms: tuple[Term, ...]
    fit: RobustFit
    criterion: float

    @property
    def coefficients(self) -> np.ndarray:
        """Of the terms."""
        return self.fit.coefficients[: len(self.terms)]

    @property
    def key(self) -> frozenset[TermFamily]:
        """What it is but for constants."""
        return frozenset(t.family for t in self.terms)


class RobustSearch:
    """Searches the equation of one variable among the terms of a library.

    given: terms that every law holds. deadline: `time.perf_counter()` after which nothing more is begun;
    finished: whether the search came to its end.
    """

    def __init__(
        self,
        rows: Rows,
        noise: float,
        library: Sequence[Term],
        max_terms: int,
        given: Sequence[Term] = (),
        deadline: float = math.inf,
    ) -> None:
        self.deadline, self.finished = deadline, True
        self.rows, self.fitter = rows, RobustFitter(rows, noise)
        self.max_terms, self.given = max_terms, tuple(given)
        self.starts: dict[TermFamily, list[Term]] = {}
        for term in library:
            self.starts.setdefault(term.family, []).append(term)
        self._columns: dict[Term, list[np.ndarray]] = {}
        # Columns that every law has beside those of its terms.
        self.beside: tuple[np.ndarray, ...] = ()
        self.seen: dict[frozenset[TermFamily], RobustLaw] = {}

    def best(self, pairs: int | None = None) -> list[RobustLaw]:
        """The best laws of no more terms than are allowed, the very best first.

        pairs: of the interactions to start from, only so many, those that bring most where the best law so
        far is followed; all by default.
        """
        given = {t.family for t in self.given}
        plain = [s[0] for f, s in self.starts.items() if f.side == SELF and not f.num_inner]
        # Functions of sums stand among the interactions: a law must not hold a term twice.
        own = [t for t in plain[:_PLAIN] if not sums_in(t.family.expression)]
        plain = [t for t in own if t.family not in given]
        begun = list(self._interactions())
        if pairs is not None and pairs < len(begun) and self.seen:
            begun = self._likeliest(begun, plain, pairs)
        for pair in begun:
            if self._late():
                break
            self.fitted((*self.given, *plain, *pair))
        for law in self.ranked()[:_LAWS]:
            if self._late():
                break
            self.shortened(law)
        for _ in range(_GROWTHS if self.seen else 0):
            before = self.ranked()[0]
            for law in self.ranked()[:2]:
                if not self._late():
                    self._grown(law)
            if self.ranked()[0] is before:
                break
        return [law for law in self.ranked() if len(law.terms) <= self.max_terms]

    def _likeliest(
        self, begun: Sequence[tuple[Term, ...]], plain: Sequence[Term], most: int
    ) -> list[tuple[Term, ...]]:
        """The sets of interactions that bring most beside plain terms, by the weights of the best law."""
        fitter, fit = self.fitter, self.ranked()[0].fit

        def flat(terms: Sequence[Term]) -> np.ndarray:
            columns = fitter.taken([self._of(t)[0] for t in terms])
            with np.errstate(all="ignore"):
                return fitter.whitened(fit, columns).reshape(-1, len(terms))

        beside = flat([*self.given, *plain])
        basis = np.linalg.qr(beside[:, np.isfinite(beside).all(axis=0)])[0]
        target = fitter.whitened(fit, fitter.target[..., None]).ravel()
        gains = []
        for pair in begun:
            columns = flat(pair)
            if not np.isfinite(columns).all():
                gains.append(-np.inf)
                continue
            sizes = np.linalg.norm(columns, axis=0)
            columns = columns - basis @ (basis.T @ columns)
            left = np.linalg.norm(columns, axis=0)
            columns = columns[:, left > 1e-4 * sizes]
            own = np.linalg.qr(columns)[0] if columns.shape[1] else columns
            gains.append(float(((own.T @ target) ** 2).sum()))
        order = np.argsort(-np.array(gains), kind="stable")[:most]
        return [begun[k] for k in sorted(order.tolist())]

    def again(self) -> RobustSearch:
        """The same search before its beginning; columns that were made are kept."""
        library = [term for starts in self.starts.values() for term in starts]
        other = RobustSearch(
            self.rows, self.fitter.noise, library, self.max_terms, self.given, self.deadline
        )
        other._columns = self._columns
        return other

    def _late(self) -> bool:
        self.finished &= time.perf_counter() < self.deadline
        return not self.finished

    def ranked(self) -> list[RobustLaw]:
        """All laws that were fitted, the best first."""
        return sorted(self.seen.values(), key=lambda law: law.criterion)

    def _interactions(self) -> Iterable[tuple[Term, ...]]:
        """Sets of interactions to start from: each alone, and what only the sender says, also by each
        state; functions of the sum over neighbours are interactions, too."""
        listed = {
            f.expression: starts
            for f, starts in self.starts.items()
            if f.side == INTERACTION or sums_in(f.expression)
        }
        states = [sympy.Symbol(f"{v}_i") for v in self.rows.data.variables]
        for expression, starts in listed.items():
            some = some_starts(starts)
            yield from ((term,) for term in some)
            inputs = expression.free_symbols - starts[0].family.inner_symbols
            if {s.name[-2:] for s in inputs} not in ({"_j"}, {f"_{SUM_SIDE}"}):
                continue
            for state in states:
                partner = listed.get(state * expression)
                if partner is not None:
                    yield from ((term, Term(partner[0].family, term.inner)) for term in some)

    # -- fits -------------------------------------------------------------------------------------

    def fitted(self, terms: Sequence[Term], start: RobustFit | None = None) -> RobustLaw:
        """The law of some terms, inner constants included. start: a fit of a law beside it."""
        terms = tuple(terms)
        best = None
        for _ in range(_ROUNDS if any(t.inner for t in terms) else 1):
            check_time()
            blocks = [self._of(term) for term in terms]
            if not all(np.isfinite(c).all() for block in blocks for c in block):
                break
            fit = self._fit(terms, [b[0] for b in blocks], [b[1:] for b in blocks], start)
            values = fit.coefficients[: len(terms)]
            moved = moved_inner(terms, fit.coefficients)
            plain = fit
            if any(t.inner for t in terms):
                plain = self._fit(terms, [b[0] for b in blocks], [], fit)
            law = self._law(terms, plain)
            if best is None or law.criterion < best.criterion:
                best = law
            if moved is None or not np.isfinite(values).all():
                break
            terms, start = moved, fit
        if best is None:
            none = np.zeros(0)
            return RobustLaw(terms, RobustFit(none, np.inf, none, none, none, none), np.inf)
        known = self.seen.get(best.key)
        if known is None or best.criterion < known.criterion:
            self.seen[best.key] = best
        return best

    def _fit(
        self,
        terms: tuple[Term, ...],
        columns: list[np.ndarray],
        slopes: list[list[np.ndarray]],
        start: RobustFit | None,
    ) -> RobustFit:
        """The fit of the columns of some terms, beside those of their slopes by inner constants."""
        more = (c for block in slopes for c in block)
        return self.fitter.fit([*columns, *more, *self.more(terms)], start)

    def more(self, terms: Sequence[Term]) -> list[np.ndarray]:
        """Columns that a law of some terms has beside theirs."""
        return list(self.beside)

    def _law(self, terms: tuple[Term, ...], fit: RobustFit) -> RobustLaw:
        constants = sum(t.num_constants for t in terms) + len(self.more(terms))
        price = constants * np.log(self.fitter.num_rows) + len(terms) * np.log(len(self.starts))
        return RobustLaw(terms, fit, fit.cost + price)

    def _of(self, term: Term) -> list[np.ndarray]:
        if term not in self._columns:
            with np.errstate(all="ignore"):
                self._columns[term] = self.rows.columns(term)
        return self._columns[term]

    # -- variations -------------------------------------------------------------------------------

    def shortened(self, law: RobustLaw) -> RobustLaw:
        """The law without terms that do not pay for their constants, and of no more than are allowed."""
        given = {t.family for t in self.given}
        while len(law.terms) > 1:
            spread = np.sqrt(np.abs(np.diag(law.fit.covariance)))[: len(law.terms)]
            order = np.argsort(np.abs(law.coefficients) / np.maximum(spread, 1e-300))
            weakest = [k for k in order if law.terms[k].family not in given][:3]
            shorter: list[RobustLaw] = []
            for k in weakest:
                shorter.append(self._without(law, int(k)))
                if shorter[-1].criterion < law.criterion:
                    break
            best = min(shorter, key=lambda one: one.criterion, default=law)
            if best.criterion >= law.criterion and (
                not shorter or len(law.terms) <= self.max_terms
            ):
                return law
            law = best
        return law

    def _without(self, law: RobustLaw, place: int) -> RobustLaw:
        terms = [t for k, t in enumerate(law.terms) if k != place]
        known = self.seen.get(frozenset(t.family for t in terms))
        return known or self.fitted(terms, law.fit)

    def _grown(self, law: RobustLaw) -> RobustLaw:
        """The law with another term, and without what it makes needless."""
        if len(law.terms) >= self.max_terms:
            return law
        best = law
        for term in self._promising(law)[:_TRIES]:
            longer = self.fitted([*law.terms, term], law.fit)
            if longer.criterion < law.criterion + 3 * np.log(self.fitter.num_rows):
                longer = self.shortened(longer)
            if longer.criterion < best.criterion:
                best = longer
        return best

    def exchanged(self, law: RobustLaw) -> RobustLaw:
        """The law after one term was put in the place of another, where that is better."""
        given = {t.family for t in self.given}
        best = law
        for place, term in enumerate(law.terms):
            if term.family in given or self._late() or len(law.terms) < 2:
                continue
            shorter = self._without(law, place)
            if not np.isfinite(shorter.criterion):
                continue
            for other in self._promising(shorter)[:_TRIES]:
                if other.family not in law.key:
                    found = self.fitted([*shorter.terms, other], shorter.fit)
                    best = min(best, found, key=lambda one: one.criterion)
        return best

    def gains(self, law: RobustLaw, terms: Iterable[Term]) -> list[tuple[float, Term]]:
        """What further terms would take off -2 log L, the most first, each family once."""
        starts: dict[TermFamily, list[Term]] = {}
        for term in terms:
            starts.setdefault(term.family, []).append(term)
        return self._gains(law, starts)

    def eliminated(self, beside: Sequence[Term] = ()) -> RobustLaw | None:
        """The best law that is left of all plain terms and some beside them, where the weakest is left out
        again and again; None where nothing is left.

        Laws grow by what their followers ask for: where few follow one that lacks a term, as those with as
        many neighbours, these may have no use for what the others miss.
        """
        plain = [s[0] for f, s in self.starts.items() if not f.num_inner]
        terms = list(dict.fromkeys([*self.given, *beside, *plain]))
        known = {t.family for t in (*self.given, *beside)}
        terms = [t for t in terms if t.family not in known or t in (*self.given, *beside)]
        with np.errstate(all="ignore"):
            columns = [self.fitter.taken(self._of(t)[:1])[..., 0].ravel() for t in terms]
        kept = [k for k, c in enumerate(columns) if np.isfinite(c).all() and np.any(c)]
        terms, columns = [terms[k] for k in kept], [columns[k] for k in kept]
        if not terms:
            return None
        gram, right = self._by_quiet_nodes(np.stack(columns, axis=1))
        best: RobustLaw | None = None
        given = {t.family for t in self.given}
        for left in _left_out(gram, right, [t.family in given for t in terms]):
            if len(left) <= self.max_terms and not self._late():
                law = self.fitted([terms[k] for k in left])
                best = law if best is None or law.criterion < best.criterion else best
        return best if best is None else self.shortened(best)

    def _by_quiet_nodes(
        self, columns: Float[np.ndarray, "row column"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products of columns with one another and with the target, where each node counts by what the fit of
        all columns leaves of it."""
        fitter = self.fitter
        counted = fitter.inverse[0] > 0
        weights = counted.astype(float)
        rows = np.maximum(counted.sum(axis=1, keepdims=True), 1)
        for _ in range(_QUIET):
            root = np.sqrt(weights).reshape(-1, 1)
            flat = columns * root
            found = np.linalg.lstsq(flat, fitter.target.ravel() * root[:, 0], rcond=_ALIKE)[0]
            left = fitter.target - (columns @ found).reshape(fitter.target.shape)
            noise = (counted * left**2).sum(axis=1, keepdims=True) / rows
            weights = counted / np.maximum(noise, 1.0)
        flat = columns * np.sqrt(weights).reshape(-1, 1)
        return flat.T @ flat, flat.T @ (fitter.target * np.sqrt(weights)).ravel()

    def _promising(self, law: RobustLaw) -> list[Term]:
        """Terms by what they would explain more, each family once."""
        return [term for _, term in self._gains(law, self.starts)]

    def _gains(
        self, law: RobustLaw, listed: Mapping[TermFamily, list[Term]]
    ) -> list[tuple[float, Term]]:
        fitter = self.fitter
        own = fitter.taken([*(self._of(t)[0] for t in law.terms), *self.more(law.terms)])
        columns = fitter.whitened(law.fit, own).reshape(-1, own.shape[2])
        left = fitter.target - own @ law.fit.coefficients
        left = fitter.whitened(law.fit, left[..., None]).ravel()
        basis = np.linalg.qr(columns)[0]
        found = []
        for family, starts in listed.items():
            if family in law.key:
                continue
            scores = []
            for term in some_starts(starts):
                column = fitter.whitened(law.fit, fitter.taken(self._of(term)[:1])).ravel()
                size = column @ column
                column = column - basis @ (basis.T @ column)
                rest = column @ column
                scores.append((column @ left) ** 2 / rest if rest > 1e-9 * size > 0 else 0.0)
            best = int(np.argmax(scores))
            found.append((scores[best], some_starts(starts)[best]))
        return sorted(found, key=lambda pair: -pair[0])


def _left_out(gram: np.ndarray, right: np.ndarray, given: Sequence[bool]) -> Iterator[list[int]]:
    """Columns that are left, fewer and fewer, as that of the least use is left out; those given stay."""
    scale = np.sqrt(np.diag(gram))
    gram, right = gram / np.outer(scale, scale), right / scale
    left = list(range(len(right)))
    while left:
        some = gram[np.ix_(left, left)]
        inverse = np.linalg.pinv(some, rcond=_ALIKE, hermitian=True)
        found = inverse @ right[left]
        # What it costs to leave one out, the others fitted anew.
        costs = found**2 / np.maximum(np.diag(inverse), 1e-300)
        yield left
        costs[[given[k] for k in left]] = np.inf
        if np.isinf(costs.min()):
            return
        left = [k for n, k in enumerate(left) if n != int(costs.argmin())]
