"""Settings about what a user knows of a law, as plain values; checked before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jaxllc.equations.equation import Equation
from jaxllc.equations.function_table import TABLE, searchable
from jaxllc.errors import InputError, check_mapping, nearest_match
from jaxllc.settings.constant_bounds import checked_bounds
from jaxllc.settings.discover_settings import DiscoverSettings

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Names that a law keeps: k_i is the in-strength, and functions have theirs.
_TAKEN = frozenset(("k", *(r.name for r in TABLE.values())))


def plain_prior(settings: DiscoverSettings) -> dict[str, Any]:
    """Known terms, bounds, units and demands as texts, numbers and tuples; raises InputError."""
    return {
        "known": known_texts(settings.known) or None,
        "bounds": checked_bounds(settings.bounds) or None,
        "units": _unit_texts(settings.units) or None,
        "demand": _demanded(settings),
    }


def checked_vary(vary: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Names of constants and what they differ by; raises InputError for anything else."""
    if vary is None:
        return None
    check_mapping("vary", vary, "{'omega': 'node'}")
    for name, what in vary.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
            raise InputError(
                f"vary names a constant {name!r}; give it a name that starts with a letter and is no "
                "function, such as omega"
            )
        if what != "node":
            raise InputError(f"vary says that {name} differs by {what!r}; it may differ by 'node'")
    return dict(vary) or None


def known_texts(known: Mapping[str, Any] | None) -> dict[str, tuple[str, str]]:
    """Self and interaction term of each variable as text; raises InputError for anything else."""
    if known is None:
        return {}
    check_mapping("known", known, "{'x': ('-delta*x_i', '')}")
    texts = {}
    for variable, terms in known.items():
        if isinstance(terms, Equation):
            terms = terms.to_text()
        if not (
            isinstance(terms, list | tuple)
            and len(terms) == 2
            and all(isinstance(t, str) for t in terms)
        ):
            raise InputError(
                f"the known terms of {variable} must be two texts (self term, interaction term), "
                f"not {terms!r}"
            )
        texts[str(variable)] = (terms[0].strip(), terms[1].strip())
    return texts


def _unit_texts(units: Mapping[str, Any] | None) -> dict[str, str]:
    if units is None:
        return {}
    check_mapping("units", units, "{'x': 'mol/L', 't': 's'}")
    for name, unit in units.items():
        if not isinstance(unit, str):
            raise InputError(f"the unit of {name} must be text such as 'mol/L', not {unit!r}")
    return {str(name): unit for name, unit in units.items()}


def _demanded(settings: DiscoverSettings) -> tuple[str, ...]:
    allowed = set(settings.functions)
    allowed |= {"division"} if settings.division else set()
    allowed |= {"power"} if "sqrt" in allowed else set()
    # Functions, a denominator, an exponent that is no whole number.
    known = (*searchable(), "division", "power")
    for name in settings.demand:
        if name not in known:
            raise InputError(
                f"a law cannot be demanded to hold {name!r}{nearest_match(str(name), known)}; "
                f"choose from {', '.join(known)}"
            )
        if name not in allowed:
            raise InputError(
                f"{name!r} is demanded but not allowed by functions and division; allow it there"
            )
    return tuple(settings.demand)
