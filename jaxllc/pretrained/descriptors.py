"""Closed-form descriptions of samples: how well simple functions explain them, in a vector of fixed length.

Inputs are divided by their root mean square and values by their spread, never shifted: a shift would
change the skeleton. All entries are means over the samples or solutions of small least-squares problems on
such means (in double precision), so that the order of the samples has no part in them and their number
hardly any.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

from jaxllc.pretrained.skeletons.alphabet import Alphabet
from jaxllc.pretrained.training.corpus_values import monomials_at

_CHUNK = 256  # sets at a time, so that their columns stay in the cache
_LOWEST = 1e-5  # residual, relative to the spread of the values, below which all are alike
_RIDGE = 1e-8  # relative to columns of mean square 1


@lru_cache(maxsize=8)
def num_descriptors(symbols: Alphabet) -> int:
    """The length of a description."""
    count = symbols.num_variables
    points = np.linspace(0.5, 1.5, 16 * count).reshape(1, count, 16).astype(np.float32)
    return describe(points, points.sum(1), np.ones((1, count), bool), symbols).shape[1]


def describe(
    points: np.ndarray, values: np.ndarray, present: np.ndarray, symbols: Alphabet
) -> np.ndarray:
    """Descriptions of sets of samples, (set, num_descriptors) float32.

    points: (set, variable, n); values: (set, n); present: (set, variable) which variables are inputs, the
    others being disregarded.
    """
    found = [
        _chunk(points[k : k + _CHUNK], values[k : k + _CHUNK], present[k : k + _CHUNK], symbols)
        for k in range(0, len(points), _CHUNK)
    ]
    return np.concatenate(found)


def _chunk(points, values, present, symbols: Alphabet) -> np.ndarray:
    with np.errstate(all="ignore"):
        parts = _described(points, values, present, symbols)
    joint = np.concatenate([p.reshape(len(points), -1) for p in parts], axis=1)
    return np.nan_to_num(np.clip(joint, -6.0, 6.0)).astype(np.float32)


def _described(points, values, present, symbols: Alphabet) -> list[np.ndarray]:
    points = np.where(present[..., None], points, 0.0)
    # In double precision, so that the order of the samples does not show in the last digits.
    size = np.sqrt(np.mean(points * points, axis=2, keepdims=True, dtype=float))
    points = (points / np.where(size > 0, size, 1.0)).astype(np.float32)
    mean = values.mean(1, keepdims=True, dtype=float)
    spread = values.std(1, keepdims=True, dtype=float)
    constant = spread <= 1e-6 * np.abs(mean)
    unit = np.where(constant, np.abs(mean), spread)
    values = (values / np.where(unit > 0, unit, 1.0)).astype(np.float32)
    centred = values - values.mean(1, keepdims=True, dtype=float).astype(np.float32)

    columns = _Columns(points, values, centred, symbols)
    found = columns.fits()
    linear, cubic = columns.residual("linear"), columns.residual("cubic")
    bases = [columns.orthonormal("linear"), columns.orthonormal("quadratic")]
    atoms = _atoms(points, present)
    found += _explained(atoms, linear, cubic, bases, centred, points)
    found += _logarithms(points, values, present)
    found += _moments(points, values, centred, present)
    found.append(constant.astype(np.float32))
    return found


def _level(variance: np.ndarray, lowest: float = _LOWEST) -> np.ndarray:
    """Residual variances, relative, on the scale on which they differ."""
    return 0.7 * np.log10(np.sqrt(np.maximum(variance, 0.0)) + lowest) + 1.4


# --- least squares on polynomials and implicit ratios -----------------------------------------------


class _Columns:
    """Monomials and products of monomials with the values, and least squares on choices of them."""

    def __init__(self, points, values, centred, symbols: Alphabet):
        monomials = monomials_at(points, symbols)
        degree = symbols.exponents.sum(1)
        second = np.flatnonzero((degree == 1) | (degree == 2))
        joint = np.concatenate(
            [monomials, centred[:, None] * monomials[:, second], values[:, None]], axis=1
        )
        joint = joint.astype(np.float64)
        size = np.sqrt(np.einsum("bkn,bkn->bk", joint, joint) / joint.shape[2])
        size[size < 1e-6] = 1.0
        size[:, -1] = 1.0
        joint /= size[..., None]
        self.columns, count = joint, joint.shape[2]
        self.gram = joint @ joint.transpose(0, 2, 1) / count
        self.values, self.centred, self.count = values, centred, count
        self.total = np.mean(centred.astype(np.float64) ** 2, axis=1) + 1e-12
        mean = self.columns.mean(2)
        square = np.diagonal(self.gram, axis1=1, axis2=2)
        self.deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
        self.deviation[:, 0] = 1.0
        number = len(degree)
        once = number + np.flatnonzero(degree[second] == 1)
        below = number + np.arange(len(second))
        self.choices = {
            "linear": np.flatnonzero(degree <= 1),
            "quadratic": np.flatnonzero(degree <= 2),
            "cubic": np.flatnonzero(degree <= 3),
            "quartic": np.arange(number),
            "ratio": np.concatenate([np.flatnonzero(degree <= 2), once]),
            "quadratic ratio": np.concatenate([np.flatnonzero(degree <= 2), below]),
            "linear ratio": np.concatenate([np.flatnonzero(degree <= 1), once]),
        }
        for variable in range(symbols.num_variables):
            without = (degree <= 3) & (symbols.exponents[:, variable] == 0)
            self.choices[f"without {variable}"] = np.flatnonzero(without)
        self.solutions: dict[str, np.ndarray] = {}

    def solve(self, name: str) -> np.ndarray:
        """Coefficients of the values on a choice of columns, (set, column)."""
        if name not in self.solutions:
            chosen = self.choices[name]
            matrix = self.gram[:, chosen[:, None], chosen].copy()
            diagonal = np.arange(len(chosen))
            matrix[:, diagonal, diagonal] += _RIDGE
            right = self.gram[:, chosen, -1]
            self.solutions[name] = np.linalg.solve(matrix, right[..., None])[..., 0]
        return self.solutions[name]

    def residual(self, name: str) -> np.ndarray:
        """What a choice of columns leaves of the values, (set, n)."""
        weights = self.solve(name)
        fitted = (weights[:, None, :] @ self.columns[:, self.choices[name]])[:, 0]
        return self.values - fitted

    def fits(self) -> list[np.ndarray]:
        """Levels of the residuals and, but for the fits without a variable, the coefficients."""
        found = []
        for name, chosen in self.choices.items():
            free = max(self.count - len(chosen), 1)
            weights, gram = self.solve(name), self.gram
            fitted = (gram[:, chosen[:, None], chosen] @ weights[..., None])[..., 0]
            right = gram[:, chosen, -1]
            left = gram[:, -1, -1] + np.sum(weights * (fitted - 2.0 * right), axis=1)
            left = left * (self.count / free) / self.total
            found.append(_level(left)[:, None])
            if not name.startswith("without"):
                found.append(0.5 * np.arcsinh(4.0 * self.solve(name) * self.deviation[:, chosen]))
        return found

    def orthonormal(self, name: str) -> np.ndarray:
        """An orthonormal basis of a choice of columns, (set, column, n) float32."""
        chosen = self.choices[name]
        matrix = self.gram[:, chosen[:, None], chosen].copy()
        diagonal = np.arange(len(chosen))
        matrix[:, diagonal, diagonal] += 1e-7
        lower = np.linalg.cholesky(matrix)
        return np.linalg.solve(lower, self.columns[:, chosen]).astype(np.float32)


# --- a grid of functions ---------------------------------------------------------------------------


def _atoms(points: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Functions of each variable and each difference of two, (set, atom, n); nought where one is absent."""
    centred = points - points.mean(2, keepdims=True)
    spread = centred.std(2, keepdims=True)
    directions, there = [centred / np.where(spread > 1e-6, spread, 1.0)], [present]
    for first, second in combinations(range(points.shape[1]), 2):
        difference = points[:, [first]] - points[:, [second]]
        difference = difference - difference.mean(2, keepdims=True)
        spread = difference.std(2, keepdims=True)
        directions.append(difference / np.where(spread > 1e-6, spread, 1.0))
        there.append(present[:, [first]] & present[:, [second]])
    u = np.concatenate(directions, axis=1)
    atoms = []
    for frequency in (1.0, 2.0, 3.5):
        atoms += [np.sin(frequency * u), np.cos(frequency * u)]
    for centre in (-0.8, 0.0, 0.8):
        atoms += [np.tanh(1.5 * (u - centre)), np.tanh(5.0 * (u - centre)), np.abs(u - centre)]
    atoms += [np.exp(0.8 * u), np.exp(-0.8 * u), np.exp(-1.5 * u * u)]
    shape = (len(points), -1, points.shape[2])
    moving = np.stack(atoms, axis=2) * np.concatenate(there, axis=1)[:, :, None, None]
    size, square = np.abs(points), points * points
    fixed = [f for k in (0.3, 1.0, 3.0) for f in (size / (k + size), square / (k * k + square))]
    fixed += [np.log(size + 1e-3), np.sqrt(size)]
    still = np.stack(fixed, axis=2) * present[:, :, None, None]
    return np.concatenate([moving.reshape(shape), still.reshape(shape)], axis=1)


