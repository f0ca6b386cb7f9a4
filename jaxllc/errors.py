"""The one error that a user's input can cause, checks that raise it, and nearest matches to unknown names."""

import difflib
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

_LONGEST = 200  # characters of a value that a message quotes
_LONGEST_MESSAGE = 1000


class InputError(ValueError):
    """Input that cannot be used: one sentence with the place, the value and the mend.

    Whatever it quotes, a person can read it: words and sentences that are too long are cut in their middle.
    """

    def __init__(self, message: str = ""):
        super().__init__(_readable(str(message)))


def _readable(message: str) -> str:
    if len(message) <= _LONGEST:
        return message
    words = re.sub(rf"\S{{{_LONGEST},}}", lambda word: _cut(word[0], _LONGEST), message)
    return _cut(words, _LONGEST_MESSAGE)


def _cut(text: str, most: int) -> str:
    """The start and the end of a text, with dots between them where it is longer than `most`."""
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 3]}...{text[-end:]}"


def quoted(value: object, most: int = _LONGEST) -> str:
    """A value as Python writes it, in one line of at most so many characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def nearest_match(name: str, known: Iterable[str]) -> str:
    """A clause such as ` (did you mean 'Kuramoto'?)`, or an empty string when nothing is near.

    Near is what a slip of the finger makes: another case, accent or mark, a letter or two. Names that differ
    in a number, such as g05 and g30, are different names.
    """
    if len(name) > _LONGEST:
        return ""
    known = [candidate for candidate in known if candidate != name]
    bare = _letters(name)
    for candidate in known:
        if len(candidate) <= 2 * len(name) + 8 and _letters(candidate) == bare:
            return f" (did you mean {candidate!r}?)"
    near = difflib.get_close_matches(name, known[:20_000], n=8, cutoff=0.6)
    match = next((candidate for candidate in near if _is_slip(bare, candidate, known)), None)
    return f" (did you mean {match!r}?)" if match else ""


def _letters(name: str) -> str:
    """A name without case, accents, blanks and marks, and with numbers as they count: g_05 is g5."""
    if name.isascii():
        text = name.lower()
    else:
        text = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if c.isalnum())
    return re.sub(r"[\W_]+|(?<!\d)0+(?=\d)", "", text)


def _is_slip(name: str, candidate: str, known: Sequence[str]) -> bool:
    """Whether a letter or two, by the length of the names, make one of the other, or the rest is missing."""
    other = _letters(candidate)
    numbers, wanted = re.findall(r"\d+", name), re.findall(r"\d+", other)
    if numbers != wanted:
        # A number is left out, or a digit struck twice; where many names are numbered, it is another name.
        family = re.sub(r"\d+", "", other)
        doubled = [re.sub(r"(\d)\1", r"\1", number) for number in numbers]
        if (numbers and doubled != wanted) or len(name) < 2 or _family(family, known) > 4:
            return False
    if len(name) > 2 and other.startswith(name) and numbers == wanted:
        return len(other) <= 2 * len(name)
    longest = max(len(name), len(other))
    allowed = 0 if longest < 3 else 1 if longest < 6 else 2 if longest < 12 else 3
    letters, others = Counter(name), Counter(other)
    if longest > 4 and max((letters - others).total(), (others - letters).total()) <= 1:
        allowed = max(allowed, 2)  # hardly another letter, only another order
    return abs(len(name) - len(other)) <= allowed and _distance(name, other) <= allowed


def _family(letters: str, known: Sequence[str]) -> int:
    """How many names are these letters and a number."""
    return sum(re.sub(r"\d+", "", _letters(name)) == letters for name in known[:1000])


def _distance(one: str, other: str) -> int:
    """Letters to put in, leave out, change or swap with their neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        last, row = row, [i]
        for j, wanted in enumerate(other, start=1):
            best = min(last[j] + 1, row[-1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before = last
    return row[-1]


def listed(names: Sequence[str], known: Iterable[str] = (), shown: int = 3) -> str:
    """The first few names quoted, each with its nearest match in `known`, and how many are left."""
    known = list(known)
    most = max(20, _LONGEST // max(1, min(shown, len(names))))
    text = ", ".join(
        f"{quoted(name, most)}{nearest_match(str(name), known)}" for name in names[:shown]
    )
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"


def first_repeat(names: Sequence[str]) -> str | None:
    """The first name that stands a second time, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def check_integer(
    argument: str, value: object, least: int, what: str = "", most: int | None = None
) -> None:
    """Raises InputError where the value of an argument is no integer from `least` to `most`."""
    if isinstance(value, Integral) and most is not None and int(value) > most:
        raise InputError(f"{argument} is {quoted(value)}; give an integer of at most {most}")
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(
            f"{argument} is {quoted(value)}; give an integer of at least {least}{what and ', '}{what}"
        )


def check_mapping(argument: str, value: object, example: str) -> None:
    """Raises InputError where the value of an argument is not a mapping."""
    if not isinstance(value, Mapping):
        raise InputError(
            f"{argument} must be a mapping such as {example}, not {type(value).__name__}"
        )


def as_finite(value: object) -> float | None:
    """The value as a float; None for what is no number, true or false, not finite, or beyond all floats."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError):  # TypeError: a duration of NumPy passes for an integer
        return None
    return number if math.isfinite(number) else None


def check_number(
    argument: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    above: bool = False,
    unit: str = "",
) -> None:
    """Raises InputError where the value of an argument is not a finite number from low to high.

    above: low itself is too small.
    """
    number = as_finite(value)
    fine = number is not None and low <= number <= high and not (above and number == low)
    if not fine:
        least = f" above {low:g}" if above else f" of at least {low:g}"
        least = "" if low == -math.inf else least
        most = "" if high == math.inf else f"{' and' if least else ''} of at most {high:g}"
        raise InputError(
            f"{argument} is {quoted(value)}; give a number{unit and f' of {unit}'}{least}{most}"
        )


def check_seed(argument: str, value: object) -> None:
    """Raises InputError where the value of an argument is no seed: an integer from 0 to 2^32 - 1."""
    check_integer(argument, value, 0, most=2**32 - 1)


def check_choice(argument: str, value: object, choices: Sequence[str]) -> None:
    """Raises InputError where the value of an argument is none of a few words."""
    if not isinstance(value, str) or value not in choices:
        near = nearest_match(value, choices) if isinstance(value, str) else ""
        raise InputError(
            f"{argument} is {quoted(value, 80)}{near}; choose {listed(choices, shown=len(choices))}"
        )


def check_path(argument: str, value: object, instead: str = "") -> Path:
    """The path; raises InputError where an argument is none. instead: what takes such a value."""
    if not isinstance(value, str | os.PathLike) or value == "":
        raise InputError(
            f"{argument} is {quoted(value, 80)}, but it must be the path of a file"
            f"{'; ' if instead else ''}{instead}"
        )
    text = os.fsdecode(value)
    if "\0" in text or len(text) > 4000 or any(len(part) > 250 for part in text.split(os.sep)):
        raise InputError(
            f"{argument} is {quoted(value, 80)}, of {len(text)} characters, which is no path"
        )
    return Path(text)


def check_callable(argument: str, value: object, takes: str) -> None:
    """Raises InputError where the value of an argument is neither None nor a function of what it `takes`."""
    if value is not None and not isinstance(value, Callable):  # type: ignore[arg-type]
        raise InputError(
            f"{argument} is {quoted(value, 80)}; give a function that takes {takes}, or leave it out"
        )


def listing(argument: str, value: Any, of: str, example: str) -> list[Any]:
    """The entries of a list, range, array, set or generator, each argument of several values.

    Raises InputError for text, a mapping and what holds no entries one after the other. of: what they are.
    """
    one_by_one = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | type)
    if not one_by_one or getattr(value, "ndim", 1) != 1:
        raise InputError(
            f"{argument} is {quoted(value, 80)}; give a list of {of}, such as {example}"
        )
    return list(value)
