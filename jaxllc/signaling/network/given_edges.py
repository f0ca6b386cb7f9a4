"""Edges as a caller gives them in lists and arrays: names of nodes, signs and indices, checked."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from jaxllc.errors import InputError, listing, quoted


def names_given(names: Any, argument: str) -> np.ndarray:
    given = (
        list(names) if isinstance(names, str) else listing(argument, names, "names", "['STAT1']")
    )
    missing = ("", "None", "nan", "<NA>")
    texts = [str(name).strip() for name in given]
    texts = [
        "" if text in missing and not isinstance(name, str) else text
        for name, text in zip(given, texts, strict=True)
    ]
    if "" in texts:
        raise InputError(f"{argument}[{texts.index('')}] is empty; every edge needs two node names")
    return np.array(texts, dtype=object)


def signs_given(signs: Any) -> np.ndarray:
    """Signs as float64 (E,): 1, -1, or 0 where None, nan, a masked entry or 0 says that none is known."""
    values = []
    for e, sign in enumerate(listing("signs", signs, "signs", "[1, -1, None]")):
        if sign is None or sign is np.ma.masked or (isinstance(sign, Real) and sign != sign):
            sign = 0
        if isinstance(sign, bool) or not isinstance(sign, Real):
            raise InputError(
                f"signs must hold +1, -1 or None for unknown, but signs[{e}] is {quoted(sign, 80)}"
            )
        if sign not in (-1, 0, 1):
            raise InputError(f"signs[{e}] is {float(sign):g}; write +1, -1 or None for unknown")
        values.append(float(sign))
    return np.array(values)


def whole_numbers(values: Any, kind: Any, argument: str) -> np.ndarray:
    """An array of whole numbers (E,), of this kind, that nobody writes to."""
    try:
        given = np.array(values)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{argument} is {quoted(values, 80)}; give an array of whole numbers"
        ) from error
    limit = np.iinfo(kind)
    fine = given.ndim == 1 and (given.dtype.kind in "iuf" or given.size == 0)
    if fine and given.size:
        fine = bool(np.isfinite(given).all()) and bool((given == np.round(given)).all())
        fine = fine and limit.min <= given.min() and given.max() <= limit.max
    if not fine:
        raise InputError(f"{argument} is {quoted(values, 80)}; give an array of whole numbers")
    return fixed(given.astype(kind))


def flags_given(values: Any, argument: str) -> np.ndarray:
    """An array of true and false (E,) that nobody writes to."""
    given = listing(argument, values, "true and false", "[True, False]")
    if not all(isinstance(one, bool | np.bool_ | Real) and one in (0, 1) for one in given):
        raise InputError(f"{argument} is {quoted(values, 80)}; give True or False")
    return fixed(np.array(given, dtype=bool))


def fixed(array: np.ndarray) -> np.ndarray:
    """The array, which nobody may write to from now on."""
    array.flags.writeable = False
    return array
