"""Samples of one term: what an engine that looks for an expression is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from jaxllc.errors import InputError
from jaxllc.tables.labels import names_tuple
from jaxllc.tables.real_numbers import real_numbers

# Error, relative to the spread of the values, that is never held against an expression.
SMALLEST_ERROR = 1e-6


@dataclass(frozen=True, eq=False)
class Samples:
    """Values of one term at points.

    names: (q,) of the inputs, such as x_i, x_j; points: (n, q); values: (n,);
    error: (n,) standard error of each value, positive.
    """

    names: tuple[str, ...]
    points: np.ndarray
    values: np.ndarray
    error: np.ndarray

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        points: np.ndarray,
        values: np.ndarray,
        error: np.ndarray | float | None = None,
    ) -> Samples:
        """Checked samples; rows that are not finite are left out.

        names: (q,) of the inputs. points: (n, q). values: (n,). error: standard error of the values, one
        for all or (n,); None: as good as exact. Raises InputError where the shapes do not fit or fewer than
        5 finite rows are left.
        """
        names = names_tuple(names)
        if not names:
            raise InputError("names are empty; name each column of points")
        points, values = real_numbers(points, "points"), real_numbers(values, "values")
        if points.ndim == 1 and len(names) == 1:
            points = points[:, None]
        if points.ndim != 2 or points.shape[1] != len(names):
            raise InputError(
                f"points have the shape {points.shape}; for the names {', '.join(names)} they need "
                f"the shape (n, {len(names)})"
            )
        if values.shape != (len(points),):
            raise InputError(
                f"values have the shape {values.shape}; for {len(points)} points they need "
                f"the shape ({len(points)},)"
            )
        if len(set(names)) != len(names):
            raise InputError(f"names must differ from each other: {', '.join(names)}")
        errors = real_numbers(0.0 if error is None else error, "error")
        if errors.shape not in ((), values.shape):
            raise InputError(
                f"error has the shape {errors.shape}; give one number or {values.shape} of them"
            )
        errors = np.broadcast_to(errors, values.shape)
        if not np.all(errors >= 0):
            raise InputError("error must not be negative or nan: give standard errors")
        good = np.isfinite(points).all(axis=1) & np.isfinite(values) & np.isfinite(errors)
        if good.sum() < 5:
            raise InputError(
                f"only {int(good.sum())} of {len(values)} samples are finite; a search needs at least 5"
            )
        points, values, errors = points[good], values[good], errors[good]
        spread = scale_of(values)
        return cls(names, points, values, np.maximum(errors, SMALLEST_ERROR * spread))

    @property
    def columns(self) -> dict[sympy.Symbol, np.ndarray]:
        """The values of each input, (n,), by its symbol."""
        return {sympy.Symbol(name): self.points[:, k] for k, name in enumerate(self.names)}

    def thinned(self, count: int, seed: int) -> Samples:
        """At most `count` of the samples, drawn without replacement; the same seed draws the same."""
        if len(self.values) <= count:
            return self
        return self.at(np.random.default_rng(seed).permutation(len(self.values))[:count])

    def at(self, kept: np.ndarray) -> Samples:
        """Those at some places; kept: their numbers, or which of them, (n,) of bool."""
        return Samples(self.names, self.points[kept], self.values[kept], self.error[kept])

    def with_inputs(self, inputs: Sequence[int]) -> Samples:
        """The same samples with some of the inputs, by their places."""
        names = tuple(self.names[k] for k in inputs)
        return Samples(names, self.points[:, inputs], self.values, self.error)

    @property
    def num_inputs(self) -> int:
        """How many inputs the term has."""
        return len(self.names)


def scale_of(values: np.ndarray) -> float:
    """Standard deviation of values; their size where they are constant, and 1 where all are nought."""
    spread = float(np.std(values))
    size = float(np.abs(values).max())
    return spread if spread > 1e-9 * size else size or 1.0
