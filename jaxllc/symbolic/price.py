"""What a law pays, beside its constants, for having been picked out of many.

The best of hundreds of candidate terms gains a few units of the information criterion by chance alone, and
whole numbers that an engine writes cost no constant. A term therefore pays half a unit for each symbol,
operation and whole number that it takes to write it down, and a little more for a function: the richer a
term, the more such terms there are. Terms that are known beforehand pay as well, so that laws found with and
without them can be compared.
Source: extended information criteria weigh models by the size of the library (Chen and Chen 2008);
description lengths by what has to be written (Rissanen 1978).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from jaxllc.fitting.candidate_law import CandidateLaw
from jaxllc.symbolic.skeletons import constant, structure_cost
from jaxllc.terms import Term, TermFamily, inner_symbol

# Of a symbol or an operation. More would often outweigh the half unit by which a law counts as better.
_UNIT = 0.5


def price(law: CandidateLaw) -> float:
    """The price of all terms of a law, in units of the criterion."""
    return sum(price_of_terms(terms) for terms in law.terms)


def price_of_terms(terms: Iterable[Term]) -> float:
    """The price of some terms."""
    return sum(_price(t.family) for t in terms)


@lru_cache(maxsize=20000)
def _price(family: TermFamily) -> float:
    names = {inner_symbol(k): constant(k) for k in range(family.num_inner)}
    return _UNIT * structure_cost(family.expression.xreplace(names))
