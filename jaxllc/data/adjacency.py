"""An adjacency matrix as somebody has it, with its labels: A[i, j] is the influence of j on i.

Rows are receivers and columns senders, unless the table itself says otherwise (`pandas.crosstab` of senders
and receivers calls its rows "source" and its columns "target").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxllc.errors import InputError
from jaxllc.tables.labels import (
    RECEIVERS,
    SENDERS,
    dimension_names,
    is_labelled_array,
    labels_of,
    names_tuple,
    order_of,
    take,
)
from jaxllc.tables.real_numbers import is_frame, real_numbers

_WHAT = "the adjacency matrix"


def read_adjacency(A: Any, names: Sequence[str] | None) -> tuple[Any, tuple[str, ...]]:
    """A scipy.sparse.coo_array (N, N) of float64 without zeros, rows receivers, and the N names.

    Row and column labels of a DataFrame or DataArray are brought into one order; `names` given beside them
    sets the order, and must be the same set. Raises InputError where rows and columns are not the same nodes,
    and for a matrix that is not square or not of numbers.
    """
    import scipy.sparse

    if names is not None:
        names = names_tuple(names)
    if not scipy.sparse.issparse(A):
        if is_frame(A) or is_labelled_array(A):
            A, names = _aligned(A, names)
        A = _dense(A)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise InputError(f"{_WHAT} must be square, not of shape {A.shape}")
    matrix = scipy.sparse.coo_array(A)
    if matrix.data.dtype != np.float64:
        values = real_numbers(matrix.data, _WHAT, allow_bool=True)
        matrix = scipy.sparse.coo_array((values, matrix.coords), shape=matrix.shape)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if names is None:
        names = tuple(str(n) for n in range(A.shape[0]))
    if len(names) != A.shape[0]:
        raise InputError(
            f"there are {len(names)} names for an adjacency matrix of {A.shape[0]} nodes"
        )
    return matrix, names


def _dense(A: Any) -> np.ndarray:
    """A matrix of numbers; a masked entry is no edge."""
    masked = np.ma.getmaskarray(A) if isinstance(A, np.ma.MaskedArray) else False
    return np.where(masked, 0.0, real_numbers(A, _WHAT, allow_bool=True))


def _aligned(A: Any, names: tuple[str, ...] | None) -> tuple[Any, tuple[str, ...] | None]:
    """The matrix with rows and columns in one order, receivers in rows, and that order."""
    if len(A.shape) != 2:
        raise InputError(f"{_WHAT} must be square, not of shape {A.shape}")
    called = dimension_names(A)
    if called[0] in SENDERS or called[1] in RECEIVERS:
        if called[0] in RECEIVERS or called[1] in SENDERS:
            raise InputError(
                f"rows of {_WHAT} are called {called[0]!r} and columns {called[1]!r}; one must be receivers "
                "and the other senders"
            )
        A = A.transpose()
    rows = labels_of(A, 0, f"rows of {_WHAT}")
    columns = labels_of(A, 1, f"columns of {_WHAT}")
    if rows is None and columns is None:
        return A, names
    if rows is None or columns is None:
        if A.shape[0] != A.shape[1]:
            raise InputError(f"{_WHAT} must be square, not of shape {A.shape}")
        # Plain numbers may be names too: then both must hold them; else one side alone names the nodes.
        count = tuple(str(n) for n in range(A.shape[0]))
        known = rows or columns or ()
        if set(known) != set(count):
            return _ordered(A, known, known, names)
        rows, columns = rows or count, columns or count
    return _ordered(A, rows, columns, names)


def _ordered(
    A: Any, rows: tuple[str, ...], columns: tuple[str, ...], names: tuple[str, ...] | None
) -> tuple[Any, tuple[str, ...]]:
    wanted = rows if names is None else names
    if columns != rows or names is not None:
        by_row = order_of(rows, wanted, f"the rows of {_WHAT}", "names")
        try:
            by_column = order_of(columns, wanted, f"the columns of {_WHAT}", "its rows")
        except InputError as error:
            raise InputError(
                f"{error}; reindex both to all nodes, 0 where there is no edge"
            ) from error
        A = take(take(A, by_row, 0), by_column, 1)
    return A, wanted
