"""Normal equations of the constants of a law and of initial states, which act in blocks that do not mix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxllc.fit.bounded_step import bounded_minimum

Initial = Float[np.ndarray, "block state"]


class Normal(NamedTuple):
    """Normal equations of initial states, in blocks that do not mix, and constants.

    merit: squared weighted residual once the defects are closed.
    """

    blocks: Float[np.ndarray, "block state state"]
    mixed: Float[np.ndarray, "block state constant"]
    constants: Float[np.ndarray, "constant constant"]
    gradient_initial: Initial
    gradient: Float[np.ndarray, " constant"]
    merit: float

    def reduced(
        self, damping: float = 0.0
    ) -> tuple[
        Float[np.ndarray, "block state column"],
        Float[np.ndarray, "constant constant"],
        Float[np.ndarray, " constant"],
    ]:
        """Initial states eliminated: their solved blocks, normal matrix and gradient of the constants."""
        if len(self.blocks) == 0:
            return np.zeros((0, 0, len(self.gradient) + 1)), self.constants, self.gradient
        size = self.blocks.shape[1]
        diagonal = np.einsum("bii->bi", self.blocks)
        shift = damping * diagonal + 1e-13 * diagonal.mean() + 1e-300
        blocks = self.blocks + shift[:, :, None] * np.eye(size)[None]
        right = np.concatenate([self.mixed, self.gradient_initial[:, :, None]], axis=2)
        solved = np.linalg.solve(blocks, right)
        count = len(self.gradient)
        # Not -1 rows: a law of known numbers only has no constants.
        rows = len(self.blocks) * size
        taken = self.mixed.reshape(rows, count).T @ solved.reshape(rows, count + 1)
        return solved, self.constants - taken[:, :-1], self.gradient - taken[:, -1]

    def step(
        self,
        damping: float,
        room: tuple[Float[np.ndarray, " constant"], Float[np.ndarray, " constant"]] | None = None,
    ) -> tuple[Float[np.ndarray, " constant"], Initial, float]:
        """Gauss-Newton step: change of constants, of initial states, and the merit it predicts.

        room: smallest and largest change of each constant, where they are bounded.
        """
        solved, normal, gradient = self.reduced(damping)
        scale = np.sqrt(np.maximum(np.diag(self.constants), 1e-300))
        scaled = normal / scale[:, None] / scale[None]
        scaled = scaled + damping * np.diag(np.diag(scaled))
        if not np.all(np.isfinite(scaled)) or not np.all(np.isfinite(gradient)):
            raise np.linalg.LinAlgError("the normal equations are not finite")
        if room is None:
            change = np.linalg.lstsq(scaled, gradient / scale, rcond=1e-13)[0] / scale
            predicted = float(self.merit - gradient @ change)
        else:
            change = bounded_minimum(scaled, gradient / scale, *(r * scale for r in room)) / scale
            predicted = float(self.merit - (2 * gradient - normal @ change) @ change)
        initial = solved[:, :, -1] - solved[:, :, :-1] @ change
        if len(self.blocks) == 0:
            return change, initial, max(predicted, 0.0)
        predicted -= float((self.gradient_initial * solved[:, :, -1]).sum())
        return change, initial, max(predicted, 0.0)
