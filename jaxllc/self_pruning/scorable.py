"""Whether a study can score edges, known before anything is trained: by its spurious edges on paths."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxllc.errors import InputError
from jaxllc.signaling.data.conditions import Conditions
from jaxllc.signaling.network.prior_network import PriorNetwork
from jaxllc.signaling.network.spurious_edges import is_spurious

FEWEST = 10  # edges that a class or a fold is judged by


class TooFewEdgesError(InputError):
    """Too few spurious edges to compare with."""


def ends_of_paths(prior: PriorNetwork, conditions: Conditions) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes a ligand acts on, and which act on a TF, bool (N,)."""
    masks = np.ones((2, prior.num_nodes), bool)
    away = prior.unreached(conditions.ligands), prior.leading_nowhere(conditions.tfs)
    for mask, names in zip(masks, away, strict=True):
        mask[[prior.position[name] for name in names]] = False
    return masks[0], masks[1]


def unscored_note(
    prior: PriorNetwork, conditions: Conditions, networks: Mapping[str, PriorNetwork]
) -> str:
    """The sentence on too few spurious edges for scores of edges, or an empty text; none is no fault.

    networks: the prior network with each set of spurious edges.
    """
    reached, leading = ends_of_paths(prior, conditions)
    added = on_path = 0
    for network in networks.values():
        spurious = is_spurious(network, prior)
        added += int(spurious.sum())
        between = reached[network.senders] & leading[network.receivers]
        on_path += int((spurious & between).sum())
    return too_few(on_path) if added and on_path < FEWEST else ""


def too_few(count: int) -> str:
    """What to say of so many spurious edges."""
    return (
        f"only {count} spurious edges on a path from a ligand to a TF were added, too few to compare edges "
        f"with, so that there are no scores of edges; add at least {FEWEST}, or use more seeds"
    )
