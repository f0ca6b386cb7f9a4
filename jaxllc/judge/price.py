"""What a law pays, beside its constants, for having been picked out of many.

The best of hundreds of candidate terms gains a few units of the information criterion by chance alone, and
whole numbers that an engine writes cost no constant. A term therefore pays a fifth of a unit for each symbol,
operation and whole number that it takes to write it down, and a little more for a function: the richer a
term, the more such terms there are. A large whole number was picked out of as many as it is large, and pays
for that: else tanh(x)**20 would take the place of a sigmoid that has a constant for it. A term that no
library lists was picked out of all expressions of its length, and pays for that. Terms that are known
beforehand pay as well, so that laws found with and without them can be compared.
Source: extended information criteria weigh models by the size of the library (Chen and Chen 2008);
description lengths by what has to be written, of a whole number its logarithm (Rissanen 1978, 1983).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property, lru_cache

import sympy

from jaxllc.dynamics.terms import Term, TermFamily, inner_symbol
from jaxllc.equations.skeletons import as_written, structure_cost
from jaxllc.equations.sum_symbols import sums_in
from jaxllc.fit.candidate_law import CandidateLaw

# Of a symbol or an operation. Half a unit let a law win over a true one that the samples prefer by two units.
_UNIT = 0.2
# Whole numbers up to this are as frequent in laws as symbols.
_SMALL = 4
# Of a term that is not listed: from there on evidence counts as very strong (Kass and Raftery 1995).
_UNLISTED = 10.0


class Prices:
    """Prices of laws out of a library; without one, every term counts as listed."""

    def __init__(self, library: Iterable[Term] | None = None) -> None:
        self._library = None if library is None else list(library)

    @cached_property
    def _listed(self) -> set[tuple[str, sympy.Expr]]:
        families = {t.family for t in self._library or ()}
        return {(f.side, part) for f in families for part in _parts(f)}

    def of(self, law: CandidateLaw) -> float:
        """The price of all terms of a law, in units of the criterion."""
        return sum(self.of_terms(terms) for terms in law.terms)

    def of_terms(self, terms: Iterable[Term]) -> float:
        """The price of some terms."""
        return sum(_written(t.family) + self._search(t.family) for t in terms)

    def _search(self, family: TermFamily) -> float:
        """The price of a term that is not listed; only libraries keep inner constants in a range."""
        ranged = family.num_inner > 0 and len(family.bounds) == family.num_inner
        if self._library is None or family.known or ranged:
            return 0.0
        if family.num_inner == 0 and sums_in(family.expression):
            return 0.0
        # A sum of listed terms with one constant is a tie, not another form.
        return 0.0 if all((family.side, p) in self._listed for p in _parts(family)) else _UNLISTED


@lru_cache(maxsize=20000)
def _written(family: TermFamily) -> float:
    written = family.expression.atoms(sympy.Rational)
    numbers = [abs(part) for number in written for part in (number.p, number.q)]
    large = sum(2.0 * math.log(n) for n in numbers if n > _SMALL)
    return _UNIT * structure_cost(family.form) + large


@lru_cache(maxsize=20000)
def _parts(family: TermFamily) -> tuple[sympy.Expr, ...]:
    """The summands of a family without the values and signs of their constants."""
    values = {inner_symbol(k): sympy.Float(0.71 + 0.37 * k) for k in range(family.num_inner)}
    parts = []
    # (x_i - 1) x_j is the tie of x_i x_j and x_j, however an engine writes it.
    for summand in sympy.Add.make_args(sympy.expand_mul(family.expression)):
        number, rest = summand.xreplace(values).as_coeff_Mul()
        parts.append(as_written(rest).key if number != 0 else summand)
    return tuple(parts)
