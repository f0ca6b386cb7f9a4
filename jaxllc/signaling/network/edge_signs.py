"""The signs of the edges of a table, from whatever columns say them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxllc.errors import InputError, listed
from jaxllc.signaling.network.edge_columns import EdgeColumns, check_columns, column_key
from jaxllc.signaling.network.sign_words import (
    BOTH,
    near_sign_word,
    sign_of_mode,
    sign_of_number,
    sign_of_word,
)
from jaxllc.tables.table import Table

_WEIGHTED = ("mor", "mode_of_regulation", "mode", "modes")
_TRUTH = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n"), False),
}


def signs_of(
    table: Table, columns: EdgeColumns, count: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Which rows stimulate and which inhibit, bool (R,), and notes."""
    import pandas as pd

    if columns.flags:
        stimulation, inhibition = (flags_of(table, name) for name in columns.flags)
        return stimulation, inhibition, []
    if columns.sign:
        mend = "write 1, -1 or 0 (unknown)"
        # A column called sign holds no other numbers; a mode of regulation may be weighted.
        reader = sign_of_mode if column_key(columns.sign) in _WEIGHTED else sign_of_word
        return *each_way(_mapped(table.cells(columns.sign), reader, table, columns.sign, mend)), []
    notes: list[str] = []
    for name in columns.maybe:
        cells = table.cells(name)
        found = [sign_of_word(cell) for cell in pd.unique(cells)]
        known = {sign for sign in found if sign}
        numeric = all(sign_of_number(cell) is not None for cell in pd.unique(cells))
        words = not numeric and None not in found
        if words or (len(known) > int(numeric) and 2 * found.count(None) <= len(found)):
            mend = "write activates, inhibits or unknown"
            return *each_way(_mapped(cells, sign_of_word, table, name, mend)), notes
        if numeric and columns.weight is None:
            check_columns(table.path, table.header, columns._replace(maybe=[], odd=[name]))
        notes.append(
            f"the column {name!r} ({listed(list(pd.unique(cells)))}) says no signs and was not looked at"
        )
    if columns.weight:
        mend = "write a number, or nothing if unknown"
        cells = table.cells(columns.weight)
        signs = _mapped(cells, sign_of_number, table, columns.weight, mend)
        if (signs < 0).any() or not signs.any():
            return *each_way(signs), notes
        notes.append(
            f"the column {columns.weight!r} is never negative, so it is taken for a confidence and not for a "
            f"sign: no sign is known; where signs are known, give them in a column sign (1, -1 or 0)"
        )
    return np.zeros(count, bool), np.zeros(count, bool), notes


def each_way(signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which signs stand for stimulation and which for inhibition; some may stand for both."""
    return signs > 0, (signs < 0) | (signs == BOTH)


def flags_of(table: Table, column: str) -> np.ndarray:
    mend = "write 1 or 0 (True and False do as well)"
    flags = _mapped(table.cells(column), lambda c: _TRUTH.get(c.lower()), table, column, mend)
    return flags.astype(bool)


def _mapped(
    cells: np.ndarray,
    value: Callable[[str], int | None],
    table: Table,
    column: str,
    mend: str,
) -> np.ndarray:
    """The number of each cell, int (R,); a cell whose value is None raises InputError."""
    import pandas as pd

    codes, found = pd.factorize(cells)
    values = [value(cell) for cell in found]
    if None in values:
        row = int(np.isin(codes, [n for n, known in enumerate(values) if known is None]).argmax())
        cell = cells[row]
        what = "is empty" if cell == "" else f"{cell!r} is not understood{near_sign_word(cell)}"
        colon = " " if cell == "" else ": "
        raise InputError(f"{table.place(row, column)}{colon}{what}; {mend}")
    return np.array(values, dtype=int)[codes]
