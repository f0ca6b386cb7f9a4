"""Sizes of the numbers of a discovery: which are too large or too small for its arithmetic, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.errors import InputError

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories

# Largest weights and node features of a network: their squares, and what divides by them, are doubles still.
_SMALLEST, _LARGEST = 1e-50, 1e50
# Times of a run that are closer than this part of its span are one time to a solver.
_CLOSE = 64 * float(np.finfo(float).eps)


def check_sizes(runs: Sequence[Trajectories], network: Network) -> None:
    """Raises InputError for weights, node features and times that no law can be found with."""
    weights = np.abs(network.weights)
    if not weights.any():
        raise InputError("all weights of the network are 0: there is no interaction to find")
    _check_size(float(weights.max()), "weights of the network")
    for name, values in runs[0].node_features.items():
        if len(values) and (largest := float(np.abs(values).max())):
            _check_size(largest, f"values of the node feature {name}")
    for number, run in enumerate(runs):
        _check_apart(run.times, f"trajectories {number}" if len(runs) > 1 else "the trajectories")


def _check_size(largest: float, what: str) -> None:
    if not _SMALLEST <= largest <= _LARGEST:
        raise InputError(
            f"the {what} reach {largest:g}, a number too {'large' if largest > 1 else 'small'} to reckon "
            f"with: give them in another unit, such as divided by {largest:.0e}"
        )


def _check_apart(times: np.ndarray, whose: str) -> None:
    steps = np.diff(times / 2)
    span = float(times[-1] / 2 - times[0] / 2)
    close = int(np.argmin(steps)) if len(steps) else 0
    if len(steps) and steps[close] < _CLOSE * span:
        raise InputError(
            f"times[{close}] and times[{close + 1}] of {whose} are {2 * steps[close]:.2g} apart in a span of "
            f"{2 * span:g}, too little to tell them apart: drop one of the two samples"
        )
