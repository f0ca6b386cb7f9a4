"""Structures of the interaction term, from simple to rich: what it reads, and whether it is over k_i.

A net that reads less is fitted sooner and better, and what it has learned is easier to write down. Any of
them is the net of both ends with inputs that a matrix has mixed, so most share one compiled program; where
states or features stand in products, columns are multiplied by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# What the interaction reads. BY_RECEIVER is a function of the sender plus others times the receiver's states.
SENDER, DIFFERENCE, BY_RECEIVER, BOTH = "sender", "difference", "sender by receiver", "both"
# How node features are read: not at all; in products with functions of the states, as in omega_i*x_i, in the
# self term alone or in both terms; or in any way.
NO_FEATURES, PRODUCTS_IN_SELF, PRODUCTS, FEATURES = "none", "products in f", "products", "any"
_RICHNESS = {SENDER: 1, DIFFERENCE: 1, BY_RECEIVER: 2, BOTH: 3}
LEVELS = (NO_FEATURES, PRODUCTS_IN_SELF, PRODUCTS, FEATURES)


@dataclass(frozen=True)
class Structure:
    """reads: what the interaction reads, one of SENDER, DIFFERENCE, BY_RECEIVER, BOTH; normalised: A_ij / k_i
    for A_ij; features: how node features are read, one of LEVELS; variable: the only one that the interaction
    reads the states of, by its number, or None for all."""

    reads: str = BOTH
    normalised: bool = False
    features: str = FEATURES
    variable: int | None = None

    @property
    def rank(self) -> tuple[int, int, bool, bool]:
        """How rich it is."""
        level, richness = LEVELS.index(self.features), _RICHNESS[self.reads]
        return level, richness, self.variable is None, self.normalised

    @property
    def reduced(self) -> bool:
        """Whether the interaction reads less than all states of both ends."""
        return self.reads != BOTH or self.variable is not None

    def own_mixing(self, num_variables: int, num_inputs: int) -> np.ndarray:
        """Matrix (q, q) that standardised inputs of the self term are multiplied by from the right.

        num_inputs: q, the variables first, then node features.
        """
        states = np.arange(num_inputs) < num_variables
        return np.diag((states | (self.features == FEATURES)).astype(float))

    def mixing(self, num_variables: int, num_inputs: int) -> np.ndarray:
        """Matrix (2 q, 2 q) of the interaction, for inputs (receiver, sender); no differences are taken of
        features."""
        number = np.arange(num_inputs)
        read = number < num_variables if self.variable is None else number == self.variable
        states = np.diag(read.astype(float))
        own = self.own_mixing(num_variables, num_inputs) * (read | (number >= num_variables))
        zero = np.zeros((num_inputs, num_inputs))
        if self.reads == BOTH:
            return np.block([[own, zero], [zero, own]])
        if self.reads in (SENDER, BY_RECEIVER):
            return np.block([[zero, zero], [zero, own]])
        return np.block([[zero, -states], [zero, states]])

    def factors(self, number: int, inputs: Any, num_variables: int) -> Any:
        """What the self term (0) or the interaction (1) multiplies its columns by, (..., m): one, and states
        and features that stand in products. inputs: standardised, (..., q or 2 q), NumPy's or JAX's."""
        xp = inputs.__array_namespace__()
        found, size = [xp.ones_like(inputs[..., :1])], inputs.shape[-1] // (1 + number)
        if number and self.reads == BY_RECEIVER:
            found.append(inputs[..., :num_variables])
        if self.features == PRODUCTS or (number == 0 and self.features == PRODUCTS_IN_SELF):
            starts = range(0, inputs.shape[-1], size)
            found += [inputs[..., s + num_variables : s + size] for s in starts]
        return xp.concatenate(found, axis=-1)

    def mixings(self, num_variables: int, num_inputs: int) -> tuple[np.ndarray, np.ndarray]:
        """What the inputs of the self term and of the interaction are multiplied by."""
        return self.own_mixing(num_variables, num_inputs), self.mixing(num_variables, num_inputs)

    def __str__(self) -> str:
        said = self.reads if self.variable is None else f"{self.reads} of variable {self.variable}"
        said = f"{said} over k_i" if self.normalised else said
        return said if self.features == FEATURES else f"{said}, features: {self.features}"


def times_factors(columns: Any, factors: Any) -> Any:
    """Columns (..., p) by each of the factors (..., m), NumPy's or JAX's: (..., m p)."""
    if factors.shape[-1] == 1:  # it is one
        return columns
    products = factors[..., :, None] * columns[..., None, :]
    return products.reshape((*columns.shape[:-1], -1))


EITHER_END = Structure()
# What is tried before both ends are, of all variables and of one, and over k_i after them.
REDUCED = (SENDER, DIFFERENCE, BY_RECEIVER)
OF_ONE = (DIFFERENCE, SENDER, BOTH)
OVER_STRENGTH = (DIFFERENCE, SENDER, BOTH)
