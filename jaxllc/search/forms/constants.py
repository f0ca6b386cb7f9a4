"""Inner constants of a set of terms: Gauss-Newton in the integral form, coefficients projected out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from jaxllc.dynamics.stage import Evaluator
from jaxllc.dynamics.terms import Term
from jaxllc.fit.integral_form import IntegralForm
from jaxllc.fit.levenberg import Shortening, State, accepted
from jaxllc.running.time_limit import check_time
from jaxllc.settings.constant_bounds import FREE, UNBOUNDED, ConstantBounds

# Largest change of an inner constant in one step: of its logarithm, or relative to its size.
_LARGEST_STEP = 0.6
# Of a step, until it leaves less.
_SHARES = Shortening((1.0, 0.5, 0.2, 0.05))
_KEPT_COLUMNS = 100
_KEPT_EVALUATORS = 4

Kept = TypeVar("Kept")


class ColumnCache:
    """Columns of the terms that were asked for last.

    wider: the cache of a form that differs in its windows only and has fewer; terms are evaluated there.
    bounds: of the coefficients.
    """

    def __init__(
        self,
        form: IntegralForm,
        wider: ColumnCache | None = None,
        bounds: ConstantBounds = UNBOUNDED,
    ) -> None:
        self.form, self._wider, self.bounds = form, wider, bounds
        self._columns: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._slopes: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._evaluators: OrderedDict[tuple, Evaluator] = OrderedDict()

    def column(self, term: Term, variable: int) -> np.ndarray:
        """Column of the term, (row,)."""
        key = (term, self.form.shown_as(variable))

        def made() -> np.ndarray:
            if self._wider is not None:
                return self.form.recentred(self._wider.column(term, variable), variable)
            with np.errstate(all="ignore"):
                return self.form.column(term, variable, self._evaluator(term))

        return _kept(self._columns, key, made, _KEPT_COLUMNS)

    def slopes(self, term: Term, variable: int) -> np.ndarray:
        """Derivatives of the column by the inner constants, (row, inner)."""
        key = (term, self.form.shown_as(variable))

        def made() -> np.ndarray:
            if self._wider is not None:
                return self.form.recentred(self._wider.slopes(term, variable).T, variable).T
            with np.errstate(all="ignore"):
                return self.form.slopes(term, variable, self._evaluator(term))

        return _kept(self._slopes, key, made, _KEPT_COLUMNS)

    def _evaluator(self, term: Term) -> Evaluator:
        """Column and derivatives share parts, and the derivatives are asked for next or not at all."""
        return _kept(
            self._evaluators,
            (term,),
            lambda: self.form.stage.evaluator(term.inner),
            _KEPT_EVALUATORS,
        )


def _kept(known: OrderedDict[tuple, Kept], key: tuple, made: Callable[[], Kept], size: int) -> Kept:
    """An entry of a cache of a size, made where it is missing."""
    if key in known:
        known.move_to_end(key)
        return known[key]
    value = known[key] = made()
    if len(known) > size:
        known.popitem(last=False)
    return value


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


def _norms(columns: np.ndarray) -> np.ndarray:
    """Lengths of columns (row, column), 1 for zeros, infinite where a square is beyond all floats.

    Divided by it, such a column counts for nothing: an exponential that one far value has run away with.
    """
    with np.errstate(over="ignore"):
        norms = np.sqrt((columns**2).sum(axis=0))
    return np.where(norms > 0, norms, 1.0)


def _rest(
    matrix: np.ndarray, coefficients: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, float]:
    """What the columns leave of the target, and its square; not finite where columns are as large."""
    with np.errstate(all="ignore"):
        rest = target - matrix @ coefficients
        return rest, float(rest @ rest)


def _solve(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    if not np.all(np.isfinite(matrix)):
        return np.zeros(matrix.shape[1])
    norms = _norms(matrix)
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
    with np.errstate(all="ignore"):
        rest, columns = target - matrix[:, held].sum(axis=1), matrix[:, free]
    if not bounded or not np.all(np.isfinite(matrix)):
        coefficients[free] = _solve(columns, rest)
        return coefficients
    from scipy.optimize import lsq_linear

    norms = _norms(columns)
    if not np.all(np.isfinite(norms)):
        coefficients[free] = 0.0
        return coefficients
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
    check_time()
    target = cache.form.target(variable)
    terms = list(terms)
    if not terms:
        return [], np.zeros(0), float(target @ target)
    matrix = np.stack([cache.column(t, variable) for t in terms]).T
    linear = np.array([not t.family.held for t in terms], dtype=bool)
    coefficients = _coefficients(terms, matrix, target, cache.bounds)
    rest, residual = _rest(matrix, coefficients, target)
    if not any(t.inner for t in terms) or not np.all(np.isfinite(rest)):
        return terms, coefficients, residual
    state = State(_Set(terms, matrix, coefficients, rest, residual), _SHARES.start)
    for _ in range(iterations):
        terms, matrix, coefficients, rest, residual = state.point
        slopes, owners = [], []
        for index, term in enumerate(terms):
            if not term.inner:
                continue
            by_inner = cache.slopes(term, variable)
            for k, (value, positive) in enumerate(
                zip(term.inner, term.family.positive, strict=True)
            ):
                factor = coefficients[index] * (value if positive else 1.0)
                with np.errstate(all="ignore"):  # the step is zero where a slope is not finite
                    slopes.append(factor * by_inner[:, k])
                owners.append(index)
        joint = np.concatenate([matrix.T[linear], np.stack(slopes)]).T
        step = _solve(joint, rest)[linear.sum() :]
        steps = [step[[o == i for o in owners]] for i in range(len(terms))]
        after = accepted(state, partial(_better_set, cache, variable, state.point, steps), _SHARES)
        if after is None:
            break
        state = after
        if 1 - state.point.residual / residual < tolerance:
            break
    return state.point.terms, state.point.coefficients, state.point.residual


class _Set(NamedTuple):
    """Terms, their columns, the best coefficients, what these leave of the target, and its square."""

    terms: list[Term]
    matrix: np.ndarray
    coefficients: np.ndarray
    rest: np.ndarray
    residual: float


def _better_set(
    cache: ColumnCache, variable: int, point: _Set, steps: Sequence[np.ndarray], share: float
) -> _Set | None:
    """Terms moved by a share of the steps of their inner constants; None where they leave no less."""
    terms = [
        _moved(t, step, share) if t.inner else t for t, step in zip(point.terms, steps, strict=True)
    ]
    columns = [
        cache.column(t, variable) if t.inner else column
        for t, column in zip(terms, point.matrix.T, strict=True)
    ]
    matrix = np.stack(columns).T
    if not np.all(np.isfinite(matrix)):
        return None
    target = cache.form.target(variable)
    coefficients = _coefficients(terms, matrix, target, cache.bounds)
    rest, residual = _rest(matrix, coefficients, target)
    return _Set(terms, matrix, coefficients, rest, residual) if residual < point.residual else None
