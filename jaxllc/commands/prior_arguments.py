"""Flags of `jaxllc discover` for what a user knows beforehand: known terms, bounds and units."""

from __future__ import annotations

import argparse
from typing import Any

from jaxllc.errors import InputError

# Settings that are mappings: one entry for each flag given.
PRIOR = ("known", "bounds", "units", "vary")


def add_prior_arguments(group: argparse._ArgumentGroup) -> None:
    """--known, --bound and --unit, each as often as needed."""
    group.add_argument(
        "--known",
        action="append",
        metavar="'x: SELF; INTERACTION'",
        help="terms that the equation of a variable holds, such as 'x: -delta*x_i; beta*x_j'; either may be "
        "empty. Names that are no variables or features are constants to be fitted, numbers stay as they are",
    )
    group.add_argument(
        "--bound",
        dest="bounds",
        action="append",
        metavar="NAME=LOW:HIGH",
        help="range of a constant named in --known, or of all found 'coefficients' or 'inner_constants'; "
        "an end may be left out",
    )
    group.add_argument(
        "--unit",
        dest="units",
        action="append",
        metavar="NAME=UNIT",
        help="unit of a variable, a feature, the time t or the weights A, such as x=mol/L or t=s",
    )
    group.add_argument(
        "--vary",
        action="append",
        metavar="NAME=node",
        help="a constant that every node has of its own and that was not measured; where it stands in the "
        "law is found, too, unless --known holds NAME_i",
    )


def _vary(text: str) -> tuple[str, str]:
    name, equals, what = text.partition("=")
    return name.strip(), what.strip() if equals else "node"


def prior_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of these flags; raises InputError for one that cannot be read."""
    settings: dict[str, Any] = {}
    for name, (flag, read) in _READ.items():
        given = getattr(options, name)
        entries: dict[str, Any] = {}
        for text in given or ():
            key, value = read(text)
            if key in entries:
                raise InputError(f"{flag} is given twice for {key}; give it once")
            entries[key] = value
        settings[name] = entries or None
    return settings


def _known(text: str) -> tuple[str, tuple[str, str]]:
    variable, colon, terms = text.partition(":")
    parts = [part.strip() for part in terms.split(";")]
    if not colon or not variable.strip() or len(parts) > 2:
        raise InputError(
            f"--known {text!r} cannot be read; write it as 'x: SELF; INTERACTION', such as 'x: -delta*x_i;'"
        )
    return variable.strip(), (parts[0], parts[1] if len(parts) == 2 else "")


def _bound(text: str) -> tuple[str, tuple[float, float]]:
    name, equals, ends = text.partition("=")
    low, colon, high = ends.partition(":")
    try:
        if not equals or not colon:
            raise ValueError
        pair = float(low or "-inf"), float(high or "inf")
    except ValueError:
        raise InputError(
            f"--bound {text!r} cannot be read; write it as NAME=LOW:HIGH, such as delta=0:1"
        ) from None
    return name.strip(), pair


def _unit(text: str) -> tuple[str, str]:
    name, equals, unit = text.partition("=")
    if not equals:
        raise InputError(f"--unit {text!r} cannot be read; write it as NAME=UNIT, such as x=mol/L")
    return name.strip(), unit.strip()


# The flag of each of these settings, and how it is read.
_READ = {
    "known": ("--known", _known),
    "bounds": ("--bound", _bound),
    "units": ("--unit", _unit),
    "vary": ("--vary", _vary),
}
