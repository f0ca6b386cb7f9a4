"""Records of a sweep: a file of JSON lines that is only ever appended to, one row per run.

    {"study", "identity", "point", "seed", "status", "note", "metrics", "settings", "seconds", "device",
     "versions"}

`study` is the fingerprint of what the sweep is made of, `identity` that of what the point stands for. A run
may stand several times: its last row counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_path
from jaxllc.files.file_values import number, plain, text
from jaxllc.files.json_lines import append_lines, read_rows
from jaxllc.files.json_text import parse_json
from jaxllc.sweeps.grids import Grid, GridLike, grid_of, key_of
from jaxllc.version import __version__

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

DONE, DIVERGED, FAILED = "done", "diverged", "failed"
# The columns of a table beside the fields of the points and the metrics; seconds differ from run to run.
COLUMNS = ("status", "note", "seconds")
_FIELDS = ("study", "point", "status", "note", "metrics", "seconds")


def fingerprint_of(*parts: Any) -> str:
    """A hash of what a sweep is made of; raises InputError for parts that JSON cannot hold."""
    try:
        text = json.dumps(parts, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"study cannot be written as JSON ({error}); give numbers, text, lists and dicts of these"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


class Records:
    """The rows of one study, in a file where a path is given, else in memory alone.

    Raises InputError where the folder of the file does not exist, and for a file that holds something else or
    rows of another study. A last line that was cut off while being written is dropped.
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        study: str,
        identities: Mapping[str, str | None] | None = None,
    ):
        self.path = None if path is None else Path(path)
        self.study = study
        self.identities = dict(identities or {})
        self.rows: dict[str, Row] = {}
        if self.path is None:
            return
        if not self.path.parent.is_dir():
            raise InputError(
                f"records is {self.path}, whose folder does not exist; create it or choose another place"
            )
        for place, row in enumerate(_rows_in(self.path), start=1):
            if row["study"] != study:
                raise InputError(
                    f"{self.path}, row {place} belongs to another study: another function, network, data "
                    "or settings; choose another file for the records"
                )
            key = key_of(row["point"])
            if row.get("identity") != self.identities.get(key, row.get("identity")):
                raise InputError(
                    f"{self.path}, row {place} is of the point {key}, which stood for something else, such "
                    "as another network; choose another file for the records"
                )
            self.rows[key] = row

    def is_done(self, key: str) -> bool:
        """Whether a run need not be made again; one that failed is tried again."""
        return key in self.rows and self.rows[key]["status"] != FAILED

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows in one writing; when this returns they are on the disk."""
        identity = self.identities.get
        rows = [
            {"study": self.study, "identity": identity(key_of(row["point"])), **plain(row)}
            for row in rows
        ]
        if self.path is not None and rows:
            append_lines(self.path, [json.dumps(row, allow_nan=False) for row in rows])
        for row in rows:
            self.rows[key_of(row["point"])] = row

    def table(self, grid: Grid) -> pd.DataFrame:
        """The rows of the points of a grid, in its order; see `read_records`."""
        return table_of([self.rows[key] for key in grid.keys if key in self.rows])


def read_records(path: str | os.PathLike, grid: GridLike | None = None) -> pd.DataFrame:
    """The runs in a file of records as a table, in the order of the grid if one is given.

    path: of the file. One row per run: the fields of its point, status ("done", "diverged" or "failed"),
    note (why), its metrics, seconds, device, and the versions of jaxllc, jax, numpy and python. With a
    grid, only its points.

    Raises InputError for a file that does not exist or holds something else.

    Example: `read_records("sweep.jsonl").groupby("l2")["held_out_correlation"].mean()`.
    """
    check_path("path", path)
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; give the file of records of a sweep")
    grid = None if grid is None else grid_of(grid)
    latest = {key_of(row["point"]): row for row in _rows_in(path, repair=False)}
    keys = latest if grid is None else [key for key in grid.keys if key in latest]
    rows = [latest[key] for key in keys]
    table = table_of(rows)
    table["device"] = [row.get("device") for row in rows]
    for name in dict.fromkeys(name for row in rows for name in row.get("versions", {})):
        table[f"{name}_version"] = [row.get("versions", {}).get(name) for row in rows]
    return table


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """A DataFrame of rows: fields of the points, status, note, metrics, seconds; nan where a row has none."""
    import pandas as pd

    flat = [
        {**row["point"], "status": row["status"], "note": row["note"], **row["metrics"]}
        for row in rows
    ]
    axes = dict.fromkeys(name for row in rows for name in row["point"])
    metrics = dict.fromkeys(name for row in rows for name in row["metrics"])
    table = pd.DataFrame(flat, columns=[*axes, "status", "note", *metrics])
    for name in metrics:
        # None stands for a number that is not finite; a metric that is text or a list stays as it is.
        values = [row["metrics"].get(name) for row in rows]
        if all(value is None or _is_number(value) for value in values):
            table[name] = pd.to_numeric(table[name])
    table["seconds"] = [row["seconds"] for row in rows]
    return table


def check_names(point: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Raises InputError for a metric that has the name of a field of the point or of another column."""
    for name in metrics:
        if not isinstance(name, str):
            raise InputError(f"a metric is named {name!r}; give text for the names of metrics")
        if name in point or name in COLUMNS:
            raise InputError(
                f"the metric {name!r} has the name of another column of the table; give it another name"
            )


@cache
def versions() -> dict[str, str]:
    """The versions that a row names."""
    import jax

    return {
        "jaxllc": __version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rows_in(path: Path, repair: bool = True) -> list[Row]:
    """The rows of a file; a last line that was cut off is dropped, from the file as well if `repair`."""

    def row_of(place: int, line: bytes) -> Row:
        try:
            row = parse_json(line)
            _check_row(row)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{path}, row {place} is not a record of a sweep ({str(error)[:200]}); choose another file, "
                "or remove that row"
            ) from None
        return row

    return read_rows(path, row_of, "records of a sweep", "study", repair)


def _check_row(row: Any) -> None:
    """Raises ValueError or TypeError for what is no row."""
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    missing = [name for name in _FIELDS if name not in row]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    for name in ("study", "status", "note"):
        text(row[name])
    for name in ("point", "metrics", "versions"):
        if not isinstance(row.get(name, {}), dict):
            raise ValueError(f"its {name} is not an object")
    if row["status"] not in (DONE, DIVERGED, FAILED):
        raise ValueError(f"its status is {row['status'][:40]!r}")
    number(row["seconds"])
    for name in ("identity", "device"):
        if row.get(name) is not None:
            text(row[name])
    check_names(row["point"], row["metrics"])
