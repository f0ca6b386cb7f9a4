"""What a user knows of a law before it is searched: known terms, bounds, units, and what it must hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jaxllc.dynamics.terms import Term, TermFamily
from jaxllc.errors import InputError
from jaxllc.knowledge.known_terms import KnownFamily, known_families, same_skeleton, text_of
from jaxllc.knowledge.units import Units
from jaxllc.settings.constant_bounds import (
    FREE,
    UNBOUNDED,
    ConstantBounds,
    bounds_of,
    check_names,
    checked_bounds,
)
from jaxllc.settings.prior_settings import known_texts

if TYPE_CHECKING:
    from jaxllc.settings.discover_settings import DiscoverSettings


@dataclass(frozen=True)
class PriorKnowledge:
    """Known terms of each variable, bounds of the found terms' constants, units, demanded operators."""

    known: tuple[tuple[KnownFamily, ...], ...] = ()
    bounds: ConstantBounds = UNBOUNDED
    units: Units | None = None
    demand: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, settings: DiscoverSettings, variables: Sequence[str], feature_names: Sequence[str]
    ) -> PriorKnowledge:
        """What the settings say about data of these variables and features; raises InputError."""
        bounds = checked_bounds(settings.bounds)
        texts = known_texts(settings.known)
        known = known_families(texts, variables, feature_names, bounds)
        check_names(bounds, sorted({n for fs in known for f in fs for n in f.constants}))
        units = None
        if settings.units:
            units = Units.read(settings.units, variables, feature_names)
            for variable, families in zip(variables, known, strict=True):
                for family in families:
                    units.check_known(family, variable)
        return cls(known, bounds_of(bounds), units, tuple(settings.demand))

    def of_variable(self, variable: int) -> tuple[KnownFamily, ...]:
        """Known terms of an equation."""
        return self.known[variable] if self.known else ()

    def fixed(self, variable: int) -> list[Term]:
        """Known terms of an equation that have no free constant."""
        return [Term(f) for f in self.of_variable(variable) if f.fixed]

    def fitted(self, variable: int) -> list[KnownFamily]:
        """Known terms of an equation that have free constants."""
        return [f for f in self.of_variable(variable) if not f.fixed]

    def holds(self, variable: int, family: TermFamily) -> bool:
        """Whether a term differs from a known one of the equation in constants only."""
        return any(same_skeleton(family, known) for known in self.of_variable(variable))

    def is_consistent(self, family: TermFamily) -> bool:
        """Whether units, where they are known, allow a term."""
        return self.units is None or self.units.allows(family)

    def bounded(self, terms: Iterable[Term]) -> list[Term]:
        """The terms with their inner constants kept within the bounds, each once."""
        low, high = self.bounds.inner_constants
        terms = list(terms)
        if (low, high) == FREE:
            return terms
        kept: dict[Term, None] = {}
        narrowed: dict[TermFamily, TermFamily] = {}
        for term in terms:
            if term.inner and term.family not in narrowed:
                narrowed[term.family] = _narrowed(term.family, low, high)
            family = narrowed.get(term.family, term.family)
            kept[Term(family).with_inner(term.inner)] = None
        return list(kept)

    def beside_known(self, variable: int, terms: Sequence[Term]) -> list[Term]:
        """Terms of an expression within the bounds; none where one is known or does not fit the units."""
        terms = self.bounded(terms)
        usable = (
            not self.holds(variable, t.family) and self.is_consistent(t.family) for t in terms
        )
        return terms if all(usable) else []

    @staticmethod
    def not_evaluated(family: TermFamily, variable: str) -> InputError:
        """The error where a known term has no value on the data."""
        return InputError(
            f"the known term {text_of(family)} of {variable} has no finite value on all smoothed states, "
            f"which may lie a little below zero where samples do not; write max(x_i, 0) or abs(x_i) for x_i "
            f"under a root, a logarithm or a power"
        )


def _narrowed(family: TermFamily, low: float, high: float) -> TermFamily:
    own = family.bounds or tuple(
        (0.0 if positive else -math.inf, math.inf) for positive in family.positive
    )
    # Where the two ranges do not meet, the user's counts.
    ranges = tuple(
        (max(a, low), min(b, high)) if max(a, low) < min(b, high) else (low, high) for a, b in own
    )
    return replace(family, bounds=ranges)
