"""What a table of states is by its header and first cells: wide, long, or something else that is named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jaxllc.errors import InputError, listed, quoted
from jaxllc.tables.csv_table import CsvTable
from jaxllc.tables.date_cells import look_like_dates
from jaxllc.tables.matrix_table import check_not_matrix
from jaxllc.tables.number_cells import number
from jaxllc.tables.table import Table

TIME = ("time", "t", "date", "datetime", "date_time", "timestamp")
KEYS = (*TIME, "node", "variable", "value", "run")
SENDER = ("sender", "source", "from")
RECEIVER = ("receiver", "target", "to")
_RUNS = (
    "runs",
    "replicate",
    "replicates",
    "rep",
    "experiment",
    "trial",
    "simulation",
    "series",
    "sample",
)
# Times as columns are called: 0.5, t3, 12h, day 7.
_TIME_NAME = re.compile(
    r"(t|time|d|day|h|hour|w|week|min|s|sec)?[ =_.]?-?\d+(\.\d*)?([eE][+-]?\d+)? ?"
    r"(h|hrs?|hours?|min|minutes?|s|sec|seconds?|d|days?|w|weeks?|months?|years?)?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]")


def check_states_header(table: Table) -> None:
    """Raises InputError for a table of another kind, in its own words."""
    if isinstance(table, CsvTable):
        _settle_first_column(table)
    if table.find(*TIME) is None:
        check_not_matrix(table, "states")
    _check_not_transposed(table)
    table.check_header()
    if table.find(*TIME) is None:
        if table.find(*SENDER) and table.find(*RECEIVER):
            raise InputError(
                f"{table.path} is a table of edges ({','.join(table.header[:3])[:200]}), not of states: the "
                "two files look swapped, states come first and edges second"
            )
        raise InputError(_no_time(table))
    odd = [name for name in table.header if name.lower() not in KEYS]
    if is_long(table) and odd:
        raise InputError(
            f"{table.path} has the column {listed(odd, KEYS)}; "
            "a long table has only time, node, variable, value and run"
        )


def is_long(table: Table) -> bool:
    """Whether each row holds one value of one node."""
    return table.find("node") is not None and table.find("value") is not None


def _settle_first_column(table: CsvTable) -> None:
    """A first column without a name is the index of a DataFrame: row numbers, or dates: the time."""
    if table.header[0] == "" and table.find(*TIME) is None and len(table.header) > 1:
        cells = [cell for cell in table.head("") if cell]
        if cells and look_like_dates(cells):
            table.rename("", "time")
            return
    table.drop_index()


def _check_not_transposed(table: Table) -> None:
    if not table.header:
        return
    first, *rest = table.header
    dates = [name for name in rest if look_like_dates([name])]
    numbers = [name for name in rest if _TIME_NAME.fullmatch(name.strip())]
    if max(len(dates), len(numbers)) < 3:
        return
    # Nodes may be called 0, 1, 2, ...: then the first column holds numbers too.
    numbered = len(numbers) == len(rest) and _are_names(table.head(first))
    if len(dates) * 2 <= len(rest) and not numbered:
        return
    example = (dates or numbers)[0]
    raise InputError(
        f"{table.path} is transposed: its columns are times (such as {quoted(example, 60)}) and its rows "
        "nodes; turn it, so that a column time comes first and then a column for each node: "
        f'pandas.read_csv(..., index_col=0).T.rename_axis("time")'
    )


def _are_names(cells: Sequence[str]) -> bool:
    named = [cell for cell in cells if number(cell) is None and not look_like_dates([cell])]
    return len(named) * 2 > len(cells)


def _no_time(table: Table) -> str:
    said = f"{table.path} has no column 'time'; its columns are {listed(table.header, ['time'])}, "
    for name in table.header[:50]:
        cells = table.head(name)
        if cells and look_like_dates(cells):
            return f"{said}of which {quoted(name, 60)} holds dates: rename it to time"
    mend = "rename the one that holds the time"
    if table.header[0] == "":
        mend = "name the first one time if it holds the time"
    return said + mend


def check_wide_columns(table: Table, columns: Sequence[str]) -> None:
    """Raises InputError for a column of names, dates or runs among those that should hold states."""
    odd = [name for name in columns if not table.is_numeric(name)]
    for name in odd[:20]:
        cells = table.head(name)
        if look_like_dates([cell for cell in cells if cell], 0.9):
            raise InputError(
                f"{table.path}: the column {quoted(name, 60)} holds dates, not states; remove it, or name it "
                "time if it is the time of the samples"
            )
        words = [n for n, cell in enumerate(cells) if number(cell) is None and _WORD.search(cell)]
        if len(cells) < 3 or len(words) * 2 <= len(cells):
            continue
        mend = _long_mend(table, name, columns)
        if name.lower() in _RUNS:
            mend = "if it tells the runs apart, name it run, else remove it"
        raise InputError(
            f"{table.place(words[0], name)}: {quoted(cells[words[0]], 60)} is not a number, and so most of "
            f"the column; {mend}"
        )


def _long_mend(table: Table, name: str, columns: Sequence[str]) -> str:
    """What to do with a column of words, which a long table has."""
    values = [c for c in columns if c != name and table.is_numeric(c)]
    if name == table.find("node"):
        if len(values) == 1:
            return f"a long table has a column value too: name {quoted(values[0], 60)} so"
        return "a long table has one value in each row, in the columns time,node,variable,value"
    value = f" and {quoted(values[-1], 60)} value" if values and values[-1] != "value" else ""
    return f"if this is a long table, name that column node{value}, else remove it"


def run_column(table: Table, columns: Sequence[str]) -> str | None:
    """A column that by its name may tell the runs apart, though it is not called run."""
    return next((name for name in columns if name.lower() in _RUNS), None)


def split_columns(table: Table, columns: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Nodes, variables, and the columns ordered by node, then variable.

    Columns are "node.variable" if each ends in a dot and a name, and they make a full table of nodes
    and variables; else each column is a node.
    """
    parts = [re.fullmatch(r"(.+)\.([A-Za-z][A-Za-z0-9_]*)", name) for name in columns]
    pairs = [(part[1], part[2]) for part in parts if part]
    nodes = list(dict.fromkeys(node for node, _ in pairs))
    variables = list(dict.fromkeys(variable for _, variable in pairs))
    several = len(nodes) < len(pairs)
    if len(pairs) < len(columns) or not (several or len(variables) == 1):
        return columns, ["x"], columns
    given = set(columns)
    # Counted before they are listed: columns such as a.b of all kinds would make a table without end.
    if len(nodes) * len(variables) > 4 * len(columns) + 1000:
        return columns, ["x"], columns
    order = [f"{node}.{variable}" for node in nodes for variable in variables]
    missing = [name for name in order if name not in given]
    if missing:
        raise InputError(
            f"{table.path} has no column {listed(missing, columns)}; every node needs every variable"
        )
    return nodes, variables, order
