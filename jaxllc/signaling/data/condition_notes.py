"""What is to be said of the values of conditions, computed from them: no derived object can lose it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from jaxllc.errors import listed, quoted
from jaxllc.signaling.data.condition_record import ConditionRecord

SHOWN = 20  # names in a note
OUTSIDE, NEGATIVE, NEVER_TF, NEVER_CONDITION, ALIKE = (
    "outside",
    "negative",
    "TF never measured",
    "condition never measured",
    "alike",
)


def once(*notes: str) -> tuple[str, ...]:
    """The notes in this order, each once."""
    return tuple(dict.fromkeys(notes))


def notes_on(conditions: ConditionRecord) -> dict[str, str]:
    """A sentence for each kind of oddity that the values have."""
    names, activities = conditions.names, conditions.tf_activities
    levels, origin = conditions.ligand_levels, conditions.origin
    found = {}
    measured = ~np.isnan(activities)
    low, high = conditions.expected
    outside = (activities < low) | (activities > high)
    if outside.any():
        condition, tf = first_place(outside)
        found[OUTSIDE] = (
            f"{int(outside.sum())} of {int(measured.sum())} TF activities lie outside "
            f"[{low:g}, {high:g}], from {np.nanmin(activities):g} to {np.nanmax(activities):g}, the first "
            f"{activities[condition, tf]:g} in "
            f"{_place(origin and origin.tfs, names[condition], conditions.tfs[tf])}; the model "
            "expects 0 (inactive) to 1 (fully active), so scale them if they are not"
        )
    negative = negative_note(names, conditions.ligands, levels, origin and origin.ligands)
    if negative:
        found[NEGATIVE] = negative
    for key, axis, kind, known in (
        (NEVER_TF, 0, "TF", conditions.tfs),
        (NEVER_CONDITION, 1, "condition", names),
    ):
        never = [known[n] for n in np.flatnonzero(~measured.any(axis=axis))]
        if never and measured.size:
            noun = kind if len(never) == 1 else f"{kind}s"
            found[key] = (
                f"{len(never)} {noun} without any measured value: {listed(never, shown=SHOWN)}"
            )
    alike = _alike(names, levels)
    if alike:
        found[ALIKE] = alike
    return found


def negative_note(
    names: Sequence[str],
    ligands: Sequence[str],
    levels: np.ndarray,
    places: Mapping[str, str] | None = None,
) -> str:
    """A sentence on levels (conditions, ligands) below 0, or an empty text."""
    if not (levels < 0).any():
        return ""
    condition, ligand = first_place(levels < 0)
    return (
        f"{int((levels < 0).sum())} ligand levels are negative, the first "
        f"{levels[condition, ligand]:g} in {_place(places, names[condition], ligands[ligand])}; a "
        "level is 0 where the ligand was not given"
    )


def first_place(where: np.ndarray) -> tuple[int, int]:
    """The row and column of the first true entry."""
    row, column = np.unravel_index(int(where.argmax()), where.shape)
    return int(row), int(column)


def _place(places: Mapping[str, str] | None, condition: str, node: str) -> str:
    """Where a value stands: in the table that it was read from, if that is known."""
    if places is None or condition not in places:
        return f"the condition {quoted(condition, 80)}, column {quoted(node, 80)}"
    return f"{places[condition]}, column {quoted(node, 80)}"


def _alike(names: Sequence[str], levels: np.ndarray) -> str:
    """A sentence that lists the conditions with the same ligand levels, or an empty text."""
    if not levels.size:
        return ""
    _, group = np.unique(levels, axis=0, return_inverse=True)
    group = group.reshape(-1)
    counts = np.bincount(group)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(counts)
    sets = [order[end - count : end] for end, count in zip(ends, counts, strict=True) if count > 1]
    if not sets:
        return ""
    sets.sort(key=lambda rows: int(rows[0]))
    shown = [f"{{{listed([names[int(n)] for n in rows], shown=SHOWN)}}}" for rows in sets[:SHOWN]]
    more = f" and {len(sets) - SHOWN} more sets" if len(sets) > SHOWN else ""
    return (
        "conditions with the same ligand levels, which no model can tell apart: "
        f"{', '.join(shown)}{more}"
    )
