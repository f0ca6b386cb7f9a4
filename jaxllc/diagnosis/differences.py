"""Something that differs between nodes, times or runs and is in no column: constants of the nodes, an input.

One constant for each node, or each moment, or each run is added to plain terms. Where that takes away nearly
all that they leave, what is missing has just this form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxllc.diagnosis.window_rates import WindowRates, rest, without_means

# Share of what plain terms leave that may be left with the constants, and of the rates' variance that they
# must leave without.
_LEFT_WITH, _LEFT = 0.15, 0.01
_LEFT_WITH_TIMES = 0.25
# Rows for each constant from which a comparison means something, and fewest nodes and runs that may differ.
_ROWS_EACH = 5
_FEWEST = {"nodes": 4, "times": 5, "runs": 3}


@dataclass(frozen=True)
class Difference:
    """What differs ("nodes", "times" or "runs"), in which variable, and the share left with the constants.

    values: the constants, each against their mean, in the order of nodes, moments or runs.
    """

    what: str
    variable: int
    left: float
    values: np.ndarray


def differences(rates: WindowRates, columns: np.ndarray) -> list[Difference]:
    """For each variable the difference that explains most of what plain terms `columns` leave, if it does."""
    node, moment, run = rates.labels()
    found = []
    for variable in range(rates.states[0].shape[2]):
        y = rates.rates(variable)
        before = rest(columns, y)
        without = float(np.mean(before**2))
        if without < _LEFT * float(np.var(y)) or without == 0:
            continue
        tried = []
        for what, groups in (("nodes", node), ("times", moment), ("runs", run)):
            number = int(groups.max()) + 1
            if number < _FEWEST[what] or len(y) < _ROWS_EACH * number:
                continue
            after = rest(without_means(columns, groups), without_means(y, groups))
            degrees = len(y) / max(len(y) - number, 1)
            left = float(np.mean(after**2)) * degrees / without
            if left < (_LEFT_WITH_TIMES if what == "times" else _LEFT_WITH):
                tried.append(Difference(what, variable, left, _constants(columns, y, groups)))
        if tried:
            # Moments lie within runs: they explain what runs do, with more constants.
            weight = {"nodes": 1.0, "times": 3.0, "runs": 1.0}
            found.append(min(tried, key=lambda d: weight[d.what] * d.left))
    return found


def _constants(columns: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The constant of each group beside the terms, against their mean."""
    inner = without_means(columns, groups)
    weights = np.linalg.lstsq(inner, without_means(y, groups), rcond=1e-9)[0]
    left = y - columns @ weights
    constants = np.bincount(groups, weights=left) / np.bincount(groups)
    return constants - constants.mean()


def difference_sentence(
    found: Difference, variables: tuple[str, ...], names: tuple[str, ...]
) -> str:
    """A difference in words."""
    name, share = variables[found.variable], f"{100 * found.left:.2g} %"
    values = found.values
    if found.what == "nodes":
        low, high = int(values.argmin()), int(values.argmax())
        return (
            f"The nodes differ: with a constant of its own for each node in d{name}_i/dt plain terms leave "
            f"{share} of what they leave without (from {values[low]:.2g} in {names[low]!r} to "
            f"{values[high]:+.2g} in {names[high]!r}, against their mean). One law with the same constants "
            "for all nodes does not hold; give what differs, such as a frequency or a rate, as a feature of "
            "the nodes (node_features), or have it found (vary={'omega': 'node'})."
        )
    if found.what == "times":
        return (
            f"Something acts on {name} of all nodes alike as time goes on: with a common course of time in "
            f"d{name}_i/dt plain terms leave {share} of what they leave without. It is in no column, perhaps "
            "an input such as light or a dose: give it, inputs={'u': table}, or the time itself, "
            "inputs={'t': 'time'}, or have it found, forcing='smooth'; no law of the states alone holds."
        )
    return (
        f"The runs differ: with a constant of its own for each run in d{name}_i/dt plain terms leave "
        f"{share} of what they leave without (from {values.min():.2g} in run {int(values.argmin()) + 1} to "
        f"{values.max():+.2g} in run {int(values.argmax()) + 1}, against their mean). If conditions changed "
        "between runs, find the law of each group of runs alone."
    )
