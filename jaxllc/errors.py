"""The one error that a user's input can cause, checks that raise it, and nearest matches to unknown names."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral


class InputError(ValueError):
    """Input that cannot be used: one sentence with the place, the value and the mend."""


def nearest_match(name: str, known: Iterable[str]) -> str:
    """A clause such as ` (did you mean 'Kuramoto'?)`, or an empty string when nothing is near."""
    known = [candidate for candidate in known if candidate != name]
    for candidate in known:
        if candidate.casefold().strip() == name.casefold().strip():
            return f" (did you mean {candidate!r}?)"
    near = difflib.get_close_matches(name, known[:20_000], n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(names: Sequence[str], known: Iterable[str] = (), shown: int = 3) -> str:
    """The first few names quoted, each with its nearest match in `known`, and how many are left."""
    known = list(known)
    text = ", ".join(f"{name!r}{nearest_match(name, known)}" for name in names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"


def first_repeat(names: Sequence[str]) -> str | None:
    """The first name that stands a second time, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def check_integer(argument: str, value: object, least: int, what: str = "") -> None:
    """Raises InputError where the value of an argument is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(
            f"{argument} is {value!r}; give an integer of at least {least}{what and ', '}{what}"
        )


def check_mapping(argument: str, value: object, example: str) -> None:
    """Raises InputError where the value of an argument is not a mapping."""
    if not isinstance(value, Mapping):
        raise InputError(
            f"{argument} must be a mapping such as {example}, not {type(value).__name__}"
        )
