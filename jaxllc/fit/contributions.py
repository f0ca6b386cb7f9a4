"""What each part of the data contributes to a fit: its score and its information, initial states eliminated.

    D_c = dX/dc with the initial states moved along,   s_g = sum over g of D r / sigma^2,
    M_g = sum over g of D D' / sigma^2,                r = y - X

The information of all parts adds up to the reduced normal matrix of the fit, and their scores to zero at its
minimum.  A weight on each part then moves the constants by (sum w_g M_g)^-1 sum w_g s_g in one Gauss-Newton
step: exactly so to first order in the weights, and where every node's initial state acts on that node only,
in the condensing's way `OWN`, the step is that of the weighted fit itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer

from jaxllc.fit.condensing import Linearisation, propagate
from jaxllc.fit.trajectory_problem import States, TrajectoryProblem

# Parts below which trajectories are cut into blocks of time, and fewest samples in such a block: a bootstrap
# over a handful of parts has nothing to draw from.
_FEWEST_PARTS = 30
_FEWEST_SAMPLES = 5


@dataclass(frozen=True)
class DataParts:
    """The exchangeable parts of the data: the samples of a node in a run, cut in blocks where these are few.

    block: which one a sample is in; num_blocks: of each trajectory.
    """

    block: Integer[np.ndarray, "run grid"]
    num_blocks: int

    def sums(
        self, values: Float[np.ndarray, "*several variable node run grid"]
    ) -> Float[np.ndarray, "*several part"]:
        """Sums over each part."""
        values = values.sum(axis=-4)
        runs, times = self.block.shape
        member = np.zeros((runs, times, self.num_blocks))
        member[np.arange(runs)[:, None], np.arange(times)[None], self.block] = 1.0
        summed = np.einsum("...nrt,rtb->...nrb", values, member, optimize=True)
        return summed.reshape(*values.shape[:-3], -1)


def data_parts(problem: TrajectoryProblem) -> DataParts:
    """Parts that a weight is drawn for."""
    sampled = problem.mask.any(axis=(0, 1))
    shortest = int(sampled.sum(axis=1).min())
    wanted = -(-_FEWEST_PARTS // (problem.num_runs * problem.num_nodes))
    count = max(1, min(wanted, shortest // _FEWEST_SAMPLES))
    rank = np.maximum(np.cumsum(sampled, axis=1) - 1, 0)
    block = rank * count // np.maximum(sampled.sum(axis=1, keepdims=True), 1)
    return DataParts(np.minimum(block, count - 1), count)


def contributions(
    problem: TrajectoryProblem, line: Linearisation, states: States, parts: DataParts
) -> tuple[Float[np.ndarray, "part constant"], Float[np.ndarray, "part constant constant"]]:
    """Scores and information around a fit's states."""
    solved = line.normal.reduced()[0]
    still = replace(line, defects=np.zeros_like(line.defects))
    count = len(line.normal.gradient)
    shape = (count, *problem.samples.shape)
    slopes = np.empty(shape)
    for c in range(count):
        change = np.zeros(count)
        change[c] = 1.0
        moved = propagate(problem, still, change, -solved[:, :, c])
        slopes[c] = moved.reshape(problem.samples.shape) * problem.weight
    rest = (problem.samples - states.reshape(problem.samples.shape)) * problem.weight
    scores = np.stack([parts.sums(slope * rest) for slope in slopes])
    pairs = [(a, b) for a in range(count) for b in range(a, count)]
    information = np.empty((scores.shape[1], count, count))
    for a, b in pairs:
        information[:, a, b] = information[:, b, a] = parts.sums(slopes[a] * slopes[b])
    return scores.T, information
