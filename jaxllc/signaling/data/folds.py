"""Which conditions are held out together in cross-validation.

A model cannot foresee what a ligand does that it never saw, so a condition is held out only where each
of its ligands also occurs in a condition outside its fold (Nilsson et al., Nature Communications 13,
2022: 20 of 23 conditions in 20 folds, and 84 of 103 in 28 folds).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxllc.errors import (
    InputError,
    check_path,
    check_seed,
    first_repeat,
    listed,
    listing,
    quoted,
)
from jaxllc.signaling.arguments import is_frame, kind_of, names_of
from jaxllc.signaling.data.conditions import Conditions, conditions_of
from jaxllc.tables.csv_table import CsvTable

Folds = tuple[tuple[str, ...], ...]

_LIGAND_SCREEN_CONTROLS = ("PBS-BSA", "PBS-BSA_LPS")
_DEALS = 200


def leave_out_folds(
    conditions: Conditions, size: int = 1, keep: Sequence[str] = (), seed: int | None = None
) -> Folds:
    """Folds of at most `size` held-out conditions, each condition in one fold.

    Left out of all folds are the conditions in `keep` and those with a ligand (level above 0) that no
    other condition has. K folds are dealt in the order of the table, fold k holding the conditions k,
    k + K, ... of the rest, or shuffled with `seed`; conditions are then swapped until no fold holds
    all conditions of a ligand. Raises InputError for an unknown name in `keep`, a size that is not a
    positive integer, no condition that can be held out, and a size that no such folds exist for.

    Example:
        >>> levels = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        >>> names = ("none", "first", "second", "both")
        >>> conditions = Conditions(names, ("L1", "L2"), ("T",), levels, levels[:, :1] / 2)
        >>> leave_out_folds(conditions, size=2)
        (('first', 'second'), ('none', 'both'))
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise InputError(f"size must be a positive integer, not {quoted(size, 80)}")
    if seed is not None:
        check_seed("seed", seed)
    conditions = conditions_of(conditions)
    keep = names_of(keep, "keep", "['control']")
    unknown = [name for name in keep if name not in conditions.position]
    if unknown:
        raise InputError(
            f"keep holds {listed(unknown, conditions.names)}, which is not a condition; correct or "
            "remove it"
        )
    given = conditions.ligand_levels > 0
    lone = (given & (given.sum(axis=0) == 1)).any(axis=1)
    lone[[conditions.position[name] for name in keep]] = True
    eligible = np.flatnonzero(~lone)
    if len(eligible) == 0:
        raise InputError(
            "no condition can be held out: each is in keep or has a ligand that no other condition "
            "has; add conditions that share ligands, or give the folds in a file"
        )
    num_folds = -(-len(eligible) // int(size))
    rng = np.random.default_rng(seed)
    for deal in range(_DEALS):
        # Without a seed the first deal keeps the order of the table; any later one needs chance.
        if deal == 1 and seed is None:
            rng = np.random.default_rng(0)
        order = eligible if deal == 0 and seed is None else rng.permutation(eligible)
        folds = [[int(c) for c in order[k::num_folds]] for k in range(num_folds)]
        if _separate_ligands(folds, given):
            named = tuple(tuple(conditions.names[c] for c in fold) for fold in folds)
            check_folds(named, conditions)
            return named
    raise InputError(
        f"no folds of {size} conditions were found in which every held-out ligand is also given "
        "outside its fold; choose a smaller size or keep more conditions for training"
    )


def published_folds(conditions: Conditions) -> Folds:
    """The folds of the published validation of these conditions, or of one condition each for other data.

    Raises InputError as `leave_out_folds` does. The ligand screen, known by its controls PBS-BSA and
    PBS-BSA_LPS, has 28 folds of 3 that leave the controls in training; the macrophage data has 20 folds of
    1.
    """
    conditions = conditions_of(conditions)
    if all(name in conditions.position for name in _LIGAND_SCREEN_CONTROLS):
        return leave_out_folds(conditions, size=3, keep=_LIGAND_SCREEN_CONTROLS)
    return leave_out_folds(conditions, size=1)


def read_folds(path: str | os.PathLike, conditions: Conditions) -> Folds:
    """The folds in a CSV file with the columns fold and condition, in order of first appearance.

    path: of the file. conditions: those that its names are of. Raises InputError for a file without these
    columns, an unknown or repeated name, and a fold that leaves no condition to train on.
    """
    check_path("path", path)
    conditions = conditions_of(conditions)
    table = CsvTable(path)
    fold, condition = table.find("fold"), table.find("condition", "name")
    if fold is None or condition is None:
        raise InputError(
            f"{path} must have the columns fold and condition, but its columns are "
            f"{listed(table.header, ['fold', 'condition'])}"
        )
    table.load(*table.header)
    members: dict[str, list[str]] = {}
    for key, name in zip(table.text(fold), table.text(condition), strict=True):
        members.setdefault(str(key), []).append(str(name))
    folds = tuple(tuple(names) for names in members.values())
    try:
        check_folds(folds, conditions)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return folds


def folds_of(value: Any, conditions: Conditions) -> Folds:
    """Folds as tuples of names; from a list of lists, a mapping of lists, or the path of a table."""
    if isinstance(value, str | os.PathLike):
        return read_folds(value, conditions)
    if isinstance(value, Mapping):
        value = list(value.values())
    alone = not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0
    if alone or isinstance(value, type) or is_frame(value):
        raise InputError(
            f"folds is {kind_of(value)}; give lists of names of held-out conditions, such as "
            "leave_out_folds(conditions, size=2) makes"
        )
    each = list(value)
    several = [isinstance(one, Iterable) and getattr(one, "ndim", 1) > 0 for one in each]
    folds = [
        [*one] if many and not isinstance(one, str) else one
        for one, many in zip(each, several, strict=True)
    ]
    check_folds(folds, conditions)
    return tuple(tuple(str(name) for name in fold) for fold in folds)


def check_folds(folds: Sequence[Sequence[str]], conditions: Conditions) -> None:
    """Raise InputError for folds that cannot be validated on.

    That is: no folds, an empty fold, an unknown condition (with the nearest name), a condition twice in
    a fold, and a fold that leaves no condition for training.
    """
    if len(folds) == 0:
        raise InputError("there are no folds; give at least one fold of held-out conditions")
    for number, fold in enumerate(folds):
        if isinstance(fold, str):
            raise InputError(
                f"fold number {number} is the text {quoted(fold, 80)}; give a list of names"
            )
        fold = listing(f"fold number {number}", fold, "names", "['c1', 'c2']")
        if len(fold) == 0:
            raise InputError(f"fold number {number} is empty; remove it or name its conditions")
        fold = [str(name) for name in fold]
        unknown = [name for name in fold if name not in conditions.position]
        if unknown:
            raise InputError(
                f"fold number {number} holds {listed(unknown, conditions.names)}, which is not a "
                "condition; correct or remove it"
            )
        twice = first_repeat(fold)
        if twice is not None:
            raise InputError(f"fold number {number} holds {twice!r} twice; name it once")
        if len(fold) == conditions.num_conditions:
            raise InputError(
                f"fold number {number} holds every condition, so none is left for training; take some "
                "out of it"
            )


def _separate_ligands(folds: list[list[int]], given: np.ndarray) -> bool:
    """Swap conditions between folds, in place, until no fold holds all conditions of a ligand.

    given: bool (conditions, ligands). Each swap lowers the number of such ligands; False when no swap
    does and some are left.
    """
    total = given.sum(axis=0)

    def lost(fold: list[int]) -> np.ndarray:
        return (given[fold].sum(axis=0) == total) & (total > 0)

    numbers = [int(lost(fold).sum()) for fold in folds]

    def improve(f: int) -> bool:
        for i, c in enumerate(folds[f]):
            if not (given[c] & lost(folds[f])).any():
                continue
            for g in range(len(folds)):
                for j in range(len(folds[g])) if g != f else ():
                    folds[f][i], folds[g][j] = folds[g][j], c
                    after = int(lost(folds[f]).sum()), int(lost(folds[g]).sum())
                    if sum(after) < numbers[f] + numbers[g]:
                        numbers[f], numbers[g] = after
                        return True
                    folds[g][j], folds[f][i] = folds[f][i], c
        return False

    while any(numbers):
        if not any(improve(f) for f in range(len(folds)) if numbers[f]):
            return False
    return True
