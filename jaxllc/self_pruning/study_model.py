"""One model of a self-pruning study, as its snapshots hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxllc.signaling.network.structure import Parameters
from jaxllc.signaling.training.signaling_training import dtype
from jaxllc.sweeps.snapshots import Snapshots


@dataclass(frozen=True, eq=False)
class StudyModel:
    """One model of a study: its penalties and seed, its weights on the way, and which edges are spurious."""

    penalties: dict[str, float]
    seed: int
    snapshots: Snapshots
    spurious: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """|w| at the end of the training, (E,)."""
        return np.abs(self.snapshots.weights[-1])

    def parameters(
        self, time: int, num_edges: int, removed: Sequence[int] | np.ndarray = ()
    ) -> Parameters:
        """Those of the snapshot `time`, filled up to so many edges; edges that are removed weigh 0."""
        shots = self.snapshots
        weights = np.zeros(num_edges)
        weights[: shots.weights.shape[1]] = shots.weights[time]
        weights[np.asarray(removed, int)] = 0
        arrays = weights, shots.bias[time], shots.output_scale[time]
        return Parameters(*(jnp.asarray(x, dtype()) for x in arrays))
