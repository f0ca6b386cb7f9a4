"""Ensembles of nets: seeds, structures and bootstrap replicates over the series of one set of samples.

A series is a node in a run. A replicate draws as many series as there are, with replacement, so that each
counts as often as it was drawn (Efron 1979); replicate 0 counts every series once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxllc.neural.ensemble_program import (
    MESSAGES,
    FittedMember,
    NetMember,
    SharedRows,
    ensemble_program,
)
from jaxllc.neural.net_fits import Net, NetFits
from jaxllc.neural.neural_fit import evaluate_term, readout_covariance
from jaxllc.neural.structures import BOTH, DIFFERENCE, SENDER, Structure
from jaxllc.running.waiting import computed

FLOAT32, FLOAT64 = "float32", "float64"
# From simple to rich, by what people call them.
STRUCTURES = {
    str(structure): structure
    for structure in (
        *(Structure(reads, normalised) for reads in (SENDER, DIFFERENCE) for normalised in (False, True)),
        *(Structure(BOTH, normalised) for normalised in (False, True)),
    )
}  # fmt: skip


@dataclass(frozen=True)
class NetPoint:
    """What a member of an ensemble is: a structure, the seed of its start, and the number of a replicate."""

    structure: Structure
    seed: int
    replicate: int = 0


@dataclass(frozen=True, eq=False)
class EnsembleFits:
    """Fits members of an ensemble in one program for all of them.

    steps: of Levenberg-Marquardt, at most. dtype: float64, or float32, whose Gram matrices need a ridge of
    7e-6 and whose rounding clean samples show.
    """

    fits: NetFits
    steps: int = 60
    dtype: str = FLOAT64

    @cached_property
    def shared(self) -> SharedRows:
        """The rows of all batches."""
        plain, over_strength = (self.fits.maker(normalised) for normalised in (False, True))
        numbers = range(plain.num_batches)
        rows = [plain.batch(number) for number in numbers]
        edges = [[maker.batch(n).graph.edges for n in numbers] for maker in (plain, over_strength)]
        remainder, count = zip(*(plain.shares(number) for number in numbers), strict=True)
        found = SharedRows(
            inputs=np.stack([r.inputs for r in rows]),
            pair_inputs=np.stack([r.pair_inputs for r in rows]),
            edges=np.array(edges),
            receivers=np.stack([r.graph.receivers for r in rows]),
            weighting=np.stack([r.weighting for r in rows]),
            targets=np.stack([r.targets for r in rows]),
            remainder=np.stack(remainder),
            count=np.stack(count),
        )
        return jax.tree.map(self._typed, found)

    def member(self, point: NetPoint) -> NetMember:
        """The arrays of a member at its start."""
        fits = self.fits
        with jax.enable_x64(True):
            hidden = fits.random_layers(point.seed)
        made = NetMember(
            hidden,
            point.structure.mixing(fits.data.num_variables, len(fits.mean)),
            np.array(point.structure.normalised, dtype=int),
            self.weights(point.replicate),
        )
        return jax.tree.map(self._typed, made)

    def weights(self, replicate: int) -> np.ndarray:
        """How often each series counts in a replicate, (B, S)."""
        maker = self.fits.maker(False)
        shape = (maker.num_batches, maker.num_series)
        if replicate == 0:
            return np.ones(shape)
        generator = np.random.default_rng([self.fits.seed, replicate])
        size = shape[0] * shape[1]
        drawn = generator.integers(size, size=size)
        return np.bincount(drawn, minlength=size).reshape(shape).astype(float)

    def arguments(self, members: Sequence[NetMember]) -> tuple[Any, ...]:
        """What the program takes, for these members side by side."""
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
        numbers = map(self._typed, (self.fits.ridge, self.fits.target))
        return stacked, self.shared, *numbers

    def fitted(self, points: Sequence[NetPoint], mesh: Mesh) -> list[tuple[Net, float, int, str]]:
        """The net of each point, the loss on its first batch, the steps taken, and why it stopped.

        As many points as the devices of the mesh hold in equal numbers.
        """
        arguments = self.arguments([self.member(point) for point in points])
        with jax.enable_x64(self.dtype == FLOAT64):
            program = ensemble_program(mesh, self.steps)
            found = jax.tree.map(np.asarray, computed(program, *arguments))
        each = [jax.tree.map(lambda a, n=n: a[n], found) for n in range(len(points))]
        return [self._told(point, one) for point, one in zip(points, each, strict=True)]

    def _told(self, point: NetPoint, found: FittedMember) -> tuple[Net, float, int, str]:
        steps, fits = max(int(found.num_steps), 0), self.fits
        hidden: Any = tuple(np.asarray(part, float) for part in found.hidden)
        message = MESSAGES[int(found.code)]
        net = fits.net_of(
            point.structure,
            hidden,
            np.asarray(found.readout, float),
            np.asarray(found.residual, float),
            np.asarray(found.gram, float),
            np.asarray(found.history, float)[:steps].tolist(),
            message,
        )
        return net, float(found.loss), steps, message

    def _typed(self, value: Any) -> np.ndarray:
        array = np.asarray(value)
        return array.astype(self.dtype if array.dtype.kind == "f" else np.int32)

    def values(
        self, net: Net, number: int, inputs: np.ndarray, strength: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The self term (0) or what A_ij multiplies (1) at standardised inputs, with standard errors, (n, d).

        strength: k_i (n,) of these inputs. The errors are those of the readouts, the hidden layers as they
        are.
        """
        fits = self.fits
        ridge = fits.ridge if self.dtype == FLOAT64 else max(fits.ridge, 1e-5)
        covariance = readout_covariance(net.gram, ridge, net.residual, fits.scale)
        found, error = evaluate_term(net, number, inputs, covariance)
        if number and net.structure.normalised:
            divisor = np.where(strength != 0, strength, 1.0)[:, None]
            found, error = found / divisor, error / np.abs(divisor)
        return found, error
