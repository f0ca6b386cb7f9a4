"""All that is looked for, in the order in which a person should read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxllc.data.reverse_edges import has_reverse, listed_once
from jaxllc.diagnosis.constant_states import (
    held_nodes,
    held_sentence,
    input_sentence,
    likely_inputs,
)
from jaxllc.diagnosis.differences import difference_sentence, differences
from jaxllc.diagnosis.directions import compared_directions, direction_sentence, doubt_sentence
from jaxllc.diagnosis.window_rates import WindowRates, plain_columns
from jaxllc.diagnosis.wrapped_phases import wrapped_phases, wrapped_sentence
from jaxllc.errors import InputError

if TYPE_CHECKING:
    from jaxllc.data.network import Network
    from jaxllc.data.trajectories import Trajectories
    from jaxllc.law.record import LawRecord

# Chi-squared per sample above which a law does not explain the samples; adjusted R2 below which, where no
# noise is known.
_EXPLAINED, _EXPLAINED_R2 = 1.5, 0.99
# Samples of a node above which rates are not looked at: that would take longer than it is worth.
_MOST_SAMPLES = 500_000


def data_notes(
    runs: Sequence[Trajectories],
    network: Network,
    inside: Sequence[Trajectories] | None = None,
) -> list[str]:
    """What can be said of the data before a search: angles, inputs, edges in the wrong direction.

    inside: the same runs near zero and of usual size, for the comparison of rates.
    """
    notes = [wrapped_sentence(phases) for phases in wrapped_phases(runs)]
    if notes:
        return notes
    notes += [input_sentence(found) for found in likely_inputs(runs)]
    if has_reverse(network).mean() < 0.9 and _is_small(runs):
        try:
            found = compared_directions(WindowRates.of(inside or runs), network)
        except (InputError, np.linalg.LinAlgError):
            return notes
        if sentence := direction_sentence(network, found):
            notes.append(sentence)
    return notes


def law_notes(
    law: LawRecord, runs: Sequence[Trajectories], network: Network, said: Sequence[str] = ()
) -> list[str]:
    """What the data say of a law that does not explain them; nothing of one that does.

    said: what `data_notes` said, so that nothing is looked for behind angles or edges turned round.
    """
    if is_explained(law):
        return []
    notes = [held_sentence(name, nodes) for name, nodes in held_nodes(runs).items()]
    if said:
        return notes
    if _is_small(runs):
        try:
            rates = WindowRates.of(runs)
            found = differences(rates, plain_columns(rates, network))
        except (InputError, np.linalg.LinAlgError):
            found = []
        forced = {one.variable for one in law.forcing}
        notes += [
            difference_sentence(d, runs[0].variables, runs[0].node_names)
            for d in found
            if not (d.what == "times" and runs[0].variables[d.variable] in forced)
        ]
    if not notes and listed_once(network):
        notes.append(doubt_sentence(network))
    return notes


def is_explained(law: LawRecord) -> bool:
    """Whether a law explains its samples up to their noise."""
    chosen = [row.chi_squared for row in law.front if row.chosen]
    if chosen:
        return bool(chosen[0] <= _EXPLAINED)
    return all(value >= _EXPLAINED_R2 for value in law.adjusted_r2.values())


def _is_small(runs: Sequence[Trajectories]) -> bool:
    return sum(run.states.size for run in runs) <= _MOST_SAMPLES
