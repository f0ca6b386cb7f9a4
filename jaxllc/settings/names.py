"""Names of search engines and of functions, apart, so that settings are known before anything is loaded."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from jaxllc.equations.function_table import DEFAULT_FUNCTIONS, searchable
from jaxllc.errors import InputError, nearest_match

# Cheap proposals first: where they explain the samples in a few constants, no more are made.
DEFAULT_ENGINES = ("pretrained", "sparse")
ENGINES = ("sparse", "operon", "pysr", "pretrained")
FUNCTION_NAMES = DEFAULT_FUNCTIONS

# Packages that engines need beside those that are always there, and how to come by them.
_PACKAGES = {
    "operon": (
        "pyoperon",
        "the engine 'operon' needs the package pyoperon: pip install 'jaxllc[operon]' "
        "(wheels exist for Linux x86_64 and macOS arm64)",
    ),
    "pysr": (
        "pysr",
        "the engine 'pysr' needs the package PySR: pip install 'jaxllc[pysr]', which downloads "
        "Julia when it is first used",
    ),
}


def check_installed(name: str) -> None:
    """Raises InputError where the package that an engine needs is not installed; imports nothing."""
    package, how = _PACKAGES.get(name, ("", ""))
    if not package or sys.modules.get(package) is not None:
        return
    if find_spec(package) is None:
        raise InputError(how)


def check_engine(name: object) -> None:
    """Raises InputError unless there is a search engine of this name, and what it needs is installed."""
    if name not in ENGINES:
        raise InputError(
            f"there is no search engine {name!r}{nearest_match(str(name), ENGINES)}; "
            f"there are {', '.join(ENGINES)}"
        )
    check_installed(str(name))


def check_function(name: object) -> None:
    """Raises InputError unless there is a function of this name for expressions."""
    known = searchable()
    if name not in known:
        # What is usual is likelier to be meant.
        near = nearest_match(str(name), FUNCTION_NAMES) or nearest_match(str(name), known)
        raise InputError(f"there is no function {name!r}{near}; choose from {', '.join(known)}")
