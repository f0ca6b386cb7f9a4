"""Choices of a discovery, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

from jaxllc.errors import InputError, listing
from jaxllc.settings.discover_settings import DiscoverSettings, check_by_steps
from jaxllc.settings.edge_beliefs import checked_edge_prior
from jaxllc.settings.llc_settings import check_preset
from jaxllc.settings.names import check_engine, check_function
from jaxllc.settings.prior_settings import checked_vary, plain_prior
from jaxllc.tables.labels import names_tuple


def checked_settings(
    settings: DiscoverSettings | None, choices: Mapping[str, Any]
) -> DiscoverSettings:
    """Settings, or the defaults but for single choices; raises InputError for what cannot be."""
    if settings is not None and choices:
        raise InputError("give either settings or single choices, not both")
    if settings is not None and not isinstance(settings, DiscoverSettings):
        raise InputError(
            f"settings must be DiscoverSettings, not {type(settings).__name__}; single choices are keyword "
            "arguments, such as max_terms=6"
        )
    try:
        settings = settings or DiscoverSettings(**choices)
    except TypeError:
        names = list(DiscoverSettings.__dataclass_fields__)
        unknown = sorted(set(choices) - set(names))
        raise InputError(
            f"discover() does not know {', '.join(unknown)}; it knows {', '.join(names)}"
        ) from None
    lists = {
        "engines": "('sparse',)",
        "functions": "('exp', 'sin')",
        "demand": "('exp', 'division')",
        "held": "('g07', 'g12')",
    }
    given: dict[str, Any] = {
        name: tuple(listing(name, getattr(settings, name), "names", example))
        for name, example in lists.items()
    }
    given["held"] = names_tuple(given["held"], "held")
    settings = replace(settings, **given)
    if not settings.engines:
        raise InputError("engines is empty; give a list of names, such as ('sparse',)")
    for name in settings.engines:
        check_engine(name)
    for name in settings.functions:
        check_function(name)
    for name, smallest in (("max_terms", 1), ("num_fits", 1), ("moves", 0)):
        value = getattr(settings, name)
        if not isinstance(value, Integral) or value < smallest:
            raise InputError(f"{name} must be a whole number from {smallest}, not {value!r}")
    seconds = settings.search_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not seconds > 0:
        raise InputError(f"search_seconds must be a number above 0, not {seconds!r}")
    for name in ("sums", "division", "process_noise"):
        if not isinstance(getattr(settings, name), bool):
            raise InputError(f"{name} must be True or False, not {getattr(settings, name)!r}")
    for name, words in (
        ("neural", ("auto", "always", "never", "solver")),
        ("nodes", ("some", "all")),
        ("classes", ("auto", "always", "never")),
        ("forcing", ("none", "smooth")),
        ("edges", ("auto", "given", "uncertain")),
        ("weights", ("given", "unknown")),
        ("strengths", ("auto", "equal", "free")),
        ("finish", ("auto", "grid", "solver")),
        ("dynamics", ("flow", "map")),
    ):
        value = getattr(settings, name)
        if not isinstance(value, str) or value not in words:
            *most, last = map(repr, words)
            raise InputError(f"{name} must be {', '.join(most)} or {last}, not {value!r}")
    settings = replace(
        settings,
        **plain_prior(settings),
        vary=checked_vary(settings.vary),
        edge_prior=checked_edge_prior(settings.edge_prior),
    )
    if settings.edge_prior and settings.edges == "given":
        raise InputError('edges="given" does not read edge_prior; leave out one of both')
    check_preset(settings)
    check_by_steps(settings)
    return settings
