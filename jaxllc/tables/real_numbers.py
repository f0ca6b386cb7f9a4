"""Real numbers out of whatever holds them: lists, NumPy, JAX, pandas, masked arrays; none coerced blindly.

What is masked or missing becomes nan. Text, dates, complex numbers, true and false are no numbers, although
NumPy would make some of each.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np

from jaxllc.errors import InputError

_KINDS = {
    "b": "true and false",
    "c": "complex numbers",
    "M": "dates",
    "m": "durations",
    "S": "text",
    "T": "text",
    "U": "text",
    "V": "records",
}


def real_numbers(values: Any, what: str, allow_bool: bool = False) -> np.ndarray:
    """float64 of any shape, the caller's own copy; nan where a value is masked or missing.

    what: the argument, in the words of an error. allow_bool: take true and false as 1 and 0.
    Raises InputError for text, dates, complex numbers, rows of different lengths and quantities with a unit.
    """
    _refuse_units(values, what)
    array = as_array(values, what)
    kind = array.dtype.kind
    if kind == "O":
        array = _numbers_of_objects(array, what, allow_bool)
    elif kind not in "iuf" and not (kind == "b" and allow_bool):
        raise InputError(
            f"{what} must be numbers, but holds {_KINDS.get(kind, str(array.dtype))}"
            f"{_example(np.ma.getdata(array))}"
        )
    numbers = np.array(np.ma.getdata(array), dtype=np.float64)
    if isinstance(array, np.ma.MaskedArray):
        numbers[np.ma.getmaskarray(array)] = np.nan
    return numbers


def as_array(values: Any, what: str) -> np.ndarray:
    """An array of whatever dtype; a masked array keeps its mask, and a missing value in a table is nan."""
    if is_frame(values) or is_series(values):
        return _of_pandas(values)
    if isinstance(values, list | tuple) and any(_has_mask(part) for part in values):
        return np.ma.array([np.nan if part is np.ma.masked else part for part in values])
    if isinstance(values, np.ma.MaskedArray):
        return values
    if isinstance(values, str | bytes | dict | set | frozenset) or callable(values):
        raise InputError(f"{what} must be numbers, not {type(values).__name__}{_shown(values)}")
    try:
        array = np.asarray(values)
    except Exception as error:  # whatever a foreign object's conversion raises
        raise InputError(f"{what} must be numbers: {_short(str(error))}") from error
    if array.dtype.kind == "O" and array.ndim == 0:
        raise InputError(f"{what} must be numbers, not {type(values).__name__}{_shown(values)}")
    return array


def is_frame(values: Any) -> bool:
    """Whether this is a table of pandas, or one with its labels: index, columns and iloc."""
    return all(hasattr(values, name) for name in ("index", "columns", "iloc"))


def is_series(values: Any) -> bool:
    """Whether this is a column of pandas with its index."""
    return all(hasattr(values, name) for name in ("index", "iloc", "to_numpy")) and not is_frame(
        values
    )


def _has_mask(part: Any) -> bool:
    return isinstance(part, np.ma.MaskedArray) or part is np.ma.masked


def _of_pandas(values: Any) -> np.ndarray:
    """Columns of different kinds become objects, so that none is turned into numbers unseen."""
    if is_series(values):
        return np.asarray(_plain(values))
    columns = [_plain(values.iloc[:, n]) for n in range(values.shape[1])]
    kinds = {column.dtype.kind for column in columns}
    if not columns:
        return np.zeros(values.shape)
    if kinds <= set("iuf") or len(kinds) == 1:
        return np.stack(columns, axis=1)
    return np.stack([column.astype(object) for column in columns], axis=1)


def _plain(column: Any) -> np.ndarray:
    """A column as an array; columns that know missing numbers give nan for them."""
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iuf" and not isinstance(column.dtype, np.dtype):
        if kind != "f" and not column.isna().any():
            return np.asarray(column.to_numpy(dtype=np.int64 if kind == "i" else np.uint64))
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(column)


def _numbers_of_objects(array: np.ndarray, what: str, allow_bool: bool) -> np.ndarray:
    """Objects as float64, where each is a real number or a sign for a missing one."""
    masked = np.ma.getmaskarray(array)
    data = np.ma.getdata(array)
    numbers = np.empty(data.shape, dtype=np.float64)
    for place in np.ndindex(data.shape):
        value = data[place]
        if masked[place] or is_missing(value):
            numbers[place] = np.nan
        elif _is_real(value) or (allow_bool and isinstance(value, bool | np.bool_)):
            try:
                numbers[place] = float(value)
            except OverflowError:
                numbers[place] = math.inf if value > 0 else -math.inf
        else:
            where = ", ".join(map(str, place))
            raise InputError(
                f"{what} must be numbers, but [{where}] is {type(value).__name__}{_shown(value)}"
            )
    return numbers


def is_missing(value: Any) -> bool:
    """None, nan, or what pandas and NumPy put where a value is missing."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _is_real(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    return isinstance(value, Real | Decimal | Fraction) or (
        isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iuf"
    )


def _refuse_units(values: Any, what: str) -> None:
    """Quantities of pint and astropy: their unit would be lost."""
    unit = getattr(values, "units", None) if hasattr(values, "magnitude") else None
    if unit is None and hasattr(values, "to_value"):
        unit = getattr(values, "unit", None)
    if unit is not None:
        raise InputError(
            f"{what} has the unit {_short(str(unit))}; pass its numbers in the unit you mean, and name it in "
            "units={...} of discover()"
        )


def _example(array: np.ndarray) -> str:
    return f" such as {_short(repr(array.ravel()[0].item()))}" if array.size else ""


def _shown(value: Any) -> str:
    simple = isinstance(value, str | bytes | int | float | complex | np.generic)
    return f" {_short(repr(value))}" if simple else ""


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
