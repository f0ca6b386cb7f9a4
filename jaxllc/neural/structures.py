"""Structures of the interaction term, from simple to rich: what it reads, and whether it is over k_i.

A net that reads less is fitted sooner and better, and what it has learned is easier to write down. Any of
them is the net of both ends with inputs that a matrix has mixed, so all share one compiled program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SENDER, DIFFERENCE, BOTH = "sender", "difference", "both"


@dataclass(frozen=True)
class Structure:
    """reads: the sender, the difference of sender and receiver, or both; normalised: A_ij / k_i for A_ij."""

    reads: str = BOTH
    normalised: bool = False

    @property
    def rank(self) -> tuple[int, bool]:
        """How rich it is."""
        return (2 if self.reads == BOTH else 1), self.normalised

    def mixing(self, num_variables: int, num_inputs: int) -> np.ndarray:
        """Matrix (2 q, 2 q) that standardised inputs (receiver, sender) are multiplied by from the right.

        num_inputs: q, the variables first, then node features, of which no differences are taken.
        """
        own, zero = np.eye(num_inputs), np.zeros((num_inputs, num_inputs))
        if self.reads == BOTH:
            return np.eye(2 * num_inputs)
        if self.reads == SENDER:
            return np.block([[zero, zero], [zero, own]])
        states = np.diag(np.arange(num_inputs) < num_variables).astype(float)
        return np.block([[zero, -states], [zero, states]])

    def __str__(self) -> str:
        return f"{self.reads} over k_i" if self.normalised else self.reads


EITHER_END = Structure()
# One after the other until one explains the samples.
REDUCED = (Structure(SENDER), Structure(DIFFERENCE))
OVER_STRENGTH = (Structure(DIFFERENCE, True), Structure(SENDER, True))
