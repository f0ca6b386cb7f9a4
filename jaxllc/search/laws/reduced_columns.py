"""Columns of all candidates in the integral form, reduced to as many rows as there are columns.

A triangular factor keeps all products of columns and targets, which is all that a search for sets needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf

from jaxllc.dynamics.terms import Term
from jaxllc.fit.integral_form import IntegralForm
from jaxllc.running.time_limit import check_time

# Complete polynomials that searches of several variables start from.
_KEPT_SPANS = 4
# Squared distance of a column of unit length from the span of others below which it counts as in it.
_SMALLEST_PIVOT = 1e-11


@dataclass
class Reduced:
    """Columns of all candidates and targets of all equations after the factorisation."""

    terms: list[Term]
    columns: np.ndarray  # (row, column), each of unit norm
    first: np.ndarray  # (term,) position of its own column
    width: np.ndarray  # (term,) one plus its inner constants
    targets: np.ndarray  # (row, equation)
    outside: np.ndarray  # (equation,) squared norm of the target outside the span of all columns
    num_rows: np.ndarray  # (equation,)
    _spans: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def family(self) -> np.ndarray:
        """(term,) number of each candidate's family."""
        numbers: dict = {}
        return np.array([numbers.setdefault(t.family, len(numbers)) for t in self.terms])

    @cached_property
    def groups(self) -> Groups:
        return Groups(self)

    def of_terms(self, positions: Sequence[int]) -> Reduced:
        """The same for some of the candidates alone."""
        columns = [np.arange(self.first[p], self.first[p] + self.width[p]) for p in positions]
        width = self.width[list(positions)]
        return Reduced(
            [self.terms[p] for p in positions],
            self.columns[:, np.concatenate(columns)],
            np.cumsum(width) - width,
            width,
            self.targets,
            self.outside,
            self.num_rows,
        )

    def compact(self) -> Reduced:
        """The same with as many rows as there are columns; what else the targets hold counts as outside."""
        if len(self.columns) <= self.columns.shape[1]:
            return self
        basis, upper = np.linalg.qr(self.columns)
        inside = basis.T @ self.targets
        beyond = (self.targets**2).sum(axis=0) - (inside**2).sum(axis=0)
        outside = self.outside + np.maximum(beyond, 0.0)
        return Reduced(self.terms, upper, self.first, self.width, inside, outside, self.num_rows)

    def span(self, positions: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Orthonormal basis of some candidates' columns, (row, k), and all shares in it, (k, column)."""
        key = tuple(int(p) for p in positions)
        if key not in self._spans:
            basis = _basis(self, key)
            if len(self._spans) >= _KEPT_SPANS:
                del self._spans[next(iter(self._spans))]
            self._spans[key] = basis, basis.T @ self.columns
        return self._spans[key]


def _basis(reduced: Reduced, positions: Sequence[int]) -> np.ndarray:
    """Gram-Schmidt of the candidates' columns and derivatives; what is nearly in the span is left out."""
    total = int(sum(reduced.width[p] for p in positions))
    basis = np.empty((len(reduced.columns), total), order="F")
    count = 0
    for position in positions:
        start = reduced.first[position]
        for column in reduced.columns[:, start : start + reduced.width[position]].T:
            known = basis[:, :count]
            for _ in range(2):
                column = column - known @ (known.T @ column)
            norm = np.linalg.norm(column)
            if norm > 1e-5:
                basis[:, count] = column / norm
                count += 1
    return basis[:, :count]


class Groups:
    """Positions of each candidate's column and derivatives, and their mutual products.

    own: (term,) column; with_slope, slope: candidates with an inner constant, and the column of its
    derivative; with_two, second_slope: those with two, and that of the second; place: where these are among
    `with_slope`.
    """

    def __init__(self, reduced: Reduced) -> None:
        self.own = reduced.first
        self.with_slope = np.flatnonzero(reduced.width > 1)
        self.slope = self.own[self.with_slope] + 1
        self.with_two = np.flatnonzero(reduced.width > 2)
        self.second_slope = self.own[self.with_two] + 2
        self.place = np.searchsorted(self.with_slope, self.with_two)
        self.products = self.products_of(reduced.columns)

    def products_of(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of columns (row, column): own with slope, own with second slope, slope with second slope."""
        second = values[:, self.second_slope]
        return (
            (values[:, self.own[self.with_slope]] * values[:, self.slope]).sum(axis=0),
            (values[:, self.own[self.with_two]] * second).sum(axis=0),
            (values[:, self.slope[self.place]] * second).sum(axis=0),
        )


def reduce_columns(form: IntegralForm, terms: Sequence[Term], variable: int = 0) -> Reduced:
    """Evaluate, integrate and factorise the columns of all candidates (rows: what a variable shows)."""
    return reduce_forms([form], terms, variable)[0]


def reduce_forms(
    forms: Sequence[IntegralForm],
    terms: Sequence[Term],
    variable: int = 0,
    by_products: bool = False,
) -> list[Reduced]:
    """`reduce_columns` of forms that differ in their windows only: terms are evaluated once.

    by_products: factorise the columns' products, which is several times faster, in place of the columns. Sets
    whose columns nearly cancel are then told from each other to about a thousandth of the target's size, not
    to rounding: enough under noise.
    """
    blocks, kept = [], []
    for term in terms:
        check_time()
        with np.errstate(all="ignore"):
            block = forms[0].column_and_derivatives(term, variable).T
            norm = np.sqrt((block**2).sum(axis=1))
        if np.all(np.isfinite(norm)) and norm[0] > 0:
            blocks.append(block)
            kept.append(term)
    width = np.array([len(b) for b in blocks])
    count = len(forms[0].target(variable))
    columns = np.concatenate(blocks) if blocks else np.zeros((0, count))
    return [
        _reduction(
            form,
            kept,
            form.recentred(columns, variable) if number else columns,
            width,
            by_products,
        )
        for number, form in enumerate(forms)
    ]


def _reduction(
    form: IntegralForm, terms: list[Term], columns: np.ndarray, width: np.ndarray, by_products: bool
) -> Reduced:
    """The reduction of columns (column, row)."""
    equations = range(len(form.variables))
    targets = np.stack([form.target(v) for v in equations])
    norm = np.sqrt(np.einsum("cr,cr->c", columns, columns))
    unit = columns / np.where(norm > 0, norm, 1.0)[:, None]
    reduced, aims, outside = (_of_products if by_products else _of_rows)(unit, targets)
    first = np.cumsum(width) - width
    rows = np.array([form.num_rows(v) for v in equations])
    return Reduced(terms, reduced, first, width, aims, outside, rows)


def _of_rows(unit: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns (k, column), targets (k, equation) and their squared norms outside, by a QR factorisation."""
    position = len(unit)
    matrix = np.concatenate([unit, targets])
    missing = len(matrix) - matrix.shape[1]
    if missing > 0:
        matrix = np.concatenate([matrix, np.zeros((len(matrix), missing))], axis=1)
    upper: np.ndarray = np.asarray(np.linalg.qr(matrix.T, mode="r"))
    outside = (upper[position:, position:] ** 2).sum(axis=0)
    return upper[:position, :position], upper[:position, position:], outside


def _of_products(
    unit: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same by a Cholesky factorisation with pivots, up to what is in the span of the columns before."""
    factor, order, rank, _ = dpstrf(unit @ unit.T, tol=_SMALLEST_PIVOT)
    upper = np.triu(factor[:rank])
    reduced = np.empty_like(upper)
    reduced[:, order - 1] = upper
    products = (unit @ targets.T)[order[:rank] - 1]
    aims = solve_triangular(upper[:, :rank], products, trans="T")
    outside = np.maximum((targets**2).sum(axis=1) - (aims**2).sum(axis=0), 0.0)
    return reduced, aims, outside
