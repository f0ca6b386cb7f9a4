"""Columns of all candidates in the integral form, reduced to as many rows as there are columns.

One QR factorisation keeps all products of columns and targets, which is all that a search for sets needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from jaxllc.fitting.integral_form import IntegralForm
from jaxllc.terms import Term

# Complete polynomials that searches of several variables start from.
_KEPT_SPANS = 4


@dataclass
class Reduced:
    """Columns of all candidates and targets of all equations after the QR factorisation."""

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

    def span(self, positions: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Basis of some candidates' columns, (row, k), orthonormal, and all columns' shares in it, (k, column)."""
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
    """Positions and mutual products of each candidate's column and derivatives."""

    def __init__(self, reduced: Reduced) -> None:
        columns, first, width = reduced.columns, reduced.first, reduced.width
        self.own = first
        self.levels = []
        for level in (1, 2):
            members = np.flatnonzero(width > level)
            at = first[members] + level
            products = [
                (columns[:, first[members] + earlier] * columns[:, at]).sum(axis=0)
                for earlier in range(level)
            ]
            self.levels.append((members, at, products))


def reduce_columns(form: IntegralForm, terms: Sequence[Term], variable: int = 0) -> Reduced:
    """Evaluate, integrate and factorise the columns of all candidates (rows: what a variable shows)."""
    return reduce_forms([form], terms, variable)[0]


def reduce_forms(
    forms: Sequence[IntegralForm], terms: Sequence[Term], variable: int = 0
) -> list[Reduced]:
    """`reduce_columns` of forms that differ in their windows only: terms are evaluated once."""
    blocks, kept = [], []
    for term in terms:
        block = forms[0].column_and_derivatives(term, variable).T
        size = np.abs(block).max(axis=1)
        if np.all(np.isfinite(size)) and size[0] > 0:
            blocks.append(block)
            kept.append(term)
    width = np.array([len(b) for b in blocks])
    count = len(forms[0].target(variable))
    columns = np.concatenate(blocks) if blocks else np.zeros((0, count))
    return [
        _factorised(form, kept, form.recentred(columns, variable) if k else columns, width)
        for k, form in enumerate(forms)
    ]


def _factorised(
    form: IntegralForm, terms: list[Term], columns: np.ndarray, width: np.ndarray
) -> Reduced:
    """The reduction of columns (column, row)."""
    position, equations = len(columns), len(form.variables)
    targets = np.stack([form.target(v) for v in range(equations)])
    norm = np.sqrt(np.einsum("cr,cr->c", columns, columns))
    matrix = np.zeros((position + equations, max(targets.shape[1], position + equations)))
    np.divide(
        columns, np.where(norm > 0, norm, 1.0)[:, None], out=matrix[:position, : targets.shape[1]]
    )
    matrix[position:, : targets.shape[1]] = targets
    upper: np.ndarray = np.asarray(np.linalg.qr(matrix.T, mode="r"))
    return Reduced(
        terms,
        upper[:position, :position],
        np.cumsum(width) - width,
        width,
        upper[:position, position:],
        (upper[position:, position:] ** 2).sum(axis=0),
        np.array([form.num_rows(v) for v in range(equations)]),
    )