def _explained(atoms, linear, cubic, bases, centred, points) -> list[np.ndarray]:
    """What each function explains: beside polynomials of degree 1 and 2, and of what they leave."""
    count = atoms.shape[2]
    found = []
    atoms = atoms - atoms.mean(2, keepdims=True)
    own = np.mean(atoms * atoms, axis=2) + 1e-6
    target = centred / (np.sqrt(np.mean(centred**2, axis=1, keepdims=True)) + 1e-9)
    with_target = (atoms @ target[..., None])[..., 0] / count
    for basis in bases:
        shared = atoms @ basis.transpose(0, 2, 1) / count
        of_target = (basis @ target[..., None])[..., 0] / count
        left = np.maximum(1.0 - np.sum(of_target**2, axis=1), 1e-7)
        overlap = with_target - (shared @ of_target[..., None])[..., 0]
        beside = np.maximum(own - np.sum(shared**2, axis=2), 1e-3 * own)
        found.append(_level(left[:, None] - overlap**2 / beside, 1e-4))
    residuals = [linear, cubic, *np.moveaxis(linear[:, None] * points, 1, 0)]
    stacked = np.stack(
        [r / (np.sqrt(np.mean(r * r, axis=1, keepdims=True)) + 1e-3) for r in residuals]
    )
    correlations = atoms @ np.moveaxis(stacked, 0, 2).astype(np.float32) / count
    found.append(2.0 * correlations)
    return found


