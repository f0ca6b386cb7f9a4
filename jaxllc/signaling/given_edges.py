"""Edges as a caller gives them in lists and arrays: names of nodes, signs and indices, checked."""

from __future__ import annotations

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
    given = listing("signs", signs, "signs", "[1, -1, None]")
    try:
        values = np.array([np.nan if sign is None else sign for sign in given], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"signs must hold +1, -1 or None for unknown: {error}") from error
    values = np.nan_to_num(values, nan=0.0)
    wrong = ~np.isin(values, (-1.0, 0.0, 1.0))
    if wrong.any():
        e = int(wrong.argmax())
        raise InputError(f"signs[{e}] is {values[e]:g}; write +1, -1 or None for unknown")
    return values


def whole_numbers(values: Any, kind: Any, argument: str) -> np.ndarray:
    try:
        given = np.array(values)
        found = given.astype(kind)
        if (given.dtype.kind not in "iuf" and given.size) or (given != found).any():
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{argument} is {quoted(values, 80)}; give an array of whole numbers"
        ) from error
    return fixed(found)


def fixed(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
