"""A path or a DataFrame as a table."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from jaxllc.tables.csv_table import CsvTable
from jaxllc.tables.frame_table import FrameTable, flat_frame
from jaxllc.tables.table import Table


def table_of(source: Any, labels: Collection[str], instead: str, time: bool = False) -> Table:
    """A path or a DataFrame as a table whose header is still to be checked. instead: what takes others."""
    if isinstance(source, str | os.PathLike):
        return CsvTable(source, checked=False)
    frame = flat_frame(source, "the DataFrame", labels, time, instead)
    return FrameTable(frame, "the DataFrame", row="row", checked=False)
