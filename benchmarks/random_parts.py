"""What both generators of random targets draw alike: variables, boxes and constants."""

from __future__ import annotations

import numpy as np
from symbolic_targets import Target

VARIABLES = (("x_i",), ("x_j",), ("x_i", "x_j"), ("x_i", "y_i"), ("x_i", "x_j", "y_i"))
RANGES = ((0.0, 1.0), (0.0, 4.0), (0.2, 4.0), (0.5, 3.0), (-1.5, 1.5), (-3.0, 3.0), (-2.0, 4.0))


def leaves(tree: tuple) -> set[str]:
    """The variables of a tree: (variable,) or (operator, tree, ...)."""
    return {tree[0]} if len(tree) == 1 else set().union(*map(leaves, tree[1:]))


def constant(
    rng: np.random.Generator, low: float = 0.3, high: float = 4.0, sign: bool = False
) -> str:
    """A constant of two digits, its logarithm uniform."""
    value = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    minus = "-" if sign and rng.random() < 0.4 else ""
    return f"{minus}{value:.2g}"


def boxed(
    name: str, variables: tuple[str, ...], text: str, family: str, rng: np.random.Generator
) -> Target:
    """A target in a box drawn for it."""
    common = RANGES[rng.integers(len(RANGES))]
    # Sender and receiver of one variable share a range; another variable may have its own.
    ranges = tuple(
        common if each.startswith("x") else RANGES[rng.integers(len(RANGES))] for each in variables
    )
    return Target(name, variables, text, ranges, family)
