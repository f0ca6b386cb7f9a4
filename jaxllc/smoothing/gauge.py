"""What a network and its data cannot tell apart, and how to say so.

(f, g) -> (f + s c(x), g - c(x_i)) changes nothing when every node has the same total input weight s.  Then
terms of the receiver alone do not belong in the interaction, and x_j alone is x_j - x_i in another gauge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Relative spread of the total input weights below which they count as equal.
_EQUAL = 1e-6
# Motion within a run, relative to the spread of all states, below which there is no transient.
_MOTION = 0.02
# Spread between nodes, relative to the motion, below which they move as one.
_SPREAD = 0.02


def has_equal_input_weights(network) -> bool:
    """Whether every node has the same total input weight."""
    strength = np.asarray(network.in_strength)
    return bool(np.ptp(strength) <= _EQUAL * max(float(np.max(np.abs(strength))), 1e-300))


def identifiability_notes(runs: Sequence, network, smoothed) -> list[str]:
    """Sentences on what the data cannot determine; empty where nothing stands out."""
    notes = []
    if has_equal_input_weights(network):
        notes.append(
            "Every node has the same total input weight, so a function of x_i can be moved between the "
            "self term and the interaction term without any change; the interaction is written with "
            "differences x_j - x_i and without terms of x_i alone."
        )
    return notes + motion_notes(runs[0].variables, smoothed.states)


def motion_notes(variables: Sequence[str], states: Sequence[np.ndarray]) -> list[str]:
    """Sentences on variables that hardly move, or move as one; states: per run (time, node, variable)."""
    notes = []
    for v, name in enumerate(variables):
        values = [s[..., v] for s in states]
        spread = max(float(np.std(np.concatenate([x.ravel() for x in values]))), 1e-300)
        motion = np.sqrt(
            np.mean(np.concatenate([(x - x.mean(axis=0)).ravel() ** 2 for x in values]))
        )
        between = np.sqrt(np.mean(np.concatenate([np.var(x, axis=1) for x in values])))
        if motion < _MOTION * spread:
            notes.append(
                f"The variable {name} hardly changes in time (its motion is {motion / spread:.1%} of its "
                f"spread): without a transient the law's rates are not identifiable; record from other "
                f"initial states."
            )
        elif between < _SPREAD * motion and states[0].shape[1] > 1:
            notes.append(
                f"All nodes move almost as one in {name}: in synchrony the self term and the interaction "
                f"term are not told apart; record from initial states that differ between nodes."
            )
    return notes


def undetermined_constants(
    values: np.ndarray, errors: np.ndarray, largest: float = 0.32
) -> np.ndarray:
    """Constants whose standard error exceeds a share of their size, (constant,) of bool."""
    return errors > largest * np.abs(values)
