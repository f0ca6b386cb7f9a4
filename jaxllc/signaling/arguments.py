"""What callers may give for the arguments that signaling functions share, and what it is turned into.

A path or a DataFrame is read where there is one way to do so. For anything else InputError says what to give.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxllc.errors import InputError, check_seed, listing, quoted

if TYPE_CHECKING:
    from jaxllc.signaling.data.conditions import Conditions
    from jaxllc.signaling.data.folds import Folds
    from jaxllc.signaling.network.prior_network import PriorNetwork


def prior_of(
    value: Any, conditions: Conditions | None = None, argument: str = "prior"
) -> PriorNetwork:
    """A prior network as it is, or in a file or DataFrame of edges, whose ends fit the conditions."""
    from jaxllc.signaling.network.prior_network import PriorNetwork

    if isinstance(value, PriorNetwork):
        return value
    if isinstance(value, str | os.PathLike) and value:
        return PriorNetwork.read(value, conditions=conditions)
    if _is_frame(value):
        return PriorNetwork.from_frame(value, argument, conditions=conditions)
    raise InputError(
        f"{argument} is {_kind(value)}; give a PriorNetwork, the path of a table of edges, or a DataFrame "
        "such as PriorNetwork.from_frame takes; PriorNetwork.from_edges(senders, receivers, signs) makes one"
    )


def conditions_of(value: Any, argument: str = "conditions") -> Conditions:
    """Conditions as they are, or in two paths or two DataFrames: ligand levels and TF activities."""
    from jaxllc.signaling.data.conditions import Conditions

    if isinstance(value, Conditions):
        return value
    if isinstance(value, tuple | list) and len(value) == 2:
        if all(isinstance(one, str | os.PathLike) for one in value):
            return Conditions.read(*value)
        if all(_is_frame(one) for one in value):
            return Conditions.from_frames(*value)
    raise InputError(
        f"{argument} is {_kind(value)}; give Conditions, such as Conditions.read(ligands_path, tfs_path) or "
        "Conditions.from_frames(ligands, tfs), or the pair of paths or DataFrames"
    )


def seeds_of(value: Any, argument: str = "seeds") -> tuple[int, ...]:
    """Several seeds, each once; raises InputError for a single number and for what is no seed."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        raise InputError(f"{argument} is {value}; give a list of seeds, such as [{value}]")
    found = listing(argument, value, "seeds", "range(10)")
    for one in found:
        check_seed("a seed", one)
    seeds = tuple(int(one) for one in found)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(
            f"{argument} must be different numbers, at least one, not {quoted(seeds, 80)}"
        )
    return seeds


def folds_of(value: Any, conditions: Conditions) -> Folds:
    """Folds as tuples of names; from a list of lists, a mapping of lists, or the path of a table."""
    from jaxllc.signaling.data.folds import check_folds, read_folds

    if isinstance(value, str | os.PathLike):
        return read_folds(value, conditions)
    if isinstance(value, Mapping):
        value = list(value.values())
    alone = not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0
    if alone or isinstance(value, type) or _is_frame(value):
        raise InputError(
            f"folds is {_kind(value)}; give lists of names of held-out conditions, such as "
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


def names_of(value: Any, argument: str, example: str = "['STAT1']") -> list[str]:
    """Names in a list, or one name as text."""
    names = [value] if isinstance(value, str) else listing(argument, value, "names", example)
    return [str(name) for name in names]


def check_kind(argument: str, value: Any, kind: type, source: str) -> None:
    """Raises InputError where an argument is not an object of a class; source: what makes one."""
    if not isinstance(value, kind):
        raise InputError(
            f"{argument} is {_kind(value)}; give the {kind.__name__} that {source} returns"
        )


def check_parts(argument: str, value: Any, parts: Sequence[str], source: str) -> None:
    """Raises InputError where an argument is not what `source` returns, known by some of its parts."""
    if isinstance(value, type) or not all(hasattr(value, part) for part in parts):
        raise InputError(f"{argument} is {_kind(value)}; give what {source} returns")


def check_frame(argument: str, value: Any, columns: Sequence[str] = ()) -> None:
    """Raises InputError for what is no DataFrame, and for one without some of the columns."""
    if not _is_frame(value):
        raise InputError(f"{argument} is {_kind(value)}; give a pandas DataFrame")
    if value.columns.nlevels > 1:
        raise InputError(f"{argument} has columns of {value.columns.nlevels} levels; give it one")
    missing = [name for name in columns if name not in value]
    if missing:
        has = ", ".join(str(name) for name in value.columns)
        raise InputError(f"{argument} has no column {missing[0]!r}; its columns are {has:.200}")


def _is_frame(value: Any) -> bool:
    import sys

    pandas = sys.modules.get("pandas")  # who gives a DataFrame has imported it
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _kind(value: Any) -> str:
    """What a value is: itself where it is short, else its class."""
    plain = value is None or isinstance(value, bool | int | float | str | os.PathLike)
    return quoted(value, 80) if plain else f"a {type(value).__name__}"
