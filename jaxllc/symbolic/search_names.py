"""Names of search engines and of functions, apart, so that settings are known before anything is loaded."""

from __future__ import annotations

from jaxllc.errors import InputError, nearest_match

# Cheap proposals first: where they explain the samples in a few constants, no more are made.
DEFAULT_ENGINES = ("pretrained", "sparse")
ENGINES = ("sparse", "operon", "pysr", "pretrained")
FUNCTION_NAMES = ("exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "abs", "min", "max")


def check_engine(name: object) -> None:
    """Raises InputError unless there is a search engine of this name."""
    if name not in ENGINES:
        raise InputError(
            f"there is no search engine {name!r}{nearest_match(str(name), ENGINES)}; "
            f"there are {', '.join(ENGINES)}"
        )


def check_function(name: object) -> None:
    """Raises InputError unless there is a function of this name for expressions."""
    if name not in FUNCTION_NAMES:
        raise InputError(
            f"there is no function {name!r}{nearest_match(str(name), FUNCTION_NAMES)}; "
            f"choose from {', '.join(FUNCTION_NAMES)}"
        )