# --- logarithms and moments ------------------------------------------------------------------------


def _logarithms(points, values, present) -> list[np.ndarray]:
    """ln|y| on the variables, and on them and their logarithms: exponentials and products of powers."""
    logarithm = np.log(np.maximum(np.abs(values), 1e-4))
    of_inputs = np.log(np.maximum(np.abs(points), 1e-3)) * present[..., None]
    one = np.ones_like(points[:, :1])
    one_sign = (values.min(1) > 0) | (values.max(1) < 0)
    found = [one_sign[:, None].astype(np.float32)]
    for parts in ([one, points], [one, of_inputs], [one, points, of_inputs]):
        joint = np.concatenate(parts, axis=1).astype(np.float64)
        gram = joint @ joint.transpose(0, 2, 1) / joint.shape[2]
        diagonal = np.arange(joint.shape[1])
        gram[:, diagonal, diagonal] += 1e-7
        right = joint @ logarithm[..., None] / joint.shape[2]
        weights = np.linalg.solve(gram, right)[..., 0]
        rest = (logarithm - (weights[:, None, :] @ joint)[:, 0]).std(1)
        found.append(np.where(one_sign, 0.7 * np.log10(rest + 1e-4) + 1.4, 2.0)[:, None])
        found.append(np.arcsinh(weights) * one_sign[:, None])
    return found


def _moments(points, values, centred, present) -> list[np.ndarray]:
    """Where the points lie, how they hang together, and the shape of the values' distribution."""
    deviation = points - points.mean(2, keepdims=True)
    deviation = deviation / (deviation.std(2, keepdims=True) + 1e-6)
    pairs = list(combinations(range(points.shape[1]), 2))
    found = [points.mean(2), np.clip(points.min(2), -4, 4), np.clip(points.max(2), -4, 4)]
    if pairs:
        found.append(
            np.stack([np.mean(deviation[:, a] * deviation[:, b], axis=1) for a, b in pairs], axis=1)
        )
    extremes = [values.mean(1), values.min(1), values.max(1)]
    shape = [np.mean(centred**3, axis=1), np.mean(centred**4, axis=1)]
    found.append(np.arcsinh(np.stack(extremes + shape, axis=1)))
    found.append(2.0 * present - 1.0)
    found.append(np.full((len(points), 1), np.log10(points.shape[2] / 64.0)))
    return found
