"""Inner constants of a set of terms: Gauss-Newton in the integral form, coefficients projected out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxllc.constant_bounds import FREE, ConstantBounds
from jaxllc.fitting.integral_form import IntegralForm
from jaxllc.terms import Term

# Largest change of an inner constant in one step: of its logarithm, or relative to its size.
_LARGEST_STEP = 0.6


class ColumnCache:
    """Columns of terms without inner constants, evaluated once; bounds: of the coefficients."""

    def __init__(self, form: IntegralForm, bounds: ConstantBounds | None = None) -> None:
        self.form, self.bounds = form, bounds or ConstantBounds()
        self._known: dict[tuple[Term, int], np.ndarray] = {}

    def columns(self, term: Term, variable: int) -> np.ndarray:
        """Column of the term and of its derivatives, (row, 1 + inner)."""
        if term.inner:
            with np.errstate(all="ignore"):
                return self.form.column_and_derivatives(term, variable)
        key = (term, variable)
        if key not in self._known:
            self._known[key] = self.form.column_and_derivatives(term, variable)
        return self._known[key]


def _moved(term: Term, change: np.ndarray, scale: float) -> Term:
    inner = []
    for value, step, positive in zip(term.inner, change, term.family.positive, strict=True):
        if positive:
            inner.append(
                value * float(np.exp(scale * np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)))
            )
        else:
            limit = _LARGEST_STEP * (abs(value) + 0.2)
            inner.append(value + float(scale * np.clip(step, -limit, limit)))
    return term.with_inner(inner)


def _solve(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    if not np.all(np.isfinite(matrix)):
        return np.zeros(matrix.shape[1])
    norms = np.sqrt((matrix**2).sum(axis=0))
    norms = np.where(norms > 0, norms, 1.0)
    return np.linalg.lstsq(matrix / norms, target, rcond=1e-12)[0] / norms


def _coefficients(
    terms: Sequence[Term], matrix: np.ndarray, target: np.ndarray, bounds: ConstantBounds
) -> np.ndarray:
    """Coefficients of least squares, those of held terms one, the others within their bounds."""
    held = np.array([t.family.held for t in terms], dtype=bool)
    ranges = [getattr(t.family, "coefficient_bounds", bounds.coefficients) for t in terms]
    bounded = any(r != FREE for r in ranges)
    if not held.any() and not bounded:
        return _solve(matrix, target)
    coefficients, free = np.ones(len(terms)), ~held
    if not free.any():
        return coefficients
    rest, columns = target - matrix[:, held].sum(axis=1), matrix[:, free]
    if not bounded or not np.all(np.isfinite(matrix)):
        coefficients[free] = _solve(columns, rest)
        return coefficients
    from scipy.optimize import lsq_linear

    norms = np.sqrt((columns**2).sum(axis=0))
    norms = np.where(norms > 0, norms, 1.0)
    low, high = np.array(ranges)[free].T * norms
    reduced, upper = np.linalg.qr(columns / norms)
    coefficients[free] = lsq_linear(upper, reduced.T @ rest, (low, high), method="bvls").x / norms
    return coefficients


def refine_inner_constants(
    cache: ColumnCache,
    terms: Sequence[Term],
    variable: int,
    iterations: int = 6,
    tolerance: float = 1e-4,
) -> tuple[list[Term], np.ndarray, float]:
    """Refine inner constants; returns the terms, their coefficients (term,) and the squared residual.

    Source: variable projection (Golub and Pereyra 1973), in Kaufman's form.
    """
    target = cache.form.target(variable)
    terms = list(terms)
    if not terms:
        return [], np.zeros(0), float(target @ target)
    blocks = [cache.columns(t, variable) for t in terms]
    matrix = np.stack([b[:, 0] for b in blocks], axis=1)
    linear = np.array([not t.family.held for t in terms], dtype=bool)
    coefficients = _coefficients(terms, matrix, target, cache.bounds)
    rest = target - matrix @ coefficients
    residual = float(rest @ rest)
    if not any(t.inner for t in terms):
        return terms, coefficients, residual
    for _ in range(iterations):
        slopes, owners = [], []
        for index, (term, block) in enumerate(zip(terms, blocks, strict=True)):
            for k, (value, positive) in enumerate(
                zip(term.inner, term.family.positive, strict=True)
            ):
                factor = coefficients[index] * (value if positive else 1.0)
                slopes.append(factor * block[:, 1 + k])
                owners.append(index)
        joint = np.concatenate([matrix[:, linear], np.stack(slopes, axis=1)], axis=1)
        step = _solve(joint, rest)[linear.sum() :]
        accepted = False
        for scale in (1.0, 0.5, 0.2, 0.05):
            moved = [
                _moved(t, step[[o == i for o in owners]], scale) if t.inner else t
                for i, t in enumerate(terms)
            ]
            new_blocks = [
                cache.columns(t, variable) if t.inner else b
                for t, b in zip(moved, blocks, strict=True)
            ]
            new_matrix = np.stack([b[:, 0] for b in new_blocks], axis=1)
            if not np.all(np.isfinite(new_matrix)):
                continue
            new_coefficients = _coefficients(terms, new_matrix, target, cache.bounds)
            new_rest = target - new_matrix @ new_coefficients
            new_residual = float(new_rest @ new_rest)
            if new_residual < residual:
                accepted = True
                break
        if not accepted:
            break
        gained = 1 - new_residual / residual
        terms, blocks, matrix = moved, new_blocks, new_matrix
        coefficients, rest, residual = new_coefficients, new_rest, new_residual
        if gained < tolerance:
            break
    return terms, coefficients, residual
