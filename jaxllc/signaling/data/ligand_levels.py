"""The ligand levels that a prediction is asked for, in the order of the ligands of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from jaxllc.errors import InputError, check_path, listed, quoted
from jaxllc.signaling.data.condition_notes import NEGATIVE, SHOWN, negative_note
from jaxllc.signaling.data.condition_tables import complete, levels_of
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.tables.csv_table import LabelledTable
from jaxllc.tables.frame_table import FrameTable

if TYPE_CHECKING:
    import pandas as pd

LevelsLike: TypeAlias = (
    "Conditions | pd.DataFrame | np.ndarray | Mapping[str, Any] | str | os.PathLike"
)


def levels_for(ligands: Sequence[str], given: Any) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    """Names of conditions, levels float64 (B, ligands) and notes; see `SignalingModel.predict`."""
    names, columns, values, place = _read(ligands, given)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"the level of {quoted(columns[column], 80)} in condition {quoted(names[row], 80)} is "
            f"{values[row, column]}; write 0 for a ligand that is absent"
        )
    known = np.array([name in ligands for name in columns], dtype=bool)
    unknown = [name for name, there in zip(columns, known, strict=True) if not there]
    meant = [name for name in unknown if values[:, columns.index(name)].any()]
    if meant or not known.any():
        raise InputError(
            f"{place}{listed(meant or unknown, ligands) or 'nothing'} is not a ligand of the model; its "
            f"ligands are {listed(list(ligands), shown=10)}"
        )
    notes = []
    if unknown:
        notes.append(
            f"{place}{listed(unknown, ligands)} is not a ligand of the model and is left out, because it is "
            "given in no condition"
        )
    absent = [name for name in ligands if name not in columns]
    if absent:
        notes.append(
            f"{place}{len(absent)} of {len(ligands)} ligands of the model "
            f"{'has' if len(absent) == 1 else 'have'} no column and {'is' if len(absent) == 1 else 'are'} "
            f"taken as absent (0): {listed(absent, shown=SHOWN)}"
        )
    levels = np.zeros((len(names), len(ligands)))
    levels[:, [ligands.index(name) for name in columns if name in ligands]] = values[:, known]
    if isinstance(given, Conditions):
        negative = given.oddities.get(NEGATIVE, "")
    else:
        negative = negative_note(names, ligands, levels)
    return names, levels, (*notes, *([negative] if negative else []))


def _read(ligands: Sequence[str], given: Any) -> tuple[list[str], list[str], np.ndarray, str]:
    """Names, columns, values (conditions, columns), and where they were read, for a message."""
    if isinstance(given, Conditions):
        return list(given.names), list(given.ligands), given.ligand_levels, ""
    if isinstance(given, str | os.PathLike) and given != "":
        check_path("ligands", given)
        found = complete(levels_of(LabelledTable(given)))
        return found.names, found.nodes, found.values, f"{Path(given)}: "
    if isinstance(given, Mapping):
        given = _frame_of(given)
    if hasattr(given, "columns") and hasattr(given, "index"):
        table = FrameTable(given, "ligands", index_name="condition")
        label, *columns = table.header
        table.load(label)
        names = [str(name) for name in table.cells(label)]
        return names, columns, table.matrix(columns), ""
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"ligands is {quoted(given, 80)}; give Conditions, a DataFrame (conditions x ligands), a "
            f"mapping from ligands to levels, or an array (conditions, {len(ligands)})"
        ) from error
    if values.ndim != 2 or values.shape[1] != len(ligands):
        raise InputError(
            f"ligands is of shape {values.shape}, but the model has {len(ligands)} ligands: "
            f"give an array (conditions, {len(ligands)})"
        )
    return [str(n) for n in range(len(values))], list(ligands), values, ""


def _frame_of(levels: Mapping[Any, Any]) -> pd.DataFrame:
    """A table of a mapping from ligands to a level each, or to a level for each condition."""
    import pandas as pd

    single = all(np.ndim(level) == 0 for level in levels.values())
    try:
        return pd.DataFrame(dict(levels), index=[0] if single else None)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"ligands is {quoted(dict(levels), 80)}; give a level for each ligand, or lists of one length"
        ) from error
