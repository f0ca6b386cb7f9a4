"""A fitted skeleton taken apart: its functions, the columns that are linear, and what others would add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxllc.pretrained.skeletons.canonical_form import Structures
from jaxllc.pretrained.skeletons.skeleton_draws import Factor, Frame, OneSkeleton, taken

RIDGE = 1e-10
_COLLINEAR = 1e-8  # share of a column that others leave, below which it says nothing of its own

Place = tuple[int, int]  # group and factor


@dataclass(frozen=True, eq=False)
class Neighbour:
    """structure: one skeleton, not in canonical form; factors: by their places, each with the same number of
    draws or one; mean_square: roughly what it leaves, in units of the samples' error; way: how it came
    about."""

    structure: Structures
    factors: Mapping[Place, Factor]
    mean_square: float
    way: str


class FittedSkeleton:
    """A skeleton with its constants.

    structure: one skeleton; values: of its constants, as `skeleton_draws` writes them. factors: its functions
    by their places; groups: which it has; products: of their functions, (n,); target: the values, weighted.
    """

    def __init__(self, structure: Structures, values: Sequence[float], frame: Frame):
        self.structure, self.frame = structure, frame
        self.one = OneSkeleton(structure, frame)
        self.factors = {
            place: factor
            for places, found in zip(self.one.places, self.one.read(values), strict=True)
            for place, factor in zip(places, found, strict=True)
        }
        self.groups = [places[0][0] for places in self.one.places]
        self.target = frame.values * frame.weight
        self.products = {
            g: np.prod([f.values[0] for (h, _), f in self.factors.items() if h == g], axis=0)
            for g in self.groups
        }

    def copied(self) -> Structures:
        return Structures(*(part.copy() for part in self.structure))

    def columns(self, without: int = -1) -> np.ndarray:
        """(column, n) what is linear, weighted; without one group."""
        frame = self.frame
        columns = [frame.monomials[m] for m in self.one.base]
        for g in self.groups:
            if g != without:
                outer = np.flatnonzero(self.structure.outer[0, g])
                columns += [self.products[g] * frame.monomials[m] for m in outer]
        return np.array(columns).reshape(-1, frame.count) * frame.weight

    def left_by(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """An orthonormal basis of columns, (n, c), and what they leave of the values, (n,)."""
        size = np.sqrt(np.mean(columns**2, axis=1, keepdims=True)) + 1e-300
        basis = np.linalg.qr((columns / size).T)[0]
        return basis, self.target - basis @ (basis.T @ self.target)

    def with_column(self, columns, sizes, good, basis, rest) -> tuple[np.ndarray, np.ndarray]:
        """For columns (function, draw, ..., n): what each leaves, (function, draw, ...), and its
        coefficient."""
        flat = columns.reshape(-1, columns.shape[-1])
        along = flat @ basis
        alone = sizes.reshape(-1) - np.einsum("kc,kc->k", along, along)
        slope = flat @ rest
        fine = (alone > _COLLINEAR * sizes.reshape(-1)) & np.isfinite(alone)
        alone = np.where(fine, alone, 1.0)
        left = np.where(fine, np.sum(rest**2) - slope**2 / alone, np.inf) / len(rest)
        shape = columns.shape[:-1]
        left = np.where(
            good.reshape(good.shape + (1,) * (len(shape) - 2)), left.reshape(shape), np.inf
        )
        return np.maximum(left, 0.0), (slope / alone).reshape(shape)

    def weighted_outer(self, g: int) -> np.ndarray:
        """(n,) the polynomial of a group with its best coefficients, weighted."""
        columns = self.columns()
        size = np.sqrt(np.mean(columns**2, axis=1, keepdims=True)) + 1e-300
        scaled = columns / size
        gram = scaled @ scaled.T + RIDGE * self.frame.count * np.eye(len(scaled))
        coefficients = np.linalg.solve(gram, scaled @ self.target) / size[:, 0]
        first = len(self.one.base)
        for h in self.groups:
            outer = np.flatnonzero(self.structure.outer[0, h])
            if h == g:
                own = coefficients[first : first + len(outer)]
                return own @ self.frame.monomials[outer] * self.frame.weight
            first += len(outer)
        raise AssertionError(g)


def starts_of(neighbour: Neighbour, frame: Frame) -> tuple[OneSkeleton, list[list[Factor]], int]:
    """The skeleton of a neighbour, its functions in order, all with the same number of draws, and that."""
    one = OneSkeleton(neighbour.structure, frame)
    draws = max((len(f.values) for f in neighbour.factors.values()), default=1)

    def filled(factor: Factor) -> Factor:
        return factor if len(factor.values) == draws else taken(factor, np.zeros(draws, int))

    return one, [[filled(neighbour.factors[p]) for p in places] for places in one.places], draws
