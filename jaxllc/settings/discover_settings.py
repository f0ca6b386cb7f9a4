"""The choices of a discovery and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from jaxllc.errors import InputError, listing
from jaxllc.settings.llc_settings import check_preset
from jaxllc.settings.names import DEFAULT_ENGINES, FUNCTION_NAMES, check_engine, check_function
from jaxllc.settings.prior_settings import plain_prior


@dataclass(frozen=True)
class DiscoverSettings:
    """Choices of a discovery; each is a flag of `jaxllc discover`.

    engines: search engines whose proposals the judge compares: "pretrained" (a network that comes with
        jaxllc), "sparse", "operon" (needs jaxllc[operon]), "pysr" (needs jaxllc[pysr]); asked in the order
        given until one explains a term. Whole equations are always searched sparsely first; where that
        leaves something, or needs many terms, the engines look for expressions of the neural terms.
    functions: those that a law may hold, by name; "sqrt" stands for all powers that are not whole.
    division: whether a variable may stand in a denominator.
    sums: where sums of terms leave something unexplained, also look for functions of the sum over neighbours,
        such as tanh(sum_j A_ij x_j + u_i).
    neural: fit the two neural terms and let them propose: "auto" (where the search leaves something
        unexplained), "always" or "never".
    max_terms: largest number of terms in an equation.
    num_fits: proposals of each equation that are fitted to the trajectories.
    moves: rounds of add and swap moves.
    search_seconds: the whole time from smoothing to bootstrap. Where it ends a search before its own end the
        best law so far is returned, and its notes say so, since the result then depends on the speed of the
        machine. Smoothing, a first search and fit and the last fit are always made, however long they take.
    known: terms that the law holds, {variable: (self term, interaction term)} as text or as an `Equation`.
        Names that are neither variables nor features, such as delta in "-delta*x_i", are constants to be
        fitted, each of one side of one equation; numbers stay as they are.
    bounds: {name: (low, high)} of the constants named in `known`, and, by the names "coefficients" and
        "inner_constants", of all constants of the terms that are found.
    units: {"x": "mol/L", "omega": "1/s", "t": "s"} of variables, features, time "t" and weights "A"; what is
        not named is dimensionless. Terms whose units do not fit are not searched.
    demand: functions, "division" or "power" that the law must hold.
    preset: "default", or "llc" for the published road and nothing else, which reads `functions` and
        `division` alone (`jaxllc.baselines.llc`).
    """

    engines: tuple[str, ...] = DEFAULT_ENGINES
    functions: tuple[str, ...] = FUNCTION_NAMES
    division: bool = True
    sums: bool = True
    neural: str = "auto"
    max_terms: int = 8
    num_fits: int = 4
    moves: int = 3
    search_seconds: float = 300.0
    known: Mapping[str, Any] | None = None
    bounds: Mapping[str, tuple[float, float]] | None = None
    units: Mapping[str, str] | None = None
    demand: tuple[str, ...] = ()
    preset: str = "default"


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
    }
    given: dict[str, Any] = {
        name: tuple(listing(name, getattr(settings, name), "names", example))
        for name, example in lists.items()
    }
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
    for name in ("sums", "division"):
        if not isinstance(getattr(settings, name), bool):
            raise InputError(f"{name} must be True or False, not {getattr(settings, name)!r}")
    if not isinstance(settings.neural, str) or settings.neural not in ("auto", "always", "never"):
        raise InputError(f"neural must be 'auto', 'always' or 'never', not {settings.neural!r}")
    settings = replace(settings, **plain_prior(settings))
    check_preset(settings)
    return settings
