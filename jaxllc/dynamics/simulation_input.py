"""What `simulate` is given, checked: the field, the solver's numbers, and values of nodes by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxllc.errors import InputError, check_integer, nearest_match
from jaxllc.tables.labels import is_labelled_array, labels_of, names_tuple, order_of, take
from jaxllc.tables.real_numbers import is_frame, is_series, real_numbers


def field_of(field: Any) -> Any:
    """A vector field; of a law, its own. Raises InputError for anything else."""
    if isinstance(field, type) or not (
        hasattr(field, "derivative") or hasattr(field, "vector_field")
    ):
        raise InputError(
            f"field must be a vector field, such as law.vector_field(), not a {type(field).__name__}; "
            "check the order of the arguments"
        )
    return field if hasattr(field, "derivative") else field.vector_field()


def check_solver(
    solver: Any, known: Mapping[str, str], rtol: Any, atol: Any, max_steps: Any
) -> None:
    """Raises InputError for an unknown solver, and for tolerances and a number of steps that cannot be."""
    if not isinstance(solver, str) or solver not in known:
        raise InputError(
            f"Unknown solver {_short(solver)}{nearest_match(str(solver)[:40], known)}; "
            f"solvers are {', '.join(known)}."
        )
    for name, value in (("rtol", rtol), ("atol", atol)):
        number = real_numbers(value, name)
        if number.ndim or not 0 < number < np.inf:
            raise InputError(f"{name} must be one positive number, not {_short(value)}")
    check_integer("max_steps", max_steps, 1)
    if max_steps > 2**31 - 1:
        raise InputError(f"max_steps is {_short(max_steps)}; give at most {2**31 - 1}")


def float_dtype(dtype: Any) -> np.dtype:
    """float32 or float64; raises InputError for another type."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = np.dtype(bool)
    if dtype is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"dtype must be float32 or float64, not {_short(dtype)}")
    return found


def state_values(
    values: Any, names: tuple[str, ...], variables: tuple[str, ...], what: str = "initial_state"
) -> np.ndarray:
    """A state of all nodes as float64, brought into the order of names and variables by its labels.

    values: an array; a Series or mapping by node; a DataFrame with a row for each node and a column for each
    variable; or a DataArray.
    """
    if not isinstance(values, Mapping | Iterable) and not hasattr(values, "__array__"):
        raise InputError(
            f"{what} must be an array of numbers, not a {type(values).__name__}; check the order of the "
            "arguments."
        )
    if isinstance(values, Mapping):
        labels = names_tuple(values.keys(), what)
        array = real_numbers(list(values.values()), what)
        return array[order_of(labels, names, what, "the network")]
    if is_frame(values) or is_series(values) or is_labelled_array(values):
        if len(values.shape) > 2:
            return real_numbers(values, what)
        rows = labels_of(values, 0, f"rows of {what}")
        if rows is not None and rows != names:
            values = take(values, order_of(rows, names, what, "the network"), 0)
        columns = labels_of(values, 1, f"columns of {what}") if len(values.shape) == 2 else None
        if columns is not None and columns != variables:
            values = take(values, order_of(columns, variables, what, "the law's variables"), 1)
    return real_numbers(values, what)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def without_advice(message: str) -> str:
    """The sentence of a run without its mend, for those who cannot choose a solver."""
    return f"{message.partition(';')[0].rstrip('.')}."
