"""Names of the search engines, apart from them so that a setting is checked before anything is loaded."""

from __future__ import annotations

from jaxllc.errors import InputError, nearest_match

ENGINES = ("sparse", "operon", "pysr")


def check_engine(name: object) -> None:
    """Raises InputError unless there is a search engine of this name."""
    if name not in ENGINES:
        raise InputError(
            f"there is no search engine {name!r}{nearest_match(str(name), ENGINES)}; "
            f"there are {', '.join(ENGINES)}"
        )
